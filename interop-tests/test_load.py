"""Connections and load on every port of the daemons and of a worker: rows E1 to E9 of the catalogue.

Each test prints its figure. Times are shown, not judged beyond what a waiting person would: the
machine that runs this may be busy.
"""

import os
import random
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

import doors
import functions
import peers
from cluster import Cluster, eventually
from doors import micros
from figures import figure
from wire import STRING, STRUCT, Raw, call, decode, field, frame, text

# On Nimbus's port; a fifth of it on each other one.
IDLE_CONNECTIONS = 10_000
SILENT_CONNECTIONS = 1000
STORM_CLIENTS = 500
CALLS = 200
# What a process may grow by for each connection that only idles, in bytes.
BYTES_PER_CONNECTION_MAX = 64 << 10


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """The doors of a cluster that only these tests touch. At the end it must still stop cleanly."""
    directory = tmp_path_factory.mktemp("load")
    with Cluster(directory, slots=2) as cluster:
        with doors.open_doors(cluster, directory / "out") as open_ones:
            yield open_ones
        cluster.stop()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("port", doors.ALL)
def test_idle_connections_slow_nobody(target, port):
    """E1: the surplus is closed, descriptors are bounded, calls go on."""
    count = IDLE_CONNECTIONS if port == "nimbus" else IDLE_CONNECTIONS // 5
    before = target.ordinary(port, CALLS)
    before_mb, before_fds = target.memory_mb(port), descriptors(target.pid(port))
    with ExitStack() as idle:
        idle.enter_context(doors.files_allowed(IDLE_CONNECTIONS + 1000))
        for _ in range(count):
            made = socket.create_connection(target.address(port), timeout=10)
            idle.enter_context(closing(made))
        n_held = descriptors(target.pid(port)) - before_fds
        grown_mb = target.memory_mb(port) - before_mb
        during = target.ordinary(port, CALLS)
        assert n_held < 5000, "idle connections are not bounded"
        assert grown_mb * (1 << 20) < BYTES_PER_CONNECTION_MAX * max(n_held, 1000)
    eventually("descriptors are free", lambda: descriptors(target.pid(port)) < before_fds + 50)
    figure(
        "E1",
        f"{port}: {count} idle connections, {n_held} held, "
        f"{max(grown_mb, 0) * 1024 / max(n_held, 1):.1f} KiB each; p99 of a call {micros(before)} "
        f"before, {micros(during)} during",
    )


SLOW = {
    "a frame, a byte a second": (b"\0\0\0\x64", b"\x80"),
    "a head, a byte a second": (b"GET /drpc/f HTTP/1.1\r\nx: ", b"y"),
}


def test_who_is_slow_is_cut_and_others_are_served(tmp_path_factory):
    """E2, E4: a byte a second on every port, and a page that is asked for and never read: closed at
    the deadline, while everybody else is served and memory stays.
    """
    directory = tmp_path_factory.mktemp("slow")
    with Cluster(directory, slots=2) as cluster:
        with doors.open_doors(cluster, directory / "out") as target:
            measure_slow_ones(target)


def measure_slow_ones(target):
    page = frame(
        call(
            "getTopologyPageInfo",
            field(STRING, 1, text(target.worker.topology))
            + field(STRING, 2, text(":all-time"))
            + field(2, 3, b"\1"),
        )
    )
    before_mb = target.memory_mb("nimbus")
    others = {port: [] for port in doors.THRIFT}
    with ThreadPoolExecutor(32) as pool:
        slow = {}
        for port in doors.ALL:
            opening, byte = SLOW["a head, a byte a second" if port == doors.WEB else next(iter(SLOW))]
            slow[port] = pool.submit(doors.closed_after, target.address(port), opening, byte)
        # Half a gigabyte of replies, if the server were to make them.
        unread = [
            pool.submit(doors.closed_after, target.address("nimbus"), page * 5000, page)
            for _ in range(8)
        ]
        peak_mb = 0
        while not all(each.done() for each in [*slow.values(), *unread]):
            for port in others:
                others[port] += target.ordinary(port, 5)
            peak_mb = max(peak_mb, target.memory_mb("nimbus"))
            time.sleep(0.2)
    for port in doors.ALL:
        took = slow[port].result()
        assert took is not None, f"{port} kept a slow sender for over a minute"
        served = f"; p99 of others {micros(others[port])}" if port in others else ""
        figure("E2", f"{port}: a byte a second, closed after {took:.1f} s{served}")
    took = [each.result() for each in unread]
    assert None not in took, "replies that nobody reads were kept for over a minute"
    assert peak_mb < before_mb + 64
    figure(
        "E4",
        f"nimbus: {len(took)} clients that read none of 5000 getTopologyPageInfo, closed after "
        f"{max(took):.1f} s at most; {peak_mb - before_mb:.1f} MB more, p99 of others "
        f"{micros(others['nimbus'])}",
    )
    target.check()


