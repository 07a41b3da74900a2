//! Whether the cluster can run the program that a topology brings along: asked at submit, so that
//! nobody has to look for the answer in a worker's log.
//!
//! Supervisors ask again (`supervisor::program`): they may come, and change, after a submit.

use std::collections::BTreeSet;
use std::fs::File;

use super::leader::Leader;
use crate::blob::program::{PLATFORM, ProgramError, Programs};
use crate::blob::{self, JarOpenError};
use crate::clock;
use crate::topology::{self, CustomGrouping};
use crate::wire::storm::{ComponentObject, Grouping, StormTopology};

/// Why a topology's program cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnrunnableProgram {
    #[error(
        "Component: [{component}] is code of the topology's own program, and the jar has none in \
         {}: submit the topology by its program's `submit`",
        blob::program::DIR
    )]
    Absent { component: String },
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Jar(#[from] JarOpenError),
    #[error("the jar cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
}

/// Judges the jar of a topology, whose directory was found to be sound.
pub(crate) fn check(
    leader: &Leader,
    topology: &StormTopology,
    jar: Option<&File>,
) -> Result<(), UnrunnableProgram> {
    let programs = match jar {
        Some(jar) => Programs::find(&mut blob::open_jar(jar.try_clone()?)?)?,
        None => None,
    };
    let Some(programs) = programs else {
        // In a program's own cluster workers are that program anyway.
        let is_here = (leader.known_class)(topology::PROGRAM);
        return match needs_program(topology).filter(|_| !is_here) {
            Some(component) => Err(UnrunnableProgram::Absent { component }),
            None => Ok(()),
        };
    };
    programs.manifest.check()?;
    for platform in platforms(leader) {
        programs.for_platform(&platform)?;
    }
    Ok(())
}

/// Those of the supervisors that are alive; while there are none, Nimbus's own stands for them.
fn platforms(leader: &Leader) -> BTreeSet<String> {
    let timeout_ms = leader.settings.supervisor_timeout_ms;
    let alive = leader
        .beats()
        .supervisors(timeout_ms, clock::monotonic_millis());
    let mut platforms: BTreeSet<String> = alive
        .into_values()
        .filter_map(|beat| beat.platform)
        .collect();
    if platforms.is_empty() {
        platforms.insert(PLATFORM.to_owned());
    }
    platforms
}

/// A component that is code of the topology's own program, or takes a stream by such code.
fn needs_program(topology: &StormTopology) -> Option<String> {
    let is_own = |component: &topology::Component<'_>| {
        let is_code = matches!(
            component.object,
            ComponentObject::JavaObject(object) if object.full_class_name == topology::PROGRAM
        );
        let mut groupings = component.common.inputs.values();
        is_code || groupings.any(is_own_grouping)
    };
    let found = topology::components(topology).find(is_own);
    found.map(|component| component.id.to_owned())
}

fn is_own_grouping(grouping: &Grouping) -> bool {
    match grouping {
        Grouping::CustomObject(object) => {
            topology::custom_grouping(object) == Some(CustomGrouping::OfProgram)
        }
        _ => false,
    }
}
