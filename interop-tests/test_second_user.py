"""G2: a second user, bob, tries against ann and the cluster what others fell into: a test for each lesson of
`lessons.tsv` that can be tried here. The cluster asks for logins and holds to Storm's simple rules.
"""

import json
import os
import struct
from contextlib import closing, suppress

import pytest

import peers
import secured
from access import arguments, is_permitted
from cluster import Cluster, eventually
from contract import rules
from figures import figure
from topologies import Builder, jar, upload
from wire import Raw, call, frame

MARK = "second-user-was-here"
SERIALIZED = b"\xac\xed\0\5sr\0\x11java.util.HashMap"


@pytest.fixture(scope="module")
def types():
    return peers.Apache().types


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    directory = tmp_path_factory.mktemp("second-user")
    settings = {
        **secured.digest(directory, transport=secured.PLAIN),
        "storm.group.mapping.service": secured.AUTH + "ShellBasedGroupsMapping",
    }
    with Cluster(directory, slots=4, settings=settings) as cluster:
        yield cluster
        cluster.stop()


@pytest.fixture
def ann(guarded):
    with secured.login(guarded.nimbus, "ann") as nimbus:
        yield nimbus


@pytest.fixture
def bob(guarded):
    with secured.login(guarded.nimbus, "bob") as nimbus:
        yield nimbus


@pytest.fixture(scope="module")
def anns(guarded, types):
    """A topology of ann's, with a conf and credentials of her own."""
    conf = {"topology.workers": 1, "anns.password": secured.MARK}
    with secured.login(guarded.nimbus, "ann") as nimbus:
        topology = rules.submit(nimbus, types, name="anns", conf=conf)
        topology.placed()
    yield topology
    with secured.login(guarded.nimbus, "ann") as nimbus:
        rules.kill(nimbus, types, "anns")


def put(nimbus, types, key, content=b"anns", acl=()):
    session = nimbus.beginCreateBlob(key, types.SettableBlobMeta(acl=list(acl)))
    nimbus.uploadBlobChunk(session, content)
    nimbus.finishBlobUpload(session)


def refused(attempt):
    """Whether an attempt is an error of any kind."""
    try:
        attempt()
    except Exception:
        return True
    return False


def test_names_are_no_commands(guarded, bob, types, tmp_path):
    """CVE-2021-38294: with the mapping that asks the system for groups."""
    witness = tmp_path / MARK
    for name in (f"$(touch {witness})", f"x; touch {witness}", f"`touch {witness}`", f"-x\n{witness}"):
        bob.getTopologyHistory(name)
        conf = {"topology.users": [name], "topology.readonly.groups": [name]}
        rules.submit(bob, types, name="names", conf=conf, status="INACTIVE")
        with secured.login(guarded.nimbus, "rae") as rae:
            assert refused(lambda: rae.getTopologyConf("names"))
        rules.kill(bob, types, "names")
        with suppress(Exception):
            with secured.login(guarded.nimbus, name, secret="x") as other:
                other.getClusterInfo()
    assert not witness.exists()


def test_nothing_is_made_of_what_the_wire_names(guarded, bob, types, tmp_path):
    """CVE-2021-40865, -2018-11779, -2026-35337, -2026-82436, -2026-82440."""
    builder = Builder(types)
    builder.spout("s", types.ComponentObject(serialized_java=SERIALIZED), {"default": ["x"]})
    assert refused(lambda: rules.submit(bob, types, name="frozen", builder=builder))
    conf = {
        "topology.scheduler.strategy": "javax.script.ScriptEngineManager",
        "topology.kryo.register": ["javax.script.ScriptEngineManager"],
        "topology.tuple.serializer": "javax.script.ScriptEngineManager",
    }
    outcome = refused(lambda: rules.submit(bob, types, name="named", conf=conf, status="INACTIVE"))
    if not outcome:
        rules.kill(bob, types, "named")  # kept as text, read by nobody
    for port in ("nimbus", "supervisor", "coordination", "drpc", "drpc-invocations"):
        with closing(Raw(guarded.addresses[port], timeout_secs=15)) as raw:
            assert (raw.send(SERIALIZED).no_more().receive(1)) in (b"", b"\3", b"\4")
    assert guarded.process.poll() is None


