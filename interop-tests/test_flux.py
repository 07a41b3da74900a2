"""`stormwire flux`: topologies that YAML files describe, run here, submitted, or only shown."""

import json
import os
import signal
import subprocess
import zipfile

import pytest

import peers
from cluster import PROGRAM, eventually
from topologies import (
    Builder,
    arrive,
    component_files,
    counts,
    jar,
    kill,
    lines_of,
    words,
    words_files,
)

SHELL = "org.apache.storm.flux.wrappers"


@pytest.fixture
def peer():
    return peers.ThriftPy2()


def flux(directory, *arguments, code=0, environment=None, command=("flux",)):
    """Runs `stormwire flux` in a directory; returns (standard output, standard error)."""
    ran = subprocess.run(
        [PROGRAM, *map(str, [*command, *arguments])],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=directory,
        env={**os.environ, "STORM_CONF_DIR": str(directory), **(environment or {})},
    )
    assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout, ran.stderr


def at(cluster):
    host, port = cluster.nimbus
    return "--nimbus", f"{host}:{port}"


def write_jar(path, files, others=None):
    """A jar with files below resources/, and others where their names say."""
    path.write_bytes(jar(files))
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in (others or {}).items():
            archive.writestr(name, text)
    return path


def words_yaml(name, totals, done):
    """The word count of topologies.words, as Flux writes one."""
    return f"""
name: "{name}"
config:
  topology.workers: 1
components:
  - id: "wordFields"
    className: "org.apache.storm.tuple.Fields"
    constructorArgs:
      - ["word", "number", "position"]
spouts:
  - id: "lines"
    className: "{SHELL}.spouts.FluxShellSpout"
    constructorArgs:
      - ["python3", "lines.py"]
      - ["number", "line"]
    configMethods:
      - name: "setNamedStream"
        args: ["done", ["lines", "replays"]]
bolts:
  - id: "split"
    className: "{SHELL}.bolts.FluxShellBolt"
    constructorArgs:
      - ["python3", "split.py"]
      - ref: "wordFields"
    parallelism: 2
  - id: "count"
    className: "stormwire.CountOnce"
    constructorArgs: ["{totals}"]
    parallelism: 2
  - id: "done"
    className: "stormwire.FileSink"
    constructorArgs: ["{done}"]
streams:
  - name: "lines --> split"
    from: "lines"
    to: "split"
    grouping: {{type: SHUFFLE}}
  - from: "split"
    to: "count"
    grouping:
      type: FIELDS
      args: ["word"]
  - from: "lines"
    to: "done"
    grouping: {{type: SHUFFLE, streamId: "done"}}
"""


def reference(types, totals, done):
    """The same topology, built of Thrift's types."""
    topology = words(Builder(types), totals, done).topology
    for spec in [*topology.spouts.values(), *topology.bolts.values()]:
        spec.common.json_conf = None  # a class without settings of its own has none in Flux
    return topology


def test_dry_run_shows_and_checks_and_submits_nothing(tmp_path):
    file = tmp_path / "words.yaml"
    file.write_text(words_yaml("shown", "totals", "done"))
    told, warned = flux(tmp_path, "--dry-run", "--no-splash", file)
    lines = told.splitlines()
    for line in [
        "Topology Name: shown",
        f"lines [1] ({SHELL}.spouts.FluxShellSpout)",
        f"split [2] ({SHELL}.bolts.FluxShellBolt)",
        "split --FIELDS--> count",
        "topology.workers: 1",
    ]:
        assert line in lines, told
    assert warned == ""
    assert flux(tmp_path, "-d", "-q", file) == ("", "")
    file.write_text(words_yaml("no/name", "totals", "done"))
    _, told = flux(tmp_path, "-d", file, code=1)
    assert "no/name" in told


