//! What Java's `toString` shows of a struct: the error for a missing required field quotes it.

use bytes::Bytes;

use super::{Wire, WireError};
use crate::limits;

/// A text that grows to a bound and then stops.
#[derive(Debug, Default)]
pub struct Text {
    text: String,
    full: bool,
    /// Required fields that the outermost struct lacks; taken by it.
    missing: Vec<Missing>,
    first_missing: Option<&'static str>,
}

/// A required field that was not there.
#[derive(Clone, Copy, Debug)]
pub struct Missing {
    pub id: i16,
    /// Its absence reads as empty.
    pub is_lenient: bool,
}

/// The fields of one struct.
pub struct Fields<'t> {
    text: &'t mut Text,
    missing: Vec<Missing>,
    n_shown: usize,
}

// === impl Text ===

impl Text {
    /// For a struct that lacks these required fields.
    pub(super) fn of_incomplete(missing: Vec<Missing>) -> Self {
        Text {
            missing,
            ..Text::default()
        }
    }

    pub(super) fn into_error(self) -> WireError {
        WireError::RequiredFieldMissing {
            field: self.first_missing.unwrap_or_default(),
            shown: self.text,
        }
    }

    /// The text of one value.
    pub fn of<T: Wire>(value: &T) -> String {
        let mut text = Text::default();
        value.describe(&mut text);
        text.text
    }

    /// Adds a part, unless the text is full.
    pub fn push(&mut self, part: &str) {
        if self.full {
            return;
        }
        self.full = self.text.len() + part.len() > limits::ERROR_TEXT_BYTES_MAX;
        self.text.push_str(if self.full { "..." } else { part });
    }

    /// A struct: the caller adds its fields in the order of the IDL and ends it.
    pub fn structure(&mut self, name: &str) -> Fields<'_> {
        self.push(name);
        self.push("(");
        let missing = std::mem::take(&mut self.missing);
        Fields {
            text: self,
            missing,
            n_shown: 0,
        }
    }

    /// A union in which a variant is set.
    pub fn variant<T: Wire>(&mut self, union: &str, variant: &str, value: &T) {
        for part in ["<", union, " ", variant, ":"] {
            self.push(part);
        }
        value.describe(self);
        self.push(">");
    }

    pub(super) fn sequence<'i, T: Wire + 'i>(&mut self, items: impl Iterator<Item = &'i T>) {
        self.push("[");
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.push(", ");
            }
            item.describe(self);
        }
        self.push("]");
    }

    pub(super) fn entries<'i, K: Wire + 'i, V: Wire + 'i>(
        &mut self,
        entries: impl Iterator<Item = (&'i K, &'i V)>,
    ) {
        self.push("{");
        for (index, (key, value)) in entries.enumerate() {
            if index > 0 {
                self.push(", ");
            }
            key.describe(self);
            self.push("=");
            value.describe(self);
        }
        self.push("}");
    }

    /// The first bytes in hexadecimal.
    pub(super) fn binary(&mut self, value: &Bytes) {
        let shown: Vec<String> = value
            .iter()
            .take(BINARY_BYTES_SHOWN)
            .map(|byte| format!("{byte:02X}"))
            .collect();
        self.push(&shown.join(" "));
        if value.len() > BINARY_BYTES_SHOWN {
            self.push("...");
        }
    }
}

// === impl Fields ===

impl Fields<'_> {
    pub fn required<T: Wire>(mut self, id: i16, name: &'static str, value: &T) -> Self {
        self.name(name);
        match self.missing.iter().find(|missing| missing.id == id) {
            None => value.describe(self.text),
            Some(missing) => {
                if !missing.is_lenient {
                    self.text.first_missing.get_or_insert(name);
                }
                self.text.push(T::ABSENT);
            }
        }
        self
    }

    /// As `required`, for what nobody may read: only whether it is there.
    pub fn secret<T: Wire>(mut self, id: i16, name: &'static str, value: &T) -> Self {
        if self.missing.iter().any(|missing| missing.id == id) {
            return self.required(id, name, value);
        }
        self.name(name);
        self.text.push(HIDDEN);
        self
    }

    /// As `optional`, for what nobody may read.
    pub fn optional_secret<T: Wire>(mut self, name: &'static str, value: &Option<T>) -> Self {
        if value.is_some() {
            self.name(name);
            self.text.push(HIDDEN);
        }
        self
    }

    /// A field of default requiredness is shown even when it is not set.
    pub fn plain<T: Wire>(mut self, name: &'static str, value: &Option<T>) -> Self {
        self.name(name);
        match value {
            Some(value) => value.describe(self.text),
            None => self.text.push(T::ABSENT),
        }
        self
    }

    pub fn optional<T: Wire>(self, name: &'static str, value: &Option<T>) -> Self {
        match value {
            Some(_) => self.plain(name, value),
            None => self,
        }
    }

    pub fn end(self) {
        self.text.push(")");
    }

    fn name(&mut self, name: &'static str) {
        if self.n_shown > 0 {
            self.text.push(", ");
        }
        self.n_shown += 1;
        self.text.push(name);
        self.text.push(":");
    }
}

/// Stands for a secret.
const HIDDEN: &str = "*****";
/// As many as Java shows.
const BINARY_BYTES_SHOWN: usize = 128;
