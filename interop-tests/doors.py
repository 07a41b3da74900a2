"""Every port of a running cluster that a stranger can reach, with an ordinary call to each.

The worker's is a link's: nobody but another worker of the topology has anything to say there.
"""

import resource
import select
import struct
import time
from contextlib import closing, contextmanager

import pytest

import functions
import peers
from cluster import eventually, messages
from topologies import Builder, arrive, pulse, pulse_files, running
from wire import Raw

THRIFT = ["nimbus", "coordination", "supervisor", "drpc", "drpc-invocations"]
WEB, WORKER = "drpc-http", "worker"
ALL = [*THRIFT, WEB, WORKER]

# What each service is asked to see whether it lives.
_CALLS = {
    "nimbus": (peers.storm.Nimbus, "getLeader", ()),
    "supervisor": (peers.storm.Supervisor, "getLocalAssignmentForStorm", ("nobody",)),
    "coordination": (messages.Coordination, "readBlob", ("nobody", 0, 10)),
    # A name that no function can have is refused at once.
    "drpc": (peers.storm.DistributedRPC, "execute", ("n" * 20_000, "")),
    "drpc-invocations": (peers.storm.DistributedRPCInvocations, "fetchRequest", ("nobody",)),
}


class Doors:
    """The ports of a cluster on which one topology runs: `out` grows while its worker lives."""

    def __init__(self, cluster, worker, out):
        self.cluster, self.worker, self.out = cluster, worker, out

    def address(self, port):
        if port == WORKER:
            return (self.cluster.nimbus[0], self.worker.port)
        return self.cluster.addresses[port]

    def pid(self, port):
        return self.worker.pid if port == WORKER else self.cluster.pid

    def memory_mb(self, port):
        return self.cluster.memory_mb(self.pid(port))

    def ordinary(self, port, count=1):
        """Seconds that each of so many ordinary calls takes, on one connection."""
        if port == WORKER:
            return [self._arrival() for _ in range(min(count, 3))]
        if port == WEB:
            return [self._page() for _ in range(count)]
        service, method, arguments = _CALLS[port]
        times = []
        with peers.ThriftPy2(service).connect(self.address(port)) as client:
            for _ in range(count):
                started = time.monotonic()
                try:
                    getattr(client, method)(*arguments)
                except (peers.storm.NotAliveException, peers.storm.DRPCExecutionException):
                    pass
                except messages.storm.KeyNotFoundException:
                    pass
                times.append(time.monotonic() - started)
        return times

    def _arrival(self):
        started = time.monotonic()
        arrive(self.out, count=1)
        return time.monotonic() - started

    def _page(self):
        started = time.monotonic()
        assert functions.get(self.address(WEB), "f", method="PUT")[0] == 405
        return time.monotonic() - started

    def check(self):
        """All ports serve, and the worker is the same process."""
        for port in ALL:
            self.ordinary(port)
        assert self.cluster.process.poll() is None
        assert self.cluster.workers(self.worker.topology) == [self.worker]


@contextmanager
def open_doors(cluster, out):
    """The doors of a cluster that runs; a small topology is submitted for the worker's."""
    peer = peers.ThriftPy2()
    with peer.connect(cluster.nimbus) as nimbus:
        topology = pulse(Builder(peer.types), out)
        with running(peer, nimbus, "doors", topology, pulse_files()) as id:
            arrive(out)
            (worker,) = cluster.workers(id)
            yield Doors(cluster, worker, out)


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def micros(times):
    """The p99 of some seconds, as a text."""
    return f"{percentile(times, 99) * 1e6:,.0f} us"


def patience(port, number):
    """What begins a message of so many bytes on a port, the bytes themselves not."""
    if port == WEB:
        return f"POST /drpc/f HTTP/1.1\r\nhost: x\r\ncontent-length: {number}\r\n\r\n".encode()
    return struct.pack(">I", number)


def closed_after(address, opening, trickle, seconds=75):
    """Sends an opening, then a byte each second (`trickle`), and reads nothing. Seconds until the
    server closes; None when it never does.
    """
    started = time.monotonic()
    with closing(Raw(address, timeout_secs=5)) as raw:
        end = select.poll()
        end.register(raw.socket, select.POLLRDHUP)
        raw.socket.settimeout(0.5)
        raw.send(opening)
        while time.monotonic() < started + seconds:
            if end.poll(1000):
                return time.monotonic() - started
            try:
                raw.send(trickle)
            except TimeoutError:
                pass  # the server reads no more
    return None


@contextmanager
def files_allowed(wanted):
    """This process may hold so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.fail(f"this user may open {hard} files; the test needs {wanted} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def peak_mb(pid):
    """Most memory that a process was resident with since `forget_peak`."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def settles(doors, port, before_mb, allowed_mb):
    """Waits until a process is back at what it had, and a little."""
    eventually(
        f"{port} is back at {before_mb:.0f} MB",
        lambda: doors.memory_mb(port) < before_mb + allowed_mb,
        seconds=10,
    )
