//! How a bolt's peer names the tuples that it has: a number for each, unique in its component.
//!
//! Opaque to peers, but that those of a run follow each other. 0 stands for a tick.

/// A tuple by its task's index among those of the component, and its serial there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle {
    pub index: usize,
    /// From 1.
    pub serial: u64,
}

// === impl Handle ===

impl Handle {
    /// What a peer is told of a tuple; of a tick, which has no serial, 0.
    pub fn wire(index: usize, serial: Option<u64>) -> i64 {
        // Four years of a million tuples a second; the first 64 tasks stay exact as doubles.
        serial.map_or(0, |serial| {
            ((index as u64) << SERIAL_BITS | (serial & SERIAL_MASK)) as i64
        })
    }

    /// What a peer's number stands for; none for 0.
    pub fn parse(wire: i64) -> Option<Self> {
        let bits = wire as u64;
        (bits != 0).then_some(Handle {
            index: usize::try_from(bits >> SERIAL_BITS).unwrap_or(usize::MAX),
            serial: bits & SERIAL_MASK,
        })
    }
}

const SERIAL_BITS: u32 = 47;
const SERIAL_MASK: u64 = (1 << SERIAL_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_was_made_of() {
        for (index, serial) in [(0, 1), (5, 1), (65_535, SERIAL_MASK)] {
            let wire = Handle::wire(index, Some(serial));
            assert_eq!(Handle::parse(wire), Some(Handle { index, serial }));
            assert!(wire > 0);
        }
        assert_eq!(Handle::parse(Handle::wire(7, None)), None);
        for wild in [-1, i64::MIN, i64::MAX] {
            assert!(Handle::parse(wild).is_some());
        }
    }
}
