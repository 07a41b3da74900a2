//! Percent-encoding with a blank as `+`, as forms have it and as Java and Python write it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// As browsers and Java's `URLEncoder`: letters, digits and `.-*_` stand for themselves.
pub(crate) fn encode(text: &str) -> String {
    encoded(text, OF_JAVA)
}

/// As one part of a path, where a `+` is no blank.
pub(crate) fn encode_part(text: &str) -> String {
    encode(text).replace('+', "%20")
}

/// As Python's `quote_plus`: letters, digits and `.-~_` stand for themselves.
pub(crate) fn quote_plus(text: &str) -> String {
    encoded(text, OF_PYTHON)
}

/// What either of them made this of. What is no such encoding stands for itself, and what is no
/// UTF-8 is read lossily.
pub(crate) fn decode(encoded: &str) -> String {
    let spaced = encoded.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Blanks are left to be `+`, which both encode.
fn encoded(text: &str, set: &'static AsciiSet) -> String {
    utf8_percent_encode(text, set).to_string().replace(' ', "+")
}

/// What is encoded.
const COMMON: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b' ')
    .remove(b'.')
    .remove(b'-')
    .remove(b'_');
const OF_JAVA: &AsciiSet = &COMMON.remove(b'*');
const OF_PYTHON: &AsciiSet = &COMMON.remove(b'~');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(text in any::<String>()) {
            for encoded in [encode(&text), quote_plus(&text)] {
                prop_assert!(encoded.is_ascii());
                prop_assert_eq!(decode(&encoded), text.clone());
            }
        }
    }

    #[test]
    fn java_and_python_differ_by_two_signs() {
        let text = "aZ09 .-_*~+%/:=\u{e9}\0";
        assert_eq!(encode(text), "aZ09+.-_*%7E%2B%25%2F%3A%3D%C3%A9%00");
        assert_eq!(quote_plus(text), "aZ09+.-_%2A~%2B%25%2F%3A%3D%C3%A9%00");
    }

    #[test]
    fn what_is_no_encoding_stands_for_itself() {
        assert_eq!(decode("x+y%zz%2"), "x y%zz%2");
        assert_eq!(decode("%ff%41"), "\u{fffd}A");
    }
}
