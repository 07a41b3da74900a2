"""Bytes that no client sends: to each Thrift port of a cluster, which then answers as before.

What every one of these tests promises beside its own: `dev` lives, the port answers an ordinary
call at once, and the process has not grown beyond what one frame may cost.
"""

import os
import random
import re
import resource
import select
import struct
import time
from contextlib import ExitStack, closing

import pytest

import doors
import peers
import wire
from cluster import Cluster, eventually, messages
from figures import figure
from topologies import Builder, arrive, pulse, pulse_files, running, words
from wire import (
    BOOL,
    I32,
    LIST,
    MAP,
    SET,
    STRING,
    STRUCT,
    Raw,
    application_exception,
    call,
    exchange,
    field,
    frame,
    text,
)

FRAME_BYTES_MAX = 16_384_000
# What the process may grow by in a test, in MB: two of the largest frames, and slack.
GROWTH_MB_MAX = 64
PORTS = ["nimbus", "coordination", "supervisor", "drpc", "drpc-invocations"]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A cluster that only these tests touch. After all of them it must still stop cleanly."""
    with Cluster(tmp_path_factory.mktemp("hostile"), slots=2) as cluster:
        yield cluster
        cluster.stop()


@pytest.fixture(params=PORTS)
def port(request, target):
    """Each port in turn; afterwards it serves, and the process has not grown."""
    address = target.addresses[request.param]
    check_serves(target)
    before_mb = target.memory_mb()
    yield address
    check_serves(target)
    eventually(
        f"no more than {GROWTH_MB_MAX} MB above {before_mb:.0f}",
        lambda: target.memory_mb() < before_mb + GROWTH_MB_MAX,
        seconds=5,
    )


def check_serves(target, within_secs=10):
    """An ordinary call to each service, each over a connection of its own."""
    started = time.monotonic()
    with peers.ThriftPy2().connect(target.addresses["nimbus"]) as nimbus:
        assert nimbus.getLeader().isLeader
    with peers.ThriftPy2(peers.storm.Supervisor).connect(
        target.addresses["supervisor"]
    ) as supervisor:
        with pytest.raises(peers.storm.NotAliveException):
            supervisor.getLocalAssignmentForStorm("nobody")
    coordination = peers.ThriftPy2(messages.Coordination)
    with coordination.connect(target.addresses["coordination"]) as daemon:
        with pytest.raises(messages.storm.KeyNotFoundException):
            daemon.readBlob("nobody", 0, 10)
    invocations = peers.ThriftPy2(peers.storm.DistributedRPCInvocations)
    with invocations.connect(target.addresses["drpc-invocations"]) as spout:
        assert spout.fetchRequest("nobody").request_id == ""
    with closing(Raw(target.addresses["drpc-http"], within_secs)) as http:
        http.send(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert http.receive(12) == b"HTTP/1.1 404"
    taken = time.monotonic() - started
    assert taken < within_secs, f"five calls took {taken:.1f} s"


# ---- Frames and headers --------------------------------------------------------------------------

GOOD = call("getLeader")
CLOSED = {
    "length 0": struct.pack(">i", 0),
    "length -1": struct.pack(">i", -1) + GOOD,
    "length of the smallest integer": struct.pack(">i", -(2**31)),
    "length of the largest integer": struct.pack(">i", 2**31 - 1) + GOOD,
    "length one above the largest frame": struct.pack(">i", FRAME_BYTES_MAX + 1) + GOOD,
    "two of four bytes of a length": b"\0\0",
    "a frame that ends before its length": struct.pack(">i", len(GOOD) + 100) + GOOD,
    "an announced megabyte that never comes": struct.pack(">i", 1 << 20),
    "a frame of three bytes": frame(b"\x80\x01\x00"),
    "a frame that ends in the header": frame(GOOD[:9]),
    "a frame without the last stop": frame(GOOD[:-1]),
    "another protocol version": frame(struct.pack(">I", 0x8002_0001) + GOOD[4:]),
    "a method name longer than the frame": frame(GOOD[:4] + struct.pack(">i", 1 << 30) + GOOD[8:]),
    "a text longer than the frame": frame(
        call("getTopologyInfo", field(STRING, 1, struct.pack(">i", 1 << 30)))
    ),
    "no frame at all": GOOD,
    "HTTP": b"GET /api/v1/cluster/summary HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(193),
    "words": b"Hello\n",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
}


@pytest.mark.parametrize("data", CLOSED.values(), ids=CLOSED)
def test_what_is_no_message_is_closed_without_a_reply(port, data):
    assert exchange(port, data) is None


def test_random_bytes_are_closed(port):
    for seed in range(200):
        noise = random.Random(seed)
        data = noise.randbytes(noise.randrange(1, 2000))
        assert exchange(port, data) is None, seed
        # A good frame around the noise.
        reply = exchange(port, frame(data))
        assert reply is None or reply[0] == wire.EXCEPTION, seed


UNREADABLE = {
    "a negative text": (field(STRING, 1, struct.pack(">i", -1)), "Negative length: -1"),
    "a type that is none": (field(17, 1, b""), "Unrecognized type 17"),
    "a negative list": (field(LIST, 9, struct.pack(">bi", STRING, -2)), ""),
    "a list of more than is there": (field(LIST, 9, struct.pack(">bi", I32, 2**31 - 1)), ""),
    "a list of nothings": (field(LIST, 9, struct.pack(">bi", 0, 2**31 - 1)), ""),
    "a set of more than is there": (field(SET, 9, struct.pack(">bi", BOOL, 2**31 - 1)), ""),
    "a map of more than is there": (
        field(MAP, 9, struct.pack(">bbi", STRING, STRUCT, 2**31 - 1)),
        "",
    ),
}


@pytest.mark.parametrize("arguments, told", UNREADABLE.values(), ids=UNREADABLE)
def test_arguments_that_cannot_be_read_are_a_protocol_error(target, port, arguments, told):
    reply = exchange(port, frame(call(method_of(target, port), arguments)))
    # Storm answers where the message is whole and closes where it is not.
    if reply is not None or told:
        code, message = application_exception(reply)
        assert code == 7 and told in message


def method_of(target, port):
    """A method whose first argument is a text, of the service behind a port."""
    methods = {
        "nimbus": "getTopologyInfo",
        "coordination": "readBlob",
        "supervisor": "getLocalAssignmentForStorm",
        "drpc": "execute",
        "drpc-invocations": "fetchRequest",
    }
    (name,) = [methods[each] for each in PORTS if target.addresses[each] == port]
    return name


NESTED = {
    "structs": field(STRUCT, 9, b""),
    "lists": struct.pack(">bi", LIST, 1),
    "sets": struct.pack(">bi", SET, 1),
    "maps": struct.pack(">bbi", MAP, MAP, 1),
}


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("kind", NESTED)
def test_nesting_bombs_are_refused(target, port, kind, depth):
    head = (
        b"" if kind == "structs" else field({"lists": LIST, "sets": SET, "maps": MAP}[kind], 9, b"")
    )
    bomb = frame(call(method_of(target, port), head + NESTED[kind] * depth))
    reply = exchange(port, bomb)
    assert reply is None or application_exception(reply)[0] in (6, 7)


def test_an_unknown_method_says_its_name_however_it_is_spelled(port):
    for name in ("noSuchCall", "", "größer", "x" * 10_000):
        code, message = application_exception(exchange(port, frame(call(name))))
        assert code == 1 and message.startswith(f"Invalid method name: '{name[:1000]}")
    code, _ = application_exception(exchange(port, frame(call(b"\xff\xfe\0"))))
    assert code == 1


def test_a_workers_port_closes_on_what_is_no_link(target, tmp_path):
    """Links between workers have frames of their own; the topology must not notice."""
    out = tmp_path / "out"
    peer = peers.ThriftPy2()
    with peer.connect(target.nimbus) as nimbus:
        topology = pulse(Builder(peer.types), out)
        with running(peer, nimbus, "linked", topology, pulse_files()) as id:
            arrive(out)
            (worker,) = target.workers(id)
            before_mb = target.memory_mb(worker.pid)
            address = (target.nimbus[0], worker.port)
            for name, data in CLOSED.items():
                assert refused_link(address, data), name
            for seed in range(100):
                noise = random.Random(seed).randbytes(500)
                assert refused_link(address, noise), seed
                assert refused_link(address, frame(noise)), seed
            arrive(out)
            assert target.workers(id) == [worker]
            assert target.memory_mb(worker.pid) < before_mb + GROWTH_MB_MAX


def refused_link(address, data):
    """Whether a worker ends a link that begins like this; it may say why first."""
    with closing(Raw(address)) as raw:
        raw.send(data).no_more()
        while received := raw.receive(1000):
            assert len(received) <= 1000
        return True


# ---- Damaged submissions -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    """The payload of a submission that is refused for the `/` in its name if it is whole."""
    directory = tmp_path_factory.mktemp("submission")
    topology = words(Builder(peers.storm), directory / "totals", directory / "done").topology
    topology.worker_hooks = [b"hook"]
    topology.dependency_jars = ["dep-a.jar", "dep-b.jar"]
    topology.component_to_shared_memory = {"split": {"one", "two"}}
    topology.shared_memory = {"one": peers.storm.SharedMemory(name="one", on_heap=1.5)}
    topology.bolts["split"].common.inputs.update(
        {
            peers.storm.GlobalStreamId(componentId="lines", streamId="done"): peers.storm.Grouping(
                custom_object=peers.storm.JavaObject(
                    full_class_name="x",
                    args_list=[
                        peers.storm.JavaObjectArg(double_arg=1.0),
                        peers.storm.JavaObjectArg(binary_arg=b"x"),
                    ],
                )
            )
        }
    )
    arguments = peers.storm.Nimbus.submitTopologyWithOpts_args(
        name="not/allowed",
        jsonConf='{"topology.workers": 1}',
        topology=topology,
        options=peers.storm.SubmitOptions(
            initial_status=2, creds=peers.storm.Credentials(creds={"key": "value"})
        ),
    )
    return call("submitTopologyWithOpts", peers.to_bytes(arguments)[:-1])


def test_every_length_of_a_submission_may_lie(target, submission):
    lengths, _ = wire.walk(submission)
    assert len(lengths) > 70
    before_mb = target.memory_mb()
    doors.forget_peak(target.pid)
    for offset in lengths:
        for lie in (-1, -(2**31), 2**31 - 1, len(submission) + 1, 1 << 24):
            damaged = submission[:offset] + struct.pack(">i", lie) + submission[offset + 4 :]
            reply = exchange(target.nimbus, frame(damaged))
            assert reply is None or reply[0] == wire.EXCEPTION, (offset, lie)
    check_serves(target)
    peak_mb = doors.peak_mb(target.pid) - before_mb
    # Twice the frame, which is small, and what any call costs.
    assert peak_mb < 2 * len(submission) / (1 << 20) + 16
    figure(
        "F2",
        f"nimbus: {len(lengths)} lengths of a submission x 5 lies refused, peak {peak_mb:.1f} MB more",
    )


def test_every_type_of_a_submission_may_be_wrong(target, submission):
    _, types = wire.walk(submission)
    assert len(types) > 150
    for offset in types:
        for type in {0, 1, 3, 5, STRING, STRUCT, MAP, LIST, 17, 255} - {submission[offset]}:
            damaged = submission[:offset] + bytes([type]) + submission[offset + 1 :]
            reply = exchange(target.nimbus, frame(damaged))
            # Where the damage leaves a readable message, the name refuses it: no way to a success.
            assert reply is None or reply[0] == wire.EXCEPTION or is_refusal(reply), (offset, type)
    check_serves(target)


def is_refusal(reply):
    """Whether the reply's result struct holds a declared exception: any field but 0."""
    kind, _, rest = reply
    return kind == wire.REPLY and rest[0] == STRUCT and struct.unpack(">h", rest[1:3])[0] != 0


