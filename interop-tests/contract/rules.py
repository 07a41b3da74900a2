"""What a contract test states its rule with: strict clients, refusals, small topologies.

Holds no tests. The fixtures that hand these out are in conftest.py.
"""

import itertools
import json
from contextlib import contextmanager

import peers
import topologies
from cluster import eventually

NIMBUS, SUPERVISOR = "Nimbus", "Supervisor"
DRPC, INVOCATIONS = "DistributedRPC", "DistributedRPCInvocations"

# Which line of a daemon's output names the address of a service.
ADDRESS_OF = {
    NIMBUS: "nimbus",
    SUPERVISOR: "supervisor",
    DRPC: "drpc",
    INVOCATIONS: "drpc-invocations",
}

# Codes of a TApplicationException.
UNKNOWN_METHOD, MISSING_RESULT, INTERNAL_ERROR, PROTOCOL_ERROR = 1, 5, 6, 7

_numbers = itertools.count(1)


class Strict:
    """A generated client whose replies are checked for every required field of the IDL, as Java
    checks them. Apache's Python does so only for what it sends.
    """

    def __init__(self, client):
        self._client = client

    def __getattr__(self, method):
        call = getattr(self._client, method)

        def checked(*arguments):
            reply = call(*arguments)
            check_required(reply)
            return reply

        return checked


def check_required(value):
    """Raises Thrift's own error when a struct within a reply lacks a required field."""
    if isinstance(value, dict):
        check_required(list(value.keys()))
        check_required(list(value.values()))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            check_required(each)
    elif hasattr(value, "thrift_spec"):
        value.validate()
        check_required(list(vars(value).values()))


@contextmanager
def connection(cluster, service=NIMBUS, timeout_secs=20):
    """A strict client of one of the cluster's services."""
    address = cluster.addresses[ADDRESS_OF[service]]
    with peers.Apache(service).connect(address, timeout_secs) as client:
        yield Strict(client)


# ---- Refusals ------------------------------------------------------------------------------------


@contextmanager
def refused(kind, text):
    """The block must raise this declared exception with exactly this text."""
    try:
        yield
    except kind as refusal:
        assert refusal.msg == text
        return
    raise AssertionError(f"no {kind.__name__}")


@contextmanager
def internal(method, part=""):
    """The block must raise INTERNAL_ERROR of this method, with `part` in its text."""
    with application_error(INTERNAL_ERROR, f"Internal error processing {method}", part):
        yield


@contextmanager
def no_result(method):
    """The block must raise MISSING_RESULT: the server answered with nothing."""
    with application_error(MISSING_RESULT, f"{method} failed: unknown result"):
        yield


@contextmanager
def application_error(code, start, part=""):
    from thrift.Thrift import TApplicationException

    try:
        yield
    except TApplicationException as error:
        text = error.message or ""
        assert error.type == code, (error.type, text)
        assert text.startswith(start) and part in text, text
        return
    raise AssertionError(f"no TApplicationException {code}: {start}")


# ---- Topologies ----------------------------------------------------------------------------------


def fresh_name(start="contract"):
    """A name that no other test of this run has."""
    return f"{start}-{next(_numbers)}"


def native(types):
    """A builder of `ticks` -> `sink`: native components that need no process of their own."""
    builder = topologies.Builder(types)
    builder.spout(
        "ticks", builder.native("stormwire.TimerSpout", 100), {"default": ["number", "time"]}
    )
    sink = builder.native("stormwire.NullBolt")
    return builder.bolt("sink", sink, {"ticks": builder.shuffle()})


def shell(types, out):
    """A builder of `pulse` -> `sink`: a Python spout, a native bolt that writes `out.<task>`."""
    return topologies.pulse(topologies.Builder(types), out)


class Submitted:
    """A topology that was submitted: its name and id."""

    def __init__(self, nimbus, name, id):
        self.nimbus, self.name, self.id = nimbus, name, id

    def placed(self):
        """Waits until it has workers; its summary."""

        def summary():
            summary = self.nimbus.getTopologySummary(self.id)
            return summary if summary.num_workers else None

        return eventually(f"{self.id} is placed", summary)


def submit(nimbus, types, name=None, builder=None, files=None, conf=None, status="ACTIVE"):
    """Submits `builder`, a native topology unless told; says what came of it."""
    name = name or fresh_name()
    builder = builder or native(types)
    location = topologies.upload(nimbus, topologies.jar(files or {"nothing": ""}))
    options = types.SubmitOptions(initial_status=getattr(types.TopologyInitialStatus, status))
    nimbus.submitTopologyWithOpts(name, location, json.dumps(conf or {}), builder.topology, options)
    return Submitted(nimbus, name, nimbus.getTopologySummaryByName(name).id)


def kill(nimbus, types, name):
    """Kills a topology that may be gone, or going, and waits until its name is free."""
    try:
        nimbus.killTopologyWithOpts(name, types.KillOptions(wait_secs=0))
    except types.NotAliveException:
        return
    eventually(f"{name} is gone", lambda: nimbus.isTopologyNameAllowed(name))
