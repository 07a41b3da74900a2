//! What can be wrong with a topology as its builder was told, each with its remedy.
//!
//! Storm finds some of it at submit and some when tuples flow; here all of it is found before
//! anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{Draft, Input};
use crate::component::window::WindowError;
use crate::conf::{Conf, validate};
use crate::topology::{self, InvalidTopology};
use crate::wire::storm::{GlobalStreamId, Grouping};

/// A topology that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// At least one, in the order of the components.
    pub mistakes: Vec<Mistake>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("there are two components `{component}`: give one of them another id")]
    DuplicateComponent { component: String },
    #[error("component `{component}`: ids that begin with `__` are Storm's, choose another")]
    ReservedComponent { component: String },
    #[error(
        "component `{component}` has {given} executors: give it from 1 to {}",
        i32::MAX
    )]
    Parallelism { component: String, given: usize },
    #[error("component `{component}` declares the stream `{stream}` twice: name its fields once")]
    DuplicateStream { component: String, stream: String },
    #[error("component `{component}`: stream ids that begin with `__` are Storm's: `{stream}`")]
    ReservedStream { component: String, stream: String },
    #[error(
        "component `{component}` has two fields `{field}` on its stream `{stream}`: rename one"
    )]
    DuplicateField {
        component: String,
        stream: String,
        field: String,
    },
    #[error(
        "component `{component}` subscribes to `{source_id}`, which is no component: there are \
         {known}"
    )]
    UnknownSource {
        component: String,
        source_id: String,
        known: Names,
    },
    #[error(
        "component `{component}` subscribes to the stream `{stream}` of `{source_id}`, which \
         declares {declared}: declare it there by `output_fields` or `stream`"
    )]
    UnknownStream {
        component: String,
        source_id: String,
        stream: String,
        declared: Names,
    },
    #[error(
        "component `{component}` groups by the field `{field}`, which the stream `{stream}` of \
         `{source_id}` has not: it has {fields}"
    )]
    UnknownField {
        component: String,
        source_id: String,
        stream: String,
        field: String,
        fields: Names,
    },
    #[error(
        "component `{component}` subscribes to the stream `{stream}` of `{source_id}` twice: \
         a stream has one grouping for each subscriber"
    )]
    DuplicateInput {
        component: String,
        source_id: String,
        stream: String,
    },
    #[error(
        "component `{component}` takes the stream `{stream}` of `{source_id}` by direct grouping: \
         declare it there by `direct_stream`"
    )]
    NotDirect {
        component: String,
        source_id: String,
        stream: String,
    },
    #[error(
        "component `{component}` takes the direct stream `{stream}` of `{source_id}`, where each \
         emit names its task: take it by `direct_grouping`"
    )]
    DirectOnly {
        component: String,
        source_id: String,
        stream: String,
    },
    #[error("component `{component}` groups by no fields: name some, or use `global_grouping`")]
    NoFields { component: String },
    #[error("component `{component}`: ticks come in whole seconds, from 1, not each {interval:?}")]
    TickInterval {
        component: String,
        interval: Duration,
    },
    #[error(
        "component `{component}` sets `{key}`, which Storm does not take from a component: set it \
         for the topology"
    )]
    TopologyWide { component: String, key: String },
    #[error(
        "the setting `{key}` cannot be {value}: {what}; change it where the topology is built, or \
         give `-c {key}=...`"
    )]
    Setting {
        key: String,
        value: String,
        what: String,
    },
    #[error("tuple trees fail after whole seconds, from 1, not after {timeout:?}")]
    MessageTimeout { timeout: Duration },
    #[error("component `{component}`: {error}")]
    Window {
        component: String,
        error: WindowError,
    },
    /// What Nimbus would answer.
    #[error("{0}")]
    Refused(String),
}

/// Names for an error: what there is to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<String>);

/// Settings of the topology that Nimbus would refuse.
pub(super) fn of_settings(conf: &Conf) -> Vec<Mistake> {
    let wrong = conf.iter().filter_map(|(key, value)| {
        let alone = Conf::new().with(key, value.clone());
        let violation = validate::topology(&alone).err()?;
        Some(Mistake::Setting {
            key: key.to_owned(),
            value: value.to_string(),
            what: violation.to_string(),
        })
    });
    wrong.collect()
}

