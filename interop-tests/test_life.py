"""The life of a topology, over each Thrift client: submitted, seen, steered, ended."""

import json
import time
from collections import Counter

import pytest

from cluster import ROOT, eventually
from topologies import (
    CHUNK_BYTES,
    Builder,
    arrive,
    counts,
    jar,
    kill,
    lines_of,
    pulse,
    pulse_files,
    rests,
    running,
    upload,
    words,
    words_files,
)
from wire import REPLY, STRING, call, exchange, field, frame, text

TEXT = ROOT / "examples/moby-dick.txt"
N_LINES = 3000
COMPONENTS = {"lines", "split", "count", "done"}


@pytest.fixture
def sample(tmp_path):
    """The first lines of the text; (path, how often each word, lines that hold words)."""
    lines = TEXT.read_text(encoding="utf-8").splitlines(keepends=True)[:N_LINES]
    path = tmp_path / "text"
    path.write_text("".join(lines), encoding="utf-8")
    return (
        path,
        Counter(path.read_text(encoding="utf-8").split()),
        sum(1 for line in lines if line.split()),
    )


def test_a_word_count_is_exact_and_every_query_tells_of_it(cluster, peer, nimbus, sample, tmp_path):
    path, expected, n_lines = sample
    name = f"words {peer.name}"
    totals, done = tmp_path / "totals", tmp_path / "done"
    topology = words(Builder(peer.types), totals, done).topology
    conf = {
        "words.file": str(path),
        "topology.workers": 2,
        "topology.stats.sample.rate": 1.0,
        "topology.max.spout.pending": 500,
        "a.key.of.nobody": {"x": [1, None, "ä"]},
    }

    packed = jar(words_files(), padding_bytes=3 * CHUNK_BYTES)
    location = nimbus.beginFileUpload()
    chunks = [packed[start : start + CHUNK_BYTES] for start in range(0, len(packed), CHUNK_BYTES)]
    assert len(chunks) > 3
    for chunk in chunks:
        nimbus.uploadChunk(location, chunk)
    nimbus.finishFileUpload(location)

    assert nimbus.isTopologyNameAllowed(name) is True
    nimbus.submitTopology(name, location, json.dumps(conf), topology)
    assert nimbus.isTopologyNameAllowed(name) is False
    with pytest.raises(peer.types.AlreadyAliveException) as refused:
        nimbus.submitTopology(name, location, json.dumps(conf), topology)
    assert refused.value.msg == f"{name} is already alive"

    id = check_summaries(cluster, nimbus, name)
    check_confs(nimbus, id, conf)
    check_topologies(peer, nimbus, id)

    eventually("every line is acked", lambda: lines_of(done), seconds=90)
    n_told, n_replays = map(int, lines_of(done)[0].split())
    assert n_told >= n_lines
    eventually("the totals are written", lambda: counts(totals)[0] >= sum(expected.values()))
    n_words, by_word = counts(totals)
    assert n_words == sum(expected.values())
    assert by_word == dict(expected)

    check_info(peer, nimbus, name, id, n_lines + n_replays, sum(expected.values()))
    assert len(cluster.workers(id)) == 2

    nimbus.killTopologyWithOpts(name, peer.types.KillOptions(wait_secs=1))
    assert nimbus.getTopologySummaryByName(name).status == "KILLED"
    eventually("the name is free", lambda: nimbus.isTopologyNameAllowed(name))
    eventually("no worker of it runs", lambda: not cluster.workers(id))
    check_gone(peer, nimbus, name, id)


def check_summaries(cluster, nimbus, name):
    def placed():
        summary = nimbus.getTopologySummaryByName(name)
        return summary if summary.num_workers else None

    summary = eventually("the topology is placed", placed)
    id = summary.id
    assert (summary.name, summary.status) == (name, "ACTIVE")
    # lines, split, count, done and an acker for each of two workers.
    assert (summary.num_workers, summary.num_executors, summary.num_tasks) == (2, 8, 8)
    assert id.startswith(f"{name}-") and summary.owner
    assert nimbus.getTopologySummary(id).name == name
    assert id in [each.id for each in nimbus.getTopologySummaries()]

    info = nimbus.getClusterInfo()
    assert id in [each.id for each in info.topologies]
    (supervisor,) = info.supervisors
    assert supervisor.num_workers == len(cluster.slots) and supervisor.num_used_workers >= 2
    (leader,) = info.nimbuses
    assert leader.isLeader and (leader.version, leader.port) == ("3.0.0", cluster.nimbus[1])
    assert info.nimbus_uptime_secs is not None
    assert (nimbus.getLeader().host, nimbus.getLeader().port) == (leader.host, leader.port)
    return id


