"""Workers' tokens over their life, on daemons of their own: given out, renewed at half of it, over; and known
to daemons that hear of their keys only from Nimbus (C 8.5).
"""

import time

import pytest

import functions
import peers
import secured
from cluster import Cluster, eventually, free_ports
from contract import rules
from figures import figure
from test_access import launch_of, parts, refusal
from topologies import Builder

LIFE_SECS = 12


@pytest.fixture
def daemons(tmp_path):
    """Nimbus, a supervisor and a DRPC server, which ask for logins and whose tokens live shortly."""
    nimbus, coordination, clients, spouts, web = free_ports(5)
    shared = {
        **secured.digest(tmp_path),
        "nimbus.seeds": '["127.0.0.1"]',
        "nimbus.thrift.port": nimbus,
        "stormwire.coordination.port": coordination,
        "drpc.servers": '["127.0.0.1"]',
        "drpc.port": clients,
        "drpc.invocations.port": spouts,
        "drpc.http.port": web,
        "stormwire.worker.token.life.secs": LIFE_SECS,
        "nimbus.credential.renewers.freq.secs": 1,
    }
    made = {
        name: Cluster(tmp_path / name, slots=1, settings=shared, command=name)
        for name in ("nimbus", "supervisor", "drpc")
    }
    try:
        for each in made.values():
            each.start()
        yield made
        for each in made.values():
            assert "panicked" not in each.log.read_text()
    finally:
        for each in made.values():
            each.kill_all()


def exclaim(types, function):
    """A linear DRPC topology of native components."""
    builder = Builder(types)
    bolt = builder.native("org.apache.storm.starter.BasicDRPCTopology$ExclaimBolt")
    return functions.linear(builder, function, bolt, parallelism=1)


def test_tokens_are_renewed_while_a_topology_runs(daemons):
    """C 8.5, G6: after the life of its first token, and after each daemon has started again, a worker is
    let in by the newest one, at Nimbus and at the DRPC server, and by the old one nobody.
    """
    types = peers.Apache().types
    nimbus, supervisor, drpc = (daemons[name] for name in ("nimbus", "supervisor", "drpc"))
    eventually("Nimbus knows its supervisor", lambda: "supervisor" in nimbus.log.read_text())
    with secured.login(nimbus.nimbus, "ann") as ann:
        conf = {"topology.workers": 1}
        topology = rules.submit(ann, types, name="linear", builder=exclaim(types, "f"), conf=conf)
    started = time.monotonic()
    (worker,) = eventually("its worker runs", lambda: supervisor.workers(topology.id))

    def answers():
        with secured.login(drpc.addresses["drpc"], "bob", "DistributedRPC") as client:
            return client.execute("f", "x") == "x!"

    eventually("the function is answered", answers)
    _, launch = launch_of(supervisor, topology.id)
    name, password = parts(launch.work.worker_token)
    assert refusal(nimbus.nimbus, name, secret=password) is None, "the first token is good"
    eventually("the first token is over", lambda: refusal(nimbus.nimbus, name, secret=password))
    took = time.monotonic() - started
    renewed = nimbus.log.read_text().count("the tokens of its workers were renewed")
    assert renewed >= 1
    assert answers()
    drpc.kill()
    drpc.start()
    eventually("spouts log in by a newer token", answers)
    nimbus.kill()
    nimbus.start()

    def reported():
        with secured.login(nimbus.nimbus, "ann") as ann:
            executors = ann.getTopologyInfo(topology.id).executors
            return executors and all(each.stats for each in executors)

    eventually("the worker reports by a newer token", reported)
    assert answers()
    assert supervisor.workers(topology.id) == [worker], "nobody had to be started again"
    figure(
        "G6",
        f"a token of {LIFE_SECS} s is refused after {took:.1f} s; renewed {renewed} times meanwhile, "
        "and taken by Nimbus and a DRPC server that were started again",
    )
    with secured.login(nimbus.nimbus, "ann") as ann:
        rules.kill(ann, types, "linear")
