//! The file with names and passwords that Storm's daemons and clients share: Java's login
//! configuration (control-plane 8.4).
//!
//! Reads the options of a section's entries; which module an entry names is not looked at.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::secret::Secret;
use crate::conf::{self, Conf, ConfError, keys};
use crate::limits;

/// The sections of a file.
#[derive(Debug)]
pub struct Jaas {
    path: PathBuf,
    sections: BTreeMap<String, BTreeMap<String, Secret>>,
}

/// Why there are no names and passwords.
#[derive(Debug, thiserror::Error)]
pub enum JaasError {
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error("{key} is not set: name the file with the {section} section", key = keys::JAAS_FILE)]
    Unset { section: &'static str },
    #[error("{key}: {} cannot be read: {source}", path.display(), key = keys::JAAS_FILE)]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: line {line}: {reason}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        reason: &'static str,
    },
    #[error("{}: no section {section} with {wanted}", path.display())]
    Missing {
        path: PathBuf,
        section: &'static str,
        wanted: &'static str,
    },
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(char),
}

// === impl Jaas ===

impl Jaas {
    /// The file that the configuration names; none where it names none.
    pub fn of_conf(conf: &Conf) -> Result<Option<Self>, JaasError> {
        let Some(name) = conf.text(keys::JAAS_FILE)?.filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let path = conf::find(&name).unwrap_or_else(|| PathBuf::from(&name));
        Jaas::read(&path).map(Some)
    }

    pub fn read(path: &Path) -> Result<Self, JaasError> {
        let unreadable = |source| JaasError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if mode & OTHERS != 0 {
            let file = path.display();
            tracing::warn!(%file, "passwords that other users of this machine can read: chmod 600");
        }
        let mut text = String::new();
        let mut bounded = file.take(limits::CONF_FILE_BYTES_MAX);
        bounded.read_to_string(&mut text).map_err(unreadable)?;
        let sections = sections(&text).map_err(|(line, reason)| JaasError::Syntax {
            path: path.to_owned(),
            line,
            reason,
        })?;
        Ok(Jaas {
            path: path.to_owned(),
            sections,
        })
    }

    /// Users of the server: `user_<name>="<password>"`.
    pub fn server_users(&self) -> Result<BTreeMap<String, Secret>, JaasError> {
        let options = self.sections.get(SERVER).into_iter().flatten();
        let user = |(key, password): (&String, &Secret)| {
            Some((key.strip_prefix(USER_PREFIX)?.to_owned(), password.clone()))
        };
        let users: BTreeMap<_, _> = options.filter_map(user).collect();
        if users.is_empty() {
            return Err(self.missing(SERVER, "user_<name>=\"<password>\""));
        }
        Ok(users)
    }

    /// Name and password of a client.
    pub fn client(&self) -> Result<(String, Secret), JaasError> {
        let options = self.sections.get(CLIENT);
        let named = options.and_then(|options| {
            let name = options.get("username")?;
            let name = String::from_utf8_lossy(name.expose()).into_owned();
            Some((name, options.get("password")?.clone()))
        });
        named.ok_or_else(|| self.missing(CLIENT, "username=\"...\" and password=\"...\""))
    }

    fn missing(&self, section: &'static str, wanted: &'static str) -> JaasError {
        let path = self.path.clone();
        JaasError::Missing {
            path,
            section,
            wanted,
        }
    }
}

type Sections = BTreeMap<String, BTreeMap<String, Secret>>;

