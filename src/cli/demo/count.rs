//! What the demo must find: the text's own words, counted here without any topology; and what it
//! found.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::component::native::count::Totals;

/// Lines that hold words, and words, up to and with a line (from 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    pub n_lines: u64,
    pub n_words: u64,
}

/// Counts the first `n_lines_max` lines of a text as the Python components do: lines end at a line
/// feed, words at white space as Python's `str.split` sees it.
pub fn own(text: &Path, n_lines_max: u64) -> Result<Own> {
    let bytes = std::fs::read(text).with_context(|| format!("cannot read {}", text.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut own = Own {
        n_lines: 0,
        n_words: 0,
    };
    for line in text
        .split('\n')
        .take(usize::try_from(n_lines_max).unwrap_or(usize::MAX))
    {
        let n_words = line.split(is_space).filter(|word| !word.is_empty()).count() as u64;
        own.n_words += n_words;
        own.n_lines += u64::from(n_words > 0);
    }
    Ok(own)
}

/// Python also splits at the four information separators, which Unicode does not call white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The sum of what the counter's tasks have written so far.
pub fn counted(totals: &Path) -> Result<Totals> {
    let mut sum = Totals::default();
    for path in task_files(totals)? {
        let task: Totals = serde_json::from_slice(&std::fs::read(&path)?)
            .with_context(|| format!("the totals in {} cannot be read", path.display()))?;
        sum.words += task.words;
        sum.repeats += task.repeats;
        for (word, count) in task.counts {
            *sum.counts.entry(word).or_default() += count;
        }
    }
    Ok(sum)
}

/// The files `<path>.N` that a component's tasks have written, N being a task's number.
pub fn task_files(path: &Path) -> Result<Vec<PathBuf>> {
    let (dir, name) = path
        .parent()
        .zip(path.file_name())
        .context("a file in a directory")?;
    let prefix = format!("{}.", name.to_string_lossy());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let task = name.strip_prefix(&prefix);
        if task.is_some_and(|task| task.chars().all(|c| c.is_ascii_digit())) {
            files.push(path);
        }
    }
    Ok(files)
}

/// The words that occur most, most first; equals in the order of the alphabet.
pub fn top(totals: &Totals, n: usize) -> Vec<(&str, i64)> {
    let mut words: Vec<_> = totals
        .counts
        .iter()
        .map(|(word, n)| (word.as_ref(), *n))
        .collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    words.truncate(n);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_with_words_and_words_as_python_does() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("text");
        std::fs::write(&path, "a b\u{1f}c\r\n\n \u{a0}\nd\u{2003}e").expect("text");
        assert_eq!(
            own(&path, u64::MAX).expect("own"),
            Own {
                n_lines: 2,
                n_words: 5
            }
        );
        assert_eq!(
            own(&path, 1).expect("own"),
            Own {
                n_lines: 1,
                n_words: 3
            }
        );
    }
}