def check_confs(nimbus, id, conf):
    stored = json.loads(nimbus.getTopologyConf(id))
    assert {key: stored[key] for key in conf} == conf
    assert stored["topology.name"] == id.rsplit("-", 2)[0] and stored["storm.id"] == id
    assert stored["topology.acker.executors"] is None
    assert stored["topology.message.timeout.secs"] == 30


def check_topologies(peer, nimbus, id):
    user = nimbus.getUserTopology(id)
    assert set(user.spouts) | set(user.bolts) == COMPONENTS
    assert json.loads(user.bolts["split"].common.json_conf)["topology.tasks"] == 2
    assert user.spouts["lines"].spout_object.shell.script == "lines.py"

    system = nimbus.getTopology(id)
    assert set(system.spouts) | set(system.bolts) == COMPONENTS | {"__acker", "__system"}
    assert "__ack_init" in system.spouts["lines"].common.streams
    assert system.bolts["__acker"].bolt_object.serialized_java is not None
    source = peer.types.GlobalStreamId(componentId="lines", streamId="__ack_init")
    assert repr(source) in [repr(each) for each in system.bolts["__acker"].common.inputs]


def check_info(peer, nimbus, name, id, n_lines, n_words):
    def counted():
        info = nimbus.getTopologyInfo(id)
        return (
            info
            if spout_counts(info) == (n_lines, 0) and executed(info, "count") == n_words
            else None
        )

    info = eventually(f"statistics show {n_lines} lines and {n_words} words", counted)
    assert set(info.errors) == COMPONENTS | {"__acker"} and not any(info.errors.values())
    executors = {(each.executor_info.task_start, each.component_id) for each in info.executors}
    # Storm numbers tasks in the order of component ids.
    assert executors == {
        (1, "__acker"),
        (2, "__acker"),
        (3, "count"),
        (4, "count"),
        (5, "done"),
        (6, "lines"),
        (7, "split"),
        (8, "split"),
    }
    for choice in ("ALL", "NONE", "ONE"):
        options = peer.types.GetInfoOptions(
            num_err_choice=getattr(peer.types.NumErrorsChoice, choice)
        )
        assert nimbus.getTopologyInfoWithOpts(id, options).name == name
        assert nimbus.getTopologyInfoByNameWithOpts(name, options).id == id
    assert nimbus.getTopologyInfoByName(name).id == id


def spout_counts(info):
    """(acked, failed) of all lines since the start."""
    (lines,) = [each for each in info.executors if each.component_id == "lines"]
    if lines.stats is None:
        return None
    spout = lines.stats.specific.spout
    return spout.acked.get(":all-time", {}).get("default"), spout.failed.get(":all-time", {}).get(
        "default", 0
    )


def executed(info, component):
    executors = [each for each in info.executors if each.component_id == component and each.stats]
    by_stream = [each.stats.specific.bolt.executed.get(":all-time", {}) for each in executors]
    return sum(
        count
        for each in by_stream
        for stream, count in each.items()
        if stream.streamId == "default"
    )


def check_gone(peer, nimbus, name, id):
    for ask in (
        nimbus.getTopologyInfo,
        nimbus.getTopologyConf,
        nimbus.getTopology,
        nimbus.getUserTopology,
    ):
        with pytest.raises(peer.types.NotAliveException) as refused:
            ask(id)
        assert refused.value.msg == id
    for ask, unknown in [
        (nimbus.getTopologySummary, id),
        (nimbus.getTopologySummaryByName, name),
        (nimbus.getTopologyInfoByName, name),
        (nimbus.killTopology, name),
        (nimbus.activate, name),
        (nimbus.deactivate, name),
    ]:
        with pytest.raises(peer.types.NotAliveException) as refused:
            ask(unknown)
        assert refused.value.msg == f"{unknown} is not alive"
    assert id not in [each.id for each in nimbus.getTopologySummaries()]


