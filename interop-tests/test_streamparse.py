"""streamparse's own command against a real cluster, with its quickstart project and pystorm's children.

`lein`, `storm` and `pkg_resources` are the stand-ins of examples/streamparse: neither Leiningen nor Storm is
needed. What needs ssh to other hosts (`tail` past its Thrift part, `remove_logs`, `update_virtualenv`) is not
tried.
"""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import peers
from cluster import PROGRAM, ROOT, Cluster, eventually
from table import note
from topologies import kill

VERSION = "5.0.1"
SPARSE = Path(sys.executable).parent / "sparse"
STAND_INS = ROOT / "examples/streamparse"
WORDS = ["cat", "dog", "elephant", "zebra"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster whose workers find `streamparse_run`."""
    # A session's other clusters keep their own PATH.
    patch = pytest.MonkeyPatch()
    patch.setenv("PATH", f"{SPARSE.parent}:{os.environ['PATH']}")
    with patch.context(), Cluster(tmp_path_factory.mktemp("streamparse"), slots=4) as own:
        patch.undo()
        yield own


class Project:
    """streamparse's quickstart project, told where the cluster is."""

    def __init__(self, directory, cluster=None, **env):
        self.directory = directory
        self.sparse("quickstart", "wordcount", cwd=directory.parent)
        self.config = json.loads((directory / "config.json").read_text())
        prod = self.config["envs"]["prod"]
        prod.update({"use_ssh_for_nimbus": False, "use_virtualenv": False, **env})
        if cluster:
            prod["nimbus"] = "{}:{}".format(*cluster.nimbus)
            prod["ui.port"] = cluster.addresses["ui"][1]
        self.save()

    def save(self):
        (self.directory / "config.json").write_text(json.dumps(self.config))

    def sparse(self, *arguments, code=0, cwd=None):
        """Runs `sparse` to its end; returns all that it printed."""
        ran = subprocess.run(
            [SPARSE, *arguments],
            cwd=cwd or self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            env={
                **os.environ,
                "PATH": f"{STAND_INS}:{SPARSE.parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(STAND_INS / "python"),
                "STORMWIRE": str(PROGRAM),
                "STORM_CONF_DIR": str(self.directory),  # no storm.yaml of this machine
                "LEIN_ROOT": "1",  # CI may be root, which sparse asks to be told
            },
        )
        assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
        return ran.stdout + ran.stderr


@pytest.fixture
def project(tmp_path, cluster):
    return Project(tmp_path / "wordcount", cluster)


@pytest.fixture
def nimbus(cluster):
    """An independent client, which looks at what sparse did and leaves nothing of it."""
    peer = peers.ThriftPy2()
    with peer.connect(cluster.nimbus) as client:
        yield client
        for name in topologies(client):
            kill(peer, client, name)


def table(printed, header):
    """The rows, {column: text}, of a table that sparse printed; it breaks long words over lines."""
    lines = printed.partition(f"# {header}\n")[2].splitlines()
    rows, cells = [], None
    for line in lines:
        if line.startswith("+"):
            if cells:
                rows.append(["".join(parts) for parts in zip(*cells)])
            cells = []
        elif line.startswith("|"):
            cells.append([part.strip() for part in line.strip("|").split("|")])
        else:
            break
    assert rows, f"no table {header!r} in {printed}"
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def topologies(nimbus):
    return {each.name: each for each in nimbus.getClusterInfo().topologies}


def executed(nimbus, topology, component):
    """Tuples that a bolt's executors have executed so far."""
    info = nimbus.getTopologyInfo(topology)
    executors = [each for each in info.executors if each.component_id == component and each.stats]
    return sum(
        sum(each.stats.specific.bolt.executed.get(":all-time", {}).values()) for each in executors
    )


def runs(nimbus, name):
    """Waits until a topology's Python children have counted words; returns its summary."""
    summary = topologies(nimbus)[name]
    eventually(
        "pystorm's bolts execute", lambda: executed(nimbus, summary.id, "count_bolt") > 1000, 60
    )
    info = nimbus.getTopologyInfo(summary.id)
    assert not any(info.errors.values()), info.errors
    return summary


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
def test_a_project_is_submitted_runs_and_is_killed(project, nimbus, serializer):
    project.config["serializer"] = serializer
    project.save()

    printed = project.sparse("submit", "-n", "wordcount", "-o", "topology.max.spout.pending=100")
    assert "Submitting wordcount topology to nimbus...done" in printed
    summary = runs(nimbus, "wordcount")
    assert summary.status == "ACTIVE"
    children = json.loads(nimbus.getTopologyConf(summary.id))
    assert children["topology.workers"] == 1  # one supervisor: sparse asks the cluster
    (row,) = table(project.sparse("list"), "Topology-specific values")
    assert (row["name"], row["status"], row["id"]) == ("wordcount", "ACTIVE", summary.id)
    assert (row["num_workers"], row["num_executors"], row["num_tasks"]) == ("1", "4", "4")

    project.sparse("kill", "-n", "wordcount", "--wait", "0")
    eventually("it is gone", lambda: not topologies(nimbus), 60)
    assert "wordcount" not in project.sparse("list")
    unknown = project.sparse("kill", "-n", "wordcount", "--wait", "0", code=1)
    assert "NotAliveException" in unknown
    note("streamparse", VERSION, f"sparse submit ({serializer})", "sparse list", "sparse kill")


def test_a_submit_may_replace_start_inactive_and_take_a_jar_that_is_there(project, nimbus, tmp_path):
    project.sparse("submit", "-n", "wordcount", "-i")
    first = topologies(nimbus)["wordcount"]
    assert first.status == "INACTIVE"
    note("streamparse", VERSION, "sparse submit -i")

    # Without -f the name is taken, as isTopologyNameAllowed says; with it the old one goes first.
    refused = project.sparse("submit", "-n", "wordcount", code=1)
    assert "Nimbus says wordcount is an invalid name" in refused
    project.sparse("submit", "-n", "wordcount", "-f", "--wait", "0")
    second = runs(nimbus, "wordcount")
    assert second.id != first.id
    note("streamparse", VERSION, "sparse submit -f")

    jar = tmp_path / "own.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for file in (project.directory / "src").rglob("*.py"):
            archive.write(file, Path("resources") / file.relative_to(project.directory / "src"))
    printed = project.sparse("submit", "-n", "wordcount", "-N", "by_jar", "-j", str(jar))
    assert f"Uploaded {jar.stat().st_size}/{jar.stat().st_size} bytes" in printed
    runs(nimbus, "by_jar")
    note("streamparse", VERSION, "sparse submit -j")

    # -R names what an earlier upload is called at Nimbus.
    location = re.search(r"to assigned location: (\S+)", printed)[1]
    printed = project.sparse("submit", "-n", "wordcount", "-N", "by_upload", "-R", location)
    assert "Uploading" not in printed
    runs(nimbus, "by_upload")
    note("streamparse", VERSION, "sparse submit -R")


def test_statistics_come_from_the_rest_api(project, nimbus, cluster):
    project.sparse("submit", "-n", "wordcount")
    summary = runs(nimbus, "wordcount")

    printed = project.sparse("stats")
    (row,) = table(printed, "Cluster summary")
    assert (row["supervisors"], row["slotsTotal"], row["slotsUsed"]) == ("1", "4", "1")
    assert "MISSING" not in row.values()
    (row,) = table(printed, "Topology summary")
    assert (row["name"], row["id"], row["status"]) == ("wordcount", summary.id, "ACTIVE")
    (supervisor,) = nimbus.getClusterInfo().supervisors
    (row,) = table(printed, "Supervisor summary")
    assert (row["id"], row["host"]) == (supervisor.supervisor_id, supervisor.host)

    printed = project.sparse("stats", "-n", "wordcount")
    (bolt,) = table(printed, "Bolt (All time)")
    assert (bolt["boltId"], bolt["executors"]) == ("count_bolt", "2")
    assert int(bolt["executed"]) > 1000
    assert len(table(printed, "Topology stats")) == 4  # Storm's windows
    printed = project.sparse("stats", "-n", "wordcount", "-c", "word_spout")
    (executor,) = table(printed, "Executors (All time)")
    (worker,) = cluster.workers(summary.id)
    assert executor["port"] == str(worker.port) and int(executor["emitted"]) > 1000
    printed = project.sparse("stats", "-n", "wordcount", "-c", "count_bolt")
    (stream,) = table(printed, "Input stats (All time)")
    assert (stream["component"], stream["stream"]) == ("word_spout", "default")

    (row,) = table(project.sparse("slot_usage"), "Slot (and Executor) Counts by Topology")
    assert row == {"Host": supervisor.host, "wordcount": "1 (3)"}
    rows = table(project.sparse("worker_uptime"), "Worker Stats")
    assert {row["Host"] for row in rows} == {supervisor.host}

    note("streamparse", VERSION, "sparse stats", "sparse slot_usage", "sparse worker_uptime")


def test_tail_asks_nimbus_which_hosts_to_go_to(project, nimbus):
    project.config["envs"]["prod"]["log"] = {"path": "/var/log/pystorm"}
    project.save()
    # What it does on the supervisors' hosts is ssh's, and fails here.
    printed = project.sparse("tail", "-n", "wordcount", code=1)
    (supervisor,) = nimbus.getClusterInfo().supervisors
    assert f"[{supervisor.host}] run: cd /var/log/pystorm" in printed
    note("streamparse", VERSION, "sparse tail (its Thrift part)")


def test_a_project_runs_here_through_the_stand_ins(tmp_path):
    project = Project(tmp_path / "wordcount")
    bolt = project.directory / "src/bolts/wordcount.py"
    counted = tmp_path / "counted"
    # What the bolt counts goes to a file as well, since the cluster is gone when sparse returns.
    bolt.write_text(
        bolt.read_text().replace(
            "self.emit([word, self.counter[word]])",
            f"self.emit([word, self.counter[word]]); "
            f"print(word, file=open({str(counted)!r}, 'a'))",
        )
    )
    printed = project.sparse("run", "-t", "6", "-o", "topology.max.spout.pending=10")
    assert sorted(set(counted.read_text().split())) == WORDS, printed
    note("streamparse", VERSION, "sparse run")


def test_the_stand_in_for_leiningen_packs_resources_and_nothing_else(tmp_path):
    project = Project(tmp_path / "wordcount")
    printed = project.sparse("jar", "-s")
    jar = Path(re.search(r"JAR created: (\S+)", printed)[1])
    with zipfile.ZipFile(jar) as archive:
        names = set(archive.namelist())
    assert {"resources/bolts/wordcount.py", "resources/spouts/words.py"} <= names
    assert all(name.startswith("resources/") for name in names)

    refused = subprocess.run([STAND_INS / "lein", "deploy"], capture_output=True, text=True)
    assert refused.returncode == 1 and "lein uberjar" in refused.stderr
    note("streamparse", VERSION, "sparse quickstart", "sparse jar")
