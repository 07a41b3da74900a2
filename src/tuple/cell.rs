//! How a value lies in a batch: 24 bytes, with texts and byte strings of up to 22 bytes inside.
//!
//! Longer ones lie in the store's arena and nested values beside it, so that a cell is plain data:
//! to copy one is a memcpy and to drop a million costs nothing.

use super::value::{Value, ValueRef};

/// A value in a batch. Meaningless without the store it was written to.
#[derive(Clone, Copy)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Char(u16),
    /// Its bytes are those of a `&str`: only `Heap::write` makes one.
    InlineStr(Inline),
    ArenaStr(Span),
    InlineBytes(Inline),
    ArenaBytes(Span),
    Nested(usize),
}

/// Up to `INLINE_MAX` bytes in place.
#[derive(Clone, Copy)]
pub(super) struct Inline {
    n_bytes: u8,
    bytes: [u8; INLINE_MAX],
}

/// A piece of the arena.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: usize,
    n_bytes: usize,
}

/// What does not fit into cells.
#[derive(Default)]
pub(super) struct Heap {
    arena: Vec<u8>,
    nested: Vec<Value>,
}

// === impl Inline ===

impl Inline {
    #[inline]
    fn new(source: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE_MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        let n_bytes = source.len() as u8;
        Some(Inline { n_bytes, bytes })
    }

    #[inline]
    fn get(&self) -> &[u8] {
        &self.bytes[..usize::from(self.n_bytes)]
    }
}

// === impl Heap ===

impl Heap {
    #[inline]
    pub(super) fn write(&mut self, value: ValueRef<'_>) -> Cell {
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Bool(v) => Cell::Bool(v),
            ValueRef::Byte(v) => Cell::Byte(v),
            ValueRef::Short(v) => Cell::Short(v),
            ValueRef::Int(v) => Cell::Int(v),
            ValueRef::Long(v) => Cell::Long(v),
            ValueRef::Float(v) => Cell::Float(v),
            ValueRef::Double(v) => Cell::Double(v),
            ValueRef::Char(v) => Cell::Char(v),
            ValueRef::Str(v) => match Inline::new(v.as_bytes()) {
                Some(inline) => Cell::InlineStr(inline),
                None => Cell::ArenaStr(self.store(v.as_bytes())),
            },
            ValueRef::Bytes(v) => match Inline::new(v) {
                Some(inline) => Cell::InlineBytes(inline),
                None => Cell::ArenaBytes(self.store(v)),
            },
            ValueRef::Nested(v) => self.write_nested(v),
        }
    }

    #[inline]
    pub(super) fn read<'a>(&'a self, cell: &'a Cell) -> ValueRef<'a> {
        match cell {
            Cell::Null => ValueRef::Null,
            Cell::Bool(v) => ValueRef::Bool(*v),
            Cell::Byte(v) => ValueRef::Byte(*v),
            Cell::Short(v) => ValueRef::Short(*v),
            Cell::Int(v) => ValueRef::Int(*v),
            Cell::Long(v) => ValueRef::Long(*v),
            Cell::Float(v) => ValueRef::Float(*v),
            Cell::Double(v) => ValueRef::Double(*v),
            Cell::Char(v) => ValueRef::Char(*v),
            Cell::InlineStr(inline) => ValueRef::Str(text(inline.get())),
            Cell::ArenaStr(span) => ValueRef::Str(text(self.piece(*span))),
            Cell::InlineBytes(inline) => ValueRef::Bytes(inline.get()),
            Cell::ArenaBytes(span) => ValueRef::Bytes(self.piece(*span)),
            Cell::Nested(index) => ValueRef::Nested(&self.nested[*index]),
        }
    }

    /// Copies a cell of another heap into this one.
    #[inline]
    pub(super) fn adopt(&mut self, cell: &Cell, from: &Heap) -> Cell {
        match cell {
            Cell::ArenaStr(_) | Cell::ArenaBytes(_) | Cell::Nested(_) => {
                self.write(from.read(cell))
            }
            inline => *inline,
        }
    }

    pub(super) fn arena_bytes(&self) -> usize {
        self.arena.capacity()
    }

    /// Empties it and keeps its memory, unless something unusually large passed through.
    pub(super) fn clear(&mut self) {
        self.arena.clear();
        self.arena.shrink_to(ARENA_KEEP_BYTES);
        self.nested.clear();
        self.nested.shrink_to(NESTED_KEEP);
    }

    fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        let n_bytes = bytes.len();
        Span { start, n_bytes }
    }

    #[cold]
    fn write_nested(&mut self, value: &Value) -> Cell {
        match ValueRef::from(value) {
            ValueRef::Nested(value) => {
                self.nested.push(value.clone());
                Cell::Nested(self.nested.len() - 1)
            }
            flat => self.write(flat),
        }
    }

    fn piece(&self, span: Span) -> &[u8] {
        &self.arena[span.start..span.start + span.n_bytes]
    }
}

#[inline]
fn text(bytes: &[u8]) -> &str {
    debug_assert!(std::str::from_utf8(bytes).is_ok());
    // SAFETY: `InlineStr` and `ArenaStr` cells are made in `Heap::write` alone, from all the bytes
    // of one `&str`. An inline cell owns its bytes and none of them is ever changed. An arena is
    // only appended to until it is cleared, and clearing takes the store by `&mut` together with
    // every cell that points into it, so a span always names the bytes it was made for. To check
    // the text again at each read would cost as much as the rest of reading a tuple.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

/// Longest text or byte string, in bytes, that lies inside its cell.
pub(super) const INLINE_MAX: usize = 22;

/// Arena that a cleared batch keeps, in bytes: one huge tuple must not pin its memory for good.
const ARENA_KEEP_BYTES: usize = 1 << 20;

/// Places for nested values that a cleared batch keeps.
const NESTED_KEEP: usize = 16 * 1024;

const _: () = assert!(size_of::<Cell>() == 24);