def test_a_submission_may_end_anywhere(target, submission):
    assert is_refusal(exchange(target.nimbus, frame(submission)))
    for end in range(len(submission) - 1):
        reply = exchange(target.nimbus, frame(submission[:end]))
        assert reply is None or reply[0] == wire.EXCEPTION, end
    check_serves(target)


# ---- Texts ---------------------------------------------------------------------------------------


def test_invalid_utf8_is_read_and_answered(target):
    for bad in (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"caf\xe9", b"a\0b"):
        reply = exchange(target.nimbus, frame(call("getTopologyInfo", field(STRING, 1, text(bad)))))
        assert is_refusal(reply), reply  # NotAliveException
        arguments = field(STRING, 1, text(bad)) + field(STRING, 3, text(bad))
        reply = exchange(target.nimbus, frame(call("submitTopology", arguments)))
        assert reply[0] == wire.EXCEPTION or is_refusal(reply)


def test_the_longest_name_is_an_ordinary_refusal(target):
    name = b"n" * (FRAME_BYTES_MAX - 100)
    before_mb = target.memory_mb()
    with peers.ThriftPy2().connect(target.nimbus) as nimbus:
        with pytest.raises(peers.storm.NotAliveException) as refused:
            nimbus.getTopologySummaryByName(name.decode())
    assert len(refused.value.msg) < 1 << 15
    check_serves(target)
    eventually("the frame's memory is free", lambda: target.memory_mb() < before_mb + GROWTH_MB_MAX)


