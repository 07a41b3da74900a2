"""What operators change of a topology that runs, seen where it takes effect: in its workers.

What Nimbus answers to the calls is in contract/test_operations.py.
"""

import hashlib
import re
import subprocess
import time

import pytest

import peers
from cluster import PROGRAM, eventually
from topologies import (
    Builder,
    arrive,
    component_files,
    jar,
    kill,
    pulse,
    pulse_files,
    running,
    upload,
)


@pytest.fixture
def peer():
    return peers.Apache()


@pytest.fixture
def nimbus(cluster, peer):
    with peer.connect(cluster.nimbus) as client:
        yield client


def artifacts(cluster, id):
    """The artifacts directories of a topology's slots."""
    return sorted(cluster.local.glob(f"logs/workers-artifacts/{id}/*"))


def files(cluster, id, pattern):
    return [path for each in artifacts(cluster, id) for path in sorted(each.glob(pattern))]


def stays(cluster, id, workers):
    assert [each.pid for each in cluster.workers(id)] == workers, "the worker was restarted"


def stormwire(cluster, *arguments, check=True, text=None):
    host, port = cluster.nimbus
    return subprocess.run(
        [PROGRAM, *arguments, "--nimbus", f"{host}:{port}"],
        check=check,
        capture_output=True,
        input=text,
        text=True,
        timeout=30,
    )


# ---- Log levels ----------------------------------------------------------------------------------


def chatty(types):
    builder = Builder(types)
    builder.spout("ticks", builder.native("stormwire.TimerSpout", 100), {"default": ["n", "time"]})
    return builder.bolt("chatty", builder.python("chatty.py"), {"ticks": builder.shuffle()})


def heard(cluster, id):
    return cluster.worker_log(id).count("heard [")


def test_a_component_s_debug_lines_appear_and_go(cluster, peer, nimbus):
    """C 3.2, D 12.5: a level takes hold in the running worker, and ends when it is taken back."""
    jar_files = component_files("chatty.py")
    with running(peer, nimbus, "levels", chatty(peer.types), jar_files) as id:
        eventually("it runs", lambda: "launched subprocess" in cluster.worker_log(id))
        workers = [each.pid for each in cluster.workers(id)]
        time.sleep(1)
        assert heard(cluster, id) == 0
        shown = stormwire(cluster, "set_log_level", "levels", "-l", "chatty=DEBUG").stdout
        assert re.search(r"chatty\s+DEBUG\s+removed", shown), shown
        eventually("debug lines of the component", lambda: heard(cluster, id) >= 5)
        # Its component only: nothing else of the worker talks more.
        assert "DEBUG stormwire::worker" not in cluster.worker_log(id)
        stormwire(cluster, "set_log_level", "levels", "-r", "chatty")
        eventually("quiet", lambda: is_quiet(cluster, id))
        stays(cluster, id, workers)


def is_quiet(cluster, id):
    before = heard(cluster, id)
    time.sleep(0.7)
    return heard(cluster, id) == before


def test_a_level_ends_by_itself(cluster, peer, nimbus):
    """C 3.2, D 12.5: after its time-out a level is what it was, in the worker and on record."""
    jar_files = component_files("chatty.py")
    with running(peer, nimbus, "timed", chatty(peer.types), jar_files) as id:
        eventually("it runs", lambda: "launched subprocess" in cluster.worker_log(id))
        stormwire(cluster, "set_log_level", "timed", "-l", "org.apache.storm.task.ShellBolt=DEBUG:5")
        eventually("debug lines of shell components", lambda: heard(cluster, id) >= 3)
        eventually("it is over", lambda: nimbus.getLogConfig(id).named_logger_level == {})
        eventually("quiet", lambda: is_quiet(cluster, id))


def test_levels_reach_a_worker_that_starts_later(cluster, peer, nimbus):
    """Ours: a new worker takes up what is set (Storm's takes only what was set last)."""
    jar_files = component_files("chatty.py")
    inactive = running(peer, nimbus, "later", chatty(peer.types), jar_files, status="INACTIVE")
    with inactive as id:
        level = peer.types.LogLevel(
            action=peer.types.LogLevelAction.UPDATE, target_log_level="DEBUG"
        )
        nimbus.setLogConfig(id, peer.types.LogConfig(named_logger_level={"chatty": level}))
        nimbus.setLogConfig(id, peer.types.LogConfig(named_logger_level={}))
        nimbus.activate("later")
        eventually("debug lines", lambda: heard(cluster, id) >= 3)


