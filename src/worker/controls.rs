//! What a worker does beside its tuples as Nimbus tells it: levels of loggers, sampling,
//! credentials, profiles.
//!
//! Each has a file of its own; here the directive is taken apart, and time is noticed.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::info;

use crate::clock;
use crate::component::Credentials;
use crate::wire::messages::{TopologyWork, WorkerLaunch};
use crate::wire::storm::LogConfig;
use crate::worker::log_levels::LogLevels;
use crate::worker::profile::{Place, Profiler};
use crate::worker::sampling;
use crate::worker::shared::Shared;

/// The controls of one worker.
pub struct Controls {
    shared: Arc<Shared>,
    launch: Arc<WorkerLaunch>,
    levels: LogLevels,
    config: Option<LogConfig>,
    profiler: Profiler,
}

/// What the worker has to do because of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    RunOn,
    /// Somebody asked for a new process.
    Restart,
}

// === impl Controls ===

impl Controls {
    /// `dir` is the worker's own directory.
    pub fn new(
        shared: Arc<Shared>,
        launch: Arc<WorkerLaunch>,
        levels: LogLevels,
        dir: PathBuf,
    ) -> Self {
        let place = Place {
            artifacts: PathBuf::from(&launch.log_dir),
            groups: dir.join("groups"),
            name: format!("{} on {}:{}", launch.topology_id, launch.host, launch.port),
        };
        Controls {
            profiler: Profiler::new(shared.clone(), place),
            shared,
            launch,
            levels,
            config: None,
        }
    }

    /// As `follow`, with what the worker was launched with: requests may have been carried out
    /// since that was written, so they wait for Nimbus's word.
    pub fn begin(&mut self, work: TopologyWork) {
        self.follow(&TopologyWork {
            profile_requests: None,
            ..work
        });
    }

    /// Takes over what Nimbus says of the topology.
    pub fn follow(&mut self, work: &TopologyWork) {
        self.config.clone_from(&work.log_config);
        self.follow_levels();
        let topology = self.launch.topology_id.as_str().into();
        for executor in &self.shared.executors {
            let share = sampling::share_of(&executor.component, &topology, &work.component_debug);
            if executor.sampled.percent() != share {
                info!(component = %executor.component, executor = %executor.id, share,
                    "percent of tuples that event loggers get");
                executor.sampled.set(share);
            }
        }
        if self.shared.set_credentials(credentials(work)) {
            info!("new credentials");
        }
        let requests = work.profile_requests.as_deref().unwrap_or_default();
        let is_own = |request: &&crate::wire::storm::ProfileRequest| {
            let node = &request.node_info;
            node.node == self.launch.host && node.port.contains(&self.launch.port.into())
        };
        let own = requests.iter().filter(is_own).cloned().collect();
        self.profiler.follow(own, clock::wall_millis());
    }

    /// Called about each second.
    pub fn tick(&mut self) -> Consequence {
        self.follow_levels();
        self.profiler.tick(clock::wall_millis())
    }

    fn follow_levels(&mut self) {
        if self
            .levels
            .follow(self.config.as_ref(), clock::wall_millis())
        {
            info!("levels of loggers changed");
        }
    }
}

/// The credentials that a directive brings.
pub fn credentials(work: &TopologyWork) -> Credentials {
    let brought = work.credentials.as_ref();
    Credentials::new(brought.map(|found| found.creds.clone()).unwrap_or_default())
}
