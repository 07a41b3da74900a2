"""TLS on every port: who is let in, who is trusted, and certificates that change while it runs.

Section numbers are those of the control plane's specification; G4 and G7 are rows of the catalogue
of reliability tests.
"""

import os
import socket
import ssl
import subprocess

import pytest

import functions
import peers
import secured
import topologies
from cluster import PROGRAM, Cluster, eventually, free_ports
from contract import rules
from figures import figure

PORTS = ["nimbus", "coordination", "supervisor", "drpc", "drpc-invocations", "drpc-https"]
SERVICES = {
    "nimbus": "Nimbus",
    "supervisor": "Supervisor",
    "drpc": "DistributedRPC",
    "drpc-invocations": "DistributedRPCInvocations",
}
CALL = b"\x80\x01\0\x01\0\0\0\x0egetClusterInfo\0\0\0\x01\0"
PAGE = b"PUT /drpc/f HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def types():
    return peers.Apache().types


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return secured.Certificates(tmp_path_factory.mktemp("certificates"))


def settings(certificates, name="super"):
    """TLS on all ports; certificates name their bearers by the common name."""
    chain, key = certificates.issue(name, file="daemon")
    return {
        "storm.thrift.transport": secured.TLS,
        "stormwire.tls.certificates": str(chain),
        "stormwire.tls.key": str(key),
        "stormwire.tls.authorities": str(certificates.authority),
        "storm.principal.tolocal": secured.AUTH + "X509CertPrincipalToLocal",
        "drpc.https.port": 0,
        **secured.rules(),
    }


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, ours):
    directory = tmp_path_factory.mktemp("tls")
    with Cluster(directory, slots=2, settings=settings(ours)) as cluster:
        yield cluster
        cluster.stop()


def says(address, made, host="127.0.0.1", speech=CALL):
    """The first bytes of an answer over TLS; an error when there is none."""
    with socket.create_connection(address, timeout=15) as plain:
        with made.wrap_socket(plain, server_hostname=host) as connection:
            connection.settimeout(15)
            connection.sendall(speech)
            received = connection.recv(4)
            if not received:
                raise ConnectionError("closed")
            return received


def is_refused(address, made, host="127.0.0.1", speech=CALL):
    try:
        says(address, made, host, speech)
    except (OSError, ssl.SSLError):
        return True
    return False


def test_who_is_let_in_on_every_port(guarded, ours, tmp_path):
    """G4: before any call is read, and nobody as an anonymous principal."""
    other = secured.Certificates(tmp_path, "other")
    good = ours.issue("ann", file="ann")
    past = ours.issue("ann", dates=("20200101000000Z", "20200102000000Z"), file="past")
    future = ours.issue("ann", dates=("20900101000000Z", "20900102000000Z"), file="future")

    def trusting(identity=None, **changes):
        made = secured.context(ours.authority, identity)
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    weak = trusting(good)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA:@SECLEVEL=0")
    old = trusting(good)
    old.minimum_version = ssl.TLSVersion.TLSv1_1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    cases = {
        "no certificate": trusting(),
        "of another authority": trusting(other.issue("ann", file="ann")),
        "signed by itself": trusting(self_signed(tmp_path)),
        "expired": trusting(past),
        "not yet valid": trusting(future),
        "TLS 1.1": old,
        "a weak cipher": weak,
        "a server of another authority": secured.context(other.authority, good),
    }
    passed, wrong = 0, []
    for port in PORTS:
        address = guarded.addresses[port]
        speech = PAGE if port == "drpc-https" else CALL
        for name, made in cases.items():
            # Coordination lets workers in without a certificate: they have to log in then. DRPC over
            # HTTPS lets them in as nobody, whom the function's rules refuse (`test_https`).
            if port == "drpc-https" and name == "no certificate":
                continue
            if is_refused(address, made, speech=speech):
                passed += 1
            else:
                wrong.append((port, name))
        for text in [CALL, len(CALL).to_bytes(4, "big") + CALL, b"GET / HTTP/1.1\r\n\r\n"]:
            if plain_gets_nothing(address, text):
                passed += 1
            else:
                wrong.append((port, "no TLS", text))
        if is_refused(address, trusting(good), "elsewhere.example.com", speech):
            passed += 1
        else:
            wrong.append((port, "another host's name"))
        good_one = is_refused(address, trusting(good), speech=speech)
        assert not good_one, f"a good certificate on {port}"
    total = passed + len(wrong)
    figure("G4", f"{passed} / {total} cells refused on {len(PORTS)} ports, a good certificate let in on each")
    assert not wrong


def self_signed(directory):
    """A certificate that is its own authority."""
    lone = secured.Certificates(directory / "lone", "ann")
    return lone.authority, lone.directory / "ann-ca.key"


def plain_gets_nothing(address, text):
    with socket.create_connection(address, timeout=15) as connection:
        connection.sendall(text)
        received = b""
        try:
            while piece := connection.recv(4096):
                received += piece
        except ConnectionResetError:
            pass
    # At most a TLS alert.
    return received[:1] in (b"", b"\x15")


