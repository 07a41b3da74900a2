//! Tuples: their values, the streams that name these, and the recycled batches they lie in.
//!
//! Knows nothing of who receives a tuple (`grouping`), of acking (`acker`) or of bytes between
//! workers (`messaging::codec`).

mod batch;
mod cell;
mod compare;
mod error;
pub mod held;
mod message_id;
pub mod number;
mod prefetch;
mod shelf;
mod stream;
mod text;
mod value;
mod view;

pub use batch::{Mark, RowSlice, RowValues, TupleBatch, TupleHead};
pub use error::{Place, TupleError};
pub use message_id::{Anchor, TupleId};
pub use shelf::{Key, Part, Shelf};
pub use stream::{Fields, StreamInfo, StreamNumber, StreamTable, StreamTableError};
pub use value::{Value, ValueKind, ValueRef};
pub use view::{FieldIndex, HeldTuple, Tuple};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub use tests::any_value;
