"""Storm's own Java client library does everything that its users do, over each transport.

What it does, step by step, is in java/ (Genuine.java); the tables that are printed say how it went.
"""

import java
import secured
from cluster import free_ports
from topologies import component_files, jar


def settings_of(cluster):
    """What stands in the storm.yaml of a client of this cluster."""
    return {
        "nimbus.seeds": ["localhost"],
        "nimbus.thrift.port": cluster.nimbus[1],
        "drpc.servers": ["localhost"],
        "drpc.port": cluster.addresses["drpc"][1],
        "storm.nimbus.retry.times": 1,
        "storm.nimbus.retry.interval.millis": 100,
        "storm.thrift.socket.timeout.ms": 20000,
    }


def check(capsys, tmp_path, transport, settings, properties=None):
    """Runs all of it and prints the table."""
    packed = tmp_path / "topology.jar"
    packed.write_bytes(jar(component_files("pulse.py", "exclaim.py")))
    steps = java.run(
        "Genuine",
        [transport, tmp_path],
        settings=settings,
        properties={"storm.jar": packed, **(properties or {})},
        directory=tmp_path,
    )
    with capsys.disabled():
        print(java.table(f"Storm's Java client, transport {transport}", steps))
    assert [step.name for step in steps if step.outcome != "passed"] == []


def test_over_the_simple_transport(own_cluster, tmp_path, capsys):
    """C 1.1, C 2.1, C 2.3: whom it talks to nobody asks.

    On a cluster of its own: Storm's command lists every blob, and ends at one that another test
    has not finished.
    """
    check(capsys, tmp_path, "simple", settings_of(own_cluster(slots=4)))


def test_over_tls(own_cluster, tmp_path, capsys):
    """C 1.5: certificates on both sides. DRPC's Thrift port has no TLS in Storm either."""
    made = secured.Certificates(tmp_path / "certificates")
    certificate, key = made.issue("nimbus")
    keys, trusted = java.stores(tmp_path, made, made.issue("ahab"))
    (tls_port,) = free_ports(1)
    cluster = own_cluster(
        slots=4,
        settings={
            "nimbus.thrift.tls.port": tls_port,
            "stormwire.tls.certificates": str(certificate),
            "stormwire.tls.key": str(key),
            "stormwire.tls.authorities": str(made.authority),
        },
    )
    settings = settings_of(cluster) | {
        "nimbus.thrift.client.use.tls": True,
        "nimbus.thrift.tls.port": tls_port,
        "nimbus.thrift.tls.client.keystore.path": str(keys),
        "nimbus.thrift.tls.client.keystore.password": java.STORE_PASSWORD,
        "nimbus.thrift.tls.client.truststore.path": str(trusted),
        "nimbus.thrift.tls.client.truststore.password": java.STORE_PASSWORD,
    }
    check(capsys, tmp_path, "tls", settings)


def test_over_digest(own_cluster, tmp_path, capsys):
    """C 1.4, C 8.2, C 8.4: logged in as a user of the cluster, whom the rules of Storm allow it."""
    cluster = own_cluster(slots=4, settings=secured.digest(tmp_path / "daemons"))
    login_file = secured.login_file(tmp_path / "client", client="ann")
    settings = settings_of(cluster) | {
        "storm.thrift.transport": secured.DIGEST,
        "java.security.auth.login.config": str(login_file),
    }
    properties = {"java.security.auth.login.config": login_file}
    check(capsys, tmp_path, "digest", settings, properties)
