"""Log levels, sampling, profiler requests, credentials and worker metrics: what Nimbus answers.

That workers do as they are told is in interop-tests/test_operations.py.
"""

import time

import pytest

from cluster import Cluster

from . import rules


@pytest.fixture
def topology(submitted):
    """One that no other test changes."""
    return submitted()


def level(types, action, target=None, timeout_secs=None, **others):
    return types.LogLevel(
        action=getattr(types.LogLevelAction, action),
        target_log_level=target,
        reset_log_level_timeout_secs=timeout_secs,
        **others,
    )


def set_levels(nimbus, types, id, **levels):
    levels = {name.replace("__", "."): each for name, each in levels.items()}
    nimbus.setLogConfig(id, types.LogConfig(named_logger_level=levels))


# ---- Log levels ----------------------------------------------------------------------------------


def test_no_log_config(topology, nimbus):
    """C 3.2: getLogConfig returns an empty LogConfig when there is none."""
    assert nimbus.getLogConfig(topology.id).named_logger_level is None


def test_an_empty_log_config(topology, nimbus, types):
    """C 3.2: a LogConfig without loggers changes nothing."""
    nimbus.setLogConfig(topology.id, types.LogConfig())
    assert nimbus.getLogConfig(topology.id).named_logger_level is None


def test_update(topology, nimbus, types):
    """C 3.2: UPDATE with a time-out gets an end; without one it has none, whatever the client says."""
    before_ms = int(time.time() * 1000)
    set_levels(
        nimbus,
        types,
        topology.id,
        ROOT=level(types, "UPDATE", "DEBUG", 30, reset_log_level="WARN"),
        a__b=level(types, "UPDATE", "WARN", reset_log_level_timeout_epoch=5),
        c__d=level(types, "UPDATE", "WARN", 0, reset_log_level_timeout_epoch=5),
    )
    found = nimbus.getLogConfig(topology.id).named_logger_level
    assert set(found) == {"ROOT", "a.b", "c.d"}
    root = found["ROOT"]
    assert root.action == types.LogLevelAction.UPDATE
    assert (root.target_log_level, root.reset_log_level_timeout_secs) == ("DEBUG", 30)
    assert root.reset_log_level == "WARN"
    assert before_ms + 30_000 <= root.reset_log_level_timeout_epoch <= before_ms + 50_000
    assert found["a.b"].reset_log_level_timeout_epoch is None
    assert found["c.d"].reset_log_level_timeout_epoch is None


def test_unchanged_and_remove(topology, nimbus, types):
    """C 3.2: what is stored becomes UNCHANGED, REMOVE deletes, UNCHANGED in a call adds nothing."""
    set_levels(
        nimbus,
        types,
        topology.id,
        ROOT=level(types, "UPDATE", "DEBUG"),
        a__b=level(types, "UPDATE", "WARN"),
    )
    set_levels(
        nimbus,
        types,
        topology.id,
        a__b=level(types, "REMOVE"),
        c__d=level(types, "UNCHANGED"),
        e__f=level(types, "REMOVE"),
    )
    found = nimbus.getLogConfig(topology.id).named_logger_level
    assert set(found) == {"ROOT"}
    assert found["ROOT"].action == types.LogLevelAction.UNCHANGED
    assert found["ROOT"].target_log_level == "DEBUG"
    set_levels(nimbus, types, topology.id, ROOT=level(types, "REMOVE"))
    assert nimbus.getLogConfig(topology.id).named_logger_level == {}


def test_a_level_ends(topology, nimbus, types):
    """C 3.2: after its time-out a level is no longer in force; ours leaves the record then, too."""
    set_levels(
        nimbus,
        types,
        topology.id,
        ROOT=level(types, "UPDATE", "DEBUG", 3),
        a__b=level(types, "UPDATE", "WARN"),
    )
    assert set(nimbus.getLogConfig(topology.id).named_logger_level) == {"ROOT", "a.b"}
    time.sleep(3.1)
    assert set(nimbus.getLogConfig(topology.id).named_logger_level) == {"a.b"}


