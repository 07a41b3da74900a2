"""Links between workers, compressed and encrypted: exact counts over them, who is let in on a
worker's port, and what becomes of keys.

Section numbers are those of the data plane's specification; G4 and G8 are rows of the catalogue of
reliability tests.
"""

import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

import peers
import secured
from cluster import PROGRAM, Cluster, DaemonEndedError, eventually
from contract import rules
from test_life import N_LINES, TEXT
from topologies import Builder, counters, counts, lines_of, words, words_files

sys.path.insert(0, str(Path(__file__).resolve().parent / "gateway"))

import clients  # noqa: E402

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

    def written(self):
        """The files of the counters that have counted something."""
        paths = counters(self.totals)
        return [path for path in paths if json.loads(path.read_text())["words"]]

    def check(self):
        eventually("every line is acked", lambda: lines_of(self.done), seconds=120)
        n_expected = sum(self.expected.values())
        # As long again: a spout that was killed after its last line sends all of them once more.
        eventually(
            "the totals are written", lambda: counts(self.totals)[0] >= n_expected, seconds=120
        )
        assert counts(self.totals) == (n_expected, dict(self.expected))


@contextmanager
def running(nimbus, types, submitted):
    try:
        yield submitted
    finally:
        rules.kill(nimbus, types, submitted.name)


def test_a_rebalance_does_not_take_encryption_off(guarded, ann, types):
    job = rules.submit(ann, types, "kept", conf=CONF)
    with running(ann, types, job):
        options = types.RebalanceOptions(
            wait_secs=0,
            topology_conf_overrides='{"stormwire.link.encryption": false, "words.file": "other"}',
        )
        ann.rebalance("kept", options)
        conf = eventually("it is rebalanced", lambda: changed(ann, job.id))
        assert conf["stormwire.link.encryption"] is True


def changed(nimbus, id):
    conf = json.loads(nimbus.getTopologyConf(id))
    return conf if conf.get("words.file") == "other" else None


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
            reader, _ = eventually("both run", lambda: reader_first(guarded, ann, topology.id))
            # Else it may die before anything travels.
            eventually("words flow to both", lambda: len(job.written()) == 2)
            os.kill(reader.pid, signal.SIGKILL)
            eventually("another runs", lambda: newer(guarded, topology.id, reader))
            for path in job.written():
                path.unlink()
        job.check()


def both_of(cluster, id):
    workers = cluster.workers(id)
    return workers if len(workers) == 2 else None


def reader_first(cluster, nimbus, id):
    """The worker that has the spout, and the other.

    Only the first may die where counts are compared: its spout starts over and sends every line
    again. Counts are in the memory of both; the other would take along words that were acked.
    """
    executors = nimbus.getTopologyInfo(id).executors or []
    ports = [each.port for each in executors if each.component_id == "lines"]
    workers = sorted(cluster.workers(id), key=lambda worker: worker.port not in ports)
    return workers if ports and len(workers) == 2 else None


def newer(cluster, id, old):
    return any(each.port == old.port and each.pid != old.pid for each in cluster.workers(id))


def test_the_authority_outlives_nimbus(guarded, ann, ours, types, tmp_path):
    """A worker that starts after a restart of Nimbus and one from before know each other."""
    job = Words(tmp_path, types, n_lines=4 * N_LINES)
    topology = job.submit(ann, types, "outlived")
    before = eventually("both run", lambda: reader_first(guarded, ann, topology.id))
    guarded.kill()
    guarded.start()
    made = secured.context(ours.authority, ours.issue("ann"))
    with secured.over_tls(guarded.nimbus, made) as nimbus, running(nimbus, types, topology):
        os.kill(before[0].pid, signal.SIGKILL)
        eventually("another runs", lambda: newer(guarded, topology.id, before[0]))
        # All of it may have been done before; now it is done again, over the new links.
        for path in job.written():
            path.unlink()
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


# ---- The gateway: who is let in where links are encrypted ----------------------------------------


@contextmanager
def finder(cluster, ours, user):
    """Apache's client of our own service beside Nimbus, as a user."""
    kind = clients.Apache()
    made = secured.context(ours.authority, ours.issue(user))
    client = kind.connect(cluster.nimbus, "GatewayFinder", context=made, framed=False)
    try:
        yield client
    finally:
        client.close()


def gateway_topology(types, ann, name, **conf):
    """A spout that never ends, and a bolt that lives elsewhere."""
    builder = Builder(types)
    builder.spout("flood", builder.native("stormwire.TimerSpout", 1), {"default": ["n", "ms"]})
    builder.bolt("out", builder.native("stormwire.GatewayBolt"), {"flood": builder.shuffle()})
    conf = {"topology.workers": 1, **conf}
    return rules.submit(ann, types, name, builder, {}, conf)


