//! Identifiers as types of their own: no bare `i32` task or `String` topology crosses a function.
//!
//! Holds no rules about what a valid name is (`topology::validate`) or how tasks are numbered
//! (`topology::tasks`).

use std::fmt;
use std::sync::Arc;

use crate::percent;

/// A topology's id: name, counter and launch second (`words-1-1700000000`). Never its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopologyId(pub Arc<str>);

/// A component's id, as the user declared it or as Storm reserves it (`__acker`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId(pub Arc<str>);

/// A stream's id within its component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub Arc<str>);

/// A supervisor's id. Storm calls it node; it is not a host name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub Arc<str>);

/// A numbered instance of a component, from 1; -1 is the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub i32);

/// A run of tasks of one component that execute in turn: `[first, last]`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutorId {
    pub first: TaskId,
    pub last: TaskId,
}

/// A place for one worker process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub node: NodeId,
    pub port: u16,
}

// === impl TopologyId ===

impl TopologyId {
    /// Key of the blob that holds the submitted jar.
    pub fn jar_key(&self) -> String {
        format!("{self}-stormjar.jar")
    }

    /// Key of the blob that holds the user's topology, gzipped Thrift.
    pub fn code_key(&self) -> String {
        format!("{self}-stormcode.ser")
    }

    /// Key of the blob that holds the whole configuration, gzipped JSON.
    pub fn conf_key(&self) -> String {
        format!("{self}-stormconf.ser")
    }
}

// === impl TaskId ===

impl TaskId {
    /// The source of ticks and other tuples that no component emitted.
    pub const SYSTEM: TaskId = TaskId(-1);
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl ExecutorId ===

impl ExecutorId {
    pub fn new(first: TaskId, last: TaskId) -> Self {
        ExecutorId { first, last }
    }

    pub fn tasks(self) -> impl Iterator<Item = TaskId> + Clone {
        (self.first.0..=self.last.0).map(TaskId)
    }

    pub fn contains(self, task: TaskId) -> bool {
        self.first <= task && task <= self.last
    }
}

impl fmt::Display for ExecutorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}-{}]", self.first, self.last)
    }
}

// === impl Slot ===

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node, self.port)
    }
}

macro_rules! text_id {
    ($($name:ident),*) => {$(
        impl $name {
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                $name(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_id!(TopologyId, ComponentId, StreamId, NodeId);

/// The generation of a worker: the epoch of the assignment that it was started for, and how often
/// its node had started one of the topology in that epoch.
pub fn generation(epoch: i64, count: i64) -> i64 {
    epoch << LAUNCH_COUNT_BITS | count
}

/// The epoch in a generation.
pub fn epoch_of(generation: i64) -> i64 {
    generation >> LAUNCH_COUNT_BITS
}

/// Room for a million launches in one epoch, and for more epochs than there are microseconds in a
/// century.
const LAUNCH_COUNT_BITS: u32 = 20;

/// An id as one path component: letters, digits and `.-*_` stand for themselves, a blank is `+`,
/// all else is percent-encoded as Java's `URLEncoder` does it. `.` and `..` cannot result.
pub fn file_name(id: &str) -> String {
    match id {
        "." | ".." => id.replace('.', "%2E"),
        _ => percent::encode(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::{self, Tally};

    #[test]
    fn golden_blob_keys() {
        let mut tally = Tally::new("config/conversions (blob_keys)");
        for line in fixtures::lines("config/conversions.jsonl") {
            if line["kind"] != "blob_keys" {
                continue;
            }
            let id = TopologyId::from(line["topology_id"].as_str().expect("an id"));
            let equal = line["stormjar_key"] == id.jar_key()
                && line["stormcode_key"] == id.code_key()
                && line["stormconf_key"] == id.conf_key();
            tally.case(equal, || line.to_string());
        }
        tally.finish(0);
    }

    #[test]
    fn ids_become_single_components() {
        for (id, name) in [
            ("words-1-1700000000", "words-1-1700000000"),
            ("two words", "two+words"),
            ("../etc", "..%2Fetc"),
            ("..", "%2E%2E"),
            ("h\u{e9}", "h%C3%A9"),
            ("a\0b", "a%00b"),
        ] {
            assert_eq!(file_name(id), name);
        }
    }
}
