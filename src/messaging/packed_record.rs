//! Large records of Coordination, packed as frames between workers are: directives on their way to
//! supervisors and workers, statistics on their way to Nimbus.
//!
//! Who can unpack what is said in each question and answer; one that says nothing gets it plain.

use crate::limits;
use crate::messaging::compress::{Codec, Packer, UnpackError, Unpacker};
use crate::messaging::packing::Packing;
use crate::wire::messages::{LinkCodec, PackedFrame};
use crate::wire::{self, Open, Wire};

/// What this process can unpack, for a question or an answer.
pub fn known() -> Option<Vec<Open<LinkCodec>>> {
    let known = Codec::ALL.iter().map(|codec| codec.to_wire().into());
    Some(known.collect())
}

impl Packing {
    /// A record for whoever can unpack `known`; none where it goes as it is: because that is not
    /// configured, or would not make it smaller.
    pub fn pack_record<T: Wire>(
        &self,
        record: &T,
        known: Option<&Vec<Open<LinkCodec>>>,
    ) -> Option<PackedFrame> {
        let is_known =
            |codec: &&Codec| known.is_some_and(|known| known.contains(&codec.to_wire().into()));
        let codec = *self.codecs_in_use().find(is_known)?;
        let plain = wire::to_bytes(record).ok()?;
        let is_worth_it =
            plain.len() > self.large_bytes() && plain.len() <= limits::FRAME_BYTES_MAX;
        if !is_worth_it {
            return None;
        }
        packed(&plain, codec, self.zstd_level())
    }
}

/// Packed bytes; none where that would not make them smaller.
pub(super) fn packed(plain: &[u8], codec: Codec, zstd_level: i32) -> Option<PackedFrame> {
    let mut body = Vec::new();
    let n_packed = Packer::new(codec, zstd_level)?.pack_body(plain, &mut body, plain.len())?;
    body.truncate(n_packed);
    Some(PackedFrame {
        codec: codec.to_wire().into(),
        plain_length: i32::try_from(plain.len()).ok()?,
        body: body.into(),
    })
    .filter(|packed| packed.body.len() < plain.len())
}

/// The record inside.
pub fn unpack_record<T: Wire>(packed: &PackedFrame) -> Result<T, UnpackError> {
    let mut unpacker = Unpacker::new(limits::FRAME_BYTES_MAX);
    Ok(wire::from_bytes(unpacker.unpack(packed)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conf::{Conf, keys};
    use crate::wire::messages::SupervisorDirective;
    use crate::wire::messages::TopologyWork;

    fn packing(when: &str) -> Packing {
        let conf = Conf::defaults().with(keys::STORMWIRE_LINK_COMPRESSION, when);
        Packing::of(&conf).expect("known")
    }

    fn directive(n_topologies: usize) -> SupervisorDirective {
        let name = |n| format!("topology-{n}-1700000000");
        SupervisorDirective {
            version: 7,
            topologies: (0..n_topologies)
                .map(|n| (name(n), TopologyWork::default()))
                .collect(),
            ..SupervisorDirective::default()
        }
    }

    #[test]
    fn a_large_record_is_packed_for_whoever_can_unpack_it() {
        let large = directive(200);
        let packed = packing("auto")
            .pack_record(&large, known().as_ref())
            .expect("packed");
        let n_plain = wire::to_bytes(&large).expect("written").len();
        println!(
            "a directive of 200 topologies: {n_plain} bytes, {} packed",
            packed.body.len()
        );
        assert!(packed.body.len() * 4 < n_plain);
        assert_eq!(
            unpack_record::<SupervisorDirective>(&packed).expect("unpacked"),
            large
        );
        assert!(
            !format!("{packed:?}").contains("body: b"),
            "it may hold secrets"
        );
        for (packing, known, record) in [
            (packing("off"), known(), &large),
            (packing("always"), None, &large),
            (packing("always"), Some(vec![Open::from_i32(99)]), &large),
            (packing("always"), known(), &directive(1)),
        ] {
            assert_eq!(packing.pack_record(record, known.as_ref()), None);
        }
        let damaged = PackedFrame {
            plain_length: packed.plain_length - 1,
            ..packed
        };
        assert!(unpack_record::<SupervisorDirective>(&damaged).is_err());
    }
}
