//! Values as text, the way Java's `toString` prints them: for logs, and for what Storm derives from
//! that text (partial key grouping without fields).
//!
//! Two values print differently from Java: byte strings as `[1, -2]`, where Java prints an address,
//! and half a surrogate pair as `?`, as Java's encoder does.

use std::fmt::{self, Write};

use super::number;
use super::value::{Value, ValueRef};

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::List(items) => list(f, items.iter()),
            Value::Map(entries) => map(f, entries),
            Value::BigInteger(bytes) => f.write_str(&number::to_decimal(bytes)),
            Value::Decimal { unscaled, scale } => decimal(f, unscaled, *scale),
            flat => flat.as_ref().fmt(f),
        }
    }
}

impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueRef::Null => f.write_str("null"),
            ValueRef::Bool(v) => v.fmt(f),
            ValueRef::Byte(v) => v.fmt(f),
            ValueRef::Short(v) => v.fmt(f),
            ValueRef::Int(v) => v.fmt(f),
            ValueRef::Long(v) => v.fmt(f),
            ValueRef::Float(v) => floating(f, &Digits::of_float(*v), f64::from(*v)),
            ValueRef::Double(v) => floating(f, &Digits::of_double(*v), *v),
            ValueRef::Char(v) => write!(f, "{}", char::from_u32((*v).into()).unwrap_or('?')),
            ValueRef::Str(v) => f.write_str(v),
            ValueRef::Bytes(v) => list(f, v.iter().map(|byte| *byte as i8)),
            ValueRef::Nested(v) => v.fmt(f),
        }
    }
}

fn list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    f.write_str("[")?;
    for (index, item) in items.enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{item}")?;
    }
    f.write_str("]")
}

fn map(f: &mut fmt::Formatter<'_>, entries: &[(Value, Value)]) -> fmt::Result {
    f.write_str("{")?;
    for (index, (key, value)) in entries.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{key}={value}")?;
    }
    f.write_str("}")
}

/// The significant decimal digits of a finite number: `0.d1d2d3.. * 10^exponent`.
#[derive(Default)]
struct Digits {
    /// ASCII; no double has more than 19 digits.
    digits: [u8; 20],
    n_digits: usize,
    exponent: i32,
}

impl Digits {
    fn of_double(value: f64) -> Self {
        let magnitude = value.abs();
        if (TWO_POW_53..TWO_POW_63).contains(&magnitude) {
            return Digits::of_big_whole(magnitude as u64, f64::MANTISSA_DIGITS);
        }
        let shortest = Digits::read(format_args!("{:e}", value.abs()));
        let two = Digits::read(format_args!("{:.1e}", value.abs()));
        shortest.or_two(two, |text| text.parse() == Ok(value.abs()))
    }

    fn of_float(value: f32) -> Self {
        let magnitude = value.abs();
        if (TWO_POW_24..TWO_POW_63 as f32).contains(&magnitude) {
            return Digits::of_big_whole(magnitude as u64, f32::MANTISSA_DIGITS);
        }
        let shortest = Digits::read(format_args!("{:e}", value.abs()));
        let two = Digits::read(format_args!("{:.1e}", value.abs()));
        shortest.or_two(two, |text| text.parse() == Ok(value.abs()))
    }

    /// Java prints at least two digits and takes the closest two, even where one would do: the
    /// smallest double is 4.9E-324, not 5.0E-324.
    fn or_two(self, two: Digits, means_the_same: impl Fn(&str) -> bool) -> Self {
        if self.n_digits != 1 {
            return self;
        }
        let mut text = Short::default();
        let _ = write!(text, "0.{}e{}", two.text(), two.exponent);
        if means_the_same(text.text()) {
            two
        } else {
            self
        }
    }

    /// Whole numbers too big for the mantissa but not for a long: Java (before 19) prints every
    /// digit but those that the mantissa surely cannot tell apart, at times one more than would do.
    fn of_big_whole(whole: u64, mantissa_bits: u32) -> Self {
        let spare_bits = whole.ilog2().saturating_sub(mantissa_bits + 1);
        let n_dropped = if spare_bits > 1 {
            (1_u64 << spare_bits).ilog10()
        } else {
            0
        };
        let unit = 10_u64.pow(n_dropped);
        let kept = whole / unit + u64::from(n_dropped > 0 && whole % unit >= unit / 2);
        Digits::read(format_args!("{kept}e{}", kept.ilog10() + n_dropped))
    }

    /// From Rust's `1.25e-7`; text of no number gives no digits.
    fn read(printed: fmt::Arguments<'_>) -> Self {
        let mut short = Short::default();
        let _ = short.write_fmt(printed);
        let Some((digits, exponent)) = short.text().split_once('e') else {
            return Digits::default();
        };
        let mut read = Digits::default();
        for digit in digits
            .bytes()
            .filter(u8::is_ascii_digit)
            .take(read.digits.len())
        {
            read.digits[read.n_digits] = digit;
            read.n_digits += 1;
        }
        read.exponent = exponent.parse::<i32>().map_or(0, |exponent| exponent + 1);
        read
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.n_digits]).unwrap_or_default()
    }
}

/// A text of a few bytes on the stack; what is too much is refused.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    n_bytes: usize,
}

