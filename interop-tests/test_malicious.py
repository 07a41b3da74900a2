"""Topologies and settings that mean harm (rows F7 and F8 of the catalogue): each is refused with what is
wrong by name, or is legal in Storm and harmless; Nimbus lives and has its memory back.
"""

import json
import struct
import time
from contextlib import closing

import pytest

import peers
import wire
from cluster import Cluster, eventually
from doors import forget_peak, peak_mb
from figures import figure
from topologies import Builder, jar, kill, pulse, pulse_files, upload

PEER = peers.ThriftPy2()
TYPES = PEER.types
NAME = "malicious"
FRAME_BYTES_MAX = 16_384_000
GROWTH_MB_MAX = 48
REFUSED = (TYPES.InvalidTopologyException, PEER.ApplicationException, TYPES.AuthorizationException)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A cluster that only these tests touch, and a client. At the end it must still stop cleanly."""
    # Nothing that is accepted by mistake may start.
    settings = {"supervisor.slots.ports": "[]"}
    with Cluster(tmp_path_factory.mktemp("malicious"), settings=settings) as cluster:
        with PEER.connect(cluster.nimbus, timeout_secs=60) as nimbus:
            yield cluster, nimbus
        cluster.stop()


class Plan:
    """A good submission, for a row to spoil."""

    def __init__(self, tmp_path):
        self.name, self.conf = NAME, "{}"
        self.builder = pulse(Builder(TYPES), tmp_path / "out")
        self.topology = self.builder.topology
        self.bolt = self.topology.bolts["sink"]

    def set(self, **values):
        vars(self).update(values)

    def add(self, id, source="pulse", stream="default"):
        component = self.builder.python("x")
        self.builder.bolt(id, component, {source: self.builder.shuffle()}, {stream: ["x"]})

    def hint(self, number):
        self.bolt.common.parallelism_hint = number

    def component_conf(self, **settings):
        self.bolt.common.json_conf = json.dumps(named(settings))

    def shared(self, **sizes):
        memory = TYPES.SharedMemory(name="m", **sizes)
        self.topology.shared_memory = {"m": memory}
        self.topology.component_to_shared_memory = {"sink": {"m"}}


def named(settings):
    return {key.replace("_", "."): value for key, value in settings.items()}


def resources(value):
    return {"topology.component.resources.map": {"gpu.count": value}}


def chain(plan, length):
    before = "pulse"
    for number in range(length):
        plan.add(f"b{number}", before)
        before = f"b{number}"


def cycle(plan):
    plan.add("a", "b")
    plan.add("b", "a")


# What is spoiled, and a part of the refusal; None where Storm and we let it pass.
TOPOLOGIES = {
    "a cycle": (cycle, None),
    "a component that feeds itself": (lambda p: p.add("a", "a"), None),
    "a chain of 9,000": (lambda p: chain(p, 9_000), None),
    "a chain of 100,000": (lambda p: chain(p, 100_000), "components, more than 10000"),
    "parallelism of 2^31-1": (lambda p: p.hint(2**31 - 1), "stormwire.topology.executors.max"),
    "parallelism of 0 for 2 tasks": (
        lambda p: (p.hint(0), p.component_conf(topology_tasks=2)),
        "Number of executors must be greater than 0",
    ),
    # As Storm takes it: no executor at all.
    "parallelism of 0": (lambda p: p.hint(0), None),
    "parallelism of -1": (lambda p: p.hint(-1), None),
    "an id of 10 MB": (lambda p: p.add("i" * 10_000_000), "1024"),
    "a name of 10 MB": (lambda p: p.set(name="n" * 10_000_000), "200"),
    "a zero byte in an id": (lambda p: p.add("a\0b"), "NUL"),
    "a zero byte in a stream": (lambda p: p.add("a", stream="a\0b"), "NUL"),
    "a zero byte in the name": (lambda p: p.set(name="a\0b"), "submitTopology"),
    "the name ..": (lambda p: p.set(name=".."), "'..' is not valid"),
    "the name a/b": (lambda p: p.set(name="a/b"), "'a/b' is not valid"),
    "a name of 300 characters": (lambda p: p.set(name="n" * 300), "200"),
    "one id twice": (lambda p: p.add("pulse"), "Duplicate component ids"),
    "an input from nowhere": (lambda p: p.add("a", "ghost"), "non-existent component"),
    "a stream to nowhere": (lambda p: p.add("a", "pulse:ghost"), "non-existent stream"),
    "shared memory below zero": (lambda p: p.shared(on_heap=-1.0), "shared memory of -1"),
    "shared memory that is no number": (
        lambda p: p.shared(off_heap_node=float("nan")),
        "shared memory of NaN",
    ),
    "resources below zero": (lambda p: p.component_conf(**resources(-1)), "gpu.count"),
    "resources that are no number": (lambda p: p.component_conf(**resources(float("nan"))), ""),
    "endless resources": (lambda p: p.component_conf(**resources(1e300)), "gpu.count"),
    "tasks below zero": (lambda p: p.component_conf(topology_tasks=-1), None),
    "memory below zero": (
        lambda p: p.component_conf(topology_component_resources_onheap_memory_mb=-5),
        "onheap",
    ),
    "100,001 streams": (
        lambda p: p.bolt.common.streams.update(
            {f"s{n}": TYPES.StreamInfo(output_fields=[], direct=False) for n in range(100_001)}
        ),
        "streams, more than 100000",
    ),
}


def submit(nimbus, plan):
    location = upload(nimbus, jar(pulse_files()))
    nimbus.submitTopology(plan.name, location, plan.conf, plan.topology)


def outcome(nimbus, plan):
    """The text of the refusal; None when it was taken."""
    try:
        submit(nimbus, plan)
    except REFUSED as refusal:
        text = getattr(refusal, "msg", None) or getattr(refusal, "message", None)
        assert isinstance(text, str) and len(text) < 20_000
        return text
    return None


def test_malicious_topologies(target, tmp_path):
    """F7: refused by what is wrong, or harmless; and Nimbus has its memory back."""
    cluster, nimbus = target
    assert outcome(nimbus, Plan(tmp_path)) is None
    kill(PEER, nimbus, NAME)
    before_mb, longest, wrong, n_refused = cluster.memory_mb(), 0, [], 0
    forget_peak(cluster.pid)
    for row, (spoil, told) in TOPOLOGIES.items():
        plan = Plan(tmp_path)
        spoil(plan)
        started = time.monotonic()
        text = outcome(nimbus, plan)
        longest = max(longest, time.monotonic() - started)
        n_refused += text is not None
        if (text is None) != (told is None) or (told is not None and told not in text):
            wrong.append((row, text))
        if text is None:
            kill(PEER, nimbus, NAME)
    for row, payload in raw_topologies():
        with closing(wire.Raw(cluster.nimbus, timeout_secs=30)) as raw:
            reply = raw.send(payload).no_more().reply()
        n_refused += 1
        # Closed, an error, or a declared refusal in the reply's struct.
        if reply and reply[0] == wire.REPLY and reply[2][:3] == b"\0":
            wrong.append((row, reply))
    peak = peak_mb(cluster.pid) - before_mb
    assert not wrong
    assert nimbus.getTopologySummaries() == []
    is_back(cluster, before_mb)
    n_rows = len(TOPOLOGIES) + len(list(raw_topologies()))
    figure(
        "F7",
        f"{n_rows} topologies, {n_refused} refused, {n_rows - n_refused} legal; the longest took "
        f"{longest:.1f} s, client's work included; peak {peak:.0f} MB more, "
        f"{cluster.memory_mb() - before_mb:.1f} MB afterwards",
    )


def is_back(cluster, before_mb):
    def small():
        now_mb = cluster.memory_mb()
        assert now_mb < before_mb + GROWTH_MB_MAX, f"{now_mb:.0f} MB"
        return True

    eventually(f"Nimbus is back at {before_mb:.0f} MB", small, seconds=10)


def raw_topologies():
    """What no client's library would send."""
    nothing = b"".join(wire.field(wire.MAP, id, b"\x0b\x0c" + bytes(4)) for id in (1, 2, 3)) + b"\0"
    rest = wire.field(wire.STRING, 3, wire.text("{}")) + wire.field(wire.STRUCT, 4, nothing)
    for bad in (b"\xff\xfe", b"a\xc0\xafb", b"\xed\xa0\x80/.."):
        name = wire.field(wire.STRING, 1, wire.text(bad + b"/"))
        yield f"the name {bad}", wire.frame(wire.call("submitTopology", name + rest))
    announced = wire.field(wire.STRING, 1, struct.pack(">i", 100 << 20))
    yield "a name of 100 MB announced", wire.frame(wire.call("submitTopology", announced))
    yield "a frame of 100 MB", struct.pack(">i", 100 << 20) + bytes(1000)
    million = struct.pack(">bbi", wire.STRING, wire.STRUCT, 1_000_000)
    bolts = wire.field(wire.STRUCT, 4, wire.field(wire.MAP, 2, million + bytes(5_000_000)))
    yield "a million components", wire.frame(wire.call("submitTopology", bolts))