def test_files_of_others_are_out_of_reach(guarded, bob, anns, types, tmp_path):
    """CVE-2014-0115, -2019-0202, -2026-124495, -2026-82426, -2026-82427."""
    secret = tmp_path / "secret"
    secret.write_text(MARK)
    location = upload(bob, jar({"x": ""}))
    for place in (str(secret), location + "/../../../../../.." + str(secret)):
        submit = lambda: bob.submitTopology("files", place, "{}", rules.native(types).topology)
        assert refused(submit) and refused(lambda: bob.beginFileDownload(place))
    os.symlink(secret, os.path.join(os.path.dirname(location), "linked.jar"))
    linked = os.path.join(os.path.dirname(location), "linked.jar")
    native = rules.native(types).topology
    assert refused(lambda: bob.submitTopology("files", linked, "{}", native))
    put(bob, types, "bobs")
    for local in ("../../../../evil", str(secret), "resources", "launch", ".."):
        conf = {"topology.blobstore.map": {"bobs": {"localname": local}}}
        assert refused(lambda: rules.submit(bob, types, name="files", conf=conf)), local
    assert secret.read_text() == MARK


def test_what_is_not_allowed_to_bob_is_refused(guarded, bob, anns, types):
    """CVE-2026-82431, -82432, -94125: every call that touches ann's topology, and the side doors."""
    for name, given in arguments(types, anns).items():
        touches = any(each in (anns.id, anns.name) for each in given if isinstance(each, str))
        if touches and name not in ("getTopologySummary", "getTopologySummaryByName"):
            if name != "isTopologyNameAllowed":
                assert not is_permitted(lambda: getattr(bob, name)(*given)), name
    overrides = json.dumps({"topology.users": ["bob"]})
    steal = types.RebalanceOptions(wait_secs=0, topology_conf_overrides=overrides)
    assert not is_permitted(lambda: bob.rebalance("anns", steal))
    # Overrides of one's own topology pass the checks of a submission.
    own = rules.submit(bob, types, name="bobs", status="INACTIVE")
    try:
        bad = {"topology.workers": "1e9"}
        options = types.RebalanceOptions(wait_secs=0, topology_conf_overrides=json.dumps(bad))
        assert refused(lambda: bob.rebalance("bobs", options))
        taken = {"topology.submitter.user": "ann", "topology.submitter.principal": "ann"}
        options = types.RebalanceOptions(wait_secs=0, topology_conf_overrides=json.dumps(taken))
        with suppress(Exception):
            bob.rebalance("bobs", options)
        assert bob.getTopologySummary(own.id).owner == "bob"
    finally:
        rules.kill(bob, types, "bobs")
    assert anns.id not in (bob.getTopologyHistory("ann").topo_ids or [])
    page = bob.getSupervisorPageInfo(None, "localhost", True)
    assert anns.id not in repr(page) and "'anns'" not in repr(page)
    summaries = bob.getOwnerResourceSummaries("ann")
    assert secured.MARK not in repr(summaries)


