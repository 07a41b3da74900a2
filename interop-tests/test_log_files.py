"""Logs of workers and daemons as files of processes: bounded, whole from line to line, packed, shown by the log
viewer; and processes that die, files that somebody takes away, and disks that are full in between.
"""

import gzip
import os
import re
import signal
import subprocess
import time
from urllib.parse import urlsplit

import pytest

import peers
from cluster import PROGRAM, Cluster, DaemonEndedError, eventually, tail
from topologies import Builder, running, words_files
from web import ask, get, part

BYTES_MAX = 20_000
FILES_MAX = 4

# Logs a numbered line for each tuple, and goes on where a predecessor died.
CHATTER = """
import multilang
import os

class Chatter:
    def open(self, conf, context):
        self.path = os.path.join(conf["chatter.dir"], "n")
        self.n = int(open(self.path).read()) if os.path.exists(self.path) else 0

    def next(self):
        for _ in range(20):
            self.n += 1
            multilang.log(f"number {self.n} " + "." * 60)
        with open(self.path + ".half", "w") as file:
            file.write(str(self.n))
        os.rename(self.path + ".half", self.path)

multilang.run_spout(Chatter())
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A cluster whose workers' logs are small, with a topology that logs without end."""
    directory = tmp_path_factory.mktemp("logs")
    settings = {
        "stormwire.worker.log.bytes.max": BYTES_MAX,
        "stormwire.worker.log.files.max": FILES_MAX,
    }
    peer = peers.ThriftPy2()
    with Cluster(directory, slots=1, settings=settings) as cluster:
        made = Builder(peer.types)
        made.spout("chatter", made.python("chatter.py"), {"default": ["n"]})
        files = {**words_files(), "chatter.py": CHATTER}
        conf = {"chatter.dir": str(directory), "topology.workers": 1}
        with peer.connect(cluster.nimbus) as nimbus:
            with running(peer, nimbus, "chatter", made, files, conf) as id:
                cluster.topology = id
                port = cluster.slots[0]
                cluster.slot = cluster.local / f"logs/workers-artifacts/{id}/{port}"
                eventually("a log", lambda: (cluster.slot / "worker.log").exists())
                yield cluster
        cluster.stop()


def full(slot, name="worker.log"):
    """{number: path} of the full files of a log."""
    found = {}
    for path in slot.iterdir():
        if named := re.fullmatch(re.escape(name) + r"\.(\d+)(\.gz)?", path.name):
            found[int(named[1])] = path
    return found


def lines(path):
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def numbers(slot):
    """The numbers that all of the log's files hold, the oldest first. Read from the newest on: what is renamed
    meanwhile is met once more, and never missed."""
    found = [(slot / "worker.log").read_text()]
    for _, path in sorted(full(slot).items(), reverse=True):
        try:
            found.append(lines(path))
        except FileNotFoundError:
            pass  # packed or removed just now
    text = "".join(reversed(found))
    return [int(number) for number in re.findall(r"number (\d+) ", text)]


def settled(site, count):
    """Waits until so many files more were filled, then stops the worker's time; returns it."""
    first = max(full(site.slot), default=0)
    eventually("logs are full", lambda: max(full(site.slot), default=0) >= first + count)
    worker = eventually("a worker", lambda: site.workers(site.topology))[0]
    os.kill(worker.pid, signal.SIGSTOP)
    return worker


def test_a_workers_log_is_bounded_and_no_line_is_lost(site):
    worker = settled(site, FILES_MAX + 2)
    try:
        found = full(site.slot)
        assert len(found) == FILES_MAX, found
        assert list(found) and max(found) - min(found) == FILES_MAX - 1, "numbers go on"
        for path in [*found.values(), site.slot / "worker.log"]:
            # The line that fills it is still written to it.
            assert len(lines(path)) <= BYTES_MAX + 300, path
        have = numbers(site.slot)
        assert len(have) > 300 and have == list(range(have[0], have[0] + len(have)))
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_full_files_are_packed_and_shown(site):
    settled_worker = settled(site, 1)
    os.kill(settled_worker.pid, signal.SIGCONT)
    # What was packed goes soon, since the worker logs without end: time stops where one is there.

    def packed():
        for _, path in sorted(full(site.slot).items(), reverse=True):
            if path.suffix == ".gz":
                os.kill(settled_worker.pid, signal.SIGSTOP)
                if path.exists():
                    return path
                os.kill(settled_worker.pid, signal.SIGCONT)

    # Nothing is packed before it is a few seconds old.
    path = slow(site, lambda: eventually("a packed one", packed))
    try:
        viewer = site.addresses["logviewer"]
        name = f"{site.topology}/{site.slot.name}/{path.name}"
        listed = get(viewer, f"listLogs?topoId={part(site.topology)}")
        assert name in listed, listed
        text = lines(path)
        number = re.search(r"number (\d+) ", text)[0].strip()
        page = ask(viewer, f"/api/v1/log?file={part(name)}&start=0&length=1000")
        assert page.status == 200 and number in page.text
        search = f"search?file={part(name)}&search-string={part(number)}"
        assert get(viewer, search)["matches"]
        deep = f"deepSearch/{part(site.topology)}?search-string={part(number)}&port={site.slot.name}"
        assert get(viewer, f"{deep}&search-archived=on")["matches"]
        bytes_there = ask(viewer, f"/api/v1/download?file={part(name)}").body
        assert bytes_there == path.read_bytes()
    finally:
        os.kill(settled_worker.pid, signal.SIGCONT)


