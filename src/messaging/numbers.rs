//! A column of 64-bit numbers: the building block of the batch codec's body.
//!
//! Little endian, `zigzag` as in `packed`:
//!
//! ```text
//! 0 zigzag(first) zigzag(step)     number i is first + i * step: equal ones, and those that count
//! w zigzag(least) w bytes*         number i is least + what stands there; w is 1, 2, 4 or 8
//! ```
//!
//! All arithmetic wraps, so that signed and unsigned numbers are the same to it. Every number is
//! found without those before it.

use crate::messaging::packed::{self, Cursor, PackedError};

/// A column to read from. Its bytes are there: no number can fail.
#[derive(Clone, Copy, Debug)]
pub enum Numbers<'a> {
    Line { first: u64, step: u64 },
    Bytes { least: u64, rest: &'a [u8] },
    Shorts { least: u64, rest: &'a [[u8; 2]] },
    Ints { least: u64, rest: &'a [[u8; 4]] },
    Longs { least: u64, rest: &'a [[u8; 8]] },
}

// === impl Numbers ===

impl<'a> Numbers<'a> {
    pub const ZEROS: Numbers<'static> = Numbers::Line { first: 0, step: 0 };

    /// Takes a column of `n` numbers off `cursor`.
    pub fn open(cursor: &mut Cursor<'a>, n: usize) -> Result<Self, PackedError> {
        let width = cursor.byte()?;
        let least = cursor.zigzag()? as u64;
        if width == LINE {
            let step = cursor.zigzag()? as u64;
            return Ok(Numbers::Line { first: least, step });
        }
        let n_bytes = n.checked_mul(usize::from(width));
        let rest = cursor.slice(n_bytes.ok_or(PackedError::Truncated)?)?;
        Ok(match width {
            1 => Numbers::Bytes { least, rest },
            2 => Numbers::Shorts {
                least,
                rest: rest.as_chunks().0,
            },
            4 => Numbers::Ints {
                least,
                rest: rest.as_chunks().0,
            },
            8 => Numbers::Longs {
                least,
                rest: rest.as_chunks().0,
            },
            mode => return Err(PackedError::UnknownMode { mode }),
        })
    }

    /// Number `index`; meaningless from the column's length on.
    #[inline(always)]
    pub fn get(&self, index: usize) -> u64 {
        let (least, offset) = match self {
            Numbers::Line { first, step } => (*first, step.wrapping_mul(index as u64)),
            Numbers::Bytes { least, rest } => (*least, rest.get(index).map_or(0, |b| (*b).into())),
            Numbers::Shorts { least, rest } => {
                let bytes = rest.get(index).copied().unwrap_or_default();
                (*least, u16::from_le_bytes(bytes).into())
            }
            Numbers::Ints { least, rest } => {
                let bytes = rest.get(index).copied().unwrap_or_default();
                (*least, u32::from_le_bytes(bytes).into())
            }
            Numbers::Longs { least, rest } => {
                let bytes = rest.get(index).copied().unwrap_or_default();
                (*least, u64::from_le_bytes(bytes))
            }
        };
        least.wrapping_add(offset)
    }

    /// The number that all are, if the column says so.
    pub fn all_same(&self) -> Option<u64> {
        match self {
            Numbers::Line { first, step: 0 } => Some(*first),
            _ => None,
        }
    }

    /// The sum of the first `n`; none when it does not fit.
    pub fn sum(&self, n: usize) -> Option<u64> {
        match self.all_same() {
            Some(number) => number.checked_mul(n as u64),
            None => (0..n).try_fold(0u64, |sum, index| sum.checked_add(self.get(index))),
        }
    }

    /// The largest of the first `n`, 0 of none.
    pub fn max(&self, n: usize) -> u64 {
        match self.all_same() {
            Some(number) if n > 0 => number,
            _ => (0..n).map(|index| self.get(index)).max().unwrap_or(0),
        }
    }

    /// How many of the first `n` are above `bound`.
    pub fn n_above(&self, bound: u64, n: usize) -> usize {
        match self.all_same() {
            Some(number) => n * usize::from(number > bound),
            None => (0..n).filter(|index| self.get(*index) > bound).count(),
        }
    }
}

/// Appends a column.
#[inline]
pub fn put(numbers: impl Iterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    if !put_line(numbers.clone(), out) {
        put_offsets(numbers, out);
    }
}

/// False, and nothing is written, where the numbers do not lie on a line.
#[inline]
fn put_line(mut numbers: impl Iterator<Item = u64>, out: &mut Vec<u8>) -> bool {
    let first = numbers.next().unwrap_or_default();
    let second = numbers.next();
    let step = second.map_or(0, |second| second.wrapping_sub(first));
    let mut expected = second.unwrap_or(first);
    let is_line = numbers.all(|number| {
        expected = expected.wrapping_add(step);
        number == expected
    });
    if is_line {
        out.push(LINE);
        packed::put_zigzag(first as i64, out);
        packed::put_zigzag(step as i64, out);
    }
    is_line
}

#[inline]
fn put_offsets(numbers: impl Iterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    let (mut least, mut most, mut n) = (i64::MAX, i64::MIN, 0);
    for number in numbers.clone() {
        least = least.min(number as i64);
        most = most.max(number as i64);
        n += 1;
    }
    let range = most.wrapping_sub(least) as u64;
    let offsets = numbers.map(|number| number.wrapping_sub(least as u64));
    let mut begin = |width: usize| {
        out.push(width as u8);
        packed::put_zigzag(least, out);
        let start = out.len();
        out.resize(start + n * width, 0);
        start
    };
    match range {
        0..=0xff => {
            let start = begin(1);
            let places = out.get_mut(start..).unwrap_or_default();
            places
                .iter_mut()
                .zip(offsets)
                .for_each(|(place, offset)| *place = offset as u8);
        }
        0x100..=0xffff => {
            let start = begin(2);
            let (places, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut();
            let put = |(place, offset): (&mut [u8; 2], u64)| *place = (offset as u16).to_le_bytes();
            places.iter_mut().zip(offsets).for_each(put);
        }
        0x1_0000..=0xffff_ffff => {
            let start = begin(4);
            let (places, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut();
            let put = |(place, offset): (&mut [u8; 4], u64)| *place = (offset as u32).to_le_bytes();
            places.iter_mut().zip(offsets).for_each(put);
        }
        _ => {
            let start = begin(8);
            let (places, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut();
            let put = |(place, offset): (&mut [u8; 8], u64)| *place = offset.to_le_bytes();
            places.iter_mut().zip(offsets).for_each(put);
        }
    }
}

const LINE: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(numbers: &[u64]) -> usize {
        let mut bytes = Vec::new();
        put(numbers.iter().copied(), &mut bytes);
        let mut cursor = Cursor::new(&bytes);
        let column = Numbers::open(&mut cursor, numbers.len()).unwrap();
        assert_eq!(cursor.left(), 0);
        let back: Vec<u64> = (0..numbers.len()).map(|index| column.get(index)).collect();
        assert_eq!(back, numbers);
        let sum = numbers
            .iter()
            .try_fold(0u64, |sum, number| sum.checked_add(*number));
        assert_eq!(column.sum(numbers.len()), sum);
        assert_eq!(
            column.max(numbers.len()),
            numbers.iter().copied().max().unwrap_or(0)
        );
        bytes.len()
    }

    proptest! {
        #[test]
        fn numbers_come_back(
            numbers in prop::collection::vec(any::<u64>(), 0..20),
            shift in 0u32..64,
        ) {
            check(&numbers);
            let small: Vec<u64> = numbers.iter().map(|number| number >> shift).collect();
            check(&small);
            let signed: Vec<u64> = numbers
                .iter()
                .map(|number| (number.cast_signed() >> shift).cast_unsigned())
                .collect();
            check(&signed);
        }
    }

    #[test]
    fn what_is_regular_or_close_together_is_small() {
        assert_eq!(check(&[7; 500]), 3);
        assert!(check(&(1_000_000..1_000_500).collect::<Vec<u64>>()) <= 7);
        assert_eq!(check(&[1, 0, 2, 5]), 2 + 4);
        let minus = |n: i64| n.cast_unsigned();
        assert_eq!(check(&[minus(-1), minus(-3), minus(2)]), 2 + 3);
        assert_eq!(check(&[0, 1000, 5]), 2 + 6);
        assert_eq!(check(&[u64::MAX, 0, 1 << 63, 5]), 1 + 10 + 32);
    }
}
