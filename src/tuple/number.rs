//! Integers of any size, as `Value::BigInteger` and `Value::Decimal` carry them: two's complement,
//! big endian. Converts them to and from decimal digits and Java's 32-bit words.
//!
//! No arithmetic: Storm's components do that, we only carry, print and hash.

/// A number's sign and size, the size in 32-bit words, the most significant first and never 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Magnitude {
    pub is_negative: bool,
    pub words: Vec<u32>,
}

/// The shortest form of the same number: without repeated sign bytes. 0 is one zero byte.
pub fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        let repeats_sign = match rest.first() {
            Some(next) => (*first == 0 && *next < 0x80) || (*first == 0xff && *next >= 0x80),
            None => false,
        };
        if !repeats_sign {
            break;
        }
        bytes = rest;
    }
    if bytes.is_empty() { &[0] } else { bytes }
}

/// Sign and size of a number in two's complement.
pub fn magnitude(bytes: &[u8]) -> Magnitude {
    let is_negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let mut words: Vec<u32> = bytes
        .rchunks(4)
        .map(|chunk| word(chunk, is_negative))
        .collect();
    if is_negative {
        let mut carry = true;
        for word in &mut words {
            let (value, overflow) = (!*word).overflowing_add(u32::from(carry));
            *word = value;
            carry = overflow;
        }
        if carry {
            words.push(1);
        }
    }
    while words.last() == Some(&0) {
        words.pop();
    }
    words.reverse();
    Magnitude { is_negative, words }
}

/// Up to four bytes, big endian, extended by the number's sign.
fn word(chunk: &[u8], is_negative: bool) -> u32 {
    let sign = if is_negative { u32::MAX } else { 0 };
    chunk
        .iter()
        .fold(sign, |word, byte| word << 8 | u32::from(*byte))
}

/// The decimal digits, with `-` before those of a negative number.
pub fn to_decimal(bytes: &[u8]) -> String {
    let Magnitude {
        is_negative,
        mut words,
    } = magnitude(bytes);
    let mut groups = Vec::new();
    while !words.is_empty() {
        let mut remainder = 0;
        for word in &mut words {
            let value = remainder << 32 | u64::from(*word);
            *word = (value / DECIMAL_GROUP) as u32;
            remainder = value % DECIMAL_GROUP;
        }
        groups.push(remainder);
        let n_zeros = words.iter().take_while(|word| **word == 0).count();
        words.drain(..n_zeros);
    }
    let mut text = String::from(if is_negative { "-" } else { "" });
    match groups.pop() {
        Some(first) => text.push_str(&first.to_string()),
        None => text.push('0'),
    }
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

/// Reads `[+-]digits`. `None` for anything else and for more than `DIGITS_MAX` digits.
pub fn from_decimal(text: &str) -> Option<Box<[u8]>> {
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Little endian while it grows.
    let mut words: Vec<u32> = Vec::new();
    for digit in digits {
        let mut carry = u64::from(digit - b'0');
        for word in &mut words {
            let value = u64::from(*word) * 10 + carry;
            *word = value as u32;
            carry = value >> 32;
        }
        if carry > 0 {
            words.push(carry as u32);
        }
    }
    // One more word, so that the sign has room.
    words.push(0);
    if is_negative {
        let mut carry = true;
        for word in &mut words {
            let (value, overflow) = (!*word).overflowing_add(u32::from(carry));
            *word = value;
            carry = overflow;
        }
    }
    let bytes: Vec<u8> = words
        .iter()
        .rev()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    Some(trimmed(&bytes).into())
}

/// Most digits that `from_decimal` reads, since its work grows with their square.
pub const DIGITS_MAX: usize = 20_000;

/// About as many bytes: what outsiders may have written as text, which is as much work.
pub const BYTES_MAX: usize = DIGITS_MAX * 5 / 12;

const DECIMAL_GROUP: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_numbers() {
        let check = |text: &str, bytes: &[u8]| {
            assert_eq!(from_decimal(text).as_deref(), Some(bytes), "{text}");
            assert_eq!(to_decimal(bytes), text);
        };
        check("0", &[0]);
        check("-1", &[0xff]);
        check("127", &[0x7f]);
        check("128", &[0, 0x80]);
        check("-128", &[0x80]);
        check("-129", &[0xff, 0x7f]);
        check("258", &[1, 2]);
        check("18446744073709551616", &[1, 0, 0, 0, 0, 0, 0, 0, 0]);
        check("-18446744073709551616", &[0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        check(
            "1000000000000000000",
            &1_000_000_000_000_000_000_i64.to_be_bytes(),
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "+", "1.0", "1e3", " 1", "0x1", "--1", "١"] {
            assert_eq!(from_decimal(text), None, "{text:?}");
        }
        assert_eq!(from_decimal(&"9".repeat(DIGITS_MAX + 1)), None);
    }

    proptest! {
        #[test]
        fn agrees_with_i128(number: i128) {
            let text = number.to_string();
            prop_assert_eq!(to_decimal(&number.to_be_bytes()), &*text);
            let bytes = from_decimal(&text).unwrap();
            prop_assert_eq!(trimmed(&number.to_be_bytes()).to_vec(), bytes.into_vec());
        }

        #[test]
        fn any_bytes_survive(bytes: Vec<u8>) {
            let text = to_decimal(&bytes);
            let back = from_decimal(&text).unwrap();
            prop_assert_eq!(back.into_vec(), trimmed(&bytes).to_vec());
        }
    }
}
