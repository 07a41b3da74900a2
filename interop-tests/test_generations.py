"""Clients of Storm 0.9, 1.x, 2.x and 3.x at our port: each calls as in its time (C 13).

Each test names the section of the specification that it pins.
"""

import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from thriftpy2.thrift import TApplicationException, TException

import generations
import topologies
from cluster import eventually
from wire import (
    BOOL,
    I32,
    I64,
    LIST,
    MAP,
    REPLY,
    SET,
    STOP,
    STRING,
    STRUCT,
    call,
    exchange,
    field,
    frame,
    text,
)

ALL = [
    generations.Generation(version, is_strict)
    for version in generations.VERSIONS
    for is_strict in (True, False)
]
STRICT = [each for each in ALL if each.is_strict]


def of(*versions):
    return pytest.mark.parametrize(
        "generation", [each for each in STRICT if each.version in versions], ids=repr
    )


@pytest.fixture(params=ALL, ids=repr)
def generation(request):
    return request.param


@pytest.fixture(scope="session")
def standing(cluster, tmp_path_factory):
    """(name, id) of a topology that counts; submitted and killed by a client of 3.x."""
    newest = STRICT[-1]
    out = tmp_path_factory.mktemp("generations") / "out"
    builder = topologies.pulse(topologies.Builder(newest.types), out)
    with newest.connect(cluster.nimbus) as nimbus:
        with topologies.running(
            newest,
            nimbus,
            "generations",
            builder,
            topologies.pulse_files(),
            conf={"topology.stats.sample.rate": 1.0},
        ) as id:
            topologies.arrive(out)

            def counted():
                executors = nimbus.getTopologyInfo(id).executors
                return executors and all(each.stats for each in executors)

            eventually("every executor has reported", counted)
            yield "generations", id


# ---- Submitting ----------------------------------------------------------------------------------


def free_of(info, name):
    return name not in [each.name for each in info.topologies]


def submit_0_9(generation, cluster, name, content, topology):
    """C 2.2: three connections; the first is open all the while, and the name is sought in
    getClusterInfo. Another submission of the same process reuses the location.
    """
    with generation.connect(cluster.nimbus) as first:
        with generation.connect(cluster.nimbus) as second:
            assert free_of(second.getClusterInfo(), name)
        with generation.connect(cluster.nimbus) as third:
            location = topologies.upload(third, content)
        first.submitTopology(name, location, "{}", topology)
    again = f"{name}-again"
    with generation.connect(cluster.nimbus) as nimbus:
        assert free_of(nimbus.getClusterInfo(), again)
        nimbus.submitTopology(again, location, "{}", topology)
        nimbus.killTopologyWithOpts(again, generation.types.KillOptions(wait_secs=0))


def submit_1_0(generation, cluster, name, content, topology):
    """C 1.6: the leader is the Nimbus that getClusterInfo says it is, on a second connection."""
    with generation.connect(cluster.nimbus) as seed:
        (leader,) = [each for each in seed.getClusterInfo().nimbuses if each.isLeader]
    with generation.connect((leader.host, leader.port)) as nimbus:
        assert free_of(nimbus.getClusterInfo(), name)
        location = topologies.upload(nimbus, content)
        nimbus.submitTopologyWithOpts(name, location, "{}", topology, options(generation))


def submit_1_1(generation, cluster, name, content, topology):
    """C 1.6, C 13.3: getLeader, isTopologyNameAllowed, upload, submit."""
    with generation.connect(cluster.nimbus) as seed:
        leader = seed.getLeader()
    with generation.connect((leader.host, leader.port)) as nimbus:
        assert nimbus.isTopologyNameAllowed(name)
        location = topologies.upload(nimbus, content)
        topology.storm_version = "1.2.4"
        nimbus.submitTopologyWithOpts(name, location, "{}", topology, options(generation))


