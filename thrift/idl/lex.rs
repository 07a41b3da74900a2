//! Cuts an IDL file into words, numbers, texts and signs, and keeps doc comments with the token
//! after them. Other comments are dropped.

use std::fmt;

use super::{Doc, IdlError};

#[derive(Debug)]
pub struct Token {
    pub what: What,
    pub line: usize,
    /// Of the comment right before it.
    pub doc: Doc,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A name, with dots.
    Word(String),
    Number(String),
    Text(String),
    Sign(char),
    End,
}

pub fn tokens(file: &str, text: &str) -> Result<Vec<Token>, IdlError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut line = 1;
    let mut doc = Doc::new();
    let error = |line, what: String, fix: &str| IdlError {
        file: file.to_owned(),
        line,
        what,
        fix: fix.to_owned(),
    };
    while let Some(first) = rest.chars().next() {
        let mut what = None;
        let length = match first {
            _ if first.is_whitespace() => first.len_utf8(),
            '#' => line_length(rest),
            '/' if rest.starts_with("//") => line_length(rest),
            '/' if rest.starts_with("/*") => {
                let Some(end) = rest.find("*/") else {
                    let what = "a comment has no end".to_owned();
                    return Err(error(line, what, "close it with */"));
                };
                if rest.starts_with("/**") {
                    doc = doc_lines(rest.get(3..end).unwrap_or_default());
                }
                end + 2
            }
            '"' | '\'' => {
                let Some(end) = rest.get(1..).and_then(|inner| inner.find(first)) else {
                    let what = "a text has no end".to_owned();
                    return Err(error(line, what, "close it with the quote that opened it"));
                };
                what = Some(What::Text(rest[1..=end].to_owned()));
                end + 2
            }
            _ if first.is_ascii_digit() || first == '-' => {
                let length = length_while(rest, |c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                what = Some(What::Number(rest[..length].to_owned()));
                length
            }
            _ if first.is_ascii_alphabetic() || first == '_' => {
                let length = length_while(rest, |c| c.is_ascii_alphanumeric() || "_.".contains(c));
                what = Some(What::Word(rest[..length].to_owned()));
                length
            }
            _ if "{}()<>[]=:,;".contains(first) => {
                what = Some(What::Sign(first));
                1
            }
            _ => {
                let what = format!("'{first}' has no meaning here");
                return Err(error(line, what, "remove it"));
            }
        };
        if let Some(what) = what {
            let doc = std::mem::take(&mut doc);
            tokens.push(Token { what, line, doc });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn line_length(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

fn length_while(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

fn doc_lines(comment: &str) -> Doc {
    let lines = comment.lines().map(|line| {
        let line = line.trim();
        line.strip_prefix('*').unwrap_or(line).trim().to_owned()
    });
    let mut lines: Doc = lines.skip_while(String::is_empty).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

// === impl What ===

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Word(word) | What::Number(word) => write!(f, "'{word}'"),
            What::Text(text) => write!(f, "\"{text}\""),
            What::Sign(sign) => write!(f, "'{sign}'"),
            What::End => write!(f, "the end of the file"),
        }
    }
}
