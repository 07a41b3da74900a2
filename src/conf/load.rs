//! Puts a daemon's configuration together: defaults, then storm.yaml, then `-c key=value`.
//!
//! The file is the first of these: the path given; `storm.yaml` in the directory that
//! `STORM_CONF_DIR` names (that variable ends the search, whether the file is there or not);
//! `storm.yaml` in the working directory; `~/.storm/storm.yaml`. None is no error. Later changes to
//! the file are not seen.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Conf, ConfError, keys, validate, yaml};
use crate::limits;

impl Conf {
    /// The configuration of a daemon or command: defaults < file < overrides. `file` must be there
    /// when it is given; each override is `key=value` with a JSON value, else plain text. A value
    /// that breaks the rules of a known key is an error that says where it stands.
    pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Conf, ConfError> {
        let found = match file {
            Some(path) => Some(path.to_owned()),
            None => default_file(&Surroundings::of_process()),
        };
        let mut conf = Conf::defaults();
        if let Some(path) = found {
            tracing::info!(file = %path.display(), "configuration read");
            conf = conf.overlay(&read_file(&path)?);
        }
        Ok(conf.overlay(&read_overrides(overrides)?))
    }

    /// What `KEY=VALUE` texts say, with no defaults below them.
    pub fn from_settings(settings: &[String]) -> Result<Conf, ConfError> {
        read_overrides(settings)
    }

    /// What one file says, with no defaults below it.
    pub fn from_file(file: &Path) -> Result<Conf, ConfError> {
        read_file(file)
    }
}

/// A file that a configuration names without a directory: it lies where storm.yaml would.
pub fn find(name: &str) -> Option<PathBuf> {
    if Path::new(name).is_absolute() {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    found(&Surroundings::of_process(), name)
}

/// Where a file may be found without being named.
struct Surroundings {
    conf_dir: Option<PathBuf>,
    working_dir: PathBuf,
    home: Option<PathBuf>,
}

impl Surroundings {
    fn of_process() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Surroundings {
            conf_dir: path("STORM_CONF_DIR").map(PathBuf::from),
            working_dir: PathBuf::from("."),
            home: path("HOME").map(PathBuf::from),
        }
    }
}

fn default_file(around: &Surroundings) -> Option<PathBuf> {
    found(around, FILE_NAME)
}

fn found(around: &Surroundings, name: &str) -> Option<PathBuf> {
    let candidates = match &around.conf_dir {
        Some(dir) => vec![dir.join(name)],
        None => {
            let mut places = vec![around.working_dir.join(name)];
            places.extend(
                around
                    .home
                    .iter()
                    .map(|home| home.join(".storm").join(name)),
            );
            places
        }
    };
    candidates.into_iter().find(|path| path.is_file())
}