/// `Name { module flag key="value" ...; ... };` as often as it comes.
fn sections(text: &str) -> Result<Sections, (usize, &'static str)> {
    let tokens = tokens(text)?;
    let mut tokens = tokens.into_iter().peekable();
    let mut sections = Sections::new();
    while let Some((line, token)) = tokens.next() {
        let name = match token {
            Token::Word(name) | Token::Quoted(name) => name,
            Token::Sign(_) => return Err((line, "the name of a section is expected")),
        };
        if !matches!(tokens.next(), Some((_, Token::Sign('{')))) {
            return Err((line, "`{` is expected after the name of a section"));
        }
        let options = sections.entry(name).or_default();
        loop {
            match tokens.next() {
                None => return Err((line, "a section has no end: `};` is expected")),
                Some((_, Token::Sign('}'))) => break,
                Some((_, Token::Sign(';'))) => {}
                Some((line, Token::Sign(_))) => return Err((line, "an option is expected")),
                Some((line, Token::Word(key) | Token::Quoted(key))) => {
                    // Without an equals sign it is the module or its flag.
                    if tokens.next_if(|(_, t)| *t == Token::Sign('=')).is_some() {
                        let Some((_, Token::Word(value) | Token::Quoted(value))) = tokens.next()
                        else {
                            return Err((line, "an option has no value"));
                        };
                        options.insert(key, Secret::from(value.as_str()));
                    }
                }
            }
        }
        tokens.next_if(|(_, token)| *token == Token::Sign(';'));
    }
    Ok(sections)
}

/// Tokens with their lines, from 1.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, (usize, &'static str)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '\n' => line += 1,
            _ if char.is_whitespace() => {}
            '/' if rest.peek() == Some(&'/') => while rest.next_if(|c| *c != '\n').is_some() {},
            '/' if rest.peek() == Some(&'*') => {
                let mut last = ' ';
                loop {
                    match rest.next() {
                        None => return Err((line, "a comment has no end")),
                        Some('/') if last == '*' => break,
                        Some(char) => {
                            line += usize::from(char == '\n');
                            last = char;
                        }
                    }
                }
            }
            '{' | '}' | ';' | '=' => found.push((line, Token::Sign(char))),
            '"' => {
                let mut text = String::new();
                loop {
                    match rest.next() {
                        None | Some('\n') => return Err((line, "a quote has no end")),
                        Some('"') => break,
                        Some('\\') => text.extend(rest.next()),
                        Some(char) => text.push(char),
                    }
                }
                found.push((line, Token::Quoted(text)));
            }
            _ => {
                let mut word = String::from(char);
                let ends = |c: &char| c.is_whitespace() || "{};=\"".contains(*c);
                while let Some(char) = rest.next_if(|c| !ends(c)) {
                    word.push(char);
                }
                found.push((line, Token::Word(word)));
            }
        }
    }
    Ok(found)
}

const SERVER: &str = "StormServer";
const CLIENT: &str = "StormClient";
const USER_PREFIX: &str = "user_";
/// Rights of the group and of everybody.
const OTHERS: u32 = 0o077;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Jaas, (usize, &'static str)> {
        let path = PathBuf::from("jaas.conf");
        sections(text).map(|sections| Jaas { path, sections })
    }

    #[test]
    fn storms_own_shape_is_read() {
        let jaas = parsed(concat!(
            "/* both\n sides */\n",
            "StormServer {\n",
            "  org.apache.storm.security.auth.digest.DigestLoginModule required // module\n",
            "  user_super=\"admin\\\"secret\"\n  user_bob=\"bob//secret\";\n};\n",
            "StormClient {\n  a.B required\n  username=\"bob\" password=\"bob//secret\";\n};\n",
        ))
        .expect("a file");
        let users = jaas.server_users().expect("users");
        assert_eq!(users.keys().collect::<Vec<_>>(), ["bob", "super"]);
        assert_eq!(users["super"].expose(), b"admin\"secret");
        let (name, password) = jaas.client().expect("a client");
        assert_eq!(
            (name.as_str(), password.expose()),
            ("bob", &b"bob//secret"[..])
        );
        assert!(!format!("{jaas:?}").contains("secret"));
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let jaas = parsed("StormServer { a.B required; };").expect("a file");
        let error = jaas.server_users().expect_err("no user").to_string();
        assert!(
            error.contains("StormServer") && error.contains("user_"),
            "{error}"
        );
        jaas.client().expect_err("no section");
        for (text, at) in [
            ("StormServer", 1),
            ("StormServer {\n a=\"b\n };", 2),
            ("\nStormServer { a.B required", 2),
            ("a { b = ; };", 1),
            ("/* no end", 1),
            ("{ }", 1),
            ("a { = \"x\" };", 1),
        ] {
            assert_eq!(parsed(text).expect_err(text).0, at, "{text}");
        }
    }
}
