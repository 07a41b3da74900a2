"""A cluster under test: `stormwire dev` as a process, on free ports and a directory of its own.

Starts it, stops it, kills it and looks at its processes. Builds nothing, and judges nothing beyond
one promise that every test relies on: a cluster that is told to stop exits with 0 and leaves no
process behind.
"""

import io
import os
import random
import resource
import signal
import socket
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import thriftpy2
from thrift.transport.TTransport import TTransportException
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.transport import TTransportException as ThriftpyTransportException
from thriftpy2.utils import deserialize

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("STORMWIRE_BIN") or ROOT / "target/release/stormwire")

messages = thriftpy2.load(str(ROOT / "thrift/messages.thrift"), "messages_thrift")
# The part of a WorkerLaunch that tests need; thriftpy2 cannot read the assignment in the rest.
launches = thriftpy2.load_fp(
    io.StringIO("struct Launch { 2: string topology_id, 5: i32 port }"), "launches_thrift"
)

# A worker process: its id at the supervisor, pid, start (with the pid it names a process for good),
# topology id and port.
Worker = namedtuple("Worker", "id pid start_ticks topology port")


# Multiplies how long is waited for what must happen, for slow machines.
PATIENCE = float(os.environ.get("STORMWIRE_PATIENCE") or 1)


class DaemonEndedError(Exception):
    """A daemon did not become ready but ended."""


# Of tests, of sockets, and of both Thrift libraries for Python, whose errors are no OSError.
NOT_YET = (AssertionError, OSError, TTransportException, ThriftpyTransportException)


def eventually(what, probe, seconds=30.0):
    """Calls `probe` until it returns something true, and returns that.

    An assertion or a lost connection in it counts as "not yet".
    """
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        try:
            outcome, error = probe(), None
        except NOT_YET as failure:
            outcome, error = None, failure
        if outcome:
            return outcome
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}; at last {outcome!r}") from error
        time.sleep(0.05)


PORTS_GIVEN = set()


def free_ports(count):
    """Ports of this machine that nobody uses now, and that nobody here was given before.

    Not from those that the kernel hands out by itself: while the owner of one restarts, a daemon
    that asks for any port would get it.
    """
    first_of_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Where it hands out nearly all there are, some of them have to do.
    end = max(first_of_kernel, 20_000)
    sockets = []
    while len(sockets) < count:
        port = random.randrange(10_000, end)
        if port in PORTS_GIVEN:
            continue
        try:
            sockets.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            pass  # taken
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    PORTS_GIVEN.update(ports)
    return ports


def tail(path, lines=60):
    """The end of a text file, all of it for None, or why there is none."""
    try:
        found = path.read_text(errors="replace").splitlines()
        return "\n".join(found[-lines:] if lines else found)
    except OSError as error:
        return f"({error})"


