"""Generated clients in eight languages, clients/: each submits, lists, kills and calls functions.

What they say is held against the cluster through another client, against its files, and against the words
that its topology counted.
"""

import os
from collections import Counter

import pytest

import languages
from cluster import eventually
from functions import CLIENTS, direct
from table import note
from topologies import Builder, component_files, counts, jar, running, words_files
import peers

TEXT = """Der Sturm bläst über das Meer
the storm blows over the sea
буря мглою небо кроет \N{GRINNING FACE} the storm
"""
REPEATED = 200
# More than two chunks of what clients send at once, and no text.
PADDING_BYTES = 700_000


@pytest.fixture(params=languages.ALL, ids=repr)
def client(request):
    return request.param


@pytest.fixture(scope="module")
def apache(cluster):
    """The client that looks on: Apache's for Python, of its own connection."""
    with peers.Apache().connect(cluster.nimbus, timeout_secs=60) as nimbus:
        yield nimbus


@pytest.fixture(scope="module")
def function(cluster, apache):
    """A function that adds `!!!`, on a topology that an independent client submitted."""
    name = "generated-clients"
    builder = Builder(peers.Apache().types)
    direct(builder, name, builder.python("exclaim.py"))
    files = component_files("exclaim.py")
    with running(peers.Apache(), apache, "functions-of-generated-clients", builder, files):
        yield name


def ran(outcome):
    """The lines that a command printed; it must have ended well and without a word of complaint."""
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out.splitlines()


def refused(outcome, kind):
    """What Storm's exception of this name said."""
    assert outcome.code == 3, outcome
    name, _, reason = outcome.err.strip().partition(": ")
    assert name == kind, outcome
    return reason


def test_a_topology_is_submitted_runs_is_listed_and_killed(cluster, apache, client, tmp_path):
    name = f"wörter {client.language}"
    text, totals, archive = tmp_path / "tëxt", tmp_path / "totals", tmp_path / "words.jar"
    text.write_text(TEXT * REPEATED, encoding="utf-8")
    archive.write_bytes(jar(words_files(), PADDING_BYTES))

    uploaded, submitted = ran(client.call("submit", cluster.nimbus, name, archive, text, totals))
    prefix = f"uploaded {archive.stat().st_size} bytes to "
    assert uploaded.startswith(prefix) and submitted == f"submitted {name}"
    location = uploaded[len(prefix) :]
    assert os.path.dirname(location) == str(cluster.local / "nimbus/inbox")
    with open(location, "rb") as kept:
        assert kept.read() == archive.read_bytes()

    summary = apache.getTopologySummaryByName(name)
    assert (summary.name, summary.status) == (name, "ACTIVE")
    topology = apache.getUserTopology(summary.id)
    assert set(topology.spouts) == {"lines"} and set(topology.bolts) == {"split", "count"}
    assert topology.bolts["split"].common.parallelism_hint == 2
    expected = Counter(TEXT.split() * REPEATED)
    eventually(
        f"{client.name} counts the words of its file",
        lambda: counts(totals) == (expected.total(), expected),
        seconds=60,
    )

    again = client.call("submit", cluster.nimbus, name, archive, text, totals)
    assert name in refused(again, "AlreadyAliveException")

    storm, *rows = ran(client.call("list", cluster.nimbus))
    info = apache.getClusterInfo()
    n_supervisors = len(info.supervisors)
    assert storm == f"storm {info.nimbuses[0].version}, {n_supervisors} supervisors"
    assert f"{name}\tACTIVE\t{summary.id}" in rows
    listed = {row.split("\t")[2] for row in rows}
    assert listed == {each.id for each in apache.getTopologySummaries()}

    assert ran(client.call("kill", cluster.nimbus, name)) == [f"killed {name}"]
    eventually(f"{name} is gone", lambda: apache.isTopologyNameAllowed(name))
    assert summary.id not in {each.id for each in apache.getTopologySummaries()}
    eventually("its workers are gone", lambda: not cluster.workers(summary.id))
    missing = client.call("kill", cluster.nimbus, name)
    assert refused(missing, "NotAliveException") == f"{name} is not alive"

    note(client.name, client.versions, "upload", "submit", "list", "kill")


def test_a_function_is_called(cluster, function, client):
    address = cluster.addresses[CLIENTS]
    for argument in ("storm", "größer \N{GRINNING FACE} буря", "", "two\nlines\tand a tab"):
        assert ran(client.call("drpc", address, function, argument)) == (
            f"{argument}!!!".splitlines()
        )
    failed = client.call("drpc", address, function, "fail now")
    assert refused(failed, "DRPCExecutionException") == "Request failed"

    note(client.name, client.versions, "DRPC", "exceptions by type")


def test_a_wrong_command_line_is_no_call(client):
    for arguments in ((), ("kill",), ("sink", "a", "b")):
        outcome = client.call(*(arguments[:1] or ("",)), ("127.0.0.1", "1"), *arguments[1:])
        assert outcome.code not in (0, 3) and outcome.out == "" and outcome.err, outcome


def test_a_port_where_nobody_listens_is_told(client):
    outcome = client.call("list", ("127.0.0.1", 1))
    assert outcome.code not in (0, 3) and outcome.out == "" and outcome.err, outcome
