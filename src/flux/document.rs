//! A file's sections, and files that are included into one.
//!
//! Reads their outlines, not what is in them: that is `build`'s.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::node::{Node, Object, Yaml};
use super::{DefinitionError, Origin};

type Result<T> = std::result::Result<T, DefinitionError>;

/// An entry of a section, and the file that it comes from.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Empty where a section's entries have none.
    pub id: String,
    pub origin: Rc<Origin>,
    pub node: Node,
}

/// What a definition is made of, in the files' order.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub name: Option<String>,
    /// By key, which is the entry's id.
    pub config: BTreeMap<String, Entry>,
    pub components: Vec<Entry>,
    pub spouts: Vec<Entry>,
    pub bolts: Vec<Entry>,
    pub streams: Vec<Entry>,
}

/// One file of `includes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    pub line: u64,
    pub file: String,
    /// Within the jar, not a file of this machine.
    pub is_resource: bool,
    /// What it says counts more than what was there.
    pub overrides: bool,
}

// === impl Document ===

impl Document {
    /// Reads the outline of one file.
    pub fn parse(node: Node, origin: &Rc<Origin>) -> Result<(Self, Vec<Include>)> {
        let file = Object::of(&node, "the file")?;
        needs_no_java(&file)?;
        file.only(&SECTIONS)?;
        let mut includes = Vec::new();
        for (at, entry) in file.list("includes")?.iter().enumerate() {
            let include = Object::of(entry, format!("includes[{at}]"))?;
            include.only(&["file", "resource", "override"])?;
            includes.push(Include {
                line: entry.line,
                file: include.text("file")?,
                is_resource: include.flag("resource")?,
                overrides: include.flag("override")?,
            });
        }
        let document = Document {
            name: file.optional_text("name")?,
            config: settings(&file, origin)?,
            components: entries(&file, "components", origin)?,
            spouts: entries(&file, "spouts", origin)?,
            bolts: entries(&file, "bolts", origin)?,
            streams: streams(&file, origin)?,
        };
        Ok((document, includes))
    }

    /// Takes in an included file, as Storm does: streams are added; of the rest, what is already
    /// there stays unless the include overrides. Returns what was left out for that.
    pub fn include(&mut self, other: Document, overrides: bool) -> Vec<String> {
        let mut left_out = Vec::new();
        match (&self.name, other.name) {
            (Some(name), Some(theirs)) if !overrides => {
                left_out.push(format!("name {theirs}: the name stays {name}"));
            }
            (_, Some(theirs)) => self.name = Some(theirs),
            (_, None) => {}
        }
        for (key, value) in other.config {
            match self.config.contains_key(&key) && !overrides {
                true => left_out.push(format!("config: {key}")),
                false => {
                    self.config.insert(key, value);
                }
            }
        }
        let sections = [
            ("components", &mut self.components, other.components),
            ("spouts", &mut self.spouts, other.spouts),
            ("bolts", &mut self.bolts, other.bolts),
        ];
        for (section, ours, theirs) in sections {
            let own = ours.iter().enumerate();
            let own: HashMap<_, _> = own.map(|(at, entry)| (entry.id.clone(), at)).collect();
            for entry in theirs {
                match own.get(&entry.id) {
                    None => ours.push(entry),
                    Some(&at) if overrides => ours[at] = entry,
                    Some(_) => left_out.push(format!("{section}: {}", entry.id)),
                }
            }
        }
        self.streams.extend(other.streams);
        left_out
    }
}

/// Names what only a JVM can do.
fn needs_no_java(file: &Object<'_>) -> Result<()> {
    if let Some(node) = file.get("topologySource") {
        let source = Object::of(node, "topologySource")?;
        let class = source.optional_text("className")?.unwrap_or_default();
        return Err(source.wrong(format!(
            "the class {class} would build the topology, which takes a JVM: declare its spouts, \
             bolts and streams here, or have the class run with `storm jar`"
        )));
    }
    for section in ["workerHooks", "hooks"] {
        if let Some(node) = file
            .get(section)
            .filter(|node| node.json() != Value::Array(vec![]))
        {
            let first = file.list(section)?.first();
            let hook = first.map(|hook| Object::of(hook, section)).transpose()?;
            let class = hook
                .map(|hook| hook.optional_text("className"))
                .transpose()?;
            let class = class.flatten().unwrap_or_default();
            return Err(file.wrong_at(
                node,
                format!(
                    "{section}: the class {class} is a Java object within each worker, and workers \
                     here have no JVM: take {section} out"
                ),
            ));
        }
    }
    Ok(())
}

fn settings(file: &Object<'_>, origin: &Rc<Origin>) -> Result<BTreeMap<String, Entry>> {
    let Some(config) = file.get("config") else {
        return Ok(BTreeMap::new());
    };
    let Yaml::Map(settings) = &config.yaml else {
        return Err(file.wrong_at(config, "config must be `key: value` lines"));
    };
    let settings = settings.iter().map(|(key, node)| {
        let entry = Entry {
            id: key.clone(),
            origin: Rc::clone(origin),
            node: node.clone(),
        };
        (key.clone(), entry)
    });
    Ok(settings.collect())
}

fn entries(file: &Object<'_>, section: &str, origin: &Rc<Origin>) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut ids = HashSet::new();
    for node in file.list(section)? {
        let id = Object::of(node, section)?.text("id")?;
        if !ids.insert(id.clone()) {
            return Err(file.wrong_at(node, format!("{section}: {id} occurs twice")));
        }
        entries.push(Entry {
            id,
            origin: Rc::clone(origin),
            node: node.clone(),
        });
    }
    Ok(entries)
}

fn streams(file: &Object<'_>, origin: &Rc<Origin>) -> Result<Vec<Entry>> {
    let streams = file.list("streams")?.iter();
    Ok(streams
        .map(|node| Entry {
            id: String::new(),
            origin: Rc::clone(origin),
            node: node.clone(),
        })
        .collect())
}

const SECTIONS: [&str; 7] = [
    "name",
    "config",
    "includes",
    "components",
    "spouts",
    "bolts",
    "streams",
];