def submit_2(generation, cluster, name, content, topology):
    """C 2.1: as 1.1, and a dependency as a blob beforehand."""
    types = generation.types
    key = f"dep-{name}-{time.time_ns()}.jar"
    with generation.connect(cluster.nimbus) as nimbus:
        assert nimbus.getLeader().isLeader
        with pytest.raises(types.KeyNotFoundException):
            nimbus.getBlobMeta(key)
        acl = [
            types.AccessControl(type=types.AccessControlType.USER, access=7),
            types.AccessControl(type=types.AccessControlType.OTHER, access=1),
        ]
        session = nimbus.beginCreateBlob(key, types.SettableBlobMeta(acl=acl))
        nimbus.uploadBlobChunk(session, content)
        nimbus.finishBlobUpload(session)
        nimbus.createStateInZookeeper(key)
    topology.dependency_jars, topology.dependency_artifacts = [key], []
    topology.storm_version, topology.jdk_version = "2.8.3", "17"
    submit_1_1(generation, cluster, name, content, topology)


def options(generation):
    types = generation.types
    return types.SubmitOptions(initial_status=types.TopologyInitialStatus.ACTIVE)


@pytest.mark.parametrize(
    "generation, submit",
    [
        (each, submit)
        for each in ALL
        for submit in {
            "0.9": [submit_0_9],
            "1.x": [submit_1_0, submit_1_1],
            "2.x": [submit_2],
            "3.x": [submit_2],
        }[each.version]
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_it_submits_as_its_clients_do(cluster, tmp_path, generation, submit):
    """C 2, C 13.3: the calls of that time, in their order; then tuples arrive."""
    name, out = f"of-{generation.version.replace('.', '-')}-{submit.__name__}", tmp_path / "out"
    builder = topologies.pulse(topologies.Builder(generation.types), out)
    try:
        content = topologies.jar(topologies.pulse_files())
        submit(generation, cluster, name, content, builder.topology)
        topologies.arrive(out)
    finally:
        with generation.connect(cluster.nimbus) as nimbus:
            end(generation, nimbus, name)


def end(generation, nimbus, name):
    types = generation.types
    try:
        nimbus.killTopologyWithOpts(name, types.KillOptions(wait_secs=0))
    except types.NotAliveException:
        return
    eventually(f"{name} is gone", lambda: free_of(nimbus.getClusterInfo(), name))


# ---- Reading -------------------------------------------------------------------------------------


def test_cluster_info_has_what_it_requires(cluster, standing, generation):
    """C 13.2, C 13.4 (1): nimbus_uptime_secs for 0.9, nimbuses since 1.0; no field breaks one."""
    with generation.connect(cluster.nimbus) as nimbus:
        info = nimbus.getClusterInfo()
    assert standing[1] in [each.id for each in info.topologies]
    assert len(info.supervisors) == 1
    if generation.version in ("0.9", "1.x"):
        assert info.nimbus_uptime_secs >= 0
    if generation.version != "0.9":
        assert [each.isLeader for each in info.nimbuses] == [True]


def test_topology_info_has_what_it_requires(cluster, standing, generation):
    """C 13.2, C 13.4 (1): stats with rate, which 0.10 to 3.0 require and 0.9 skips."""
    with generation.connect(cluster.nimbus) as nimbus:
        info = nimbus.getTopologyInfo(standing[1])
    assert {each.component_id for each in info.executors} == {"__acker", "pulse", "sink"}
    for each in info.executors:
        specific = each.stats.specific
        assert (specific.bolt is None) == (each.component_id == "pulse")
        assert (specific.spout is None) == (each.component_id != "pulse")
        if generation.version != "0.9":
            assert each.stats.rate > 0


def test_code_and_conf_have_what_it_requires(cluster, standing, generation):
    """C 13.2: StormTopology and its parts; fields of later times are skipped."""
    with generation.connect(cluster.nimbus) as nimbus:
        user, system = nimbus.getUserTopology(standing[1]), nimbus.getTopology(standing[1])
        assert set(user.spouts) == {"pulse"} and set(user.bolts) == {"sink"}
        assert user.spouts["pulse"].spout_object.shell.script == "pulse.py"
        assert {"__acker", "__system"} <= set(system.bolts)
        assert json.loads(nimbus.getTopologyConf(standing[1]))["storm.id"] == standing[1]
        assert json.loads(nimbus.getNimbusConf())["storm.local.dir"]


@of("1.x", "2.x", "3.x")
def test_pages_have_what_it_requires(cluster, standing, generation):
    """C 13.2, C 9.4, C 9.5: the pages of 1.0 and later."""
    with generation.connect(cluster.nimbus) as nimbus:
        for window in (":all-time", "600", "10800", "86400"):
            page = nimbus.getTopologyPageInfo(standing[1], window, True)
            assert page.id == standing[1] and set(page.id_to_spout_agg_stats) == {"pulse"}
            component = nimbus.getComponentPageInfo(standing[1], "sink", window, True)
            assert component.component_type == generation.types.ComponentType.BOLT
        assert standing[1] in nimbus.getTopologyHistory(None).topo_ids


@of("2.x", "3.x")
def test_summaries_have_what_it_requires(cluster, standing, generation):
    """C 13.2: the summaries of 2.3 and later."""
    name, id = standing
    with generation.connect(cluster.nimbus) as nimbus:
        assert id in [each.id for each in nimbus.getTopologySummaries()]
        assert nimbus.getTopologySummaryByName(name).id == nimbus.getTopologySummary(id).id == id
        assert nimbus.getTopologyInfoByName(name).id == id
        (owner,) = nimbus.getOwnerResourceSummaries("ahab")
        assert owner.owner == "ahab"


@of("0.9", "1.x")
def test_it_fetches_code_file_by_file(cluster, standing, generation):
    """C 3.4, C 13.4 (2): beginFileDownload and downloadChunk until an empty chunk."""
    with generation.connect(cluster.nimbus) as nimbus:
        session, received = nimbus.beginFileDownload(f"{standing[1]}-stormjar.jar"), b""
        while chunk := nimbus.downloadChunk(session):
            received += chunk
    with zipfile.ZipFile(io.BytesIO(received)) as jar:
        assert set(jar.namelist()) == {f"resources/{each}" for each in topologies.pulse_files()}


@of("1.x", "2.x", "3.x")
def test_a_blob_that_is_in_use_stays(cluster, standing, generation):
    """C 3.5, C 13.2: deleteBlob refuses by IllegalState, which 1.x takes for success."""
    key = f"{standing[1]}-stormcode.ser"
    with generation.connect(cluster.nimbus) as nimbus:
        if generation.version == "1.x":
            nimbus.deleteBlob(key)
        else:
            with pytest.raises(generation.types.IllegalStateException) as refusal:
                nimbus.deleteBlob(key)
            assert standing[1] in refusal.value.msg
        assert nimbus.getBlobMeta(key).version > 0


# ---- Writing -------------------------------------------------------------------------------------


@of("2.x", "3.x")
def test_heartbeats_tell_the_time_in_its_width(cluster, standing, generation):
    """C 13.2, C 13.4 (3): time_secs in 32 bits until 3.0, in 64 since; at Nimbus and supervisor."""
    types = generation.types
    with generation.connect(cluster.nimbus) as nimbus:
        executors = [each.executor_info for each in nimbus.getTopologyInfo(standing[1]).executors]
        node = nimbus.getClusterInfo().supervisors[0].supervisor_id
        beat = types.SupervisorWorkerHeartbeat(
            storm_id=standing[1], executors=executors, time_secs=int(time.time())
        )
        nimbus.sendSupervisorWorkerHeartbeat(beat)
        nimbus.sendSupervisorWorkerHeartbeats(
            types.SupervisorWorkerHeartbeats(supervisor_id=node, worker_heartbeats=[beat])
        )
    with generation.connect(cluster.addresses["supervisor"], "Supervisor") as supervisor:
        supervisor.sendSupervisorWorkerHeartbeat(beat)


def test_it_steers(cluster, standing, generation):
    """C 3.2: activate, deactivate, rebalance, kill of what is not there, with its exceptions."""
    name, types = standing[0], generation.types
    with generation.connect(cluster.nimbus) as nimbus:
        nimbus.deactivate(name)
        nimbus.activate(name)
        for order in (
            lambda: nimbus.activate("nobody"),
            lambda: nimbus.killTopologyWithOpts("nobody", types.KillOptions()),
            lambda: nimbus.rebalance("nobody", types.RebalanceOptions()),
        ):
            with pytest.raises(types.NotAliveException) as refusal:
                order()
            assert refusal.value.msg == "nobody is not alive"


def test_a_call_without_arguments_is_answered(cluster, generation):
    """C 13.4, C 1.3: every method of its time with every argument left out: an answer, on a
    connection that stays.
    """
    with generation.connect(cluster.nimbus) as nimbus:
        for method, n_arguments in generation.methods().items():
            try:
                getattr(nimbus, method)(*[None] * n_arguments)
            except TApplicationException as error:
                assert error.type != TApplicationException.UNKNOWN_METHOD, method
            except TException:
                pass  # a declared refusal
        assert nimbus.getClusterInfo().supervisors


def test_bare_parts_of_a_topology_are_enough(cluster, tmp_path, generation):
    """C 13.4 (4): no state_spouts, no parallelism_hint, no json_conf, no conf."""
    types, name, out = generation.types, f"bare-{generation.version[0]}", tmp_path / "out"
    topology = topologies.pulse(topologies.Builder(types), out).topology
    topology.state_spouts = None
    for each in (topology.spouts["pulse"], topology.bolts["sink"]):
        each.common.json_conf = each.common.parallelism_hint = None
    with generation.connect(cluster.nimbus) as nimbus:
        location = topologies.upload(nimbus, topologies.jar(topologies.pulse_files()))
        nimbus.submitTopology(name, location, None, topology)
        try:
            topologies.arrive(out, count=1)
        finally:
            end(generation, nimbus, name)


# A field of each type that no generation has, and in which other structs may nest.
UNKNOWN = b"".join(
    [
        field(BOOL, 901, b"\1"),
        field(I32, 902, b"\0\0\0\1"),
        field(I64, 903, b"\0\0\0\0\0\0\0\1"),
        field(STRING, 904, text("later")),
        field(LIST, 905, bytes([STRING]) + b"\0\0\0\1" + text("x")),
        field(SET, 906, bytes([I32]) + b"\0\0\0\1\0\0\0\1"),
        field(MAP, 907, bytes([STRING, STRUCT]) + b"\0\0\0\1" + text("k") + bytes([STOP])),
        field(STRUCT, 908, field(STRUCT, 1, bytes([STOP])) + bytes([STOP])),
    ]
)


def test_fields_of_later_generations_are_skipped(cluster, standing):
    """C 1.3, C 13: unknown fields among the arguments and in a struct of theirs."""
    options = field(STRUCT, 2, UNKNOWN + field(I32, 1, b"\0\0\0\1") + bytes([STOP]))
    arguments = UNKNOWN + field(STRING, 1, text(standing[1])) + options
    kind, _, reply = exchange(cluster.nimbus, frame(call("getTopologyInfoWithOpts", arguments)))
    assert kind == REPLY and standing[1].encode() in reply


# ---- DRPC ----------------------------------------------------------------------------------------


def test_functions_are_called_and_answered(cluster, generation):
    """C 10.1, C 13.2: execute, fetchRequest, result and failRequest of its time."""
    types, function = generation.types, f"of-{generation!r}"
    drpc, invocations = cluster.addresses["drpc"], cluster.addresses["drpc-invocations"]

    def execute(arguments):
        with generation.connect(drpc, "DistributedRPC") as client:
            return client.execute(function, arguments)

    with (
        ThreadPoolExecutor(2) as callers,
        generation.connect(invocations, "DistributedRPCInvocations") as spout,
    ):

        def request():
            fetched = spout.fetchRequest(function)
            return fetched if fetched.request_id else None

        answer = callers.submit(execute, "thar")
        fetched = eventually("a request", request)
        assert fetched.func_args == "thar"
        spout.result(fetched.request_id, "she blows")
        assert answer.result(10) == "she blows"
        answer = callers.submit(execute, "x")
        spout.failRequest(eventually("a request", request).request_id)
        with pytest.raises(types.DRPCExecutionException) as failure:
            answer.result(10)
        assert failure.value.msg == "Request failed"