def test_daemons_lend_bob_no_rights(guarded, ann, bob, anns, types):
    """CVE-2026-82441, -82428: blobs that he only names."""
    put(ann, types, "anns-blob")
    put(ann, types, "dep-anns.jar")
    conf = {"topology.blobstore.map": {"anns-blob": {"localname": "x"}}}
    assert refused(lambda: rules.submit(bob, types, name="thief", conf=conf))
    builder = rules.native(types)
    builder.topology.dependency_jars = ["dep-anns.jar", "anns-blob", f"{anns.id}-stormjar.jar"]
    with suppress(Exception):
        rules.submit(bob, types, name="killer", builder=builder, status="INACTIVE")
        rules.kill(bob, types, "killer")
    for key in ("anns-blob", "dep-anns.jar", f"{anns.id}-stormjar.jar"):
        assert ann.getBlobMeta(key) is not None, key
        for attempt in (
            lambda: bob.deleteBlob(key),
            lambda: bob.beginUpdateBlob(key),
            lambda: bob.beginBlobDownload(key),
            lambda: bob.setBlobMeta(key, types.SettableBlobMeta(acl=[])),
        ):
            assert refused(attempt), key
    # A key that is not there costs the topology, not the cluster.
    builder = rules.native(types)
    builder.topology.dependency_jars = ["never-there.jar"]
    with suppress(Exception):
        rules.submit(bob, types, name="lacking", builder=builder)
        rules.kill(bob, types, "lacking")
    assert bob.getLeader().isLeader


def test_bob_speaks_for_nobody_else(guarded, anns):
    """CVE-2018-1332: no impersonation authorizer is set, so nobody may. Of DRPC over HTTP
    (CVE-2026-124496) `test_rights.py` asks as nobody, with whatever headers.
    """
    payload = "\0".join(["root", "bob", secured.password("bob")]).encode()
    with closing(Raw(guarded.nimbus, timeout_secs=15)) as raw:
        for status, text in [(1, b"PLAIN"), (5, payload)]:
            raw.send(struct.pack(">BI", status, len(text)) + text)
        raw.send(frame(call("getSupervisorAssignments", b"\x0b\0\1\0\0\0\1x"))).no_more()
        received = b""
        while piece := raw.receive(65536):
            received += piece
    assert b"not authorized" in received


def test_secrets_of_others_stay_theirs(guarded, bob, anns, types):
    """CVE-2026-82433, -82434, -84179, -82437, -2023-43123."""
    for name, given in arguments(types, anns).items():
        if name.startswith(("get", "list")):
            try:
                reply = repr(getattr(bob, name)(*given))
            except Exception as refusal:
                reply = repr(refusal)
            assert secured.MARK not in reply, name


def test_http_gives_other_origins_nothing(guarded):
    """CVE-2026-82438: no reflected origin, no JSONP, and nothing but DRPC behind the port."""
    address = guarded.addresses["drpc-http"]
    with closing(Raw(address, timeout_secs=15)) as raw:
        raw.send(
            b"OPTIONS /drpc/f?callback=evil HTTP/1.1\r\nhost: evil.example\r\n"
            b"origin: http://evil.example\r\naccess-control-request-method: POST\r\n"
            b"connection: close\r\n\r\n"
        )
        received = b""
        while piece := raw.receive(65536):
            received += piece
    assert b"access-control-allow" not in received.lower() and b"evil" not in received


def test_memory_is_bounded_before_bob_is_bob(guarded):
    """CVE-2026-82435, -82439."""
    before = guarded.memory_mb()
    open_ones = []
    for _ in range(300):
        raw = Raw(guarded.nimbus, timeout_secs=15)
        open_ones.append(raw.send(b"\1\0\0\0\5PLAIN\2" + struct.pack(">I", 0x7FFF_FFFF)))
    assert guarded.memory_mb() < before + 32
    for raw in open_ones:
        raw.close()


def test_a_login_is_held_to_in_this_build(guarded):
    """CVE-2018-1320: not only where assertions are on."""
    for secret in ("", "x", secured.password("ann")[:-1], secured.password("bob")):
        for mechanism in ("DIGEST-MD5", "PLAIN"):

            def attempt():
                with secured.login(
                    guarded.nimbus, "ann", secret=secret, mechanism=mechanism
                ) as nimbus:
                    nimbus.getLeader()

            assert refused(attempt), (secret, mechanism)
    eventually("others are served", lambda: is_served(guarded))
    figure("G2", "10 attacks of a second user, one for each lesson that can be tried: all refused")


def is_served(guarded):
    with secured.login(guarded.nimbus, "ann") as nimbus:
        return nimbus.getLeader().isLeader