# ---- Settings ------------------------------------------------------------------------------------

DEEP = 100_000
SETTINGS = {
    "workers in words": ('{"topology.workers": "1e9"}', "TOPOLOGY_WORKERS"),
    "workers of 1e9": ('{"topology.workers": 1e9}', "topology.workers"),
    "workers beyond numbers": ('{"topology.workers": 1e999}', ""),
    "workers below zero": ('{"topology.workers": -1}', "TOPOLOGY_WORKERS"),
    "workers and a half": ('{"topology.workers": 1.5}', "TOPOLOGY_WORKERS"),
    "a number of 400 digits": (f'{{"topology.tasks": {"9" * 400}}}', ""),
    "no number": ('{"topology.workers": NaN}', ""),
    "deep lists": ('{"x": ' + "[" * DEEP + "]" * DEEP + "}", "deep"),
    "deep maps": ('{"x": ' * DEEP + "1" + "}" * DEEP, "deep"),
    "lists that do not end": ('{"x": ' + "[" * DEEP, ""),
    "a million keys": (None, None),
    # Read by the resource-aware scheduler alone, which refuses it in `sched_status`.
    "a strategy that is none": ('{"topology.scheduler.strategy": "com.example.Runtime"}', None),
    "a strategy by path": ('{"topology.scheduler.strategy": "../../x"}', None),
    "a strategy that is a list": ('{"topology.scheduler.strategy": ["x"]}', "SCHEDULER_STRATEGY"),
    "a serializer that is none": (
        '{"topology.multilang.serializer": "com.example.Runtime"}',
        "com.example.Runtime",
    ),
    "a local name that climbs": (
        '{"topology.blobstore.map": {"k": {"localname": "../../x"}}}',
        "",
    ),
}


