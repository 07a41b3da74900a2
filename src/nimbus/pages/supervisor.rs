//! A supervisor's page: one by its id, or all of one host, with their workers.

use std::collections::BTreeSet;

use crate::clock;
use crate::id::{NodeId, TopologyId};
use crate::nimbus::fault::Fault;
use crate::nimbus::info::Info;
use crate::nimbus::resources::{self, NodeUse};
use crate::stats::aggregate::SystemParts;
use crate::wire::storm::{SupervisorPageInfo, WorkerSummary};

/// Which supervisors are wanted. An id wins over a host.
pub(crate) struct Which {
    pub id: Option<String>,
    pub host: Option<String>,
    pub system: SystemParts,
}

impl Info<'_> {
    /// `visible` are the topologies of which the caller may know what they are.
    ///
    /// As in Storm an unknown id is an error, and an unknown host has a page with nothing on it.
    pub fn supervisor_page(
        &self,
        which: &Which,
        visible: &BTreeSet<TopologyId>,
    ) -> Result<SupervisorPageInfo, Fault> {
        let now_ms = clock::monotonic_millis();
        let timeout_ms = self.leader.settings.supervisor_timeout_ms;
        let mut supervisors = self.leader.beats().supervisors(timeout_ms, now_ms);
        match (&which.id, &which.host) {
            (Some(id), _) => {
                let found = supervisors.remove_entry(&NodeId::from(id.as_str()));
                let found = found.ok_or_else(|| no_supervisor(id))?;
                supervisors = [found].into();
            }
            (None, Some(host)) => supervisors.retain(|_, beat| beat.info.hostname == *host),
            (None, None) => supervisors.clear(),
        }
        let mut workers: Vec<WorkerSummary> = Vec::new();
        for node in supervisors.keys() {
            let here = self.state.on(node).into_iter();
            for topology in here.flat_map(|node| &node.topologies) {
                let here = self.workers_on(topology, node, which.system);
                match visible.contains(&topology.id) {
                    true => workers.extend(here),
                    false => workers.extend(here.into_iter().map(blank)),
                }
            }
        }
        let used = resources::of_nodes(&self.state);
        let nothing = NodeUse::default();
        let summary = |(node, beat)| {
            let used = used.get(node).unwrap_or(&nothing);
            self.supervisor(node, beat, used, now_ms)
        };
        let summaries: Vec<_> = supervisors.iter().map(summary).collect();
        Ok(SupervisorPageInfo {
            supervisor_summaries: Some(summaries).filter(|summaries| !summaries.is_empty()),
            worker_summaries: Some(workers).filter(|workers| !workers.is_empty()),
        })
    }
}

/// What somebody may know of another's worker: that it is there.
fn blank(worker: WorkerSummary) -> WorkerSummary {
    WorkerSummary {
        topology_id: Some(String::new()),
        topology_name: Some(String::new()),
        component_to_num_tasks: Some(Default::default()),
        ..worker
    }
}

fn no_supervisor(id: &str) -> Fault {
    Fault::Internal(format!("there is no supervisor {id}"))
}
