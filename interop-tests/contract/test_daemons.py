"""Calls of supervisors and workers, at Nimbus and at the supervisor's own service."""

import time

import pytest

from cluster import eventually

from . import rules


@pytest.fixture
def node(nimbus):
    """The supervisor's id."""
    return nimbus.getClusterInfo().supervisors[0].supervisor_id


def beat_of(types, standing, nimbus, id=None):
    executors = [each.executor_info for each in nimbus.getTopologyInfo(standing.id).executors]
    return types.SupervisorWorkerHeartbeat(
        storm_id=id or standing.id, executors=executors, time_secs=int(time.time())
    )


def test_assignments_of_a_node(standing, nimbus, node):
    """C 3.3, C 6.3: whole Assignments of the topologies on that node, worker tasks on its ports."""
    assignment = nimbus.getSupervisorAssignments(node).storm_assignment[standing.id]
    assert assignment.node_host[node]
    assert set(assignment.executor_node_port) == {(1, 1), (2, 2), (3, 3)}
    assert set(assignment.executor_start_time_secs) == set(assignment.executor_node_port)
    assert {each.node for each in assignment.executor_node_port.values()} == {node}


@pytest.mark.parametrize("node", ["nobody", "", None])
def test_assignments_of_an_unknown_node(nimbus, node):
    """C 3.1: an empty map, and it is set."""
    assert nimbus.getSupervisorAssignments(node).storm_assignment == {}


def test_heartbeats_reach_nimbus(standing, nimbus, types, node):
    """C 3.3: sendSupervisorWorkerHeartbeat(s) are taken for a topology that lives."""
    beat = beat_of(types, standing, nimbus)
    nimbus.sendSupervisorWorkerHeartbeat(beat)
    nimbus.sendSupervisorWorkerHeartbeats(
        types.SupervisorWorkerHeartbeats(supervisor_id=node, worker_heartbeats=[beat])
    )


def test_a_heartbeat_of_an_unknown_topology(standing, nimbus, types, node):
    """C 3.3: the singular form throws NotAlive, the plural one is silent."""
    beat = beat_of(types, standing, nimbus, id="nobody-1-1")
    with pytest.raises(types.NotAliveException) as refusal:
        nimbus.sendSupervisorWorkerHeartbeat(beat)
    assert "nobody-1-1" in refusal.value.msg
    nimbus.sendSupervisorWorkerHeartbeats(
        types.SupervisorWorkerHeartbeats(supervisor_id=node, worker_heartbeats=[beat])
    )


def test_null_heartbeats(nimbus):
    """C 3.1: null arguments are INTERNAL_ERROR."""
    with rules.internal("sendSupervisorWorkerHeartbeat"):
        nimbus.sendSupervisorWorkerHeartbeat(None)
    with rules.internal("sendSupervisorWorkerHeartbeats"):
        nimbus.sendSupervisorWorkerHeartbeats(None)


def test_the_supervisor_knows_its_assignments(standing, supervisor, types, node):
    """C 3.6: getLocalAssignmentForStorm -> the Assignment."""
    assignment = eventually(
        "the supervisor has heard of it", lambda: supervisor.getLocalAssignmentForStorm(standing.id)
    )
    assert {each.node for each in assignment.executor_node_port.values()} == {node}


@pytest.mark.parametrize("id", ["nobody-1-1", ""])
def test_the_supervisor_has_no_other_assignment(supervisor, types, id):
    """C 3.6: NotAlive `No local assignment assigned for storm: <id> for node: <host>`."""
    with pytest.raises(types.NotAliveException) as refusal:
        supervisor.getLocalAssignmentForStorm(id)
    start = f"No local assignment assigned for storm: {id} for node: "
    assert refusal.value.msg.startswith(start) and len(refusal.value.msg) > len(start)


def test_assignments_may_be_sent_to_the_supervisor(standing, nimbus, supervisor, types, node):
    """C 3.6: sendSupervisorAssignments returns at once; the truth is Nimbus's, no work is lost."""
    supervisor.sendSupervisorAssignments(nimbus.getSupervisorAssignments(node))
    supervisor.sendSupervisorAssignments(types.SupervisorAssignments(storm_assignment={}))
    supervisor.sendSupervisorAssignments(types.SupervisorAssignments())
    time.sleep(0.5)
    assert supervisor.getLocalAssignmentForStorm(standing.id)
    assert nimbus.getTopologySummary(standing.id).num_workers == 1
