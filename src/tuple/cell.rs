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
    /// Of the values in both.
    pub(super) n_bytes: usize,
}

// === impl Inline ===

impl Inline {
    const EMPTY: Inline = Inline {
        n_bytes: 0,
        bytes: [0; INLINE_MAX],
    };

    /// Takes a copy of at most `INLINE_MAX` bytes, in pieces of fixed size that may overlap: a call
    /// of memcpy for a few bytes costs more than they do.
    #[inline]
    fn fill(&mut self, source: &[u8]) {
        let n = source.len();
        self.n_bytes = n as u8;
        let mut copy = |at: usize, n_piece: usize| {
            self.bytes[at..at + n_piece].copy_from_slice(&source[at..at + n_piece]);
        };
        match n {
            16.. => {
                copy(0, 8);
                copy(8, 8);
                copy(n - 8, 8);
            }
            8.. => {
                copy(0, 8);
                copy(n - 8, 8);
            }
            4.. => {
                copy(0, 4);
                copy(n - 4, 4);
            }
            _ => (0..n).for_each(|at| copy(at, 1)),
        }
    }

    #[inline]
    fn get(&self) -> &[u8] {
        &self.bytes[..usize::from(self.n_bytes)]
    }
}

// === impl Heap ===

impl Heap {
    /// Appends the cell of `value`.
    ///
    /// A short text is copied to where its cell lies, not into a cell that is then moved there: to
    /// read back at once what was written in smaller pieces stalls the processor.
    // Inlined with the emit it belongs to, which knows what its values are.
    #[inline(always)]
    pub(super) fn write(&mut self, cells: &mut Vec<Cell>, value: ValueRef<'_>) {
        cells.push(match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Bool(v) => Cell::Bool(v),
            ValueRef::Byte(v) => Cell::Byte(v),
            ValueRef::Short(v) => Cell::Short(v),
            ValueRef::Int(v) => Cell::Int(v),
            ValueRef::Long(v) => Cell::Long(v),
            ValueRef::Float(v) => Cell::Float(v),
            ValueRef::Double(v) => Cell::Double(v),
            ValueRef::Char(v) => Cell::Char(v),
            ValueRef::Str(v) if v.len() <= INLINE_MAX => {
                cells.push(Cell::InlineStr(Inline::EMPTY));
                if let Some(Cell::InlineStr(inline)) = cells.last_mut() {
                    inline.fill(v.as_bytes());
                }
                return;
            }
            long => return self.write_long(cells, long),
        });
    }

    /// Appends the cell of a value that is not plain, nor a short text.
    #[inline(never)]
    fn write_long(&mut self, cells: &mut Vec<Cell>, value: ValueRef<'_>) {
        cells.push(match value {
            ValueRef::Str(v) => Cell::ArenaStr(self.store(v.as_bytes())),
            ValueRef::Bytes(v) if v.len() <= INLINE_MAX => {
                let mut inline = Inline::EMPTY;
                inline.fill(v);
                Cell::InlineBytes(inline)
            }
            ValueRef::Bytes(v) => Cell::ArenaBytes(self.store(v)),
            ValueRef::Nested(v) => return self.write_nested(cells, v),
            plain => return self.write(cells, plain),
        });
    }

    #[inline(always)]
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

    /// The text of a cell that is one.
    #[inline]
    pub(super) fn read_str<'a>(&'a self, cell: &'a Cell) -> Option<&'a str> {
        match cell {
            Cell::InlineStr(inline) => Some(text(inline.get())),
            Cell::ArenaStr(span) => Some(text(self.piece(*span))),
            _ => None,
        }
    }

    /// The byte string of a cell that is one.
    #[inline]
    pub(super) fn read_bytes<'a>(&'a self, cell: &'a Cell) -> Option<&'a [u8]> {
        match cell {
            Cell::InlineBytes(inline) => Some(inline.get()),
            Cell::ArenaBytes(span) => Some(self.piece(*span)),
            _ => None,
        }
    }

    /// Appends a cell of another heap.
    #[inline]
    pub(super) fn adopt(&mut self, cells: &mut Vec<Cell>, cell: &Cell, from: &Heap) {
        match cell {
            Cell::ArenaStr(_) | Cell::ArenaBytes(_) | Cell::Nested(_) => {
                self.write(cells, from.read(cell));
            }
            inline => cells.push(*inline),
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
        self.n_bytes = 0;
    }

    fn store(&mut self, bytes: &[u8]) -> Span {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        let n_bytes = bytes.len();
        self.n_bytes += n_bytes;
        Span { start, n_bytes }
    }

    #[cold]
    fn write_nested(&mut self, cells: &mut Vec<Cell>, value: &Value) {
        match ValueRef::from(value) {
            ValueRef::Nested(value) => {
                cells.push(Cell::Nested(self.nested.len()));
                self.nested.push(value.clone());
                self.n_bytes += value.n_bytes();
            }
            flat => self.write(cells, flat),
        }
    }

    #[inline]
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
