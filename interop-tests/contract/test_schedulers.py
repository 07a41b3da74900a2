"""Schedulers on real daemons: resources, priorities, machines of one's own, bad supervisors."""

import re
import signal
import time

import pytest

import topologies
from cluster import Cluster, DaemonEndedError, eventually, free_ports

from . import rules

STORM = "org.apache.storm.scheduler."
RESOURCE_AWARE = STORM + "resource.ResourceAwareScheduler"


@pytest.fixture
def aware(own_cluster):
    """A cluster under the resource-aware scheduler: one supervisor of 1 GB and one core."""
    return own_cluster(
        slots=4,
        settings={
            "storm.scheduler": RESOURCE_AWARE,
            "nimbus.monitor.freq.secs": 1,
            "supervisor.memory.capacity.mb": 1024.0,
            "supervisor.cpu.capacity": 100.0,
            "supervisor.resources.map": {"gpu.count": 2.0},
        },
    )


@pytest.fixture
def nimbus(aware, connect):
    return connect(rules.NIMBUS, aware)


@pytest.fixture
def daemons(own_cluster):
    """Makes a Nimbus and two supervisors of two slots, on two hosts: two names of this one."""

    def make(settings):
        nimbus_port, coordination_port = free_ports(2)
        common = {
            "nimbus.seeds": ["127.0.0.1"],
            "nimbus.thrift.port": nimbus_port,
            "stormwire.coordination.port": coordination_port,
            "supervisor.thrift.port": 0,
            "nimbus.monitor.freq.secs": 1,
            **settings,
        }
        nimbus = own_cluster(command="nimbus", settings=common)
        supervisors = {
            host: own_cluster(
                command="supervisor", slots=2, settings={**common, "storm.local.hostname": host}
            )
            for host in ("localhost", "127.0.0.1")
        }
        return nimbus, supervisors

    return make


def words(types, cpu, conf=None):
    """`ticks` -> `sink`, of which `ticks` asks for this much of a core; the rest for 20 percent."""
    builder = topologies.Builder(types)
    conf = {"topology.component.cpu.pcore.percent": cpu, **(conf or {})}
    spout = builder.native("stormwire.TimerSpout", 100)
    builder.spout("ticks", spout, {"default": ["number", "time"]}, conf=conf)
    return builder.bolt("sink", builder.native("stormwire.NullBolt"), {"ticks": builder.shuffle()})


def status(nimbus, id, pattern):
    """Waits until the scheduler says this of a topology; its summary."""

    def told():
        summary = nimbus.getTopologySummary(id)
        return summary if re.search(pattern, summary.sched_status or "") else None

    return eventually(f"{id} is told {pattern!r}", told)


def hosts(nimbus, id):
    return {each.host for each in nimbus.getTopologyInfo(id).executors}


def test_figures_of_resources_are_those_of_the_assignment(aware, nimbus, types):
    """C 6.5, C 9.4: requested, assigned and used resources; `Fully Scheduled` says how."""
    gpu = {"topology.component.resources.map": {"gpu.count": 1.0}}
    topology = rules.submit(nimbus, types, builder=words(types, 30.0, gpu))
    running = r"^Running - Fully Scheduled by DefaultResourceAwareStrategy \(2 states traversed in "
    summary = status(nimbus, topology.id, running)
    # One acker of its own for the one worker that the memory makes probable.
    assert (summary.requested_memonheap, summary.requested_cpu) == (384.0, 50.0)
    assert (summary.assigned_memonheap, summary.assigned_cpu) == (384.0, 50.0)
    assert summary.requested_generic_resources == {"gpu.count": 1.0}
    info = nimbus.getTopologyInfo(topology.id)
    assert (info.requested_cpu, info.assigned_memonheap) == (50.0, 384.0)
    page = nimbus.getTopologyPageInfo(topology.id, ":all-time", False)
    assert (page.assigned_regular_on_heap_memory, page.assigned_shared_on_heap_memory) == (384, 0)
    spout = page.id_to_spout_agg_stats["ticks"].common_stats.resources_map
    assert (spout["cpu.pcore.percent"], spout["gpu.count"]) == (30.0, 1.0)
    (supervisor,) = nimbus.getClusterInfo().supervisors
    assert supervisor.total_resources["memory.mb"] == 1024.0
    assert supervisor.total_resources["gpu.count"] == 2.0
    assert (supervisor.used_mem, supervisor.used_cpu) == (384.0, 50.0)
    assert supervisor.used_generic_resources["gpu.count"] == 1.0
    # What is left is too little of a core for a component and an acker by the conf: 10 and 50.
    assert (supervisor.fragmented_mem, supervisor.fragmented_cpu) == (640.0, 50.0)
    assert supervisor.blacklisted is False
    (worker,) = page.workers
    assert (worker.assigned_memonheap, worker.assigned_cpu) == (384.0, 50.0)


def test_what_does_not_fit_says_what_is_lacking(nimbus, types):
    """C 6.5: the status names what is lacking, and what there is; nothing is placed."""
    topology = rules.submit(nimbus, types, builder=words(types, 500.0))
    summary = status(nimbus, topology.id, "^Not enough resources to schedule after evicting lower")
    assert "Additional CPU Required: 520.0% CPU (Available: 100.0 % CPU)." in summary.sched_status
    assert (summary.num_workers, summary.assigned_cpu, summary.requested_cpu) == (0, 0.0, 520.0)


