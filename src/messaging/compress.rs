//! Frames made smaller: the codecs of links, packing and unpacking of one frame.
//!
//! Bounds what a peer may unfold to: an announced length is held against a maximum first, and
//! memory grows only with what is really unpacked. Whether packing pays is `pays`'s to say.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::limits;
use crate::messaging::codec;
use crate::wire::messages::{Frame, LinkCodec, PackedFrame};
use crate::wire::{self, Open, WireError};

/// A way to make frames smaller that this build has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Zlib,
    Lz4,
    #[cfg(feature = "zstd")]
    Zstd,
}

/// Packs frames by one codec. Its memory is used again.
pub struct Packer {
    codec: Codec,
    state: PackerState,
}

/// Unpacks frames by any codec. Its memory is used again.
pub struct Unpacker {
    plain_max: usize,
    plain: Vec<u8>,
    zlib: Option<Decompress>,
    #[cfg(feature = "zstd")]
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
}

/// A `PackedFrame` whose body lies in the frame that it came in.
#[derive(Clone, Copy)]
struct Packed<'a> {
    codec: Open<LinkCodec>,
    plain_length: i32,
    body: &'a [u8],
}

/// Why a packed frame is of no use: the connection that brought it is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    #[error("a packed frame of {announced} bytes announced, 1 to {plain_max} are taken")]
    BadLength { announced: i64, plain_max: usize },
    #[error("a frame packed by a codec that is not known here")]
    UnknownCodec,
    #[error("a packed frame cannot be unpacked by {codec}")]
    Corrupt { codec: &'static str },
    #[error("a packed frame unfolds beyond the {announced} bytes that it announced")]
    TooLong { announced: usize },
    #[error("a packed frame unfolds to {n_bytes} bytes, {announced} were announced")]
    TooShort { n_bytes: usize, announced: usize },
    #[error("a packed frame inside another")]
    Nested,
    #[error("a packed frame cannot be read: {0}")]
    Malformed(String),
}

enum PackerState {
    Zlib(Box<Compress>),
    Lz4(Box<lz4_flex::block::CompressTable>),
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

// === impl UnpackError ===

impl From<WireError> for UnpackError {
    fn from(error: WireError) -> Self {
        UnpackError::Malformed(error.to_string())
    }
}

// === impl Codec ===

impl Codec {
    /// Of this build, in the order of their names on the wire.
    #[cfg(feature = "zstd")]
    pub const ALL: &[Codec] = &[Codec::Zlib, Codec::Lz4, Codec::Zstd];
    #[cfg(not(feature = "zstd"))]
    pub const ALL: &[Codec] = &[Codec::Zlib, Codec::Lz4];

    /// As configurations write it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Zlib => "zlib",
            Codec::Lz4 => "lz4",
            #[cfg(feature = "zstd")]
            Codec::Zstd => "zstd",
        }
    }

    /// The codec of that name; none when this build has none.
    pub fn named(name: &str) -> Option<Self> {
        Codec::ALL
            .iter()
            .copied()
            .find(|codec| codec.name() == name)
    }

    pub fn to_wire(self) -> LinkCodec {
        match self {
            Codec::Zlib => LinkCodec::Zlib,
            Codec::Lz4 => LinkCodec::Lz4,
            #[cfg(feature = "zstd")]
            Codec::Zstd => LinkCodec::Zstd,
        }
    }

    pub fn from_wire(codec: LinkCodec) -> Option<Self> {
        Codec::ALL
            .iter()
            .copied()
            .find(|own| own.to_wire() == codec)
    }
}

// === impl Packer ===

impl Packer {
    /// `zstd_level` is of that codec alone; zlib packs at its fastest. None when the system has no
    /// memory for its tables.
    pub fn new(codec: Codec, zstd_level: i32) -> Option<Self> {
        let state = match codec {
            Codec::Zlib => {
                let level = Compression::fast();
                PackerState::Zlib(Box::new(Compress::new(level, HAS_ZLIB_HEADER)))
            }
            Codec::Lz4 => PackerState::Lz4(Box::default()),
            #[cfg(feature = "zstd")]
            Codec::Zstd => {
                PackerState::Zstd(Box::new(zstd::bulk::Compressor::new(zstd_level).ok()?))
            }
        };
        let _ = zstd_level;
        Some(Packer { codec, state })
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Writes a frame, packed, in the place of what `out` held; neither has its length before it.
    /// False when that would not be smaller: `out` is then of no use.
    pub fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let Ok(plain_length) = i32::try_from(plain.len()) else {
            return false;
        };
        out.clear();
        out.extend_from_slice(&PACKED_FRAME_HEAD);
        out.extend_from_slice(&CODEC_FIELD);
        out.extend_from_slice(&self.codec.to_wire().as_i32().to_be_bytes());
        out.extend_from_slice(&PLAIN_LENGTH_FIELD);
        out.extend_from_slice(&plain_length.to_be_bytes());
        out.extend_from_slice(&BODY_FIELD);
        out.extend_from_slice(&[0; 4]);
        let body_start = out.len();
        // No room for more than what is worth sending.
        let room = plain.len().saturating_sub(body_start + 2);
        let Some(n_packed) = self.pack_body(plain, out, room) else {
            return false;
        };
        out.truncate(body_start + n_packed);
        out.extend_from_slice(&PACKED_FRAME_END);
        codec::patch(out, body_start - 4, (n_packed as u32).to_be_bytes());
        out.len() < plain.len()
    }

