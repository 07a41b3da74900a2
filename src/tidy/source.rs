//! A source file as the rules see it: lines of code without comments and literals, and which of
//! them are tests.
//!
//! Not a parser: it knows comments, literals, braces and attributes, and takes well-formatted code
//! for granted. Knows no rule.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// One file below `src`.
pub struct Source {
    /// From the package's root, with `/`: `src/conf/mod.rs`.
    pub path: String,
    /// Lines as they are.
    pub raw: Vec<String>,
    /// The same lines with comments and the insides of literals as blanks.
    pub code: Vec<String>,
    /// Whether a line is test code.
    pub is_test: Vec<bool>,
}

/// `mod name;`, where and how.
pub struct ModuleLine {
    pub name: String,
    pub file: Option<String>,
    pub is_test: bool,
}

/// A function with its body, in lines from 0.
pub struct Function {
    pub name: String,
    pub lines: RangeInclusive<usize>,
}

// === impl Source ===

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let raw: Vec<_> = text.lines().map(str::to_owned).collect();
        let mut code: Vec<_> = blank(text).lines().map(str::to_owned).collect();
        code.resize(raw.len(), String::new());
        let mut source = Source {
            path: path.to_owned(),
            is_test: vec![false; raw.len()],
            raw,
            code,
        };
        source.mark_tests();
        source
    }

    /// Directories of the path and the file's own name without `.rs`, without `src` and `mod`.
    pub fn module(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let bare = inside.strip_suffix(".rs").unwrap_or(inside);
        let bare = bare.strip_suffix("/mod").unwrap_or(bare);
        bare.split('/').collect()
    }

    /// Lines of code outside tests, numbered from 0.
    pub fn live(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.iter().enumerate();
        lines
            .filter(|(at, _)| !self.is_test[*at])
            .map(|(at, line)| (at, line.as_str()))
    }

    /// The insides of the string literals that begin and end on this line.
    pub fn literals(&self, at: usize) -> Vec<&str> {
        let line = &self.raw[at];
        // Blanks stand for characters, not bytes.
        let code: Vec<_> = self.code[at].chars().collect();
        let quotes = line
            .char_indices()
            .zip(code)
            .filter(|(_, shown)| *shown == '"');
        let quotes: Vec<_> = quotes.map(|((position, _), _)| position).collect();
        let pairs = quotes.chunks_exact(2);
        pairs.map(|pair| &line[pair[0] + 1..pair[1]]).collect()
    }

    /// The modules that this file declares as files of their own.
    pub fn modules(&self) -> Vec<ModuleLine> {
        let mut found = Vec::new();
        for (at, line) in self.code.iter().enumerate() {
            let bare = line.trim();
            let Some(name) = words(bare).skip_while(|word| *word != "mod").nth(1) else {
                continue;
            };
            if bare.ends_with(';') {
                found.push(ModuleLine {
                    name: name.to_owned(),
                    file: self.path_attribute(at),
                    is_test: self.is_test[at],
                });
            }
        }
        found
    }

    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for (at, line) in self.code.iter().enumerate() {
            let Some(name) = words(line).skip_while(|word| *word != "fn").nth(1) else {
                continue;
            };
            // A type such as `fn(u8)` has no name after it that begins the parameters.
            if !line.contains(&format!("fn {name}")) {
                continue;
            }
            if let Some(end) = self.body_end(at) {
                found.push(Function {
                    name: name.to_owned(),
                    lines: at..=end,
                });
            }
        }
        found
    }

    pub fn mark_all_as_tests(&mut self) {
        self.is_test.fill(true);
    }

    /// Marks what follows `#[cfg(test)]` or `#[test]`: to the end of its braces, or its semicolon.
    fn mark_tests(&mut self) {
        for at in 0..self.code.len() {
            let line = self.code[at].trim();
            if !(line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test")) {
                continue;
            }
            let end = self.body_end(at).unwrap_or(self.code.len() - 1);
            self.is_test[at..=end].fill(true);
        }
    }

    /// The line on which the item that begins here ends: at its semicolon, or at the brace that
    /// closes its first one.
    fn body_end(&self, start: usize) -> Option<usize> {
        let mut depth = 0_usize;
        let mut parens = 0_usize;
        for (at, line) in self.code.iter().enumerate().skip(start) {
            for c in line.chars() {
                match c {
                    '(' | '[' => parens += 1,
                    ')' | ']' => parens = parens.saturating_sub(1),
                    '{' => depth += 1,
                    '}' if depth <= 1 => return Some(at),
                    '}' => depth -= 1,
                    ';' if depth == 0 && parens == 0 => return Some(at),
                    _ => {}
                }
            }
        }
        None
    }

    fn path_attribute(&self, at: usize) -> Option<String> {
        let above = self.raw[..at].iter().rev();
        let attributes = above.take_while(|line| line.trim_start().starts_with("#["));
        let path = attributes
            .filter_map(|line| line.trim().strip_prefix("#[path = \""))
            .next()?;
        Some(path.trim_end_matches("\"]").to_owned())
    }
}

