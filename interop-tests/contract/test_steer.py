"""Rebalance: what it changes and refuses; kill and the others while it goes on (C 3.2, 5).

Submit, activate, deactivate and kill of a topology that is left alone are in test_life.
"""

import json
import time

import pytest

import topologies
from cluster import eventually

from . import rules


def graph(types, tasks=6):
    """`ticks` -> `split` (fields grouping, more tasks than executors) -> `sink`, all native."""
    builder = topologies.Builder(types)
    streams = {"default": ["number", "time"]}
    builder.spout("ticks", builder.native("stormwire.TimerSpout", 20), streams, parallelism=2)
    split = builder.native("stormwire.IdBolt")
    inputs = {"ticks": builder.fields("number")}
    conf = {"topology.tasks": tasks}
    builder.bolt("split", split, inputs, streams, parallelism=2, conf=conf)
    sink = builder.native("stormwire.NullBolt")
    inputs = {"split": builder.shuffle()}
    return builder.bolt("sink", sink, inputs, parallelism=2, conf={"topology.tasks": 3})


@pytest.fixture
def running(submitted, types):
    """A placed topology of two workers whose message time-out is long."""
    conf = {"topology.workers": 2, "topology.message.timeout.secs": 600}
    topology = submitted(builder=graph(types), conf=conf)
    topology.placed()
    return topology


def status_of(nimbus, topology):
    return nimbus.getTopologySummary(topology.id).status


def back(nimbus, topology, status="ACTIVE"):
    """Waits until a rebalance is over; the topology's info."""
    eventually(f"{topology.id} is {status}", lambda: status_of(nimbus, topology) == status)
    return nimbus.getTopologyInfo(topology.id)


def executors_of(info, component):
    """(first, last) task of each executor, in order."""
    found = [each.executor_info for each in info.executors if each.component_id == component]
    return sorted((each.task_start, each.task_end) for each in found)


def workers_of(info):
    return {(each.host, each.port) for each in info.executors}


def pids(cluster, topology):
    """Pids of the topology's workers by port."""
    found = [worker for worker in cluster.workers() if worker.topology == topology.id]
    return {worker.port: worker.pid for worker in found}


# ---- Statuses ------------------------------------------------------------------------------------


def test_rebalance_of_an_unknown_name(nimbus, types):
    """C 3.2: NotAlive `<name> is not alive`."""
    with rules.refused(types.NotAliveException, "nobody is not alive"):
        nimbus.rebalance("nobody", types.RebalanceOptions())


@pytest.mark.parametrize("initial", ["ACTIVE", "INACTIVE"])
def test_a_rebalance_goes_back_to_what_was(submitted, nimbus, types, initial):
    """C 5.1: REBALANCING for the delay, then the status before; options may be empty."""
    topology = submitted(builder=graph(types), status=initial)
    topology.placed()
    nimbus.rebalance(topology.name, types.RebalanceOptions(wait_secs=3))
    assert status_of(nimbus, topology) == "REBALANCING"
    back(nimbus, topology, initial)


def test_the_delay_is_the_message_timeout(running, nimbus, types):
    """C 5.1: d = wait_secs if set, else topology.message.timeout.secs; 0 is a delay too."""
    nimbus.rebalance(running.name, types.RebalanceOptions())
    time.sleep(1.5)
    assert status_of(nimbus, running) == "REBALANCING"
    with rules.internal("rebalance"):
        nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=0))


def test_a_rebalance_without_delay(running, nimbus, types):
    """C 5.1: wait_secs 0 is allowed."""
    nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=0))
    back(nimbus, running)


def test_orders_during_a_rebalance(running, nimbus, types):
    """C 5.1: ACTIVATE, INACTIVATE, REBALANCE: INTERNAL_ERROR `No transition for event: ...`."""
    nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=600))
    for method, event, options in [
        ("activate", "ACTIVATE", []),
        ("deactivate", "INACTIVATE", []),
        ("rebalance", "REBALANCE", [types.RebalanceOptions()]),
    ]:
        text = f"No transition for event: {event}, status: REBALANCING storm-id: {running.id}"
        with rules.internal(method, text):
            getattr(nimbus, method)(running.name, *options)


def test_a_kill_ends_a_rebalance(running, nimbus, types):
    """C 5.1: REBALANCING + KILL -> KILLED, with the delay of the kill."""
    nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=600))
    nimbus.killTopologyWithOpts(running.name, types.KillOptions(wait_secs=600))
    assert status_of(nimbus, running) == "KILLED"
    with rules.internal("rebalance", "No transition for event: REBALANCE, status: KILLED"):
        nimbus.rebalance(running.name, types.RebalanceOptions())
    nimbus.killTopologyWithOpts(running.name, types.KillOptions(wait_secs=0))
    eventually("its end", lambda: nimbus.isTopologyNameAllowed(running.name))


