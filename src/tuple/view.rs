//! How components see a tuple: a borrowed view of a row, and an owned copy to keep.
//!
//! Neither acks nor emits: that is the collector's business.

use std::fmt;
use std::sync::Arc;

use crate::id::{ComponentId, StreamId, TaskId};

use super::batch::{Row, Store, TupleHead};
use super::cell::Cell;
use super::error::{Place, TupleError};
use super::message_id::{Anchor, TupleId};
use super::stream::{Fields, StreamNumber, StreamTable};
use super::value::{Value, ValueKind, ValueRef};

/// A tuple where it lies: two pointers, to be passed by value or reference as one likes.
///
/// It lives as long as the batch is not touched; `hold` gives a copy to keep.
#[derive(Clone, Copy)]
pub struct Tuple<'a> {
    pub(super) row: &'a Row,
    pub(super) store: &'a Store,
}

/// An owned tuple, for a later ack, for anchoring, for windows.
pub struct HeldTuple {
    pub(super) row: Row,
    pub(super) store: Store,
}

/// What names a field: its position or its name.
pub trait FieldIndex: Copy + fmt::Display {
    /// The position, which may lie beyond the tuple's fields; `None` for an unknown name.
    fn position(self, tuple: &Tuple<'_>) -> Option<usize>;
}

// === impl Tuple ===

impl<'a> Tuple<'a> {
    /// Number of values.
    #[inline]
    pub fn len(&self) -> usize {
        self.row.n_values()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a field, of whatever type it is.
    #[inline]
    pub fn value(&self, field: impl FieldIndex) -> Result<ValueRef<'a>, TupleError> {
        match self.cell(field) {
            Some(cell) => Ok(self.store.heap().read(cell)),
            None => Err(self.no_such_field(&field)),
        }
    }

    /// All values in the order of the fields.
    #[inline]
    pub fn values(
        &self,
    ) -> impl ExactSizeIterator<Item = ValueRef<'a>> + DoubleEndedIterator + Clone + use<'a> {
        self.store.values(self.row)
    }

    /// The values of the named fields, in the order of the names.
    pub fn select<F: FieldIndex>(&self, fields: &[F]) -> Result<Vec<ValueRef<'a>>, TupleError> {
        fields.iter().map(|field| self.value(*field)).collect()
    }

