"""The commands of `stormwire`, and its daemons when they are stopped, killed and started again."""

import json
import os
import signal
import subprocess
import time

import pytest

import peers
from cluster import PROGRAM, eventually, free_ports, start_ticks
from topologies import (
    COMPONENTS,
    WORDS,
    Builder,
    arrive,
    jar,
    kill,
    lines_of,
    pulse,
    pulse_files,
    rests,
    running,
    upload,
)


@pytest.fixture
def peer():
    return peers.ThriftPy2()


def stormwire(cluster, command, *arguments, code=0):
    """Runs a command against a cluster; returns (standard output, standard error)."""
    host, port = cluster.nimbus
    ran = subprocess.run(
        [PROGRAM, command, *arguments, "--nimbus", f"{host}:{port}"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "STORM_CONF_DIR": str(cluster.directory)},
    )
    assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout, ran.stderr


def row(table, first):
    """Head to cell of the row that begins with a text."""
    head, *rows = [line.split() for line in table.splitlines() if line.strip()]
    (found,) = [cells for cells in rows if cells[0] == first]
    return dict(zip(head, found))


def test_list_info_deactivate_activate_kill(cluster, peer, nimbus, tmp_path):
    out = tmp_path / "out"
    with running(peer, nimbus, "shown", pulse(Builder(peer.types), out), pulse_files()) as id:
        arrive(out)
        listed = row(stormwire(cluster, "list")[0], "shown")
        assert (listed["Status"], listed["Num_workers"], listed["Num_tasks"]) == ("ACTIVE", "1", "3")
        assert id in stormwire(cluster, "list")[0]

        def counted():
            told = stormwire(cluster, "info", "shown")[0]
            assert told.startswith("shown (ACTIVE)") and id in told
            return int(row(told[told.index("COMPONENT") :], "pulse")["EMITTED"])

        eventually("info counts", counted)
        assert stormwire(cluster, "deactivate", "shown")[0] == "Deactivated topology: shown\n"
        assert row(stormwire(cluster, "list")[0], "shown")["Status"] == "INACTIVE"
        assert stormwire(cluster, "activate", "shown")[0] == "Activated topology: shown\n"
        assert row(stormwire(cluster, "list")[0], "shown")["Status"] == "ACTIVE"
        told = stormwire(cluster, "kill", "shown", "--wait", "1")[0]
        assert told == "Killed topology: shown\n"
        assert row(stormwire(cluster, "list")[0], "shown")["Status"] == "KILLED"
        eventually("it is gone", lambda: "shown" not in stormwire(cluster, "list")[0])


def test_submit_takes_a_file_and_a_folder_of_scripts(cluster, peer, nimbus, tmp_path):
    out = tmp_path / "out"
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    (scripts / "pulse.py").write_text((COMPONENTS / "pulse.py").read_text())
    (scripts / "multilang.py").write_text((WORDS / "multilang.py").read_text())
    (tmp_path / "topology.yaml").write_text(
        f"""
name: filed
config:
  topology.workers: 1
spouts:
  - id: pulse
    className: org.apache.storm.flux.wrappers.spouts.FluxShellSpout
    constructorArgs:
      - [python3, pulse.py]
      - [sequence]
bolts:
  - id: sink
    className: stormwire.FileSink
    constructorArgs: ["{out}"]
streams:
  - from: pulse
    to: sink
    grouping: {{type: SHUFFLE}}
"""
    )
    file = str(tmp_path / "topology.yaml")
    told, _ = stormwire(cluster, "submit", file, "--resources", str(scripts))
    assert told == "Submitted topology: filed\n"
    try:
        arrive(out)
        _, refused = stormwire(cluster, "submit", file, "--resources", str(scripts), code=1)
        assert "filed is already alive" in refused
    finally:
        kill(peer, nimbus, "filed")


def test_refusals_are_one_line_and_exit_code_1(cluster):
    for command in ("kill", "activate", "deactivate", "info"):
        out, told = stormwire(cluster, command, "ghost", code=1)
        assert out == ""
        (line,) = told.splitlines()
        assert line.startswith("stormwire: ") and "ghost is not alive" in line
    _, told = stormwire(cluster, "submit", "/nowhere/topology.yaml", code=1)
    assert "/nowhere/topology.yaml" in told