class Cluster:
    """`stormwire dev`. As a context manager it starts on entry; on exit all of it is killed."""

    # Those that were started and not yet killed: their logs are shown beside a failure.
    running = []

    def __init__(
        self,
        directory,
        slots=4,
        settings=None,
        file_bytes_max=None,
        descriptors_max=None,
        command="dev",
    ):
        """`command` may also be a daemon alone: `nimbus` or `supervisor`."""
        self.directory = Path(directory).resolve()
        self.local = self.directory / "local"
        self.slots = free_ports(slots)
        self.settings = {
            "storm.local.dir": str(self.local),
            "supervisor.slots.ports": self.slots,
            "nimbus.thrift.port": 0,
            "stormwire.coordination.port": 0,
            "supervisor.thrift.port": 0,
            "drpc.port": 0,
            "drpc.invocations.port": 0,
            "drpc.http.port": 0,
            "ui.port": 0,
            "logviewer.port": 0,
            **(settings or {}),
        }
        self.limits = {
            resource.RLIMIT_FSIZE: file_bytes_max,
            resource.RLIMIT_NOFILE: descriptors_max,
        }
        self.command = command
        self.process = None
        self.addresses = {}
        self.runs = 0

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.kill_all()
            raise

    def __exit__(self, *_):
        self.kill_all()

    # ---- Life ----------------------------------------------------------------------------------

    def start(self):
        """Starts it and returns when it says that it is ready; then `addresses` names its ports."""
        assert PROGRAM.is_file(), f"{PROGRAM} is missing: cargo build --release"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.runs += 1
        if self not in Cluster.running:
            Cluster.running.append(self)
        settings = [f"-c{key}={self._setting(value)}" for key, value in self.settings.items()]
        environment = {
            **os.environ,
            "STORM_CONF_DIR": str(self.directory),
        }  # no storm.yaml of this machine
        with self.out.open("wb") as out, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [PROGRAM, self.command, *settings],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=self.directory,
                env=environment,
                start_new_session=True,
                preexec_fn=self._limit if any(self.limits.values()) else None,
            )
        eventually(f"`{self.command}` is ready\n{tail(self.log)}", self._is_ready)
        return self

    def _limit(self):
        """In the child: what may not grow further fails with an error and no signal."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for limit, most in self.limits.items():
            if most:
                resource.setrlimit(limit, (most, most))

    def _is_ready(self):
        lines = self.out.read_text().splitlines()
        if "ready" in lines:
            words = [line.split() for line in lines[: lines.index("ready")]]
            self.addresses = {
                line[0]: (line[1].rpartition(":")[0], int(line[1].rpartition(":")[2]))
                for line in words
            }
            return True
        if self.process.poll() is not None:
            code = self.process.returncode
            raise DaemonEndedError(f"`{self.command}` ended with {code}\n{tail(self.log)}")
        return False

    @staticmethod
    def _setting(value):
        return value if isinstance(value, str) else str(value).replace("'", '"')

    def stop(self):
        """Ctrl-C. Checks that it exits with 0 and that nothing of it remains."""
        self.end(signal.SIGINT)
        # What was killed is there until the kernel has run it once more.
        eventually("nothing remains after SIGINT", lambda: not self.processes(), seconds=5)

    def end(self, order):
        """Tells the daemon to end and checks that it does with 0."""
        self.process.send_signal(order)
        code = self.process.wait(timeout=40 * PATIENCE)
        assert code == 0, f"`{self.command}` ended with {code} after {order}\n{tail(self.log)}"

    def kill(self):
        """SIGKILL to the daemon alone: its workers are orphans."""
        self.process.kill()
        self.process.wait()

    def kill_all(self):
        """Ends every process of this cluster, whatever state it is in."""
        if self.process and self.process.poll() is None:
            self.kill()
        while found := self.processes():
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        if self in Cluster.running:
            Cluster.running.remove(self)

    # ---- Looks ---------------------------------------------------------------------------------

    @property
    def nimbus(self):
        return self.addresses["nimbus"]

    @property
    def pid(self):
        return self.process.pid

    @property
    def out(self):
        return self.directory / f"{self.command}-{self.runs}.out"

    @property
    def log(self):
        return self.directory / f"{self.command}-{self.runs}.log"

    def workers(self, topology=None):
        """Worker processes that run now, or those of the topology with this id."""
        found = []
        for directory in self.local.glob("workers/*"):
            try:
                process = record(directory / "process", messages.ProcessRecord)
                launch = record(directory / "launch", launches.Launch)
            except OSError:
                continue  # about to start, or cleaned away
            if start_ticks(process.pid) == process.start_ticks and topology in (
                None,
                launch.topology_id,
            ):
                found.append(
                    Worker(
                        directory.name,
                        process.pid,
                        process.start_ticks,
                        launch.topology_id,
                        launch.port,
                    )
                )
        return found

    def processes(self):
        """Command lines by pid of every process that has this cluster's directory in its command
        line, or works in it: workers and shell children among them.
        """
        own = str(self.directory).encode()
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
                where = os.readlink(os.fsencode(process / "cwd"))
            except OSError:
                continue  # gone, or a kernel thread
            if command and (own in command or where.startswith(own)):
                found[int(process.name)] = (
                    command.replace(b"\0", b" ").decode(errors="replace").strip()
                )
        return found

    def memory_mb(self, pid=None):
        """Resident memory of the daemon, or of another process."""
        status = Path(f"/proc/{pid or self.pid}/status").read_text()
        return (
            int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
            / 1024
        )

    def worker_log(self, topology):
        """The text of all worker logs of the topology with this id."""
        return "\n".join(tail(log, lines=None) for log in self._worker_logs(topology))

    def _worker_logs(self, topology):
        # By their place: other directories vanish while one looks through them.
        return sorted(self.local.glob(f"logs/workers-artifacts/{topology}/*/worker.log*"))

    def log_tails(self):
        """What a person reads first after a failure."""
        logs = [self.log, *self._worker_logs("*")[-8:]]
        return "\n".join(f"--- {log}\n{tail(log)}" for log in logs)


def record(path, kind):
    """A Thrift record of ours in a file."""
    return deserialize(kind(), path.read_bytes(), TBinaryProtocolFactory())


def start_ticks(pid):
    """When a process started, in ticks since boot; None when there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