    /// Bytes written behind what `out` holds; none when `room` is too small for them.
    pub(super) fn pack_body(
        &mut self,
        plain: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Option<usize> {
        let start = out.len();
        match &mut self.state {
            PackerState::Zlib(zlib) => {
                zlib.reset();
                out.reserve(room);
                let status = zlib.compress_vec(plain, out, FlushCompress::Finish).ok()?;
                (status == Status::StreamEnd).then(|| out.len() - start)
            }
            PackerState::Lz4(table) => {
                out.resize(
                    start + lz4_flex::block::get_maximum_output_size(plain.len()),
                    0,
                );
                let into = out.get_mut(start..)?;
                lz4_flex::block::compress_into_with_table(plain, into, table).ok()
            }
            #[cfg(feature = "zstd")]
            PackerState::Zstd(zstd) => {
                let mut into = std::mem::take(out);
                into.resize(start + room, 0);
                let packed = zstd.compress_to_buffer(plain, into.get_mut(start..)?);
                *out = into;
                packed.ok()
            }
        }
    }
}

// === impl Unpacker ===

impl Unpacker {
    /// Takes no frame above `plain_max` bytes.
    pub fn new(plain_max: usize) -> Self {
        Unpacker {
            plain_max,
            plain: Vec::new(),
            zlib: None,
            #[cfg(feature = "zstd")]
            zstd: None,
        }
    }

    /// A frame as it was before it was packed; one that was not stays itself.
    pub fn open<'a>(&'a mut self, frame: &'a [u8]) -> Result<&'a [u8], UnpackError> {
        if !frame.starts_with(&PACKED_FRAME_HEAD) {
            return Ok(frame);
        }
        let plain = match split_frame(frame) {
            Some(packed) => self.unpack_body(packed)?,
            None => match wire::from_bytes::<Frame>(frame)? {
                Frame::Packed(packed) => self.unpack(&packed)?,
                _ => return Ok(frame),
            },
        };
        match plain.starts_with(&PACKED_FRAME_HEAD) {
            true => Err(UnpackError::Nested),
            false => Ok(plain),
        }
    }

    /// The frame inside.
    pub fn unpack(&mut self, packed: &PackedFrame) -> Result<&[u8], UnpackError> {
        self.unpack_body(Packed {
            codec: packed.codec,
            plain_length: packed.plain_length,
            body: &packed.body,
        })
    }

    fn unpack_body(&mut self, packed: Packed<'_>) -> Result<&[u8], UnpackError> {
        let length = usize::try_from(packed.plain_length).unwrap_or(0);
        if length == 0 || length > self.plain_max {
            return Err(UnpackError::BadLength {
                announced: packed.plain_length.into(),
                plain_max: self.plain_max,
            });
        }
        let codec = packed.codec.known().and_then(Codec::from_wire);
        let codec = codec.ok_or(UnpackError::UnknownCodec)?;
        self.plain.clear();
        // One huge frame must not pin its memory.
        if self.plain.capacity() > limits::LINK_BUFFER_KEEP_BYTES {
            self.plain = Vec::new();
        }
        match codec {
            Codec::Zlib => self.unpack_zlib(packed.body, length)?,
            Codec::Lz4 => self.unpack_lz4(packed.body, length)?,
            #[cfg(feature = "zstd")]
            Codec::Zstd => self.unpack_zstd(packed.body, length)?,
        }
        if self.plain.len() != length {
            return Err(UnpackError::TooShort {
                n_bytes: self.plain.len(),
                announced: length,
            });
        }
        Ok(&self.plain)
    }

    fn unpack_zlib(&mut self, mut body: &[u8], length: usize) -> Result<(), UnpackError> {
        let corrupt = UnpackError::Corrupt { codec: "zlib" };
        let new = || Decompress::new(HAS_ZLIB_HEADER);
        let zlib = self.zlib.get_or_insert_with(new);
        zlib.reset(HAS_ZLIB_HEADER);
        loop {
            grow(&mut self.plain, length);
            let (read, written) = (zlib.total_in(), self.plain.len());
            let unpacked = zlib.decompress_vec(body, &mut self.plain, FlushDecompress::None);
            let status = unpacked.map_err(|_| corrupt.clone())?;
            let n_read = usize::try_from(zlib.total_in() - read).unwrap_or(usize::MAX);
            body = body.get(n_read..).unwrap_or_default();
            if self.plain.len() > length {
                return Err(UnpackError::TooLong { announced: length });
            }
            match status {
                Status::StreamEnd if body.is_empty() => return Ok(()),
                Status::StreamEnd => return Err(corrupt),
                _ if n_read == 0 && self.plain.len() == written => return Err(corrupt),
                _ => {}
            }
        }
    }

