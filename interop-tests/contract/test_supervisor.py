"""The Supervisor service, and heartbeats as workers and supervisors of any age write them."""

import struct
import time

import pytest

import peers
from cluster import eventually

from . import rules


def beat(types, id):
    executors = [types.ExecutorInfo(task_start=1, task_end=1)]
    return types.SupervisorWorkerHeartbeat(
        storm_id=id, executors=executors, time_secs=int(time.time())
    )


def test_a_worker_hears_that_its_topology_is_here(standing, supervisor, types):
    """C 3.6: sendSupervisorWorkerHeartbeat succeeds where the topology's conf is."""
    eventually("its code is here", lambda: supervisor.getLocalAssignmentForStorm(standing.id))
    supervisor.sendSupervisorWorkerHeartbeat(beat(types, standing.id))


@pytest.mark.parametrize("id", ["nobody-1-1", "", "../../etc"])
def test_a_worker_hears_that_its_topology_is_gone(supervisor, types, id):
    """C 3.6: else `<id> does not appear to be alive, you should probably exit`, undeclared."""
    text = f"{id} does not appear to be alive, you should probably exit"
    with rules.internal("sendSupervisorWorkerHeartbeat", text):
        supervisor.sendSupervisorWorkerHeartbeat(beat(types, id))


def test_null_arguments(standing, supervisor):
    """C 3.6: INTERNAL_ERROR; a push is a nudge to ask Nimbus, whatever it holds."""
    with rules.internal("sendSupervisorWorkerHeartbeat"):
        supervisor.sendSupervisorWorkerHeartbeat(None)
    with rules.internal("getLocalAssignmentForStorm"):
        supervisor.getLocalAssignmentForStorm(None)
    supervisor.sendSupervisorAssignments(None)
    assert supervisor.getLocalAssignmentForStorm(standing.id)


def test_the_supervisor_names_its_host(supervisor, nimbus, types):
    """C 3.6: NotAlive `No local assignment assigned for storm: <id> for node: <host>`."""
    host = nimbus.getClusterInfo().supervisors[0].host
    text = f"No local assignment assigned for storm: nobody-1-1 for node: {host}"
    with rules.refused(types.NotAliveException, text):
        supervisor.getLocalAssignmentForStorm("nobody-1-1")


# ---- Both widths of time -------------------------------------------------------------------------


def text(id, value):
    return struct.pack(">bhi", 11, id, len(value)) + value.encode()


def written_beat(id, time_field):
    """A SupervisorWorkerHeartbeat by hand, with a time field of any width."""
    executor = struct.pack(">bhibhib", 8, 1, 1, 8, 2, 1, 0)
    executors = struct.pack(">bhbi", 15, 2, 12, 1) + executor
    return text(1, id) + executors + time_field + b"\0"


def call(address, method, argument):
    """Calls with one struct as field 1; the reply's type and body."""
    import socket

    body = struct.pack(">bh", 12, 1) + argument + b"\0"
    head = struct.pack(">I", 0x80010001) + struct.pack(">i", len(method)) + method.encode()
    message = head + struct.pack(">i", 7) + body
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        (length,) = struct.unpack(">i", receive(connection, 4))
        reply = receive(connection, length)
    return reply[3], reply[8 + len(method) + 4 :]


def receive(connection, n):
    data = b""
    while len(data) < n:
        part = connection.recv(n - len(data))
        assert part, "closed"
        data += part
    return data


WIDTHS = {
    "i32": struct.pack(">bhi", 8, 3, 1_795_340_102),
    "i64": struct.pack(">bhq", 10, 3, 1_795_340_102),
}
REPLY, EXCEPTION = 2, 3


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("service", ["nimbus", "supervisor"])
def test_heartbeats_of_both_widths(cluster, standing, supervisor, service, width):
    """C 6.7, C 13.4: time_secs is i32 up to 2.8 and i64 in 3.0; both are read."""
    eventually("its code is here", lambda: supervisor.getLocalAssignmentForStorm(standing.id))
    argument = written_beat(standing.id, WIDTHS[width])
    kind, body = call(cluster.addresses[service], "sendSupervisorWorkerHeartbeat", argument)
    assert (kind, body) == (REPLY, b"\0")


@pytest.mark.parametrize("width", WIDTHS)
def test_heartbeats_of_a_supervisor_of_both_widths(cluster, standing, nimbus, width):
    """C 6.7, C 13.4: the same in the plural form."""
    beats = struct.pack(">bhbi", 15, 2, 12, 1) + written_beat(standing.id, WIDTHS[width])
    node = nimbus.getClusterInfo().supervisors[0].supervisor_id
    argument = text(1, node) + beats + b"\0"
    kind, body = call(cluster.nimbus, "sendSupervisorWorkerHeartbeats", argument)
    assert (kind, body) == (REPLY, b"\0")


def test_a_time_of_another_type_is_none(cluster, standing):
    """C 1.3: a required field of a wrong type is a missing one: PROTOCOL_ERROR."""
    a_double = struct.pack(">bhd", 4, 3, 1.0)
    argument = written_beat(standing.id, a_double)
    kind, body = call(cluster.nimbus, "sendSupervisorWorkerHeartbeat", argument)
    assert kind == EXCEPTION and b"Required field 'time_secs'" in body


def test_an_i32_may_come_as_an_i64_that_fits(cluster, submitted, nimbus, types):
    """C 13.4: KillOptions.wait_secs as an i64; the kill takes the delay."""
    topology = submitted()
    options = struct.pack(">bh", 12, 2) + struct.pack(">bhq", 10, 1, 3600) + b"\0"
    # The name is field 1, so `call` cannot be used: its argument is a struct.
    with peers.Apache(rules.NIMBUS).connect(cluster.nimbus) as raw:
        transport = raw._oprot.trans
        body = text(1, topology.name) + options + b"\0"
        head = struct.pack(">I", 0x80010001) + struct.pack(">i", 20) + b"killTopologyWithOpts"
        transport.write(head + struct.pack(">i", 7) + body)
        transport.flush()
        raw.recv_killTopologyWithOpts()
    assert nimbus.getTopologySummary(topology.id).status == "KILLED"
    time.sleep(0.5)
    assert nimbus.getTopologySummary(topology.id).status == "KILLED", "the delay was lost"