# ---- Sampling and event loggers ------------------------------------------------------------------

LINE = re.compile(r"\w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4},(\w+),(\d+),([^,]*),\[(.*)\]")


def events(cluster, id):
    """(component, task, message id, values) of each line of the event logs."""
    found = []
    for path in files(cluster, id, "events.log"):
        for line in path.read_text().splitlines():
            match = LINE.fullmatch(line)
            assert match, f"not a line of Storm's event log: {line!r}"
            found.append(match.groups())
    return found


def test_sampled_tuples_stand_in_the_event_log(cluster, peer, nimbus, tmp_path):
    """C 3.2, C 4.5, D 11.7: all tuples at 100 %, none when it is off; one component or all."""
    out = tmp_path / "out"
    builder = pulse(Builder(peer.types), out)
    builder.bolt(
        "echo",
        builder.native("stormwire.IdBolt"),
        {"pulse": builder.shuffle()},
        {"default": ["sequence"]},
    )
    conf = {"topology.eventlogger.executors": 1, "topology.acker.executors": 1}
    with running(peer, nimbus, "events", builder, pulse_files(), conf) as id:
        arrive(out)
        workers = [each.pid for each in cluster.workers(id)]
        assert events(cluster, id) == []
        nimbus.debug("events", "pulse", True, 100.0)
        eventually("events", lambda: len(events(cluster, id)) > 20)
        assert {component for component, *_ in events(cluster, id)} == {"pulse"}
        sequences = [int(values) for _, _, _, values in events(cluster, id)]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
        # Of a spout with its message id; of a bolt without one.
        assert all(message_id for _, _, message_id, _ in events(cluster, id))
        nimbus.debug("events", None, True, 100.0)
        eventually("of all", lambda: {c for c, *_ in events(cluster, id)} == {"pulse", "echo"})
        assert {m for c, _, m, _ in events(cluster, id) if c == "echo"} == {""}
        nimbus.debug("events", None, False, 0.0)
        nimbus.debug("events", "pulse", False, 0.0)

        def ended():
            before = len(events(cluster, id))
            time.sleep(0.5)
            return len(events(cluster, id)) == before

        eventually("no more events", ended)
        arrive(out)
        stays(cluster, id, workers)


def test_events_of_several_workers(cluster, peer, nimbus, tmp_path):
    """C 4.5: a fields grouping by component leads all of a component's to one logger."""
    out = tmp_path / "out"
    builder = pulse(Builder(peer.types), out)
    conf = {"topology.eventlogger.executors": 2, "topology.workers": 2}
    with running(peer, nimbus, "spread", builder, pulse_files(), conf) as id:
        arrive(out)
        nimbus.debug("spread", None, True, 50.0)
        eventually("events", lambda: len(events(cluster, id)) > 20)
        logs = files(cluster, id, "events.log")
        (log,) = [path for path in logs if "pulse" in path.read_text()]
        # C 3.3: where the component's page says that its events are.
        page = nimbus.getComponentPageInfo(id, "pulse", ":all-time", False)
        assert page.eventlog_port == int(log.parent.name) and page.eventlog_host
        assert page.debug_options is None
        page = nimbus.getTopologyPageInfo(id, ":all-time", False)
        assert (page.debug_options.enable, page.debug_options.samplingpct) == (True, 50.0)


def test_without_event_loggers_sampling_changes_nothing(cluster, peer, nimbus, tmp_path):
    """C 3.2: the call succeeds where nobody listens."""
    out = tmp_path / "out"
    with running(peer, nimbus, "deaf", pulse(Builder(peer.types), out), pulse_files()) as id:
        arrive(out)
        nimbus.debug("deaf", None, True, 100.0)
        arrive(out, count=30)
        assert files(cluster, id, "events.log") == []


def test_a_logger_of_somebody_else_is_named(cluster, peer, nimbus, tmp_path):
    """Ours: a class that only a JVM has is an error that an operator sees; the file is written."""
    out = tmp_path / "out"
    conf = {
        "topology.eventlogger.executors": 1,
        "topology.event.logger.register": [{"class": "com.example.KafkaLogger"}],
    }
    builder = pulse(Builder(peer.types), out)
    with running(peer, nimbus, "foreign", builder, pulse_files(), conf) as id:
        arrive(out)
        nimbus.debug("foreign", None, True, 100.0)
        eventually("events", lambda: len(events(cluster, id)) > 5)

        def complaint():
            errors = nimbus.getTopologyInfo(id).errors.get("__eventlogger") or []
            return [each.error for each in errors if "com.example.KafkaLogger" in each.error]

        eventually("the error", complaint)