def slow(site, probe):
    """Has the topology pause meanwhile, so that files grow old."""
    peer = peers.ThriftPy2()
    with peer.connect(site.nimbus) as nimbus:
        nimbus.deactivate("chatter")
        try:
            return probe()
        finally:
            nimbus.activate("chatter")


def test_a_worker_that_is_killed_leaves_logs_that_the_next_one_keeps(site):
    for _ in range(3):
        worker = settled(site, 1)
        os.kill(worker.pid, signal.SIGKILL)
        eventually(
            "another worker",
            lambda: [each for each in site.workers(site.topology) if each.pid != worker.pid],
        )
    worker = settled(site, 2)
    try:
        assert len(full(site.slot)) <= FILES_MAX
        for path in [*full(site.slot).values(), site.slot / "worker.log"]:
            assert len(lines(path)) <= BYTES_MAX + 300, path
    finally:
        os.kill(worker.pid, signal.SIGCONT)


def test_what_is_printed_past_the_log_is_bounded_too(site):
    """Standard error, where a native component's prints and a panic's words go."""
    worker = eventually("a worker", lambda: site.workers(site.topology))[0]
    errors = site.slot / "worker.log.err"
    with open(f"/proc/{worker.pid}/fd/2", "ab") as stderr:
        stderr.write(b"x" * (BYTES_MAX + 1))
    eventually("it was renamed", lambda: full(site.slot, "worker.log.err"))
    assert errors.stat().st_size == 0
    with open(f"/proc/{worker.pid}/fd/2", "ab") as stderr:
        stderr.write(b"after that\n")
    assert errors.read_text() == "after that\n"


def test_a_log_that_somebody_took_away_begins_anew(site):
    (site.slot / "worker.log").rename(site.slot / "taken")
    eventually("a new one", lambda: "number" in (site.slot / "worker.log").read_text())


def test_a_full_disk_ends_no_worker(tmp_path):
    """Its tuples flow on while no line can be written; then there is room, and lines again."""
    peer = peers.ThriftPy2()
    most = 64 << 20
    with Cluster(tmp_path, slots=1, file_bytes_max=most) as cluster:
        made = Builder(peer.types)
        made.spout("chatter", made.python("chatter.py"), {"default": ["n"]})
        files = {**words_files(), "chatter.py": CHATTER}
        with peer.connect(cluster.nimbus) as nimbus:
            conf = {"chatter.dir": str(tmp_path), "topology.workers": 1}
            with running(peer, nimbus, "chatter", made, files, conf) as id:
                log = cluster.local / f"logs/workers-artifacts/{id}/{cluster.slots[0]}/worker.log"
                eventually("lines", lambda: "number" in log.read_text())
                worker = cluster.workers(id)[0]
                with log.open("r+b") as file:
                    file.truncate(most)  # as long as a file may be
                before = int((tmp_path / "n").read_text())
                eventually("it goes on", lambda: int((tmp_path / "n").read_text()) > before + 200)
                assert log.stat().st_size == most
                with log.open("r+b") as file:
                    file.truncate(0)
                eventually("lines again", lambda: "number" in log.read_text())
                assert cluster.workers(id) == [worker]
        cluster.stop()


# ---- Daemons -------------------------------------------------------------------------------------


def daemon(directory, command="nimbus", **more):
    settings = {
        "stormwire.daemon.log.file": "true",
        "stormwire.daemon.log.bytes.max": 4000,
        "stormwire.daemon.log.files.max": 2,
        **more,
    }
    return Cluster(directory, settings=settings, command=command)


@pytest.mark.parametrize("command", ["nimbus", "logviewer", "ui", "drpc", "dev"])
def test_a_daemons_log_is_a_file_of_its_name(tmp_path, command):
    with daemon(tmp_path, command) as one:
        log = one.local / f"logs/{command}.log"
        assert "listens on" in log.read_text() and "\x1b" not in log.read_text()
        assert one.log.read_text() == "", "nothing on standard error"
        one.stop()
    # Without the setting: where it always went.
    with Cluster(tmp_path / "plain", command=command) as plain:
        assert "listens on" in plain.log.read_text()
        assert not (plain.local / f"logs/{command}.log").exists()
        plain.stop()


