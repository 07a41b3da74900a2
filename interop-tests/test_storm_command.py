"""Every verb of Storm's command line, as users script it: this program called as `storm`.

Where Storm's own command can be run (its classes, a JVM), both must print the same. What the
commands do is looked up on the cluster by a client that is not ours.
"""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import zipfile

import pytest

import functions
import java
import peers
from cluster import PROGRAM, ROOT, Cluster, eventually, free_ports
from storm_command import Storm, both, said
from table import note
from topologies import (
    Builder,
    arrive,
    component_files,
    jar,
    kill,
    pulse,
    pulse_files,
    rests,
    running,
)

CLIENT_JARS = ROOT / "interop-tests/.env/genuine/lib"
NAME = "storm (command line)"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A cluster without other tests' topologies and blobs, since both clients list all of them."""
    with Cluster(tmp_path_factory.mktemp("storm"), slots=6) as cluster:
        yield cluster
        cluster.stop()


@pytest.fixture
def storm(own, tmp_path):
    return Storm(tmp_path, own)


@pytest.fixture
def peer():
    return peers.ThriftPy2()


@pytest.fixture
def nimbus(own, peer):
    with peer.connect(own.nimbus) as client:
        yield client


def noted(*operations):
    note(NAME, f"as of Storm {java.versions()['storm-client']}", *operations)


# ---- What changes topologies ---------------------------------------------------------------------


def without_uptime(lines):
    """Seconds go on between two looks; the rest of a row is the same to the last blank."""
    return [re.sub(r"(ACTIVE +\d+ +\d+ +)\d+ ( *)", r"\1N", line).rstrip() for line in lines]


def test_list(own, storm, peer, nimbus, tmp_path):
    assert both(storm, ["list"], "ListTopologies") == ["No topologies running."]
    out = tmp_path / "out"
    files = pulse_files()
    long = "a-name-that-is-longer-than-its-column"
    with (
        running(peer, nimbus, "words", pulse(Builder(peer.types), out), files) as id,
        running(peer, nimbus, long, pulse(Builder(peer.types), tmp_path / "o"), files) as long_id,
    ):
        eventually("both are placed", lambda: len(own.workers()) == 2)
        ours = said(storm("list").stdout)
        theirs = said(storm.genuine("ListTopologies").stdout)
        assert without_uptime(ours) == without_uptime(theirs)
        assert ours[0].split()[0] == "Topology_name" and set(ours[1]) == {"-"}
        # What scripts do with it: awk.
        rows = {row[0]: row for row in map(str.split, ours[2:])}
        assert rows["words"][1:4] == ["ACTIVE", "3", "1"] and rows["words"][5] == id
        assert rows[long][5] == long_id
        # In a terminal ours is for people; piped it is the same table as `storm list`.
        host, port = own.nimbus
        piped = subprocess.run(
            [PROGRAM, "list", "--nimbus", f"{host}:{port}"], capture_output=True, text=True
        )
        assert without_uptime(piped.stdout.splitlines()) == without_uptime(ours)
    noted("list")


def test_activate_deactivate_rebalance_kill(own, storm, peer, nimbus, tmp_path):
    out = tmp_path / "out"

    def status():
        return nimbus.getTopologySummaryByName("steered").status

    with running(peer, nimbus, "steered", pulse(Builder(peer.types), out), pulse_files()) as id:
        arrive(out)
        told = both(storm, ["deactivate"], "Deactivate", "steered")
        assert told == ["[main] INFO  o.a.s.c.Deactivate - Deactivated topology: steered"]
        assert status() == "INACTIVE"
        eventually("its spout rests", lambda: rests(out))
        (told,) = said(storm("activate", "steered").stdout)
        assert told == "[main] INFO  o.a.s.c.Activate - Activated topology: steered"
        assert status() == "ACTIVE"
        arrive(out)
        (told,) = said(storm("rebalance", "steered", "-w", 0, "-n", 2, "-e", "sink=1").stdout)
        assert told.endswith("o.a.s.c.Rebalance - Topology steered is rebalancing")
        eventually("two workers", lambda: len(own.workers(id)) == 2 and status() == "ACTIVE")
        (told,) = said(storm("kill", "steered", "-w", 1).stdout)
        assert told == "[main] INFO  o.a.s.c.KillTopology - Killed topology: steered"
        assert status() == "KILLED"
        eventually("it is gone", lambda: nimbus.isTopologyNameAllowed("steered"))
    both(storm, ["kill"], "KillTopology", "ghost")
    for verb in ("kill", "activate", "deactivate", "rebalance"):
        refused = storm(verb, "ghost", code=1).stderr
        assert refused == 'Exception in thread "main" NotAliveException(msg:ghost is not alive)\n'
    storm("kill", "-i", "ghost", "spirit", code=1)
    noted("activate", "deactivate", "rebalance", "kill")


