"""Every method of every service, with every argument absent, null, empty, huge and of a wrong type.

Walks the IDL, so that a method which is added tomorrow is tried tomorrow. What is promised: each
call is answered on its connection (a panic would close it), the daemon lives and serves, and its
memory does not grow. What the answers say is the business of `contract/`.
"""

import random
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from thriftpy2.thrift import TType

import peers
import wire
from cluster import Cluster, messages
from wire import STRING, Raw, call, field, frame, text

# The longest that a call may take; parked ones are asked not to wait.
ANSWER_SECS = 20
HUGE_TEXT_BYTES = 1 << 20
RANDOM_CALLS = 12
# What the daemon may grow by in all calls of one method, in MB.
GROWTH_MB_MAX = 64

SERVICES = {
    "nimbus": peers.storm.Nimbus,
    "coordination": messages.Coordination,
    "supervisor": peers.storm.Supervisor,
    "drpc": peers.storm.DistributedRPC,
    "drpc-invocations": peers.storm.DistributedRPCInvocations,
}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A cluster that only these tests touch. After all of them it must still stop cleanly."""
    # Nobody answers a function here: its requests end by their time-out.
    settings = {"drpc.request.timeout.secs": 1}
    with Cluster(tmp_path_factory.mktemp("every"), slots=2, settings=settings) as cluster:
        yield cluster
        with peers.ThriftPy2().connect(cluster.nimbus) as nimbus:
            for topology in nimbus.getTopologySummaries():
                now = peers.storm.KillOptions(wait_secs=0)
                nimbus.killTopologyWithOpts(topology.name, now)
        assert "panicked" not in cluster.log.read_text()
        cluster.stop()


def methods():
    for name, service in SERVICES.items():
        for method in service.thrift_services:
            yield pytest.param(name, method, id=f"{name}-{method}")


@pytest.mark.parametrize("service, method", list(methods()))
def test_a_call_is_answered_whatever_its_arguments(target, service, method):
    address = target.addresses[service]
    spec = getattr(SERVICES[service], f"{method}_args").thrift_spec
    before_mb = target.memory_mb()
    n_calls = 0
    # Some calls may wait: then the others do not wait behind them.
    with ThreadPoolExecutor(16 if method == "execute" else 1) as pool:
        calls = list(variants(method, spec))
        for _ in pool.map(lambda each: check_answered(address, method, *each), calls):
            n_calls += 1
    with peers.ThriftPy2().connect(target.nimbus) as nimbus:
        assert nimbus.getLeader().isLeader
    assert target.memory_mb() < before_mb + GROWTH_MB_MAX
    print(f"{method}: {n_calls} calls answered")


def check_answered(address, method, what, arguments):
    with closing(Raw(address, ANSWER_SECS)) as raw:
        reply = raw.send(frame(call(method, arguments))).reply()
    assert reply is not None, f"{what}: the connection was closed"
    kind, name, _ = reply
    assert name == method and kind in (wire.REPLY, wire.EXCEPTION), what
    if kind == wire.EXCEPTION:
        code, message = wire.application_exception(reply)
        assert code in (6, 7), f"{what}: TApplicationException {code}: {message}"
        assert len(message) < 1 << 15, what


def variants(method, spec):
    """What is wrong, and the fields of the arguments' struct."""
    yield "no arguments", b""
    arguments = sorted(spec.items())
    whole = {
        id: field(kind_of(declared)[0], id, plausible(declared)) for id, declared in arguments
    }
    for id, declared in arguments:
        name = declared[1]
        others = b"".join(value for other, value in whole.items() if other != id)
        yield f"{name} absent", others
        for extreme in extremes(declared):
            yield f"{name} extreme", others + field(kind_of(declared)[0], id, extreme)
        for type, smallest in SMALLEST.items():
            if type != kind_of(declared)[0]:
                yield f"{name} of type {type}", others + field(type, id, smallest)
    yield "an unknown field", b"".join(whole.values()) + field(STRING, 999, text("x"))
    rng = random.Random(method)
    for _ in range(RANDOM_CALLS):
        values = (
            field(kind_of(declared)[0], id, random_value(rng, declared)) for id, declared in arguments
        )
        yield "random values", b"".join(values)


# The smallest value of each type.
SMALLEST = {
    TType.BOOL: b"\1",
    TType.BYTE: b"\1",
    TType.DOUBLE: bytes(8),
    TType.I16: bytes(2),
    TType.I32: bytes(4),
    TType.I64: bytes(8),
    TType.STRING: text(""),
    TType.STRUCT: b"\0",
    TType.MAP: bytes([TType.STRING, TType.STRING]) + bytes(4),
    TType.SET: bytes([TType.STRING]) + bytes(4),
    TType.LIST: bytes([TType.STRING]) + bytes(4),
}
FORMATS = {TType.BYTE: ">b", TType.I16: ">h", TType.I32: ">i", TType.I64: ">q"}


