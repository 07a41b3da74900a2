"""Pages of topologies, components and supervisors; summaries of owners; the history."""

import json
import urllib.parse

import pytest

import topologies
from cluster import eventually

from . import rules

ALL_TIME, TEN_MINUTES = ":all-time", "600"
WINDOWS = {"600", "10800", "86400", ":all-time"}


@pytest.fixture(scope="module")
def counted(cluster, types, tmp_path_factory):
    """A topology of native components, acked, each tuple of it counted."""
    with rules.connection(cluster) as nimbus:
        builder = topologies.Builder(types)
        builder.spout(
            "ticks", builder.native("stormwire.RandomSentenceSpout"), {"default": ["text"]}
        )
        builder.bolt(
            "sink ü", builder.native("stormwire.NullBolt"), {"ticks": builder.shuffle()}, None, 2
        )
        conf = {
            "topology.workers": 1,
            "topology.stats.sample.rate": 1.0,
            "topology.acker.executors": 1,
            "topology.users": ["alice", "bob"],
        }
        topology = rules.submit(nimbus, types, builder=builder, conf=conf)

        def flowing():
            page = nimbus.getTopologyPageInfo(topology.id, ALL_TIME, True)
            acker = page.id_to_bolt_agg_stats["__acker"].specific_stats.bolt
            return acker.executed > 20

        eventually("tuples are counted", flowing, seconds=60)
        yield topology
        rules.kill(nimbus, types, topology.name)


# ---- Topologies ----------------------------------------------------------------------------------


def test_topology_page(counted, nimbus, types):
    """C 9.4: each component in the window, totals in all windows, the workers, the conf."""
    page = nimbus.getTopologyPageInfo(counted.id, ALL_TIME, False)
    assert (page.id, page.name, page.status) == (counted.id, counted.name, "ACTIVE")
    assert (page.num_tasks, page.num_executors, page.num_workers) == (4, 4, 1)
    assert page.uptime_secs >= 0 and page.owner and page.replication_count == 1
    conf = json.loads(page.topology_conf)
    assert conf["topology.name"] == counted.name and "nimbus.thrift.port" in conf

    assert set(page.id_to_spout_agg_stats) == {"ticks"}
    assert set(page.id_to_bolt_agg_stats) == {"sink ü"}
    spout, sink = page.id_to_spout_agg_stats["ticks"], page.id_to_bolt_agg_stats["sink ü"]
    assert (spout.type, sink.type) == (types.ComponentType.SPOUT, types.ComponentType.BOLT)
    assert spout.common_stats.emitted > 0 and spout.common_stats.acked > 0
    assert spout.specific_stats.spout.complete_latency_ms >= 0
    assert (sink.common_stats.num_executors, sink.common_stats.num_tasks) == (2, 2)
    assert sink.specific_stats.bolt.executed > 0
    assert {"onheap.memory.mb", "cpu.pcore.percent"} <= set(sink.common_stats.resources_map)

    totals = page.topology_stats
    assert set(totals.window_to_emitted) == WINDOWS
    assert totals.window_to_acked[ALL_TIME] >= spout.common_stats.acked > 0
    assert set(totals.window_to_complete_latencies_ms) == WINDOWS


def test_workers_of_a_topology(counted, nimbus):
    """C 9.4 (16): system components are executors of a worker, and listed only with sys."""
    (worker,) = nimbus.getTopologyPageInfo(counted.id, ALL_TIME, False).workers
    assert (worker.topology_id, worker.topology_name) == (counted.id, counted.name)
    assert worker.num_executors == 4 and worker.port and worker.host and worker.supervisor_id
    assert worker.component_to_num_tasks == {"ticks": 1, "sink ü": 2}
    assert worker.assigned_memonheap > 0 and worker.uptime_secs is not None
    (worker,) = nimbus.getTopologyPageInfo(counted.id, ALL_TIME, True).workers
    assert worker.component_to_num_tasks == {"ticks": 1, "sink ü": 2, "__acker": 1}


