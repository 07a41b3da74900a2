"""Topologies as programs of their own, on real processes: run here, submitted to a cluster, refused.

The programs are the project's examples and `programs/`, of STORMWIRE_EXAMPLES or else built beside
the program under test.
"""

import io
import json
import os
import signal
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

import peers
import secured
from cluster import PROGRAM, ROOT, Cluster, eventually, tail
from contract import rules
from topologies import Builder, kill, upload

PROGRAMS = Path(os.environ.get("STORMWIRE_EXAMPLES", PROGRAM.parent / "examples"))
OWN = "stormwire.Program"
MANIFEST = "stormwire/manifest.json"


@pytest.fixture
def peer():
    return peers.ThriftPy2()


def program(name):
    path = PROGRAMS / name
    assert path.is_file(), f"{path} is missing: cargo build --examples, or name STORMWIRE_EXAMPLES"
    return path


def run(name, *arguments, code=0, directory="/"):
    """Runs a program's command to its end; returns (standard output, standard error)."""
    ran = subprocess.run(
        [program(name), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "STORM_CONF_DIR": str(directory)},
    )
    assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout, ran.stderr


def submit(cluster, name, *arguments, code=0):
    address = "{}:{}".format(*cluster.nimbus)
    return run(
        name, "submit", "--nimbus", address, *arguments, code=code, directory=cluster.directory
    )


def platform():
    told = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    return next(line.split()[1] for line in told.splitlines() if line.startswith("host:"))


def wire_version():
    link = (ROOT / "src/messaging/link.rs").read_text()
    line = next(line for line in link.splitlines() if "const WIRE_VERSION" in line)
    return int(line.rpartition("=")[2].strip(" ;"))


def packed(entries, declared=None, mode=stat.S_IFREG | 0o644):
    """A zip; `declared` is the size that the directory claims of each program."""
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
            if declared and name != MANIFEST:
                archive.infolist()[-1].file_size = declared
    return jar.getvalue()


def with_own_code(peer):
    """The smallest topology that needs its program: a spout."""
    component = peer.types.ComponentObject(
        java_object=peer.types.JavaObject(full_class_name=OWN, args_list=[])
    )
    return Builder(peer.types).spout("names", component, {"default": ["name"]}).topology


def workers_of(cluster, nimbus, name):
    return cluster.workers(nimbus.getTopologySummaryByName(name).id)


def executable(pid):
    return os.readlink(f"/proc/{pid}/exe")


