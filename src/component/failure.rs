//! The one error type of component code: a message and its causes, made from any error by `?`.
//!
//! Nobody branches on it: the worker fails the tuple and reports the text.

use std::error::Error;
use std::fmt;

/// Why a call of a spout or a bolt did not succeed. One pointer wide.
pub struct ComponentFailure(Box<Inner>);

struct Inner {
    message: String,
    causes: Vec<String>,
}

// === impl ComponentFailure ===

impl ComponentFailure {
    pub fn new(message: impl Into<String>) -> Self {
        ComponentFailure(Box::new(Inner {
            message: message.into(),
            causes: Vec::new(),
        }))
    }

    /// What was attempted, put before what is already said.
    pub fn context(mut self, attempted: impl fmt::Display) -> Self {
        let cause = std::mem::replace(&mut self.0.message, attempted.to_string());
        self.0.causes.insert(0, cause);
        self
    }

    /// The outermost message, without its causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Message and causes, a line each: the text of the reported error.
    pub fn detail(&self) -> String {
        let mut text = self.0.message.clone();
        for cause in &self.0.causes {
            text.push_str("\nCaused by: ");
            text.push_str(cause);
        }
        text
    }
}

// Not an `Error` itself: the blanket conversion below would then overlap with the identity.
impl<E: Error> From<E> for ComponentFailure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        ComponentFailure(Box::new(Inner {
            message: error.to_string(),
            causes,
        }))
    }
}

impl fmt::Display for ComponentFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for cause in &self.0.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ComponentFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_message_and_causes_apart() {
        let number: std::result::Result<i32, _> = "x".parse();
        let failure = ComponentFailure::from(number.unwrap_err()).context("reading the count");
        assert_eq!(failure.message(), "reading the count");
        assert_eq!(
            failure.to_string(),
            "reading the count: invalid digit found in string"
        );
        assert_eq!(
            failure.detail(),
            "reading the count\nCaused by: invalid digit found in string"
        );
    }
}