def test_an_important_topology_evicts_another_which_comes_back_after_it(aware, nimbus, types):
    """C 6.5: topology.priority; the evicted one is told, and runs again when there is room."""
    low = rules.submit(nimbus, types, builder=words(types, 60.0))
    status(nimbus, low.id, "^Running - ")
    eventually("its worker runs", lambda: aware.workers(low.id))
    high = rules.submit(
        nimbus, types, builder=words(types, 50.0), conf={"topology.priority": 1}
    )
    status(nimbus, high.id, "^Running - ")
    assert status(nimbus, low.id, "^Not enough resources").num_workers == 0
    eventually("workers changed", lambda: aware.workers(high.id) and not aware.workers(low.id))
    rules.kill(nimbus, types, high.name)
    status(nimbus, low.id, "^Running - ")
    eventually("its worker runs again", lambda: aware.workers(low.id))


def test_constraints_keep_components_apart(nimbus, types):
    """C 4.3, C 6.5: topology.ras.constraints under the constraint solver."""
    topology = rules.submit(
        nimbus,
        types,
        builder=words(types, 10.0),
        conf={
            "topology.scheduler.strategy": STORM
            + "resource.strategies.scheduling.ConstraintSolverStrategy",
            "topology.ras.constraints": {"ticks": {"incompatibleComponents": ["sink"]}},
        },
    )
    status(nimbus, topology.id, "^Running - Fully Scheduled by ConstraintSolverStrategy")
    at = {each.component_id: each.port for each in nimbus.getTopologyInfo(topology.id).executors}
    assert at["ticks"] != at["sink"]


@pytest.mark.parametrize("amount", [-1.0, 1e300])
def test_amounts_that_make_no_sense_are_refused(nimbus, types, amount):
    """F7: resources of a component are at least 0, and bounded."""
    with pytest.raises(types.InvalidTopologyException) as refusal:
        rules.submit(nimbus, types, builder=words(types, amount))
    assert "ticks" in refusal.value.msg


def test_an_isolated_topology_has_its_machine_for_itself(daemons, connect, types):
    """C 6.5: isolation.scheduler.machines: others make room."""
    nimbus, _ = daemons(
        {
            "storm.scheduler": STORM + "IsolationScheduler",
            "isolation.scheduler.machines": {"alone": 1},
        }
    )
    client = connect(rules.NIMBUS, nimbus)
    eventually("two supervisors", lambda: len(client.getClusterInfo().supervisors) == 2)
    many = rules.submit(client, types, conf={"topology.workers": 2})
    many.placed()
    assert hosts(client, many.id) == {"localhost", "127.0.0.1"}
    alone = rules.submit(client, types, name="alone", conf={"topology.workers": 2})
    alone.placed()
    (host,) = hosts(client, alone.id)
    eventually("others make room", lambda: hosts(client, many.id) == HOSTS - {host})


def test_a_supervisor_that_was_missing_too_often_gets_no_work_unless_it_must(
    daemons, connect, types
):
    """C 6.4: blacklisted for a while; let off when slots are scarce."""
    nimbus, supervisors = daemons(
        {
            "storm.zookeeper.session.timeout": 2000,
            "blacklist.scheduler.tolerance.count": 2,
            "blacklist.scheduler.tolerance.time.secs": 60,
            "blacklist.scheduler.resume.time.secs": 600,
        }
    )
    client = connect(rules.NIMBUS, nimbus)

    def blacklisted():
        return {each.host: each.blacklisted for each in client.getClusterInfo().supervisors}

    eventually("two supervisors", lambda: len(blacklisted()) == 2)
    supervisors["localhost"].end(signal.SIGTERM)
    eventually("it is gone", lambda: len(blacklisted()) == 1)
    # Two turns of a second, and a third for chance.
    eventually("it was missing for a while", Elapsed(3.5))
    supervisors["localhost"].start()
    eventually("it is listed", lambda: blacklisted().get("localhost"))
    assert blacklisted()["127.0.0.1"] is False
    first = rules.submit(client, types, conf={"topology.workers": 2})
    first.placed()
    assert hosts(client, first.id) == {"127.0.0.1"}
    second = rules.submit(client, types)
    second.placed()
    assert hosts(client, second.id) == {"localhost"}


def test_an_unknown_scheduler_keeps_nimbus_from_starting(tmp_path):
    """Ours: the key and the choices are named."""
    cluster = Cluster(tmp_path / "no", settings={"storm.scheduler": "com.example.Mine"})
    with pytest.raises(DaemonEndedError) as ended, cluster:
        pass
    for part in ("storm.scheduler", "com.example.Mine", RESOURCE_AWARE):
        assert part in str(ended.value)


class Elapsed:
    """True once that many seconds have passed since it was made."""

    def __init__(self, seconds):
        self.until = time.monotonic() + seconds

    def __call__(self):
        return time.monotonic() >= self.until


HOSTS = {"localhost", "127.0.0.1"}
