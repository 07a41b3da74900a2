"""Windowed bolts that a Thrift client submits by name, and tick tuples, on real processes.

A ledger spout gives numbers and times out of a file that a test appends to, and says up to where
all are acked; a tracing bolt writes down each of its windows.
"""

import json
import time

import pytest

import peers
from cluster import eventually
from topologies import Builder, component_files, jar, lines_of, running, upload

COUNT = "topology.bolts.window.length.count"
COUNT_SLIDE = "topology.bolts.window.sliding.interval.count"
MILLIS = "topology.bolts.window.length.duration.ms"
MILLIS_SLIDE = "topology.bolts.window.sliding.interval.duration.ms"


@pytest.fixture
def peer():
    return peers.ThriftPy2()


class Source:
    """Tuples (number, time, attempt) for a topology."""

    def __init__(self, directory):
        self.path = directory / "source"
        self.path.write_text("")
        self.positions = directory / "positions"
        self.positions.mkdir()

    def feed(self, *tuples):
        with self.path.open("a") as file:
            file.write("".join(f"{number} {time}\n" for number, time in tuples))

    def n_acked(self):
        """Up to where all tuples are acked."""
        try:
            return int((self.positions / "0.position").read_text())
        except (OSError, ValueError):
            return 0


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


def traced(peer, source, trace, window, streams=None):
    """The source into a bolt that traces its windows."""
    builder = Builder(peer.types)
    return builder.spout(
        "source",
        builder.native("stormwire.testing.LedgerSpout", str(source.path), str(source.positions)),
        {"default": ["number", "time", "attempt"]},
    ).bolt(
        "windows",
        builder.native("stormwire.testing.WindowTrace", str(trace)),
        {"source": builder.shuffle()},
        streams or {},
        conf=window,
    )


def windows(trace):
    """Of each window so far: its tuples, the new and the expired ones."""
    return [
        tuple([int(number) for number in window[part]] for part in ("tuples", "new", "expired"))
        for window in map(json.loads, lines_of(trace))
    ]


def acked(nimbus, id, component):
    info = nimbus.getTopologyInfo(id)
    found = 0
    for executor in info.executors:
        if executor.component_id == component and executor.stats:
            found += sum(executor.stats.specific.bolt.acked.get(":all-time", {}).values())
    return found


def test_a_sliding_count_acks_each_tuple_when_it_leaves(peer, nimbus, source, tmp_path):
    trace = tmp_path / "trace"
    builder = traced(peer, source, trace, {COUNT: 4, COUNT_SLIDE: 2})
    conf = {"topology.stats.sample.rate": 1.0}
    with running(peer, nimbus, "counted", builder, {}, conf) as id:
        source.feed(*((number, 0) for number in range(10)))
        eventually("five windows", lambda: len(lines_of(trace)) == 5)
        assert windows(trace) == [
            ([0, 1], [0, 1], []),
            ([0, 1, 2, 3], [2, 3], []),
            ([2, 3, 4, 5], [4, 5], [0, 1]),
            ([4, 5, 6, 7], [6, 7], [2, 3]),
            ([6, 7, 8, 9], [8, 9], [4, 5]),
        ]
        eventually("six tuples are acked", lambda: source.n_acked() == 6)
        eventually("and counted once each", lambda: acked(nimbus, id, "windows") == 6)
        source.feed(*((number, 0) for number in range(10, 16)))
        eventually("twelve tuples are acked", lambda: source.n_acked() == 12)
        eventually("and counted once each", lambda: acked(nimbus, id, "windows") == 12)
        shown = json.loads(nimbus.getUserTopology(id).bolts["windows"].common.json_conf)
        assert shown[COUNT] == 4 and shown[COUNT_SLIDE] == 2


def test_tumbling_time_has_each_tuple_in_one_window(peer, nimbus, source, tmp_path):
    trace = tmp_path / "trace"
    builder = traced(peer, source, trace, {MILLIS: 100, MILLIS_SLIDE: 100})
    with running(peer, nimbus, "tumbling", builder, {}):
        for start in range(0, 60, 5):
            source.feed(*((number, 0) for number in range(start, start + 5)))
            time.sleep(0.03)
        eventually("every tuple is acked", lambda: source.n_acked() == 60)
        found = windows(trace)
        assert [number for tuples, _, _ in found for number in tuples] == list(range(60))
        assert all(tuples == new for tuples, new, _ in found)
        bounds = [(each["start"], each["end"]) for each in map(json.loads, lines_of(trace))]
        assert all(end - start == 100 for start, end in bounds)


