"""The UI and the log viewer over HTTPS, as processes: who is let in, what they see and order there, where links
lead, and what a certificate that is of no use is told.
"""

import http.client
import json
import ssl
from urllib.parse import urlsplit

import pytest

import peers
import secured
from cluster import Cluster, DaemonEndedError, eventually
from topologies import Builder, component_files, running
from web import ask, get

DAEMONS = ("ui", "logviewer")


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return secured.Certificates(tmp_path_factory.mktemp("certificates"))


def settings(certificates, **more):
    """PEM files of a daemon, and HTTPS on ports that the system chooses."""
    chain, key = certificates.issue("daemon", file="daemon")
    return {
        "stormwire.tls.certificates": str(chain),
        "stormwire.tls.key": str(key),
        "stormwire.tls.authorities": str(certificates.authority),
        "ui.https.port": 0,
        "logviewer.https.port": 0,
        **more,
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory, ours):
    """A cluster with a topology; both daemons answer over HTTPS alone, as Storm's default says."""
    peer = peers.ThriftPy2()
    with Cluster(tmp_path_factory.mktemp("https"), slots=2, settings=settings(ours)) as cluster:
        made = Builder(peer.types)
        made.spout("pulse", made.python("pulse.py"), {"default": ["n"]})
        with peer.connect(cluster.nimbus) as nimbus:
            with running(peer, nimbus, "safe", made, component_files("pulse.py")) as id:
                cluster.topology = id
                yield cluster
        cluster.stop()


def test_http_is_closed_where_https_is_open(site, ours):
    for daemon in DAEMONS:
        assert daemon not in site.addresses
        address = site.addresses[f"{daemon}-https"]
        # At most a TLS alert for who speaks plainly, and nothing of the site.
        with pytest.raises((http.client.HTTPException, OSError)):
            ask(address, "/api/v1/cluster/summary")
        # The next visitor is served.
        trusted = secured.context(ours.authority)
        assert ask(address, "/", context=trusted).status in (200, 404)


def test_who_is_let_in(site, ours, tmp_path):
    """Without a certificate, as nobody; with a good one; with one of somebody else's making, not at all. And
    the server is who it says: a client that trusts others, or asks for another host, goes away."""
    other = secured.Certificates(tmp_path, "other")
    past = ours.issue("ann", dates=("20200101000000Z", "20200102000000Z"), file="past")
    for daemon in DAEMONS:
        address = site.addresses[f"{daemon}-https"]
        route = "/api/v1/listLogs" if daemon == "logviewer" else "/api/v1/cluster/summary"
        for identity in (None, ours.issue("ann", file="ann")):
            reply = ask(address, route, context=secured.context(ours.authority, identity))
            assert reply.status == 200, (daemon, reply.body)
        for identity in (other.issue("ann", file="ann"), past):
            stranger = secured.context(ours.authority, identity)
            with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                ask(address, route, context=stranger)
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(address, route, context=secured.context(other.authority))
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(address, route, context=secured.context(ours.authority), host="elsewhere.example")
        old = secured.context(ours.authority)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, OSError)):
            ask(address, route, context=old)


def test_pages_links_and_orders(site, ours):
    """From the page to a worker's log: each link leads to HTTPS, and an order of the page itself is obeyed."""
    trusted = secured.context(ours.authority)
    ui, viewer = (site.addresses[f"{daemon}-https"] for daemon in DAEMONS)
    page = ask(ui, "/", context=trusted)
    assert page.status == 200 and "script-src 'sha256-" in page.headers["content-security-policy"]

    def worker():
        shown = get(ui, f"topology/{site.topology}", context=trusted)["workers"]
        return shown and shown[0]

    link = eventually("a worker", worker)["workerLogLink"]
    parts = urlsplit(link)
    assert (parts.scheme, parts.port) == ("https", viewer[1]), link

    def log():
        reply = ask(viewer, f"{parts.path}?{parts.query}", context=trusted)
        return reply.status == 200 and "the worker runs" in reply.text

    eventually("the worker's log", log)
    supervisors = get(ui, "supervisor/summary", context=trusted)
    assert (supervisors["logviewerScheme"], supervisors["logviewerPort"]) == ("https", viewer[1])

    def order(action, origin):
        path = f"/api/v1/topology/{site.topology}/{action}"
        reply = ask(ui, path, "POST", {"Origin": origin}, context=trusted)
        return reply.status, json.loads(reply.body)

    own = "https://%s:%d" % ui
    assert order("deactivate", "https://evil.example")[0] == 403
    status, reply = order("deactivate", own)
    assert status == 200 and reply["status"] == "success", reply
    assert get(ui, f"topology/{site.topology}", context=trusted)["status"] == "INACTIVE"
    assert order("activate", own)[0] == 200


