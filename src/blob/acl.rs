//! Who may do what with a blob: Storm's access lists, how they are made whole, and how they read.
//!
//! Pure. Whether they are enforced at all, and who is an administrator, is the caller's business
//! (control-plane 7; Storm's `BlobStoreAclHandler`).

use crate::wire::storm::{AccessControl, AccessControlType};

/// May read the content.
pub const READ: i32 = 1;
/// May replace the content, and delete it.
pub const WRITE: i32 = 2;
/// May change the access list.
pub const ADMIN: i32 = 4;
/// No bit implies another.
pub const ALL: i32 = READ | WRITE | ADMIN;

/// Who asks for a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visitor {
    /// Nimbus itself, its administrators, and everybody where lists are not enforced.
    Anybody,
    /// A supervisor may read everything, and otherwise what its name may.
    Supervisor(String),
    /// None: the transport knows no name.
    User(Option<String>),
}

/// Why a list or an access is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    #[error("[{user}] does not have {missing} access to {key}")]
    Missing {
        user: String,
        missing: String,
        key: String,
    },
    #[error("[{user}] does not have access to {key}")]
    NoneAtAll { user: String, key: String },
    #[error("user [{users}] can't appear more than once in the ACLs for key [{key}].")]
    Twice { users: String, key: String },
    #[error("{access} is no access: it is a sum of read 1, write 2 and admin 4")]
    UnknownBits { access: i32 },
    #[error("{0} is not a valid access control type")]
    UnknownType(String),
    #[error("Don't know how to parse {0} into an ACL value")]
    Unreadable(String),
}

// === impl Visitor ===

impl Visitor {
    /// Whether all bits of `mask` are granted.
    pub fn check(&self, acl: &[AccessControl], mask: i32, key: &str) -> Result<(), AclError> {
        let user = match self {
            Visitor::Anybody => return Ok(()),
            Visitor::Supervisor(_) if mask == READ => return Ok(()),
            other => other.user(),
        };
        let granted = acl
            .iter()
            .fold(0, |bits, entry| bits | bits_for(entry, user));
        match mask & !granted {
            0 => Ok(()),
            missing => Err(AclError::Missing {
                user: user.unwrap_or_default().to_owned(),
                missing: names(missing),
                key: key.to_owned(),
            }),
        }
    }

    /// Whether any bit is granted: then the list and the version may be seen.
    pub fn check_any(&self, acl: &[AccessControl], key: &str) -> Result<(), AclError> {
        if *self == Visitor::Anybody {
            return Ok(());
        }
        let user = self.user();
        match acl.iter().any(|entry| bits_for(entry, user) & ALL != 0) {
            true => Ok(()),
            false => Err(AclError::NoneAtAll {
                user: user.unwrap_or_default().to_owned(),
                key: key.to_owned(),
            }),
        }
    }

    fn user(&self) -> Option<&str> {
        match self {
            Visitor::Anybody => None,
            Visitor::Supervisor(user) => Some(user),
            Visitor::User(user) => user.as_deref(),
        }
    }
}

/// Makes a list whole: whoever sets it keeps the bits of `mask`, and an anonymous setter opens the
/// blob to the world. An entry without a name stands for the setter.
pub fn normalise(given: Vec<AccessControl>, user: Option<&str>, mask: i32) -> Vec<AccessControl> {
    let is_open = given
        .iter()
        .any(|entry| is_other(entry) && entry.access == ALL);
    let mut acl = given;
    acl.retain(|entry| !is_other(entry) || entry.access != 0);
    let Some(user) = user else {
        acl.retain(|entry| !is_nameless(entry));
        if !is_open {
            acl.push(world());
        }
        return acl;
    };
    let has_nameless = acl.iter().any(is_nameless);
    match acl.iter_mut().find(|entry| is_of(entry, user)) {
        Some(own) => {
            own.access |= mask;
            acl.retain(|entry| !is_nameless(entry));
        }
        None if !has_nameless => acl.push(entry_of(user, mask)),
        None => {}
    }
    let (nameless, mut named): (Vec<_>, Vec<_>) = acl.into_iter().partition(is_nameless);
    named.extend(
        nameless
            .iter()
            .map(|entry| entry_of(user, entry.access | mask)),
    );
    named
}

