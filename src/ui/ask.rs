//! What a request asks for, and what its visitor must be allowed for it.
//!
//! Every route makes one of these, so that none is without a rule.

use crate::auth::Operation;

/// A question, or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Configuration,
    Cluster,
    Nimbuses,
    Owners,
    Owner(String),
    History,
    Supervisors,
    Supervisor {
        id: Option<String>,
        host: Option<String>,
        system: bool,
    },
    Topologies,
    /// Of one topology, by its id.
    Topology(String, About),
}

/// What of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    Page(Shown),
    Workers,
    Lag,
    Streams(Shown),
    Drawing(Shown),
    Component(String, Shown),
    LogConfig,
    Order(Order),
}

/// Which statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub window: String,
    pub system: bool,
}

/// What shall become of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Activate,
    Deactivate,
    /// After so many seconds, as it was written.
    Rebalance(String),
    Kill(String),
    Debug {
        component: Option<String>,
        action: String,
        percent: String,
    },
    /// The body says what.
    LogConfig,
    /// On one worker, `host:port`.
    Profile {
        worker: String,
        what: Profile,
    },
}

/// What a worker shall do about profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// For so many minutes.
    Start(String),
    Stop,
    DumpRecording,
    DumpThreads,
    DumpHeap,
    Restart,
}

// === impl Ask ===

impl Ask {
    /// What the visitor must be allowed: the operation, on the cluster or on that topology.
    pub fn needs(&self) -> (Operation, Option<&str>) {
        match self {
            Ask::Configuration => (Operation::GetNimbusConf, None),
            Ask::Cluster | Ask::Nimbuses | Ask::Supervisors => (Operation::GetClusterInfo, None),
            Ask::Owners | Ask::Owner(_) => (Operation::GetOwnerResourceSummaries, None),
            Ask::History => (Operation::GetTopologyHistory, None),
            Ask::Supervisor { .. } => (Operation::GetSupervisorPageInfo, None),
            Ask::Topologies => (Operation::GetTopologySummaries, None),
            Ask::Topology(id, about) => (about.needs(), Some(id)),
        }
    }

    /// Whether it changes anything.
    pub fn is_order(&self) -> bool {
        matches!(self, Ask::Topology(_, About::Order(_)))
    }
}

impl About {
    fn needs(&self) -> Operation {
        match self {
            About::Page(_) => Operation::GetTopologyPageInfo,
            About::Workers => Operation::GetTopologyInfo,
            About::Lag | About::Streams(_) | About::Drawing(_) => Operation::GetTopology,
            About::Component(..) => Operation::GetComponentPageInfo,
            About::LogConfig => Operation::GetLogConfig,
            About::Order(order) => match order {
                Order::Activate => Operation::Activate,
                Order::Deactivate => Operation::Deactivate,
                Order::Rebalance(_) => Operation::Rebalance,
                Order::Kill(_) => Operation::KillTopology,
                Order::Debug { .. } => Operation::Debug,
                Order::LogConfig => Operation::SetLogConfig,
                Order::Profile { .. } => Operation::SetWorkerProfiler,
            },
        }
    }
}