def test_a_port_of_another_service_is_told_as_that(cluster):
    for service in ("coordination", "drpc", "supervisor"):
        address = "{}:{}".format(*cluster.addresses[service][:2])
        ran = subprocess.run(
            [PROGRAM, "list", "--nimbus", address], capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 1, ran
        (line,) = ran.stderr.splitlines()
        assert "Invalid method name" in line and line.endswith("check the port"), line


def test_no_nimbus_is_said_at_once(tmp_path):
    (port,) = free_ports(1)
    started = time.monotonic()
    ran = subprocess.run(
        [PROGRAM, "list", "--nimbus", f"127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1 and f"127.0.0.1:{port}" in ran.stderr
    assert time.monotonic() - started < 15


def test_usage_errors_exit_with_2():
    for arguments in (["frobnicate"], ["kill"], ["list", "--nimbus"]):
        ran = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30)
        assert ran.returncode == 2 and "--help" in ran.stderr
    ran = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0 and ran.stdout.startswith("stormwire ")


def test_nobody_needs_to_read_what_a_command_prints():
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [PROGRAM, "bench", "list"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=30
    )
    os.close(writer)
    assert ran.returncode == 0 and ran.stderr == "", ran


def test_a_bad_setting_is_named_before_anything_starts(tmp_path):
    for setting, told in [
        ("nimbus.thrift.port=many", "nimbus.thrift.port"),
        ("nimbus.thrift.port", "nimbus.thrift.port"),
        ("storm.local.dir=/dev/null/x", "/dev/null/x"),
    ]:
        ran = subprocess.run(
            [
                *(PROGRAM, "dev", "-c", f"storm.local.dir={tmp_path}/local"),
                *("-c", "drpc.port=0", "-c", "drpc.invocations.port=0", "-c", "drpc.http.port=0"),
                *("-c", "ui.port=0", "-c", "logviewer.port=0"),
                *("-c", setting),
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert ran.returncode == 1 and told in ran.stderr, (setting, ran.stderr)
        assert "ready" not in ran.stdout


def test_dev_says_how_to_open_it(cluster):
    """It binds the loopback address unless told otherwise, and its start says so."""
    assert {host for host, _ in cluster.addresses.values()} == {"127.0.0.1"}
    said = cluster.out.read_text() + cluster.log.read_text()
    assert "stormwire.bind.address" in said


def test_ctrl_c_ends_dev_with_its_workers_and_their_children(own_cluster, peer, tmp_path):
    cluster = own_cluster(slots=2)
    out = tmp_path / "out"
    with peer.connect(cluster.nimbus) as nimbus:
        submit(peer, nimbus, "ended", out)
        arrive(out)
    assert len(cluster.workers()) == 1
    # dev, a worker, and the Python child of that.
    assert len(cluster.processes()) == 3, cluster.processes()
    cluster.stop()


def test_what_ctrl_c_ended_goes_on_after_the_next_start(own_cluster, peer, tmp_path):
    cluster = own_cluster(slots=2)
    out = tmp_path / "out"
    with peer.connect(cluster.nimbus) as nimbus:
        id = submit(peer, nimbus, "resumed", out)
        submit(peer, nimbus, "resting", tmp_path / "resting", status="INACTIVE")
        arrive(out)
    cluster.stop()
    cluster.start()
    with peer.connect(cluster.nimbus) as nimbus:
        assert nimbus.getTopologySummaryByName("resumed").id == id
        assert nimbus.getTopologySummaryByName("resting").status == "INACTIVE"
        arrive(out)
    assert lines_of(tmp_path / "resting") == []
    cluster.stop()


def test_dev_killed_and_started_again_adopts_its_workers(own_cluster, peer, tmp_path):
    nimbus_port, coordination_port, supervisor_port = free_ports(3)
    settings = {
        "nimbus.thrift.port": nimbus_port,
        "stormwire.coordination.port": coordination_port,
        "supervisor.thrift.port": supervisor_port,
    }
    cluster = own_cluster(slots=4, settings=settings)
    out = tmp_path / "out"
    with peer.connect(cluster.nimbus) as nimbus:
        id = submit(peer, nimbus, "adopted", out, {"topology.workers": 2})
        arrive(out)
    workers = sorted(cluster.workers(id))
    assert len(workers) == 2
    for _ in range(2):
        cluster.kill()
        arrive(out, 50)  # the orphans go on
        cluster.start()
        with peer.connect(cluster.nimbus) as nimbus:
            assert nimbus.getTopologySummaryByName("adopted").id == id
            eventually("statistics come in again", lambda: has_stats(nimbus, id))
            arrive(out)
        assert sorted(cluster.workers(id)) == workers
    # The same processes all along: every number once.
    numbers = sorted(int(line) for line in lines_of(out))
    assert numbers == list(range(len(numbers)))
    # Adopted is not only seen: what it adopted it also steers and ends.
    with peer.connect(cluster.nimbus) as nimbus:
        nimbus.deactivate("adopted")
        eventually("the spout rests", lambda: rests(out))
        os.kill(workers[0].pid, signal.SIGKILL)

        def replaced():
            now = cluster.workers(id)
            return len(now) == 2 and workers[0] not in now

        eventually("a killed worker is replaced", replaced)
        assert start_ticks(workers[1].pid) == workers[1].start_ticks
    cluster.stop()


def has_stats(nimbus, id):
    executors = nimbus.getTopologyInfo(id).executors
    return executors and all(executor.stats and executor.uptime_secs for executor in executors)


def submit(peer, nimbus, name, out, conf=None, status="ACTIVE"):
    """A pulse that runs until its cluster ends; returns its id."""
    options = peer.types.SubmitOptions(
        initial_status=getattr(peer.types.TopologyInitialStatus, status)
    )
    topology = pulse(Builder(peer.types), out).topology
    location = upload(nimbus, jar(pulse_files()))
    nimbus.submitTopologyWithOpts(name, location, json.dumps(conf or {}), topology, options)
    return nimbus.getTopologySummaryByName(name).id