    /// A list or a map.
    pub fn nested(&self, field: impl FieldIndex) -> Result<&'a Value, TupleError> {
        match self.value(field)? {
            ValueRef::Nested(v) => Ok(v),
            _ => Err(self.wrong_type(&field, field.position(self), ValueKind::List)),
        }
    }

    #[inline]
    pub fn is_null(&self, field: impl FieldIndex) -> Result<bool, TupleError> {
        Ok(matches!(self.value(field)?, ValueRef::Null))
    }

    /// The names of the values.
    #[inline]
    pub fn fields(&self) -> &'a Fields {
        &self.store.info(self.row).fields
    }

    pub fn source_component(&self) -> &'a ComponentId {
        &self.store.info(self.row).component
    }

    pub fn source_stream(&self) -> &'a StreamId {
        &self.store.info(self.row).stream
    }

    #[inline]
    pub fn source_task(&self) -> TaskId {
        self.head().source_task
    }

    /// The task that this copy of the tuple is for.
    #[inline]
    pub fn target_task(&self) -> TaskId {
        self.head().target_task
    }

    #[inline]
    pub fn stream_number(&self) -> StreamNumber {
        self.row.stream()
    }

    #[inline]
    pub fn id(&self) -> TupleId {
        self.store.id(self.row)
    }

    /// Microseconds since the Unix epoch: event time where the component set one, else of emission.
    #[inline]
    pub fn timestamp_us(&self) -> i64 {
        self.head().timestamp_us
    }

    #[inline]
    pub fn head(&self) -> TupleHead {
        self.store.head(self.row)
    }

    /// The trees that this tuple belongs to; empty for an unanchored one.
    #[inline]
    pub fn anchors(&self) -> &'a [Anchor] {
        self.store.anchors(self.row)
    }

    /// Streams and fields of the topology that the tuple belongs to.
    pub fn streams(&self) -> &'a Arc<StreamTable> {
        self.store.streams()
    }

    /// A tick of the system's clock (`topology.tick.tuple.freq.secs`), from no component.
    #[inline]
    pub fn is_tick(&self) -> bool {
        self.store.streams().is_tick(self.row.stream())
    }

    /// XOR of the edges of all tuples that were anchored to this one so far (data-plane 3.1).
    #[inline]
    pub fn out_ack(&self) -> u64 {
        self.row.out_ack().get()
    }

    /// Notes the edge of a tuple that is anchored to this one.
    #[inline]
    pub fn xor_out_ack(&self, edge: u64) {
        let value = self.row.out_ack();
        value.set(value.get() ^ edge);
    }

    /// When its execution started, in microseconds since the epoch, if it is sampled; else 0. Of a
    /// tuple in a batch only while it is being executed (`TupleBatch::stamp`).
    #[inline]
    pub fn stamp_us(&self) -> i64 {
        self.store.stamp_us()
    }

    /// An owned copy. It has its own `out_ack`, which starts with what was noted here so far.
    pub fn hold(&self) -> HeldTuple {
        Store::hold(self.row, self.store)
    }

    #[inline]
    pub fn str(&self, field: impl FieldIndex) -> Result<&'a str, TupleError> {
        match self
            .cell(field)
            .and_then(|cell| self.store.heap().read_str(cell))
        {
            Some(text) => Ok(text),
            None => Err(self.wrong_type(&field, field.position(self), ValueKind::Str)),
        }
    }

    #[inline]
    pub fn bytes(&self, field: impl FieldIndex) -> Result<&'a [u8], TupleError> {
        match self
            .cell(field)
            .and_then(|cell| self.store.heap().read_bytes(cell))
        {
            Some(bytes) => Ok(bytes),
            None => Err(self.wrong_type(&field, field.position(self), ValueKind::Bytes)),
        }
    }

    #[inline]
    fn cell(&self, field: impl FieldIndex) -> Option<&'a Cell> {
        let index = field.position(self)?;
        self.store.cell(self.row, index)
    }

    #[cold]
    fn no_such_field(&self, field: &dyn fmt::Display) -> TupleError {
        let at = Place::field(self.store.info(self.row), field.to_string());
        TupleError::NoSuchField { at }
    }

    /// The field has another type, or does not exist.
    #[cold]
    fn wrong_type(
        &self,
        field: &dyn fmt::Display,
        position: Option<usize>,
        expected: ValueKind,
    ) -> TupleError {
        let found = position.and_then(|index| self.store.cell(self.row, index));
        let name = position.and_then(|index| self.fields().name(index));
        let (Some(cell), Some(name)) = (found, name) else {
            return self.no_such_field(field);
        };
        let at = Place::field(self.store.info(self.row), name.to_owned());
        TupleError::WrongType {
            at,
            expected,
            found: self.store.heap().read(cell).kind(),
        }
    }
}

macro_rules! typed {
    ($($name:ident: $variant:ident($type:ty)),*) => {
        /// Values by type, as `str` and `bytes` are. None is converted: a long is not an int
        /// (data-plane 1.2).
        impl Tuple<'_> {
            $(
                #[inline]
                pub fn $name(&self, field: impl FieldIndex) -> Result<$type, TupleError> {
                    match self.cell(field) {
                        Some(Cell::$variant(v)) => Ok(*v),
                        _ => {
                            let position = field.position(self);
                            Err(self.wrong_type(&field, position, ValueKind::$variant))
                        }
                    }
                }
            )*
        }
    };
}

typed!(
    bool: Bool(bool),
    byte: Byte(i8),
    short: Short(i16),
    int: Int(i32),
    long: Long(i64),
    float: Float(f32),
    double: Double(f64),
    char: Char(u16)
);

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "source: {}:{}, stream: {}, id: {}, ",
            self.source_component(),
            self.source_task(),
            self.source_stream(),
            self.id(),
        )?;
        f.debug_list().entries(self.values()).finish()
    }
}

// === impl HeldTuple ===

impl HeldTuple {
    #[inline]
    pub fn view(&self) -> Tuple<'_> {
        Tuple {
            row: &self.row,
            store: &self.store,
        }
    }
}

impl Clone for HeldTuple {
    fn clone(&self) -> Self {
        self.view().hold()
    }
}

impl fmt::Debug for HeldTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

// === impl FieldIndex ===

impl FieldIndex for usize {
    #[inline]
    fn position(self, _: &Tuple<'_>) -> Option<usize> {
        Some(self)
    }
}

impl FieldIndex for &str {
    #[inline]
    fn position(self, tuple: &Tuple<'_>) -> Option<usize> {
        tuple.fields().position(self)
    }
}
