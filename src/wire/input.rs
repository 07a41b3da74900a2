//! Reads fields over the thrift crate's binary protocol, from a slice that was scanned.
//!
//! What is not known or not of the expected type is skipped, by `scan`: without recursion.

use thrift::TConfiguration;
use thrift::protocol::{TBinaryInputProtocol, TInputProtocol};

use super::text::Missing;
use super::{TType, Text, Wire, WireError, code, scan};

/// The bytes of one value that are not read yet.
pub struct Input<'a> {
    protocol: TBinaryInputProtocol<&'a [u8]>,
    refuses_empty_unions: bool,
}

/// A required field: its id, and whether it was missing.
pub type Required = (i16, bool);

impl<'a> Input<'a> {
    /// Of a record or reply: a union in which nothing is set reads as unset.
    pub fn new(bytes: &'a [u8]) -> Self {
        let config = TConfiguration::no_limits();
        Input {
            protocol: TBinaryInputProtocol::with_config(bytes, false, config),
            refuses_empty_unions: false,
        }
    }

    /// Of the arguments of a call: a union in which nothing is set is refused, as Java's servers
    /// do. One in which something unknown is set is not.
    pub fn of_call(bytes: &'a [u8]) -> Self {
        Input {
            refuses_empty_unions: true,
            ..Input::new(bytes)
        }
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.protocol.transport
    }

    pub(super) fn protocol(&mut self) -> &mut TBinaryInputProtocol<&'a [u8]> {
        &mut self.protocol
    }

    // ---- Structs -------------------------------------------------------------------------------

    pub fn struct_begin(&mut self) -> Result<(), WireError> {
        self.protocol.read_struct_begin()?;
        Ok(())
    }

    pub fn struct_end(&mut self) -> Result<(), WireError> {
        Ok(self.protocol.read_struct_end()?)
    }

    /// The next field's id and type; none at the end of the struct.
    pub fn field_begin(&mut self) -> Result<Option<(i16, TType)>, WireError> {
        let field = self.protocol.read_field_begin()?;
        if field.field_type == TType::Stop {
            return Ok(None);
        }
        Ok(Some((field.id.unwrap_or_default(), field.field_type)))
    }

    /// Reads a field, or skips it when its type is not the expected one. Peers differ in how wide
    /// they write some integers (control-plane 6.7 and 13.4): an i32 is read where an i64 is
    /// expected, and an i64 where an i32 is, if it fits.
    pub fn field<T: Wire>(&mut self, kind: TType, slot: &mut Option<T>) -> Result<(), WireError> {
        if kind != T::TYPE {
            return match T::of_other_width(kind, self.rest()) {
                Some(value) => {
                    self.skip(kind)?;
                    *slot = Some(value);
                    Ok(())
                }
                None => self.skip(kind),
            };
        }
        if !T::fits(self.rest()) {
            return self.skip(kind);
        }
        *slot = Some(T::read(self)?);
        Ok(())
    }

    /// Reads a variant of a union into the slot, unless one was read before.
    pub fn variant<T: Wire, U>(
        &mut self,
        kind: TType,
        slot: &mut Option<U>,
        build: fn(T) -> U,
    ) -> Result<(), WireError> {
        let mut value = None;
        self.field::<T>(kind, &mut value)?;
        if slot.is_none() {
            *slot = value.map(build);
        }
        Ok(())
    }

    /// Ends a union: `n_fields` is how many fields it held, known or not.
    pub fn union_end(&mut self, n_fields: usize) -> Result<(), WireError> {
        self.struct_end()?;
        if n_fields == 0 && self.refuses_empty_unions {
            return Err(WireError::UnrecognizedType(0));
        }
        Ok(())
    }

    /// Passes over a value.
    pub fn skip(&mut self, kind: TType) -> Result<(), WireError> {
        let end = scan::value_end(self.rest(), code(kind))?;
        self.take(end)?;
        Ok(())
    }

    /// Gives the struct, or names its first required field that was missing. `lenient` are those
    /// that may be missing.
    pub fn complete<T: Wire>(
        &self,
        value: T,
        required: &[Required],
        lenient: &[Required],
    ) -> Result<T, WireError> {
        if required.iter().all(|(_, is_missing)| !is_missing) {
            return Ok(value);
        }
        let missing = |fields: &[Required], is_lenient| {
            let missing = fields.iter().filter(|(_, is_missing)| *is_missing);
            missing
                .map(|(id, _)| Missing {
                    id: *id,
                    is_lenient,
                })
                .collect::<Vec<_>>()
        };
        let missing = [missing(required, false), missing(lenient, true)].concat();
        let mut text = Text::of_incomplete(missing);
        value.describe(&mut text);
        Err(text.into_error())
    }

    // ---- Values --------------------------------------------------------------------------------

    /// A string's or binary's bytes.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], WireError> {
        let n = length(self.protocol.read_i32()?)?;
        self.take(n)
    }

    /// A list's or set's element type and count; the count is held against what is left.
    pub(super) fn elements(&mut self) -> Result<(u8, usize), WireError> {
        let kind = self.protocol.read_byte()?;
        let n = self.count(scan::bytes_min(kind).unwrap_or(1))?;
        Ok((kind, n))
    }

    /// A map's types of key and value, and its count.
    pub(super) fn entries(&mut self) -> Result<(u8, u8, usize), WireError> {
        let key = self.protocol.read_byte()?;
        let value = self.protocol.read_byte()?;
        let bytes_min = [key, value].map(|kind| scan::bytes_min(kind).unwrap_or(1));
        let n = self.count(bytes_min[0] + bytes_min[1])?;
        Ok((key, value, n))
    }

    fn count(&mut self, bytes_min: usize) -> Result<usize, WireError> {
        let n = length(self.protocol.read_i32()?)?;
        match n.checked_mul(bytes_min) {
            Some(bytes) if bytes <= self.rest().len() => Ok(n),
            _ => Err(WireError::EndsEarly),
        }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .rest()
            .split_at_checked(n)
            .ok_or(WireError::EndsEarly)?;
        self.protocol.transport = rest;
        Ok(taken)
    }
}

fn length(n: i32) -> Result<usize, WireError> {
    usize::try_from(n).map_err(|_| WireError::NegativeLength(n))
}