def million_keys():
    """What fits into a frame of them."""
    return "{" + ",".join(f'"{n:x}":1' for n in range(1_000_000)) + "}"


def test_malicious_settings(target, tmp_path):
    """F8: refused by the name of the key, whatever the type; many are harmless or too large."""
    cluster, nimbus = target
    plan = Plan(tmp_path)
    submit(nimbus, plan)
    conf = json.loads(nimbus.getTopologyConf(nimbus.getTopologySummaryByName(NAME).id))
    kill(PEER, nimbus, NAME)
    before_mb, wrong, n_cases, n_refused, unchecked = cluster.memory_mb(), [], 0, 0, set()
    for row, (text, told) in SETTINGS.items():
        plan = Plan(tmp_path)
        plan.conf = million_keys() if row == "a million keys" else text
        refusal = outcome(nimbus, plan)
        n_cases += 1
        n_refused += refusal is not None
        if (refusal is None) != (told is None) or (told is not None and told not in refusal):
            wrong.append((row, refusal))
        kill(PEER, nimbus, NAME)
    for key, value in sorted(conf.items()):
        if not key.startswith("topology.") or key in OURS:
            continue
        for bad in wrong_types(value):
            plan = Plan(tmp_path)
            plan.conf = json.dumps({key: bad})
            refusal = outcome(nimbus, plan)
            n_cases += 1
            n_refused += refusal is not None
            if refusal is None:
                unchecked.add(key)
                kill(PEER, nimbus, NAME)
            elif not any(name in refusal for name in (key, constant(key), WORDS.get(key, key))):
                wrong.append((key, bad, refusal))
    assert not wrong, "\n".join(map(str, wrong))
    assert unchecked <= UNCHECKED, unchecked
    # The allocator keeps what a killed topology of a million keys left, until the next large request.
    upload_and_refuse(nimbus, tmp_path)
    is_back(cluster, before_mb)
    figure(
        "F8",
        f"{n_cases} settings, {n_refused} refused by the key's name, {n_cases - n_refused} that "
        "Storm takes, too",
    )


def upload_and_refuse(nimbus, tmp_path):
    """A large request that is refused."""
    plan = Plan(tmp_path)
    plan.set(name="n" * 2_000_000)
    assert outcome(nimbus, plan) is not None


# Nimbus sets these itself, whatever a client says.
OURS = {
    "topology.name",
    "topology.submitter.principal",
    "topology.submitter.user",
}
# Refusals in Storm's own words, as recorded, that do not have the constant in full.
WORDS = {
    "topology.state.checkpoint.interval.ms": "TOPOLOGY_STATE_CHECKPOINT_INTERVAL ",
    "topology.stats.ewma.smoothing.factor": "",
}
# A map of anything is taken for the first; the second is a key of old clients that nothing reads.
UNCHECKED = {"topology.kryo.register", "topology.worker.receiver.thread.count"}


def wrong_types(value):
    """Values that are of another type than a default."""
    if isinstance(value, bool):
        return ["true", 7, {"a": 1}]
    if isinstance(value, (int, float)):
        return ["seven", {"a": 1}, ["x"], True]
    if isinstance(value, str):
        return [7, {"a": 1}, True]
    if isinstance(value, list):
        return [7, {"a": 1}]
    if isinstance(value, dict):
        return [7, "x", ["x"]]
    return []


def constant(key):
    """As Storm's refusals name a key: by its constant."""
    return key.upper().replace(".", "_").replace("-", "_")