# ---- Slow, idle and greedy -----------------------------------------------------------------------


def test_idle_connections_make_room(target):
    """More than a server keeps of those that never made a call: a client still gets its answer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with ExitStack() as idle:
        ends = select.poll()
        for _ in range(700):
            ends.register(idle.enter_context(closing(Raw(target.nimbus))).socket, select.POLLRDHUP)
        check_serves(target)
        eventually("the surplus is closed", lambda: len(ends.poll(0)) >= 700 - 512)
        assert len(ends.poll(0)) < 700
        check_serves(target)


def test_replies_that_nobody_reads_do_not_pile_up(target):
    before_mb = target.memory_mb()
    with closing(Raw(target.nimbus, timeout_secs=2)) as raw:
        try:
            raw.socket.sendall(frame(call("getNimbusConf")) * 20_000)  # half a gigabyte of replies
        except TimeoutError:
            pass  # the server stopped reading: so it should
        check_serves(target)
        assert target.memory_mb() < before_mb + GROWTH_MB_MAX


# ---- Disk ----------------------------------------------------------------------------------------


def test_a_disk_that_is_full_fails_the_call_and_leaves_nothing(own_cluster):
    """A limit on the size of files stands in for the disk: 8 MB, less than the upload."""
    cluster = own_cluster(slots=1, file_bytes_max=8 << 20)
    with peers.ThriftPy2().connect(cluster.nimbus) as nimbus:
        location = nimbus.beginFileUpload()
        with pytest.raises(peers.ThriftPy2.ApplicationException) as refused:
            for _ in range(40):
                nimbus.uploadChunk(location, bytes(307_200))
        assert "could not write" in refused.value.message and location in refused.value.message
        assert not os.path.exists(location)
        with pytest.raises(peers.ThriftPy2.ApplicationException, match="does not exist"):
            nimbus.uploadChunk(location, b"more")
        small = nimbus.beginFileUpload()
        nimbus.uploadChunk(small, b"fits")
        nimbus.finishFileUpload(small)
        assert os.path.getsize(small) == 4
    cluster.stop()


# ---- What the log says of a client that speaks otherwise -----------------------------------------

OTHERS = {
    "half a call": (struct.pack(">i", len(GOOD) + 10) + GOOD, "bytes into a request"),
    "a call that lacks its end": (frame(GOOD[:-1]), "the message ends too early"),
    "a call without a frame": (GOOD, "TFramedTransport"),
    "the compact protocol": (b"\x82\x21\x01\x09getLeader\0", "TBinaryProtocol"),
    "TLS": (CLOSED["TLS"], "connect without it, or to the TLS port"),
    "HTTP": (CLOSED["HTTP"], "the port of HTTP is another"),
}


def test_who_speaks_otherwise_finds_the_cause_in_the_log(own_cluster):
    """Connections are closed without a reply, as Storm does: only the log can say why. A cluster of its
    own, for a log that many fill says only some of it.
    """
    cluster = own_cluster(slots=1)
    for what, (data, told) in OTHERS.items():
        with closing(Raw(cluster.nimbus)) as client:
            port = client.socket.getsockname()[1]
            assert client.send(data).no_more().reply() is None, what
        pattern = re.compile(rf"connection closed .*peer=127\.0\.0\.1:{port} end=(.*)")
        (cause,) = eventually(what, lambda: pattern.findall(cluster.log.read_text()))
        assert told in cause, (what, cause)
