"""Links between workers, compressed and encrypted: exact counts over them, who is let in on a
worker's port, and what becomes of keys.

Section numbers are those of the data plane's specification; G4 and G8 are rows of the catalogue of
reliability tests.
"""

import os
import re
import signal
import socket
import ssl
import struct
from collections import Counter
from contextlib import contextmanager

import pytest

import peers
import secured
from cluster import Cluster, DaemonEndedError, eventually
from contract import rules
from test_life import N_LINES, TEXT
from topologies import Builder, counts, lines_of, words, words_files

# What only a private key of curve P-256 has: the curve's name, and then the key's octets.
PRIVATE_KEY = bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107046d306b")
CONF = {
    "topology.workers": 2,
    "topology.acker.executors": 2,
    "topology.message.timeout.secs": 6,
    "topology.max.spout.pending": 300,
}


@pytest.fixture(scope="module")
def types():
    return peers.Apache().types


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return secured.Certificates(tmp_path_factory.mktemp("certificates"))


def tls(certificates):
    """Settings of a cluster whose Coordination is encrypted."""
    chain, key = certificates.issue("super", file="daemon")
    return {
        "storm.thrift.transport": secured.TLS,
        "stormwire.tls.certificates": str(chain),
        "stormwire.tls.key": str(key),
        "stormwire.tls.authorities": str(certificates.authority),
        "storm.principal.tolocal": secured.AUTH + "X509CertPrincipalToLocal",
        **secured.rules(),
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, ours):
    """A cluster that encrypts all links, of whatever topology."""
    settings = {**tls(ours), "stormwire.link.encryption": "true"}
    with Cluster(tmp_path_factory.mktemp("links"), slots=4, settings=settings) as cluster:
        yield cluster
        cluster.stop()


@pytest.fixture
def ann(guarded, ours):
    made = secured.context(ours.authority, ours.issue("ann"))
    with secured.over_tls(guarded.nimbus, made) as nimbus:
        yield nimbus


class Words:
    """A word count over two workers that ends with exact totals."""

    def __init__(self, directory, types, n_lines=N_LINES):
        lines = TEXT.read_text(encoding="utf-8").splitlines(keepends=True)[:n_lines]
        self.path = directory / "text"
        self.path.write_text("".join(lines), encoding="utf-8")
        self.expected = Counter("".join(lines).split())
        self.totals, self.done = directory / "totals", directory / "done"
        self.builder = words(Builder(types), self.totals, self.done)

    def submit(self, nimbus, types, name, **conf):
        conf = {**CONF, "words.file": str(self.path), **conf}
        return rules.submit(nimbus, types, name, self.builder, words_files(), conf)

    def check(self):
        eventually("every line is acked", lambda: lines_of(self.done), seconds=120)
        n_expected = sum(self.expected.values())
        eventually("the totals are written", lambda: counts(self.totals)[0] >= n_expected)
        assert counts(self.totals) == (n_expected, dict(self.expected))


@contextmanager
def running(nimbus, types, submitted):
    try:
        yield submitted
    finally:
        rules.kill(nimbus, types, submitted.name)


@pytest.mark.parametrize("codec", ["lz4", "zstd", "zlib"])
def test_a_word_count_is_exact_over_encrypted_and_compressed_links(
    guarded, ann, types, tmp_path, codec
):
    job = Words(tmp_path, types)
    conf = {"stormwire.link.compression": "always", "stormwire.link.codecs": [codec]}
    with running(ann, types, job.submit(ann, types, f"words-{codec}", **conf)) as topology:
        job.check()
        log = guarded.worker_log(topology.id)
    encrypted = re.findall(r"the link is encrypted.*", log)
    assert encrypted and all("AES_128_GCM" in line for line in encrypted), log
    assert all(f"O={topology.id}" in line for line in encrypted), encrypted
    assert f'codec="{codec}"' in log, log


