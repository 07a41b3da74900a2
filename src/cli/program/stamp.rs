//! What every executable with this library in it says of itself, readable without running it: the
//! platform it is for, and the wire version it speaks.
//!
//! So a program for another platform can be submitted from here, and says itself what it is.

use memchr::memmem;

use crate::blob::program::PLATFORM;
use crate::messaging::link::WIRE_VERSION;

/// What an executable says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub platform: String,
    pub wire_version: i32,
}

/// The stamp as it lies in the executable.
#[repr(C)]
struct Print {
    mark: [u8; 24],
    wire_version: [u8; 4],
    /// Filled with zeros.
    platform: [u8; PLATFORM_BYTES],
}

/// Finds the stamp of an executable; none where this library is not in it.
pub fn find(executable: &[u8]) -> Option<Stamp> {
    // The mark is searched for where it lies: a second copy of it would be found as well.
    let mark = std::hint::black_box(&PRINT).mark;
    memmem::find_iter(executable, &mark).find_map(|at| read(executable.get(at + mark.len()..)?))
}

fn read(print: &[u8]) -> Option<Stamp> {
    let (version, rest) = print.split_at_checked(4)?;
    let wire_version = i32::from_le_bytes(version.try_into().ok()?);
    let platform = rest.get(..PLATFORM_BYTES)?;
    let end = platform.iter().position(|byte| *byte == 0)?;
    let (platform, padding) = platform.split_at(end);
    let is_plain = |byte: &u8| byte.is_ascii_graphic();
    let is_stamp = wire_version > 0
        && !platform.is_empty()
        && platform.iter().all(is_plain)
        && padding.iter().all(|byte| *byte == 0);
    is_stamp.then(|| Stamp {
        platform: String::from_utf8_lossy(platform).into_owned(),
        wire_version,
    })
}

const fn padded(text: &str) -> [u8; PLATFORM_BYTES] {
    let (bytes, mut padded, mut at) = (text.as_bytes(), [0; PLATFORM_BYTES], 0);
    while at < bytes.len() {
        padded[at] = bytes[at];
        at += 1;
    }
    padded
}

#[used]
static PRINT: Print = Print {
    mark: *b"\0\x01stormwire program\0\x02\x03\x04\x05",
    wire_version: WIRE_VERSION.to_le_bytes(),
    platform: padded(PLATFORM),
};

const PLATFORM_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_has_one() {
        let own = std::fs::read(std::env::current_exe().expect("a program")).expect("readable");
        let expected = Stamp {
            platform: PLATFORM.to_owned(),
            wire_version: WIRE_VERSION,
        };
        assert_eq!(find(&own), Some(expected));
    }

    #[test]
    fn what_only_looks_like_one_is_passed_over() {
        let mark = PRINT.mark;
        assert_eq!(find(b""), None);
        assert_eq!(find(&mark), None);
        let mut junk = mark.to_vec();
        junk.extend([0xff; 80]);
        assert_eq!(find(&junk), None);
        junk.extend(mark);
        junk.extend(7i32.to_le_bytes());
        junk.extend(padded("s390x-unknown-linux-gnu"));
        let expected = Stamp {
            platform: "s390x-unknown-linux-gnu".to_owned(),
            wire_version: 7,
        };
        assert_eq!(find(&junk), Some(expected));
    }
}
