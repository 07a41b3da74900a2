//! Storm's lenient readings of a configuration value, and how Java shows one in a message.
//!
//! The rules are those of Storm's `ObjectReader`; the messages are its messages, since they reach
//! clients. Java's own wording of a number that cannot be read is kept too, as Storm passes it on.
//! Knows nothing of keys.

use serde_json::Value;

/// A value that cannot be read as what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    /// Java's IllegalArgumentException: the type is wrong.
    #[error("{0}")]
    WrongType(String),
    /// Java's NumberFormatException: text that holds no such number.
    #[error("{0}")]
    NotANumber(String),
}

/// A 32-bit integer: an integer in range, or text that holds one. A fraction is refused, even
/// `2.0`.
pub fn int(value: &Value) -> Result<i32, ConversionError> {
    match value {
        Value::Number(number) => number.as_i64().and_then(|i| i32::try_from(i).ok()),
        Value::String(text) => return parse_integer(text),
        _ => None,
    }
    .ok_or_else(|| wrong(format!("{} to int", java_text(value))))
}

/// A 64-bit integer. A number with a fraction loses it, as in Java's cast.
pub fn long(value: &Value) -> Result<i64, ConversionError> {
    match value {
        // A float cast saturates in Rust as it does in Java; a big integer keeps its low 64 bits.
        Value::Number(number) => Ok(number
            .as_i64()
            .or_else(|| number.as_u64().map(|big| big as i64))
            .unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64)),
        Value::String(text) => parse_integer(text),
        _ => Err(wrong(format!("{} to a long", java_text(value)))),
    }
}

/// A double: any number, or text that Java reads as one.
pub fn double(value: &Value) -> Result<f64, ConversionError> {
    match value {
        Value::Number(number) => Ok(number.as_f64().unwrap_or_default()),
        Value::String(text) => parse_double(text),
        Value::Null => Err(wrong("null to double".to_owned())),
        _ => Err(wrong(format!("({}) to double", java_text(value)))),
    }
}

/// A boolean. Text is refused, `"true"` too.
pub fn boolean(value: &Value) -> Result<bool, ConversionError> {
    value
        .as_bool()
        .ok_or_else(|| wrong(format!("{} to boolean", java_text(value))))
}

/// Any value but null, as Java shows it.
pub fn text(value: &Value) -> Result<String, ConversionError> {
    match value {
        Value::Null => Err(wrong("null to String".to_owned())),
        _ => Ok(java_text(value)),
    }
}

/// Text is a list of one, null an empty one; nulls in a list are left out.
pub fn texts(value: &Value) -> Result<Vec<String>, ConversionError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(entries) => Ok(entries
            .iter()
            .filter(|entry| !entry.is_null())
            .map(java_text)
            .collect()),
        _ => Err(wrong("to string list".to_owned())),
    }
}

/// What Java's `toString` gives. Maps come in key order here; in Storm it was hash order.
pub fn java_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(double) if number.is_f64() => java_double(double),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(entries) => {
            let shown: Vec<_> = entries.iter().map(java_text).collect();
            format!("[{}]", shown.join(", "))
        }
        Value::Object(entries) => {
            let pair = |(key, value)| format!("{key}={}", java_text(value));
            let shown: Vec<_> = entries.iter().map(pair).collect();
            format!("{{{}}}", shown.join(", "))
        }
    }
}

/// The Java class of a value as Storm's YAML and test code make it; null has none.
pub fn java_class(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(number) if number.is_f64() => "java.lang.Double",
        Value::Number(number) => match number.as_i64() {
            Some(integer) if i32::try_from(integer).is_ok() => "java.lang.Integer",
            Some(_) => "java.lang.Long",
            None => "java.math.BigInteger",
        },
        Value::String(_) => "java.lang.String",
        Value::Array(entries) if entries.is_empty() => "java.util.ArrayList",
        Value::Array(_) => "java.util.Arrays$ArrayList",
        Value::Object(_) => "java.util.LinkedHashMap",
    }
}

/// Java's shortest decimal form: `1.0`, `1.0E-9`, `1.0E7`.
pub fn java_double(double: f64) -> String {
    if double.is_nan() {
        return "NaN".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let size = double.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{double:?}");
    }
    let scientific = format!("{double:e}");
    match scientific.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
        None => scientific,
    }
}

/// Java's `parseInt` and `parseLong`: a sign and digits, nothing else, no blanks.
pub fn parse_integer<T: std::str::FromStr>(text: &str) -> Result<T, ConversionError> {
    text.parse().map_err(|_| not_a_number(text))
}

