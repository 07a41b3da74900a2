"""Calls that only ask: the cluster, topologies, their code and conf."""

import json

import pytest

from cluster import eventually

from . import rules


def test_nimbus_conf_is_json(cluster, nimbus):
    """C 3.3: getNimbusConf: JSON of the daemon's conf."""
    conf = json.loads(nimbus.getNimbusConf())
    assert conf["storm.local.dir"] == str(cluster.local)
    assert conf["nimbus.thrift.max_buffer_size"] == 1048576


def test_cluster_info_has_the_fields_of_every_generation(standing, cluster, nimbus):
    """C 3.3, C 13.4 (1): supervisors, topologies, nimbuses, and nimbus_uptime_secs for 0.9."""
    info = nimbus.getClusterInfo()
    assert info.nimbus_uptime_secs >= 0
    assert standing.id in [each.id for each in info.topologies]
    (supervisor,) = info.supervisors
    assert supervisor.num_workers == len(cluster.slots)
    assert supervisor.num_used_workers >= 1 and supervisor.version
    assert {"cpu.pcore.percent", "memory.mb"} <= set(supervisor.total_resources)
    (leader,) = info.nimbuses
    assert leader.isLeader and leader.port == cluster.nimbus[1]


def test_leader(cluster, nimbus):
    """C 1.6, C 3.3: getLeader names host and port for clients to reconnect, and a plain version."""
    leader = nimbus.getLeader()
    assert (leader.port, leader.isLeader) == (cluster.nimbus[1], True)
    assert leader.host
    assert [int(part) for part in leader.version.split(".")][0] >= 1


def test_summaries(standing, nimbus):
    """C 3.3: getTopologySummaries, ByName and by id tell the same; counts follow the assignment."""
    by_id = nimbus.getTopologySummary(standing.id)
    by_name = nimbus.getTopologySummaryByName(standing.name)
    (listed,) = [each for each in nimbus.getTopologySummaries() if each.id == standing.id]
    for each in (by_id, by_name, listed):
        assert (each.id, each.name, each.status) == (standing.id, standing.name, "ACTIVE")
        # pulse, sink and an acker.
        assert (each.num_tasks, each.num_executors, each.num_workers) == (3, 3, 1)
        assert each.owner and each.replication_count == 1


def test_summaries_of_the_unknown(nimbus, types):
    """C 3.1: `<id> is not alive`, `<name> is not alive`; a null id is `null is not alive`."""
    for id, text in [("nobody", "nobody"), ("", ""), (None, "null")]:
        with rules.refused(types.NotAliveException, f"{text} is not alive"):
            nimbus.getTopologySummary(id)
    with rules.refused(types.NotAliveException, "nobody is not alive"):
        nimbus.getTopologySummaryByName("nobody")
    with rules.internal("getTopologySummaryByName"):
        nimbus.getTopologySummaryByName(None)


def test_topology_info(standing, nimbus, types):
    """C 3.3: executors with their host, port and stats; errors for every component with tasks."""

    def counted():
        info = nimbus.getTopologyInfo(standing.id)
        return info if all(each.stats for each in info.executors) else None

    info = eventually("every executor has reported", counted)
    assert (info.id, info.name, info.status) == (standing.id, standing.name, "ACTIVE")
    assert {each.component_id for each in info.executors} == {"__acker", "pulse", "sink"}
    assert set(info.errors) == {"__acker", "pulse", "sink"}
    for each in info.executors:
        assert each.host and each.port and each.stats.rate is not None
        kinds = each.stats.specific
        assert (kinds.spout is None) != (kinds.bolt is None)
        for window in ("600", "10800", "86400", ":all-time"):
            assert window in each.stats.emitted


def test_topology_info_by_name_and_with_options(standing, nimbus, types):
    """C 3.3: getTopologyInfoByName, WithOpts with ALL, NONE, ONE or unset."""
    assert nimbus.getTopologyInfoByName(standing.name).id == standing.id
    for choice in [None, *types.NumErrorsChoice._VALUES_TO_NAMES]:
        options = types.GetInfoOptions(num_err_choice=choice)
        assert nimbus.getTopologyInfoWithOpts(standing.id, options).name == standing.name
        assert nimbus.getTopologyInfoByNameWithOpts(standing.name, options).id == standing.id


def test_topology_info_without_options(standing, nimbus):
    """C 3.1: null GetInfoOptions is INTERNAL_ERROR."""
    with rules.internal("getTopologyInfoWithOpts"):
        nimbus.getTopologyInfoWithOpts(standing.id, None)
    with rules.internal("getTopologyInfoByNameWithOpts"):
        nimbus.getTopologyInfoByNameWithOpts(standing.name, None)


@pytest.mark.parametrize("id", ["nobody", ""])
def test_getters_of_an_unknown_id(nimbus, types, id):
    """C 3.1: NotAlive with exactly the id as its text."""
    options = types.GetInfoOptions()
    for call in [
        lambda: nimbus.getTopologyInfo(id),
        lambda: nimbus.getTopologyInfoWithOpts(id, options),
        lambda: nimbus.getTopologyConf(id),
        lambda: nimbus.getTopology(id),
        lambda: nimbus.getUserTopology(id),
    ]:
        with rules.refused(types.NotAliveException, id):
            call()


@pytest.mark.parametrize(
    "method", ["getTopologyInfo", "getTopologyConf", "getTopology", "getUserTopology"]
)
def test_getters_of_a_null_id(nimbus, method):
    """C 3.1: a null id is INTERNAL_ERROR."""
    with rules.internal(method):
        getattr(nimbus, method)(None)


def test_info_of_an_unknown_name(nimbus, types):
    """C 3.1: NotAlive `<name> is not alive`."""
    with rules.refused(types.NotAliveException, "nobody is not alive"):
        nimbus.getTopologyInfoByName("nobody")
    with rules.refused(types.NotAliveException, "nobody is not alive"):
        nimbus.getTopologyInfoByNameWithOpts("nobody", types.GetInfoOptions())


def test_topology_conf_is_the_merged_one(standing, nimbus):
    """C 3.3: the full conf, the topology's name and id in it."""
    conf = json.loads(nimbus.getTopologyConf(standing.id))
    assert (conf["topology.name"], conf["storm.id"]) == (standing.name, standing.id)
    assert conf["topology.message.timeout.secs"] == 30 and len(conf) > 100


def test_system_and_user_topology(standing, nimbus):
    """C 3.3, C 4.5: getTopology has the system components, getUserTopology has not."""
    system, user = nimbus.getTopology(standing.id), nimbus.getUserTopology(standing.id)
    assert set(user.spouts) == {"pulse"} and set(user.bolts) == {"sink"}
    assert set(system.spouts) == {"pulse"} and {"sink", "__acker", "__system"} <= set(system.bolts)
    assert system.bolts["__acker"].bolt_object.serialized_java is not None
    assert json.loads(user.spouts["pulse"].common.json_conf)["topology.tasks"] == 1
