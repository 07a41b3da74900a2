//! Finds where a message or value ends, and refuses what could not be decoded within its own size:
//! unknown types, depth, lengths and counts that do not fit.
//!
//! Nothing is decoded and nothing allocated but a stack of at most `WIRE_DEPTH_MAX` levels; the
//! bytes' own nesting never recurses here. `Scanner` goes on where it stopped when a buffer has
//! grown, for streams without frames; the functions below look at complete slices.

use super::WireError;
use crate::limits;

/// Looks through a buffer that may still grow.
#[derive(Debug)]
pub struct Scanner {
    levels: Vec<Level>,
    due: Option<Due>,
    /// Everything before it has been looked at.
    position: usize,
    /// What is scanned must end before it.
    bytes_max: usize,
}

/// What stands next, at the level that is open.
#[derive(Clone, Copy, Debug)]
enum Due {
    Header,
    Value(u8),
}

/// A struct or container that is not at its end.
#[derive(Clone, Copy, Debug)]
enum Level {
    Struct,
    Elements { kind: u8, n: usize },
    Entries { kinds: [u8; 2], n_values: usize },
}

/// Where a message ends that starts at the first byte: its header and the struct after it.
pub fn message_end(bytes: &[u8]) -> Result<usize, WireError> {
    complete(bytes, Due::Header)
}

/// Where a value ends that starts at the first byte; its type as the wire writes it.
pub fn value_end(bytes: &[u8], kind: u8) -> Result<usize, WireError> {
    complete(bytes, Due::Value(kind))
}

fn complete(bytes: &[u8], due: Due) -> Result<usize, WireError> {
    let mut scanner = Scanner::new(due, bytes.len());
    match scanner.scan(bytes) {
        Ok(Some(end)) => Ok(end),
        // No more bytes will come: what would need them ends too early.
        Ok(None) | Err(WireError::TooLarge { .. }) => Err(WireError::EndsEarly),
        Err(error) => Err(error),
    }
}

/// The fewest bytes that a value takes; none for what is not a type of values.
pub fn bytes_min(kind: u8) -> Option<usize> {
    fixed_bytes(kind).or(match kind {
        STRING => Some(4),
        STRUCT => Some(1),
        MAP => Some(6),
        SET | LIST => Some(5),
        _ => None,
    })
}

fn fixed_bytes(kind: u8) -> Option<usize> {
    match kind {
        BOOL | I8 => Some(1),
        I16 => Some(2),
        I32 => Some(4),
        I64 | DOUBLE => Some(8),
        UUID => Some(16),
        _ => None,
    }
}

// === impl Scanner ===

impl Scanner {
    /// For one message of at most `bytes_max` bytes: a header and the struct after it.
    pub fn message(bytes_max: usize) -> Self {
        Scanner::new(Due::Header, bytes_max)
    }

    fn new(due: Due, bytes_max: usize) -> Self {
        Scanner {
            levels: Vec::new(),
            due: Some(due),
            position: 0,
            bytes_max,
        }
    }

    /// Where the message ends, or none when `buffer` ends before it. `buffer` holds the same bytes
    /// as in the call before and perhaps more.
    pub fn scan(&mut self, buffer: &[u8]) -> Result<Option<usize>, WireError> {
        loop {
            let going = match (self.due, self.levels.last().copied()) {
                (Some(Due::Header), _) => self.header(buffer)?,
                (Some(Due::Value(kind)), _) => self.value(buffer, kind)?,
                (None, Some(Level::Struct)) => self.field(buffer)?,
                (None, Some(level)) => self.element(buffer, level)?,
                (None, None) => return Ok(Some(self.position)),
            };
            if !going {
                return Ok(None);
            }
        }
    }

    /// Each step below passes over something and says so, or leaves all as it is when bytes are
    /// missing.
    fn header(&mut self, buffer: &[u8]) -> Result<bool, WireError> {
        let Some(first) = self.i32_at(buffer, 0)? else {
            return Ok(false);
        };
        let (name_at, tail) = if first < 0 { (4, 4) } else { (0, 5) };
        if first < 0 && first.cast_unsigned() & VERSION_MASK != VERSION_1 {
            return Err(WireError::Version);
        }
        let Some(n) = self.length_at(buffer, name_at)? else {
            return Ok(false);
        };
        self.due = Some(Due::Value(STRUCT));
        let passed = self.pass(buffer, n.saturating_add(name_at + 4 + tail))?;
        if !passed {
            self.due = Some(Due::Header);
        }
        Ok(passed)
    }

    fn value(&mut self, buffer: &[u8], kind: u8) -> Result<bool, WireError> {
        if let Some(n) = fixed_bytes(kind) {
            return self.pass_value(buffer, n);
        }
        match kind {
            STRING => match self.length_at(buffer, 0)? {
                Some(n) => self.pass_value(buffer, n.saturating_add(4)),
                None => Ok(false),
            },
            STRUCT => {
                self.due = None;
                self.open(Level::Struct)
            }
            SET | LIST => {
                let Some(n) = self.length_at(buffer, 1)? else {
                    return Ok(false);
                };
                let kind = self.byte_at(buffer, 0)?.unwrap_or_default();
                self.counted(5, n, &[kind])?;
                self.open(Level::Elements { kind, n })
            }
            MAP => {
                let Some(n) = self.length_at(buffer, 2)? else {
                    return Ok(false);
                };
                let key = self.byte_at(buffer, 0)?.unwrap_or_default();
                let value = self.byte_at(buffer, 1)?.unwrap_or_default();
                let kinds = [key, value];
                self.counted(6, n, &kinds)?;
                let n_values = n.saturating_mul(2);
                self.open(Level::Entries { kinds, n_values })
            }
            _ => Err(WireError::UnrecognizedType(kind)),
        }
    }

