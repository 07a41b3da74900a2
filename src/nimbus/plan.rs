//! What follows from a topology's code and conf and never changes: system topology, tasks, requests
//! of resources; and how code and conf lie in the blob store.
//!
//! Executors follow from the plan and from parallelism, which may change.

use std::collections::{BTreeMap, BTreeSet};

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
    shared: Vec<Shared>,
}

/// Resources, of one executor or summed up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resources {
    pub onheap_mb: f64,
    pub offheap_mb: f64,
    /// Percent of one core.
    pub cpu: f64,
    /// What users name, such as GPUs.
    pub generic: BTreeMap<String, f64>,
}

/// Memory that the executors of some components share within a worker.
#[derive(Debug)]
struct Shared {
    users: BTreeSet<ComponentId>,
    memory: Resources,
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
            shared: shared(&user),
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
        requests.fold(Resources::default(), Resources::plus)
    }

    /// Memory that these components share.
    pub fn shared<'a>(&self, components: impl Iterator<Item = &'a ComponentId>) -> Resources {
        let components: BTreeSet<&ComponentId> = components.collect();
        let is_used = |shared: &&Shared| shared.users.iter().any(|user| components.contains(user));
        let used = self
            .shared
            .iter()
            .filter(is_used)
            .map(|shared| &shared.memory);
        used.fold(Resources::default(), Resources::plus)
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
    pub fn plus(mut self, other: &Resources) -> Resources {
        self.onheap_mb += other.onheap_mb;
        self.offheap_mb += other.offheap_mb;
        self.cpu += other.cpu;
        for (name, amount) in &other.generic {
            *self.generic.entry(name.clone()).or_default() += amount;
        }
        self
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
        let map = own.map(keys::TOPOLOGY_COMPONENT_RESOURCES_MAP);
        let amount = |at: usize, default: f64| {
            let of_map = map.and_then(|map| map.get(SHORT_NAMES[at])?.as_f64());
            let declared = own.float(COMPONENT_KEYS[at]).ok().flatten();
            let of_kind = conf.float(kind[at]).ok().flatten();
            of_map.or(declared).or(of_kind).unwrap_or(default)
        };
        Ok(Resources {
            onheap_mb: amount(0, 128.0),
            offheap_mb: amount(1, 0.0),
            cpu: amount(2, 10.0),
            generic: map.into_iter().flatten().filter_map(generic).collect(),
        })
    }
}

/// An entry of a component's resources that is none of Storm's own.
fn generic((name, amount): (&String, &serde_json::Value)) -> Option<(String, f64)> {
    let is_own = SHORT_NAMES.contains(&name.as_str()) || COMPONENT_KEYS.contains(&name.as_str());
    Some((name.clone(), amount.as_f64()?)).filter(|_| !is_own)
}

fn shared(user: &StormTopology) -> Vec<Shared> {
    let declared = user.shared_memory.iter().flatten();
    let used = user.component_to_shared_memory.as_ref();
    let shared = declared.map(|(name, memory)| Shared {
        users: used
            .iter()
            .flat_map(|used| used.iter())
            .filter(|(_, names)| names.contains(name))
            .map(|(component, _)| ComponentId::from(component.as_str()))
            .collect(),
        memory: Resources {
            onheap_mb: memory.on_heap.unwrap_or(0.0),
            offheap_mb: memory.off_heap_worker.unwrap_or(0.0) + memory.off_heap_node.unwrap_or(0.0),
            ..Resources::default()
        },
    });
    shared.collect()
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
