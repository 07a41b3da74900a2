"""Nimbus and supervisors as processes of their own: told to end, killed, started again.

Faults at random times under load are the fault tests' business (`cargo test --test faults`).
"""

import json
import signal

import pytest

import peers
from cluster import Cluster, DaemonEndedError, eventually, free_ports
from topologies import Builder, arrive, jar, kill, lines_of, pulse, pulse_files, upload


@pytest.fixture
def peer():
    return peers.ThriftPy2()


@pytest.fixture
def daemons(own_cluster):
    """(Nimbus, two supervisors with two slots each)."""
    nimbus_port, coordination_port = free_ports(2)
    common = {
        "nimbus.seeds": ["127.0.0.1"],
        "nimbus.thrift.port": nimbus_port,
        "stormwire.coordination.port": coordination_port,
        "supervisor.thrift.port": 0,
    }
    nimbus = own_cluster(command="nimbus", settings=common)
    supervisors = [own_cluster(command="supervisor", slots=2, settings=common) for _ in range(2)]
    with peers.ThriftPy2().connect(nimbus.nimbus) as client:
        eventually("both supervisors report", lambda: len(client.getClusterInfo().supervisors) == 2)
    return nimbus, supervisors


def test_a_nimbus_that_cannot_have_its_directory_says_what_to_set(tmp_path):
    (tmp_path / "file").write_text("")
    with Cluster(tmp_path / "one", command="nimbus") as first:
        for directory, why in [(first.local, "another Nimbus"), (tmp_path / "file", "Not a dir")]:
            settings = {"storm.local.dir": str(directory)}
            with pytest.raises(DaemonEndedError) as ended:
                Cluster(tmp_path / "two", command="nimbus", settings=settings).start()
            assert why in str(ended.value) and "storm.local.dir" in str(ended.value)


def workers(supervisors):
    return sorted(worker for supervisor in supervisors for worker in supervisor.workers())


def test_workers_outlive_daemons_that_end_and_are_found_again(daemons, peer, tmp_path):
    nimbus, supervisors = daemons
    out = tmp_path / "out"
    topology = pulse(Builder(peer.types), out).topology
    with peer.connect(nimbus.nimbus) as client:
        location = upload(client, jar(pulse_files()))
        client.submitTopology("daemons", location, json.dumps({"topology.workers": 2}), topology)
    arrive(out)
    # The even scheduler spreads them, so tuples cross from node to node.
    assert [len(supervisor.workers()) for supervisor in supervisors] == [1, 1]
    before = workers(supervisors)

    for supervisor in supervisors:
        supervisor.end(signal.SIGTERM)
        arrive(out)
        supervisor.start()
    supervisors[0].kill()
    arrive(out)
    supervisors[0].start()
    nimbus.end(signal.SIGTERM)
    arrive(out)
    nimbus.start()
    nimbus.kill()
    arrive(out)
    nimbus.start()

    with peer.connect(nimbus.nimbus) as client:
        id = client.getTopologySummaryByName("daemons").id
        eventually(
            "all report again",
            lambda: (
                len(client.getClusterInfo().supervisors) == 2
                and all(each.stats for each in client.getTopologyInfo(id).executors)
            ),
        )
        arrive(out)
        assert workers(supervisors) == before
        numbers = sorted(int(line) for line in lines_of(out))
        assert numbers == list(range(len(numbers)))
        kill(peer, client, "daemons")
    eventually("no worker is left", lambda: not workers(supervisors))
    for daemon in (*supervisors, nimbus):
        daemon.stop()


def test_a_second_daemon_on_the_same_directory_is_refused(own_cluster):
    cluster = own_cluster(slots=1)
    second = Cluster(cluster.directory, slots=1)
    second.runs = 10  # its own log
    with pytest.raises(DaemonEndedError, match="`dev` ended with 1") as refused:
        second.start()
    assert f"{cluster.local}/nimbus/store is in use" in str(refused.value)
    assert str(cluster.pid) in str(refused.value)
    cluster.stop()


def test_storm_yaml_is_read_and_the_command_line_beats_it(own_cluster, peer, tmp_path):
    directory = tmp_path / "cluster-0"
    directory.mkdir()
    (directory / "storm.yaml").write_text(
        'stormwire.version.reported: "9.8.7"\n'
        "topology.message.timeout.secs: 7_0\n"
        "supervisor.slots.ports: [1, 2, 3]\n"
    )
    cluster = own_cluster(slots=2)
    with peer.connect(cluster.nimbus) as nimbus:
        conf = json.loads(nimbus.getNimbusConf())
        assert conf["topology.message.timeout.secs"] == 70
        assert nimbus.getClusterInfo().nimbuses[0].version == "9.8.7"
        assert nimbus.getClusterInfo().supervisors[0].num_workers == 2