def test_options_may_stand_anywhere(own, storm, tmp_path):
    """As scripts write them: `-c nimbus.host=H` of old, before the verb or behind it."""
    host, port = own.nimbus
    alone = {"STORM_CONF_DIR": str(tmp_path / "nowhere"), "HOME": str(tmp_path / "nowhere")}
    place = ["-c", f"nimbus.host={host}", "-c", f"nimbus.thrift.port={port}"]
    listed = "No topologies running.\n"
    assert storm("list", *place, environment=alone).stdout == listed
    assert storm(*place, "list", environment=alone).stdout == listed
    joined = ["-storm_config_opts", f"nimbus.host={host}", f"-cnimbus.thrift.port={port}"]
    assert storm("list", *joined, environment=alone).stdout == listed
    file = tmp_path / "other.yaml"
    file.write_text(f"nimbus.seeds: [{host}]\nnimbus.thrift.port: {port}\n")
    assert storm("list", "--config", file, environment=alone).stdout == listed
    assert storm("--config", file, "blobstore", "list", environment=alone).stdout == ""


def test_usage_errors_have_storm_s_exit_codes(storm):
    assert "Usage: storm" in storm(code=1).stderr
    for arguments in [
        ["frobnicate"],
        ["kill"],
        ["kill", "x", "-w", "-1"],
        ["kill", "x", "-w", "soon"],
        ["rebalance", "x", "-n", "0"],
        ["blobstore", "burn", "x"],
        ["monitor", "x", "-i", "0"],
        ["monitor", "x", "-w", "lost"],
        ["localconfvalue"],
    ]:
        assert "--help" in storm(*arguments, code=2).stderr, arguments
    assert "blobstore" in storm("help").stdout
    assert "--wait" in storm("kill", "--help").stdout


# ---- What looks at topologies --------------------------------------------------------------------


def test_get_errors_and_monitor(own, storm, peer, nimbus, tmp_path):
    assert both(storm, ["get-errors"], "GetErrors", "ghost") == [
        '{"Failure":"No topologies running with name ghost"}'
    ]
    builder = Builder(peer.types)
    builder.spout("pulse", builder.python("pulse.py"), {"default": ["sequence"]})
    builder.bolt("moody", builder.python("moody.py"), {"pulse": builder.shuffle()})
    files = component_files("pulse.py", "moody.py")
    with running(peer, nimbus, "ailing", builder, files, {"moody.do": "die"}):

        def errors():
            return json.loads(storm("get-errors", "ailing").stdout)["Comp-Errors"]

        eventually("an error is there", lambda: "the disk is on fire" in errors().get("moody", ""))
        # The child dies again and again, each time as another process.
        ours, theirs = storm("get-errors", "ailing").stdout, storm.genuine("GetErrors", "ailing")
        assert without_pid(said(ours)) == without_pid(said(theirs.stdout))
        assert json.loads(ours)["Topology Name"] == "ailing"

        ours, theirs = storm("monitor", "ailing").stdout, storm.genuine("Monitor", "ailing")
        assert sorted(said(ours)) == sorted(said(theirs.stdout)) and "pulse" in said(ours)
        assert "component: nobody not found" in storm("monitor", "ailing", "-m", "nobody", code=1).stderr
        head, first, second = figures(storm, "ailing", "-i", "1", "-m", "pulse")
        assert head == [
            *("topology", "component", "parallelism", "stream", "time-diff ms"),
            *("emitted", "throughput (Kt/s)"),
        ]
        for figure in (first, second):
            assert figure[:4] == ["ailing", "pulse", "1", "default"]
            assert int(figure[5]) >= 0 and float(figure[6]) >= 0
        # As in Storm: first all there ever was, in no time.
        assert int(first[5]) > 0 and (first[4], first[6]) == ("0", "0.0")
    refused = storm("monitor", "ghost", "-m", "x", code=1).stderr
    assert "NotAliveException(msg:ghost is not alive)" in refused
    noted("get-errors", "monitor")