/// Java's `parseDouble`: blanks around, a trailing `d` or `f`, NaN and Infinity are fine.
fn parse_double(text: &str) -> Result<f64, ConversionError> {
    let trimmed = text.trim_matches(|c: char| c <= ' ');
    if trimmed.is_empty() {
        return Err(ConversionError::NotANumber("empty String".to_owned()));
    }
    let (sign, rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    match rest {
        "NaN" => return Ok(f64::NAN),
        "Infinity" => return Ok(sign * f64::INFINITY),
        _ => {}
    }
    let digits = rest.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(rest);
    // Rust would also read `inf` and `nan`, and a second sign.
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.chars().all(decimal)
    {
        return Err(not_a_number(trimmed));
    }
    let size: f64 = digits.parse().map_err(|_| not_a_number(trimmed))?;
    Ok(sign * size)
}

fn wrong(what: String) -> ConversionError {
    ConversionError::WrongType(format!("Don't know how to convert {what}"))
}

fn not_a_number(text: &str) -> ConversionError {
    ConversionError::NotANumber(format!("For input string: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::fixtures;

    /// A typed value of the fixtures as the JSON that a conf would hold.
    fn value(typed: &Value) -> Value {
        match typed["t"].as_str() {
            Some("null") => Value::Null,
            Some("double" | "float") => json!(double_of(typed)),
            Some("list" | "set" | "string[]" | "object[]") => {
                let entries = typed["v"].as_array().expect("a list has entries");
                entries.iter().map(value).collect()
            }
            Some("map") => {
                let entries = typed["v"].as_array().expect("a map has entries");
                let pair = |pair: &Value| (java_text(&value(&pair[0])), value(&pair[1]));
                Value::Object(entries.iter().map(pair).collect())
            }
            _ => typed["v"].clone(),
        }
    }

    fn double_of(typed: &Value) -> f64 {
        let bits = typed["bits"].as_str().expect("floats are bits");
        match typed["t"].as_str() {
            Some("float") => f32::from_bits(u32::from_str_radix(bits, 16).expect("hex")).into(),
            _ => f64::from_bits(u64::from_str_radix(bits, 16).expect("hex")),
        }
    }

    /// `{"ok": value}` or `{"exception", "message"}`.
    fn outcome(result: Result<Value, ConversionError>) -> Value {
        let failure = |class: &str, message: String| {
            let class = format!("java.lang.{class}");
            json!({"exception": class, "message": message})
        };
        match result {
            Ok(value) => json!({ "ok": value }),
            Err(ConversionError::WrongType(text)) => failure("IllegalArgumentException", text),
            Err(ConversionError::NotANumber(text)) => failure("NumberFormatException", text),
        }
    }

    fn expected(recorded: &Value) -> Value {
        match recorded.get("ok") {
            Some(typed) => json!({ "ok": value(typed) }),
            None => recorded.clone(),
        }
    }

    fn or<T: Into<Value>>(
        input: &Value,
        default: Value,
        read: impl Fn(&Value) -> Result<T, ConversionError>,
    ) -> Result<Value, ConversionError> {
        match input {
            Value::Null => Ok(default),
            _ => read(input).map(Into::into),
        }
    }

    #[test]
    fn golden_object_reader() {
        let mut tally = fixtures::Tally::new("config/conversions (object_reader)");
        for line in fixtures::lines("config/conversions.jsonl") {
            if line["kind"] != "object_reader" {
                continue;
            }
            let input = value(&line["value"]);
            for (name, ours) in [
                ("getInt", int(&input).map(Into::into)),
                ("getIntDefault7", or(&input, json!(7), int)),
                ("getLong", or(&input, Value::Null, long)),
                ("getDouble", double(&input).map(Into::into)),
                ("getBooleanDefaultTrue", or(&input, json!(true), boolean)),
                ("getString", text(&input).map(Into::into)),
                ("getStrings", texts(&input).map(Into::into)),
            ] {
                let (ours, theirs) = (outcome(ours), expected(&line[name]));
                tally.case(ours == theirs, || {
                    format!("{input} {name}: {ours}, not {theirs}")
                });
            }
        }
        tally.finish(0);
    }

    #[test]
    fn doubles_are_shown_as_java_shows_them() {
        for (double, shown) in [
            (1.0, "1.0"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (1.5e300, "1.5E300"),
            (-0.0, "-0.0"),
        ] {
            assert_eq!(java_double(double), shown);
        }
    }

    #[test]
    fn doubles_are_read_as_java_reads_them() {
        for good in [
            "1", " 1.5 ", "+1e3", "-.5", "1.", "2f", "2D", "Infinity", "-NaN",
        ] {
            assert!(parse_double(good).is_ok(), "{good}");
        }
        for bad in [
            "inf", "nan", "", "--1", "1 2", "e5", "0,5", "+-1", "infinity",
        ] {
            assert!(parse_double(bad).is_err(), "{bad}");
        }
    }
}
