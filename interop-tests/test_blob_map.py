"""Blobs on their way to workers: files, archives, new versions while they run, and what is thrown
away; and the `blobstore` command.
"""

import io
import os
import subprocess
import tarfile
import zipfile

import pytest

import peers
from cluster import PROGRAM, eventually
from topologies import Builder, component_files, lines_of, running

POLL = {
    "supervisor.localizer.update.blob.interval.secs": 1,
    "supervisor.localizer.cleanup.interval.ms": 500,
    "supervisor.localizer.cache.target.size.mb": 1,
}


@pytest.fixture
def peer():
    return peers.ThriftPy2()


@pytest.fixture
def quick(own_cluster, peer):
    """A cluster that looks for new versions each second, and a client of it."""
    cluster = own_cluster(settings=POLL)
    with peer.connect(cluster.nimbus) as nimbus:
        yield cluster, nimbus


def put(peer, nimbus, key, content):
    """Creates a blob, or gives it other content."""
    try:
        session = nimbus.beginCreateBlob(key, peer.types.SettableBlobMeta(acl=[]))
    except peer.types.KeyAlreadyExistsException:
        session = nimbus.beginUpdateBlob(key)
    for start in range(0, len(content), 65536):
        nimbus.uploadBlobChunk(session, content[start : start + 65536])
    nimbus.finishBlobUpload(session)


