//! Reads the entries of a tar file one after the other, in bounded memory.
//!
//! Names and links come out as they stand there: `archive` judges them. Sparse files and devices
//! are refused.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;

/// One entry; its content of `size` bytes follows, then `padding` bytes of nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: OsString,
    pub kind: Kind,
    pub mode: u32,
    pub size: u64,
}

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    /// To this target, relative to where the link stands.
    Symlink(OsString),
    /// To an entry that came before.
    HardLink(OsString),
}

/// Long names that an entry of their own announces for the next one.
#[derive(Default)]
struct Announced {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

/// Whether a file that begins so is a tar file.
pub fn is_tar(start: &[u8]) -> bool {
    start.get(MAGIC).is_some_and(|magic| magic == b"ustar")
}

/// The next entry, with its content still to be read; none at the end.
pub fn next(reader: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut announced = Announced::default();
    loop {
        let Some(header) = header(reader)? else {
            return Ok(None);
        };
        let size = number(field(&header, 124..136))?;
        match header.get(156).copied().unwrap_or(0) {
            b'L' => announced.name = Some(text(&text_of(reader, size)?)),
            b'K' => announced.target = Some(text(&text_of(reader, size)?)),
            b'x' => announced.read(&text_of(reader, size)?)?,
            b'g' => drop(text_of(reader, size)?),
            kind => return entry(&header, kind, size, announced).map(Some),
        }
    }
}

// === impl Entry ===

impl Entry {
    /// Bytes between the end of the content and the next entry.
    pub fn padding(&self) -> u64 {
        (BLOCK as u64 - self.size % BLOCK as u64) % BLOCK as u64
    }
}

// === impl Announced ===

impl Announced {
    /// Records of the form `<length> <key>=<value>\n`.
    fn read(&mut self, records: &[u8]) -> io::Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let blank = rest.iter().position(|byte| *byte == b' ');
            let length = blank.and_then(|at| std::str::from_utf8(rest.get(..at)?).ok());
            let length: usize = length
                .and_then(|length| length.parse().ok())
                .ok_or_else(|| bad("an extended header has no length"))?;
            let record = rest.get(blank.unwrap_or(0) + 1..length);
            let record = record.and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or_else(|| bad("an extended header ends too early"))?;
            if let Some(name) = record.strip_prefix(b"path=") {
                self.name = Some(name.to_vec());
            } else if let Some(target) = record.strip_prefix(b"linkpath=") {
                self.target = Some(target.to_vec());
            } else if record.starts_with(b"size=") || record.starts_with(b"GNU.sparse") {
                return Err(bad("sparse files and files of more than 8 GB are not read"));
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

fn entry(header: &[u8], kind: u8, size: u64, announced: Announced) -> io::Result<Entry> {
    let own_name = || {
        let name = text(field(header, 0..100));
        let prefix = text(field(header, 345..500));
        // GNU's own form, which says so by its magic, has other things there.
        match prefix.is_empty() || field(header, 257..263) != b"ustar\0" {
            true => name,
            false => [&prefix[..], b"/", &name[..]].concat(),
        }
    };
    let name = announced.name.unwrap_or_else(own_name);
    let is_directory = name.ends_with(b"/");
    let own_target = || text(field(header, 157..257));
    let target = || OsString::from_vec(announced.target.unwrap_or_else(own_target));
    let kind = match kind {
        b'0' | 0 | b'7' if is_directory => Kind::Directory,
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::HardLink(target()),
        b'2' => Kind::Symlink(target()),
        b'5' => Kind::Directory,
        other => {
            return Err(bad(&format!(
                "entries of type {:?} are not read",
                char::from(other)
            )));
        }
    };
    let has_content = kind == Kind::File;
    Ok(Entry {
        name: OsString::from_vec(name),
        kind,
        mode: u32::try_from(number(field(header, 100..108))? & 0o777).unwrap_or(0),
        size: if has_content { size } else { 0 },
    })
}

/// A block that is a header; none at the end of the archive.
fn header(reader: &mut impl Read) -> io::Result<Option<[u8; BLOCK]>> {
    let mut block = [0; BLOCK];
    let mut n_read = 0;
    while n_read < BLOCK {
        match reader.read(&mut block[n_read..])? {
            0 if n_read == 0 => return Ok(None),
            0 => return Err(bad("it ends in a header")),
            n => n_read += n,
        }
    }
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let blank = |(at, byte): (usize, &u8)| {
        if CHECKSUM.contains(&at) {
            32
        } else {
            u64::from(*byte)
        }
    };
    let sum: u64 = block.iter().enumerate().map(blank).sum();
    match number(field(&block, CHECKSUM))? == sum {
        true => Ok(Some(block)),
        false => Err(bad("a header's checksum is wrong")),
    }
}

/// The content of an entry that holds a name, without its padding.
fn text_of(reader: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > NAME_BYTES_MAX {
        return Err(bad("a name is too long"));
    }
    let mut content = Vec::new();
    let padded = size.next_multiple_of(BLOCK as u64);
    reader.take(padded).read_to_end(&mut content)?;
    if content.len() as u64 != padded {
        return Err(bad("it ends in a name"));
    }
    content.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    Ok(content)
}

fn field(header: &[u8], at: std::ops::Range<usize>) -> &[u8] {
    header.get(at).unwrap_or_default()
}

/// Up to the first null.
fn text(field: &[u8]) -> Vec<u8> {
    let end = field.iter().position(|byte| *byte == 0);
    field[..end.unwrap_or(field.len())].to_vec()
}

/// Octal digits, or base 256 where the first bit is set.
fn number(field: &[u8]) -> io::Result<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        let (_, tail) = field.split_at(field.len().saturating_sub(8));
        return Ok(tail
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let digits = String::from_utf8_lossy(&text(field)).trim().to_owned();
    match digits.as_str() {
        "" => Ok(0),
        digits => u64::from_str_radix(digits, 8).map_err(|_| bad("a number is none")),
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not a readable tar file: {what}"),
    )
}

const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const MAGIC: std::ops::Range<usize> = 257..262;
/// Far above what any file system takes as a path.
const NAME_BYTES_MAX: u64 = 65_536;
