//! What a worker does to make its frames smaller: as the configuration says, as the other end of a
//! link agreed, and only where it pays.
//!
//! The sending task of a link packs right before it writes, so that executors never wait for a
//! codec, and what waits for a resend stays plain; the receiving one calls
//! `compress::Unpacker::open` right after it read.

use std::time::Instant;

use tracing::info;

use crate::conf::{Conf, ConfError, keys};
use crate::limits;
use crate::messaging::compress::{Codec, Packer};
use crate::messaging::pays::{Judge, When, Written};
use crate::messaging::sending::DataFrame;
use crate::wire::messages;

/// How a worker would have its frames packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packing {
    /// None: frames go as they are, whatever the other end could unpack.
    when: Option<When>,
    /// The best first.
    codecs: Vec<Codec>,
    /// Bytes a tuple above which values count as large.
    large_bytes: usize,
    zstd_level: i32,
    /// Largest frame that is packed or unpacked, in bytes.
    pub plain_max: usize,
}

/// Packs what goes over one link.
pub struct FramePacker {
    packing: Option<(Packer, Judge)>,
    plain_max: usize,
    /// Frames that were packed last, and memory for more.
    packed: Vec<Vec<u8>>,
    /// Which of the frames that were looked at last are packed.
    are_packed: Vec<bool>,
    volume: Volume,
}

/// What went over a link, in bytes of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    pub n_plain: u64,
    pub n_sent: u64,
}

/// A conf asks for what cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PackingError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(
        "{} is `{value}`: off, always or auto is expected",
        keys::STORMWIRE_LINK_COMPRESSION
    )]
    When { value: String },
    #[error(
        "{} names `{name}`, which is no codec of this build: it has {}",
        keys::STORMWIRE_LINK_CODECS,
        names()
    )]
    Codec { name: String },
}

// === impl Packing ===

impl Default for Packing {
    fn default() -> Self {
        Packing {
            when: None,
            codecs: Vec::new(),
            large_bytes: LARGE_BYTES,
            zstd_level: ZSTD_LEVEL,
            plain_max: limits::LINK_FRAME_BYTES_MAX,
        }
    }
}

impl Packing {
    /// As our own keys say, or else Storm's: `topology.tuple.compression.enable` packs large values
    /// by zstd, where this build has it.
    pub fn of(conf: &Conf) -> Result<Self, PackingError> {
        let is_storms = conf.flag(keys::TOPOLOGY_TUPLE_COMPRESSION_ENABLE)? == Some(true);
        let when = match conf.get(keys::STORMWIRE_LINK_COMPRESSION) {
            None | Some(serde_json::Value::Null) => is_storms.then_some(When::LargeValues),
            // YAML reads a plain `off` so.
            Some(serde_json::Value::Bool(false)) => None,
            Some(value) => match value.as_str() {
                Some("off") => None,
                Some("always") => Some(When::Always),
                Some("auto") => Some(When::Pays),
                _ => {
                    let value = value.to_string();
                    return Err(PackingError::When { value });
                }
            },
        };
        let size = |key, default| -> Result<usize, ConfError> {
            let bytes = conf.float_or(key, default as f64)?;
            // A cast from f64 saturates.
            Ok(bytes as usize)
        };
        let plain_max = size(
            keys::TOPOLOGY_TUPLE_COMPRESSION_MAX_DECOMPRESSED_BYTES,
            limits::LINK_FRAME_BYTES_MAX,
        )?;
        let level = conf.int_or(keys::STORM_COMPRESSION_ZSTD_LEVEL, ZSTD_LEVEL.into())?;
        Ok(Packing {
            when,
            codecs: codecs(conf, when)?,
            large_bytes: size(keys::TOPOLOGY_TUPLE_COMPRESSION_THRESHOLD, LARGE_BYTES)?,
            zstd_level: i32::try_from(level).unwrap_or(ZSTD_LEVEL),
            plain_max: plain_max.clamp(1, limits::LINK_FRAME_BYTES_MAX),
        })
    }