@pytest.mark.parametrize("port", doors.ALL)
def test_announced_bytes_cost_nothing_before_they_come(target, port):
    """E3: 1 MiB, then 2 GiB, a thousand times each."""
    before_mb, times = target.memory_mb(port), []
    with ExitStack() as silent:
        silent.enter_context(doors.files_allowed(3 * SILENT_CONNECTIONS))
        for announced in [1 << 20, (2 << 30) - 1]:
            for _ in range(SILENT_CONNECTIONS):
                raw = silent.enter_context(closing(Raw(target.address(port))))
                raw.send(doors.patience(port, announced))
            times += target.ordinary(port, CALLS)
        grown_mb = target.memory_mb(port) - before_mb
    assert grown_mb < BYTES_PER_CONNECTION_MAX * 2 * SILENT_CONNECTIONS / (1 << 20)

    figure(
        "E3",
        f"{port}: {2 * SILENT_CONNECTIONS} announcements of 1 MiB and 2 GiB, {grown_mb:.1f} MB more; "
        f"p99 of others {micros(times)}",
    )


GARBAGE = {
    "HTTP": b"GET /api/v1/cluster/summary HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "half of HTTP": b"GET\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(193),
    "words": b"Hello\n",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "all bytes": bytes(range(256)) * 64,
    "1 byte": b"\0",
    "a login that is none": b"\1" + struct.pack(">I", 6) + b"GSSAPI",
    **{f"random {seed}": random.Random(seed).randbytes(1 << 10) for seed in range(20)},
}


def test_garbage_on_every_port_is_closed(target):
    """E5: closed, hardly a line in the log, the process lives."""
    n_passed = 0
    log_lines = len(target.cluster.log.read_text().splitlines())
    for port in doors.ALL:
        for name, data in GARBAGE.items():
            if port == doors.WEB and name == "HTTP":
                continue  # no garbage there
            with closing(Raw(target.address(port), timeout_secs=20)) as raw:
                raw.send(data).no_more()
                n_received = 0
                while received := raw.receive(65536):
                    n_received += len(received)
            # HTTP and links say why before they close; Thrift has no words for it.
            assert n_received <= 1000, (port, name)
            n_passed += 1
    target.check()
    n_lines = len(target.cluster.log.read_text().splitlines()) - log_lines
    assert n_lines <= n_passed, "more than a line for each"
    figure("E5", f"{len(doors.ALL)} ports, {n_passed} inputs closed, {n_lines} log lines of daemons")


def test_a_daemon_without_descriptors_recovers(own_cluster):
    """E6: a limit of 256 files, 600 connections; the accept loop lives and serves again."""
    cluster = own_cluster(slots=1, descriptors_max=256)
    with ExitStack() as held:
        held.enter_context(doors.files_allowed(2000))
        for _ in range(600):
            raw = held.enter_context(closing(Raw(cluster.nimbus, timeout_secs=2)))
            raw.send(frame(call("getLeader")))
        assert descriptors(cluster.pid) <= 256
        assert cluster.process.poll() is None
    freed = time.monotonic()
    eventually("it serves again", lambda: answers(cluster.nimbus))
    figure(
        "E6", f"served {(time.monotonic() - freed) * 1000:.0f} ms after the descriptors were free"
    )
    cluster.stop()


def answers(address):
    with peers.ThriftPy2().connect(address, timeout_secs=2) as nimbus:
        return nimbus.getLeader().isLeader


N_NAMES = 1_000_000 if os.environ.get("STORMWIRE_LONG") else 200_000
N_LEFT = N_NAMES // 100


