"""Fixtures of all tests: clusters, peers, a client; and the clusters' logs beside a failure."""

import os

import pytest

# What other runtimes read from the environment and then print or do: tests compare whole outputs,
# and every server is on this machine.
for name in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "NODE_OPTIONS", "RUBYOPT"):
    os.environ.pop(name, None)
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

import figures
import peers
from cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """The cluster that most tests share. At the end of the run it must stop cleanly."""
    with Cluster(tmp_path_factory.mktemp("shared"), slots=12) as shared:
        yield shared
        shared.stop()


@pytest.fixture
def own_cluster(tmp_path):
    """Makes and starts clusters for one test, `own_cluster(slots=2)`, and kills them at its end."""
    made = []

    def make(**options):
        cluster = Cluster(tmp_path / f"cluster-{len(made)}", **options)
        made.append(cluster)
        return cluster.start()

    yield make
    for cluster in made:
        cluster.kill_all()


@pytest.fixture(params=peers.ALL, ids=lambda kind: kind.name)
def peer(request):
    return request.param()


@pytest.fixture
def nimbus(cluster, peer):
    """A connection of the peer to the shared cluster's Nimbus."""
    with peer.connect(cluster.nimbus) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for cluster in Cluster.running:
            report.sections.append((f"logs of {cluster.directory}", log_tails(cluster)))
    return report


def log_tails(cluster):
    """An error here would end the whole run."""
    try:
        return cluster.log_tails()
    except OSError as error:
        return f"({error})"


def pytest_terminal_summary(terminalreporter):
    """The figures of the catalogue's rows, whatever their tests printed in between."""
    if lines := figures.table():
        terminalreporter.section("figures by row of the catalogue")
        for line in lines:
            terminalreporter.write_line(line)
