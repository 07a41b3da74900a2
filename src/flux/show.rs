//! What a definition has, as text: in Flux's own layout, which scripts read.

use std::fmt::{self, Display};

use super::Definition;
use super::vertex::Vertex;

/// Components and streams in the file's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    spouts: Vec<String>,
    bolts: Vec<String>,
    streams: Vec<String>,
}

/// A definition's name, components, streams and settings, one a line.
pub struct Details<'d> {
    definition: &'d Definition,
    name: &'d str,
}

// === impl Outline ===

impl Outline {
    pub(super) fn spout(&mut self, id: &str, spout: &Vertex) {
        self.spouts.push(component(id, spout));
    }

    pub(super) fn bolt(&mut self, id: &str, bolt: &Vertex) {
        self.bolts.push(component(id, bolt));
    }

    pub(super) fn stream(&mut self, from: &str, kind: &str, to: &str) {
        self.streams.push(format!("{from} --{kind}--> {to}"));
    }
}

fn component(id: &str, vertex: &Vertex) -> String {
    let parallelism = vertex.common.parallelism_hint.unwrap_or(1);
    format!("{id} [{parallelism}] ({})", vertex.class)
}

// === impl Details ===

impl<'d> Details<'d> {
    /// Under the name that it will have.
    pub fn of(definition: &'d Definition, name: &'d str) -> Self {
        Details { definition, name }
    }
}

impl Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outline = &self.definition.outline;
        writeln!(f, "---------- TOPOLOGY DETAILS ----------")?;
        writeln!(f, "Topology Name: {}", self.name)?;
        let sections = [
            ("--------------- SPOUTS ---------------", &outline.spouts),
            ("---------------- BOLTS ---------------", &outline.bolts),
            ("--------------- STREAMS ---------------", &outline.streams),
        ];
        for (head, lines) in sections {
            writeln!(f, "{head}")?;
            for line in lines {
                writeln!(f, "{line}")?;
            }
        }
        writeln!(f, "--------------- CONFIG ---------------")?;
        for (key, value) in self.definition.conf.iter() {
            writeln!(f, "{key}: {value}")?;
        }
        write!(f, "--------------------------------------")
    }
}