def test_a_level_that_does_not_exist(topology, nimbus, types):
    """C 3.2 (recorded): Nimbus takes any level; workers pass over those that they do not know."""
    set_levels(nimbus, types, topology.id, e=level(types, "UPDATE", "LOUD"))
    assert nimbus.getLogConfig(topology.id).named_logger_level["e"].target_log_level == "LOUD"


@pytest.mark.parametrize("name", ["", "x" * 100_000])
def test_bad_names_of_loggers(topology, nimbus, types, name):
    """C 3.2: an empty logger name is an error; ours has a limit for its length."""
    with rules.internal("setLogConfig"):
        set_levels(nimbus, types, topology.id, **{name: level(types, "UPDATE", "INFO")})
    assert nimbus.getLogConfig(topology.id).named_logger_level is None


def test_too_many_loggers(topology, nimbus, types):
    """Ours: a topology keeps a hundred levels, so that nobody can grow its workers' work."""
    levels = {f"logger{n}": level(types, "UPDATE", "INFO") for n in range(101)}
    with rules.internal("setLogConfig", "limit"):
        set_levels(nimbus, types, topology.id, **levels)
    assert nimbus.getLogConfig(topology.id).named_logger_level is None


@pytest.mark.parametrize("id", ["nobody-1-1", "", None])
def test_log_config_of_nobody(nimbus, types, id):
    """C 3.1: an unknown id is INTERNAL_ERROR here: the methods declare no exception."""
    with rules.internal("setLogConfig"):
        nimbus.setLogConfig(id, types.LogConfig())
    with rules.internal("getLogConfig"):
        nimbus.getLogConfig(id)


def test_a_null_log_config(topology, nimbus):
    """C 3.1: null arguments are INTERNAL_ERROR."""
    with rules.internal("setLogConfig"):
        nimbus.setLogConfig(topology.id, None)


# ---- Sampling ------------------------------------------------------------------------------------


def sampling_of(nimbus, topology):
    options = nimbus.getTopologyInfo(topology.id).component_debug
    return {key: (each.enable, each.samplingpct) for key, each in options.items()}


@pytest.mark.parametrize("component", ["", None])
def test_sampling_of_a_topology(topology, nimbus, component):
    """C 3.2: without a component the key is the topology's id; the share is within 0 and 100."""
    assert sampling_of(nimbus, topology) == {}
    nimbus.debug(topology.name, component, True, 150.0)
    assert sampling_of(nimbus, topology) == {topology.id: (True, 100.0)}
    nimbus.debug(topology.name, component, True, -3.0)
    assert sampling_of(nimbus, topology) == {topology.id: (True, 0.0)}


def test_sampling_of_a_component(topology, nimbus):
    """C 3.2: the new share replaces the old one (Storm adds them); turned off, it is kept."""
    nimbus.debug(topology.name, "ticks", True, 10.0)
    nimbus.debug(topology.name, "ticks", True, 20.0)
    assert sampling_of(nimbus, topology) == {"ticks": (True, 20.0)}
    nimbus.debug(topology.name, "ticks", False, 5.0)
    assert sampling_of(nimbus, topology) == {"ticks": (False, 20.0)}


def test_sampling_of_a_component_that_does_not_exist(topology, nimbus):
    """C 3.2: kept as any other; an id that none could have is refused, or they would pile up."""
    nimbus.debug(topology.name, "nothing", True, 10.0)
    assert sampling_of(nimbus, topology) == {"nothing": (True, 10.0)}
    with rules.internal("debug"):
        nimbus.debug(topology.name, "x" * 100_000, True, 10.0)
    assert sampling_of(nimbus, topology) == {"nothing": (True, 10.0)}