    /// The best first; none where nothing is to be packed.
    pub(super) fn codecs_in_use(&self) -> impl Iterator<Item = &Codec> {
        self.codecs.iter().filter(|_| self.when.is_some())
    }

    pub(super) fn when(&self) -> Option<When> {
        self.when
    }

    pub(super) fn large_bytes(&self) -> usize {
        self.large_bytes
    }

    pub(super) fn zstd_level(&self) -> i32 {
        self.zstd_level
    }

    /// What a worker offers when it connects.
    pub fn offer(&self, hello: &mut messages::Hello) {
        let codecs = self.codecs_in_use();
        hello.codecs = Some(codecs.map(|codec| codec.to_wire().into()).collect());
    }

    /// What a worker that is greeted so agrees to: it unpacks whatever it knows.
    pub fn agree(hello: &messages::Hello, welcome: &mut messages::Welcome) -> Option<Codec> {
        let offered = hello.codecs.iter().flatten();
        let agreed = { offered }.find_map(|codec| Codec::from_wire(codec.known()?));
        welcome.codec = agreed.map(|codec| codec.to_wire().into());
        let known = Codec::ALL.iter().map(|codec| codec.to_wire().into());
        welcome.codecs = Some(known.collect());
        agreed
    }

    /// The packer of a link that was welcomed so. A codec that was not offered is none.
    pub fn packer(&self, welcome: &messages::Welcome) -> FramePacker {
        let codec = welcome.codec.and_then(|codec| codec.known());
        let codec = codec.and_then(Codec::from_wire);
        let codec = codec.filter(|codec| self.codecs.contains(codec));
        let packing = self.when.zip(codec).and_then(|(when, codec)| {
            let packer = Packer::new(codec, self.zstd_level)?;
            Some((packer, Judge::new(when, self.large_bytes)))
        });
        FramePacker {
            packing,
            plain_max: self.plain_max,
            packed: Vec::new(),
            are_packed: Vec::new(),
            volume: Volume::default(),
        }
    }
}

// === impl FramePacker ===

impl FramePacker {
    /// Packs what pays of frames that go out together, which come without their lengths.
    pub fn pack(&mut self, frames: &[DataFrame]) {
        self.are_packed.clear();
        if !self.is_on() {
            return;
        }
        let mut n_packed = 0;
        for frame in frames {
            let is_packed = self.pack_one(frame, n_packed);
            n_packed += usize::from(is_packed);
            self.are_packed.push(is_packed);
        }
        // Memory of a burst, or of one huge tuple, is not kept.
        self.packed
            .truncate(limits::LINK_BUFFERS_PACKED_MAX.max(n_packed));
        let n_bytes = |sum: u64, frame: &[u8]| sum + frame.len() as u64;
        self.volume.n_plain += frames
            .iter()
            .fold(0, |sum, frame| n_bytes(sum, &frame.bytes));
        let n_sent = self.ready(frames).fold(0, n_bytes);
        self.volume.n_sent += n_sent;
    }

    /// The frames that `pack` was given last as they go out: packed where that pays, else
    /// themselves.
    pub fn ready<'a>(&'a self, frames: &'a [DataFrame]) -> impl Iterator<Item = &'a [u8]> {
        let mut packed = self.packed.iter();
        let are_packed = self.are_packed.iter().copied();
        let are_packed = are_packed.chain(std::iter::repeat(false));
        frames
            .iter()
            .zip(are_packed)
            .map(move |(plain, is_packed)| match is_packed {
                true => packed.next().map_or(&plain.bytes[..], Vec::as_slice),
                false => &plain.bytes,
            })
    }

