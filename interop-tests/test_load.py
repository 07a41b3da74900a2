"""Many connections: ten thousand that idle, a daemon out of descriptors, a storm of clients.

Each test prints its figure (`pytest -s` or the report shows it). Times are shown, not judged beyond
what a waiting person would: the machine that runs this may be busy.
"""

import os
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

import peers
from cluster import eventually
from wire import Raw, call, frame

IDLE_CONNECTIONS = 10_000
STORM_CLIENTS = 500
CALLS = 200
# What the daemon may grow by for each connection that only idles, in bytes.
BYTES_PER_CONNECTION_MAX = 64 << 10


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def call_times(address):
    """Seconds that each of `CALLS` ordinary calls takes, on one connection."""
    times = []
    with peers.ThriftPy2().connect(address) as nimbus:
        for _ in range(CALLS):
            started = time.monotonic()
            assert nimbus.getLeader().isLeader
            times.append(time.monotonic() - started)
    return times


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.fixture
def many_files():
    """This process may hold as many sockets as the test needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE_CONNECTIONS + 1000
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.fail(f"this user may open {hard} files; the test needs {wanted} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_idle_connections_slow_nobody(own_cluster, many_files):
    """E1: the surplus is closed, descriptors are bounded, calls go on."""
    cluster = own_cluster(slots=1)
    before = call_times(cluster.nimbus)
    before_mb, before_fds = cluster.memory_mb(), descriptors(cluster.pid)
    with ExitStack() as idle:
        for _ in range(IDLE_CONNECTIONS):
            idle.enter_context(closing(socket.create_connection(cluster.nimbus, timeout=10)))
        n_held = descriptors(cluster.pid) - before_fds
        grown_mb = cluster.memory_mb() - before_mb
        during = call_times(cluster.nimbus)
        assert n_held < 5000, "idle connections are not bounded"
        assert grown_mb * (1 << 20) < BYTES_PER_CONNECTION_MAX * max(n_held, 1000)
        assert max(during) < 2
    eventually("the descriptors are free", lambda: descriptors(cluster.pid) < before_fds + 50)
    print(
        f"E1: {IDLE_CONNECTIONS} idle connections: {n_held} held, {grown_mb:.1f} MB more, p99 of a "
        f"call {percentile(before, 99) * 1e6:.0f} us before, {percentile(during, 99) * 1e6:.0f} us "
        "during"
    )


def test_a_daemon_without_descriptors_recovers(own_cluster, many_files):
    """E6: a limit of 256 files, 600 connections; the accept loop lives and serves again."""
    cluster = own_cluster(slots=1, descriptors_max=256)
    with ExitStack() as held:
        for _ in range(600):
            raw = held.enter_context(closing(Raw(cluster.nimbus, timeout_secs=2)))
            raw.send(frame(call("getLeader")))
        assert descriptors(cluster.pid) <= 256
        assert cluster.process.poll() is None
    freed = time.monotonic()
    eventually("it serves again", lambda: answers(cluster.nimbus))
    print(f"E6: served {(time.monotonic() - freed) * 1000:.0f} ms after the descriptors were free")
    cluster.stop()


def answers(address):
    with peers.ThriftPy2().connect(address, timeout_secs=2) as nimbus:
        return nimbus.getLeader().isLeader


def test_a_storm_of_clients_is_served(own_cluster):
    """E9: 500 clients that come at once each get their answer."""
    cluster = own_cluster(slots=1)
    started = time.monotonic()
    with ThreadPoolExecutor(STORM_CLIENTS) as pool:
        served = list(pool.map(lambda _: answers(cluster.nimbus), range(STORM_CLIENTS)))
    taken = time.monotonic() - started
    assert served == [True] * STORM_CLIENTS
    print(f"E9: {STORM_CLIENTS} clients at once, the last served after {taken:.1f} s")