/// Every `.rs` file below the folder, in order of path.
pub fn all(root: &Path) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root.join("src"), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source file is text");
        let inside = path.strip_prefix(root).expect("it is below the root");
        Source::new(&inside.to_string_lossy().replace('\\', "/"), &text)
    };
    paths.iter().map(read).collect()
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// Identifiers and keywords in their order.
pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// The text with comments and the insides of literals as blanks; lines stay where they are.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = token_end(&chars, at);
        if end == at + 1 {
            out.push(chars[at]);
        } else {
            let edge = |i: usize| i == at || i + 1 == end;
            let is_comment = chars[at] == '/';
            for (i, c) in chars.iter().enumerate().take(end).skip(at) {
                let shown = *c == '\n' || (edge(i) && !is_comment);
                out.push(if shown { *c } else { ' ' });
            }
        }
        at = end;
    }
    out
}

/// Where the comment or literal that begins here ends; one further when nothing of the kind does.
fn token_end(chars: &[char], at: usize) -> usize {
    let next = |i: usize| chars.get(at + i).copied().unwrap_or(' ');
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let starts_word = at == 0 || !is_name(chars[at - 1]);
    match chars[at] {
        '/' if next(1) == '/' => find(chars, at, &['\n']),
        '/' if next(1) == '*' => block_comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        'r' if starts_word && matches!(next(1), '"' | '#') => raw_string_end(chars, at + 1, at),
        'b' if starts_word && next(1) == '"' => string_end(chars, at + 2),
        'b' if starts_word && next(1) == 'r' && matches!(next(2), '"' | '#') => {
            raw_string_end(chars, at + 2, at)
        }
        // A quote opens a character when it closes at once, else it is a lifetime.
        '\'' if next(1) == '\\' => find(chars, at + 3, &['\'']) + 1,
        '\'' if next(2) == '\'' => at + 3,
        _ => at + 1,
    }
}

fn find(chars: &[char], from: usize, stops: &[char]) -> usize {
    let mut rest = chars.iter().skip(from);
    rest.position(|c| stops.contains(c))
        .map_or(chars.len(), |distance| from + distance)
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from;
    loop {
        at = find(chars, at, &['"', '\\']);
        match chars.get(at) {
            Some('\\') => at += 2,
            _ => return (at + 1).min(chars.len()),
        }
    }
}

/// `hashes` is where the hashes or the quote begin; `r#name` is no string.
fn raw_string_end(chars: &[char], hashes: usize, start: usize) -> usize {
    let n_hashes = chars.iter().skip(hashes).take_while(|c| **c == '#').count();
    if chars.get(hashes + n_hashes) != Some(&'"') {
        return start + 1;
    }
    let mut at = hashes + n_hashes + 1;
    loop {
        at = find(chars, at, &['"']) + 1;
        let closed = chars
            .iter()
            .skip(at)
            .take(n_hashes)
            .filter(|c| **c == '#')
            .count()
            == n_hashes;
        if at >= chars.len() || closed {
            return (at + n_hashes).min(chars.len());
        }
    }
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}
