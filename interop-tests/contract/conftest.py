"""Fixtures of the contract tests, on top of the shared cluster.

`nimbus`, `supervisor`, `drpc`, `invocations`: a client of that service. `types`: the generated
structs. `submitted(...)`: topologies of one test. `standing`: one that all tests may look at, and
none may change.
"""

import pytest

import peers
import topologies

from . import rules


@pytest.fixture(scope="session")
def types():
    return peers.Apache().types


@pytest.fixture
def connect(cluster):
    """Opens clients, `connect(service, cluster=...)`, and closes them after the test."""
    open_ones = []

    def make(service=rules.NIMBUS, cluster=cluster, timeout_secs=20):
        made = rules.connection(cluster, service, timeout_secs)
        open_ones.append(made)
        return made.__enter__()

    yield make
    for each in reversed(open_ones):
        each.__exit__(None, None, None)


@pytest.fixture
def nimbus(connect):
    return connect(rules.NIMBUS)


@pytest.fixture
def supervisor(connect):
    return connect(rules.SUPERVISOR)


@pytest.fixture
def drpc(connect):
    return connect(rules.DRPC)


@pytest.fixture
def invocations(connect):
    return connect(rules.INVOCATIONS)


@pytest.fixture
def submitted(nimbus, types):
    """`submitted(name=, builder=, files=, conf=, status=)` submits; killed after the test."""
    made = []

    def make(**options):
        topology = rules.submit(nimbus, types, **options)
        made.append(topology.name)
        return topology

    yield make
    for name in made:
        rules.kill(nimbus, types, name)


@pytest.fixture(scope="session")
def standing(cluster, types, tmp_path_factory):
    """A placed topology of shell and native components, the same for all tests."""
    out = tmp_path_factory.mktemp("standing") / "out"
    with rules.connection(cluster) as nimbus:
        topology = rules.submit(
            nimbus,
            types,
            name="standing",
            builder=rules.shell(types, out),
            files=topologies.pulse_files(),
            conf={"topology.workers": 1, "topology.stats.sample.rate": 1.0},
        )
        topology.placed()
        topologies.arrive(out)
        yield topology
        rules.kill(nimbus, types, topology.name)
