//! What follows from a topology's code and conf and never changes: system topology, tasks, requests
//! of resources; and how code and conf lie in the blob store.
//!
//! Executors follow from the plan and from parallelism, which may change.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::blob::{BlobError, BlobKey, BlobKeyError, LocalBlobs};
use crate::conf::Conf;
use crate::id::{ComponentId, ExecutorId, TaskId, TopologyId};
use crate::scheduler::demand::Demand;
use crate::scheduler::resources::Resources;
use crate::topology::{self, InvalidTopology};
use crate::wire::WireError;
use crate::wire::stored::{self, StoredError};
use crate::wire::storm::StormTopology;

/// The fixed side of a topology.
#[derive(Debug)]
pub(crate) struct Plan {
    /// As submitted, normalised.
    pub user: StormTopology,
    /// Complete: the daemon's at submit, overlaid with the topology's.
    pub conf: Conf,
    /// With ackers, system streams and so on.
    pub system: StormTopology,
    pub tasks: BTreeMap<TaskId, ComponentId>,
    /// What schedulers read of it.
    pub demand: Arc<Demand>,
}

/// The three blobs of a topology.
#[derive(Clone, Debug)]
pub(crate) struct BlobKeys {
    pub jar: BlobKey,
    pub code: BlobKey,
    pub conf: BlobKey,
}

/// Why a topology's blobs do not give a plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Key(#[from] BlobKeyError),
    #[error("blob `{key}`: {source}")]
    Stored { key: BlobKey, source: StoredError },
    #[error(transparent)]
    Invalid(#[from] InvalidTopology),
}

// === impl Plan ===

impl Plan {
    /// Derives the plan. `user` is normalised, `conf` complete; the daemon's conf of today is below
    /// it for keys that did not exist when it was saved.
    pub fn new(user: StormTopology, conf: Conf, daemon: &Conf) -> Result<Self, InvalidTopology> {
        let effective = daemon.overlay(&conf);
        let system = topology::system::build(&user, &effective)?;
        let tasks = topology::tasks::number(&system, &effective)?;
        let demand = Demand::new(&user, &system, &effective)?;
        Ok(Plan {
            user,
            conf,
            system,
            tasks,
            demand: Arc::new(demand),
        })
    }

    /// Reads a topology's blobs.
    pub fn load(blobs: &LocalBlobs, id: &TopologyId, daemon: &Conf) -> Result<Self, PlanError> {
        let keys = BlobKeys::new(id)?;
        let user = stored::unpack_struct(&blobs.read_all(&keys.code)?).map_err(|source| {
            PlanError::Stored {
                key: keys.code,
                source,
            }
        })?;
        let conf = stored::unpack_conf(&blobs.read_all(&keys.conf)?).map_err(|source| {
            PlanError::Stored {
                key: keys.conf,
                source,
            }
        })?;
        Ok(Plan::new(user, conf, daemon)?)
    }

    /// The executors for these hints of parallelism.
    pub fn executors(&self, hints: &BTreeMap<String, i32>) -> BTreeMap<ExecutorId, ComponentId> {
        let hints = hints
            .iter()
            .map(|(component, n)| (ComponentId::from(component.as_str()), *n))
            .collect();
        topology::tasks::executors(&self.tasks, &hints)
    }

    /// The hints that a new topology starts with, system components included.
    pub fn hints(&self) -> BTreeMap<String, i32> {
        topology::tasks::parallelism(&self.system)
            .into_iter()
            .map(|(component, n)| (component.as_str().to_owned(), n))
            .collect()
    }

    /// What one executor of a component asks for.
    pub fn request(&self, component: &ComponentId) -> Option<&Resources> {
        let place = self.demand.place(component)?;
        Some(&self.demand.components[place].request)
    }

    /// Code and conf as their blobs hold them.
    pub fn packed(&self) -> Result<(Bytes, Bytes), WireError> {
        Ok((
            stored::pack_struct(&self.user)?,
            stored::pack_conf(&self.conf),
        ))
    }
}

// === impl BlobKeys ===

impl BlobKeys {
    pub fn new(id: &TopologyId) -> Result<Self, BlobKeyError> {
        Ok(BlobKeys {
            jar: BlobKey::new(format!("{id}{JAR_SUFFIX}"))?,
            code: BlobKey::new(format!("{id}{CODE_SUFFIX}"))?,
            conf: BlobKey::new(format!("{id}{CONF_SUFFIX}"))?,
        })
    }

    /// The topology that a key belongs to, if it is one of these three.
    pub fn owner(key: &BlobKey) -> Option<TopologyId> {
        let suffixes = [JAR_SUFFIX, CODE_SUFFIX, CONF_SUFFIX];
        let id = suffixes
            .iter()
            .find_map(|suffix| key.as_str().strip_suffix(suffix))?;
        Some(TopologyId::from(id))
    }

    pub fn each(&self) -> [&BlobKey; 3] {
        [&self.jar, &self.code, &self.conf]
    }
}

const JAR_SUFFIX: &str = "-stormjar.jar";
const CODE_SUFFIX: &str = "-stormcode.ser";
const CONF_SUFFIX: &str = "-stormconf.ser";