def test_a_million_names_leave_no_trace(target):
    """E7: names that are fetched, and calls whose clients leave: memory stays, and a call still
    finds its function.
    """
    before_mb = target.memory_mb("drpc")
    started = time.monotonic()
    fetch_names("before", N_NAMES // 10, target)
    calls_that_leave("before", N_LEFT // 10, target)
    warm_mb = target.memory_mb("drpc")
    fetch_names("name", N_NAMES, target)
    calls_that_leave("name", N_LEFT, target)
    grown_mb = target.memory_mb("drpc") - warm_mb
    assert grown_mb < 16 and warm_mb - before_mb < 48
    with functions.spout(target.address("drpc-invocations")) as invocations:
        waiting = functions.Call(target.address("drpc"), "alive", "x")
        request = eventually("fetched", lambda: fetched(invocations, "alive"))
        invocations.result(request.request_id, "yes")
        assert waiting.outcome() == "yes"
    figure(
        "E7",
        f"{N_NAMES:,} names fetched and {N_LEFT:,} called by clients that leave, in "
        f"{time.monotonic() - started:.0f} s: {grown_mb * 1024 * 1024 / N_NAMES:.1f} bytes a name",
    )


def fetched(invocations, function):
    request = invocations.fetchRequest(function)
    return request if request.request_id else None


def fetch_names(prefix, count, target, together=2000):
    """fetchRequest of so many names, none of them known, without waiting for each reply."""
    with closing(Raw(target.address("drpc-invocations"), timeout_secs=30)) as raw:
        for start in range(0, count, together):
            names = (f"{prefix}-{n}-{'x' * 50}" for n in range(start, start + together))
            raw.send(
                b"".join(frame(call("fetchRequest", field(STRING, 1, text(name)))) for name in names)
            )
            if start == 0:
                first = raw.payload()
                assert raw.payload() == first
                reply_bytes, done = len(frame(first)), 2
            else:
                done = 0
            raw.skip(reply_bytes * (together - done))


def calls_that_leave(prefix, count, target):
    for n in range(count):
        arguments = field(STRING, 1, text(f"{prefix}-{n}")) + field(STRING, 2, text("x"))
        with socket.create_connection(target.address("drpc"), timeout=10) as leaving:
            leaving.sendall(frame(call("execute", arguments)))


N_SESSIONS = 10_000


def test_abandoned_sessions_leave_no_byte(own_cluster):
    """E8: uploads and downloads of blobs and jars that nobody ends."""
    settings = {"nimbus.blobstore.expiration.secs": 8, "nimbus.file.copy.expiration.secs": 8}
    cluster = own_cluster(slots=1, settings=settings)
    stores = [cluster.local / "blobs", cluster.local / "nimbus"]
    with peers.ThriftPy2().connect(cluster.nimbus) as nimbus:
        session = nimbus.beginCreateBlob("kept", peers.storm.SettableBlobMeta(acl=[]))
        nimbus.uploadBlobChunk(session, b"k" * 200_000)
        nimbus.finishBlobUpload(session)
        before = eventually("all is written", lambda: stored_bytes(stores))
        abandoned = begun(cluster.nimbus, N_SESSIONS // 2)
        for _ in range(100):
            nimbus.uploadChunk(nimbus.beginFileUpload(), b"j" * 10_000)
        most = stored_bytes(stores) - before
        n_open = descriptors(cluster.pid)
        assert most > 1_000_000, "some had reached the disk"
        assert n_open < 300
        eventually("they are gone", lambda: stored_bytes(stores) == before)
        with pytest.raises(peers.ThriftPy2.ApplicationException):
            nimbus.uploadBlobChunk(abandoned, b"x")
        left = stored_bytes(stores) - before
    figure(
        "E8",
        f"{N_SESSIONS + 100:,} sessions of uploads and downloads abandoned: {most:,} bytes at most, "
        f"{n_open} descriptors, {left} bytes left over",
    )
    cluster.stop()


def begun(nimbus, count):
    """Begins so many uploads and downloads of blobs, some with bytes; one session's id."""
    meta = field(STRUCT, 2, peers.to_bytes(peers.storm.SettableBlobMeta(acl=[])))
    with closing(Raw(nimbus, timeout_secs=30)) as raw:
        for start in range(0, count, 500):
            numbers = range(start, start + 500)
            uploads = (field(STRING, 1, text(f"abandoned-{n}")) + meta for n in numbers)
            replies = raw.pipeline(call("beginCreateBlob", each) for each in uploads)
            sessions = [decode(reply)[3][0] for reply in replies]
            chunks = (b"x" * (10_000 if n % 10 == 0 else 10) for n in numbers)
            raw.pipeline(
                call("uploadBlobChunk", field(STRING, 1, text(session)) + field(STRING, 2, text(chunk)))
                for session, chunk in zip(sessions, chunks)
            )
            kept = field(STRING, 1, text("kept"))
            raw.pipeline(call("beginBlobDownload", kept) for _ in numbers)
    return sessions[-1]


def stored_bytes(directories):
    """Bytes of files below; what vanishes meanwhile counts nothing."""
    total = 0
    for directory in directories:
        for path in directory.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:
                pass
    return total


def test_a_storm_of_clients_is_served(own_cluster):
    """E9: 500 clients that come at once each get their answer."""
    cluster = own_cluster(slots=1)
    started = time.monotonic()
    with ThreadPoolExecutor(STORM_CLIENTS) as pool:
        served = list(pool.map(lambda _: answers(cluster.nimbus), range(STORM_CLIENTS)))
    taken = time.monotonic() - started
    assert served == [True] * STORM_CLIENTS
    figure("E9", f"{STORM_CLIENTS} clients at once, the last served after {taken:.1f} s")
