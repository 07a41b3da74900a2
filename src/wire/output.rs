//! Writes fields over the thrift crate's binary protocol.

use bytes::Bytes;
use thrift::protocol::{
    TBinaryOutputProtocol, TFieldIdentifier, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TMessageType, TOutputProtocol, TSetIdentifier, TStructIdentifier,
};

use super::{TType, Wire, WireError};

/// A message or record that grows in memory.
pub struct Output {
    protocol: TBinaryOutputProtocol<Vec<u8>>,
}

impl Output {
    pub fn new() -> Self {
        Output {
            protocol: TBinaryOutputProtocol::new(Vec::with_capacity(CAPACITY_BYTES), true),
        }
    }

    pub fn into_bytes(self) -> Bytes {
        self.protocol.transport.into()
    }

    // ---- Messages ------------------------------------------------------------------------------

    /// A strict header: with version, type and name.
    pub fn message_begin(
        &mut self,
        name: &str,
        kind: TMessageType,
        seqid: i32,
    ) -> Result<(), WireError> {
        size(name.len())?;
        let identifier = TMessageIdentifier::new(name, kind, seqid);
        Ok(self.protocol.write_message_begin(&identifier)?)
    }

    // ---- Structs -------------------------------------------------------------------------------

    pub fn struct_begin(&mut self) -> Result<(), WireError> {
        Ok(self
            .protocol
            .write_struct_begin(&TStructIdentifier::new(""))?)
    }

    pub fn struct_end(&mut self) -> Result<(), WireError> {
        self.protocol.write_field_stop()?;
        Ok(self.protocol.write_struct_end()?)
    }

    pub fn field<T: Wire>(&mut self, id: i16, value: &T) -> Result<(), WireError> {
        self.field_begin(id, T::TYPE)?;
        value.write(self)
    }

    pub fn optional<T: Wire>(&mut self, id: i16, value: &Option<T>) -> Result<(), WireError> {
        self.borrowed(id, value.as_ref())
    }

    pub fn borrowed<T: Wire>(&mut self, id: i16, value: Option<&T>) -> Result<(), WireError> {
        value.map_or(Ok(()), |value| self.field(id, value))
    }

    pub fn borrowed_text(&mut self, id: i16, value: Option<&str>) -> Result<(), WireError> {
        self.borrowed_binary(id, value.map(str::as_bytes))
    }

    pub fn borrowed_binary(&mut self, id: i16, value: Option<&[u8]>) -> Result<(), WireError> {
        let Some(value) = value else { return Ok(()) };
        self.field_begin(id, TType::String)?;
        self.binary(value)
    }

    fn field_begin(&mut self, id: i16, kind: TType) -> Result<(), WireError> {
        let identifier = TFieldIdentifier {
            name: None,
            field_type: kind,
            id: Some(id),
        };
        Ok(self.protocol.write_field_begin(&identifier)?)
    }

    // ---- Values --------------------------------------------------------------------------------

    pub(super) fn protocol(&mut self) -> &mut TBinaryOutputProtocol<Vec<u8>> {
        &mut self.protocol
    }

    pub(super) fn binary(&mut self, value: &[u8]) -> Result<(), WireError> {
        size(value.len())?;
        Ok(self.protocol.write_bytes(value)?)
    }

    pub(super) fn list_begin(&mut self, element: TType, n: usize) -> Result<(), WireError> {
        let identifier = TListIdentifier::new(element, size(n)?);
        Ok(self.protocol.write_list_begin(&identifier)?)
    }

    pub(super) fn set_begin(&mut self, element: TType, n: usize) -> Result<(), WireError> {
        let identifier = TSetIdentifier::new(element, size(n)?);
        Ok(self.protocol.write_set_begin(&identifier)?)
    }

    pub(super) fn map_begin(
        &mut self,
        key: TType,
        value: TType,
        n: usize,
    ) -> Result<(), WireError> {
        let identifier = TMapIdentifier::new(Some(key), Some(value), size(n)?);
        Ok(self.protocol.write_map_begin(&identifier)?)
    }
}

impl Default for Output {
    fn default() -> Self {
        Output::new()
    }
}

/// Lengths and counts are i32 on the wire.
fn size(n: usize) -> Result<i32, WireError> {
    i32::try_from(n).map_err(|_| WireError::TooLarge {
        bytes_max: i32::MAX as usize,
    })
}

/// Most control messages fit without growing.
const CAPACITY_BYTES: usize = 256;