def test_system_components_only_with_sys(counted, nimbus):
    """C 9.4: the acker is a bolt with figures of its own; without sys neither it nor its streams
    count.
    """
    shown = nimbus.getTopologyPageInfo(counted.id, ALL_TIME, True)
    hidden = nimbus.getTopologyPageInfo(counted.id, ALL_TIME, False)
    assert set(shown.id_to_bolt_agg_stats) == {"sink ü", "__acker"}
    assert "__acker" not in hidden.id_to_bolt_agg_stats
    acker = shown.id_to_bolt_agg_stats["__acker"]
    assert acker.common_stats.emitted > 0 and acker.common_stats.acked > 0
    emitted = [
        page.id_to_spout_agg_stats["ticks"].common_stats.emitted for page in (shown, hidden)
    ]
    # Each tracked tuple is told to the acker too.
    assert emitted[0] > emitted[1] > 0
    # `__system` has no tasks.
    assert "__system" not in shown.id_to_bolt_agg_stats


@pytest.mark.parametrize("window", [None, "", "never", "601"])
def test_a_window_that_does_not_exist_has_zeros(counted, nimbus, window):
    """C 3.3: a window is any text; totals are there all the same, and capacity is of 600."""
    page = nimbus.getTopologyPageInfo(counted.id, window, False)
    spout = page.id_to_spout_agg_stats["ticks"]
    assert (spout.common_stats.emitted, spout.common_stats.acked) == (0, 0)
    assert page.id_to_bolt_agg_stats["sink ü"].specific_stats.bolt.executed == 0
    assert page.topology_stats.window_to_emitted[ALL_TIME] > 0


def test_page_of_an_inactive_topology(nimbus, submitted):
    """C 3.3: a topology that was never active shows its components, without figures."""
    waiting = submitted(conf={"topology.workers": 1}, status="INACTIVE")
    eventually("heard of", lambda: nimbus.getTopologySummary(waiting.id))
    page = nimbus.getTopologyPageInfo(waiting.id, ALL_TIME, True)
    assert set(page.id_to_spout_agg_stats) == {"ticks"}
    assert set(page.id_to_bolt_agg_stats) == {"sink", "__acker"}
    assert page.id_to_spout_agg_stats["ticks"].common_stats.emitted == 0
    assert page.status == "INACTIVE" and page.num_tasks == 3


def test_the_never_activated_report(nimbus, submitted):
    """C 9.1: the first heartbeat has uptime and empty statistics."""
    quiet = submitted(conf={"topology.workers": 1}, status="INACTIVE")

    def reported():
        info = nimbus.getTopologyInfo(quiet.id)
        return info if info.executors and all(each.stats for each in info.executors) else None

    info = eventually("every executor has reported", reported, seconds=60)
    for each in info.executors:
        assert each.stats.emitted == {} and each.stats.transferred == {}
        assert each.stats.rate > 0
    later = lambda: all(each.uptime_secs for each in nimbus.getTopologyInfo(quiet.id).executors)
    eventually("they have an uptime", later)


@pytest.mark.parametrize("id", ["nobody", ""])
def test_pages_of_an_unknown_topology(nimbus, types, id):
    """C 3.1: NotAlive with exactly the id as its text."""
    with rules.refused(types.NotAliveException, id):
        nimbus.getTopologyPageInfo(id, ALL_TIME, True)
    with rules.refused(types.NotAliveException, id):
        nimbus.getComponentPageInfo(id, "x", ALL_TIME, True)


def test_pages_of_a_null_topology(nimbus):
    """C 3.1: a null id is INTERNAL_ERROR."""
    with rules.internal("getTopologyPageInfo"):
        nimbus.getTopologyPageInfo(None, ALL_TIME, True)
    with rules.internal("getComponentPageInfo"):
        nimbus.getComponentPageInfo(None, "x", ALL_TIME, True)


