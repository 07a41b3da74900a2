//! What can be wrong with a tuple: at emit, and at reading a field.

use crate::id::{ComponentId, StreamId};

use super::stream::{StreamInfo, StreamNumber};
use super::value::ValueKind;

/// Why a tuple could not be emitted or a field of it not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TupleError {
    #[error("{at}: expected {expected}, found {found}")]
    WrongType {
        at: Box<Place>,
        expected: ValueKind,
        found: ValueKind,
    },
    #[error("{at} does not exist")]
    NoSuchField { at: Box<Place> },
    #[error("{at}: {found} values for {declared} declared fields")]
    Arity {
        at: Box<Place>,
        declared: usize,
        found: usize,
    },
    #[error("stream number {} does not exist in this topology", .stream.0)]
    UnknownStream { stream: StreamNumber },
    /// Rows count values, anchors and generations in 16 or 32 bits.
    #[error("the batch is full")]
    BatchFull,
    #[error("the batch has no tuple whose values could be repeated")]
    NothingToRepeat,
}

/// Component, stream and, where one is meant, field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub component: ComponentId,
    pub stream: StreamId,
    /// Name of the field, or its position where it has no name.
    pub field: Option<String>,
}

// === impl Place ===

impl Place {
    pub(super) fn stream(info: &StreamInfo) -> Box<Self> {
        Box::new(Place {
            component: info.component.clone(),
            stream: info.stream.clone(),
            field: None,
        })
    }

    pub(super) fn field(info: &StreamInfo, field: String) -> Box<Self> {
        Box::new(Place {
            field: Some(field),
            ..*Place::stream(info)
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "field {field} of ")?;
        }
        write!(f, "stream {} of component {}", self.stream, self.component)
    }
}