def test_workers_that_die_come_back_over_encrypted_links(guarded, ann, types, tmp_path):
    """A1: and nothing is lost or counted twice."""
    job = Words(tmp_path, types, n_lines=4 * N_LINES)
    conf = {"stormwire.link.compression": "auto"}
    with running(ann, types, job.submit(ann, types, "killed", **conf)) as topology:
        for _ in range(3):
            both = eventually("both run", lambda: both_of(guarded, topology.id))
            os.kill(both[0].pid, signal.SIGKILL)
            eventually("another runs", lambda: newer(guarded, topology.id, both[0]))
        job.check()


def both_of(cluster, id):
    workers = cluster.workers(id)
    return workers if len(workers) == 2 else None


def newer(cluster, id, old):
    return any(each.port == old.port and each.pid != old.pid for each in cluster.workers(id))


def test_the_authority_outlives_nimbus(guarded, ann, ours, types, tmp_path):
    """A worker that starts after a restart of Nimbus and one from before know each other."""
    job = Words(tmp_path, types, n_lines=4 * N_LINES)
    topology = job.submit(ann, types, "outlived")
    before = eventually("both run", lambda: both_of(guarded, topology.id))
    guarded.kill()
    guarded.start()
    made = secured.context(ours.authority, ours.issue("ann"))
    with secured.over_tls(guarded.nimbus, made) as nimbus, running(nimbus, types, topology):
        os.kill(before[0].pid, signal.SIGKILL)
        eventually("another runs", lambda: newer(guarded, topology.id, before[0]))
        job.check()
        still = {each.pid for each in guarded.workers(topology.id)}
        assert before[1].pid in still, "the other one ran on"


def refusal(port, made=None, hello=b"\0\0\0\1\0"):
    """What a worker's port answers: (bytes of a plain answer, or the name of the TLS error)."""
    with socket.create_connection(("127.0.0.1", port), timeout=15) as plain:
        if made is None:
            plain.sendall(hello)
            return plain.recv(4096)
        try:
            with made.wrap_socket(plain) as connection:
                connection.sendall(hello)
                # In TLS 1.3 the server judges the client's certificate after the handshake.
                return connection.recv(4096) or "closed"
        except (ssl.SSLError, ConnectionError) as refused:
            return str(refused)


def test_who_is_let_in_on_a_workers_port(guarded, ann, ours, types, tmp_path):
    """G4: before any frame is read."""

    def showing(identity=None, maximum=None):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        if identity:
            made.load_cert_chain(str(identity[0]), str(identity[1]))
        if maximum:
            made.maximum_version = maximum
        return made

    with running(ann, types, rules.submit(ann, types, "port", conf=CONF)) as topology:
        port = eventually("both run", lambda: both_of(guarded, topology.id))[0].port
        past = ("20200101000000Z", "20200102000000Z")
        cases = {
            "no certificate": showing(),
            "of the cluster's own authority": showing(ours.issue("ann", file="ann")),
            "expired": showing(ours.issue("ann", dates=past, file="past")),
            "of another authority": showing(
                secured.Certificates(tmp_path, "other").issue("ann", file="ann")
            ),
            "signed by itself": showing(self_signed(tmp_path)),
            "TLS 1.2": showing(ours.issue("ann", file="ann"), ssl.TLSVersion.TLSv1_2),
        }
        eventually("it listens", lambda: refusal(port))
        answers = {name: refusal(port, made) for name, made in cases.items()}
        wrong = {name: answer for name, answer in answers.items() if not isinstance(answer, str)}
        plain = [b"\0\0\0\1\0", b"GET / HTTP/1.1\r\n\r\n", struct.pack(">i", 1 << 30)]
        for text in plain:
            answer = refusal(port, hello=text)
            if b"are encrypted" not in answer:
                wrong[text] = answer
        total = len(cases) + len(plain)
        print(f"worker port: {total - len(wrong)} / {total} cells refused")
        assert not wrong
        log = guarded.worker_log(topology.id)
        assert "refused a link" in log and "in plain" in log
        assert "topology" in log and "no TLS with" in log


def self_signed(directory):
    lone = secured.Certificates(directory / "lone", "ann")
    return lone.authority, lone.directory / "ann-ca.key"


