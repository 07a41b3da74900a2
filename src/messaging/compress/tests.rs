//! What is packed unpacks; what is no packed frame, or a bomb, costs no memory.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::testing::figures::figure;
use crate::wire::{self, messages::Frame};

const PLAIN_MAX: usize = 1 << 20;

fn packed(codec: Codec, plain: &[u8]) -> Option<PackedFrame> {
    let mut out = Vec::new();
    let mut packer = Packer::new(codec, 3).expect("memory");
    if !packer.pack(plain, &mut out) {
        return None;
    }
    let mut unpacker = Unpacker::new(usize::MAX);
    assert_eq!(unpacker.open(&out).expect("unpacked"), plain);
    match wire::from_bytes::<Frame>(&out).expect("a frame") {
        Frame::Packed(packed) => Some(packed),
        other => panic!("{other:?}"),
    }
}

fn announcing(codec: Codec, plain_length: usize, body: &[u8]) -> PackedFrame {
    PackedFrame {
        codec: codec.to_wire().into(),
        plain_length: plain_length as i32,
        body: Bytes::copy_from_slice(body),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_packed_unpacks(
        words in prop::collection::vec("[a-d]{1,6}", 0..3000),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut plain = words.join(" ").into_bytes();
        plain.extend(noise);
        let mut unpacker = Unpacker::new(PLAIN_MAX);
        for codec in Codec::ALL {
            if let Some(packed) = packed(*codec, &plain) {
                prop_assert!(packed.body.len() < plain.len());
                prop_assert_eq!(unpacker.unpack(&packed).unwrap(), &plain[..]);
            }
        }
    }

    #[test]
    fn any_bytes_unpack_or_are_refused(
        body in prop::collection::vec(any::<u8>(), 0..400),
        plain_length in -5..100_000i32,
        codec in 0..5i32,
    ) {
        let packed = PackedFrame {
            codec: wire::Open::from_i32(codec),
            plain_length,
            body: body.into(),
        };
        let mut unpacker = Unpacker::new(PLAIN_MAX);
        let _ = unpacker.unpack(&packed);
        // One that was refused leaves nothing behind.
        for codec in Codec::ALL {
            let good = self::packed(*codec, &[7; 5000]).expect("it shrinks");
            prop_assert_eq!(unpacker.unpack(&good).unwrap(), &[7; 5000][..]);
        }
    }
}

#[test]
fn what_does_not_shrink_is_not_packed() {
    let noise: Vec<u8> = (0..2000).map(|_| fastrand::u8(..)).collect();
    for codec in Codec::ALL {
        assert_eq!(packed(*codec, &noise), None, "{codec:?}");
        assert_eq!(packed(*codec, b""), None, "{codec:?}");
    }
}

/// F13: bombs of each codec, which unfold to 64 MB.
#[test]
fn a_bomb_stops_at_what_it_announced_or_may_announce() {
    let bomb_bytes = 64 << 20;
    let zeros = vec![0; bomb_bytes];
    let mut n_stopped = 0;
    for codec in Codec::ALL {
        let bomb = packed(*codec, &zeros).expect("it shrinks").body;
        let mut unpacker = Unpacker::new(PLAIN_MAX);
        let honest = unpacker.unpack(&announcing(*codec, bomb_bytes, &bomb));
        assert!(
            matches!(honest, Err(UnpackError::BadLength { .. })),
            "{honest:?}"
        );
        assert_eq!(unpacker.plain.capacity(), 0, "{codec:?}");
        for announced in [1, 1000, PLAIN_MAX] {
            let error = unpacker.unpack(&announcing(*codec, announced, &bomb));
            assert_eq!(error, Err(UnpackError::TooLong { announced }), "{codec:?}");
            assert!(unpacker.plain.capacity() <= 2 * PLAIN_MAX, "{codec:?}");
        }
        let short = packed(*codec, &[0; 5000]).expect("it shrinks").body;
        let error = unpacker.unpack(&announcing(*codec, 5001, &short));
        assert!(
            matches!(error, Err(UnpackError::TooShort { .. })),
            "{codec:?} {error:?}"
        );
        // Little that claims to be much gets little memory.
        let mut fresh = Unpacker::new(PLAIN_MAX);
        let error = fresh.unpack(&announcing(*codec, PLAIN_MAX, &short[..8]));
        assert!(error.is_err(), "{codec:?}");
        assert!(fresh.plain.capacity() <= UNPACK_STEP_BYTES, "{codec:?}");
        n_stopped += 1;
    }
    let text = format!("bombs: {n_stopped} / {} codecs stop them", Codec::ALL.len());
    figure("F13", &text);
}

#[test]
fn what_is_not_packed_stays_and_nothing_is_packed_twice() {
    let mut unpacker = Unpacker::new(PLAIN_MAX);
    for plain in [&b""[..], &[12, 0], &[12, 0, 4, 8], &[7; 300]] {
        assert_eq!(unpacker.open(plain).unwrap(), plain);
    }
    let frame = Frame::Packed(packed(Codec::Lz4, &[0; 5000]).unwrap());
    let mut twice = wire::to_bytes(&frame).unwrap().to_vec();
    twice.resize(5000, 0);
    let mut out = Vec::new();
    assert!(Packer::new(Codec::Zlib, 3).unwrap().pack(&twice, &mut out));
    assert_eq!(unpacker.open(&out), Err(UnpackError::Nested));
}

#[test]
fn codecs_have_names() {
    for codec in Codec::ALL {
        assert_eq!(Codec::named(codec.name()), Some(*codec));
        assert_eq!(Codec::from_wire(codec.to_wire()), Some(*codec));
    }
    assert_eq!(Codec::named("snappy"), None);
}
