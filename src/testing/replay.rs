//! Compares replies with recorded ones: exactly, but for what the vectors call volatile.
//!
//! Knows the rules of `interop-tests/fixtures/control/README.md`, and nothing of any service.

use serde_json::{Map, Value};

/// Where `found` differs from `expected`, as a path and both sides; none when they agree.
///
/// `Any` in `expected` agrees with everything, absence included. Lists have no order.
pub fn difference(expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (any, _) if is_any(any) => None,
        (Value::Object(expected), Value::Object(found)) => objects(expected, found),
        (Value::Array(expected), Value::Array(found)) => lists(expected, found),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (Value::String(a), Value::String(b)) if is_json(a) && is_json(b) => {
            let parse = |text: &str| serde_json::from_str(text).expect("JSON");
            difference(&parse(a), &parse(b))
        }
        (a, b) if a == b => None,
        (a, b) => Some(format!(": {} instead of {}", short(b), short(a))),
    }
}

/// Replaces what the pointers name by `Any`. A pointer `P#json/K` names a key inside a JSON text.
pub fn forget(value: &mut Value, pointers: &[String]) {
    for pointer in pointers {
        let (place, key) = match pointer.split_once("#json/") {
            Some((place, key)) => (place, Some(key)),
            None => (pointer.as_str(), None),
        };
        let Some(found) = value.pointer_mut(place) else {
            continue;
        };
        match (key, found.as_str()) {
            (Some(key), Some(text)) => {
                let mut inner: Value = serde_json::from_str(text).expect("JSON");
                inner[key] = any();
                *found = Value::from(inner.to_string());
            }
            _ => *found = any(),
        }
    }
}

/// Agrees with everything.
pub fn any() -> Value {
    serde_json::json!({"$any": true})
}

fn is_any(value: &Value) -> bool {
    value.get("$any").is_some()
}

fn objects(expected: &Map<String, Value>, found: &Map<String, Value>) -> Option<String> {
    // A volatile entry's key may be an id, and then it is another on our side.
    let mut n_renamed = 0;
    for (key, value) in expected {
        let difference = match found.get(key) {
            Some(found) => difference(value, found),
            None if is_any(value) => {
                n_renamed += 1;
                None
            }
            None => Some(format!(": absent instead of {}", short(value))),
        };
        if let Some(difference) = difference {
            return Some(format!("/{key}{difference}"));
        }
    }
    let mut more = found
        .iter()
        .filter(|(key, _)| !expected.contains_key(*key))
        .skip(n_renamed);
    more.next()
        .map(|(key, value)| format!("/{key}: {} instead of nothing", short(value)))
}

fn lists(expected: &[Value], found: &[Value]) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!(
            ": {} elements instead of {}",
            found.len(),
            expected.len()
        ));
    }
    let mut left: Vec<&Value> = found.iter().collect();
    for (at, value) in expected.iter().enumerate() {
        let fits = |found: &&Value| difference(value, found).is_none();
        match left.iter().position(fits) {
            Some(position) => drop(left.swap_remove(position)),
            None => {
                let nearest = found.get(at).and_then(|found| difference(value, found));
                return Some(format!("/{at}{}", nearest.unwrap_or_default()));
            }
        }
    }
    None
}

fn is_json(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<Value>(text).is_ok()
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn order_and_volatile_values_do_not_count() {
        let mut expected =
            json!({"a": [{"id": "x-1", "n": 1}, {"id": "y-2", "n": 2}], "c": "{\"k\":1,\"t\":5}"});
        forget(
            &mut expected,
            &["/a/0/id".into(), "/a/1/id".into(), "/c#json/t".into()],
        );
        let found =
            json!({"a": [{"id": "q", "n": 2}, {"id": "r", "n": 1}], "c": "{\"t\":9, \"k\":1}"});
        assert_eq!(difference(&expected, &found), None);
        let other = json!({"a": [{"id": "q", "n": 2}, {"id": "r", "n": 3}], "c": "{}"});
        assert!(difference(&expected, &other).is_some());
        assert!(difference(&json!({}), &json!({"b": 1})).is_some());
    }
}