def test_a_program_runs_its_topology_here_and_ends_with_it(tmp_path):
    out = (tmp_path / "out").open("w+b")
    err = (tmp_path / "err").open("w+b")
    running = subprocess.Popen(
        [program("exclamation"), "--seconds", "600"],
        stdout=out,
        stderr=err,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    printed = tmp_path / "out"
    try:
        # Components print what they print; the grouping of its own has sent each initial somewhere.
        for word in ["nathan!!!!!!", "mike!!!!!!", "BERTELS!!!"]:
            eventually(f"{word} is printed", lambda: word in printed.read_text(), 90)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 0, tail(tmp_path / "err")
    finally:
        running.kill()
    lines = [line for line in printed.read_text().splitlines() if "nathan!!!!!!" in line]
    assert len({line.partition(":")[0] for line in lines}) == 1, lines
    told = (tmp_path / "err").read_text()
    assert "COMPONENT" in told and "exclaim" in told, told
    assert not list(tmp_path.glob("stormwire-*")), "its directory is gone"


def test_a_program_submits_itself_and_is_what_runs(own_cluster, peer):
    cluster = own_cluster(slots=2)
    with peer.connect(cluster.nimbus) as nimbus:
        told = submit(cluster, "exclamation", "--name", "loud", "-c", "topology.workers=2")[0]
        assert told == "Submitted topology: loud\n"
        topology = nimbus.getTopologySummaryByName("loud").id
        eventually("it prints", lambda: "mike!!!!!!" in cluster.worker_log(topology), 90)
        before = {worker.pid for worker in workers_of(cluster, nimbus, "loud")}
        assert len(before) == 2
        own = cluster.local / "supervisor/stormdist" / topology / "stormwire/worker"
        assert {executable(pid) for pid in before} == {str(own)}
        assert stat.S_IMODE(own.stat().st_mode) == 0o700

    # The next supervisor adopts them like any other.
    cluster.kill()
    cluster.start()
    with peer.connect(cluster.nimbus) as nimbus:
        eventually(
            "the supervisor knows them",
            lambda: nimbus.getTopologySummaryByName("loud").num_workers == 2,
        )
        assert {worker.pid for worker in workers_of(cluster, nimbus, "loud")} == before
        victim = min(before)
        os.kill(victim, signal.SIGKILL)

        def replaced():
            now = {worker.pid for worker in workers_of(cluster, nimbus, "loud")}
            return len(now) == 2 and victim not in now and now

        now = eventually("another worker runs", replaced)
        assert {executable(pid) for pid in now} == {str(own)}

        # A supervisor of another version would find the program that an earlier one unpacked.
        manifest = own.parent / "manifest.json"
        manifest.write_text(json.dumps({"wire_version": 4711}))
        os.kill(min(now), signal.SIGKILL)

        def refused():
            errors = nimbus.getTopologyInfoByName("loud").errors.get("__system") or []
            return any("wire version 4711" in error.error for error in errors)

        eventually("a start is refused by name", refused)
        kill(peer, nimbus, "loud")
    cluster.stop()


def logins(kind, directory):
    """Settings of a cluster that asks who submits, of the client `ann`, and how she looks at it."""
    if kind == "tls":
        ours = secured.Certificates(directory)
        chain, key = ours.issue("super", file="daemon")
        cluster = {
            "storm.thrift.transport": secured.TLS,
            "stormwire.tls.certificates": str(chain),
            "stormwire.tls.key": str(key),
            "stormwire.tls.authorities": str(ours.authority),
            "storm.principal.tolocal": secured.AUTH + "X509CertPrincipalToLocal",
            **secured.rules(),
        }
        own_chain, own_key = ours.issue("ann")
        client = {
            "storm.thrift.transport": secured.TLS,
            "stormwire.tls.authorities": ours.authority,
            "nimbus.thrift.tls.client.cert.path": own_chain,
            "nimbus.thrift.tls.client.key.path": own_key,
        }
        made = secured.context(ours.authority, (own_chain, own_key))
        return cluster, client, lambda address: secured.over_tls(address, made)
    transport, mechanism = {
        "digest": (secured.DIGEST, "DIGEST-MD5"),
        "plain": (secured.PLAIN, "PLAIN"),
    }[kind]
    client = {
        "storm.thrift.transport": transport,
        "java.security.auth.login.config": secured.login_file(directory / "ann", client="ann"),
    }
    cluster = secured.digest(directory, transport=transport)
    return cluster, client, lambda address: secured.login(address, "ann", mechanism=mechanism)


@pytest.mark.parametrize("kind", ["tls", "digest", "plain"])
def test_a_program_submits_itself_where_nimbus_asks_who_it_is(kind, tmp_path):
    """By the keys of Storm's own client; its workers get in by their tokens."""
    settings, client, connect = logins(kind, tmp_path)
    # A third of the bytes to pack, and the same program.
    lean = tmp_path / "exclamation"
    subprocess.run(["strip", "-o", lean, program("exclamation")], check=True)
    with Cluster(tmp_path / "cluster", slots=1, settings=settings) as cluster:
        given = [f"-c{key}={value}" for key, value in client.items()]
        told = submit(cluster, lean, "--name", "loud", *given)[0]
        assert told == "Submitted topology: loud\n"
        with connect(cluster.nimbus) as nimbus:
            summary = nimbus.getTopologySummaryByName("loud")
            assert summary.owner == "ann"
            eventually("it prints", lambda: "mike!!!!!!" in cluster.worker_log(summary.id), 90)

            def reported():
                executors = nimbus.getTopologyInfo(summary.id).executors
                return executors and all(executor.stats for executor in executors)

            eventually("its workers report", reported)
            conf = nimbus.getTopologyConf(summary.id)
            assert secured.MARK not in conf and "PRIVATE" not in conf
        # Who is not let in leaves nothing behind. Once is enough: each attempt packs the program.
        if kind == "digest":
            wrong = secured.login_file(tmp_path / "wrong", client="ann")
            wrong.write_text(wrong.read_text().replace(secured.password("ann"), "guess"))
            given[1] = f"-cjava.security.auth.login.config={wrong}"
            told = submit(cluster, lean, "--name", "forged", *given, code=1)[1]
            assert "wrong" in told and "guess" not in told, told
        with connect(cluster.nimbus) as nimbus:
            assert [each.name for each in nimbus.getTopologySummaries()] == ["loud"]
            rules.kill(nimbus, peers.Apache().types, "loud")


def test_what_a_program_cannot_build_is_said_before_anything_is_sent(cluster):
    told = submit(cluster, "ledger", code=1)[1]
    assert "ledger: cannot build the topology: expected the source's file" in told
    told = submit(cluster, "ledger", "--also", __file__, "--", "a", "b", "c", code=1)[1]
    assert "is no topology's program" in told


def test_the_readme_shows_the_first_example_as_it_stands():
    program = (ROOT / "examples/first.rs").read_text().partition("\n\n")[2]
    assert f"```rust\n{program}```\n" in (ROOT / "README.md").read_text()


HEAD = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0"
AARCH64 = HEAD + (183).to_bytes(2, "little") + bytes(44)


def refusals():
    here = f"stormwire/bin/{platform()}"
    manifest = json.dumps({"wire_version": wire_version()}).encode()
    later = json.dumps({"wire_version": wire_version() + 1}).encode()
    x86 = HEAD + (62).to_bytes(2, "little") + bytes(44)
    elf = AARCH64 if platform().startswith("aarch64") else x86
    other = "s390x-unknown-linux-gnu"
    s390x = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\x03" + (22).to_bytes(2, "big") + bytes(44)
    return {
        "no jar's program": ({}, {}, "the jar has none in stormwire/bin/"),
        "another triple": (
            {f"stormwire/bin/{other}": s390x, MANIFEST: manifest},
            {},
            f"built for {other}, and cannot run on {platform()}",
        ),
        "a misnamed triple": ({here: s390x, MANIFEST: manifest}, {}, "for another processor"),
        "another wire version": (
            {here: elf, MANIFEST: later},
            {},
            f"wire version {wire_version() + 1}, this cluster {wire_version()}",
        ),
        "no manifest": ({here: elf}, {}, "no stormwire/manifest.json"),
        "a broken manifest": ({here: elf, MANIFEST: b"{"}, {}, "cannot be read"),
        "no executable": (
            {here: b"#!/bin/sh\necho it runs here\n", MANIFEST: manifest},
            {},
            "is no executable",
        ),
        "a link": (
            {MANIFEST: manifest, here: b"/bin/sh"},
            {"mode": stat.S_IFLNK | 0o777},
            "is a symbolic link",
        ),
        "a path": (
            {"stormwire/bin/../../../evil": elf, MANIFEST: manifest},
            {},
            "outside of the topology's directory",
        ),
        "a folder": ({f"{here}/x": elf, MANIFEST: manifest}, {}, "is no program"),
        "a huge one": (
            {MANIFEST: manifest, here: elf},
            {"declared": 1 << 31},
            "limit PROGRAM_BYTES_MAX",
        ),
    }


@pytest.mark.parametrize("row", refusals(), ids=lambda row: row.replace(" ", "-"))
def test_programs_that_cannot_run_are_refused_by_name(row, cluster, peer, nimbus):
    entries, options, expected = refusals()[row]
    location = upload(nimbus, packed(entries, **options))
    with pytest.raises(peer.types.InvalidTopologyException) as refused:
        nimbus.submitTopology("refused", location, "{}", with_own_code(peer))
    assert expected in refused.value.msg, refused.value.msg
    assert nimbus.isTopologyNameAllowed("refused")