/// Everything wrong that the components themselves show.
pub(super) fn find(drafts: &[Draft]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut ids = BTreeSet::new();
    for draft in drafts {
        let component = || draft.id.clone();
        if !ids.insert(draft.id.as_str()) {
            let component = component();
            mistakes.push(Mistake::DuplicateComponent { component });
        }
        if topology::is_system_id(&draft.id) {
            let component = component();
            mistakes.push(Mistake::ReservedComponent { component });
        }
        if draft.parallelism == 0 || i32::try_from(draft.parallelism).is_err() {
            mistakes.push(Mistake::Parallelism {
                component: component(),
                given: draft.parallelism,
            });
        }
        mistakes.extend(of_streams(draft));
        mistakes.extend(draft.mistakes.iter().cloned());
        mistakes.extend(of_inputs(draft, drafts));
    }
    mistakes
}

/// Windows that make no sense in a topology of this conf.
pub(super) fn of_windows(drafts: &[Draft], conf: &Conf) -> Vec<Mistake> {
    let conf = Conf::defaults().overlay(conf);
    let mut mistakes = Vec::new();
    for draft in drafts {
        let Some(window) = &draft.window else {
            continue;
        };
        let streams = draft.streams.iter().map(|(stream, _)| stream.as_str());
        if let Err(error) = window.check(&conf.overlay(&draft.conf), streams) {
            let component = draft.id.clone();
            mistakes.push(Mistake::Window { component, error });
        }
    }
    mistakes
}

fn of_streams(draft: &Draft) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut declared = BTreeSet::new();
    for (stream, info) in &draft.streams {
        let (component, stream) = (draft.id.clone(), stream.clone());
        if topology::is_system_id(&stream) {
            let (component, stream) = (component.clone(), stream.clone());
            mistakes.push(Mistake::ReservedStream { component, stream });
        }
        let mut fields = BTreeSet::new();
        if let Some(field) = info.output_fields.iter().find(|f| !fields.insert(*f)) {
            mistakes.push(Mistake::DuplicateField {
                component: component.clone(),
                stream: stream.clone(),
                field: field.clone(),
            });
        }
        if !declared.insert(stream.clone()) {
            mistakes.push(Mistake::DuplicateStream { component, stream });
        }
    }
    mistakes
}

fn of_inputs(draft: &Draft, drafts: &[Draft]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut taken = BTreeMap::new();
    for input in &draft.inputs {
        if taken.insert(&input.stream, ()).is_some() {
            let (component, source_id, stream) = named(draft, &input.stream);
            mistakes.push(Mistake::DuplicateInput {
                component,
                source_id,
                stream,
            });
        }
        mistakes.extend(of_input(draft, input, drafts));
    }
    mistakes
}

fn of_input(draft: &Draft, input: &Input, drafts: &[Draft]) -> Option<Mistake> {
    let (component, source_id, stream) = named(draft, &input.stream);
    let Some(source) = drafts.iter().find(|other| other.id == source_id) else {
        let known = Names::new(drafts.iter().map(|draft| &draft.id));
        return Some(Mistake::UnknownSource {
            component,
            source_id,
            known,
        });
    };
    let Some((_, info)) = source.streams.iter().find(|(id, _)| *id == stream) else {
        let declared = Names::new(source.streams.iter().map(|(id, _)| id));
        return Some(Mistake::UnknownStream {
            component,
            source_id,
            stream,
            declared,
        });
    };
    let is_direct = matches!(input.grouping, Grouping::Direct(_));
    match (is_direct, info.direct) {
        (true, false) => {
            return Some(Mistake::NotDirect {
                component,
                source_id,
                stream,
            });
        }
        (false, true) => {
            return Some(Mistake::DirectOnly {
                component,
                source_id,
                stream,
            });
        }
        _ => {}
    }
    let is_unknown = |field: &&String| !info.output_fields.contains(*field);
    let field = input.fields.iter().find(is_unknown)?.clone();
    Some(Mistake::UnknownField {
        component,
        source_id,
        stream,
        field,
        fields: Names::new(&info.output_fields),
    })
}

fn named(draft: &Draft, from: &GlobalStreamId) -> (String, String, String) {
    let GlobalStreamId {
        component_id,
        stream_id,
    } = from.clone();
    (draft.id.clone(), component_id, stream_id)
}

// === impl BuildError ===

impl std::error::Error for BuildError {}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mistakes[..] {
            [mistake] => write!(f, "{mistake}"),
            mistakes => {
                write!(f, "the topology has {} mistakes:", mistakes.len())?;
                mistakes
                    .iter()
                    .try_for_each(|mistake| write!(f, "\n  {mistake}"))
            }
        }
    }
}

// === impl Mistake ===

impl From<InvalidTopology> for Mistake {
    fn from(invalid: InvalidTopology) -> Self {
        Mistake::Refused(invalid.to_string())
    }
}

// === impl Names ===

impl Names {
    fn new<'a>(names: impl IntoIterator<Item = &'a String>) -> Self {
        Names(names.into_iter().cloned().collect())
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, name) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{name}`")?;
        }
        Ok(())
    }
}
