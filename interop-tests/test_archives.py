"""Archives that mean harm (row F9 of the catalogue): jars and blobs, on their way through Nimbus to a
supervisor's disk. Nothing may come to lie outside of the topology's directory.
"""

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path


import peers
from cluster import eventually
from figures import figure
from topologies import Builder, kill, pulse, upload

PEER = peers.ThriftPy2()
TYPES = PEER.types
# In the name of every file that must not be there.
MARK = "evil-f9"


def packed(*entries):
    """A zip of (name, content, mode of the file)."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return whole.getvalue()


def file(name, content=b"harm"):
    return (name, content, stat.S_IFREG | 0o644)


def link(name, target):
    return (name, target, stat.S_IFLNK | 0o777)


def overlapping(count, entry_bytes):
    """A few kilobytes in which each of many entries is the same content: what it unpacks to is the
    product.
    """
    zeros = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = zeros.compress(bytes(entry_bytes)) + zeros.flush()
    crc = zlib.crc32(bytes(entry_bytes))
    common = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0x21, crc, len(body), entry_bytes)
    names = [f"resources/{MARK}-{n:05}".encode() for n in range(count)]
    local = b"PK\3\4" + common + struct.pack("<HH", len(names[0]), 0) + names[0] + body
    central = b"".join(
        b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
        + name
        for name in names
    )  # fmt: skip
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(central), len(local), 0)
    return local + central + b"PK\5\6" + end


def many_entries():
    """What claims a million entries, in the form of large zips."""
    end64_at = 22
    end64 = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 10**6, 10**6, 0, 0)
    locator = b"PK\6\7" + struct.pack("<IQI", 0, end64_at, 1)
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return bytes(end64_at) + end64 + locator + end


# Each is refused by Nimbus, by the supervisor, or unpacked without harm.
JARS = {
    "../": packed(file(f"resources/../../{MARK}")),
    "../ from the root": packed(file(f"../{MARK}")),
    "../ after a good one": packed(file("resources/x.py"), file(f"resources/a/../../../{MARK}")),
    "an absolute name": packed(file(f"/tmp/{MARK}")),
    "an absolute name below resources": packed(file(f"resources//tmp/{MARK}")),
    "a sibling that begins alike": packed(file(f"resources/../resources-{MARK}/x")),
    "a sibling in the jar": packed(file(f"resources-{MARK}/x")),
    "a link": packed(link("resources/out", "/tmp")),
    "a link, then a file through it": packed(
        link("resources/out", "../.."), file(f"resources/out/{MARK}")
    ),
    "a link in place of resources": packed(link("resources", "/tmp"), file(f"resources/{MARK}")),
    "backslashes": packed(file(f"resources\\..\\..\\{MARK}")),
    "a drive": packed(file(f"C:\\{MARK}")),
    "wide dots and slashes": packed(file(f"resources/．．／．．／{MARK}-inside")),
    "leaders for dots": packed(file(f"resources/‥/‥/{MARK}-inside")),
    "overlong dots": packed(file(f"resources/x/{MARK}-inside")).replace(b"/x/", b"/\xc0\xae"[:3]),
    "a zero byte": packed(file("resources/a\0b")),
    "one name twice": packed(
        file(f"resources/{MARK}-inside", b"first"), file(f"resources/{MARK}-inside", b"second")
    ),
    "a directory and a file of one name": packed(
        file(f"resources/{MARK}-inside/x"), file(f"resources/{MARK}-inside")
    ),
    "a device": packed((f"resources/{MARK}-inside", b"", stat.S_IFBLK | 0o666)),
    "setuid": packed((f"resources/{MARK}-inside", b"x", stat.S_IFREG | 0o6755)),
    "a name of 5,000 characters": packed(file("resources/" + "n" * 5000)),
    "10,000 directories deep": packed(file("resources/" + "d/" * 10_000 + "x")),
    "a million entries": many_entries(),
    "42 kB that are 4 GB": overlapping(430, 10 << 20),
    "no zip": b"#!/bin/sh\n",
}


def written(cluster):
    """Bytes that the daemons have given to the system to write, as long as they live."""
    lines = Path(f"/proc/{cluster.pid}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("wchar")))


def test_malicious_jars(own_cluster, tmp_path):
    """F9: nothing outside the topology's directory, and no more bytes than what was packed allows."""
    cluster = own_cluster(slots=2)
    codes = cluster.local / "supervisor/stormdist"
    n_refused = n_unpacked = most = 0
    with PEER.connect(cluster.nimbus, timeout_secs=60) as nimbus:
        for number, (row, jar) in enumerate(JARS.items()):
            builder = pulse(Builder(TYPES), tmp_path / "out")
            name = f"jar-{number}"
            location = upload(nimbus, jar)
            try:
                nimbus.submitTopology(name, location, '{"topology.workers": 1}', builder.topology)
            except TYPES.InvalidTopologyException as refusal:
                assert len(refusal.msg) < 1000, row
                n_refused += 1
                continue
            id = nimbus.getTopologySummaryByName(name).id
            before, started = cluster.log.read_text(), written(cluster)

            def judged():
                """Unpacked, or refused with the topology's id in the log."""
                new = cluster.log.read_text()[len(before) :]
                return (codes / id / "resources").is_dir() or (id in new and "WARN" in new)

            eventually(f"the supervisor is done with {row}", judged, seconds=60)
            there = [path.lstat() for path in codes.rglob("*")]
            most = max(most, written(cluster) - started)
            for found in there:
                assert stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode), row
                assert not found.st_mode & 0o6000, row
            n_unpacked += (codes / id / "resources").is_dir()
            kill(PEER, nimbus, name)
            eventually("its code is gone", lambda: not (codes / id).exists())
    outside = list(Path("/tmp").glob(f"*{MARK}*")) + list(tmp_path.glob(f"**/*{MARK}*"))
    assert not outside
    assert most < 100 << 20
    assert cluster.process.poll() is None
    figure(
        "F9",
        f"{len(JARS)} jars, {n_refused} refused at submit, "
        f"{len(JARS) - n_refused - n_unpacked} by the supervisor, {n_unpacked} unpacked inside; "
        f"{len(outside)} files outside, {most >> 20} MiB written at most",
    )
    cluster.stop()