def test_event_time_with_a_stream_of_late_tuples(peer, nimbus, source, tmp_path):
    trace, late = tmp_path / "trace", tmp_path / "late"
    window = {
        MILLIS: 100,
        MILLIS_SLIDE: 100,
        "topology.bolts.tuple.timestamp.field.name": "time",
        "topology.bolts.tuple.timestamp.max.lag.ms": 20,
        "topology.bolts.watermark.event.interval.ms": 50,
        "topology.bolts.late.tuple.stream": "late",
    }
    builder = traced(peer, source, trace, window, {"late": ["late_tuple"]})
    builder.bolt(
        "late", builder.native("stormwire.FileSink", str(late)), {"windows:late": builder.shuffle()}
    )
    with running(peer, nimbus, "late", builder, {}):
        # A window reaches from its start, exclusive, to its end, inclusive.
        source.feed((0, 1000), (1, 1010), (2, 1005), (3, 1100), (4, 1520))
        eventually("two windows", lambda: len(lines_of(trace)) == 2)
        assert windows(trace) == [([0], [0], []), ([1, 2, 3], [1, 2, 3], [0])]
        # The watermark is at 1500: what is of just that time is not late.
        source.feed((5, 1499), (6, 1500))
        eventually("a late tuple", lambda: len(lines_of(late)) == 1)
        (line,) = lines_of(late)
        assert "source" in line and "1499" in line, line
        source.feed((7, 1720))
        eventually("two more windows", lambda: len(lines_of(trace)) == 4)
        # What expired while no tuple was in a window is shown nowhere, as in Storm.
        assert windows(trace)[2:] == [([6], [6], []), ([4], [4], [6])]
        source.feed((8, 2000))
        eventually("what left is acked", lambda: source.n_acked() == 8)


def test_windows_that_cannot_be_are_refused_at_submit(peer, nimbus, source, tmp_path):
    def refusal(window, conf):
        builder = traced(peer, source, tmp_path / "trace", window)
        with pytest.raises(peer.types.InvalidTopologyException) as refused:
            location = upload(nimbus, jar({}))
            nimbus.submitTopology("never", location, json.dumps(conf), builder.topology)
        return refused.value.msg

    assert "Window length is not specified" in refusal({}, {})
    told = refusal({MILLIS: 20_000, MILLIS_SLIDE: 11_000}, {})
    assert "[windows]" in told
    assert "31000 is more than topology.message.timeout.secs value 30000" in told
    told = refusal({COUNT: 6, COUNT_SLIDE: 5}, {"topology.max.spout.pending": 10})
    assert "11 is more than topology.max.spout.pending value 10" in told
    told = refusal({COUNT: 6, "topology.bolts.late.tuple.stream": "late"}, {})
    assert "only when specifying a timestamp field" in told
    told = refusal({COUNT: 6, "topology.bolts.message.id.field.name": "id"}, {})
    assert "stateful windowed bolts and persistent windows are not there yet" in told


def test_ticks_come_to_those_who_ask_for_them(cluster, peer, nimbus, tmp_path):
    ticks, quiet = tmp_path / "ticks", tmp_path / "quiet"
    each_second = {"topology.tick.tuple.freq.secs": 1}
    builder = Builder(peer.types)
    builder.spout("idle", builder.native("stormwire.TimerSpout", 60_000), {"default": ["n", "ms"]})
    for id, conf, out in [("shell", each_second, ticks), ("other", {}, quiet)]:
        builder.bolt(
            id,
            builder.python("ticks.py"),
            {"idle": builder.shuffle()},
            {"default": ["component", "task", "secs"]},
            conf=conf,
        ).bolt(
            f"{id}-sink", builder.native("stormwire.FileSink", str(out)), {id: builder.shuffle()}
        )
    builder.bolt(
        "native",
        builder.native("stormwire.Log", "NATIVE "),
        {"idle": builder.shuffle()},
        conf=each_second,
    )
    with running(peer, nimbus, "ticking", builder, component_files("ticks.py")) as id:
        eventually("three ticks", lambda: len(lines_of(ticks)) >= 3)
        assert set(lines_of(ticks)) == {"__system\t-1\t1"}
        told = "NATIVE source: __system:-1, stream: __tick, [1]"
        eventually("ticks of the native bolt", lambda: cluster.worker_log(id).count(told) >= 3)
        assert not lines_of(quiet)
