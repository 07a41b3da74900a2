"""The table of who may call what (access.tsv), and how its cells are asked of live ports. Judges nothing."""

import csv
from pathlib import Path

from thrift.transport.TTransport import TTransportException as ApacheTransportException
from thriftpy2.transport import TTransportException

_TABLE = Path(__file__).resolve().parent / "access.tsv"
# A connection that ends or is silent says nothing about rights.
_NO_ANSWER = (OSError, ApacheTransportException, TTransportException)


def rows(service):
    return [row for row in _table() if row["service"] == service]


def services():
    return {row["service"] for row in _table()}


def _table():
    lines = (line for line in _TABLE.read_text().splitlines() if not line.startswith("#"))
    return list(csv.DictReader(lines, delimiter="\t"))


def is_permitted(call):
    """Whether a call gets past the check of rights, whatever becomes of it then."""
    try:
        call()
    except _NO_ANSWER:
        raise
    except Exception as refusal:
        text = getattr(refusal, "msg", None) or getattr(refusal, "message", None) or str(refusal)
        return "is not authorized" not in text
    return True


def arguments(types, topology):
    """Arguments for each call of Nimbus that do no harm where they get through."""
    name, id = topology.name, topology.id
    beat = types.SupervisorWorkerHeartbeat(storm_id=id, executors=[], time_secs=1)
    beats = types.SupervisorWorkerHeartbeats(supervisor_id="nobody", worker_heartbeats=[])
    metrics = types.WorkerMetrics(
        topologyId=id, port=1, hostname="h", metricList=types.WorkerMetricList(metrics=[])
    )
    request = types.ProfileRequest(
        nodeInfo=types.NodeInfo(node="none", port={1}), action=types.ProfileAction.JPROFILE_STOP
    )
    meta = types.SettableBlobMeta(acl=[])
    empty = types.StormTopology(spouts={}, bolts={}, state_spouts={})
    options = types.SubmitOptions(initial_status=types.TopologyInitialStatus.ACTIVE)
    all_errors = types.GetInfoOptions(num_err_choice=types.NumErrorsChoice.ALL)
    # The name is none that a topology may have: nothing is submitted.
    submission = ("a/b", "/nowhere", "{}", empty)
    return {
        "submitTopology": submission,
        "submitTopologyWithOpts": (*submission, options),
        "killTopology": ("victim",),
        "killTopologyWithOpts": ("victim", types.KillOptions(wait_secs=0)),
        "activate": (name,),
        "deactivate": (name,),
        # There is no such component: nothing is rebalanced.
        "rebalance": (name, types.RebalanceOptions(wait_secs=0, num_executors={"none": 1})),
        "setLogConfig": (id, types.LogConfig(named_logger_level={})),
        "getLogConfig": (id,),
        "debug": (name, "", False, 0.0),
        "setWorkerProfiler": (id, request),
        "getComponentPendingProfileActions": (id, "sink", types.ProfileAction.JPROFILE_STOP),
        "uploadNewCredentials": (name, types.Credentials(creds={}, topoOwner="ann")),
        "beginCreateBlob": ("../no key", meta),
        "beginUpdateBlob": ("none",),
        "uploadBlobChunk": ("none", b"x"),
        "finishBlobUpload": ("none",),
        "cancelBlobUpload": ("none",),
        "getBlobMeta": ("none",),
        "setBlobMeta": ("none", meta),
        "beginBlobDownload": ("none",),
        "downloadBlobChunk": ("none",),
        "deleteBlob": ("none",),
        "listBlobs": ("none",),
        "getBlobReplication": ("none",),
        "updateBlobReplication": ("none", 1),
        "createStateInZookeeper": ("none",),
        "beginFileUpload": (),
        "uploadChunk": ("none", b"x"),
        "finishFileUpload": ("none",),
        "beginFileDownload": ("none",),
        "downloadChunk": ("none",),
        "getNimbusConf": (),
        "getClusterInfo": (),
        "getTopologySummaries": (),
        "getTopologySummaryByName": (name,),
        "getTopologySummary": (id,),
        "getLeader": (),
        "isTopologyNameAllowed": (name,),
        "getTopologyInfoByName": (name,),
        "getTopologyInfo": (id,),
        "getTopologyInfoByNameWithOpts": (name, all_errors),
        "getTopologyInfoWithOpts": (id, all_errors),
        "getTopologyPageInfo": (id, ":all-time", False),
        "getSupervisorPageInfo": (None, "localhost", False),
        "getComponentPageInfo": (id, "sink", ":all-time", False),
        "getTopologyConf": (id,),
        "getTopology": (id,),
        "getUserTopology": (id,),
        "getTopologyHistory": (None,),
        "getOwnerResourceSummaries": (None,),
        "getSupervisorAssignments": ("none",),
        "sendSupervisorWorkerHeartbeats": (beats,),
        "sendSupervisorWorkerHeartbeat": (beat,),
        "processWorkerMetrics": (metrics,),
        "isRemoteBlobExists": ("none",),
    }