def test_sys_is_false_when_it_is_absent(counted, nimbus):
    """C 13.4 (3): a missing argument is no error."""
    page = nimbus.getTopologyPageInfo(counted.id, ALL_TIME, None)
    assert "__acker" not in page.id_to_bolt_agg_stats


# ---- Components ----------------------------------------------------------------------------------


def test_component_page_of_a_spout(counted, nimbus, types):
    """C 9.5: all windows, own streams, executors; a spout has no inputs."""
    page = nimbus.getComponentPageInfo(counted.id, "ticks", ALL_TIME, False)
    assert (page.component_id, page.component_type) == ("ticks", types.ComponentType.SPOUT)
    assert (page.topology_id, page.topology_name) == (counted.id, counted.name)
    assert (page.num_executors, page.num_tasks, page.topology_status) == (1, 1, "ACTIVE")
    assert set(page.window_to_stats) == WINDOWS
    assert page.gsid_to_input_stats is None
    assert set(page.sid_to_output_stats) == {"default"}
    (executor,) = page.exec_stats
    assert executor.exec_summary.component_id == "ticks" and executor.exec_summary.host
    assert executor.stats.common_stats.emitted > 0
    assert page.errors == [] and page.resources_map["onheap.memory.mb"] > 0
    # Without event loggers.
    assert (page.eventlog_host, page.eventlog_port) == (None, None)


def test_component_page_of_a_bolt(counted, nimbus, types):
    """C 9.5, C 3.3: sources by their streams; the id may be URL-encoded, and need not be."""
    for id in ["sink ü", urllib.parse.quote("sink ü"), urllib.parse.quote_plus("sink ü")]:
        page = nimbus.getComponentPageInfo(counted.id, id, ALL_TIME, False)
        assert (page.component_id, page.component_type) == ("sink ü", types.ComponentType.BOLT)
        assert (page.num_executors, page.num_tasks) == (2, 2)
        (source,) = page.gsid_to_input_stats
        assert (source.componentId, source.streamId) == ("ticks", "default")
        assert page.gsid_to_input_stats[source].specific_stats.bolt.executed > 0
        executed = [each.stats.specific_stats.bolt.executed for each in page.exec_stats]
        assert len(executed) == 2 and all(executed)


def test_component_page_of_the_acker(counted, nimbus):
    """C 9.1, C 9.5: what came to the acker, by the component and stream that it came from."""
    page = nimbus.getComponentPageInfo(counted.id, "__acker", ALL_TIME, True)
    sources = {(each.componentId, each.streamId) for each in page.gsid_to_input_stats}
    assert {("ticks", "__ack_init"), ("sink ü", "__ack_ack")} <= sources
    for source, stats in page.gsid_to_input_stats.items():
        if source.streamId != "__tick":
            executed = stats.specific_stats.bolt.executed
            assert stats.common_stats.acked == executed > 0
    assert page.sid_to_output_stats["__ack_ack"].common_stats.emitted > 0
    hidden = nimbus.getComponentPageInfo(counted.id, "__acker", ALL_TIME, False)
    assert (hidden.num_executors, hidden.exec_stats) == (0, [])


def test_component_page_in_another_window(counted, nimbus):
    """C 9.5: one window for streams and executors, all in window_to_stats."""
    page = nimbus.getComponentPageInfo(counted.id, "ticks", TEN_MINUTES, True)
    assert {"default", "__ack_init"} <= set(page.sid_to_output_stats)
    page = nimbus.getComponentPageInfo(counted.id, "ticks", "never", True)
    assert page.sid_to_output_stats == {} and set(page.window_to_stats) == WINDOWS
    assert page.exec_stats[0].stats.common_stats.emitted == 0


@pytest.mark.parametrize("component", ["nobody", "", None, "%zz"])
def test_page_of_an_unknown_component(counted, nimbus, component):
    """C 3.3: INTERNAL_ERROR, whatever the window."""
    for window in (ALL_TIME, None):
        with rules.internal("getComponentPageInfo"):
            nimbus.getComponentPageInfo(counted.id, component, window, True)


