"""Submits, lists and kills topologies and calls functions, with Apache's Thrift library for Python.

    thrift --gen py -out gen storm.thrift         # the stock compiler, 0.17 or later
    pip install thrift                            # the compiler's version or a later one
    PYTHONPATH=gen python3 client.py submit 127.0.0.1 6627 words words.jar book.txt /tmp/totals
    PYTHONPATH=gen python3 client.py list 127.0.0.1 6627
    PYTHONPATH=gen python3 client.py kill 127.0.0.1 6627 words
    PYTHONPATH=gen python3 client.py drpc 127.0.0.1 3772 FUNCTION ARGUMENT

The jar is any zip file: components in other languages run in its folder resources/.
"""

import json
import os
import sys

from storm import DistributedRPC, Nimbus
from storm.ttypes import (
    Bolt,
    ComponentCommon,
    ComponentObject,
    GlobalStreamId,
    Grouping,
    JavaObject,
    JavaObjectArg,
    KillOptions,
    NullStruct,
    ShellComponent,
    SpoutSpec,
    StormTopology,
    StreamInfo,
)
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport.TSocket import TSocket
from thrift.transport.TTransport import TFramedTransport

CHUNK_BYTES = 307_200  # what Storm's own clients send at once; the server takes up to its frame size

# The inputs of a component are a dict whose keys are structs, and the compiler writes classes that
# cannot be keys: they compare by value and have no hash.
GlobalStreamId.__hash__ = lambda self: hash((self.componentId, self.streamId))


def connect(service, host, port):
    """A client of Nimbus or DistributedRPC. Both speak the binary protocol in frames."""
    socket = TSocket(host, int(port))
    socket.setTimeout(30_000)  # milliseconds; without it a call waits for ever
    transport = TFramedTransport(socket)
    transport.open()
    return service.Client(TBinaryProtocol(transport))


def upload(nimbus, jar):
    """Sends a file chunk by chunk; returns where Nimbus keeps it."""
    location = nimbus.beginFileUpload()
    with open(jar, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            nimbus.uploadChunk(location, chunk)
    nimbus.finishFileUpload(location)
    print(f"uploaded {os.path.getsize(jar)} bytes to {location}")
    return location


def python(script):
    """A component that runs in a process of its own: python3 and a script of the jar's resources/."""
    return ComponentObject(shell=ShellComponent("python3", script))


def built_in(name, *texts):
    """A component of the server, by its class name, with arguments for its constructor."""
    return ComponentObject(
        java_object=JavaObject(name, [JavaObjectArg(string_arg=text) for text in texts])
    )


def common(inputs, fields, parallelism=1):
    """What a component reads, by the id of the component that emits it; and the fields it emits."""
    return ComponentCommon(
        inputs={GlobalStreamId(id, "default"): grouping for id, grouping in inputs.items()},
        streams={"default": StreamInfo(output_fields=fields, direct=False)},
        parallelism_hint=parallelism,
    )


def word_count(totals):
    """lines.py -> split.py, two of them -> a counter, which writes files that begin with `totals`."""
    lines = common({}, ["number", "line"])
    # A spout may have further streams; lines.py reports on one of its own when all is done.
    lines.streams["done"] = StreamInfo(output_fields=["lines", "replays"], direct=False)
    split = common({"lines": Grouping(shuffle=NullStruct())}, ["word", "number", "position"], 2)
    count = common({"split": Grouping(fields=["word"])}, ["word", "count"])
    return StormTopology(
        spouts={"lines": SpoutSpec(python("lines.py"), lines)},
        bolts={
            "split": Bolt(python("split.py"), split),
            "count": Bolt(built_in("stormwire.CountOnce", totals), count),
        },
        state_spouts={},
    )


def submit(host, port, name, jar, text, totals):
    nimbus = connect(Nimbus, host, port)
    location = upload(nimbus, jar)
    conf = json.dumps({"topology.workers": 1, "words.file": text})
    nimbus.submitTopology(name, location, conf, word_count(totals))
    print(f"submitted {name}")


def list_all(host, port):
    nimbus = connect(Nimbus, host, port)
    cluster = nimbus.getClusterInfo()
    print(f"storm {cluster.nimbuses[0].version}, {len(cluster.supervisors)} supervisors")
    for each in nimbus.getTopologySummaries():
        print(f"{each.name}\t{each.status}\t{each.id}")


def kill(host, port, name):
    connect(Nimbus, host, port).killTopologyWithOpts(name, KillOptions(wait_secs=1))
    print(f"killed {name}")


def drpc(host, port, function, argument):
    print(connect(DistributedRPC, host, port).execute(function, argument))


def main():
    verbs = {"submit": submit, "list": list_all, "kill": kill, "drpc": drpc}
    try:
        verbs[sys.argv[1]](*sys.argv[2:])
    except (IndexError, KeyError, TypeError):
        sys.exit(__doc__)
    except TException as error:
        # Storm's own exceptions, such as NotAliveException, carry their reason in msg.
        if not hasattr(error, "msg"):
            raise
        print(f"{type(error).__name__}: {error.msg}", file=sys.stderr)
        sys.exit(3)


if __name__ == "__main__":
    main()