def test_a_deactivated_spout_rests_and_goes_on_when_activated(peer, nimbus, tmp_path):
    name, out = f"pulse-{peer.name}", tmp_path / "out"
    with running(peer, nimbus, name, pulse(Builder(peer.types), out), pulse_files()):
        arrive(out)
        nimbus.deactivate(name)
        nimbus.deactivate(name)  # no-op
        assert nimbus.getTopologySummaryByName(name).status == "INACTIVE"
        n_lines = eventually("the spout rests", lambda: rests(out))
        nimbus.activate(name)
        nimbus.activate(name)
        assert nimbus.getTopologySummaryByName(name).status == "ACTIVE"
        arrive(out)
        # The same process goes on: nothing was counted twice, nothing left out.
        assert lines_of(out)[: n_lines + 10] == [str(number) for number in range(n_lines + 10)]


def test_a_topology_may_start_deactivated(cluster, peer, nimbus, tmp_path):
    name, out = f"sleeper-{peer.name}", tmp_path / "out"
    with running(
        peer, nimbus, name, pulse(Builder(peer.types), out), pulse_files(), status="INACTIVE"
    ) as id:
        assert nimbus.getTopologySummaryByName(name).status == "INACTIVE"
        eventually("its worker runs", lambda: "the worker runs" in cluster.worker_log(id))
        time.sleep(1)
        assert lines_of(out) == []
        nimbus.activate(name)
        arrive(out)


def test_killing_again_takes_the_new_delay(peer, nimbus, tmp_path):
    name = f"twice-{peer.name}"
    with running(
        peer, nimbus, name, pulse(Builder(peer.types), tmp_path / "out"), pulse_files()
    ) as id:
        nimbus.killTopologyWithOpts(name, peer.types.KillOptions(wait_secs=600))
        summary = nimbus.getTopologySummary(id)
        assert summary.status == "KILLED"
        for ask in (nimbus.activate, nimbus.deactivate):
            with pytest.raises(
                peer.ApplicationException, match="No transition for event: .*status: KILLED"
            ):
                ask(name)
        assert nimbus.isTopologyNameAllowed(name) is False
        kill(peer, nimbus, name)


def test_calls_of_streamparse_in_its_order(cluster, peer, tmp_path):
    """Two connections, no look for a leader, the upload before any check of the name."""
    name, out = f"sparse-{peer.name}", tmp_path / "out"
    with peer.connect(cluster.nimbus) as first:
        workers = [each.host for each in first.getClusterInfo().supervisors]
        assert workers
        assert isinstance(json.loads(first.getNimbusConf()), dict)
    builder = pulse(Builder(peer.types), out)
    conf = {
        "pystorm.log.path": "",
        "pystorm.log.level": "info",
        "use_virtualenv": False,
        "virtualenv_root": None,
        "sudo_user": None,
        "storm.workers.list": workers,
        "topology.acker.executors": len(workers),
        "topology.workers": len(workers),
        "topology.original_name": name,
        "topology.python.path": "/bin/env python3",
    }
    with peer.connect(cluster.nimbus) as second:
        location = upload(second, jar(pulse_files()))
        assert second.getClusterInfo().nimbuses[0].version == "3.0.0"
        for submitted in (name, f"{name}-again"):
            assert second.isTopologyNameAllowed(submitted)
            options = peer.types.SubmitOptions(
                initial_status=peer.types.TopologyInitialStatus.ACTIVE
            )
            # The second time with the same upload, as `sparse submit --remote_jar_path` does it.
            second.submitTopologyWithOpts(
                submitted, location, json.dumps(conf), builder.topology, options
            )
        arrive(out)
        second.killTopologyWithOpts(name, peer.types.KillOptions(wait_secs=0))
        eventually(
            "sparse submit --force sees it gone",
            lambda: name not in [each.name for each in second.getClusterInfo().topologies],
        )
        kill(peer, second, f"{name}-again")