def test_sampling_of_nobody(nimbus, types):
    """C 3.2: NotAlive for a name that is not alive; null is INTERNAL_ERROR."""
    with rules.refused(types.NotAliveException, "nobody is not alive"):
        nimbus.debug("nobody", "ticks", True, 1.0)
    with rules.internal("debug"):
        nimbus.debug(None, None, None, None)


# ---- Profiler requests ---------------------------------------------------------------------------


def request_for(types, host, port, action, in_secs):
    return types.ProfileRequest(
        nodeInfo=types.NodeInfo(node=host, port={port}),
        action=getattr(types.ProfileAction, action),
        time_stamp=int((time.time() + in_secs) * 1000),
    )


def test_pending_profile_actions(topology, nimbus, types):
    """C 3.2: per host and port of the component, the request whose time is still to come."""
    topology.placed()
    executor = nimbus.getTopologyInfo(topology.id).executors[0]
    stop = types.ProfileAction.JPROFILE_STOP
    ask = nimbus.getComponentPendingProfileActions
    assert ask(topology.id, "ticks", stop) == []
    first = request_for(types, executor.host, executor.port, "JPROFILE_STOP", 60)
    newest = request_for(types, executor.host, executor.port, "JPROFILE_STOP", 90)
    elsewhere = request_for(types, "elsewhere", executor.port, "JPROFILE_STOP", 90)
    for request in (first, newest, elsewhere):
        nimbus.setWorkerProfiler(topology.id, request)
    assert ask(topology.id, "ticks", stop) == [newest]
    assert ask(topology.id, "sink", stop) == [newest]
    assert ask(topology.id, "ticks", types.ProfileAction.JMAP_DUMP) == []
    assert ask(topology.id, "nothing", stop) == []
    past = request_for(types, executor.host, executor.port, "JPROFILE_STOP", -1)
    nimbus.setWorkerProfiler(topology.id, past)
    assert ask(topology.id, "ticks", stop) == []


@pytest.mark.parametrize("id", ["nobody-1-1", "", None])
def test_profiles_of_nobody(nimbus, types, id):
    """C 3.1: an unknown id is INTERNAL_ERROR here: the methods declare no exception."""
    with rules.internal("setWorkerProfiler"):
        nimbus.setWorkerProfiler(id, request_for(types, "localhost", 6700, "JSTACK_DUMP", 0))
    with rules.internal("getComponentPendingProfileActions"):
        nimbus.getComponentPendingProfileActions(id, "x", types.ProfileAction.JSTACK_DUMP)


def test_requests_that_name_no_slot(topology, nimbus, types):
    """C 3.1, C 3.2: a null request and one without a port are INTERNAL_ERROR."""
    with rules.internal("setWorkerProfiler"):
        nimbus.setWorkerProfiler(topology.id, None)
    no_port = types.ProfileRequest(
        nodeInfo=types.NodeInfo(node="localhost", port=set()),
        action=types.ProfileAction.JSTACK_DUMP,
    )
    with rules.internal("setWorkerProfiler"):
        nimbus.setWorkerProfiler(topology.id, no_port)


def test_requests_are_bounded(topology, nimbus, types):
    """Ours: hosts that nobody has, and many of them, do not grow what Nimbus keeps."""
    with rules.internal("setWorkerProfiler"):
        request = request_for(types, "h" * 100_000, 6700, "JSTACK_DUMP", 60)
        nimbus.setWorkerProfiler(topology.id, request)
    with rules.internal("setWorkerProfiler", "wait already"):
        for port in range(300):
            request = request_for(types, "elsewhere", port, "JSTACK_DUMP", 60)
            nimbus.setWorkerProfiler(topology.id, request)


# ---- Credentials ---------------------------------------------------------------------------------


def test_credentials_of_nobody(nimbus, types):
    """C 3.2: NotAlive `<name> is not alive`; a null name is INTERNAL_ERROR."""
    with rules.refused(types.NotAliveException, "nobody is not alive"):
        nimbus.uploadNewCredentials("nobody", types.Credentials(creds={}))
    with rules.internal("uploadNewCredentials"):
        nimbus.uploadNewCredentials(None, types.Credentials(creds={}))


