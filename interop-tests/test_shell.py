"""Shell components that are missing, misbehave or speak MessagePack: what a client sees of it."""

import sys
import time

import pytest

import peers
from cluster import eventually
from topologies import (
    Builder,
    arrive,
    component_files,
    jar,
    kill,
    lines_of,
    pulse,
    pulse_files,
    running,
    upload,
)


@pytest.fixture
def peer():
    return peers.ThriftPy2()


def errors(nimbus, id, component):
    return [each.error for each in nimbus.getTopologyInfo(id).errors.get(component, [])]


def faulty(peer, component):
    """Pulses into a shell bolt `sore`."""
    builder = Builder(peer.types)
    return builder.spout("pulse", builder.python("pulse.py"), {"default": ["sequence"]}).bolt(
        "sore", component, {"pulse": builder.shuffle()}
    )


@pytest.fixture
def neighbour(peer, nimbus, tmp_path):
    """A healthy topology that must not notice."""
    out = tmp_path / "neighbour"
    with running(peer, nimbus, "neighbour", pulse(Builder(peer.types), out), pulse_files()):
        arrive(out)
        yield out


def check_undisturbed(neighbour):
    """It goes on, and every number so far arrived once and in order."""
    arrive(neighbour)
    numbers = [int(line) for line in lines_of(neighbour)]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize(
    "what, told",
    [
        # exit status and last lines of stderr
        ("die", ["37", "the disk is on fire", "giving up"]),
        ("garbage", ["Segmentation fault (not really)"]),
        ("hang", ["silent for more than 3 s", "topology.subprocess.timeout.secs"]),
    ],
)
def test_a_child_that_fails_is_named_with_its_cause(peer, nimbus, neighbour, what, told):
    builder = faulty(peer, Builder(peer.types).python("moody.py"))
    conf = {"moody.do": what, "topology.subprocess.timeout.secs": 3}
    with running(
        peer, nimbus, f"sore-{what}", builder, component_files("pulse.py", "moody.py"), conf
    ) as id:

        def reported():
            texts = [
                text
                for text in errors(nimbus, id, "sore")
                if all(part in text for part in ["sore", *told])
            ]
            assert texts, errors(nimbus, id, "sore")
            return texts[0]

        eventually(f"the error tells {told}", reported)
        assert errors(nimbus, id, "pulse") == []
        check_undisturbed(neighbour)


def test_a_child_that_dies_comes_back_without_its_worker(cluster, peer, nimbus):
    builder = faulty(peer, Builder(peer.types).python("moody.py"))
    conf = {"moody.do": "die"}
    with running(
        peer, nimbus, "phoenix", builder, component_files("pulse.py", "moody.py"), conf
    ) as id:
        eventually("it died twice", lambda: len(errors(nimbus, id, "sore")) >= 2)
        before = cluster.workers(id)
        assert len(before) == 1
        n_errors = len(errors(nimbus, id, "sore"))
        eventually("it died again", lambda: len(errors(nimbus, id, "sore")) > n_errors)
        assert cluster.workers(id) == before


def test_a_missing_interpreter_is_named(peer, nimbus, neighbour):
    builder = faulty(peer, Builder(peer.types).shell("no-such-python9", "moody.py"))
    with running(peer, nimbus, "lost", builder, component_files("pulse.py", "moody.py")) as id:

        def reported():
            texts = errors(nimbus, id, "sore")
            assert any("no-such-python9" in text for text in texts), texts
            return True

        eventually("the error names the program", reported)
        check_undisturbed(neighbour)


def test_a_bolt_that_speaks_messagepack(peer, nimbus, tmp_path):
    out = tmp_path / "out"
    builder = Builder(peer.types)
    (
        builder.spout(
            "words", builder.native("org.apache.storm.testing.TestWordSpout"), {"default": ["word"]}
        )
        .bolt(
            "packed",
            builder.shell(sys.executable, "packed.py"),
            {"words": builder.shuffle()},
            {"default": ["word", "length"]},
        )
        .bolt("sink", builder.native("stormwire.FileSink", str(out)), {"packed": builder.shuffle()})
    )
    conf = {"topology.multilang.serializer": "com.yelp.pyleus.serializer.MessagePackSerializer"}
    with running(peer, nimbus, "packed", builder, component_files("packed.py"), conf):
        arrive(out)
        for line in lines_of(out)[:10]:
            word, length = line.split("\t")
            assert word[::-1] in {"nathan", "mike", "jackson", "golda", "bertels"} and int(
                length
            ) == len(word)


def test_python_children_end_with_their_topology(cluster, peer, nimbus, tmp_path):
    def children():
        return {
            pid
            for pid, command in cluster.processes().items()
            if "pulse.py" in command and "worker" not in command
        }

    others = children()  # of topologies that stay for other tests
    builder = pulse(Builder(peer.types), tmp_path / "out")
    location = upload(nimbus, jar(pulse_files()))
    nimbus.submitTopology("brief", location, "{}", builder.topology)
    eventually("the child runs", lambda: children() - others)
    kill(peer, nimbus, "brief")
    eventually("the child is gone", lambda: not children() - others)
    time.sleep(0.2)
    assert not children() - others
