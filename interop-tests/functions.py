"""DRPC topologies for the tests, and how functions are called over Thrift and HTTP.

Holds no tests.
"""

import http.client
import threading
from urllib.parse import quote

import peers

# What each line of a daemon's output calls its address.
CLIENTS, SPOUTS, HTTP = "drpc", "drpc-invocations", "drpc-http"


def direct(builder, function, bolt, parallelism=1):
    """DRPCSpout -> bolt -> ReturnResults."""
    return (
        builder.spout(
            "requests",
            builder.native("org.apache.storm.drpc.DRPCSpout", function),
            {"default": ["args", "return-info"]},
        )
        .bolt(
            "function",
            bolt,
            {"requests": builder.shuffle()},
            {"default": ["result", "return-info"]},
            parallelism=parallelism,
        )
        .bolt(
            "return",
            builder.native("org.apache.storm.drpc.ReturnResults"),
            {"function": builder.shuffle()},
        )
    )


def linear(builder, function, *bolts, package="org.apache.storm", parallelism=2):
    """What LinearDRPCTopologyBuilder builds, of bolts that emit one tuple for each of theirs."""
    request = builder.fields("request")
    builder.spout(
        "spout",
        builder.native(f"{package}.drpc.DRPCSpout", function),
        {"default": ["args", "return-info"]},
    ).bolt(
        "prepare-request",
        builder.native(f"{package}.drpc.PrepareRequest"),
        {"spout": builder.shuffle()},
        {"default": ["request", "args"], "ret": ["request", "return"], "id": ["request"]},
    )
    before = "prepare-request"
    for number, bolt in enumerate(bolts):
        builder.bolt(
            f"bolt{number}",
            bolt,
            {before: builder.shuffle()},
            {"default": ["request", "result"]},
            parallelism=parallelism,
        )
        before = f"bolt{number}"
    n_bolts = len(bolts)
    return builder.bolt(
        f"bolt{n_bolts}",
        builder.native(f"{package}.drpc.JoinResult", "prepare-request"),
        {before: request, "prepare-request:ret": request},
        {"default": ["result", "return-info"]},
        parallelism=parallelism,
    ).bolt(
        f"bolt{n_bolts + 1}",
        builder.native(f"{package}.drpc.ReturnResults"),
        {f"bolt{n_bolts}": builder.shuffle()},
    )


COORDINATED = "org.apache.storm.coordination.CoordinatedBolt"
REPORTS = f"{COORDINATED}/coord-stream"


def coordinated(builder, function, *bolts, package="org.apache.storm"):
    """What LinearDRPCTopologyBuilder builds. Each bolt is (arguments of the bolt inside, fields it
    emits, fields it is grouped by, tasks); the last one gets the ids.
    """
    types = builder.types
    builder.spout(
        "spout",
        builder.native(f"{package}.drpc.DRPCSpout", function),
        {"default": ["args", "return-info"]},
    ).bolt(
        "prepare-request",
        builder.native(f"{package}.drpc.PrepareRequest"),
        {"spout": builder.shuffle()},
        {"default": ["request", "args"], "ret": ["request", "return"], "id": ["request"]},
    )
    before, fields = "prepare-request", ["request", "args"]
    for number, (inside, fields, group, tasks) in enumerate(bolts):
        is_last = number == len(bolts) - 1
        sources = ["", f"{before}=single", f"{before}=all"][min(number, 2)]
        ids = "prepare-request:id" if is_last else ""
        component = builder.native(f"{package}.coordination.CoordinatedBolt", sources, ids, *inside)
        inputs = {before: builder.fields(*group) if group else builder.shuffle()}
        if number:
            inputs[f"{before}:{REPORTS}"] = types.Grouping(direct=types.NullStruct())
        if is_last:
            inputs["prepare-request:id"] = builder.fields("request")
        before = f"bolt{number}"
        builder.bolt(before, component, inputs, {"default": fields}, parallelism=tasks)
        builder.topology.bolts[before].common.streams[REPORTS] = types.StreamInfo(
            output_fields=["id", "count"], direct=True
        )
    return builder.bolt(
        "join",
        builder.native(f"{package}.drpc.JoinResult", "prepare-request"),
        {before: builder.fields(fields[0]), "prepare-request:ret": builder.fields("request")},
        {"default": ["result", "return-info"]},
    ).bolt(
        "return", builder.native(f"{package}.drpc.ReturnResults"), {"join": builder.shuffle()}
    )


def client(kind, address, timeout_secs=20):
    """A connection of one kind of peer to the service for clients."""
    service = {peers.ThriftPy2: peers.storm.DistributedRPC, peers.Apache: "DistributedRPC"}[kind]
    return kind(service).connect(address, timeout_secs)


def spout(address, timeout_secs=20):
    """A connection of Apache's client to the service for spouts."""
    return peers.Apache("DistributedRPCInvocations").connect(address, timeout_secs)


def call(address, function, args, timeout_secs=20):
    outcome = outcome_of(address, function, args, timeout_secs)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def outcome_of(address, function, args, timeout_secs):
    """The result or the exception. Apache's exceptions cannot leave a `with`: they are frozen, and
    Python notes there where they passed.
    """
    with client(peers.Apache, address, timeout_secs) as drpc:
        try:
            return drpc.execute(function, args)
        except Exception as error:
            return error


class Call(threading.Thread):
    """A call that waits on a thread of its own; `outcome()` is its result or its exception."""

    def __init__(self, address, function, args, timeout_secs=60):
        super().__init__(daemon=True)
        self.made = (address, function, args, timeout_secs)
        self.ended = None
        self.start()

    def run(self):
        try:
            self.ended = outcome_of(*self.made)
        except OSError as error:
            self.ended = error

    def outcome(self, seconds=30):
        self.join(seconds)
        assert not self.is_alive(), "the call still waits"
        return self.ended


def get(address, *path, method="GET", body=None):
    """Status, content type and text of a call over HTTP."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request(method, "/drpc/" + "/".join(quote(part, safe="") for part in path), body)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read().decode()
    finally:
        connection.close()