impl Short {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.n_bytes]).unwrap_or_default()
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.n_bytes + text.len();
        let place = self.bytes.get_mut(self.n_bytes..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.n_bytes = end;
        Ok(())
    }
}

/// Java's `Double.toString`: plain from 10^-3 up to 10^7, scientific beyond.
fn floating(f: &mut fmt::Formatter<'_>, number: &Digits, value: f64) -> fmt::Result {
    if value.is_nan() {
        return f.write_str("NaN");
    }
    if value.is_sign_negative() {
        f.write_str("-")?;
    }
    if value.is_infinite() {
        return f.write_str("Infinity");
    }
    if value == 0.0 {
        return f.write_str("0.0");
    }
    let digits = number.text();
    match number.exponent {
        point @ 1..=7 => {
            let point = point as usize;
            let whole = digits.get(..point).unwrap_or(digits);
            write!(f, "{whole:0<point$}.{}", fraction(digits.get(point..)))
        }
        point @ -2..=0 => {
            let n_zeros = -point as usize;
            write!(f, "0.{:0<n_zeros$}{}", "", fraction(Some(digits)))
        }
        point => {
            write!(
                f,
                "{}.{}E{}",
                &digits[..1],
                fraction(digits.get(1..)),
                point - 1
            )
        }
    }
}

/// Digits after the point: at least one, and no zeros that end them.
fn fraction(digits: Option<&str>) -> &str {
    match digits.map(|digits| digits.trim_end_matches('0')) {
        None | Some("") => "0",
        Some(digits) => digits,
    }
}

/// Java's `BigDecimal.toString`: plain for a scale that is not negative while the first digit is at
/// most six places behind the point, scientific otherwise.
fn decimal(f: &mut fmt::Formatter<'_>, unscaled: &[u8], scale: i32) -> fmt::Result {
    let text = number::to_decimal(unscaled);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    f.write_str(sign)?;
    if scale == 0 {
        return f.write_str(digits);
    }
    let exponent = digits.len() as i64 - 1 - i64::from(scale);
    if scale > 0 && exponent >= -6 {
        let scale = scale as usize;
        let zeros = "0".repeat((scale + 1).saturating_sub(digits.len()));
        let padded = zeros + digits;
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        return write!(f, "{whole}.{fraction}");
    }
    f.write_str(&digits[..1])?;
    if digits.len() > 1 {
        write!(f, ".{}", &digits[1..])?;
    }
    // An exponent of 0 is left away; Java puts a + before a positive one.
    if exponent == 0 {
        Ok(())
    } else {
        write!(f, "E{exponent:+}")
    }
}

const TWO_POW_24: f32 = 16_777_216.0;
const TWO_POW_53: f64 = 9_007_199_254_740_992.0;
const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<'a>(value: impl Into<ValueRef<'a>>, expected: &str) {
        assert_eq!(value.into().to_string(), expected);
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(1.0, "1.0");
        check(-1.5, "-1.5");
        check(100.0, "100.0");
        check(0.001, "0.001");
        check(0.01, "0.01");
        check(0.1, "0.1");
        check(0.00099, "9.9E-4");
        check(0.0123, "0.0123");
        check(9_999_999.0, "9999999.0");
        check(1e7, "1.0E7");
        check(1.234_567_89e8, "1.23456789E8");
        check(1_234_567.125, "1234567.125");
        check(1e23, "1.0E23");
        check(f64::MAX, "1.7976931348623157E308");
        check(5e-324, "4.9E-324");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Infinity");
        check(1.1_f32, "1.1");
        check(3.402_823_5e38_f32, "3.4028235E38");
        check(1e-45_f32, "1.4E-45");
        check(16_777_216_f32, "1.6777216E7");
        check(49_366_155_933_441_264.0, "4.9366155933441264E16");
        check(-9_007_199_254_740_992.0, "-9.007199254740992E15");
        check(1e18, "1.0E18");
    }

    #[test]
    fn decimals_print_as_java_prints_them() {
        let check = |unscaled: &str, scale: i32, expected: &str| {
            let unscaled = number::from_decimal(unscaled).unwrap();
            assert_eq!(Value::Decimal { unscaled, scale }.to_string(), expected);
        };
        check("123", 0, "123");
        check("-123", 0, "-123");
        check("123", -1, "1.23E+3");
        check("123", -3, "1.23E+5");
        check("123", 1, "12.3");
        check("123", 5, "0.00123");
        check("123", 10, "1.23E-8");
        check("-123", 12, "-1.23E-10");
        check("0", 2, "0.00");
        check("0", -2, "0E+2");
        check("1", 6, "0.000001");
        check("1", 7, "1E-7");
        check("1", i32::MAX, "1E-2147483647");
    }

    #[test]
    fn containers_print_as_java_prints_them() {
        let list = Value::from(vec![Value::from("a"), Value::Null, Value::from(2.0)]);
        check(&list, "[a, null, 2.0]");
        let map = Value::from(vec![(Value::from("k"), list), (1.into(), true.into())]);
        check(&map, "{k=[a, null, 2.0], 1=true}");
        check(&[1, 0xfe], "[1, -2]");
        check(ValueRef::Char(0x41), "A");
        check(ValueRef::Char(0xd800), "?");
        check((), "null");
    }
}