def place_of(finding, name):
    return eventually("a worker waits for peers", lambda: finding.findGateways(name, "out"))[0]


def is_served(place, context=None, host=None):
    """Whether a peer is let in and gets tuples."""
    kind = clients.Apache()
    gateway = kind.connect((place.host, place.port), context=context, host=host)
    try:
        request = kind.types.GatewayOpen(component="out", role=kind.types.GatewayRole.BOLT)
        session = gateway.open(request).session
        return bool(gateway.receive(kind.types.GatewayReceive(session=session)).tuples)
    finally:
        gateway.close()


def test_peers_of_the_gateway_and_workers_show_certificates_of_nimbus(
    guarded, ann, ours, types, tmp_path
):
    name = "gateway-issued"
    with running(ann, types, gateway_topology(types, ann, name)) as topology:
        with finder(guarded, ours, "ann") as finding:
            place = place_of(finding, name)
            assert place.tls == clients.Apache().types.GatewayTls.ISSUED
            issued = finding.gatewayCertificate(name)
        assert issued.authority == place.authority
        for part in ("authority", "certificate", "key"):
            (tmp_path / f"{part}.pem").write_text(getattr(issued, part))
        authority = tmp_path / "authority.pem"
        identity = (tmp_path / "certificate.pem", tmp_path / "key.pem")
        assert is_served(place, secured.context(authority, identity))
        strangers = {
            "in plain": None,
            "without a certificate": secured.context(authority),
            "of another authority": secured.context(authority, ours.issue("ann")),
            "that trusts another authority": secured.context(ours.authority, identity),
        }
        for who, made in strangers.items():
            with pytest.raises(Exception):
                assert not is_served(place, made), who
        # Another user of the cluster speaks for none of its components.
        with finder(guarded, ours, "bob") as finding:
            with pytest.raises(Exception, match="not authorized"):
                finding.gatewayCertificate(name)
        # A peer is no worker.
        port = ann.getTopologyInfo(topology.id).executors[0].port
        made = secured.context(authority, identity)
        with socket.create_connection((place.host, port), timeout=20) as plain:
            with made.wrap_socket(plain, server_hostname=place.host) as link:
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    if not link.recv(1):
                        raise ConnectionError
        log = guarded.worker_log(topology.id)
        assert "is of a peer of the gateway" in log, log


def test_the_token_alone_lets_peers_in_where_the_topology_says_so(
    guarded, ann, ours, types, tmp_path
):
    name = "gateway-any"
    conf = {"stormwire.gateway.tls.peers.certified": False}
    with running(ann, types, gateway_topology(types, ann, name, **conf)):
        with finder(guarded, ours, "ann") as finding:
            place = place_of(finding, name)
        authority = tmp_path / "authority.pem"
        authority.write_text(place.authority)
        assert is_served(place, secured.context(authority))
        with pytest.raises(Exception):
            assert not is_served(place), "in plain"


def test_given_certificates_of_the_gateway(cluster, types, ours, tmp_path):
    """On a cluster without TLS: the operator's certificate, which names the machine as its users know
    it, and nothing of Nimbus's.
    """
    name, alias = "gateway-given", "gateway.example"
    chain, key = ours.issue("gateway", hosts=[f"DNS:{alias}"], file="gateway")
    conf = {
        "stormwire.gateway.tls.certificates": str(chain),
        "stormwire.gateway.tls.key": str(key),
        "stormwire.gateway.tls.authorities": str(ours.authority),
    }
    kind = clients.Apache()
    with peers.Apache().connect(cluster.nimbus) as nimbus:
        with running(nimbus, types, gateway_topology(types, nimbus, name, **conf)):
            finding = kind.connect(cluster.nimbus, "GatewayFinder")
            place = place_of(finding, name)
            assert (place.tls, place.authority) == (kind.types.GatewayTls.GIVEN, None)
            with pytest.raises(kind.types.GatewayException, match="does not encrypt the links"):
                finding.gatewayCertificate(name)
            finding.close()
            command = [
                PROGRAM, "gateway-certificate", name, "--into", tmp_path / "pem",
                "--nimbus", "{}:{}".format(*cluster.nimbus),
            ]  # fmt: skip
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert ran.returncode == 1 and "does not encrypt the links" in ran.stderr, ran
            peer = secured.context(ours.authority, ours.issue("a peer", file="peer"))
            assert is_served(place, peer, alias)
            others = secured.Certificates(tmp_path / "others", "others")
            strangers = {
                "in plain": (None, None),
                "that looks for the address": (peer, None),
                "that looks for another name": (peer, "other.example"),
                "without a certificate": (secured.context(ours.authority), alias),
                "of another authority": (secured.context(ours.authority, others.issue("x")), alias),
                "that trusts another authority": (secured.context(others.authority), alias),
            }
            for who, (made, host) in strangers.items():
                with pytest.raises(Exception):
                    assert not is_served(place, made, host), who