def test_keys_of_links_are_in_no_log_and_no_open_file(guarded, ann, types, tmp_path):
    """G8: keys are known by their form; files that hold some are their owner's alone."""
    with running(ann, types, rules.submit(ann, types, "keys", conf=CONF)) as topology:
        eventually("both run", lambda: both_of(guarded, topology.id))
        replies = [
            repr(ann.getTopologyConf(topology.id)),
            repr(ann.getTopologyInfo(topology.id)),
            repr(ann.getClusterInfo()),
        ]
        holding, readable = [], []
        for path in guarded.directory.rglob("*"):
            if path.is_file() and PRIVATE_KEY in path.read_bytes():
                holding.append(path)
                if path.stat().st_mode & 0o077:
                    readable.append(path)
    assert any(path.name == "launch" for path in holding), "workers have keys"
    assert not readable
    texts = [*replies, guarded.log.read_text(), guarded.worker_log(topology.id)]
    key_bytes = {str(PRIVATE_KEY), PRIVATE_KEY.hex(), "PRIVATE KEY"}
    hits = [text[:200] for text in texts if any(part in text for part in key_bytes)]
    print(f"keys of links: {len(hits)} hits in {len(texts)} replies and logs")
    assert not hits


def test_nothing_starts_half_secured(tmp_path):
    settings = {"stormwire.link.encryption": "true"}
    for command in ("nimbus", "supervisor"):
        cluster = Cluster(tmp_path / command, slots=1, settings=settings, command=command)
        with pytest.raises(DaemonEndedError, match="stormwire.tls.certificates"):
            cluster.start()
        cluster.kill_all()


def test_a_topology_gets_what_it_asks_for_or_hears_why_not(cluster, types):
    """On a cluster without TLS."""
    asked = {
        "Coordination is not encrypted": {"stormwire.link.encryption": True},
        "as PEM files": {
            "storm.messaging.netty.tls.enable": True,
            "storm.messaging.netty.tls.keystore.path": "a.jks",
        },
        "rustls": {
            "storm.messaging.netty.tls.enable": True,
            "storm.messaging.netty.tls.require.open.ssl": True,
        },
        "belong together": {
            "stormwire.link.encryption": True,
            "stormwire.link.key": "key.pem",
        },
        "off, always or auto": {"stormwire.link.compression": "sometimes"},
        "snappy": {"stormwire.link.codecs": ["snappy"]},
    }
    with peers.Apache().connect(cluster.nimbus) as nimbus:
        for part, conf in asked.items():
            with pytest.raises(types.InvalidTopologyException) as refusal:
                rules.submit(nimbus, types, conf=conf)
            assert part in refusal.value.msg


def test_peers_of_the_gateway_may_not_speak_in_plain(cluster, types):
    builder = rules.native(types)
    peer = builder.native("stormwire.GatewayBolt")
    builder.bolt("peer", peer, {"ticks": builder.shuffle()})
    given = {key: "x.pem" for key in ("certificates", "key", "authorities")}
    conf = {f"stormwire.link.{key}": path for key, path in given.items()}
    conf["stormwire.link.encryption"] = True
    with peers.Apache().connect(cluster.nimbus) as nimbus:
        with pytest.raises(types.InvalidTopologyException) as refused:
            rules.submit(nimbus, types, builder=builder, conf=conf)
    assert "stormwire.gateway.tls.certificates" in refused.value.msg


def test_given_certificates_and_storms_own_key(cluster, types, ours, tmp_path):
    """Where the operator gives certificates no key travels: Coordination may be open."""
    chain, key = ours.issue("workers", file="workers")
    job = Words(tmp_path, types)
    conf = {
        "storm.messaging.netty.tls.enable": True,
        "storm.messaging.netty.tls.ciphers": "TLS_AES_256_GCM_SHA384",
        "stormwire.link.certificates": str(chain),
        "stormwire.link.key": str(key),
        "stormwire.link.authorities": str(ours.authority),
        "topology.tuple.compression.enable": True,
    }
    with peers.Apache().connect(cluster.nimbus) as nimbus:
        with running(nimbus, types, job.submit(nimbus, types, "given", **conf)) as topology:
            job.check()
            log = cluster.worker_log(topology.id)
    assert "AES_256_GCM" in log and "CN=workers" in log, log