def test_remote_submits_the_topology_that_thrift_clients_build(cluster, peer, tmp_path):
    totals, done = tmp_path / "totals", tmp_path / "done"
    file = tmp_path / "words.yaml"
    file.write_text(words_yaml("flux-words", totals, done))
    scripts = write_jar(tmp_path / "words.jar", words_files())
    text = tmp_path / "text"
    text.write_text("to be or not to be\n" * 50)
    with peer.connect(cluster.nimbus) as nimbus:
        told, _ = flux(
            tmp_path,
            "--remote",
            "-q",
            file,
            "--jar",
            scripts,
            *at(cluster),
            "-c",
            f"words.file={text}",
        )
        assert told == "Submitted topology: flux-words\n"
        try:
            id = nimbus.getTopologySummaryByName("flux-words").id
            stored = nimbus.getUserTopology(id)
            expected = reference(peer.types, totals, done)
            # Nimbus adds to a component's settings what it resolved; the rest is as submitted.
            for ours, theirs in [(stored.spouts, expected.spouts), (stored.bolts, expected.bolts)]:
                assert ours.keys() == theirs.keys()
                for name, spec in ours.items():
                    twin = theirs[name]
                    objects = [
                        getattr(each, "spout_object", None) or each.bolt_object
                        for each in (spec, twin)
                    ]
                    assert objects[0] == objects[1], name
                    assert spec.common.streams == twin.common.streams, name
                    assert spec.common.inputs == twin.common.inputs, name
                    assert spec.common.parallelism_hint == twin.common.parallelism_hint, name
            conf = json.loads(nimbus.getTopologyConf(id))
            assert (conf["topology.workers"], conf["words.file"]) == (1, str(text))
            eventually("words are counted", lambda: counts(totals)[0] == 50 * 6)
            assert counts(totals)[1]["be"] == 100
            _, refused = flux(tmp_path, "-q", file, "--jar", scripts, *at(cluster), code=1)
            assert "flux-words is already alive" in refused
        finally:
            kill(peer, nimbus, "flux-words")


@pytest.mark.parametrize("verb", ["flux", "jar"])
def test_local_runs_python_components_to_the_end_of_its_sleep(tmp_path, verb):
    """As streamparse calls it, by `storm jar`: its options, its YAML."""
    out = tmp_path / "out"
    pulse = write_jar(tmp_path / "pulse.jar", component_files("pulse.py"))
    file = tmp_path / "pulse.yaml"
    file.write_text(
        f"""
bolts:
- className: stormwire.FileSink
  constructorArgs: ['{out}']
  id: sink
- className: org.apache.storm.flux.wrappers.bolts.LogInfoBolt
  constructorArgs: []
  id: log
config: {{pystorm.log.level: info, sudo_user: null, topology.acker.executors: 1, topology.workers: 1}}
name: pulse
spouts:
- className: {SHELL}.spouts.FluxShellSpout
  constructorArgs:
  - [python3, pulse.py]
  - [sequence]
  id: pulse
  parallelism: 1
streams:
- from: pulse
  grouping: {{streamId: default, type: SHUFFLE}}
  to: sink
- from: pulse
  grouping: {{streamId: default, type: SHUFFLE}}
  to: log
"""
    )
    environment = {"TMPDIR": str(tmp_path)}
    command = {"flux": ["flux", pulse], "jar": ["jar", pulse, "org.apache.storm.flux.Flux"]}[verb]
    for sleep_ms in (8_000, 40_000):  # the second one for a machine that is busy with other things
        told, shown = flux(
            tmp_path,
            *("--local", "--no-splash", "--sleep", sleep_ms, file),
            environment=environment,
            command=command,
        )
        if lines_of(out):
            break
    assert lines_of(out)[:3] == ["0", "1", "2"], (told, shown)
    assert "source: pulse:" in told and "[0]" in told, told
    assert "COMPONENT" in shown and "pulse" in shown, shown
    assert not list(tmp_path.glob("stormwire-*")), "its directory is gone"