def test_the_ui_of_dev_links_to_the_log_that_its_daemons_share(tmp_path):
    with daemon(tmp_path, "dev", **{"stormwire.daemon.log.bytes.max": 1 << 20}) as dev:
        ui, viewer = dev.addresses["ui"], dev.addresses["logviewer"]
        of_nimbus = get(ui, "nimbus/summary")["nimbuses"][0]["nimbusLogLink"]
        of_supervisor = get(ui, "supervisor/summary")["supervisors"][0]["logLink"]
        for link in (of_nimbus, of_supervisor):
            site = urlsplit(link)
            assert site.port == viewer[1]
            page = ask(viewer, f"{site.path}?{site.query}")
            assert page.status == 200 and "nimbus listens on" in page.text, (link, page.text)
        dev.stop()


def test_a_daemons_log_is_bounded_and_shown(tmp_path):
    with daemon(tmp_path) as nimbus:
        logs = nimbus.local / "logs"
        peer = peers.ThriftPy2()
        made = Builder(peer.types)
        made.spout("words", made.native("org.apache.storm.testing.TestWordSpout"), {"default": ["w"]})
        n = 0
        while len(full(logs, "nimbus.log")) < 2 or min(full(logs, "nimbus.log")) < 2:
            n += 1
            assert n < 300, "it logs each submit"
            with peer.connect(nimbus.nimbus) as client:
                with running(peer, client, f"t{n}", made, {}):
                    pass
        assert len(full(logs, "nimbus.log")) == 2
        assert (logs / "nimbus.log").stat().st_size < 4300
        settings = {"storm.log.dir": str(logs)}
        with Cluster(tmp_path / "viewer", settings=settings, command="logviewer") as viewer:
            rolled = full(logs, "nimbus.log")[max(full(logs, "nimbus.log"))].name
            for name in ("nimbus.log", rolled.removesuffix(".gz")):
                page = ask(viewer.addresses["logviewer"], f"/api/v1/daemonlog?file={name}")
                gone = page.status == 404 and (logs / f"{name}.gz").exists()
                assert gone or (page.status == 200 and "<pre id=" in page.text), page.text
            viewer.stop()
        nimbus.stop()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DaemonEndedError) as ended:
        daemon(tmp_path, **{"storm.log.dir": str(tmp_path / "file/logs")}).start()
    for named in ("nimbus.log", "storm.log.dir", "stormwire.daemon.log.file"):
        assert named in str(ended.value)


def test_why_a_daemon_does_not_start_is_told_to_its_starter_too(tmp_path):
    with pytest.raises(DaemonEndedError, match="stormwire.tls.certificates"):
        daemon(tmp_path, "logviewer", **{"logviewer.https.port": 0}).start()
    assert "stormwire.tls.certificates" in (tmp_path / "local/logs/logviewer.log").read_text()


def test_a_full_disk_ends_no_daemon(tmp_path):
    """Its log cannot be written, and it goes on; when there is room, it logs again."""
    one = daemon(tmp_path, **{"stormwire.daemon.log.bytes.max": 1 << 30})
    one.limits = dict.fromkeys(one.limits)
    one.limits[next(iter(one.limits))] = 64 << 20
    with one:
        log = one.local / "logs/nimbus.log"
        # As long as a file may be: not a byte more.
        with log.open("r+b") as file:
            file.truncate(64 << 20)
        peer = peers.ThriftPy2()
        made = Builder(peer.types)
        made.spout("words", made.native("org.apache.storm.testing.TestWordSpout"), {"default": ["w"]})
        with peer.connect(one.nimbus) as client:
            with running(peer, client, "unheard", made, {}):
                pass
            assert log.stat().st_size == 64 << 20
            with log.open("r+b") as file:
                file.truncate(0)
            with running(peer, client, "heard", made, {}):
                pass
        text = log.read_text(errors="replace")
        assert "heard" in text and "unheard" not in text
        one.stop()


def test_nobody_at_standard_error_ends_no_daemon(tmp_path):
    """A pipe whose reader is gone, and a device that takes nothing."""
    settings = ["nimbus.thrift.port=0", "stormwire.coordination.port=0", f"storm.local.dir={tmp_path}/local"]
    command = [PROGRAM, "nimbus", *(f"-c{each}" for each in settings)]
    reader, writer = os.pipe()
    os.close(reader)
    for stderr in (writer, os.open("/dev/full", os.O_WRONLY)):
        out = tmp_path / "out"
        with out.open("wb") as stdout:
            environment = {**os.environ, "STORM_CONF_DIR": str(tmp_path)}
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)
        os.close(stderr)
        try:
            eventually("ready", lambda: "ready" in out.read_text())
            time.sleep(0.2)
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=40) == 0, tail(out)
        finally:
            process.kill()
            process.wait()