# ---- Supervisors ---------------------------------------------------------------------------------


def test_supervisor_page(counted, nimbus):
    """C 3.3: by id, or all of a host; an id that is not null wins."""
    (known,) = nimbus.getClusterInfo().supervisors
    by_id = nimbus.getSupervisorPageInfo(known.supervisor_id, None, True)
    by_host = nimbus.getSupervisorPageInfo(None, known.host, True)
    by_both = nimbus.getSupervisorPageInfo(known.supervisor_id, "nowhere", True)
    for page in (by_id, by_host, by_both):
        (summary,) = page.supervisor_summaries
        assert summary.supervisor_id == known.supervisor_id
        assert summary.num_workers == known.num_workers
        (worker,) = [each for each in page.worker_summaries if each.topology_id == counted.id]
        assert worker.component_to_num_tasks["__acker"] == 1
    hidden = nimbus.getSupervisorPageInfo(known.supervisor_id, None, False)
    (worker,) = [each for each in hidden.worker_summaries if each.topology_id == counted.id]
    assert "__acker" not in worker.component_to_num_tasks


def test_supervisor_page_of_nobody(nimbus):
    """C 3.1, C 3.3: an unknown id is INTERNAL_ERROR; an unknown host and nulls give unset lists."""
    with rules.internal("getSupervisorPageInfo"):
        nimbus.getSupervisorPageInfo("nobody", None, True)
    for host in ("nowhere", None):
        page = nimbus.getSupervisorPageInfo(None, host, True)
        assert (page.supervisor_summaries, page.worker_summaries) == (None, None)


# ---- Owners --------------------------------------------------------------------------------------


def test_owners(counted, nimbus):
    """C 3.3: null is everybody with topologies."""
    owner = nimbus.getTopologySummary(counted.id).owner
    (all_of_one,) = [each for each in nimbus.getOwnerResourceSummaries(None) if each.owner == owner]
    (same,) = nimbus.getOwnerResourceSummaries(owner)
    for each in (all_of_one, same):
        assert each.total_topologies >= 1 and each.total_executors >= 4
        assert each.total_tasks >= 4 and each.total_workers >= 1
        assert each.memory_usage > 0 and each.cpu_usage > 0
        total = each.requested_on_heap_memory + each.requested_off_heap_memory
        assert each.requested_total_memory == total
        # Nobody is granted anything by this scheduler.
        assert each.memory_guarantee is None and each.isolated_node_guarantee is None


@pytest.mark.parametrize("owner", ["nobody", ""])
def test_an_owner_of_nothing(nimbus, owner):
    """C 3.3: any name that is given has exactly one summary, of zeros."""
    (summary,) = nimbus.getOwnerResourceSummaries(owner)
    assert (summary.owner, summary.total_topologies, summary.total_workers) == (owner, 0, 0)
    assert (summary.memory_usage, summary.requested_cpu) == (0, 0)


# ---- History -------------------------------------------------------------------------------------


def test_history(nimbus, types, submitted):
    """C 3.3, C 5.3: what is assigned and what was killed, for null everything."""
    topology = submitted(conf={"topology.users": ["alice"]})
    topology.placed()
    assert topology.id in nimbus.getTopologyHistory(None).topo_ids
    rules.kill(nimbus, types, topology.name)
    killed = nimbus.getTopologyHistory(None).topo_ids
    assert killed.count(topology.id) == 1
    assert topology.id in nimbus.getTopologyHistory("alice").topo_ids
    for other in ("mallory", ""):
        assert topology.id not in nimbus.getTopologyHistory(other).topo_ids


def test_history_of_what_runs(counted, nimbus):
    """C 3.3: a topology's users see it while it runs, others do not."""
    for user, sees in [("alice", True), ("bob", True), ("mallory", False)]:
        assert (counted.id in nimbus.getTopologyHistory(user).topo_ids) == sees