def test_who_ends_a_run_while_it_starts_leaves_nothing_behind(tmp_path):
    (tmp_path / "words.yaml").write_text(words_yaml("early", tmp_path / "totals", tmp_path / "done"))
    environment = {**os.environ, "STORM_CONF_DIR": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = [PROGRAM, "flux", "--local", "words.yaml"]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while not list(tmp_path.glob("stormwire-local-*")):
        assert running.poll() is None, running.communicate()
    running.send_signal(signal.SIGINT)
    told = running.communicate(timeout=60)[1]
    assert running.returncode == 0, (running.returncode, told)
    assert not list(tmp_path.glob("stormwire-local-*")), told


def test_arguments_environment_and_directory_reach_the_child(cluster, peer, tmp_path):
    out = tmp_path / "out"
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name, path in component_files("surroundings.py").items():
        (scripts / name).write_bytes(path.read_bytes())
    (tmp_path / "flux.properties").write_text(f"name: told\nout={out}\nwords: [\"one\", \"two\"]\n")
    file = tmp_path / "told.yaml"
    file.write_text(
        f"""
name: "${{name}}"
includes:
  - {{resource: false, file: "sink.yaml", override: false}}
spouts:
  - id: spout
    className: {SHELL}.spouts.FluxShellSpout
    constructorArgs:
      - ["python3", "-u", "surroundings.py", "${{words[1]}}", "${{ENV-WORD}}"]
      - [arguments, directory, mode, path]
    properties:
      - {{name: env, value: {{MODE: quick, PATH: /of/its/own}}}}
"""
    )
    (tmp_path / "sink.yaml").write_text(
        """
bolts:
  - {id: sink, className: stormwire.FileSink, constructorArgs: ["${out}"]}
streams:
  - {from: spout, to: sink, grouping: {type: GLOBAL}}
"""
    )
    options = ["-f", "flux.properties", "-e", "--resources", "scripts", *at(cluster)]
    with peer.connect(cluster.nimbus) as nimbus:
        told, _ = flux(tmp_path, file, *options, environment={"WORD": "three"})
        assert "spout --GLOBAL--> sink" in told and told.endswith("Submitted topology: told\n")
        try:
            arrive(out, count=2)
            assert lines_of(out)[0].split("\t") == ["two three", "resources", "quick", "/of/its/own"]
        finally:
            kill(peer, nimbus, "told")


def test_a_child_may_run_in_its_workers_directory(cluster, peer, tmp_path):
    out = tmp_path / "out"
    script = tmp_path / "surroundings.py"
    for name, path in component_files("surroundings.py").items():
        (tmp_path / name).write_bytes(path.read_bytes())
    file = tmp_path / "away.yaml"
    file.write_text(
        f"""
name: away
spouts:
  - id: spout
    className: {SHELL}.spouts.FluxShellSpout
    constructorArgs: [[python3, "{script}"], [arguments, directory, mode, path]]
    configMethods: [{{name: changeChildCWD, args: [false]}}]
bolts:
  - {{id: sink, className: stormwire.FileSink, constructorArgs: ["{out}"]}}
streams:
  - {{from: spout, to: sink, grouping: {{type: SHUFFLE}}}}
"""
    )
    with peer.connect(cluster.nimbus) as nimbus:
        flux(tmp_path, file, "--inactive", *at(cluster))
        try:
            assert nimbus.getTopologySummaryByName("away").status == "INACTIVE"
            nimbus.activate("away")
            arrive(out, count=2)
            workers = {path.name for path in (cluster.local / "workers").iterdir()}
            assert lines_of(out)[0].split("\t")[1] in workers
        finally:
            kill(peer, nimbus, "away")


def test_yaml_properties_and_includes_out_of_the_jar(cluster, peer, tmp_path):
    out = tmp_path / "out"
    main = f"""
name: "${{name}}"
includes: [{{resource: true, file: "/conf/spout.yaml"}}]
bolts:
  - {{id: sink, className: stormwire.FileSink, constructorArgs: ["{out}"]}}
streams:
  - {{from: words, to: sink, grouping: {{type: CUSTOM, customClass: {{className: org.apache.storm.testing.NGrouping, constructorArgs: [1]}}}}}}
"""
    spout = "spouts: [{id: words, className: org.apache.storm.testing.TestWordSpout}]\n"
    others = {"main.yaml": main, "conf/spout.yaml": spout, "flux.properties": "name=packed\n"}
    packed = write_jar(tmp_path / "packed.jar", {}, others)
    with peer.connect(cluster.nimbus) as nimbus:
        flux(tmp_path, packed, "/main.yaml", "-R", "-f", "/flux.properties", *at(cluster))
        try:
            arrive(out, count=3)
            assert set(lines_of(out)) <= {"nathan", "mike", "jackson", "golda", "bertels"}
        finally:
            kill(peer, nimbus, "packed")
    _, told = flux(tmp_path, packed, "/absent.yaml", "-R", code=1)
    assert "absent.yaml" in told


def test_what_takes_a_jvm_is_named_with_file_and_line(tmp_path):
    file = tmp_path / "kafka.yaml"
    file.write_text(
        """name: kafka
spouts:
  - id: kafka-spout
    className: org.apache.storm.kafka.spout.KafkaSpout
"""
    )
    for options in ([], ["--local"], ["--dry-run"]):
        out, told = flux(tmp_path, *options, "kafka.yaml", code=1)
        assert out == ""
        (line,) = told.splitlines()
        assert line.startswith("stormwire: kafka.yaml: line 3: spouts: kafka-spout: ")
        assert "org.apache.storm.kafka.spout.KafkaSpout" in line and "FluxShellBolt" in line


def test_wrong_use_is_told(tmp_path):
    flux(tmp_path, code=2)
    flux(tmp_path, "--local", "--remote", "t.yaml", code=2)
    _, told = flux(tmp_path, "absent.yaml", code=1)
    assert "absent.yaml" in told
    (tmp_path / "open.yaml").write_text("name: [\n")
    _, told = flux(tmp_path, "open.yaml", code=1)
    assert "open.yaml: line " in told
    (tmp_path / "unnamed.yaml").write_text(
        "spouts: [{id: a, className: stormwire.ConstSpout}]\n"
    )
    _, told = flux(tmp_path, "-d", "unnamed.yaml", code=1)
    assert "name:" in told
