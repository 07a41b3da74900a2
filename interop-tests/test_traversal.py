"""Paths in the place of names (row F10 of the catalogue): every argument of every call that could become a
path, in every spelling. A file that was planted outside must neither be read, changed nor moved.
"""

import json
import os
import socket
from contextlib import closing

import pytest

import peers
from cluster import Cluster
from figures import figure
from topologies import Builder, jar, kill, pulse, pulse_files, upload

PEER = peers.ThriftPy2()
TYPES = PEER.types
MARK = "pl4nted-outside"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A cluster that only these tests touch, a client, and a file beside its directory."""
    directory = tmp_path_factory.mktemp("traversal")
    outside = directory / "outside.txt"
    outside.write_text(MARK)
    outside.chmod(0o640)
    with Cluster(directory / "cluster", slots=2) as cluster:
        # Links in the places that clients' names are looked up in, as an earlier break-in leaves them.
        for place in (cluster.local / "nimbus/inbox", cluster.local / "blobs"):
            place.mkdir(parents=True, exist_ok=True)
            (place / "link").symlink_to(outside)
        with PEER.connect(cluster.nimbus) as nimbus:
            yield cluster, nimbus, outside
        cluster.stop()


def spellings(cluster, outside):
    """Ways to write the path of the file outside."""
    climb = os.path.relpath(outside, cluster.local / "nimbus/inbox")
    absolute = str(outside)
    return {
        "absolute": absolute,
        "relative": climb,
        "very relative": "../" * 20 + absolute.lstrip("/"),
        "after a good part": "a/../" + climb,
        "dots between": absolute.replace("/", "/./"),
        "two slashes": absolute.replace("/", "//"),
        "percent": climb.replace(".", "%2e").replace("/", "%2f"),
        "percent twice": climb.replace(".", "%252e").replace("/", "%252f"),
        "plus": climb.replace("/", "%2F").replace("..", "%2E%2E"),
        "backslashes": climb.replace("/", "\\"),
        "a URL": "file://" + absolute,
        "a zero byte": absolute + "\0.jar",
        "wide": climb.replace(".", "．").replace("/", "／"),
        "a link": "link",
        "a link by its path": str(cluster.local / "nimbus/inbox/link"),
        "a directory": "..",
        "here": ".",
        "home": "~/outside.txt",
    }


def attempts(nimbus, path):
    """Every call that takes something which could be a path, by name."""
    meta = TYPES.SettableBlobMeta(acl=[])
    node = TYPES.NodeInfo(node=path, port={6700})
    request = TYPES.ProfileRequest(nodeInfo=node, action=TYPES.ProfileAction.JSTACK_DUMP)
    log_config = TYPES.LogConfig(
        named_logger_level={path: TYPES.LogLevel(action=1, target_log_level="DEBUG")}
    )
    calls = {
        "submitTopology (location)": lambda: submit(nimbus, location=path),
        "submitTopology (name)": lambda: submit(nimbus, name=path),
        "submitTopology (local name)": lambda: submit(
            nimbus, conf={"topology.blobstore.map": {"known": {"localname": path}}}
        ),
        "submitTopology (blob)": lambda: submit(nimbus, conf={"topology.blobstore.map": {path: {}}}),
        "submitTopology (dependency)": lambda: submit(nimbus, dependency=path),
        "submitTopology (script)": None,
        "uploadChunk": lambda: nimbus.uploadChunk(path, b"changed"),
        "finishFileUpload": lambda: nimbus.finishFileUpload(path),
        "beginFileDownload": lambda: drained(nimbus, nimbus.beginFileDownload(path)),
        "downloadChunk": lambda: nimbus.downloadChunk(path),
        "beginCreateBlob": lambda: nimbus.beginCreateBlob(path, meta),
        "beginUpdateBlob": lambda: nimbus.beginUpdateBlob(path),
        "uploadBlobChunk": lambda: nimbus.uploadBlobChunk(path, b"changed"),
        "finishBlobUpload": lambda: nimbus.finishBlobUpload(path),
        "cancelBlobUpload": lambda: nimbus.cancelBlobUpload(path),
        "getBlobMeta": lambda: nimbus.getBlobMeta(path),
        "setBlobMeta": lambda: nimbus.setBlobMeta(path, meta),
        "beginBlobDownload": lambda: nimbus.beginBlobDownload(path),
        "downloadBlobChunk": lambda: nimbus.downloadBlobChunk(path),
        "deleteBlob": lambda: nimbus.deleteBlob(path),
        "listBlobs": lambda: nimbus.listBlobs(path),
        "getBlobReplication": lambda: nimbus.getBlobReplication(path),
        "updateBlobReplication": lambda: nimbus.updateBlobReplication(path, 1),
        "createStateInZookeeper": lambda: nimbus.createStateInZookeeper(path),
        "isRemoteBlobExists": lambda: nimbus.isRemoteBlobExists(path),
        "killTopology": lambda: nimbus.killTopology(path),
        "activate": lambda: nimbus.activate(path),
        "rebalance": lambda: nimbus.rebalance(path, TYPES.RebalanceOptions()),
        "uploadNewCredentials": lambda: nimbus.uploadNewCredentials(
            path, TYPES.Credentials(creds={"a": "b"})
        ),
        "setLogConfig": lambda: nimbus.setLogConfig(path, log_config),
        "getLogConfig": lambda: nimbus.getLogConfig(path),
        "setWorkerProfiler": lambda: nimbus.setWorkerProfiler(path, request),
        "getComponentPendingProfileActions": lambda: nimbus.getComponentPendingProfileActions(
            path, path, TYPES.ProfileAction.JSTACK_DUMP
        ),
        "getTopologyConf": lambda: nimbus.getTopologyConf(path),
        "getTopology": lambda: nimbus.getTopology(path),
        "getUserTopology": lambda: nimbus.getUserTopology(path),
        "getTopologyInfo": lambda: nimbus.getTopologyInfo(path),
        "getTopologyPageInfo": lambda: nimbus.getTopologyPageInfo(path, path, True),
        "getComponentPageInfo": lambda: nimbus.getComponentPageInfo(path, path, path, True),
        "getSupervisorPageInfo": lambda: nimbus.getSupervisorPageInfo(path, path, True),
        "getSupervisorAssignments": lambda: nimbus.getSupervisorAssignments(path),
        "getOwnerResourceSummaries": lambda: nimbus.getOwnerResourceSummaries(path),
        "getTopologyHistory": lambda: nimbus.getTopologyHistory(path),
    }
    del calls["submitTopology (script)"]  # code of the topology runs with the rights of its worker
    return calls


def drained(nimbus, session):
    """A whole download."""
    received = b""
    while chunk := nimbus.downloadChunk(session):
        received += chunk
    return received


def submit(nimbus, name="traversal", location=None, conf=None, dependency=None):
    builder = pulse(Builder(TYPES), "/nowhere")
    if dependency:
        builder.topology.dependency_jars = [dependency]
    location = location or upload(nimbus, jar(pulse_files()))
    nimbus.submitTopology(name, location, json.dumps(conf or {}), builder.topology)




def test_no_argument_is_a_path(target, tmp_path):
    cluster, nimbus, outside = target
    session = nimbus.beginCreateBlob("known", TYPES.SettableBlobMeta(acl=[]))
    nimbus.finishBlobUpload(session)
    before = everything(outside.parent, cluster)
    n_asked = n_passed = reads = 0
    for path in spellings(cluster, outside).values():
        for name, attempt in attempts(nimbus, path).items():
            n_asked += 1
            try:
                reply = attempt()
            except Exception as refusal:
                reply = refusal
            else:
                n_passed += 1
                # A key of odd characters may be one; nothing may come of it but a blob.
                undo(nimbus, name, path, reply)
            reads += MARK in repr(reply) or MARK.encode() in as_bytes(reply)
    for path in spellings(cluster, outside).values():
        for method in ("GET", "POST"):
            n_asked += 1
            reads += MARK in web(cluster, method, path)
    assert everything(outside.parent, cluster) == before
    assert outside.read_text() == MARK and outside.stat().st_mode & 0o777 == 0o640
    assert reads == 0
    endpoints = len(attempts(nimbus, "")) + 2
    figure(
        "F10",
        f"{endpoints} endpoints x {len(spellings(cluster, outside))} spellings, {n_asked - n_passed} "
        f"refused, {n_passed} harmless names; {reads} reads outside",
    )


def as_bytes(reply):
    return reply if isinstance(reply, bytes) else b""


def undo(nimbus, name, path, reply):
    if name == "beginCreateBlob":
        nimbus.cancelBlobUpload(reply)
    elif name.startswith("submitTopology"):
        kill(PEER, nimbus, path if "(name)" in name else "traversal")


def web(cluster, method, path):
    """What DRPC over HTTP says to a path as a function, by the path as it is."""
    with closing(socket.create_connection(cluster.addresses["drpc-http"], timeout=2)) as raw:
        line = "".join(char for char in path if char > " " and ord(char) < 127)
        head = f"{method} /{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        raw.sendall(head.encode())
        try:
            return raw.recv(65536).decode(errors="replace")
        except TimeoutError:
            return ""  # it is the name of a function, which nobody answers


def everything(directory, cluster):
    """Names of files that are not the cluster's own."""
    own = cluster.directory
    return sorted(
        str(path)
        for path in directory.rglob("*")
        if own not in path.parents or path.parent == own and not path.name.startswith("dev-")
    )
