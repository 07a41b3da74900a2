//! What follows from a topology's code and conf and never changes: system topology, tasks, requests
//! of resources; and how code and conf lie in the blob store.
//!
//! Executors follow from the plan and from parallelism, which may change.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::blob::{BlobError, BlobKey, BlobKeyError, LocalBlobs};
use crate::conf::{Conf, keys};
use crate::id::{ComponentId, ExecutorId, TaskId, TopologyId};
use crate::topology::{self, Component, InvalidTopology};
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
    pub requests: BTreeMap<ComponentId, Resources>,
}

/// Resources, of one executor or summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Resources {
    pub onheap_mb: f64,
    pub offheap_mb: f64,
    /// Percent of one core.
    pub cpu: f64,
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
        let request = |component: Component<'_>| {
            let resources = Resources::of(&component, &effective)?;
            Ok((ComponentId::from(component.id), resources))
        };
        let requests = topology::components(&system)
            .map(request)
            .collect::<Result<_, InvalidTopology>>()?;
        Ok(Plan {
            user,
            conf,
            system,
            tasks,
            requests,
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

    /// Sum of the requests of executors.
    pub fn requested<'a>(&self, components: impl Iterator<Item = &'a ComponentId>) -> Resources {
        let requests = components.filter_map(|component| self.requests.get(component));
        requests.fold(Resources::default(), |sum, one| sum.plus(*one))
    }

    /// Code and conf as their blobs hold them.
    pub fn packed(&self) -> Result<(Bytes, Bytes), WireError> {
        Ok((
            stored::pack_struct(&self.user)?,
            stored::pack_conf(&self.conf),
        ))
    }
}

// === impl Resources ===

impl Resources {
    pub fn plus(self, other: Resources) -> Resources {
        Resources {
            onheap_mb: self.onheap_mb + other.onheap_mb,
            offheap_mb: self.offheap_mb + other.offheap_mb,
            cpu: self.cpu + other.cpu,
        }
    }

    /// What one executor of a component asks for: what it declares itself, else what the conf says
    /// of its kind, else Storm's defaults.
    fn of(component: &Component<'_>, conf: &Conf) -> Result<Resources, InvalidTopology> {
        let own = topology::conf::json_conf(component)?;
        let kind = if component.id == topology::ACKER {
            &ACKER_KEYS
        } else if component.id.starts_with(topology::METRICS_CONSUMER_PREFIX) {
            &METRICS_CONSUMER_KEYS
        } else {
            &COMPONENT_KEYS
        };
        let amount = |at: usize, default: f64| {
            let of_map = own
                .map(keys::TOPOLOGY_COMPONENT_RESOURCES_MAP)
                .and_then(|map| map.get(SHORT_NAMES[at])?.as_f64());
            let declared = own.float(COMPONENT_KEYS[at]).ok().flatten();
            let of_kind = conf.float(kind[at]).ok().flatten();
            of_map.or(declared).or(of_kind).unwrap_or(default)
        };
        Ok(Resources {
            onheap_mb: amount(0, 128.0),
            offheap_mb: amount(1, 0.0),
            cpu: amount(2, 10.0),
        })
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

/// On heap, off heap, CPU; in this order below too.
const COMPONENT_KEYS: [&str; 3] = [
    keys::TOPOLOGY_COMPONENT_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_COMPONENT_CPU_PCORE_PERCENT,
];
const ACKER_KEYS: [&str; 3] = [
    keys::TOPOLOGY_ACKER_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_ACKER_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_ACKER_CPU_PCORE_PERCENT,
];
const METRICS_CONSUMER_KEYS: [&str; 3] = [
    keys::TOPOLOGY_METRICS_CONSUMER_RESOURCES_ONHEAP_MEMORY_MB,
    keys::TOPOLOGY_METRICS_CONSUMER_RESOURCES_OFFHEAP_MEMORY_MB,
    keys::TOPOLOGY_METRICS_CONSUMER_CPU_PCORE_PERCENT,
];
/// Inside `topology.component.resources.map`.
const SHORT_NAMES: [&str; 3] = ["onheap.memory.mb", "offheap.memory.mb", "cpu.pcore.percent"];