    /// Into the place of that number.
    fn pack_one(&mut self, frame: &DataFrame, place: usize) -> bool {
        let Some((packer, judge)) = &mut self.packing else {
            return false;
        };
        let DataFrame { bytes, n_tuples } = frame;
        let frame = &bytes[..];
        if frame.len() > self.plain_max || !judge.wants(frame.len(), *n_tuples) {
            return false;
        }
        if self.packed.len() <= place {
            self.packed.push(Vec::new());
        }
        let Some(out) = self.packed.get_mut(place) else {
            return false;
        };
        if out.capacity() > limits::LINK_BUFFER_KEEP_BYTES {
            *out = Vec::new();
        }
        let started = Instant::now();
        let is_packed = packer.pack(frame, out);
        let took_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let n_packed = if is_packed { out.len() } else { frame.len() };
        judge.packed(frame.len(), n_packed, took_ns);
        is_packed
    }

    /// Frames are out: what that took tells whether packing pays.
    pub fn wrote(&mut self, written: Written) {
        if let Some((_, judge)) = &mut self.packing {
            judge.wrote(written);
        }
    }

    /// Whether frames may be packed at all.
    pub fn is_on(&self) -> bool {
        self.packing.is_some()
    }

    /// Says what packing came to on a link to `peer` that ended.
    pub fn tell(&self, peer: &str) {
        if self.is_on() && self.volume.n_plain > 0 {
            let (codec, percent) = (self.codec(), self.volume.percent());
            let n_plain = self.volume.n_plain;
            info!(
                peer,
                codec, n_plain, percent, "of so many bytes that share was sent"
            );
        }
    }

    /// For the log: the codec that was agreed on.
    pub fn codec(&self) -> &'static str {
        let packer = self.packing.as_ref().map(|(packer, _)| packer);
        packer.map_or("none", |packer| packer.codec().name())
    }

    pub fn volume(&self) -> Volume {
        self.volume
    }
}

// === impl Volume ===

impl Volume {
    /// Sent bytes for a hundred plain ones.
    pub fn percent(self) -> u64 {
        self.n_sent.saturating_mul(100) / self.n_plain.max(1)
    }
}

fn codecs(conf: &Conf, when: Option<When>) -> Result<Vec<Codec>, PackingError> {
    let mut codecs = Vec::new();
    for name in conf.texts(keys::STORMWIRE_LINK_CODECS)? {
        match Codec::named(&name) {
            Some(codec) => codecs.push(codec),
            None => return Err(PackingError::Codec { name }),
        }
    }
    if codecs.is_empty() {
        let preferred = ["lz4", "zstd", "zlib"].into_iter();
        codecs = preferred.filter_map(Codec::named).collect();
    }
    if when == Some(When::LargeValues) {
        // Storm's own codec first, whatever else would do.
        let zstd = Codec::named("zstd");
        codecs.sort_by_key(|codec| Some(*codec) != zstd);
    }
    Ok(codecs)
}

fn names() -> String {
    let names: Vec<_> = Codec::ALL.iter().map(|codec| codec.name()).collect();
    names.join(", ")
}