/// Refuses what no list may hold. `normalise` comes first.
pub fn validate(acl: &[AccessControl], key: &str) -> Result<(), AclError> {
    let mut seen = std::collections::BTreeSet::new();
    let mut twice = Vec::new();
    for entry in acl {
        if entry.type_.known().is_none() {
            return Err(AclError::UnknownType(entry.type_.as_i32().to_string()));
        }
        if entry.access & !ALL != 0 {
            return Err(AclError::UnknownBits {
                access: entry.access,
            });
        }
        let name = entry.name.as_deref().unwrap_or_default();
        if !name.is_empty() && !seen.insert(name) {
            twice.push(name);
        }
    }
    match twice.is_empty() {
        true => Ok(()),
        false => Err(AclError::Twice {
            users: twice.join(", "),
            key: key.to_owned(),
        }),
    }
}

/// The entry that gives everybody everything.
pub fn world() -> AccessControl {
    AccessControl {
        type_: AccessControlType::Other.into(),
        name: None,
        access: ALL,
    }
}

/// Reads a list of the command line: `u:alice:rwa,o::r`; also `alice:rw` and `r`.
pub fn parse(text: &str) -> Result<Vec<AccessControl>, AclError> {
    text.split(',').map(parse_entry).collect()
}

fn parse_entry(text: &str) -> Result<AccessControl, AclError> {
    let parts: Vec<&str> = text.split(':').collect();
    let (kind, name, bits) = match parts[..] {
        [bits] => ("other", "", bits),
        [name, bits] => ("user", name, bits),
        [kind, name, bits] => (kind, name, bits),
        _ => return Err(AclError::Unreadable(text.to_owned())),
    };
    let kind = match kind.to_ascii_lowercase().as_str() {
        "o" | "other" => AccessControlType::Other,
        "u" | "user" => AccessControlType::User,
        _ => return Err(AclError::UnknownType(kind.to_owned())),
    };
    let mut access = 0;
    for letter in bits.chars() {
        access |= match letter {
            'r' => READ,
            'w' => WRITE,
            'a' => ADMIN,
            '-' => 0,
            _ => return Err(AclError::Unreadable(text.to_owned())),
        };
    }
    Ok(AccessControl {
        type_: kind.into(),
        name: Some(name.to_owned()),
        access,
    })
}

/// An entry as `parse` reads it.
pub fn text(entry: &AccessControl) -> String {
    let kind = if is_other(entry) { "o" } else { "u" };
    let bit = |bit, letter| if entry.access & bit != 0 { letter } else { '-' };
    let name = entry.name.as_deref().unwrap_or_default();
    let (r, w, a) = (bit(READ, 'r'), bit(WRITE, 'w'), bit(ADMIN, 'a'));
    format!("{kind}:{name}:{r}{w}{a}")
}

fn bits_for(entry: &AccessControl, user: Option<&str>) -> i32 {
    let holds = is_other(entry) || user.is_some_and(|user| is_of(entry, user));
    if holds { entry.access } else { 0 }
}

fn is_other(entry: &AccessControl) -> bool {
    entry.type_.known() == Some(AccessControlType::Other)
}

fn is_of(entry: &AccessControl, user: &str) -> bool {
    !is_other(entry) && entry.name.as_deref() == Some(user)
}

fn is_nameless(entry: &AccessControl) -> bool {
    entry.type_.known() == Some(AccessControlType::User) && entry.name.is_none()
}

fn entry_of(user: &str, access: i32) -> AccessControl {
    AccessControl {
        type_: AccessControlType::User.into(),
        name: Some(user.to_owned()),
        access,
    }
}