@pytest.mark.parametrize("conf", [None, "", "{}"])
def test_an_absent_or_empty_conf_is_an_empty_one(peer, nimbus, tmp_path, conf):
    """FsShelter sends none, FsStorm an empty text."""
    name = f"bare-{peer.name}"
    builder = pulse(Builder(peer.types), tmp_path / "out")
    for component in (builder.topology.spouts["pulse"], builder.topology.bolts["sink"]):
        component.common.json_conf = None
    nimbus.submitTopology(name, upload(nimbus, jar(pulse_files())), conf, builder.topology)
    try:
        id = nimbus.getTopologySummaryByName(name).id
        assert json.loads(nimbus.getTopologyConf(id))["topology.workers"] == 1
    finally:
        kill(peer, nimbus, name)


def test_older_peers_fetch_code_in_chunks(peer, nimbus, tmp_path):
    name = f"fetched-{peer.name}"
    packed = jar(pulse_files(), padding_bytes=2_500_000)
    builder = pulse(Builder(peer.types), tmp_path / "out")
    options = peer.types.SubmitOptions(initial_status=peer.types.TopologyInitialStatus.INACTIVE)
    nimbus.submitTopologyWithOpts(name, upload(nimbus, packed), "{}", builder.topology, options)
    try:
        id = nimbus.getTopologySummaryByName(name).id
        session = nimbus.beginFileDownload(f"{id}-stormjar.jar")
        received = b""
        while chunk := nimbus.downloadChunk(session):
            received += chunk
        assert received == packed
        with pytest.raises(
            peer.ApplicationException, match=f"Could not find input stream for id {session}"
        ):
            nimbus.downloadChunk(session)
    finally:
        kill(peer, nimbus, name)


def test_the_daemons_conf_holds_no_secrets(own_cluster, peer):
    secrets = {
        "storm.zookeeper.auth.payload": "planted:secret",
        "ui.https.keystore.password": "planted secret",
        "nimbus.thrift.tls.server.keystore.password": "planted secret",
        "my.own.password": "planted secret",
    }
    cluster = own_cluster(slots=1, settings=secrets)
    with peer.connect(cluster.nimbus) as nimbus:
        conf = nimbus.getNimbusConf()
    assert "planted" not in conf
    assert json.loads(conf)["storm.local.dir"] == str(cluster.local)


def test_calls_of_supervisors_and_workers(cluster, peer, nimbus, tmp_path):
    types = peer.types
    (supervisor,) = nimbus.getClusterInfo().supervisors
    with running(
        peer, nimbus, f"beats-{peer.name}", pulse(Builder(types), tmp_path / "out"), pulse_files()
    ) as id:
        eventually("it is placed", lambda: nimbus.getTopologySummary(id).num_workers)
        # Python's Thrift libraries cannot read a map whose keys are lists: the bytes must do.
        kind, _, reply = exchange(
            cluster.nimbus,
            frame(
                call("getSupervisorAssignments", field(STRING, 1, text(supervisor.supervisor_id)))
            ),
        )
        assert kind == REPLY and id.encode() in reply and supervisor.supervisor_id.encode() in reply
        kind, _, reply = exchange(
            cluster.nimbus,
            frame(call("getSupervisorAssignments", field(STRING, 1, text("nobody")))),
        )
        assert kind == REPLY and id.encode() not in reply
        executors = [each.executor_info for each in nimbus.getTopologyInfo(id).executors]
        beat = types.SupervisorWorkerHeartbeat(
            storm_id=id, executors=executors, time_secs=int(time.time())
        )
        nimbus.sendSupervisorWorkerHeartbeat(beat)
        nimbus.sendSupervisorWorkerHeartbeats(
            types.SupervisorWorkerHeartbeats(
                supervisor_id=supervisor.supervisor_id, worker_heartbeats=[beat]
            )
        )
        beat.storm_id = "nobody-1-1"
        with pytest.raises(types.NotAliveException) as refused:
            nimbus.sendSupervisorWorkerHeartbeat(beat)
        assert "nobody-1-1" in refused.value.msg