/// Storm's default of `topology.tuple.compression.threshold`.
const LARGE_BYTES: usize = 1460;
/// Storm's default of `storm.compression.zstd.level`.
const ZSTD_LEVEL: i32 = 3;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::messaging::compress::Unpacker;

    fn conf(settings: &[(&str, serde_json::Value)]) -> Conf {
        let with =
            |conf: Conf, (key, value): &(&str, serde_json::Value)| conf.with(key, value.clone());
        settings.iter().fold(Conf::defaults(), with)
    }

    /// The packer at the end of a greeting.
    fn agreed(from: &Packing) -> FramePacker {
        let mut hello = messages::Hello::default();
        from.offer(&mut hello);
        let mut welcome = messages::Welcome::default();
        Packing::agree(&hello, &mut welcome);
        from.packer(&welcome)
    }

    #[test]
    fn the_conf_says_when_and_by_what() {
        let when = |settings: &[_]| Packing::of(&conf(settings)).map(|packing| packing.when);
        let key = keys::STORMWIRE_LINK_COMPRESSION;
        let storms = (keys::TOPOLOGY_TUPLE_COMPRESSION_ENABLE, true.into());
        assert_eq!(when(&[]).unwrap(), None);
        assert_eq!(when(&[(key, "off".into())]).unwrap(), None);
        assert_eq!(when(&[(key, false.into()), storms.clone()]).unwrap(), None);
        assert_eq!(when(&[(key, "always".into())]).unwrap(), Some(When::Always));
        assert_eq!(when(&[(key, "auto".into())]).unwrap(), Some(When::Pays));
        assert_eq!(
            when(std::slice::from_ref(&storms)).unwrap(),
            Some(When::LargeValues)
        );
        for wrong in ["on", "Always", ""] {
            let text = when(&[(key, wrong.into())]).unwrap_err().to_string();
            assert!(text.contains(key) && text.contains("auto"), "{text}");
        }
        let codecs = (
            keys::STORMWIRE_LINK_CODECS,
            serde_json::json!(["zlib", "snappy"]),
        );
        let text = when(&[codecs]).unwrap_err().to_string();
        assert!(text.contains("snappy") && text.contains("lz4"), "{text}");
        let packing = Packing::of(&conf(&[storms])).unwrap();
        let first = Codec::named("zstd").unwrap_or(Codec::Lz4);
        assert_eq!(packing.codecs.first(), Some(&first));
    }

    #[test]
    fn both_ends_agree_on_the_first_codec_that_both_know() {
        let lists: [&[&str]; 3] = [&["lz4", "zlib"], &["zlib", "lz4"], &["zlib"]];
        for names in lists {
            let packing = Packing::of(&conf(&[
                (keys::STORMWIRE_LINK_COMPRESSION, "always".into()),
                (keys::STORMWIRE_LINK_CODECS, serde_json::json!(names)),
            ]));
            assert_eq!(agreed(&packing.unwrap()).codec(), names[0]);
        }
        // One that a newer worker has, before one that both have.
        let mut hello = messages::Hello {
            codecs: Some(vec![
                crate::wire::Open::from_i32(99),
                messages::LinkCodec::Lz4.into(),
            ]),
            ..messages::Hello::default()
        };
        let mut welcome = messages::Welcome::default();
        assert_eq!(Packing::agree(&hello, &mut welcome), Some(Codec::Lz4));
        for none in [None, Some(Vec::new())] {
            hello.codecs = none;
            assert_eq!(Packing::agree(&hello, &mut welcome), None);
        }
        // Who offers nothing packs nothing, whatever it is told.
        welcome.codec = Some(messages::LinkCodec::Lz4.into());
        assert_eq!(Packing::default().packer(&welcome).codec(), "none");
    }

    #[test]
    fn frames_are_packed_where_it_pays_and_open_again() {
        let packing = Packing {
            when: Some(When::LargeValues),
            codecs: Codec::ALL.to_vec(),
            plain_max: 100_000,
            ..Packing::default()
        };
        let mut packer = agreed(&packing);
        let mut unpacker = Unpacker::new(packing.plain_max);
        let sizes = [(50_000, 1), (50_000, 50), (200_000, 1), (90_000, 2)];
        let frame = |(n_bytes, n_tuples)| DataFrame {
            bytes: Arc::new(vec![n_bytes as u8; n_bytes]),
            n_tuples,
        };
        let frames = sizes.map(frame);
        for _ in 0..3 {
            packer.pack(&frames);
            let ready: Vec<_> = packer.ready(&frames).collect();
            let shrunk = ready
                .iter()
                .zip(&frames)
                .map(|(ready, plain)| ready.len() < plain.bytes.len());
            assert_eq!(shrunk.collect::<Vec<_>>(), [true, false, false, true]);
            for (ready, plain) in ready.iter().zip(&frames) {
                assert_eq!(unpacker.open(ready).unwrap(), &plain.bytes[..]);
            }
        }
        let volume = packer.volume();
        assert_eq!(volume.n_plain, 3 * 390_000);
        assert!(volume.percent() < 70, "{volume:?}");
        let mut plain = agreed(&Packing::default());
        plain.pack(&frames);
        assert!(
            plain
                .ready(&frames)
                .eq(frames.iter().map(|frame| &frame.bytes[..]))
        );
        assert_eq!(plain.volume().n_sent, 0);
    }
}