    fn unpack_lz4(&mut self, body: &[u8], length: usize) -> Result<(), UnpackError> {
        let corrupt = UnpackError::Corrupt { codec: "lz4" };
        // A byte of it stands for 255 at most: what is more cannot be in there, and gets no memory.
        if length / LZ4_RATIO_MAX > body.len() {
            return Err(corrupt);
        }
        // One byte more, so that what is too long shows as that.
        self.plain.resize(length + 1, 0);
        let unpacked = lz4_flex::block::decompress_into(body, &mut self.plain);
        let n_bytes = match unpacked {
            Ok(n_bytes) => n_bytes,
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) => length + 1,
            Err(_) => return Err(corrupt),
        };
        if n_bytes > length {
            return Err(UnpackError::TooLong { announced: length });
        }
        self.plain.truncate(n_bytes);
        Ok(())
    }

    #[cfg(feature = "zstd")]
    fn unpack_zstd(&mut self, mut body: &[u8], length: usize) -> Result<(), UnpackError> {
        use zstd::stream::raw::{Decoder, Operation as _};
        let corrupt = || UnpackError::Corrupt { codec: "zstd" };
        let zstd = match &mut self.zstd {
            Some(zstd) => {
                zstd.reinit().map_err(|_| corrupt())?;
                zstd
            }
            none => {
                let mut zstd = Decoder::new().map_err(|_| corrupt())?;
                // A frame may name a window of gigabytes: none needs more than a frame's size.
                let window = zstd::zstd_safe::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
                zstd.set_parameter(window).map_err(|_| corrupt())?;
                none.insert(zstd)
            }
        };
        loop {
            grow(&mut self.plain, length);
            let start = self.plain.len();
            let room = self.plain.capacity() - start;
            self.plain.resize(start + room, 0);
            let into = self.plain.get_mut(start..).unwrap_or_default();
            let status = zstd.run_on_buffers(body, into).map_err(|_| corrupt())?;
            self.plain.truncate(start + status.bytes_written);
            body = body.get(status.bytes_read..).unwrap_or_default();
            if self.plain.len() > length {
                return Err(UnpackError::TooLong { announced: length });
            }
            if status.remaining == 0 {
                return body.is_empty().then_some(()).ok_or_else(corrupt);
            }
            if status.bytes_read == 0 && status.bytes_written == 0 {
                return Err(corrupt());
            }
        }
    }
}

/// What a packed frame says, if it is laid out as `Packer::pack` does.
fn split_frame(frame: &[u8]) -> Option<Packed<'_>> {
    let rest = frame.strip_prefix(&PACKED_FRAME_HEAD)?;
    let rest = rest.strip_prefix(&CODEC_FIELD)?;
    let (codec, rest) = rest.split_first_chunk()?;
    let rest = rest.strip_prefix(&PLAIN_LENGTH_FIELD)?;
    let (plain_length, rest) = rest.split_first_chunk()?;
    let rest = rest.strip_prefix(&BODY_FIELD)?;
    let (n_bytes, rest) = rest.split_first_chunk()?;
    let n_bytes = usize::try_from(i32::from_be_bytes(*n_bytes)).ok()?;
    let (body, end) = rest.split_at_checked(n_bytes)?;
    let packed = Packed {
        codec: Open::from_i32(i32::from_be_bytes(*codec)),
        plain_length: i32::from_be_bytes(*plain_length),
        body,
    };
    (end == PACKED_FRAME_END).then_some(packed)
}

/// Makes room for more where there is none: as much again as there is already, and for one byte
/// beyond `length` at most.
fn grow(plain: &mut Vec<u8>, length: usize) {
    if plain.capacity() > plain.len() {
        return;
    }
    let more = plain.len().max(UNPACK_STEP_BYTES);
    let most = (length + 1).saturating_sub(plain.len());
    plain.reserve_exact(more.min(most).max(1));
}

const HAS_ZLIB_HEADER: bool = true;
/// A union's variant 6, a struct: two i32 fields and a binary one (Thrift binary protocol).
const PACKED_FRAME_HEAD: [u8; 3] = [12, 0, 6];
const CODEC_FIELD: [u8; 3] = [8, 0, 1];
const PLAIN_LENGTH_FIELD: [u8; 3] = [8, 0, 2];
const BODY_FIELD: [u8; 3] = [11, 0, 3];
const PACKED_FRAME_END: [u8; 2] = [0, 0];
const LZ4_RATIO_MAX: usize = 255;
#[cfg(feature = "zstd")]
const ZSTD_WINDOW_LOG_MAX: u32 = 24;
const UNPACK_STEP_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;