def test_certificates_name_visitors_where_they_are_needed(ours, site, tmp_path):
    more = {
        "ui.https.need.client.auth": "true",
        "logviewer.https.need.client.auth": "true",
        "storm.principal.tolocal": secured.AUTH + "X509CertPrincipalToLocal",
        "nimbus.thrift.port": site.nimbus[1],
        "storm.local.dir": str(site.local),
    }
    ann = secured.context(ours.authority, ours.issue("ann", file="ann"))
    nobody = secured.context(ours.authority)
    for daemon, route in (("ui", "/api/v1/cluster/summary"), ("logviewer", "/api/v1/listLogs")):
        with Cluster(tmp_path / daemon, settings=settings(ours, **more), command=daemon) as alone:
            address = alone.addresses[f"{daemon}-https"]
            reply = ask(address, route, context=ann)
            assert reply.status == 200, reply.body
            if daemon == "ui":
                assert "ann" in reply.json["user"]
            with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                ask(address, route, context=nobody)
            alone.stop()


def test_both_ports_where_that_is_asked_for(ours, site, tmp_path):
    """`ui.disable.http.binding: false`. And alone a UI cannot know a port that the system chose for a log viewer:
    then there are no links, rather than wrong ones."""
    more = {"ui.disable.http.binding": "false", "nimbus.thrift.port": site.nimbus[1]}
    with Cluster(tmp_path, settings=settings(ours, **more), command="ui") as alone:
        plain = get(alone.addresses["ui"], f"topology/{site.topology}")
        inside = get(
            alone.addresses["ui-https"],
            f"topology/{site.topology}",
            context=secured.context(ours.authority),
        )
        assert plain["id"] == inside["id"] == site.topology
        assert [each["workerLogLink"] for each in plain["workers"]] == [None]
        supervisors = get(alone.addresses["ui"], "supervisor/summary")
        assert supervisors["supervisors"][0]["logLink"] is None
        assert (supervisors["logviewerPort"], supervisors["logviewerScheme"]) == (None, None)
        alone.stop()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_certificate_that_is_of_no_use_is_named(ours, daemon, tmp_path):
    """The daemon does not start, and says which file or setting is wrong."""
    good = settings(ours)
    strange = ours.issue("strange", file="strange")[1]
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    absent = tmp_path / "absent.pem"
    for change, named in [
        ({"stormwire.tls.certificates": None}, "stormwire.tls.certificates"),
        ({"stormwire.tls.key": None}, "stormwire.tls.key"),
        ({"stormwire.tls.certificates": str(absent)}, str(absent)),
        ({"stormwire.tls.certificates": str(empty)}, str(empty)),
        ({"stormwire.tls.key": str(empty)}, str(empty)),
        ({"stormwire.tls.key": str(strange)}, good["stormwire.tls.certificates"]),
        ({"stormwire.tls.authorities": str(absent)}, str(absent)),
        (
            {"stormwire.tls.authorities": None, f"{daemon}.https.need.client.auth": "true"},
            "stormwire.tls.authorities",
        ),
        # Java's key stores are not read; the error says what is.
        (
            {
                "stormwire.tls.certificates": None,
                f"{daemon}.https.keystore.path": str(tmp_path / "keystore.jks"),
                f"{daemon}.https.keystore.password": "planted",
            },
            "PEM",
        ),
    ]:
        changed = {**good, **change}
        changed = {key: value for key, value in changed.items() if value is not None}
        with pytest.raises(DaemonEndedError) as ended:
            with Cluster(tmp_path / "run", settings=changed, command=daemon):
                pass
        assert named in str(ended.value), (change, str(ended.value))
        assert "planted" not in str(ended.value)


def test_a_renewed_certificate_is_taken_while_it_runs(ours, site, tmp_path):
    own = secured.Certificates(tmp_path / "own")
    with Cluster(tmp_path / "viewer", settings=settings(own), command="logviewer") as viewer:
        trusted = secured.context(own.authority)

        def serial():
            connection = http.client.HTTPSConnection(
                *viewer.addresses["logviewer-https"], timeout=15, context=trusted
            )
            connection.connect()
            try:
                return connection.sock.getpeercert()["serialNumber"]
            finally:
                connection.close()

        first = serial()
        own.issue("daemon", file="daemon")
        eventually("the new one is shown", lambda: serial() != first)
        viewer.stop()
