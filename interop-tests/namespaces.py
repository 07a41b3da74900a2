"""Machines of a cluster as network namespaces: each has an address of its own, and its link can be cut.

Needs root and iproute2; without them it says so and fails: nothing here is skipped in silence. All
namespaces share the file system of this machine, so each daemon gets directories of its own.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

from cluster import PROGRAM, eventually, tail

# A net of its own for each run, so that two runs do not meet.
SUBNET = f"10.{64 + os.getpid() // 250 % 64}.{os.getpid() % 250}"
BRIDGE = f"swb{os.getpid()}"
# Where the tests themselves are: on the bridge.
HERE = f"{SUBNET}.254"

# The address of no network card here.
NOBODY = "02:00:00:00:00:01"

WHAT_IS_NEEDED = "this test needs root and iproute2 (apt-get install iproute2), run it so"


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}"
    return done.stdout


class Net:
    """A bridge with machines on it. As a context manager it is gone at the end, and so is all that
    ran there."""

    def __init__(self, directory):
        self.directory = directory
        self.machines = []

    def __enter__(self):
        assert os.geteuid() == 0 and shutil.which("ip"), WHAT_IS_NEEDED
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{HERE}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        return self

    def machine(self, name):
        machine = Machine(self, name, len(self.machines) + 1)
        self.machines.append(machine)
        return machine

    def __exit__(self, *_):
        for machine in self.machines:
            machine.remove()
        ip("link", "del", BRIDGE)


class Machine:
    """One namespace with one address."""

    def __init__(self, net, name, number):
        self.directory = net.directory / name
        self.directory.mkdir()
        self.address = f"{SUBNET}.{number}"
        self.space = f"{BRIDGE}-{number}"
        self.outer = f"{BRIDGE}o{number}"
        self.inner = inner = f"{BRIDGE}i{number}"
        self.daemons = {}
        ip("netns", "add", self.space)
        ip("link", "add", self.outer, "type", "veth", "peer", "name", inner)
        ip("link", "set", inner, "netns", self.space)
        ip("link", "set", self.outer, "master", BRIDGE, "up")
        for command in [
            ["link", "set", "lo", "up"],
            ["addr", "add", f"{self.address}/24", "dev", inner],
            ["link", "set", inner, "up"],
        ]:
            ip("-n", self.space, *command)

    def start(self, command, settings):
        """Runs a daemon here; returns when it says that it is ready."""
        out, log = (self.directory / f"{command}.{end}" for end in ["out", "log"])
        settings = {
            "storm.local.dir": self.directory / command,
            "storm.local.hostname": self.address,
            "stormwire.bind.address": self.address,
            **settings,
        }
        given = [f"-c{key}={value}" for key, value in settings.items()]
        with out.open("wb") as out_file, log.open("ab") as log_file:
            self.daemons[command] = subprocess.Popen(
                ["ip", "netns", "exec", self.space, PROGRAM, command, *given],
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=log_file,
                cwd=self.directory,
                env={**os.environ, "STORM_CONF_DIR": str(self.directory)},
            )

        def is_ready():
            ended = self.daemons[command].poll()
            assert ended is None, f"{command} ended with {ended}\n{tail(log)}"
            return "ready" in out.read_text().splitlines()

        eventually(f"{command} is ready", is_ready)

    def cut(self):
        ip("link", "set", self.outer, "down")

    def mend(self):
        ip("link", "set", self.outer, "up")

    def deafen(self, other):
        """What this machine sends to the other goes nowhere: to a card that nobody has. Nothing is
        refused and no link is down, and the way back stays."""
        ip("-n", self.space, "neigh", "replace", other.address, "lladdr", NOBODY, "nud", "permanent",
           "dev", self.inner)  # fmt: skip

    def heal(self, other):
        """As before `deafen`."""
        ip("-n", self.space, "neigh", "del", other.address, "dev", self.inner)

    def reaches(self, other):
        """Whether a packet comes there and an answer back: that nobody listens is one."""
        attempt = f"import socket; socket.create_connection(('{other.address}', 1), 1)"
        done = subprocess.run(
            ["ip", "netns", "exec", self.space, sys.executable, "-c", attempt],
            capture_output=True,
            text=True,
        )
        return "ConnectionRefusedError" in done.stderr

    def pids(self):
        return [int(pid) for pid in ip("netns", "pids", self.space).split()]

    def workers(self):
        """Pids of the workers that run here."""
        found = []
        for pid in self.pids():
            try:
                words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if b"worker" in words and b"--launch" in words:
                found.append(pid)
        return sorted(found)

    def remove(self):
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        for daemon in self.daemons.values():
            daemon.wait()
        # The kernel takes a namespace's end of a link away some time after the namespace.
        ip("link", "del", self.outer)
        ip("netns", "del", self.space)