def tgz(files):
    """A gzipped tar file with these texts, by name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def reader(peer, out):
    builder = Builder(peer.types)
    builder.spout("reader", builder.python("reader.py"), {"default": ["texts"]})
    sink = builder.native("stormwire.FileSink", str(out))
    return builder.bolt("sink", sink, {"reader": builder.shuffle()})


def read_files(out):
    """What the sink got last."""
    lines = lines_of(out)
    return lines[-1] if lines else ""


def sees(out, texts):
    eventually(f"the component reads {texts}", lambda: texts in read_files(out))


def test_a_shell_component_reads_blobs_and_sees_new_versions(quick, peer, tmp_path):
    """C 6.8: links in the worker's directory; a new version without a restart, unless it is asked
    for; archives unpacked; dependencies under their keys.
    """
    cluster, nimbus = quick
    out = tmp_path / "out"
    put(peer, nimbus, "words", b"one")
    put(peer, nimbus, "pack", tgz({"deep/inner.txt": "in-1"}))
    put(peer, nimbus, "settings", b"s-1")
    put(peer, nimbus, "dep-x.jar", b"jar")
    builder = reader(peer, out)
    builder.topology.dependency_jars = ["dep-x.jar"]
    conf = {
        "reader.files": ["words.txt", "pack/deep/inner.txt", "settings", "dep-x.jar"],
        "topology.blobstore.map": {
            "words": {"localname": "words.txt"},
            "pack": {"uncompress": True},
            "settings": {"workerRestart": True},
        },
    }
    files = component_files("reader.py")
    with running(peer, nimbus, "reads", builder, files, conf=conf) as id:
        sees(out, "one|in-1|s-1|jar")
        (worker,) = cluster.workers(id)
        directory = cluster.local / "workers" / worker.id
        for name in ("words.txt", "pack", "settings", "dep-x.jar", "resources", "artifacts"):
            assert (directory / name).is_symlink(), name
        assert (directory / "words.txt").read_text() == "one"
        (user,) = (cluster.local / "supervisor/usercache").iterdir()
        kept = sorted(path.name for path in (user / "filecache/files").iterdir())
        version = nimbus.getBlobMeta("words").version
        assert {"words.current", "words.version", f"words.{version}"} <= set(kept)
        assert (user / "filecache/files/words.version").read_text() == f"{version}\n"

        put(peer, nimbus, "words", b"two")
        sees(out, "two|in-1|s-1")
        put(peer, nimbus, "pack", zipped({"deep/inner.txt": "in-2"}))
        sees(out, "two|in-2|s-1")
        (same,) = cluster.workers(id)
        assert same.pid == worker.pid, "nobody asked for a restart"

        put(peer, nimbus, "settings", b"s-2")
        sees(out, "two|in-2|s-2")
        (other,) = cluster.workers(id)
        assert other.pid != worker.pid, "a restart was asked for"

        eventually(
            "old versions go",
            lambda: not (user / f"filecache/files/words.{version}").exists(),
        )
    codes = cluster.local / "supervisor/stormdist"
    eventually("its code is gone", lambda: not list(codes.iterdir()))


def test_a_supervisor_finds_its_cache_again_and_throws_away_the_oldest(quick, peer, tmp_path):
    """C 6.8: cleaned to supervisor.localizer.cache.target.size.mb, what nobody needs for longest
    first; what is here already is not fetched again.
    """
    cluster, nimbus = quick
    put(peer, nimbus, "large", os.urandom(700_000))
    put(peer, nimbus, "larger", os.urandom(800_000))
    files = component_files("reader.py")
    found = lambda name: cluster.local.glob(f"supervisor/usercache/*/filecache/files/{name}")
    cached = lambda: {path.name for path in found("*")}
    for key in ("large", "larger"):
        put(peer, nimbus, f"{key}-text", b"text")
        conf = {
            "reader.files": [f"{key}-text"],
            "topology.blobstore.map": {key: {}, f"{key}-text": {}},
        }
        with running(peer, nimbus, key, reader(peer, tmp_path / key), files, conf=conf):
            sees(tmp_path / key, "text")
            assert f"{key}.current" in cached()
    # Together they are too large, and nobody needs either.
    eventually("the older one goes", lambda: "large.current" not in cached())
    assert "larger.current" in cached()
    fetched = {path: path.stat().st_ino for path in found("larger.[0-9]*")}
    cluster.stop()
    cluster.start()
    with peer.connect(cluster.nimbus) as again:
        out = tmp_path / "again"
        with running(peer, again, "again", reader(peer, out), files, conf=conf):
            sees(out, "text")
            assert {path: path.stat().st_ino for path in fetched} == fetched


@pytest.mark.parametrize("name", ["../../../../evil", "/tmp/stormwire-evil-blob"])
@pytest.mark.parametrize("pack", [tgz, zipped])
def test_an_archive_cannot_leave_its_directory(quick, peer, tmp_path, pack, name):
    """F10: an archive with a climbing or absolute name is refused, and nothing of it is written."""
    cluster, nimbus = quick
    put(peer, nimbus, "evil", pack({"good": "g", name: "evil"}))
    conf = {"topology.blobstore.map": {"evil": {"uncompress": True}}, "reader.files": []}
    files = component_files("reader.py")
    with running(peer, nimbus, "evil", reader(peer, tmp_path / "out"), files, conf=conf) as id:
        eventually("it is refused", lambda: "cannot be uncompressed" in cluster.log.read_text())
        assert not cluster.workers(id)
        assert not os.path.exists("/tmp/stormwire-evil-blob")
        assert not list(cluster.directory.glob("**/evil")), "nothing was written"


def test_the_blobstore_command(quick, peer, tmp_path):
    """C 2.3: list, cat, create, update, delete, set-acl, replication."""
    cluster, nimbus = quick
    host, port = cluster.nimbus

    def blobstore(*arguments, code=0, stdin=b""):
        ran = subprocess.run(
            [PROGRAM, "blobstore", *arguments, "--nimbus", f"{host}:{port}"],
            input=stdin,
            capture_output=True,
            timeout=60,
            env={**os.environ, "STORM_CONF_DIR": str(cluster.directory)},
        )
        assert ran.returncode == code, ran
        return ran.stdout + ran.stderr

    content = os.urandom(600_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    assert blobstore("list") == b""
    created = blobstore("create", "data.tgz", "-f", source, "-a", "u:alice:rwa,o::rwa", "-r", "2")
    assert created == b"Successfully created data.tgz\n"
    assert blobstore("create", "piped", stdin=b"from a pipe") == b"Successfully created piped\n"
    assert blobstore("cat", "piped") == b"from a pipe"
    copy = tmp_path / "copy"
    blobstore("cat", "data.tgz", "-f", copy)
    assert copy.read_bytes() == content
    version = nimbus.getBlobMeta("data.tgz").version
    line = f"data.tgz {version} [u:alice:rwa, o::rwa]\n".encode()
    assert blobstore("list").startswith(line) and blobstore("list", "data.tgz") == line
    assert blobstore("list", "ghost", code=1) == b"ghost NOT FOUND\n"
    blobstore("update", "data.tgz", stdin=b"new")
    assert blobstore("cat", "data.tgz") == b"new"
    told = blobstore("set-acl", "data.tgz", "-s", "u:bob:r,o::rwa")
    assert told == b"Setting ACL for data.tgz to [u:bob:r--, o::rwa]\n"
    assert blobstore("replication", "data.tgz", "--read") == b"Current replication factor 1\n"
    assert b"cannot" in blobstore("replication", "data.tgz", "--update", "-r", "3", code=1)
    assert b"cannot create data.tgz" in blobstore("create", "data.tgz", code=1)
    assert blobstore("delete", "data.tgz", "piped") == b"deleted data.tgz\ndeleted piped\n"
    assert blobstore("list") == b""
