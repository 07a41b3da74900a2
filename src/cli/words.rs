//! The words of `jar`, `local` and `shell`: options of ours among words that are somebody else's.
//!
//! As in Storm, our options may stand anywhere, also behind the main class; what is not ours keeps
//! its order (Storm's script since 2.0 moves options of the main class behind its other words).

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::ConfArgs;
use super::stand_in::LONG_SETTING;

/// Words, told apart.
#[derive(Debug, Default)]
pub struct Words {
    /// `-c` and `--config`.
    pub conf: ConfArgs,
    /// Other options of ours, without their dashes, with their values.
    options: Vec<(&'static str, String)>,
    pub rest: Vec<String>,
}

// === impl Words ===

impl Words {
    /// Takes what is ours: settings, `valued` options (which take a word) and `flags`. Behind `--`
    /// nothing is.
    pub fn read(
        words: &[String],
        valued: &[&'static str],
        flags: &[&'static str],
    ) -> Result<Words> {
        let mut read = Words::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, whole) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let mut value = || {
                let value = whole.clone().or_else(|| words.next().cloned());
                value.with_context(|| format!("{name} needs a value"))
            };
            let option = name.strip_prefix("--").unwrap_or_default();
            if word == "--" {
                read.rest.extend(words.cloned());
                break;
            } else if word == "-c" || word == LONG_SETTING {
                let setting = value()?;
                // `python -c TEXT` is no setting.
                if is_setting(&setting) {
                    read.conf.settings.push(setting);
                } else {
                    read.rest.extend([word.clone(), setting]);
                }
            } else if let Some(setting) = word.strip_prefix("-c").filter(|set| is_setting(set)) {
                read.conf.settings.push(setting.to_owned());
            } else if option == "config" {
                read.conf.config = Some(PathBuf::from(value()?));
            } else if let Some(known) = valued.iter().find(|known| **known == option) {
                read.options.push((known, value()?));
            } else if let Some(known) = flags.iter().find(|known| **known == option) {
                read.options.push((known, String::new()));
            } else {
                read.rest.push(word.clone());
            }
        }
        Ok(read)
    }

    /// The last value of an option; empty where it was not given.
    pub fn option(&self, name: &str) -> &str {
        let given = self.options.iter().rev().find(|(known, _)| *known == name);
        given.map_or("", |(_, value)| value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(known, _)| *known == name)
    }
}

/// `key=value` with the characters of a key.
fn is_setting(text: &str) -> bool {
    let key = text.split_once('=').map_or("", |(key, _)| key);
    let in_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !key.is_empty() && key.chars().all(in_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Words {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        Words::read(&words, &["jars", "local-ttl"], &["server"]).expect("sound")
    }

    #[test]
    fn ours_may_stand_anywhere_and_the_rest_keeps_its_order() {
        let words = read(
            "--jars a,b J M --local -c nimbus.host=h --sleep 5 --server --config=f -ca=1 \
             -storm_config_opts b=2 Y -- -c c=3",
        );
        assert_eq!(words.rest.join(" "), "J M --local --sleep 5 Y -c c=3");
        assert_eq!(words.conf.settings, ["nimbus.host=h", "a=1", "b=2"]);
        assert_eq!(words.conf.config, Some(PathBuf::from("f")));
        assert_eq!((words.option("jars"), words.has("server")), ("a,b", true));
        assert_eq!(
            (words.option("local-ttl"), words.has("local-ttl")),
            ("", false)
        );
    }

    #[test]
    fn what_is_no_setting_belongs_to_the_command() {
        let words = read("python3 -c print(1) -class x --jarsy");
        assert_eq!(words.rest.join(" "), "python3 -c print(1) -class x --jarsy");
        assert!(Words::read(&["-c".to_owned()], &[], &[]).is_err());
    }
}