def test_killTopology_of_a_rebalancing_topology_waits_for_the_timeout(running, nimbus, types):
    """C 3.2: killTopology(name) = killTopologyWithOpts(name, {}), whatever the status."""
    nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=600))
    nimbus.killTopology(running.name)
    assert status_of(nimbus, running) == "KILLED"
    assert nimbus.isTopologyNameAllowed(running.name) is False


# ---- What is refused -----------------------------------------------------------------------------


def test_an_unknown_component_is_refused(running, nimbus, types):
    """C 3.2: `Invalid component <c> for topology <name>, valid values are a,b,c`."""
    text = f"Invalid component zz for topology {running.name}, valid values are sink,split,ticks"
    with rules.refused(types.InvalidTopologyException, text):
        nimbus.rebalance(running.name, types.RebalanceOptions(num_executors={"zz": 2}))
    assert status_of(nimbus, running) == "ACTIVE"


@pytest.mark.parametrize("count", [0, -1])
def test_too_few_executors_are_refused(running, nimbus, types, count):
    """C 3.2: `Number of executors must be greater than 0`."""
    with rules.refused(
        types.InvalidTopologyException, "Number of executors must be greater than 0"
    ):
        nimbus.rebalance(running.name, types.RebalanceOptions(num_executors={"split": count}))


def test_a_negative_number_of_workers_is_refused(running, nimbus, types):
    """C 3.2 (trap): Storm stores it and the whole Nimbus ends; refusing it is the safe extension."""
    with pytest.raises(types.InvalidTopologyException):
        nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=0, num_workers=-1))
    assert status_of(nimbus, running) == "ACTIVE"


def test_no_workers_at_all_are_ignored(running, nimbus, types):
    """C 5.1: num_workers 0 falls back to the stored value."""
    nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=0, num_workers=0))
    assert len(workers_of(back(nimbus, running))) == 2


@pytest.mark.parametrize("conf", ["{nope", "[]", "17"])
def test_a_conf_that_is_no_object(running, nimbus, types, conf):
    """C 3.2: unparsable conf override text: INTERNAL_ERROR."""
    with rules.internal("rebalance"):
        nimbus.rebalance(running.name, types.RebalanceOptions(topology_conf_overrides=conf))
    assert status_of(nimbus, running) == "ACTIVE"


def test_a_conf_that_submit_would_refuse(running, nimbus, types):
    """C 4.3: the validators of submit hold for overrides too: what Storm stores here ends workers."""
    options = types.RebalanceOptions(topology_conf_overrides='{"topology.workers": "many"}')
    with pytest.raises(types.InvalidTopologyException) as refusal:
        nimbus.rebalance(running.name, options)
    assert "TOPOLOGY_WORKERS" in refusal.value.msg


def test_options_are_needed(running, nimbus):
    """C 3.1: null options are INTERNAL_ERROR."""
    with rules.internal("rebalance"):
        nimbus.rebalance(running.name, None)


# ---- What changes --------------------------------------------------------------------------------


def test_workers_grow_and_shrink(running, nimbus, types):
    """C 5.1: num_workers is applied; tasks and executors stay."""
    before = nimbus.getTopologyInfo(running.id)
    for n_workers in [4, 1, 3]:
        options = types.RebalanceOptions(wait_secs=0, num_workers=n_workers)
        nimbus.rebalance(running.name, options)
        info = back(nimbus, running)
        assert len(workers_of(info)) == n_workers
        for component in ["ticks", "split", "sink", "__acker"]:
            assert executors_of(info, component) == executors_of(before, component)


def test_executors_are_chunks_of_the_tasks(running, nimbus, types):
    """C 6.1: at most h chunks, sizes differ by at most 1, larger first; one for each task at most."""
    tasks = [task for first, last in executors_of(nimbus.getTopologyInfo(running.id), "split")
             for task in range(first, last + 1)]
    first = tasks[0]
    for wanted, expected in [
        (4, [(0, 1), (2, 3), (4, 4), (5, 5)]),
        (50, [(task, task) for task in range(6)]),
        (1, [(0, 5)]),
    ]:
        options = types.RebalanceOptions(wait_secs=0, num_executors={"split": wanted})
        nimbus.rebalance(running.name, options)
        found = executors_of(back(nimbus, running), "split")
        assert [(start - first, end - first) for start, end in found] == expected


def test_ackers_are_executors_too(submitted, nimbus, types):
    """C 3.2: system ids (leading `__`) are valid keys of num_executors."""
    conf = {"topology.acker.executors": 2}
    topology = submitted(builder=graph(types), conf=conf)
    topology.placed()
    assert len(executors_of(nimbus.getTopologyInfo(topology.id), "__acker")) == 2
    options = types.RebalanceOptions(wait_secs=0, num_executors={"__acker": 1, "__nobody": 3})
    nimbus.rebalance(topology.name, options)
    (acker,) = executors_of(back(nimbus, topology), "__acker")
    assert acker[1] - acker[0] == 1, "both tasks in one executor"


