"""One cluster over three machines, which are network namespaces: Nimbus on one, a supervisor on each
of the others, a topology over both. Rebalanced, with one machine's link cut, and with the way between
two machines cut.
"""

import json
import threading
import time
from contextlib import contextmanager

import pytest

import peers
import topologies
from cluster import eventually, tail
from figures import figure
from namespaces import Net

COORDINATION_PORT, THRIFT_PORT = 6640, 6627
CONF = {
    "topology.workers": 2,
    "topology.acker.executors": 2,
    "topology.message.timeout.secs": 5,
    "topology.max.spout.pending": 200,
}


class Ledger:
    """Ids that a source emits and a sink writes down, as stormwire.testing has them."""

    def __init__(self, directory):
        self.directory = directory
        for name in ["sink", "position"]:
            (directory / name).mkdir(parents=True)
        self.source = (directory / "source").open("w")
        self.n_fed = 0
        self.is_over = threading.Event()
        self.feeder = threading.Thread(target=self._feed)

    def __enter__(self):
        self.feeder.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.is_over.set()
        self.feeder.join()

    def _feed(self):
        while not self.is_over.wait(0.05):
            for number in range(self.n_fed, self.n_fed + 40):
                self.source.write(f"{number % 7} {number // 7}\n")
            self.source.flush()
            self.n_fed += 40

    def n_committed(self):
        positions = (self.directory / "position").glob("*.position")
        return sum(int(each.read_text() or 0) for each in positions)

    def sunk(self):
        """How often each id arrived."""
        times = {}
        for file in (self.directory / "sink").glob("*.ledger"):
            for line in file.read_text().splitlines():
                words = line.split(" ")
                if len(words) == 5 and words[4] == ".":
                    id = int(words[0]), int(words[1])
                    times[id] = times.get(id, 0) + 1
        return times

    def judge(self, name):
        """Everything fed has arrived, and nothing else."""
        self.stop()
        eventually("all is acked", lambda: self.n_committed() >= self.n_fed, 60)
        fed = {(number % 7, number // 7) for number in range(self.n_fed)}
        times = self.sunk()
        lost, invented = len(fed - times.keys()), len(times.keys() - fed)
        again = sum(times.values()) - len(times)
        print(f"{name}: ids {len(fed)}, lost {lost}, invented {invented}, duplicates {again}")
        assert (lost, invented) == (0, 0)
        return again


def graph(types, ledger):
    builder = topologies.Builder(types)
    fields = {"default": ["partition", "seq", "attempt"]}
    source = builder.native(
        "stormwire.testing.LedgerSpout",
        str(ledger.directory / "source"),
        str(ledger.directory / "position"),
    )
    builder.spout("source", source, fields, parallelism=2)
    relay = builder.native("stormwire.IdBolt")
    inputs = {"source": builder.fields("partition")}
    builder.bolt("relay", relay, inputs, fields, parallelism=2, conf={"topology.tasks": 4})
    sink = builder.native("stormwire.testing.LedgerSink", str(ledger.directory / "sink"))
    return builder.bolt("sink", sink, {"relay": builder.shuffle()}, parallelism=2)


@pytest.fixture
def machines(tmp_path):
    """Nimbus's machine and two with a supervisor of four slots each."""
    with Net(tmp_path) as net:
        head, left, right = (net.machine(name) for name in ["head", "left", "right"])
        settings = {
            "nimbus.seeds": json.dumps([head.address]),
            "nimbus.thrift.port": THRIFT_PORT,
            "stormwire.coordination.port": COORDINATION_PORT,
            "nimbus.monitor.freq.secs": 1,
            "nimbus.task.timeout.secs": 5,
            # A machine whose link was cut is to be used again at once.
            "blacklist.scheduler.tolerance.count": 1000,
            "storm.zookeeper.session.timeout": 4000,
            "supervisor.worker.timeout.secs": 6,
            "supervisor.slots.ports": "[6700,6701,6702,6703]",
        }
        head.start("nimbus", settings)
        for each in (left, right):
            each.start("supervisor", settings)
        with peers.Apache().connect((head.address, THRIFT_PORT)) as nimbus:
            # Else the first topology may be placed on one of them.
            eventually("both are known", lambda: len(nimbus.getClusterInfo().supervisors) == 2)
        yield head, left, right
        for each in (head, left, right):
            for log in each.directory.glob("*.log"):
                print(f"--- {log}\n{tail(log, 15)}")


def test_a_topology_over_two_machines(machines, tmp_path):
    """C 6.6, 6.8: addresses are those of the machines, and everybody binds its own."""
    head, left, right = machines
    types = peers.Apache().types
    with Ledger(tmp_path / "ledger") as ledger, spread(machines, ledger) as (nimbus, acked_more):
        id = nimbus.getTopologySummaryByName("spread").id

        def slots():
            return {(each.host, each.port) for each in nimbus.getTopologyInfo(id).executors}

        assert {host for host, _ in slots()} == {left.address, right.address}
        assert len(left.workers()) == len(right.workers()) == 1

        def rebalance(**options):
            nimbus.rebalance("spread", types.RebalanceOptions(wait_secs=0, **options))
            eventually("active again", lambda: nimbus.getTopologySummary(id).status == "ACTIVE", 90)
            acked_more(f"tuples flow after {options}")

        for n_workers in [4, 1, 2]:
            rebalance(num_workers=n_workers)
            assert len(slots()) == n_workers
        assert len(left.workers()) == len(right.workers()) == 1
        before = left.workers(), right.workers()
        rebalance()
        assert (left.workers(), right.workers()) == before, "an empty rebalance restarts nobody"

        # Shorter than anybody's patience: nobody moves.
        right.cut()
        time.sleep(2)
        right.mend()
        acked_more("tuples flow after a short cut")
        assert (left.workers(), right.workers()) == before

        # Longer: what ran there moves, and its worker is ended once it can be told.
        right.cut()
        eventually("all run on one machine", lambda: {h for h, _ in slots()} == {left.address}, 60)
        acked_more("tuples flow on one machine")
        right.mend()
        eventually("the other's worker is ended", lambda: right.workers() == [], 60)
        eventually("it is back", lambda: len(nimbus.getClusterInfo().supervisors) == 2, 60)
        rebalance(num_workers=2)
        assert {host for host, _ in slots()} == {left.address, right.address}
        ledger.judge("namespaces")


@contextmanager
def spread(machines, ledger, **conf):
    """The topology over both machines, once it flows: (Nimbus, what waits for more acks)."""
    head, left, right = machines
    peer = peers.Apache()
    with peer.connect((head.address, THRIFT_PORT)) as nimbus:
        location = topologies.upload(nimbus, topologies.jar({"nothing": ""}))
        topology = graph(peer.types, ledger).topology
        nimbus.submitTopology("spread", location, json.dumps({**CONF, **conf}), topology)

        def acked_more(what):
            goal = ledger.n_fed
            eventually(what, lambda: ledger.n_committed() > goal, 60)

        acked_more("tuples flow between the machines")
        yield nimbus, acked_more
        nimbus.killTopologyWithOpts("spread", peer.types.KillOptions(wait_secs=0))
        eventually("workers are gone", lambda: not left.workers() and not right.workers(), 60)


def test_workers_that_cannot_reach_each_other(machines, tmp_path):
    """B1, B2: the network between two machines drops everything, both ways and each way alone, for longer
    than a tuple's time-out. Nimbus reaches both, so nobody moves; when the cut heals all that was fed
    arrives.
    """
    head, left, right = machines
    with Ledger(tmp_path / "ledger") as ledger:
        with spread(machines, ledger) as (_, acked_more):
            before = left.workers(), right.workers()
            assert [len(each) for each in before] == [1, 1]
            for cuts in [[(left, right), (right, left)], [(left, right)], [(right, left)]]:
                for one, other in cuts:
                    one.deafen(other)
                assert not left.reaches(right) and not right.reaches(left)
                assert head.reaches(left) and right.reaches(head)
                time.sleep(CONF["topology.message.timeout.secs"] + 2)
                for one, other in cuts:
                    one.heal(other)
                assert left.reaches(right) and right.reaches(left)
                acked_more("tuples flow when the cut has healed")
                assert (left.workers(), right.workers()) == before
            n_again = ledger.judge("partition")
            figure(
                "B1",
                f"namespaces: two workers, all frames dropped both ways and each way alone for "
                f"7 s: ids {ledger.n_fed}, lost 0, invented 0, duplicates {n_again}, workers moved 0",
            )