# ---- Profiles ------------------------------------------------------------------------------------


def ask(peer, nimbus, id, action, in_secs=0.0):
    executor = nimbus.getTopologyInfo(id).executors[0]
    request = peer.types.ProfileRequest(
        nodeInfo=peer.types.NodeInfo(node=executor.host, port={executor.port}),
        action=getattr(peer.types.ProfileAction, action),
        time_stamp=int((time.time() + in_secs) * 1000),
    )
    nimbus.setWorkerProfiler(id, request)
    return request


def test_profiles_are_written(cluster, peer, nimbus, tmp_path):
    """C 3.2, D 12.6: threads, memory and a profile stand beside the worker's log; asked once."""
    out = tmp_path / "out"
    with running(peer, nimbus, "profiled", pulse(Builder(peer.types), out), pulse_files()) as id:
        arrive(out)
        (worker,) = cluster.workers(id)
        ask(peer, nimbus, id, "JSTACK_DUMP")
        (threads,) = eventually("threads", lambda: files(cluster, id, "jstack-*.txt"))
        eventually("whole", lambda: "Shell children:" in threads.read_text())
        text = threads.read_text()
        assert "executors-0 (tid " in text and "pulse [" in text and "tuples queued" in text
        assert re.search(r"pid \d+ \w+.*pulse\.py", text), text
        ask(peer, nimbus, id, "JMAP_DUMP")
        (memory,) = eventually("memory", lambda: files(cluster, id, "memory-*.txt"))
        eventually("whole", lambda: "Shell children:" in memory.read_text())
        assert "VmRSS" in memory.read_text() and "Rss:" in memory.read_text()

        request = ask(peer, nimbus, id, "JPROFILE_STOP", in_secs=4)
        stop = peer.types.ProfileAction.JPROFILE_STOP
        assert nimbus.getComponentPendingProfileActions(id, "pulse", stop) == [request]
        time.sleep(1.5)
        ask(peer, nimbus, id, "JPROFILE_DUMP")
        eventually("so far", lambda: files(cluster, id, "recording-*.txt"))
        recordings = eventually(
            "at the end",
            lambda: len(found := files(cluster, id, "recording-*.txt")) == 2 and found,
        )
        for path in recordings:
            eventually("whole", lambda: "# folded stacks" in path.read_text())
            text = path.read_text()
            assert "EXECUTOR" in text and "pulse [" in text and "pulse.py" in text
            looks = int(re.search(r"(\d+) looks", text).group(1))
            assert looks > 0, text
        assert nimbus.getComponentPendingProfileActions(id, "pulse", stop) == []
        # None of them is carried out twice.
        time.sleep(2)
        assert len(files(cluster, id, "jstack-*.txt")) == 1
        assert len(files(cluster, id, "recording-*.txt")) == 2
        stays(cluster, id, [worker.pid])


def test_a_profile_ends_when_it_is_told_to(cluster, peer, nimbus, tmp_path):
    """C 3.2: JPROFILE_STOP with a time that is over ends the profile that runs."""
    out = tmp_path / "out"
    with running(peer, nimbus, "stopped", pulse(Builder(peer.types), out), pulse_files()) as id:
        arrive(out)
        ask(peer, nimbus, id, "JPROFILE_STOP", in_secs=600)
        time.sleep(1.5)
        assert files(cluster, id, "recording-*.txt") == []
        ask(peer, nimbus, id, "JPROFILE_STOP")
        eventually("the profile", lambda: files(cluster, id, "recording-*.txt"))


def test_a_worker_restarts_when_it_is_told_to(cluster, peer, nimbus, tmp_path):
    """C 3.2, C 6.8: JVM_RESTART: a new process in the same slot, once."""
    out = tmp_path / "out"
    with running(peer, nimbus, "again", pulse(Builder(peer.types), out), pulse_files()) as id:
        arrive(out)
        (before,) = cluster.workers(id)
        ask(peer, nimbus, id, "JVM_RESTART")

        def replaced():
            now = cluster.workers(id)
            return now[0] if len(now) == 1 and now[0].pid != before.pid else None

        after = eventually("a new worker", replaced)
        assert after.port == before.port
        assert not nimbus.getTopologyInfo(id).errors.get("__system"), "it is no failure"
        arrive(out)
        time.sleep(3)
        stays(cluster, id, [after.pid])


# ---- Credentials ---------------------------------------------------------------------------------