def test_the_common_name_has_its_rights_and_no_others(guarded, ours, types):
    """C 1.5, 8.3: a certificate for another role."""
    bob = secured.context(ours.authority, ours.issue("bob"))
    root = secured.context(ours.authority, ours.issue("root"))
    with secured.over_tls(guarded.nimbus, bob) as nimbus:
        nimbus.getClusterInfo()
        with rules.refused(
            types.AuthorizationException, "getSupervisorAssignments is not authorized"
        ):
            nimbus.getSupervisorAssignments("none")
    with secured.over_tls(guarded.nimbus, root) as nimbus:
        nimbus.getSupervisorAssignments("none")
    with secured.over_tls(guarded.addresses["supervisor"], bob, "Supervisor") as supervisor:
        with rules.refused(
            types.AuthorizationException, "sendSupervisorAssignments is not authorized"
        ):
            supervisor.sendSupervisorAssignments(types.SupervisorAssignments(storm_assignment={}))
    figure("G4", "certificates for another role: 2 / 2 calls of other roles refused")


def test_a_function_is_answered_where_all_ports_speak_tls(guarded, ours, types):
    """C 10.2: a linear topology's native spout fetches and answers inside TLS."""
    builder = topologies.Builder(types)
    bolt = builder.native("org.apache.storm.starter.BasicDRPCTopology$ExclaimBolt")
    functions.linear(builder, "over-tls", bolt, parallelism=1)
    ann = secured.context(ours.authority, ours.issue("ann", file="caller"))
    with secured.over_tls(guarded.nimbus, ann) as nimbus:
        rules.submit(nimbus, types, "over-tls", builder=builder, conf={"topology.workers": 1})
        with secured.over_tls(guarded.addresses["drpc"], ann, "DistributedRPC") as drpc:
            assert drpc.execute("over-tls", "x") == "x!"
        rules.kill(nimbus, types, "over-tls")


def test_a_topology_runs_where_all_ports_speak_tls(guarded, ours, types):
    """C 1.5, 8.5: its workers have no certificates; they log in by tokens inside TLS."""
    ann = secured.context(ours.authority, ours.issue("ann"))
    with secured.over_tls(guarded.nimbus, ann) as nimbus:
        topology = rules.submit(nimbus, types, name="words")

        def emitted():
            info = nimbus.getTopologyInfo(topology.id)
            return any(executor.stats and executor.stats.emitted for executor in info.executors)

        eventually("statistics arrive", emitted)
        assert nimbus.getTopologySummary(topology.id).owner == "ann"
        rules.kill(nimbus, types, "words")


def test_the_command_line_speaks_tls(guarded, ours):
    chain, key = ours.issue("ann", file="cli")
    host, port = guarded.nimbus
    settings = {
        "nimbus.seeds": f'["{host}"]',
        "nimbus.thrift.port": port,
        "storm.local.hostname": host,
        "storm.thrift.transport": secured.TLS,
        "stormwire.tls.authorities": ours.authority,
        "nimbus.thrift.tls.client.cert.path": chain,
        "nimbus.thrift.tls.client.key.path": key,
    }
    command = [PROGRAM, "list", "--nimbus", f"{host}:{port}"]
    command += [f"-c{key}={value}" for key, value in settings.items()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    stranger = [*command, "-cstorm.thrift.transport=" + secured.AUTH + "SimpleTransportPlugin"]
    done = subprocess.run(stranger, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and str(port) in done.stderr


def test_renewed_certificates_are_taken_without_a_restart(tmp_path, types):
    """C 1.5: open connections stay; files that cannot be used change nothing."""
    certificates = secured.Certificates(tmp_path / "certificates")
    conf = settings(certificates)
    chain, key = conf["stormwire.tls.certificates"], conf["stormwire.tls.key"]
    with Cluster(tmp_path / "cluster", settings=conf, command="nimbus") as cluster:
        made = secured.context(certificates.authority, certificates.issue("ann"))

        def shown():
            with socket.create_connection(cluster.nimbus, timeout=15) as plain:
                with made.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                    return connection.getpeercert()["serialNumber"]

        with secured.over_tls(cluster.nimbus, made) as nimbus:
            nimbus.getClusterInfo()
            first = shown()
            certificates.issue("super", file="daemon")
            second = eventually("the new one is shown", lambda: (shown() != first) and shown())
            nimbus.getClusterInfo()
            # Half a file, as a careless copy leaves it.
            text = open(chain).read()
            with open(chain, "w") as file:
                file.write(text[: len(text) // 2])
            eventually(
                "the broken file is noticed",
                lambda: shown() == second and "old ones stay" in cluster.log.read_text(),
            )
            nimbus.getClusterInfo()
            with open(chain, "w") as file:
                file.write(text)
            assert os.path.exists(key)
        cluster.end(__import__("signal").SIGINT)


def test_key_stores_of_java_are_refused_with_the_remedy(tmp_path):
    cluster = Cluster(
        tmp_path,
        command="nimbus",
        settings={
            "nimbus.thrift.tls.port": 1,
            "nimbus.thrift.tls.server.keystore.path": "/etc/storm/nimbus.jks",
        },
    )
    with pytest.raises(Exception, match="openssl pkcs12"):
        cluster.start()
    cluster.kill_all()


def test_tls_alone_leaves_no_other_port(tmp_path, ours):
    """C 1.5, G7: with `nimbus.thrift.tls.server.only` nobody finds a port without TLS."""
    plain, tls = free_ports(2)
    chosen = {
        **settings(ours),
        "storm.thrift.transport": secured.AUTH + "SimpleTransportPlugin",
        "nimbus.thrift.port": plain,
        "nimbus.thrift.tls.port": tls,
        "nimbus.thrift.tls.server.only": "true",
    }
    with Cluster(tmp_path, slots=1, settings=chosen) as cluster:
        made = secured.context(ours.authority, ours.issue("root", file="root"))
        assert says(("127.0.0.1", tls), made)
        assert cluster.nimbus == ("127.0.0.1", tls)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", plain))
        cluster.stop()
