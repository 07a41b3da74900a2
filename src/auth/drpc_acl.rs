//! Who may call a DRPC function and who may answer it: `drpc-auth-acl.yaml` (control-plane 8.3).
//!
//! The file is read again when its last reading is 5 s old, as Storm does. A file that cannot be
//! read is no permission: what was read before stays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::authorizer::{Target, names};
use super::identity::Subject;
use super::names::ClassError;
use super::operation::{Class, Operation};
use crate::clock;
use crate::conf::{self, Conf, keys};

/// The rules, as the file says now.
#[derive(Debug)]
pub struct DrpcAcl {
    file: String,
    /// Whether a function that the file does not name is open to everybody.
    is_lenient: bool,
    read: Mutex<Option<Reading>>,
}

#[derive(Clone, Debug)]
struct Reading {
    at_ms: u64,
    functions: Arc<BTreeMap<String, Function>>,
}

#[derive(Debug)]
struct Function {
    clients: BTreeSet<String>,
    /// The user of the topology behind it; nobody when it is missing.
    invocation: BTreeSet<String>,
}

// === impl DrpcAcl ===

impl DrpcAcl {
    pub fn new(conf: &Conf) -> Result<Self, ClassError> {
        Ok(DrpcAcl {
            file: conf.text_or(keys::DRPC_AUTHORIZER_ACL_FILENAME, "drpc-auth-acl.yaml")?,
            is_lenient: conf.flag(keys::DRPC_AUTHORIZER_ACL_STRICT)? == Some(false),
            read: Mutex::default(),
        })
    }

    pub fn permits(
        &self,
        subject: Option<&Subject>,
        operation: Operation,
        target: Target<'_>,
    ) -> bool {
        let Target::Function(function) = target else {
            return false;
        };
        let Some(functions) = self.functions(clock::monotonic_millis()) else {
            return false;
        };
        if function.is_empty() {
            return false;
        }
        let Some(rule) = functions.get(function) else {
            return self.is_lenient;
        };
        let named = match operation.class() {
            Class::Execute => &rule.clients,
            Class::Invoke => &rule.invocation,
            _ => return false,
        };
        subject.is_some_and(|subject| names(named, subject))
    }

    /// The rules; none while the file was never read.
    fn functions(&self, now_ms: u64) -> Option<Arc<BTreeMap<String, Function>>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reading) = &*read
            && now_ms.saturating_sub(reading.at_ms) < FRESH_MS
        {
            return Some(Arc::clone(&reading.functions));
        }
        match self.read_file() {
            Ok(functions) => {
                let functions = Arc::new(functions);
                *read = Some(Reading {
                    at_ms: now_ms,
                    functions: Arc::clone(&functions),
                });
                Some(functions)
            }
            Err(reason) => {
                let key = keys::DRPC_AUTHORIZER_ACL_FILENAME;
                let file = &self.file;
                tracing::warn!(file, reason, "{key}: the ACL of DRPC cannot be read");
                let kept = read.as_mut()?;
                kept.at_ms = now_ms;
                Some(Arc::clone(&kept.functions))
            }
        }
    }

    fn read_file(&self) -> Result<BTreeMap<String, Function>, String> {
        let path = conf::find(&self.file).ok_or("there is no such file")?;
        let conf = Conf::from_file(Path::new(&path)).map_err(|error| error.to_string())?;
        let functions = conf.map(keys::DRPC_AUTHORIZER_ACL).into_iter().flatten();
        Ok(functions
            .map(|(name, rule)| (name.clone(), Function::new(rule)))
            .collect())
    }
}

// === impl Function ===

impl Function {
    fn new(rule: &Value) -> Self {
        let named = |key: &str| match rule.get(key) {
            Some(Value::String(one)) => BTreeSet::from([one.clone()]),
            Some(Value::Array(all)) => {
                let all = all.iter().filter_map(Value::as_str);
                all.map(str::to_owned).collect()
            }
            _ => BTreeSet::new(),
        };
        Function {
            clients: named("client.users"),
            invocation: named("invocation.user"),
        }
    }
}

const FRESH_MS: u64 = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_who_and_is_read_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("acl.yaml");
        let write = |text: &str| std::fs::write(&path, text).expect("room");
        let conf = |strict: bool| {
            Conf::defaults()
                .with(
                    keys::DRPC_AUTHORIZER_ACL_FILENAME,
                    path.to_string_lossy().as_ref(),
                )
                .with(keys::DRPC_AUTHORIZER_ACL_STRICT, strict)
        };
        let subject = |user: &str| Subject {
            principal: user.to_owned(),
            user: user.to_owned(),
            groups: Arc::default(),
        };
        let lenient = DrpcAcl::new(&conf(false)).expect("a conf");
        let strict = DrpcAcl::new(&conf(true)).expect("a conf");
        let may = |acl: &DrpcAcl, user: &str, operation, function: &str| {
            acl.permits(Some(&subject(user)), operation, Target::Function(function))
        };
        assert!(
            !may(&lenient, "ann", Operation::Execute, "f"),
            "no file, no permission"
        );
        write(concat!(
            "drpc.authorizer.acl:\n",
            "  f: {client.users: [ann, bob], invocation.user: owner}\n",
            "  g: {client.users: [ann]}\n",
        ));
        for acl in [&lenient, &strict] {
            assert!(may(acl, "ann", Operation::Execute, "f"));
            assert!(!may(acl, "owner", Operation::Execute, "f"));
            assert!(may(acl, "owner", Operation::FetchRequest, "f"));
            assert!(!may(acl, "ann", Operation::Result, "f"));
            assert!(
                !may(acl, "ann", Operation::FailRequest, "g"),
                "nobody answers it"
            );
            assert!(!acl.permits(None, Operation::Execute, Target::Function("f")));
            assert!(!may(acl, "ann", Operation::Execute, ""));
            assert!(!acl.permits(None, Operation::GetLeader, Target::Cluster));
        }
        assert!(may(&lenient, "ann", Operation::Execute, "other"));
        assert!(!may(&strict, "ann", Operation::Execute, "other"));
        write("drpc.authorizer.acl: {f: {client.users: [bob]}}");
        let now_ms = clock::monotonic_millis();
        let later = strict.functions(now_ms + 2 * FRESH_MS).expect("a file");
        assert!(!later["f"].clients.contains("ann"));
        std::fs::remove_file(&path).expect("there");
        let kept = strict
            .functions(now_ms + 4 * FRESH_MS)
            .expect("what was read");
        assert!(kept["f"].clients.contains("bob"));
    }
}