def kind_of(declared):
    """(type, what it is made of) of an entry of a thrift_spec, or of an element's type."""
    if isinstance(declared, int):
        return wire_type(declared), None
    if len(declared) == 4:  # (type, name, made of, required)
        return wire_type(declared[0]), declared[2]
    if len(declared) == 3:  # (type, name, required)
        return wire_type(declared[0]), None
    return wire_type(declared[0]), declared[1]


def wire_type(type):
    """The reader tells binary from text; on the wire they are one."""
    return TType.STRING if type == TType.BINARY else type


def plausible(declared):
    """A value that the method could have been called with."""
    type, inner = kind_of(declared)
    if type == TType.STRING:
        return text("x")
    if type == TType.STRUCT:
        return struct_of(inner, plausible, only_required=True)
    return SMALLEST[type]


def struct_of(kind, make, only_required=False):
    fields = (
        field(kind_of(declared)[0], id, make(declared))
        for id, declared in sorted(kind.thrift_spec.items())
        if not only_required or declared[-1]
    )
    return b"".join(fields) + b"\0"


def extremes(declared):
    type, inner = kind_of(declared)
    if type in FORMATS:
        bits = 8 * struct.calcsize(FORMATS[type])
        for number in (-(2 ** (bits - 1)), -1, 2 ** (bits - 1) - 1):
            yield struct.pack(FORMATS[type], number)
    elif type == TType.DOUBLE:
        for number in (float("nan"), float("inf"), -1e308):
            yield struct.pack(">d", number)
    elif type == TType.STRING:
        for words in ("", " ", "\0", "../../etc/passwd", "%2e%2e%2f", "-" * 300):
            yield text(words)
        yield text(b"\xff\xfe\xed\xa0\x80")
        yield text(b"h" * HUGE_TEXT_BYTES)
    elif type == TType.STRUCT:
        yield b"\0"
        yield struct_of(inner, lambda declared: SMALLEST[kind_of(declared)[0]])
        for id, declared in inner.thrift_spec.items():
            others = {
                other: field(kind_of(spec)[0], other, plausible(spec))
                for other, spec in inner.thrift_spec.items()
                if other != id and spec[-1]
            }
            for extreme in extremes_but_parking(declared):
                yield b"".join(others.values()) + field(kind_of(declared)[0], id, extreme) + b"\0"


def extremes_but_parking(declared):
    """Nimbus may hold a call for as long as the caller asks: ours do not ask."""
    return () if declared[1] == "wait_ms" else extremes(declared)


def random_value(rng, declared, depth=0):
    type, inner = kind_of(declared)
    if type == TType.BOOL:
        return bytes([rng.randrange(2)])
    if type in FORMATS:
        number = 0 if is_parking(declared) else rng.choice((0, 1, 2, 7, -1, 100, 1000))
        return struct.pack(FORMATS[type], max(-128, min(number, 127)) if type == 3 else number)
    if type == TType.DOUBLE:
        return struct.pack(">d", rng.choice((0.0, 1.0, -1.0, 1e300, float("nan"))))
    if type == TType.STRING:
        return text(rng.choice(("", "x", "default", "{}", "600", ":all-time", "a" * 200)))
    if type == TType.STRUCT:
        return random_struct(rng, inner, depth)
    n = rng.randrange(3) if depth < 5 else 0
    kinds = inner if type == TType.MAP else (inner,)
    head = bytes(kind_of(kind)[0] for kind in kinds) + struct.pack(">i", n)
    values = (random_value(rng, kind, depth + 1) for _ in range(n) for kind in kinds)
    return head + b"".join(values)


def is_parking(declared):
    return not isinstance(declared, int) and declared[1] == "wait_ms"


def random_struct(rng, kind, depth):
    fields = sorted(kind.thrift_spec.items())
    if is_union(kind):
        fields = [rng.choice(fields)] if depth < 5 else fields[:1]
    chosen = (
        field(kind_of(declared)[0], id, random_value(rng, declared, depth + 1))
        for id, declared in fields
        if declared[-1] or is_union(kind) or (depth < 5 and rng.random() < 0.7)
    )
    return b"".join(chosen) + b"\0"


def is_union(kind):
    """The reader keeps no word for it: a union has fields, and requires none of them."""
    return kind.__name__ in UNIONS


UNIONS = {
    "ComponentObject",
    "ExecutorSpecificStats",
    "Grouping",
    "JavaObjectArg",
    "SpecificAggregateStats",
    "TopologyActionOptions",
    "Value",
}
