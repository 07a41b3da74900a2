"""node-storm 0.0.1 of 2015, unmodified: its client of Storm 0.9.2, and its spouts and bolts, which run here.

It opens a connection for each call, packs its folder with all of node_modules, runs every component by one
script, and names Storm's DRPC components as they were called before 1.0.
"""

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

import peers
from cluster import eventually
from functions import CLIENTS
from table import note
from topologies import kill

HERE = Path(__file__).resolve().parent
INSTALLED = HERE / ".env/node-storm"
TEXT = "der Sturm bläst\nthe storm blows \N{GRINNING FACE}\n" * 50


def node_storm(verb, address, *arguments):
    """Runs node-storm/topology.js where its library is; (exit code, output, errors)."""
    shutil.copy(HERE / "node-storm/topology.js", INSTALLED)
    done = subprocess.run(
        ["node", "--no-deprecation", "topology.js", verb, "%s:%s" % address, *map(str, arguments)],
        cwd=INSTALLED,
        # With a pipe there it would wait for a worker's greeting.
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def version():
    package = json.loads((INSTALLED / "node_modules/node-storm/package.json").read_text())
    node = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    return f"{package['version']}, Node.js {node.lstrip('v')}"


@pytest.fixture(scope="module")
def apache(cluster):
    with peers.Apache().connect(cluster.nimbus, timeout_secs=60) as nimbus:
        yield nimbus


def counted(totals):
    found = Counter()
    for path in totals.parent.glob(f"{totals.name}.*"):
        found.update(json.loads(path.read_text() or "{}"))
    return found


def test_words_are_counted_and_the_topology_is_killed(cluster, apache, version, tmp_path):
    text, totals = tmp_path / "text", tmp_path / "totals"
    text.write_text(TEXT)
    out = node_storm("words", cluster.nimbus, "node-storm", text, totals)
    assert out == (0, "node-storm\n", "")
    # Its `submit` is done when it has sent the topology: that Nimbus took it, it does not hear.
    eventually("it is there", lambda: not apache.isTopologyNameAllowed("node-storm"))
    assert apache.getTopologySummaryByName("node-storm").status == "ACTIVE"
    expected = Counter(TEXT.split())
    eventually("it counts", lambda: counted(totals) == expected, seconds=60)

    assert node_storm("kill", cluster.nimbus, "node-storm") == (0, "done\n", "")
    eventually("it is gone", lambda: apache.isTopologyNameAllowed("node-storm"))
    code, _, err = node_storm("kill", cluster.nimbus, "node-storm")
    assert (code, err) == (3, "NotAliveException: node-storm is not alive\n")
    note("node-storm", version, "upload", "submit", "run", "kill")


def test_a_function_is_answered(cluster, apache, version):
    out = node_storm("function", cluster.nimbus, "node-storm-drpc", "node-exclaim")
    assert out == (0, "node-storm-drpc\n", "")
    drpc = cluster.addresses[CLIENTS]
    argument = "größer \N{GRINNING FACE}"
    assert node_storm("call", drpc, "node-exclaim", argument) == (0, f"{argument}!!!\n", "")
    kill(peers.Apache(), apache, "node-storm-drpc")
    note("node-storm", version, "DRPC")
