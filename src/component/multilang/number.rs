//! Number literals of JSON, typed as Storm's reader types them.
//!
//! Knows nothing of JSON's grammar: it is handed text that is already known to look like a number.

use crate::tuple::{Value, number};

/// Types an integer literal (digits with an optional minus) as json-smart does: 32 bits if it fits,
/// else 64, else any size. Literals of more than 19 digits are of any size even when zeros lead
/// them. `None` for more digits than we read.
pub fn integer(literal: &str) -> Option<Value> {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    if digits.is_empty() {
        // A lone minus: json-smart makes it zero.
        return Some(Value::Int(0));
    }
    if digits.len() <= LONG_DIGITS_MAX
        && let Ok(value) = literal.parse::<i64>()
    {
        return Some(signed(value));
    }
    number::from_decimal(literal).map(Value::BigInteger)
}

/// Types a literal with a point or an exponent as json-smart does: a double, or a decimal of any
/// precision when the literal has more than 18 characters. `None` if it is no number after all.
pub fn decimal(literal: &str) -> Option<Value> {
    if literal.len() <= DOUBLE_LITERAL_MAX {
        return literal.parse().ok().map(Value::Double);
    }
    let (mantissa, exponent) = match literal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (literal, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let unscaled = number::from_decimal(&format!("{whole}{fraction}"))?;
    Some(Value::Decimal { unscaled, scale })
}

/// 32 bits if it fits, else 64.
pub fn signed(value: i64) -> Value {
    i32::try_from(value).map_or(Value::Long(value), Value::Int)
}

/// 32 bits if it fits, else 64, else any size.
pub fn unsigned(value: u64) -> Value {
    match i64::try_from(value) {
        Ok(value) => signed(value),
        Err(_) => Value::BigInteger(number::trimmed(&i128::from(value).to_be_bytes()).into()),
    }
}

const LONG_DIGITS_MAX: usize = 19;
const DOUBLE_LITERAL_MAX: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_the_narrowest_type() {
        let check = |literal: &str, expected: Value| assert_eq!(integer(literal), Some(expected));
        check("007", Value::Int(7));
        check("-2147483648", Value::Int(i32::MIN));
        check("2147483648", Value::Long(2_147_483_648));
        check("-9223372036854775808", Value::Long(i64::MIN));
        check("9223372036854775807", Value::Long(i64::MAX));
        check(
            "9223372036854775808",
            Value::BigInteger([0, 0x80, 0, 0, 0, 0, 0, 0, 0].into()),
        );
        check("00000000000000000001", Value::BigInteger([1].into()));
        check("-", Value::Int(0));
        assert_eq!(Some(unsigned(u64::MAX)), integer("18446744073709551615"));
        assert_eq!(integer(&"9".repeat(number::DIGITS_MAX + 1)), None);
    }

    #[test]
    fn long_literals_become_decimals() {
        let check = |literal: &str, expected| assert_eq!(decimal(literal), expected);
        let big = |digits| number::from_decimal(digits).unwrap();
        check("1.5", Some(Value::Double(1.5)));
        check("5.", Some(Value::Double(5.0)));
        check("-.", None);
        check(
            "1.234567890123456789",
            Some(Value::Decimal {
                unscaled: big("1234567890123456789"),
                scale: 18,
            }),
        );
        check(
            "-1000000000000000000.0E3",
            Some(Value::Decimal {
                unscaled: big("-10000000000000000000"),
                scale: -2,
            }),
        );
        check("1.000000000000000000E99999999999", None);
    }
}