fn read_file(path: &Path) -> Result<Conf, ConfError> {
    let unreadable = |source| ConfError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(limits::CONF_FILE_BYTES_MAX + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(unreadable)?;
    if bytes.len() as u64 > limits::CONF_FILE_BYTES_MAX {
        return Err(ConfError::TooLarge {
            path: path.to_owned(),
            bytes: path
                .metadata()
                .map_or(bytes.len() as u64, |file| file.len()),
            limit: limits::CONF_FILE_BYTES_MAX,
        });
    }
    let text = String::from_utf8(bytes).map_err(|error| ConfError::Yaml {
        path: path.to_owned(),
        line: lines_before(&error),
        column: 0,
        reason: "not UTF-8; save the file as UTF-8".to_owned(),
    })?;
    let entries = yaml::map(&text).map_err(|error| ConfError::Yaml {
        path: path.to_owned(),
        line: error.line,
        column: error.column,
        reason: error.reason,
    })?;
    let conf = Conf::from(entries);
    check(&conf, |key| match yaml::line_of(&text, key) {
        Some(line) => format!("{}: line {line}", path.display()),
        None => path.display().to_string(),
    })?;
    Ok(conf)
}

/// The line, from 1, on which the first byte that is no text stands.
fn lines_before(error: &std::string::FromUtf8Error) -> u64 {
    let good = error.utf8_error().valid_up_to();
    let newlines = error
        .as_bytes()
        .iter()
        .take(good)
        .filter(|byte| **byte == b'\n');
    1 + newlines.count() as u64
}

fn read_overrides(overrides: &[String]) -> Result<Conf, ConfError> {
    let mut entries = Map::new();
    for text in overrides {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => (key.trim(), value),
            _ => return Err(ConfError::Override { text: text.clone() }),
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        entries.insert(key.to_owned(), value);
    }
    let conf = Conf::from(entries);
    check(&conf, |_| "-c".to_owned())?;
    Ok(conf)
}

fn check(conf: &Conf, origin: impl Fn(&str) -> String) -> Result<(), ConfError> {
    for (key, value) in conf.iter() {
        let Some(known) = keys::find(key) else {
            continue;
        };
        if let Err(violation) = validate::daemon_value(known, value) {
            return Err(ConfError::Invalid {
                origin: origin(key),
                key: key.to_owned(),
                reason: violation.to_string().trim_end_matches('.').to_owned(),
                meaning: known.meaning.trim(),
            });
        }
    }
    Ok(())
}

const FILE_NAME: &str = "storm.yaml";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, text).expect("a file");
        (dir, path)
    }

    fn failure(text: &[u8]) -> String {
        let (_dir, path) = file(text);
        let error = Conf::load(Some(&path), &[]).expect_err("the file is bad");
        error
            .to_string()
            .replace(&path.display().to_string(), "storm.yaml")
    }

    #[test]
    fn overrides_beat_the_file_and_the_file_beats_the_defaults() {
        let (_dir, path) = file(b"ui.port: 9000\nnimbus.thrift.port: 7000\n");
        let overrides = ["ui.port=9001".to_owned(), "my.text=a=b".to_owned()];
        let conf = Conf::load(Some(&path), &overrides).expect("a configuration");
        assert_eq!(conf.int(keys::UI_PORT).expect("a number"), Some(9001));
        assert_eq!(
            conf.int(keys::NIMBUS_THRIFT_PORT).expect("a number"),
            Some(7000)
        );
        assert_eq!(conf.int(keys::DRPC_PORT).expect("a number"), Some(3772));
        assert_eq!(conf.text("my.text").expect("text"), Some("a=b".to_owned()));
    }

    #[test]
    fn override_values_are_json_or_text() {
        let texts = ["a=[1,2]", "b=true", "c=x y", "d=", "e=\"3\""].map(str::to_owned);
        let conf = read_overrides(&texts).expect("overrides");
        assert_eq!(
            conf.to_json(),
            r#"{"a":[1,2],"b":true,"c":"x y","d":"","e":"3"}"#
        );
        for bad in ["novalue", "=x", " =x"] {
            assert!(read_overrides(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_place_that_has_a_file_wins() {
        let (dir, path) = file(b"");
        let home = tempfile::tempdir().expect("a home");
        fs::create_dir(home.path().join(".storm")).expect("a directory");
        let at_home = home.path().join(".storm").join(FILE_NAME);
        fs::write(&at_home, b"").expect("a file");
        let mut around = Surroundings {
            conf_dir: None,
            working_dir: dir.path().to_owned(),
            home: Some(home.path().to_owned()),
        };
        assert_eq!(default_file(&around), Some(path.clone()));
        fs::remove_file(&path).expect("removed");
        assert_eq!(default_file(&around), Some(at_home));
        around.conf_dir = Some(dir.path().to_owned());
        assert_eq!(default_file(&around), None);
    }

    #[test]
    fn errors_name_file_line_key_and_fix() {
        let wrong = failure(b"# ports\nnimbus.thrift.port: many\n");
        assert!(
            wrong.starts_with("storm.yaml: line 2: nimbus.thrift.port: "),
            "{wrong}"
        );
        assert!(wrong.contains("Correct the value"), "{wrong}");
        assert!(wrong.contains("within type range. Its meaning"), "{wrong}");
        let broken = failure(b"a: 1\nb: [1\n");
        assert!(broken.starts_with("storm.yaml: line "), "{broken}");
        assert!(failure(b"a: 1\nb: \xff\n").starts_with("storm.yaml: line 2, "));
        let absent = Conf::load(Some(Path::new("/nowhere/storm.yaml")), &[]);
        assert!(
            absent
                .expect_err("absent")
                .to_string()
                .contains("/nowhere/storm.yaml")
        );
    }

    #[test]
    fn a_giant_file_is_refused_unread() {
        let comment = vec![b'#'; limits::CONF_FILE_BYTES_MAX as usize + 1];
        assert!(failure(&comment).contains("at most"));
    }
}