def without_pid(lines):
    return [re.sub(r"child \d+", "child N", line) for line in lines]


def figures(storm, *arguments):
    """The head and the first two lines of `monitor`, which never ends by itself."""
    process = subprocess.Popen(
        [storm.program, "monitor", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=storm.environment,
    )
    try:
        return [process.stdout.readline().rstrip("\n").split("\t") for _ in range(3)]
    finally:
        process.kill()
        process.wait()


def test_set_log_level_and_upload_credentials(own, storm, peer, nimbus, tmp_path):
    out = tmp_path / "out"
    with running(peer, nimbus, "tuned", pulse(Builder(peer.types), out), pulse_files()) as id:
        arguments = ["tuned", "-l", "ROOT=DEBUG:30"]
        (told,) = both(storm, ["set_log_level"], "SetLogLevel", *arguments)
        assert "o.a.s.c.SetLogLevel - Log config LogConfig(" in told
        levels = nimbus.getLogConfig(id).named_logger_level
        assert levels["ROOT"].target_log_level == "DEBUG"
        storm("set_log_level", "tuned", "-r", "ROOT")
        eventually("it is taken back", lambda: nimbus.getLogConfig(id).named_logger_level == {})
        assert "LOUD" in storm("set_log_level", "tuned", "-l", "ROOT=LOUD", code=1).stderr
        storm("set_log_level", "ghost", "-l", "ROOT=INFO", code=1)

        (told,) = both(storm, ["set_log_level"], "SetLogLevel", "tuned", "-l", "ROOT=INFO")
        assert ", reset_log_level_timeout_secs:0" in told
        basis, told = said(storm("upload-credentials", "tuned", "white", "whale").stdout)
        assert basis.endswith(f"Using topology conf from {id} as basis for getting new creds")
        assert told.endswith("o.a.s.c.UploadCredentials - Uploaded new creds to topology: tuned")
        storm("upload-credentials", "tuned", "-e", code=1)
        storm("upload-credentials", "tuned")
        storm("upload-credentials", "tuned", "odd", code=1)
        storm("upload-credentials", "ghost", "a", "b", code=1)
    noted("set_log_level", "upload-credentials")


def test_drpc_client(own, storm, peer, nimbus):
    builder = Builder(peer.types)
    functions.direct(builder, "shout", builder.python("exclaim.py"))
    with running(peer, nimbus, "called", builder, component_files("exclaim.py")):
        functions.call(own.addresses["drpc"], "shout", "warm")
        assert both(storm, ["drpc-client"], "BasicDrpcClient", "shout", "a b") == [
            'shout "a b" => "a b!!!"'
        ]
        assert storm("drpc-client", "-f", "shout", "a", "b").stdout.count("=>") == 2
        assert "argument" in storm("drpc-client", "shout", code=1).stderr
    noted("drpc-client")


# ---- Blobs ---------------------------------------------------------------------------------------


def test_blobstore(own, storm, nimbus, tmp_path):
    content = os.urandom(300_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    arguments = ["data.tgz", "-f", source, "-a", "u:alice:rwa,o::rwa", "-r", 1]
    asked, told = said(storm("blobstore", "create", *arguments).stdout)
    assert asked.endswith(" - Creating data.tgz with ACL [u:alice:rwa, o::rwa]")
    assert told == "[main] INFO  o.a.s.c.Blobstore - Successfully created data.tgz"
    assert len(both(storm, ["blobstore", "list"], "Blobstore")) == 1
    (told,) = both(storm, ["blobstore", "list"], "Blobstore", "ghost")
    assert told == "[main] ERROR o.a.s.c.Blobstore - ghost NOT FOUND"
    storm("blobstore", "create", "none", "-r", 0, code=2)
    assert len(said(storm("blobstore", "list", "data.tgz").stdout)) == 1
    copy = tmp_path / "copy"
    storm("blobstore", "cat", "data.tgz", "-f", copy)
    assert copy.read_bytes() == content
    storm("blobstore", "create", "piped", "-a", "o::rwa", text="from a pipe")
    assert both(storm, ["blobstore", "cat"], "Blobstore", "piped") == ["from a pipe"]
    storm("blobstore", "update", "piped", text="more")
    assert storm("blobstore", "cat", "piped").stdout == "more"
    both(storm, ["blobstore", "set-acl"], "Blobstore", "-s", "u:bob:r,o::rwa", "piped")
    acl = nimbus.getBlobMeta("piped").settable.acl
    assert sorted(entry.name or "" for entry in acl) == ["", "bob"]
    both(storm, ["blobstore", "replication"], "Blobstore", "--read", "piped")
    storm("blobstore", "replication", "--update", "-r", 1, "piped")
    refused = storm("blobstore", "cat", "ghost", code=1).stderr
    assert "KeyNotFoundException(msg:ghost)" in refused
    refused = storm("blobstore", "create", "piped", code=1, text="x").stderr
    assert "KeyAlreadyExistsException" in refused
    (told,) = said(storm("blobstore", "delete", "piped").stdout)
    assert told == "[main] INFO  o.a.s.c.Blobstore - deleted piped"
    storm("blobstore", "delete", "data.tgz")
    assert storm("blobstore", "list").stdout == ""
    noted("blobstore list, cat, create, update, delete, set-acl, replication")


def on_a_terminal(command, environment, source):
    """What a command writes to a terminal on which it runs; its standard input is a file."""
    master, slave = pty.openpty()
    with source.open("rb") as stdin:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=slave, stderr=slave, env=environment, close_fds=True
        )
    os.close(slave)
    shown = b""
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        try:
            part = os.read(master, 65_536) if ready else b""
        except OSError:  # the terminal's other end is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.wait(timeout=60) == 0, shown
    return shown.decode(errors="replace")


def test_long_uploads_show_a_bar_on_a_terminal_only(own, storm, nimbus, tmp_path):
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(os.urandom(3_000_000))
    small.write_bytes(b"small")
    create = [storm.program, "blobstore", "create"]
    environment = {**storm.environment, "TERM": "xterm"}
    for key, source, is_shown in [("small", small, False), ("large", large, True)]:
        shown = on_a_terminal([*create, key, "-f", str(source)], environment, source)
        assert ("upload" in shown) is is_shown, shown
        assert f"Successfully created {key}" in shown
        if is_shown:
            assert re.search(r"[0-9.]+ [KM]iB/2\.86 MiB", shown), shown
    piped = storm("blobstore", "create", "piped-large", "-f", large)
    assert piped.stderr == "" and "upload" not in piped.stdout
    for key in ("small", "large", "piped-large"):
        storm("blobstore", "delete", key)


# ---- Submitting ----------------------------------------------------------------------------------


def java_jar(path):
    """What a Java user builds: the class, and the scripts of its shell components."""
    files = component_files("pulse.py")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        name = "stormwire/interop/ShellTopology.class"
        archive.write(java.BUILT / "target/classes" / name, name)
        for each in ("", "$Spout", "$Bolt"):
            name = f"stormwire/interop/Remote{each}.class"
            archive.write(java.BUILT / "target/classes" / name, name)
        for name, source in files.items():
            archive.write(source, f"resources/{name}")
    return path


MAIN = "stormwire.interop.ShellTopology"


def test_jar_runs_a_java_main_class(own, storm, peer, nimbus, tmp_path):
    """Its StormSubmitter finds jar, options and Nimbus; the shell components run; its code is ours."""
    packed = java_jar(tmp_path / "topology.jar")
    out = tmp_path / "out"
    options = ["-c", "topology.workers=1", "-c", 'topology.note="a, b {c}"', "--client-jars"]
    ran = storm("jar", packed, MAIN, *options, CLIENT_JARS, "from-java", out, 7, code=7)
    try:
        assert f"arguments: from-java {out} 7" in ran.stdout
        id = nimbus.getTopologySummaryByName("from-java").id
        conf = json.loads(nimbus.getTopologyConf(id))
        assert conf["topology.note"] == "a, b {c}" and conf["topology.workers"] == 1
        arrive(out)
    finally:
        kill(peer, nimbus, "from-java")
    # By STORM_HOME, as a release is laid out; options of the JVM from the environment.
    home = tmp_path / "release"
    home.mkdir()
    (home / "lib-worker").symlink_to(CLIENT_JARS)
    environment = {"STORM_HOME": str(home), "STORM_JAR_JVM_OPTS": "-Da='b c' -Xlog:all=error:stdout"}
    storm("jar", packed, MAIN, "by-home", out, 0, environment=environment)
    kill(peer, nimbus, "by-home")
    shown = storm("classpath", environment=environment).stdout
    assert str(home / "lib-worker/*") in shown
    # The name is taken: what the main class throws is its own business, and the code is Java's.
    noted("jar (a Java main class)")


def test_a_java_main_class_needs_what_the_error_names(storm, tmp_path):
    packed = java_jar(tmp_path / "topology.jar")
    refused = storm("jar", packed, MAIN, code=1).stderr
    for text in ("STORM_HOME", "--client-jars", "org.apache.storm:storm-client:2.8.3"):
        assert text in refused
    environment = {"JAVA_HOME": str(tmp_path / "no-java")}
    refused = storm("jar", packed, MAIN, code=1, environment=environment).stderr
    assert "JAVA_HOME" in refused
    environment = {"PATH": str(tmp_path)}
    assert "install a JDK" in storm("jar", packed, MAIN, code=1, environment=environment).stderr
    assert "no such jar" in storm("jar", "/nowhere.jar", MAIN, code=1).stderr
    assert "--artifacts" in storm("jar", packed, MAIN, "--artifacts", "a:b:1", code=1).stderr
    assert "JVM" in storm("local", packed, MAIN, code=1).stderr


def test_variables_of_storm_env_ini(own, storm, tmp_path):
    """They count before those of the shell, and for all that the command starts: a JVM, a shell's program."""
    packed = java_jar(tmp_path / "topology.jar")
    ini = storm.directory / "storm_env.ini"

    def tells(text, code, environment=None):
        ini.write_text(text)
        return storm("jar", packed, MAIN, code=code, environment=environment).stderr

    nowhere = str(tmp_path / "no-java")
    told = tells(f"# ours\n[environment]\nJAVA_HOME: {nowhere}\n", 1, {"JAVA_HOME": "/of/the/shell"})
    assert nowhere in told and "/of/the/shell" not in told
    # Options of the JVM: of the file, not of the shell, whose option Java would refuse.
    home = tmp_path / "release"
    home.mkdir()
    (home / "lib-worker").symlink_to(CLIENT_JARS)
    text = f"[environment]\nSTORM_HOME={home}\nSTORM_JAR_JVM_OPTS = -XX:+NoSuchThing\n"
    ini.write_text(text)
    ran = storm("jar", packed, MAIN, code=1, environment={"STORM_JAR_JVM_OPTS": "-Dfine=1"})
    assert "NoSuchThing" in ran.stdout + ran.stderr
    # What a command starts has them, and arguments arrive as they were.
    ini.write_text("[environment]\nWEATHER: 20%% rain\nPATH_OF_OURS=a:b=c\n")
    show = storm.directory / "show.py"
    show.write_text("import os, sys; print(os.environ['WEATHER'], os.environ['PATH_OF_OURS'], sys.argv[1:-3])")
    (tmp_path / "resources").mkdir()
    shown = storm("shell", tmp_path / "resources", "python3", show, "-x", "a b", "").stdout
    assert "20% rain a:b=c ['-x', 'a b', '']" in shown, shown
    # What it cannot read it names.
    for text, said_of in [
        ("JAVA_HOME: /x\n", "[environment]"),
        ("[environment]\nA: %(B)s\n", "the value of A"),
        ("[environment]\nno value\n", "line 2"),
    ]:
        told = tells(text, 1)
        assert "storm_env.ini" in told and said_of in told, told
    # The script comes first, and what it exports goes on.
    ini.write_text("[environment]\nWEATHER: sun\n")
    script = storm.directory / "storm-env.sh"
    script.write_text('export WEATHER=hail PATH_OF_OURS="$(echo of the script)"\n')
    shown = storm("shell", tmp_path / "resources", "python3", show, "*", "a 'b").stdout
    assert """sun of the script ['*', "a 'b"]""" in shown, shown
    script.write_text("exit 7\n")
    storm("version", code=7)
    script.unlink()
    # Of no account by the other name, nor in the directory one works in.
    ini.write_text("[environment]\nno value\n")
    ran = subprocess.run([PROGRAM, "version"], env=storm.environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    environment = {key: value for key, value in storm.environment.items() if key != "STORM_CONF_DIR"}
    ran = subprocess.run(
        [storm.program, "version"], env=environment, cwd=storm.directory, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


SUBMIT = """
import json, sys
import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.transport import TFramedTransportFactory

idl, name, out, host, port, location = sys.argv[1:]
storm = thriftpy2.load(idl, "storm_thrift")
nimbus = make_client(storm.Nimbus, host, int(port), proto_factory=TBinaryProtocolFactory(),
                     trans_factory=TFramedTransportFactory(), timeout=20_000)
python = storm.ComponentObject(shell=storm.ShellComponent("python3", "pulse.py"))
sink = storm.ComponentObject(java_object=storm.JavaObject(
    "stormwire.FileSink", [storm.JavaObjectArg(string_arg=out)]))
streams = {"default": storm.StreamInfo(["sequence"], False)}
spout = storm.SpoutSpec(python, storm.ComponentCommon({}, streams, 1))
inputs = {storm.GlobalStreamId("pulse", "default"): storm.Grouping(shuffle=storm.NullStruct())}
bolt = storm.Bolt(sink, storm.ComponentCommon(inputs, {}, 1))
nimbus.submitTopology(name, location, "{}", storm.StormTopology({"pulse": spout}, {"sink": bolt}, {}))
sys.exit(5)
"""


def test_shell_uploads_and_calls(own, storm, peer, nimbus, tmp_path):
    """C 2.3, K 9: the program's last arguments are host, port and the jar's place."""
    resources = tmp_path / "resources"
    resources.mkdir()
    for name, source in pulse_files().items():
        (resources / name).write_bytes(source.read_bytes())
    script = tmp_path / "submit.py"
    script.write_text(SUBMIT)
    out = tmp_path / "out"
    idl = ROOT / "thrift/storm.thrift"
    storm("shell", resources, sys.executable, script, idl, "by-shell", out, code=5)
    try:
        assert nimbus.getTopologySummaryByName("by-shell").status == "ACTIVE"
        arrive(out)
    finally:
        kill(peer, nimbus, "by-shell")
    leader = nimbus.getLeader()
    shown = storm("shell", resources, "echo", "-n", "--flag").stdout.split()
    assert shown[:3] == ["--flag", leader.host, str(leader.port)]
    assert "cannot read" in storm("shell", "/nowhere", "echo", code=1).stderr
    assert "no-such-program" in storm("shell", resources, "no-such-program", code=1).stderr
    noted("shell")


# ---- This machine --------------------------------------------------------------------------------


def test_settings_version_and_class_path(storm, tmp_path):
    assert storm("localconfvalue", "nimbus.seeds").stdout == "nimbus.seeds: 127.0.0.1\n"
    assert storm("remoteconfvalue", "ui.port", "-c", "ui.port=81").stdout == "ui.port: 81\n"
    assert storm("localconfvalue", "no.such.key").stdout == "no.such.key: null\n"
    for key in ("topology.max.spout.pending", "supervisor.slots.ports", "storm.thrift.transport"):
        ours = storm("localconfvalue", key).stdout.split(": ", 1)[1]
        theirs = storm.genuine("ConfigValue", key).stdout.splitlines()[-1].split(": ", 1)[1]
        assert ours == f"{theirs}\n"
    assert re.match(r"Storm \d+(\.\d+)+\n", storm("version").stdout)
    assert "storm-client" in storm("classpath", code=1).stderr
    noted("localconfvalue, remoteconfvalue", "version", "classpath, server_classpath")


def test_node_health_check(storm, tmp_path):
    scripts = tmp_path / "checks"
    scripts.mkdir()
    place = ["-c", f"storm.health.check.dir={scripts}"]
    assert "succeeded" in storm("node-health-check", *place).stdout

    def script(name, text):
        (scripts / name).write_text(f"#!/bin/sh\n{text}\n")
        (scripts / name).chmod(0o755)

    script("disk", "echo all is well")
    told = storm("healthcheck", *place).stdout
    assert f"[ {scripts}/disk ] exited with status: success" in told
    script("memory", "echo ERROR: none left")
    told = storm("node-health-check", *place, code=1).stdout
    assert f"[ {scripts}/memory ] exited with status: failed" in told and "failed!!!" in told
    noted("node-health-check")


def test_an_unfit_supervisor_ends_with_its_workers(own_cluster, peer, tmp_path):
    """C 2.3: what Storm's supervisor does, whose watcher decides what then."""
    scripts = tmp_path / "checks"
    scripts.mkdir()
    settings = {"storm.health.check.dir": str(scripts), "stormwire.health.check.secs": 1}
    cluster = own_cluster(slots=2, settings=settings)
    out = tmp_path / "out"
    with peer.connect(cluster.nimbus) as nimbus:
        builder = pulse(Builder(peer.types), out)
        options = peer.types.SubmitOptions(
            initial_status=peer.types.TopologyInitialStatus.ACTIVE
        )
        location = nimbus.beginFileUpload()
        nimbus.uploadChunk(location, jar(pulse_files()))
        nimbus.finishFileUpload(location)
        nimbus.submitTopologyWithOpts("unfit", location, "{}", builder.topology, options)
    arrive(out)
    (scripts / "disk").write_text("#!/bin/sh\nexit 1\n")
    (scripts / "disk").chmod(0o755)
    assert cluster.process.wait(timeout=60) == 1
    assert cluster.processes() == {} and "not fit" in cluster.log.read_text()


def test_kill_workers(own_cluster, peer, tmp_path):
    cluster = own_cluster(slots=2)
    storm = Storm(tmp_path, cluster)
    out = tmp_path / "out"
    told = storm("kill_workers").stdout
    assert told.startswith("no workers run here: ") and "(storm.local.dir)" in told, told
    with (
        peer.connect(cluster.nimbus) as nimbus,
        running(peer, nimbus, "shot", pulse(Builder(peer.types), out), pulse_files()) as id,
    ):
        arrive(out)
        (before,) = cluster.workers(id)
        told = storm("kill_workers").stdout
        assert told == f"killed the worker of {id} on port {before.port}\n"
        eventually("another one", lambda: [w for w in cluster.workers(id) if w.pid != before.pid])
        arrive(out)
    noted("kill_workers")


def test_admin(own, storm, peer, nimbus, tmp_path):
    out = tmp_path / "out"
    with running(peer, nimbus, "looked-at", pulse(Builder(peer.types), out), pulse_files()) as id:
        eventually("it is placed", lambda: own.workers(id))
        assert "pulse.py" in storm("admin", "print_topo", id).stdout
        assert "shows the ids" in storm("admin", "print_topo", "looked-at", code=3).stderr
        (supervisor,) = nimbus.getClusterInfo().supervisors
        assert supervisor.supervisor_id in storm("admin", "print_super").stdout
        assert storm("admin", "print_super", "nobody").stdout == ""
        assert str(own.workers(id)[0].port) in storm("admin", "print_assignment", id).stdout
        assert "lack blobs: []" in storm("admin", "remove_corrupt_topologies").stdout
        assert nimbus.getTopologySummaryByName("looked-at").status == "ACTIVE"
    assert "NotAliveException" in storm("admin", "print_topo", "ghost", code=3).stderr
    assert "no ZooKeeper" in storm("admin", "zk_cli", code=3).stderr
    assert "credentials" in storm("admin", "creds", "x", code=3).stderr
    noted("admin print_topo, print_super, print_assignment, remove_corrupt_topologies")


def test_what_is_not_there_is_refused_by_name(storm):
    for verb, text in [
        (["sql", "file.sql", "name"], "SQL"),
        (["heartbeats", "list", "/"], "Pacemaker"),
        (["repl"], "Clojure"),
    ]:
        assert text in storm(*verb, code=1).stderr


@pytest.mark.parametrize(
    "verb, key", [("dev-zookeeper", "storm.zookeeper.port"), ("pacemaker", "pacemaker.port")]
)
def test_a_daemon_that_nothing_needs_stays_and_does_nothing(storm, verb, key):
    """Scripts wait for its port, and watchers would start it again and again if it ended."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [storm.program, verb, "-c", f"{key}={port}"],
        stdout=subprocess.PIPE,
        text=True,
        env=storm.environment,
    )
    try:
        assert "is needed" in process.stdout.readline()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            assert connection.recv(1) == b""
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
