//! Acks and fails as adapters write them: most of what bolts' children say, read without an
//! allocation.
//!
//! Takes what it is sure of, and leaves everything else to `message`, which knows all that Storm's
//! reader lets pass.

use crate::component::multilang::Serializer;

/// What became of a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub outcome: Outcome,
    /// As we wrote it to the child.
    pub id: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ack,
    Fail,
}

// === impl Answer ===

impl Answer {
    /// From a message without its framing: an object of `command` and `id` alone, nothing escaped.
    pub fn read(serializer: Serializer, bytes: &[u8]) -> Option<Self> {
        if serializer != Serializer::Json {
            return None;
        }
        let mut rest = Rest(bytes);
        let (mut outcome, mut id) = (None, None);
        let mut before = b'{';
        for _ in 0..2 {
            rest.take(before)?;
            before = b',';
            let key = rest.text()?;
            rest.take(b':')?;
            match key {
                b"command" if outcome.is_none() => outcome = Some(Outcome::of(rest.text()?)?),
                b"id" if id.is_none() => id = Some(rest.id()?),
                _ => return None,
            }
        }
        rest.take(b'}')?;
        let (outcome, id) = (outcome?, id?);
        rest.has_ended().then_some(Answer { outcome, id })
    }
}

// === impl Outcome ===

impl Outcome {
    fn of(command: &[u8]) -> Option<Self> {
        match command {
            b"ack" => Some(Outcome::Ack),
            b"fail" => Some(Outcome::Fail),
            _ => None,
        }
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

// === impl Rest ===

impl<'a> Rest<'a> {
    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn has_ended(&mut self) -> bool {
        self.skip_blanks();
        self.0.is_empty()
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        self.skip_blanks();
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        (*byte == wanted).then_some(())
    }

    /// A text in double quotes.
    fn text(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let end = self
            .0
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        self.take(b'"')?;
        Some(text)
    }

    /// Adapters that keep ids as numbers send them back as numbers.
    fn id(&mut self) -> Option<i64> {
        self.skip_blanks();
        let digits = match self.0.first()? {
            b'"' => self.text()?,
            _ => {
                let is_digit = |byte: &u8| matches!(byte, b'-' | b'0'..=b'9');
                let end = self.0.iter().position(|byte| !is_digit(byte))?;
                let (digits, rest) = self.0.split_at_checked(end)?;
                self.0 = rest;
                digits
            }
        };
        number(digits)
    }
}

/// Of as many digits as the numbers have that we give out.
fn number(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > DIGITS_MAX {
        return None;
    }
    let mut value = 0u64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    match is_negative {
        true => 0i64.checked_sub_unsigned(value),
        false => i64::try_from(value).ok(),
    }
}

/// Any number of so many digits has 64 bits, any of 63 bits no more digits.
const DIGITS_MAX: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::multilang::message::id_text;
    use crate::component::multilang::{Command, FromChild};

    fn read(text: &str) -> Option<Answer> {
        Answer::read(Serializer::Json, text.as_bytes())
    }

    #[test]
    fn answers_are_those_that_the_whole_reader_reads() {
        for text in [
            r#"{"command": "ack", "id": "-8846744073709551615"}"#,
            r#"{"id":"17","command":"fail"}"#,
            "{ \"command\" :\n\"ack\" , \"id\" : 42 }\r\n",
            r#"{"command":"fail","id":-7}"#,
            r#"{"command":"ack","id":"007"}"#,
            r#"{"command":"ack","id":"9223372036854775807"}"#,
            r#"{"command":"ack","id":-9223372036854775808}"#,
        ] {
            let answer = read(text).unwrap_or_else(|| panic!("{text}"));
            let message = FromChild::read(Serializer::Json, text.as_bytes()).unwrap();
            let command = match answer.outcome {
                Outcome::Ack => Command::Ack,
                Outcome::Fail => Command::Fail,
            };
            assert_eq!(message.command, command, "{text}");
            let id = message.id.and_then(id_text).unwrap();
            assert_eq!(id.parse(), Ok(answer.id), "{text}");
        }
    }

    #[test]
    fn everything_else_is_left_alone() {
        for text in [
            "",
            "{}",
            "[1]",
            r#"{"command":"ack"}"#,
            r#"{"command":"ack","id":null}"#,
            r#"{"command":"ack","id":"x"}"#,
            r#"{"command":"ack","id":"1","id":"2"}"#,
            r#"{"command":"ack","command":"ack"}"#,
            r#"{"command":"ack","id":"1","more":1}"#,
            r#"{"command":"ack","id":"1"} more"#,
            r#"{"command":"ack","id":1.5}"#,
            r#"{"command":"ack","id":"99999999999999999999"}"#,
            r#"{"command":"ack","id":"9223372036854775808"}"#,
            r#"{"command":"ack","id":"-9223372036854775809"}"#,
            r#"{"command":"ack","id":"-"}"#,
            r#"{"command":"ack","id":""}"#,
            r#"{"command":"ack","id":"1 "}"#,
            r#"{"command":"a\u0063k","id":"1"}"#,
            r#"{'command':'ack','id':'1'}"#,
            r#"{"command":"emit","id":"1"}"#,
            r#"{"command":"ack","id":"1""#,
            r#"{"command":"ack","id":1"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        let message_pack = Answer::read(Serializer::MessagePack, br#"{"command":"ack","id":1}"#);
        assert_eq!(message_pack, None);
    }
}
