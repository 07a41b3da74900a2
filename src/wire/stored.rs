//! How a topology's conf and code lie in the blob store: gzip around JSON text, gzip around a
//! Thrift struct.
//!
//! Storm's own encodings (control-plane 0): `stormconf.ser` and `stormcode.ser`. Works on bytes;
//! reading and writing files is the callers'. What unpacks to more than the bound is refused,
//! whoever wrote it.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::{Wire, WireError};
use crate::conf::{Conf, ConfError};
use crate::limits::STORED_BYTES_MAX;

/// Why stored bytes cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    #[error("not gzip, or damaged: {0}")]
    Unpack(#[from] io::Error),
    #[error("unpacks to more than {STORED_BYTES_MAX} bytes (limit STORED_BYTES_MAX)")]
    TooLarge,
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// The content of `stormconf.ser`.
pub fn pack_conf(conf: &Conf) -> Bytes {
    pack(conf.to_json().as_bytes())
}

/// Reads `stormconf.ser`.
pub fn unpack_conf(stored: &[u8]) -> Result<Conf, StoredError> {
    let text = unpack(stored, STORED_BYTES_MAX)?;
    Ok(Conf::from_json(&String::from_utf8_lossy(&text))?)
}

/// The content of `stormcode.ser` and of other structs that Storm keeps compressed.
pub fn pack_struct<T: Wire>(value: &T) -> Result<Bytes, WireError> {
    Ok(pack(&super::to_bytes(value)?))
}

/// Reads `stormcode.ser`.
pub fn unpack_struct<T: Wire>(stored: &[u8]) -> Result<T, StoredError> {
    Ok(super::from_bytes(&unpack(stored, STORED_BYTES_MAX)?)?)
}

fn pack(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail; should it ever, the reader notices the missing end.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

fn unpack(stored: &[u8], n_bytes_max: usize) -> Result<Vec<u8>, StoredError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(n_bytes_max).unwrap_or(u64::MAX);
    GzDecoder::new(stored)
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() > n_bytes_max {
        return Err(StoredError::TooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::storm::StormTopology;

    #[test]
    fn conf_and_code_come_back_and_damage_is_noticed() {
        let conf = Conf::new()
            .with("topology.workers", 3)
            .with("mine", "h\u{e9}");
        let packed = pack_conf(&conf);
        assert_eq!(unpack_conf(&packed).expect("conf"), conf);
        let topology = StormTopology::default();
        let code = pack_struct(&topology).expect("packed");
        assert_eq!(
            unpack_struct::<StormTopology>(&code).expect("code"),
            topology
        );
        assert!(unpack_conf(&packed[..packed.len() - 9]).is_err());
        assert!(unpack_conf(b"{}").is_err());
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = pack(&[b' '; 10_001]);
        assert!(matches!(unpack(&bomb, 10_000), Err(StoredError::TooLarge)));
        assert!(unpack(&bomb, 10_001).is_ok());
    }
}