def test_conf_overrides_are_merged(running, nimbus, types):
    """C 3.2: the conf is merged; keys that a user may not set are removed from the overrides."""
    before = json.loads(nimbus.getTopologyConf(running.id))
    overrides = {
        "topology.max.spout.pending": 99,
        "own.key": {"a": [1, None]},
        "storm.local.hostname": "elsewhere",
        "topology.submitter.principal": "somebody",
        "topology.submitter.user": "somebody",
        "storm.zookeeper.superACL": "sasl:somebody",
        "storm.zookeeper.topology.auth.scheme": "digest",
        "storm.zookeeper.topology.auth.payload": "a:b",
    }
    options = types.RebalanceOptions(wait_secs=0, topology_conf_overrides=json.dumps(overrides))
    nimbus.rebalance(running.name, options)
    back(nimbus, running)
    after = json.loads(nimbus.getTopologyConf(running.id))
    expected = {**before, "topology.max.spout.pending": 99, "own.key": {"a": [1, None]}}
    assert after == expected


def test_resource_overrides_are_merged(running, nimbus, types):
    """C 5.1, 6.5: they go into the component's topology.component.resources.map; ghosts are ignored."""
    resources = {
        "split": {"cpu.pcore.percent": 30.0, "gpu.count": 2.0},
        "ghost": {"cpu.pcore.percent": 99.0},
    }
    options = types.RebalanceOptions(wait_secs=0, topology_resources_overrides=resources)
    nimbus.rebalance(running.name, options)
    back(nimbus, running)
    bolts = nimbus.getUserTopology(running.id).bolts
    conf = json.loads(bolts["split"].common.json_conf)
    assert conf["topology.component.resources.map"] == resources["split"]
    assert conf["topology.tasks"] == 6
    again = {"split": {"topology.component.cpu.pcore.percent": 40.0}}
    options = types.RebalanceOptions(wait_secs=0, topology_resources_overrides=again)
    nimbus.rebalance(running.name, options)
    back(nimbus, running)
    conf = json.loads(nimbus.getUserTopology(running.id).bolts["split"].common.json_conf)
    assert conf["topology.component.resources.map"] == {"cpu.pcore.percent": 40.0, "gpu.count": 2.0}


def test_the_callers_principal_is_none_of_the_clients_business(running, nimbus, types):
    """C 3.2: options.principal is overwritten: a client may send any."""
    options = types.RebalanceOptions(wait_secs=0, principal="somebody else")
    nimbus.rebalance(running.name, options)
    back(nimbus, running)


# ---- Live ----------------------------------------------------------------------------------------


def test_workers_that_keep_their_executors_keep_running(cluster, running, nimbus, types):
    """C 6.8: the same assignment is the same worker. An empty rebalance restarts nobody."""
    eventually("two workers", lambda: len(pids(cluster, running)) == 2)
    before = pids(cluster, running)
    nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=0))
    back(nimbus, running)
    time.sleep(1)
    assert pids(cluster, running) == before


def test_one_more_executor_restarts_one_worker(cluster, running, nimbus, types):
    """C 6.8: only the worker whose executor set changed restarts."""
    eventually("two workers", lambda: len(pids(cluster, running)) == 2)
    before = pids(cluster, running)
    # Of the sink's tasks 0-1 and 2 the first executor is split, the second stays.
    options = types.RebalanceOptions(wait_secs=0, num_executors={"sink": 3})
    nimbus.rebalance(running.name, options)
    back(nimbus, running)

    def one_restarted():
        now = pids(cluster, running)
        return len(now) == 2 and len(before.items() & now.items()) == 1

    eventually("one worker is new, one is old", one_restarted)


def test_another_conf_restarts_all_its_workers_and_no_others(
    cluster, standing, running, nimbus, types
):
    """C 6.8: workers run with the conf that they were started with."""
    eventually("two workers", lambda: len(pids(cluster, running)) == 2)
    before, others = pids(cluster, running), pids(cluster, standing)
    overrides = json.dumps({"topology.max.spout.pending": 7})
    nimbus.rebalance(
        running.name, types.RebalanceOptions(wait_secs=0, topology_conf_overrides=overrides)
    )
    back(nimbus, running)

    def all_restarted():
        now = pids(cluster, running)
        return len(now) == 2 and not set(before.values()) & set(now.values())

    eventually("both workers are new", all_restarted)
    assert pids(cluster, standing) == others


def test_spouts_go_on_after_a_rebalance(running, nimbus, types):
    """C 5.1: it is active again, and so are its spouts."""
    nimbus.rebalance(running.name, types.RebalanceOptions(wait_secs=0, num_workers=3))
    back(nimbus, running)

    def emitted():
        info = nimbus.getTopologyInfo(running.id)
        stats = [each.stats for each in info.executors if each.component_id == "ticks"]
        return all(each and sum(each.emitted.get(":all-time", {}).values()) for each in stats)

    eventually("both spouts emit", emitted)
