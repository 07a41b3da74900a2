//! The files that both sides read: words by a seed, of the size of storm-perf's.
//!
//! The same seed gives the same bytes on every machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Writes the file of random words: 14,049 lines, 98,436 words, about 1.08 MB.
pub fn sentences(directory: &Path) -> Result<PathBuf> {
    write(directory, "randomwords.txt", &text(N_LINES, N_WORDS))
}

/// Writes the file of long lines: 50 of at least 1,500 bytes, about 75 kB.
pub fn long_lines(directory: &Path) -> Result<PathBuf> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut long = String::new();
    for _ in 0..N_LONG_LINES {
        let start = long.len();
        while long.len() - start < LONG_LINE_BYTES {
            if long.len() > start {
                long.push(' ');
            }
            push_word(&mut long, &mut random);
        }
        long.push('\n');
    }
    write(directory, "longrandomwords.txt", &long)
}

/// Lines of about as many words each.
fn text(n_lines: usize, n_words: usize) -> String {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut text = String::new();
    for line in 0..n_lines {
        let n_before = n_words * line / n_lines;
        for word in n_before..n_words * (line + 1) / n_lines {
            if word > n_before {
                text.push(' ');
            }
            push_word(&mut text, &mut random);
        }
        text.push('\n');
    }
    text
}

/// One of `VOCABULARY` words, spelled by its number; words of 4 to 16 letters, 10 on the average.
fn push_word(text: &mut String, random: &mut fastrand::Rng) {
    let number = random.u64(..VOCABULARY);
    let mut letters = fastrand::Rng::with_seed(SEED ^ (number << 8));
    for _ in 0..letters.usize(4..=16) {
        text.push(letters.lowercase());
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

const SEED: u64 = 20;
const N_LINES: usize = 14_049;
const N_WORDS: usize = 98_436;
const VOCABULARY: u64 = 10_000;
const N_LONG_LINES: usize = 50;
const LONG_LINE_BYTES: usize = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_size_of_storm_perfs() {
        let directory = tempfile::tempdir().unwrap();
        let read = |path: Result<PathBuf>| fs::read_to_string(path.unwrap()).unwrap();
        let words = read(sentences(directory.path()));
        assert_eq!(words.lines().count(), 14_049);
        assert_eq!(words.split_whitespace().count(), 98_436);
        assert!(
            (1_040_000..1_120_000).contains(&words.len()),
            "{}",
            words.len()
        );
        assert_eq!(words, read(sentences(directory.path())));
        let long = read(long_lines(directory.path()));
        assert_eq!(long.lines().count(), 50);
        assert!(long.lines().all(|line| line.len() >= 1500));
        assert!((75_000..77_000).contains(&long.len()), "{}", long.len());
    }
}
