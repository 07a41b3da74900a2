//! Finds a text in a log and what stands around it (control-plane 11.4).
//!
//! Pure: reads what it is given, in one pass, with a bounded window of it in memory.

use std::io::{self, Read};

use memchr::memmem;

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub text: &'a [u8],
    /// Matches, at most.
    pub n_max: usize,
    /// Where the reader stands in its file.
    pub start: u64,
    /// Bytes to look through, at most.
    pub bytes_max: u64,
}

/// One place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// From the start of the file.
    pub offset: u64,
    pub before: Vec<u8>,
    pub after: Vec<u8>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub matches: Vec<Match>,
    /// Where to go on; none at the end of the file.
    pub next: Option<u64>,
    pub bytes_read: u64,
}

/// Looks through a file. Whoever waits for it asks `is_over` to end it.
pub(super) fn search(
    mut reader: impl Read,
    wanted: Wanted<'_>,
    is_over: impl Fn() -> bool,
) -> io::Result<Found> {
    let finder = memmem::Finder::new(wanted.text);
    // A match is complete with so many bytes behind its first.
    let whole = wanted.text.len() + CONTEXT_BYTES;
    let mut found = Found::default();
    let mut buffer = Vec::with_capacity(CHUNK_BYTES + whole + CONTEXT_BYTES);
    // Of the buffer's first byte in the file, and where in it to look on.
    let (mut base, mut from) = (wanted.start, 0);
    loop {
        let n_bytes = fill(&mut reader, &mut buffer)?;
        found.bytes_read += n_bytes as u64;
        let is_end = n_bytes < CHUNK_BYTES;
        let safe = match is_end {
            true => buffer.len(),
            false => buffer.len().saturating_sub(whole),
        };
        while let Some(at) = buffer.get(from..).and_then(|rest| finder.find(rest)) {
            let at = from + at;
            if at >= safe {
                break;
            }
            let end = at + wanted.text.len();
            found.matches.push(Match {
                offset: base + at as u64,
                before: buffer[at.saturating_sub(CONTEXT_BYTES)..at].to_vec(),
                after: buffer[end..buffer.len().min(end + CONTEXT_BYTES)].to_vec(),
            });
            from = end;
            if found.matches.len() >= wanted.n_max {
                let is_last = is_end && end == buffer.len();
                found.next = (!is_last).then(|| base + end as u64);
                return Ok(found);
            }
        }
        from = from.max(safe);
        if is_end {
            return Ok(found);
        }
        if found.bytes_read >= wanted.bytes_max || is_over() {
            found.next = Some(base + from as u64);
            return Ok(found);
        }
        let gone = from.saturating_sub(CONTEXT_BYTES);
        buffer.drain(..gone);
        base += gone as u64;
        from -= gone;
    }
}

/// Reads a chunk behind what is there; less of it only at the end.
fn fill(reader: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let chunk = reader.by_ref().take(CHUNK_BYTES as u64);
    let mut chunk = chunk;
    chunk.read_to_end(buffer)
}

/// Shown before and behind a match.
const CONTEXT_BYTES: usize = 128;
const CHUNK_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look(text: &[u8], wanted: &str, n_max: usize) -> Found {
        let wanted = Wanted {
            text: wanted.as_bytes(),
            n_max,
            start: 0,
            bytes_max: u64::MAX,
        };
        search(text, wanted, || false).expect("memory can be read")
    }

    proptest! {
        #[test]
        fn matches_are_those_of_the_plain_search(
            pieces in proptest::collection::vec((0usize..70_000, 1usize..4), 0..6),
        ) {
            let mut text = Vec::new();
            for (n_blanks, n_words) in pieces {
                text.resize(text.len() + n_blanks, b'.');
                text.extend(b"needle".repeat(n_words));
            }
            let plain: Vec<u64> = memmem::find_iter(&text, "needle").map(|at| at as u64).collect();
            let found = look(&text, "needle", usize::MAX);
            let offsets: Vec<u64> = found.matches.iter().map(|each| each.offset).collect();
            prop_assert_eq!(&offsets, &plain);
            prop_assert_eq!(found.next, None);
            for each in &found.matches {
                let at = usize::try_from(each.offset).expect("it fits");
                prop_assert_eq!(&each.before[..], &text[at.saturating_sub(128)..at]);
                let end = text.len().min(at + 6 + 128);
                prop_assert_eq!(&each.after[..], &text[at + 6..end]);
            }
        }
    }

    #[test]
    fn who_wants_few_is_told_where_to_go_on() {
        let found = look(b"x needle needle", "needle", 1);
        assert_eq!((found.matches[0].offset, found.next), (2, Some(8)));
        let last = look(b"x needle", "needle", 1);
        assert_eq!(last.next, None);
        assert_eq!(look(b"", "needle", 1), Found::default());
    }

    #[test]
    fn a_search_ends_at_its_bound_and_goes_on_without_a_gap() {
        let mut text = vec![b'.'; 3 * CHUNK_BYTES];
        text.splice(CHUNK_BYTES - 3..CHUNK_BYTES - 3, *b"needle");
        let wanted = Wanted {
            text: b"needle",
            n_max: 5,
            start: 0,
            bytes_max: 1,
        };
        let first = search(&text[..], wanted, || false).expect("memory");
        let next = first.next.expect("there is more");
        assert!(first.matches.is_empty() && next < CHUNK_BYTES as u64);
        let rest = Wanted {
            start: next,
            bytes_max: u64::MAX,
            ..wanted
        };
        let at = usize::try_from(next).expect("it fits");
        let second = search(&text[at..], rest, || false).expect("memory");
        assert_eq!(second.matches[0].offset, CHUNK_BYTES as u64 - 3);
    }
}
