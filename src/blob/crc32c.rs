//! CRC-32C (Castagnoli), the version of a blob since Storm 2.7: equal content, equal version.
//!
//! Not a proof against tampering.

/// A checksum that grows with the bytes it is given.
#[derive(Clone, Copy, Debug)]
pub struct Crc32c(u32);

// === impl Crc32c ===

impl Default for Crc32c {
    fn default() -> Self {
        Crc32c::new()
    }
}

impl Crc32c {
    pub fn new() -> Self {
        Crc32c(!0)
    }

    /// Eight bytes a step: a blob of a gigabyte must not cost seconds.
    pub fn update(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word) ^ u64::from(self.0);
            let byte = |at: usize| (word >> (8 * at)) as u8 as usize;
            self.0 = (0..8).fold(0, |crc, at| crc ^ TABLES[7 - at][byte(at)]);
        }
        for byte in rest {
            let index = (self.0 ^ u32::from(*byte)) & 0xff;
            self.0 = (self.0 >> 8) ^ TABLES[0][index as usize];
        }
    }

    pub fn value(self) -> u32 {
        !self.0
    }
}

/// Table `n` is the checksum's change by a byte that `n` more bytes follow.
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
    }
    let mut number = 1;
    while number < 8 {
        let mut index = 0;
        while index < 256 {
            let crc = tables[number - 1][index];
            tables[number][index] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            index += 1;
        }
        number += 1;
    }
    tables
}

/// Castagnoli's polynomial with its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
static TABLES: [[u32; 256]; 8] = tables();

#[cfg(test)]
mod tests {
    use super::*;

    fn crc(parts: &[&[u8]]) -> u32 {
        let mut crc = Crc32c::new();
        for part in parts {
            crc.update(part);
        }
        crc.value()
    }

    #[test]
    fn agrees_with_the_published_check_values() {
        assert_eq!(crc(&[b"123456789"]), 0xe306_9283);
        assert_eq!(crc(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(crc(&[b""]), 0);
    }

    #[test]
    fn parts_make_no_difference() {
        let bytes: Vec<u8> = (0..100u8).collect();
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(crc(&[head, tail]), crc(&[&bytes]), "split at {at}");
        }
    }
}