    /// Passes over the head of a container, if its count can fit behind it.
    fn counted(&mut self, head: usize, n: usize, kinds: &[u8]) -> Result<(), WireError> {
        self.due = None;
        self.position += head;
        if n == 0 {
            return Ok(());
        }
        let mut bytes = 0;
        for kind in kinds {
            bytes += bytes_min(*kind).ok_or(WireError::UnrecognizedType(*kind))?;
        }
        match n.checked_mul(bytes) {
            Some(bytes) if bytes <= self.bytes_max.saturating_sub(self.position) => Ok(()),
            _ => Err(self.too_large()),
        }
    }

    fn field(&mut self, buffer: &[u8]) -> Result<bool, WireError> {
        match self.byte_at(buffer, 0)? {
            None => Ok(false),
            Some(STOP) => {
                self.levels.pop();
                self.pass(buffer, 1)
            }
            Some(kind) => {
                if bytes_min(kind).is_none() {
                    return Err(WireError::UnrecognizedType(kind));
                }
                let passed = self.pass(buffer, 3)?;
                if passed {
                    self.due = Some(Due::Value(kind));
                }
                Ok(passed)
            }
        }
    }

    fn element(&mut self, buffer: &[u8], level: Level) -> Result<bool, WireError> {
        let (kind, left) = match level {
            Level::Struct => return self.field(buffer),
            Level::Elements { n: 0, .. } | Level::Entries { n_values: 0, .. } => {
                self.levels.pop();
                return Ok(true);
            }
            Level::Elements { kind, n } => match fixed_bytes(kind) {
                // All at once: one step for each number of a long list would be slow.
                Some(bytes) => {
                    let passed = self.pass(buffer, bytes.saturating_mul(n))?;
                    if passed {
                        self.levels.pop();
                    }
                    return Ok(passed);
                }
                None => (kind, Level::Elements { kind, n: n - 1 }),
            },
            Level::Entries { kinds, n_values } => {
                let [key, value] = kinds;
                let kind = if n_values % 2 == 0 { key } else { value };
                let n_values = n_values - 1;
                (kind, Level::Entries { kinds, n_values })
            }
        };
        if let Some(last) = self.levels.last_mut() {
            *last = left;
        }
        self.due = Some(Due::Value(kind));
        Ok(true)
    }

    fn open(&mut self, level: Level) -> Result<bool, WireError> {
        if self.levels.len() >= limits::WIRE_DEPTH_MAX {
            return Err(WireError::TooDeep);
        }
        self.levels.push(level);
        Ok(true)
    }

    fn pass_value(&mut self, buffer: &[u8], n: usize) -> Result<bool, WireError> {
        let passed = self.pass(buffer, n)?;
        if passed {
            self.due = None;
        }
        Ok(passed)
    }

    fn pass(&mut self, buffer: &[u8], n: usize) -> Result<bool, WireError> {
        let end = self.position.saturating_add(n);
        if end > self.bytes_max {
            return Err(self.too_large());
        }
        if end > buffer.len() {
            return Ok(false);
        }
        self.position = end;
        Ok(true)
    }

    fn byte_at(&self, buffer: &[u8], offset: usize) -> Result<Option<u8>, WireError> {
        let at = self.position.saturating_add(offset);
        if at >= self.bytes_max {
            return Err(self.too_large());
        }
        Ok(buffer.get(at).copied())
    }

    fn i32_at(&self, buffer: &[u8], offset: usize) -> Result<Option<i32>, WireError> {
        let at = self.position.saturating_add(offset);
        if at.saturating_add(4) > self.bytes_max {
            return Err(self.too_large());
        }
        let bytes = buffer.get(at..).and_then(|rest| rest.first_chunk());
        Ok(bytes.map(|bytes| i32::from_be_bytes(*bytes)))
    }

    fn length_at(&self, buffer: &[u8], offset: usize) -> Result<Option<usize>, WireError> {
        let Some(n) = self.i32_at(buffer, offset)? else {
            return Ok(None);
        };
        let length = usize::try_from(n).map_err(|_| WireError::NegativeLength(n))?;
        Ok(Some(length))
    }

    fn too_large(&self) -> WireError {
        WireError::TooLarge {
            bytes_max: self.bytes_max,
        }
    }
}

const STOP: u8 = 0;
const BOOL: u8 = 2;
const I8: u8 = 3;
const DOUBLE: u8 = 4;
const I16: u8 = 6;
const I32: u8 = 8;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
const LIST: u8 = 15;
const UUID: u8 = 16;

/// First half of a strict header's first word.
const VERSION_MASK: u32 = 0xffff_0000;
const VERSION_1: u32 = 0x8001_0000;
