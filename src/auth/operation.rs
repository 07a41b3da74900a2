//! What callers can ask for: each call with Storm's name of its operation, and the class that says
//! who may ask.
//!
//! Decides nothing (`authorizer` does). A call without a row here fails a test.

/// Who a class of operations is for, in the simple ACL (control-plane 8.2). Admins may do all of
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// For users of the cluster.
    User,
    /// For users and for supervisors, who have to find the leader.
    Find,
    /// For users and supervisors; what they may with one blob, its own ACL says.
    Blob,
    /// For supervisors only.
    Supervisor,
    /// For those that the topology names as users or as readers.
    TopologyRead,
    /// For those that the topology names as users.
    Topology,
    /// For Nimbus, asking a supervisor.
    Nimbus,
    /// For those that the topology names as users, asking a supervisor.
    Local,
    /// For clients of a DRPC function.
    Execute,
    /// For the topology behind a DRPC function.
    Invoke,
}

/// One call of one service.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub service: &'static str,
    /// As in the IDL.
    pub method: &'static str,
    pub operation: Operation,
}

/// The row of a call; none for one that nobody thought about, which nobody may make.
pub fn of(service: &str, method: &str) -> Option<&'static Row> {
    ROWS.iter()
        .find(|row| row.service == service && row.method == method)
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])* $class:ident { $($variant:ident = $name:literal),* $(,)? })*) => {
        /// What is asked for, in Storm's words; several calls can be one operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($(
                #[doc = concat!("`", $name, "`.")]
                $variant
            ),*),*
        }

        impl Operation {
            /// As refusals name it.
            pub fn name(self) -> &'static str {
                match self { $($(Operation::$variant => $name),*),* }
            }

            pub fn class(self) -> Class {
                match self { $($(Operation::$variant)|* => Class::$class),* }
            }
        }
    };
}

impl Operation {
    /// Of our Coordination, which tells what Storm keeps behind ZooKeeper's own rules.
    pub fn is_coordination(self) -> bool {
        matches!(
            self,
            Operation::SyncSupervisor
                | Operation::FetchBlob
                | Operation::TokenKeys
                | Operation::SyncWorker
        )
    }
}

operations! {
    User {
        SubmitTopology = "submitTopology",
        FileUpload = "fileUpload",
        GetNimbusConf = "getNimbusConf",
        GetClusterInfo = "getClusterInfo",
        IsTopologyNameAllowed = "isTopologyNameAllowed",
        GetTopologySummaries = "getTopologySummaries",
        GetTopologySummaryByName = "getTopologySummaryByName",
        GetTopologySummary = "getTopologySummary",
        GetSupervisorPageInfo = "getSupervisorPageInfo",
        GetOwnerResourceSummaries = "getOwnerResourceSummaries",
        // Storm asks nobody here (control-plane 3.3), so that anybody sees everybody's history.
        GetTopologyHistory = "getTopologyHistory",
    }
    Find {
        GetLeader = "getLeader",
    }
    // Storm has no operation for these: with its ACLs switched off everybody may do all of them.
    Blob {
        CreateBlob = "createBlob",
        ReadBlob = "readBlob",
        WriteBlob = "writeBlob",
        SetBlobMeta = "setBlobMeta",
        DeleteBlob = "deleteBlob",
        ListBlobs = "listBlobs",
    }
    Supervisor {
        FileDownload = "fileDownload",
        ProcessWorkerMetrics = "processWorkerMetrics",
        GetSupervisorAssignments = "getSupervisorAssignments",
        SendSupervisorWorkerHeartbeats = "sendSupervisorWorkerHeartbeats",
        SyncSupervisor = "syncSupervisor",
        FetchBlob = "fetchBlob",
        TokenKeys = "tokenKeys",
    }
    TopologyRead {
        GetTopologyConf = "getTopologyConf",
        GetTopology = "getTopology",
        GetUserTopology = "getUserTopology",
        GetTopologyInfo = "getTopologyInfo",
        GetTopologyPageInfo = "getTopologyPageInfo",
        GetComponentPageInfo = "getComponentPageInfo",
        GetComponentPendingProfileActions = "getComponentPendingProfileActions",
        GetLogConfig = "getLogConfig",
        FindGateways = "findGateways",
        TopologyFlow = "topologyFlow",
        GetTaskMetrics = "getTaskMetrics",
    }
    Topology {
        KillTopology = "killTopology",
        Rebalance = "rebalance",
        Activate = "activate",
        Deactivate = "deactivate",
        GatewayCertificate = "gatewayCertificate",
        UploadNewCredentials = "uploadNewCredentials",
        SetLogConfig = "setLogConfig",
        SetWorkerProfiler = "setWorkerProfiler",
        Debug = "debug",
        SendSupervisorWorkerHeartbeat = "sendSupervisorWorkerHeartbeat",
        SyncWorker = "syncWorker",
    }
    Nimbus {
        SendSupervisorAssignments = "sendSupervisorAssignments",
    }
    Local {
        GetLocalAssignmentForStorm = "getLocalAssignmentForStorm",
        SendLocalWorkerHeartbeat = "sendSupervisorWorkerHeartbeat",
    }
    Execute {
        Execute = "execute",
    }
    Invoke {
        FetchRequest = "fetchRequest",
        Result = "result",
        FailRequest = "failRequest",
    }
}

macro_rules! rows {
    ($($service:literal { $($method:literal => $operation:ident),* $(,)? })*) => {
        /// Every call of every service, in the order of the IDL.
        pub const ROWS: &[Row] = &[$($(
            Row {
                service: $service,
                method: $method,
                operation: Operation::$operation,
            }
        ),*),*];
    };
}