def test_issued_certificates_name_the_machine_as_its_supervisor_does(tmp_path, types, ours):
    """`storm.local.hostname` is another name of the machine than the address it listens at."""
    settings = {
        **tls(ours),
        "stormwire.link.encryption": "true",
        "storm.local.hostname": "localhost",
    }
    name = "gateway-alias"
    with Cluster(tmp_path / "cluster", slots=1, settings=settings) as own:
        made = secured.context(ours.authority, ours.issue("ann"))
        with secured.over_tls(own.nimbus, made) as ann:
            gateway_topology(types, ann, name)
            with finder(own, ours, "ann") as finding:
                place = place_of(finding, name)
                issued = finding.gatewayCertificate(name)
            assert place.host == "localhost"
            for part in ("authority", "certificate", "key"):
                (tmp_path / f"{part}.pem").write_text(getattr(issued, part))
            identity = (tmp_path / "certificate.pem", tmp_path / "key.pem")
            peer = secured.context(tmp_path / "authority.pem", identity)
            assert is_served(place, peer)
            with pytest.raises(Exception) as refused:
                is_served(place, peer, "other.example")
            assert isinstance(refused.value.inner, ssl.SSLCertVerificationError)


def test_a_person_gets_a_peers_certificate_by_a_command(guarded, ann, ours, types, tmp_path):
    name = "gateway-command"
    chain, key = ours.issue("ann")
    settings = {
        "storm.thrift.transport": secured.TLS,
        "stormwire.tls.authorities": ours.authority,
        "nimbus.thrift.tls.client.cert.path": chain,
        "nimbus.thrift.tls.client.key.path": key,
    }
    with running(ann, types, gateway_topology(types, ann, name)):
        command = [
            PROGRAM, "gateway-certificate", name, "--into", tmp_path / "pem",
            "--nimbus", "{}:{}".format(*guarded.nimbus),
            *(part for pair in settings.items() for part in ("-c", "{}={}".format(*pair))),
        ]  # fmt: skip
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        pem = tmp_path / "pem"
        assert (pem / "key.pem").stat().st_mode & 0o077 == 0
        with finder(guarded, ours, "ann") as finding:
            place = place_of(finding, name)
        identity = (pem / "certificate.pem", pem / "key.pem")
        assert is_served(place, secured.context(pem / "authority.pem", identity))


# ---- What people see of links --------------------------------------------------------------------


def test_info_shows_what_links_speak_and_where_tuples_are_held_up(
    guarded, ann, ours, types, tmp_path
):
    """A spout that never ends, and a bolt in the other worker that nobody serves: it holds up the
    link, and the link the spout.
    """
    name = "links-shown"
    builder = Builder(types)
    builder.spout("flood", builder.native("stormwire.ConstSpout"), {"default": ["text"]})
    builder.bolt("out", builder.native("stormwire.GatewayBolt"), {"flood": builder.shuffle()})
    conf = {
        "topology.workers": 2,
        "topology.acker.executors": 0,
        "stormwire.link.compression": "always",
        "stormwire.link.codecs": ["lz4"],
        "stormwire.link.window.bytes": 100_000,
    }
    chain, key = ours.issue("ann")
    settings = {
        "storm.thrift.transport": secured.TLS,
        "stormwire.tls.authorities": ours.authority,
        "nimbus.thrift.tls.client.cert.path": chain,
        "nimbus.thrift.tls.client.key.path": key,
    }
    command = [
        PROGRAM, "info", name, "--nimbus", "{}:{}".format(*guarded.nimbus),
        *(part for pair in settings.items() for part in ("-c", "{}={}".format(*pair))),
    ]  # fmt: skip

    def shown():
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        link = re.search(r"lz4 +(\S*AES_128_GCM\S*) +(\d+) +(\d+) +(\d+) +([\d.]+)", done.stdout)
        held = re.search(r"flood +\[\d+-\d+\] +\S+ +([\d.]+) +(\d+)", done.stdout)
        return (link, held) if link and held and float(held[1]) > 1 else None

    with running(ann, types, rules.submit(ann, types, name, builder, {}, conf)):
        link, held = eventually("the link and the held up spout are shown", shown)
    assert 0 < int(link[3]) < int(link[2]), "the text is always the same"
    assert float(link[5]) > 0
    print(f"links: {link[0]}; flood waited {held[1]} s, {held[2]} percent")
