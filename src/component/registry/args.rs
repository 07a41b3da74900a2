//! Reads the arguments of a built-in component, one after another, and says what is wrong with
//! them.

use crate::tuple::Value;
use crate::wire::storm::JavaObjectArg;

/// Arguments of which some are read.
pub struct Args<'a> {
    args: &'a [JavaObjectArg],
    position: usize,
}

/// An argument that is absent, one too many, or not what the component expects there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    #[error("argument {position} is missing: {expected}")]
    Missing { position: usize, expected: String },
    #[error("argument {position} is {found}, expected {expected}")]
    Type {
        position: usize,
        expected: String,
        found: &'static str,
    },
    #[error("argument {position}: {reason}")]
    Value { position: usize, reason: String },
    #[error("{given} arguments, there are at most {at_most}")]
    TooMany { given: usize, at_most: usize },
}

// === impl Args ===

impl<'a> Args<'a> {
    pub fn new(args: &'a [JavaObjectArg]) -> Self {
        Args { args, position: 0 }
    }

    /// A text. `meaning` completes "expected a text, ...".
    pub fn text(&mut self, meaning: &str) -> Result<String, ArgumentError> {
        self.required("a text", meaning, Args::optional_text)
    }

    pub fn whole(&mut self, meaning: &str) -> Result<i64, ArgumentError> {
        self.required("a whole number", meaning, Args::optional_whole)
    }

    /// A whole number that is not negative.
    pub fn count(&mut self, meaning: &str) -> Result<u64, ArgumentError> {
        self.required("a whole number", meaning, Args::optional_count)
    }

    /// A text, or nothing where the arguments end.
    pub fn optional_text(&mut self, meaning: &str) -> Result<Option<String>, ArgumentError> {
        self.read("a text", meaning, |arg| match arg {
            JavaObjectArg::StringArg(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub fn optional_flag(&mut self, meaning: &str) -> Result<Option<bool>, ArgumentError> {
        self.read("true or false", meaning, |arg| match arg {
            JavaObjectArg::BoolArg(flag) => Some(*flag),
            _ => None,
        })
    }

    pub fn optional_whole(&mut self, meaning: &str) -> Result<Option<i64>, ArgumentError> {
        self.read("a whole number", meaning, |arg| match arg {
            JavaObjectArg::IntArg(value) => Some(i64::from(*value)),
            JavaObjectArg::LongArg(value) => Some(*value),
            _ => None,
        })
    }

    pub fn optional_count(&mut self, meaning: &str) -> Result<Option<u64>, ArgumentError> {
        let Some(value) = self.optional_whole(meaning)? else {
            return Ok(None);
        };
        let count = u64::try_from(value);
        count
            .map(Some)
            .map_err(|_| self.refused(format!("{value} is negative: {meaning}")))
    }

    /// A value of any type.
    pub fn value(&mut self, meaning: &str) -> Result<Value, ArgumentError> {
        self.required("a value", meaning, |args, meaning| {
            args.read("a value", meaning, |arg| {
                Some(match arg {
                    JavaObjectArg::IntArg(value) => Value::Int(*value),
                    JavaObjectArg::LongArg(value) => Value::Long(*value),
                    JavaObjectArg::StringArg(text) => Value::Str(text.as_str().into()),
                    JavaObjectArg::BoolArg(flag) => Value::Bool(*flag),
                    JavaObjectArg::BinaryArg(bytes) => Value::Bytes(bytes.clone()),
                    JavaObjectArg::DoubleArg(value) => Value::Double(*value),
                    JavaObjectArg::Unset => return None,
                })
            })
        })
    }

    /// The argument that was just read does not do.
    pub fn refused(&self, reason: impl ToString) -> ArgumentError {
        ArgumentError::Value {
            position: self.position,
            reason: reason.to_string(),
        }
    }

    /// All that were not read.
    pub fn rest(&mut self) -> Vec<JavaObjectArg> {
        let rest = self.args.get(self.position..).unwrap_or_default().to_vec();
        self.position = self.position.max(self.args.len());
        rest
    }

    /// Nothing may be left over.
    pub fn finish(self) -> Result<(), ArgumentError> {
        match self.args.len() {
            given if given > self.position => Err(ArgumentError::TooMany {
                given,
                at_most: self.position,
            }),
            _ => Ok(()),
        }
    }

    fn required<T>(
        &mut self,
        kind: &str,
        meaning: &str,
        read: impl FnOnce(&mut Self, &str) -> Result<Option<T>, ArgumentError>,
    ) -> Result<T, ArgumentError> {
        let position = self.position + 1;
        read(self, meaning)?.ok_or_else(|| ArgumentError::Missing {
            position,
            expected: format!("{kind}, {meaning}"),
        })
    }

    fn read<T>(
        &mut self,
        kind: &str,
        meaning: &str,
        convert: impl FnOnce(&JavaObjectArg) -> Option<T>,
    ) -> Result<Option<T>, ArgumentError> {
        let arg = self.args.get(self.position);
        // An argument that may be absent still has its place.
        self.position += 1;
        let Some(arg) = arg else { return Ok(None) };
        convert(arg).map(Some).ok_or_else(|| ArgumentError::Type {
            position: self.position,
            expected: format!("{kind}, {meaning}"),
            found: found(arg),
        })
    }
}

fn found(arg: &JavaObjectArg) -> &'static str {
    match arg {
        JavaObjectArg::Unset => "unset",
        JavaObjectArg::IntArg(_) => "an int",
        JavaObjectArg::LongArg(_) => "a long",
        JavaObjectArg::StringArg(_) => "a text",
        JavaObjectArg::BoolArg(_) => "a bool",
        JavaObjectArg::BinaryArg(_) => "bytes",
        JavaObjectArg::DoubleArg(_) => "a double",
    }
}