def digest(secret):
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def held(path):
    found = list(path.parent.glob(f"{path.name}.[0-9]"))
    assert len(found) == 1, "not there yet"
    return dict(line.split() for line in found[0].read_text().splitlines())


def test_components_get_credentials(cluster, peer, nimbus, tmp_path):
    """C 3.2, D 12.4: those of the submit before they start, new ones while they run."""
    path = tmp_path / "held"
    types = peer.types
    builder = Builder(types)
    builder.spout("ticks", builder.native("stormwire.TimerSpout", 100), {"default": ["n", "time"]})
    watch = builder.native("stormwire.testing.CredentialDigest", str(path))
    builder.bolt("watch", watch, {"ticks": builder.shuffle()})
    secrets = {"first": "planted-one", "second": "planted-two"}
    location = upload(nimbus, jar({"nothing": ""}))
    options = types.SubmitOptions(
        initial_status=types.TopologyInitialStatus.ACTIVE,
        creds=types.Credentials(creds=dict(secrets)),
    )
    nimbus.submitTopologyWithOpts("secrets", location, "{}", builder.topology, options)
    try:
        id = nimbus.getTopologySummaryByName("secrets").id
        expected = {name: digest(secret) for name, secret in secrets.items()}
        eventually("those of the submit", lambda: held(path) == expected)
        workers = [each.pid for each in cluster.workers(id)]

        nimbus.uploadNewCredentials("secrets", types.Credentials(creds={"second": "planted-three"}))
        expected["second"] = digest("planted-three")
        eventually("new ones beside the old", lambda: held(path) == expected)

        text = "# rotated\nthird = planted-four\n"
        shown = stormwire(cluster, "upload-credentials", "secrets", "-f", "-", text=text)
        assert "third" in shown.stdout and "planted" not in shown.stdout + shown.stderr
        expected["third"] = digest("planted-four")
        eventually("from the command line", lambda: held(path) == expected)
        refused = stormwire(
            cluster, "upload-credentials", "secrets", "-u", "eve", "a", "planted-five", check=False
        )
        assert refused.returncode != 0
        assert "expected to be owned by eve" in refused.stderr
        assert "planted" not in refused.stderr
        stays(cluster, id, workers)
        leaks(cluster, nimbus, id)
    finally:
        kill(peer, nimbus, "secrets")


def test_credentials_survive_a_kill(own_cluster, peer, tmp_path):
    """Issue 3: what was answered is on disk: after kill -9 a component gets the newest ones."""
    path = tmp_path / "held"
    types = peer.types
    builder = Builder(types)
    builder.spout("ticks", builder.native("stormwire.TimerSpout", 100), {"default": ["n", "time"]})
    watch = builder.native("stormwire.testing.CredentialDigest", str(path))
    builder.bolt("watch", watch, {"ticks": builder.shuffle()})
    cluster = own_cluster(slots=1)
    with peer.connect(cluster.nimbus) as nimbus:
        options = types.SubmitOptions(
            initial_status=types.TopologyInitialStatus.INACTIVE,
            creds=types.Credentials(creds={"first": "one", "second": "two"}),
        )
        location = upload(nimbus, jar({"nothing": ""}))
        nimbus.submitTopologyWithOpts("durable", location, "{}", builder.topology, options)
        nimbus.uploadNewCredentials("durable", types.Credentials(creds={"second": "three"}))
    cluster.kill_all()
    assert not list(tmp_path.glob("held.*")), "no component was to start before"
    cluster.start()
    with peer.connect(cluster.nimbus) as nimbus:
        nimbus.activate("durable")
        expected = {"first": digest("one"), "second": digest("three")}
        eventually("those of before the kill", lambda: held(path) == expected)


def leaks(cluster, nimbus, id):
    """G8: no reply and no log holds a secret, and only its owner may read the files that do."""
    replies = [
        nimbus.getTopologyInfo(id),
        nimbus.getTopologyConf(id),
        nimbus.getTopology(id),
        nimbus.getUserTopology(id),
        nimbus.getClusterInfo(),
        nimbus.getNimbusConf(),
        nimbus.getTopologySummary(id),
    ]
    assert "planted" not in "".join(repr(each) for each in replies)
    assert "planted" not in cluster.log.read_text() + cluster.worker_log(id)
    for path in cluster.directory.rglob("*"):
        try:
            holds = path.is_file() and b"planted-" in path.read_bytes()
        except OSError:
            continue  # gone
        if holds:
            assert path.stat().st_mode & 0o077 == 0, f"others may read {path}"