def test_credentials(topology, nimbus, types):
    """C 3.2: without authentication anybody may; with an owner named it must be the owner."""
    owner = nimbus.getTopologySummary(topology.id).owner
    nimbus.uploadNewCredentials(topology.name, types.Credentials(creds={"a": "1"}))
    nimbus.uploadNewCredentials(topology.name, types.Credentials(creds={"a": "1"}, topoOwner=owner))
    nimbus.uploadNewCredentials(topology.name, None)
    text = f"{topology.id} is expected to be owned by eve but is actually owned by "
    with rules.refused(types.AuthorizationException, text):
        nimbus.uploadNewCredentials(topology.name, types.Credentials(creds={}, topoOwner="eve"))


def test_credentials_have_a_limit(topology, nimbus, types):
    """Ours: so that nobody can grow what every worker is told; the text does not show them."""
    with rules.internal("uploadNewCredentials", "limit"):
        nimbus.uploadNewCredentials(topology.name, types.Credentials(creds={"a": "x" * 300_000}))


def test_a_refusal_does_not_quote_credentials(cluster, nimbus, types):
    """G8, C 1.3: the text of PROTOCOL_ERROR shows a struct as Java does, but for its secrets."""
    creds = types.Credentials(creds={"name": "planted-secret"})
    options = types.SubmitOptions(creds=creds)
    shown = "Struct:SubmitOptions(initial_status:null, creds:Credentials(creds:*****))"
    unset = "Required field 'initial_status' is unset! "
    with rules.application_error(rules.PROTOCOL_ERROR, unset + shown):
        nimbus.submitTopologyWithOpts("x", None, "{}", rules.native(types).topology, options)
    assert "planted-secret" not in cluster.log.read_text()


# ---- What survives -------------------------------------------------------------------------------


def test_all_of_it_survives_a_kill(own_cluster, types):
    """Ours: what was answered is on disk: kill -9 takes none of it."""
    nimbus_port = 0
    cluster: Cluster = own_cluster(command="nimbus", settings={"nimbus.thrift.port": nimbus_port})
    with rules.connection(cluster) as nimbus:
        topology = rules.submit(nimbus, types)
        set_levels(nimbus, types, topology.id, ROOT=level(types, "UPDATE", "DEBUG", 600))
        nimbus.debug(topology.name, "ticks", True, 10.0)
        nimbus.uploadNewCredentials(topology.name, types.Credentials(creds={"a": "planted"}))
        config = nimbus.getLogConfig(topology.id)
    cluster.kill()
    cluster.start()
    with rules.connection(cluster) as nimbus:
        assert nimbus.getLogConfig(topology.id) == config
        assert sampling_of(nimbus, topology) == {"ticks": (True, 10.0)}
        # Killed, it takes all of it along.
        rules.kill(nimbus, types, topology.name)
        with rules.internal("getLogConfig"):
            nimbus.getLogConfig(topology.id)


# ---- Metrics -------------------------------------------------------------------------------------


def metrics(types, id):
    point = types.WorkerMetricPoint(
        metricName="m",
        timestamp=int(time.time() * 1000),
        metricValue=1.5,
        componentId="ticks",
        executorId="1",
        streamId="default",
    )
    return types.WorkerMetrics(
        topologyId=id,
        port=6700,
        hostname="localhost",
        metricList=types.WorkerMetricList(metrics=[point]),
    )


@pytest.mark.parametrize("id", [None, "nobody-1-1"])
def test_worker_metrics(topology, nimbus, types, id):
    """C 3.3: taken, whatever they are of: failures are swallowed."""
    nimbus.processWorkerMetrics(metrics(types, id or topology.id))


def test_null_worker_metrics(nimbus):
    """C 3.1: null is INTERNAL_ERROR."""
    with rules.internal("processWorkerMetrics"):
        nimbus.processWorkerMetrics(None)