/// As Storm writes them in a refusal: `[READ WRITE ]`.
fn names(mask: i32) -> String {
    let bits = [(READ, "READ "), (WRITE, "WRITE "), (ADMIN, "ADMIN ")];
    let named = bits.iter().filter(|(bit, _)| mask & bit != 0);
    let named: String = named.map(|(_, name)| *name).collect();
    format!("[{named}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(text: &str) -> Vec<AccessControl> {
        let nameless = |mut entry: AccessControl| {
            entry.name = entry.name.filter(|name| !name.is_empty());
            entry
        };
        match text {
            "" => Vec::new(),
            text => parse(text)
                .expect("a list")
                .into_iter()
                .map(nameless)
                .collect(),
        }
    }

    fn texts(acl: &[AccessControl]) -> String {
        acl.iter().map(text).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn lists_are_made_whole_as_storm_does() {
        for (given, user, mask, whole) in [
            ("", None, ALL, "o::rwa"),
            ("o::rwa,u:alice:r-a", None, ALL, "o::rwa,u:alice:r-a"),
            // What Java's submitter sends for dependencies.
            ("u::rwa,o::r", None, ALL, "o::r--,o::rwa"),
            ("u::rwa,o::r", Some("bob"), ALL, "o::r--,u:bob:rwa"),
            (
                "o::---,u:alice:r",
                Some("bob"),
                ALL,
                "u:alice:r--,u:bob:rwa",
            ),
            ("u:bob:r,u::w", Some("bob"), ALL, "u:bob:rwa"),
            ("u:bob:r", Some("bob"), ADMIN, "u:bob:r-a"),
            ("u::r", Some("bob"), ADMIN, "u:bob:r-a"),
        ] {
            let found = normalise(acl(given), user, mask);
            assert_eq!(texts(&found), whole, "{given} by {user:?}");
        }
    }

    #[test]
    fn bits_do_not_imply_one_another() {
        let list = acl("u:alice:w,u:carol:r-a,o::-");
        let user = |name: &str| Visitor::User(Some(name.to_owned()));
        let refusal = |visitor: &Visitor, mask| {
            let checked = visitor.check(&list, mask, "k");
            checked.map_err(|error| error.to_string())
        };
        assert_eq!(refusal(&user("alice"), WRITE), Ok(()));
        let text = "[alice] does not have [READ ] access to k";
        assert_eq!(refusal(&user("alice"), READ), Err(text.to_owned()));
        let text = "[] does not have [READ WRITE ADMIN ] access to k";
        assert_eq!(refusal(&Visitor::User(None), ALL), Err(text.to_owned()));
        let supervisor = Visitor::Supervisor("storm".to_owned());
        assert_eq!(refusal(&supervisor, READ), Ok(()));
        assert!(refusal(&supervisor, WRITE).is_err() && refusal(&Visitor::Anybody, ALL).is_ok());
        assert_eq!(user("carol").check_any(&list, "k"), Ok(()));
        let none = user("dave")
            .check_any(&list, "k")
            .expect_err("not in the list");
        assert_eq!(none.to_string(), "[dave] does not have access to k");
        assert_eq!(user("dave").check(&acl("o::r"), READ, "k"), Ok(()));
    }

    #[test]
    fn impossible_lists_are_refused() {
        let twice = validate(&acl("u:a:r,u:b:w,u:a:w"), "k").expect_err("twice");
        let text = "user [a] can't appear more than once in the ACLs for key [k].";
        assert_eq!(twice.to_string(), text);
        for access in [8, -1, i32::MIN] {
            let entry = AccessControl { access, ..world() };
            assert_eq!(
                validate(&[entry], "k"),
                Err(AclError::UnknownBits { access })
            );
        }
        let unknown = AccessControl {
            type_: crate::wire::Open::Unknown(9),
            ..world()
        };
        assert!(matches!(
            validate(&[unknown], "k"),
            Err(AclError::UnknownType(_))
        ));
        for text in ["u:a:x", "z:a:r", "u:a:r:w"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(
            texts(&parse("rw,bob:a").expect("short forms")),
            "o::rw-,u:bob:--a"
        );
    }
}
