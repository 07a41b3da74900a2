//! Enums whose values may be newer than we are.

use super::{Input, Output, TType, Text, Wire, WireError};

/// An enum of the IDL.
pub trait Enumeration: Copy + Default + 'static {
    fn from_i32(value: i32) -> Option<Self>;
    fn as_i32(self) -> i32;
    /// As in the IDL, such as `ACTIVE`.
    fn name(self) -> &'static str;
}

/// A value of an enum, or a number that a newer peer knows: kept on the wire, absent to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Open<E> {
    Known(E),
    Unknown(i32),
}

// === impl Open ===

impl<E: Enumeration> Open<E> {
    pub fn known(&self) -> Option<E> {
        match self {
            Open::Known(value) => Some(*value),
            Open::Unknown(_) => None,
        }
    }

    pub fn from_i32(raw: i32) -> Self {
        E::from_i32(raw).map_or(Open::Unknown(raw), Open::Known)
    }

    /// The number on the wire.
    pub fn as_i32(&self) -> i32 {
        match self {
            Open::Known(value) => value.as_i32(),
            Open::Unknown(raw) => *raw,
        }
    }
}

impl<E> From<E> for Open<E> {
    fn from(value: E) -> Self {
        Open::Known(value)
    }
}

impl<E: Default> Default for Open<E> {
    fn default() -> Self {
        Open::Known(E::default())
    }
}

impl<E: Enumeration> Wire for Open<E> {
    const TYPE: TType = TType::I32;

    fn write(&self, out: &mut Output) -> Result<(), WireError> {
        self.as_i32().write(out)
    }

    fn read(input: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(Open::from_i32(i32::read(input)?))
    }

    fn describe(&self, text: &mut Text) {
        text.push(self.known().map_or("null", E::name));
    }
}