rows! {
    "Nimbus" {
        "submitTopology" => SubmitTopology,
        "submitTopologyWithOpts" => SubmitTopology,
        "killTopology" => KillTopology,
        "killTopologyWithOpts" => KillTopology,
        "activate" => Activate,
        "deactivate" => Deactivate,
        "rebalance" => Rebalance,
        "setLogConfig" => SetLogConfig,
        "getLogConfig" => GetLogConfig,
        "debug" => Debug,
        "setWorkerProfiler" => SetWorkerProfiler,
        "getComponentPendingProfileActions" => GetComponentPendingProfileActions,
        "uploadNewCredentials" => UploadNewCredentials,
        "beginCreateBlob" => CreateBlob,
        "beginUpdateBlob" => WriteBlob,
        "uploadBlobChunk" => WriteBlob,
        "finishBlobUpload" => WriteBlob,
        "cancelBlobUpload" => WriteBlob,
        "getBlobMeta" => ReadBlob,
        "setBlobMeta" => SetBlobMeta,
        "beginBlobDownload" => ReadBlob,
        "downloadBlobChunk" => ReadBlob,
        "deleteBlob" => DeleteBlob,
        "listBlobs" => ListBlobs,
        "getBlobReplication" => ReadBlob,
        "updateBlobReplication" => WriteBlob,
        "createStateInZookeeper" => WriteBlob,
        "beginFileUpload" => FileUpload,
        "uploadChunk" => FileUpload,
        "finishFileUpload" => FileUpload,
        "beginFileDownload" => FileDownload,
        "downloadChunk" => FileDownload,
        "getNimbusConf" => GetNimbusConf,
        "getClusterInfo" => GetClusterInfo,
        "getTopologySummaries" => GetTopologySummaries,
        "getTopologySummaryByName" => GetTopologySummaryByName,
        "getTopologySummary" => GetTopologySummary,
        "getLeader" => GetLeader,
        "isTopologyNameAllowed" => IsTopologyNameAllowed,
        "getTopologyInfoByName" => GetTopologyInfo,
        "getTopologyInfo" => GetTopologyInfo,
        "getTopologyInfoByNameWithOpts" => GetTopologyInfo,
        "getTopologyInfoWithOpts" => GetTopologyInfo,
        "getTopologyPageInfo" => GetTopologyPageInfo,
        "getSupervisorPageInfo" => GetSupervisorPageInfo,
        "getComponentPageInfo" => GetComponentPageInfo,
        "getTopologyConf" => GetTopologyConf,
        "getTopology" => GetTopology,
        "getUserTopology" => GetUserTopology,
        "getTopologyHistory" => GetTopologyHistory,
        "getOwnerResourceSummaries" => GetOwnerResourceSummaries,
        "getSupervisorAssignments" => GetSupervisorAssignments,
        "sendSupervisorWorkerHeartbeats" => SendSupervisorWorkerHeartbeats,
        "sendSupervisorWorkerHeartbeat" => SendSupervisorWorkerHeartbeat,
        "processWorkerMetrics" => ProcessWorkerMetrics,
        "isRemoteBlobExists" => ReadBlob,
    }
    "Supervisor" {
        "sendSupervisorAssignments" => SendSupervisorAssignments,
        "getLocalAssignmentForStorm" => GetLocalAssignmentForStorm,
        "sendSupervisorWorkerHeartbeat" => SendLocalWorkerHeartbeat,
    }
    "DistributedRPC" {
        "execute" => Execute,
    }
    "DistributedRPCInvocations" {
        "result" => Result,
        "fetchRequest" => FetchRequest,
        "failRequest" => FailRequest,
        "failRequestV2" => FailRequest,
    }
    "Coordination" {
        "syncSupervisor" => SyncSupervisor,
        "syncWorker" => SyncWorker,
        "readBlob" => FetchBlob,
        "tokenKeys" => TokenKeys,
    }
    "DrpcSpouts" {
        "awaitRequests" => FetchRequest,
    }
    "GatewayFinder" {
        "findGateways" => FindGateways,
        "gatewayCertificate" => GatewayCertificate,
    }
    "TopologyFlows" {
        "topologyFlow" => TopologyFlow,
    }
    "MetricReader" {
        "getTaskMetrics" => GetTaskMetrics,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Method;
    use crate::wire::messages::{
        coordination, drpc_spouts, gateway_finder, metric_reader, topology_flows,
    };
    use crate::wire::storm::{distributed_rpc, distributed_rpc_invocations, nimbus, supervisor};

    #[test]
    fn every_call_has_a_row_and_every_row_a_call() {
        let services: [(&str, &[Method]); 9] = [
            ("Nimbus", nimbus::METHODS),
            ("Supervisor", supervisor::METHODS),
            ("DistributedRPC", distributed_rpc::METHODS),
            (
                "DistributedRPCInvocations",
                distributed_rpc_invocations::METHODS,
            ),
            ("Coordination", coordination::METHODS),
            ("DrpcSpouts", drpc_spouts::METHODS),
            ("GatewayFinder", gateway_finder::METHODS),
            ("TopologyFlows", topology_flows::METHODS),
            ("MetricReader", metric_reader::METHODS),
        ];
        let calls = services.iter().flat_map(|(service, methods)| {
            let named = methods.iter().map(|method| method.name);
            named.map(|name| (*service, name))
        });
        let calls: Vec<_> = calls.collect();
        let rows: Vec<_> = ROWS.iter().map(|row| (row.service, row.method)).collect();
        assert_eq!(
            rows, calls,
            "each call of the IDL needs its row here, in that order"
        );
        assert_eq!(
            of("Nimbus", "getLeader").map(|row| row.operation),
            Some(Operation::GetLeader)
        );
        assert!(of("Supervisor", "getLeader").is_none());
    }
}
