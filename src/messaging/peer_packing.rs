//! Tuples of the Gateway made smaller: what a worker and a peer agree on, and how either's tuples
//! are packed.
//!
//! A peer is no worker: its Thrift client knows no frames, so that what is packed lies inside a
//! message, and its line is not watched, so that `auto` goes by the size of values alone.

use crate::limits;
use crate::messaging::compress::{Codec, UnpackError};
use crate::messaging::packed_record;
use crate::messaging::packing::Packing;
use crate::messaging::pays::When;
use crate::wire::messages::{LinkCodec, PackedFrame};
use crate::wire::{Open, Wire};

/// What one peer's session packs by, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerPacking {
    pub codec: Codec,
    /// Bytes of a tuple, on average, above which tuples are packed.
    pub above: usize,
    zstd_level: i32,
}

/// Packed tuples that are of no use: nothing of the call is done.
#[derive(Debug, thiserror::Error)]
pub enum PeerUnpackError {
    #[error("this session packs nothing: its peer offered no codec, or its topology wants none")]
    NotAgreed,
    #[error("the session packs by {agreed}, this is packed by another codec")]
    OtherCodec { agreed: &'static str },
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

// === impl Packing ===

impl Packing {
    /// With a peer that offers these, the best first: the first that the configuration names, too.
    pub fn agree_with_peer(&self, offered: &[Open<LinkCodec>]) -> Option<PeerPacking> {
        let above = match self.when()? {
            When::Always => 0,
            When::LargeValues | When::Pays => self.large_bytes(),
        };
        let offered = offered.iter().filter_map(|codec| codec.known());
        let mut known = offered.filter_map(Codec::from_wire);
        let codec = known.find(|codec| self.codecs_in_use().any(|ours| ours == codec))?;
        Some(PeerPacking {
            codec,
            above,
            zstd_level: self.zstd_level(),
        })
    }
}

// === impl PeerPacking ===

impl PeerPacking {
    /// Whether tuples are to be packed.
    pub fn wants(&self, n_bytes: usize, n_tuples: usize) -> bool {
        n_bytes >= PACKED_BYTES_MIN && n_bytes / n_tuples.max(1) > self.above
    }

    /// What a record comes to as bytes, packed; none where that would not be smaller.
    pub fn pack(&self, plain: &[u8]) -> Option<PackedFrame> {
        packed_record::packed(plain, self.codec, self.zstd_level)
    }
}

/// The record that a peer packed by what was agreed. It is bounded as calls in plain are.
pub fn unpack<T: Wire>(
    agreed: Option<PeerPacking>,
    packed: &PackedFrame,
) -> Result<T, PeerUnpackError> {
    let agreed = agreed.ok_or(PeerUnpackError::NotAgreed)?;
    if packed.codec.known() != Some(agreed.codec.to_wire()) {
        let agreed = agreed.codec.name();
        return Err(PeerUnpackError::OtherCodec { agreed });
    }
    Ok(packed_record::unpack_record(packed)?)
}

/// Larger ones are packed and unpacked where nobody waits behind them.
pub const PACK_AT_ONCE_BYTES: usize = 16 << 10;
/// Below it the head of a packed record outweighs what is won.
const PACKED_BYTES_MIN: usize = 128;

const _: () = assert!(PACK_AT_ONCE_BYTES < limits::FRAME_BYTES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Conf, keys};
    use crate::wire;
    use crate::wire::messages::{GatewayColumn, GatewayColumns, GatewayEmitted};

    fn packing(when: &str, codecs: &[&str]) -> Packing {
        let conf = Conf::defaults()
            .with(keys::STORMWIRE_LINK_COMPRESSION, when)
            .with(keys::STORMWIRE_LINK_CODECS, serde_json::json!(codecs));
        Packing::of(&conf).expect("known")
    }

    fn emitted(n: usize) -> GatewayEmitted {
        let words = vec!["the same word again".to_owned(); n];
        GatewayEmitted {
            columns: Some(vec![GatewayColumns {
                columns: vec![GatewayColumn::Strings(words)],
                ..GatewayColumns::default()
            }]),
            ..GatewayEmitted::default()
        }
    }

    #[test]
    fn the_first_codec_that_both_name_holds() {
        let zlib: Open<LinkCodec> = LinkCodec::Zlib.into();
        let lz4: Open<LinkCodec> = LinkCodec::Lz4.into();
        let newer = Open::from_i32(99);
        let of = |packing: Packing, offered: &[Open<LinkCodec>]| {
            packing.agree_with_peer(offered).map(|agreed| agreed.codec)
        };
        let both = || packing("always", &["lz4", "zlib"]);
        assert_eq!(of(both(), &[newer, zlib, lz4]), Some(Codec::Zlib));
        assert_eq!(of(both(), &[]), None);
        assert_eq!(of(packing("always", &["lz4"]), &[zlib]), None);
        assert_eq!(of(packing("off", &["zlib"]), &[zlib]), None);
        let large = packing("auto", &[]).agree_with_peer(&[zlib]).expect("on");
        assert!(large.wants(20_000, 2) && !large.wants(20_000, 200));
        let always = both().agree_with_peer(&[zlib]).expect("on");
        assert!(always.wants(20_000, 200) && !always.wants(100, 1));
    }

    #[test]
    fn what_was_packed_as_agreed_comes_back_and_nothing_else_does() {
        for codec in Codec::ALL {
            let offered = [codec.to_wire().into()];
            let agreed = packing("always", &[]).agree_with_peer(&offered);
            let plain = wire::to_bytes(&emitted(1000)).expect("written");
            let packed = agreed.expect("on").pack(&plain).expect("smaller");
            assert!(packed.body.len() * 10 < plain.len());
            let unpacked: GatewayEmitted = unpack(agreed, &packed).expect("as agreed");
            assert_eq!(unpacked, emitted(1000));
            let refused = |agreed, packed: &PackedFrame| {
                let unpacked = unpack::<GatewayEmitted>(agreed, packed);
                unpacked.expect_err("refused").to_string()
            };
            assert!(refused(None, &packed).contains("packs nothing"));
            let other = PackedFrame {
                codec: Open::from_i32(99),
                ..packed.clone()
            };
            assert!(refused(agreed, &other).contains("another codec"));
            let bomb = PackedFrame {
                plain_length: i32::MAX,
                ..packed.clone()
            };
            assert!(refused(agreed, &bomb).contains("are taken"));
            let short = PackedFrame {
                plain_length: packed.plain_length - 1,
                ..packed
            };
            refused(agreed, &short);
        }
    }
}
