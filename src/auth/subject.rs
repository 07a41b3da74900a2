//! The subject of a certificate as text, in the form in which Java names a TLS peer (RFC 2253).
//!
//! Reads only as far into a certificate as the subject stands; checks nothing: the handshake did.

/// `CN=alice,OU=storm,C=DE`; none when the bytes hold no subject.
pub(super) fn name(certificate: &[u8]) -> Option<String> {
    let mut parts = parts(certificate)?;
    parts.reverse();
    Some(parts.join(","))
}

/// The first attribute of that keyword (`O`, `CN`), escaped as in `name`.
pub(super) fn attribute(certificate: &[u8], keyword: &str) -> Option<String> {
    let parts = parts(certificate)?;
    let mut pairs = parts.iter().filter_map(|part| part.split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == keyword)?;
    Some(value.to_owned())
}

/// As `attribute` gives what a certificate says plainly.
pub(super) fn as_attribute(text: &str) -> String {
    escaped(text)
}

fn parts(certificate: &[u8]) -> Option<Vec<String>> {
    let certificate = Element::of(SEQUENCE, certificate)?.content;
    let mut fields = Element::of(SEQUENCE, certificate)?.content;
    let first = Element::read(fields)?;
    if first.tag == VERSION {
        fields = first.rest;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        fields = Element::read(fields)?.rest;
    }
    let mut rest = Element::of(SEQUENCE, fields)?.content;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let part = Element::of(SET, rest)?;
        parts.push(relative_name(part.content)?);
        rest = part.rest;
    }
    Some(parts)
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    /// The element with tag and length.
    whole: &'a [u8],
    content: &'a [u8],
    rest: &'a [u8],
}

// === impl Element ===

impl<'a> Element<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&tag, after_tag) = bytes.split_first()?;
        let (&first, mut after_length) = after_tag.split_first()?;
        let mut length = usize::from(first & 0x7f);
        if first & 0x80 != 0 {
            if length == 0 || length > LENGTH_BYTES_MAX {
                return None;
            }
            let (digits, after_digits) = after_length.split_at_checked(length)?;
            let add = |sum: usize, digit: &u8| sum << 8 | usize::from(*digit);
            length = digits.iter().fold(0, add);
            after_length = after_digits;
        }
        let (content, rest) = after_length.split_at_checked(length)?;
        let whole = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
        Some(Element {
            tag,
            whole,
            content,
            rest,
        })
    }

    fn of(tag: u8, bytes: &'a [u8]) -> Option<Self> {
        Element::read(bytes).filter(|element| element.tag == tag)
    }
}

/// The attributes of one level, joined by plus signs.
fn relative_name(mut attributes: &[u8]) -> Option<String> {
    let mut shown = Vec::new();
    while !attributes.is_empty() {
        let attribute = Element::of(SEQUENCE, attributes)?;
        let kind = Element::of(OBJECT_IDENTIFIER, attribute.content)?;
        let value = Element::read(kind.rest)?;
        let keyword = KEYWORDS.iter().find(|(oid, _)| *oid == kind.content);
        shown.push(match (keyword, text(&value)) {
            (Some((_, keyword)), Some(text)) => format!("{keyword}={}", escaped(&text)),
            (Some((_, keyword)), None) => format!("{keyword}=#{}", hex(value.whole)),
            (None, _) => format!("{}=#{}", dotted(kind.content), hex(value.whole)),
        });
        attributes = attribute.rest;
    }
    Some(shown.join("+"))
}

fn text(value: &Element<'_>) -> Option<String> {
    match value.tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => {
            Some(String::from_utf8_lossy(value.content).into_owned())
        }
        // One byte a character.
        T61_STRING => Some(value.content.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let (units, _) = value.content.as_chunks::<2>();
            let units: Vec<_> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            Some(String::from_utf16_lossy(&units))
        }
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let n_chars = text.chars().count();
    let mut escaped = String::with_capacity(text.len());
    for (index, char) in text.chars().enumerate() {
        let at_edge = match char {
            ' ' => index == 0 || index + 1 == n_chars,
            '#' => index == 0,
            _ => false,
        };
        if at_edge || ",+\"\\<>;".contains(char) {
            escaped.push('\\');
        }
        escaped.push(char);
    }
    escaped
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0u64;
    for byte in oid {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    // The first two numbers share the first one on the wire.
    let both = numbers.first().copied().unwrap_or_default();
    let first = (both / 40).min(2);
    let mut text = format!("{first}.{}", both - first * 40);
    for number in numbers.iter().skip(1) {
        text.push_str(&format!(".{number}"));
    }
    text
}

/// Tags of DER.
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const T61_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// No certificate is longer than 4 bytes can say.
const LENGTH_BYTES_MAX: usize = 4;

/// The attributes that RFC 2253 has words for.
const KEYWORDS: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 9], "STREET"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn subject(entries: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in entries {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        name(certificate.der()).expect("a certificate has a subject")
    }

    #[test]
    fn the_most_specific_part_comes_first() {
        let entries = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Storm"),
            (DnType::CommonName, "alice"),
        ];
        assert_eq!(subject(&entries), "CN=alice,O=Storm,C=DE");
        assert_eq!(subject(&[]), "");
    }

    #[test]
    fn what_would_be_syntax_is_escaped() {
        let entries = [(DnType::CommonName, " #a,b+\"c\" ")];
        assert_eq!(subject(&entries), "CN=\\ #a\\,b\\+\\\"c\\\"\\ ");
        let unknown = DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99999, 7]);
        assert_eq!(subject(&[(unknown, "x")]), "1.3.6.1.4.1.99999.7=#0c0178");
    }

    #[test]
    fn cut_and_changed_certificates_never_panic() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let good = certificate.der().to_vec();
        for index in 0..good.len() {
            let _ = name(&good[..index]);
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = good.clone();
                changed[index] = byte;
                let _ = name(&changed);
            }
        }
    }
}
