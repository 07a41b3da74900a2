"""Who may do what on a cluster that asks for logins: the table of access.tsv on real daemons, worker
tokens, sessions, secrets. Section numbers are those of the control plane's specification; G1, G3, G6,
G7, G8 are rows of the catalogue of reliability tests.
"""

import base64
import csv
import io
import socket
import stat
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.utils import deserialize

import peers
import secured
from cluster import PROGRAM, Cluster, eventually
from contract import rules

ACCESS = Path(__file__).resolve().parent / "access.tsv"

# The parts of our records and of Storm's structs that hold tokens.
tokens = thriftpy2.load_fp(
    io.StringIO(
        "struct Work { 20: string worker_token }"
        "struct Launch { 2: string topology_id, 12: Work work }"
        "struct Info { 1: string user, 2: string topology, 3: i64 version, 4: i64 expires_ms }"
        "struct Token { 1: i32 kind, 2: binary info, 3: binary signature }"
    ),
    "tokens_thrift",
)

FRAMED_CALL = b"\0\0\0\x1c\x80\x01\0\x01\0\0\0\x0fgetClusterInfo!\0\0\0\x01\0"


@pytest.fixture(scope="module")
def types():
    return peers.Apache().types


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A cluster that asks for logins on every port."""
    directory = tmp_path_factory.mktemp("guarded")
    settings = secured.digest(directory)
    settings["storm.zookeeper.auth.payload"] = f"digest:{secured.MARK}"
    with Cluster(directory, slots=4, settings=settings) as cluster:
        yield cluster
        cluster.stop()


def login(cluster, role, service="Nimbus", **options):
    address = cluster.addresses[rules.ADDRESS_OF[service]]
    return secured.login(address, secured.USERS[role], service, **options)


@pytest.fixture(scope="module")
def words(guarded, types):
    """A topology of `user` that `reader` may look at."""
    conf = {"topology.readonly.users": ["rae"], "topology.workers": 1}
    with login(guarded, "user") as nimbus:
        topology = rules.submit(nimbus, types, name="words", conf=conf)
        topology.placed()
    yield topology
    with login(guarded, "user") as nimbus:
        rules.kill(nimbus, types, "words")


def rows(service):
    lines = (line for line in ACCESS.read_text().splitlines() if not line.startswith("#"))
    table = csv.DictReader(lines, delimiter="\t")
    return [row for row in table if row["service"] == service]


def is_permitted(call):
    """Whether a call gets past the check of rights, whatever becomes of it then."""
    try:
        call()
    except Exception as refusal:
        text = getattr(refusal, "msg", None) or getattr(refusal, "message", None) or str(refusal)
        return "is not authorized" not in text
    return True


def arguments(types, topology):
    """Arguments for each call of Nimbus that do no harm where they get through."""
    name, id = topology.name, topology.id
    beat = types.SupervisorWorkerHeartbeat(storm_id=id, executors=[], time_secs=1)
    beats = types.SupervisorWorkerHeartbeats(supervisor_id="nobody", worker_heartbeats=[])
    metrics = types.WorkerMetrics(
        topologyId=id, port=1, hostname="h", metricList=types.WorkerMetricList(metrics=[])
    )
    request = types.ProfileRequest(
        nodeInfo=types.NodeInfo(node="none", port={1}), action=types.ProfileAction.JPROFILE_STOP
    )
    meta = types.SettableBlobMeta(acl=[])
    empty = types.StormTopology(spouts={}, bolts={}, state_spouts={})
    options = types.SubmitOptions(initial_status=types.TopologyInitialStatus.ACTIVE)
    all_errors = types.GetInfoOptions(num_err_choice=types.NumErrorsChoice.ALL)
    # The name is none that a topology may have: nothing is submitted.
    submission = ("a/b", "/nowhere", "{}", empty)
    return {
        "submitTopology": submission,
        "submitTopologyWithOpts": (*submission, options),
        "killTopology": ("victim",),
        "killTopologyWithOpts": ("victim", types.KillOptions(wait_secs=0)),
        "activate": (name,),
        "deactivate": (name,),
        # There is no such component: nothing is rebalanced.
        "rebalance": (name, types.RebalanceOptions(wait_secs=0, num_executors={"none": 1})),
        "setLogConfig": (id, types.LogConfig(named_logger_level={})),
        "getLogConfig": (id,),
        "debug": (name, "", False, 0.0),
        "setWorkerProfiler": (id, request),
        "getComponentPendingProfileActions": (id, "sink", types.ProfileAction.JPROFILE_STOP),
        "uploadNewCredentials": (name, types.Credentials(creds={}, topoOwner="ann")),
        "beginCreateBlob": ("../no key", meta),
        "beginUpdateBlob": ("none",),
        "uploadBlobChunk": ("none", b"x"),
        "finishBlobUpload": ("none",),
        "cancelBlobUpload": ("none",),
        "getBlobMeta": ("none",),
        "setBlobMeta": ("none", meta),
        "beginBlobDownload": ("none",),
        "downloadBlobChunk": ("none",),
        "deleteBlob": ("none",),
        "listBlobs": ("none",),
        "getBlobReplication": ("none",),
        "updateBlobReplication": ("none", 1),
        "createStateInZookeeper": ("none",),
        "beginFileUpload": (),
        "uploadChunk": ("none", b"x"),
        "finishFileUpload": ("none",),
        "beginFileDownload": ("none",),
        "downloadChunk": ("none",),
        "getNimbusConf": (),
        "getClusterInfo": (),
        "getTopologySummaries": (),
        "getTopologySummaryByName": (name,),
        "getTopologySummary": (id,),
        "getLeader": (),
        "isTopologyNameAllowed": (name,),
        "getTopologyInfoByName": (name,),
        "getTopologyInfo": (id,),
        "getTopologyInfoByNameWithOpts": (name, all_errors),
        "getTopologyInfoWithOpts": (id, all_errors),
        "getTopologyPageInfo": (id, ":all-time", False),
        "getSupervisorPageInfo": (None, "localhost", False),
        "getComponentPageInfo": (id, "sink", ":all-time", False),
        "getTopologyConf": (id,),
        "getTopology": (id,),
        "getUserTopology": (id,),
        "getTopologyHistory": (None,),
        "getOwnerResourceSummaries": (None,),
        "getSupervisorAssignments": ("none",),
        "sendSupervisorWorkerHeartbeats": (beats,),
        "sendSupervisorWorkerHeartbeat": (beat,),
        "processWorkerMetrics": (metrics,),
        "isRemoteBlobExists": ("none",),
    }


def test_every_call_of_nimbus_for_every_role_that_can_log_in(guarded, words, types):
    """G1, C 8.2: the table, asked over DIGEST-MD5; nobody cannot even log in."""
    given = arguments(types, words)
    table = rows("Nimbus")
    assert [row["call"] for row in table] == list(given), "each call has its arguments here"
    wrong, n_cells = [], 0
    for role in secured.USERS:
        with login(guarded, role) as nimbus, login(guarded, "user") as owner:
            for row in table:
                call = row["call"]
                if call.startswith("killTopology"):
                    rules.submit(owner, types, name="victim")
                permitted = is_permitted(lambda: getattr(nimbus, call)(*given[call]))
                if call.startswith("killTopology"):
                    rules.kill(owner, types, "victim")
                n_cells += 1
                if permitted != (row[role] == "yes"):
                    wrong.append((call, role, permitted))
    print(f"access over DIGEST-MD5: {n_cells - len(wrong)} / {n_cells} cells as in the table")
    assert not wrong


def test_every_call_of_a_supervisor_for_every_role(guarded, words, types):
    """G1, C 3.6."""
    beat = types.SupervisorWorkerHeartbeat(storm_id=words.id, executors=[], time_secs=1)
    given = {
        "sendSupervisorAssignments": (types.SupervisorAssignments(storm_assignment={}),),
        "getLocalAssignmentForStorm": (words.id,),
        "sendSupervisorWorkerHeartbeat": (beat,),
    }
    # Until the code is here its users are not known here.
    eventually("its worker runs", lambda: guarded.workers(words.id))
    wrong = []
    for role in secured.USERS:
        with login(guarded, role, "Supervisor") as supervisor:
            for row in rows("Supervisor"):
                call = row["call"]
                permitted = is_permitted(lambda: getattr(supervisor, call)(*given[call]))
                if permitted != (row[role] == "yes"):
                    wrong.append((call, role, permitted))
    assert not wrong


# ---- Logins --------------------------------------------------------------------------------------


def refusal(address, user, **options):
    """What a login is told; None when it is let in."""
    try:
        with secured.login(address, user, **options) as nimbus:
            nimbus.getLeader()
    except Exception as error:
        return f"{type(error).__name__} {error}"
    return None


@pytest.mark.parametrize("port", ["nimbus", "supervisor"])
def test_wrong_names_and_passwords_are_told_nothing(guarded, port):
    """C 1.4: BAD, and the same text for both."""
    address = guarded.addresses[port]
    texts = {
        refusal(address, "ann", secret="wrong"),
        refusal(address, "ann", secret=""),
        refusal(address, "nobody at all", secret="x"),
        refusal(address, "x" * 2000, secret="x"),
    }
    assert len(texts) == 1 and "wrong" in texts.pop()
    plain = refusal(address, "ann", mechanism="PLAIN")
    assert "Unsupported mechanism type PLAIN" in plain


def test_any_host_in_the_digest_uri_is_taken(guarded):
    """C 1.4: Java's server refuses all but localhost."""
    assert refusal(guarded.nimbus, "ann", host="nimbus.example.com") is None


@pytest.mark.parametrize("port", ["nimbus", "supervisor", "coordination"])
def test_who_does_not_log_in_gets_no_answer(guarded, port):
    """G7: frames on a port that asks for logins; also what announces more than a login needs."""
    for opening in [FRAMED_CALL, b"\x01\x7f\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\x02\0\0\0\0"]:
        with socket.create_connection(guarded.addresses[port], timeout=15) as connection:
            received = b""
            # Closed before all of it was read: a reset is a refusal, too.
            with suppress(ConnectionResetError):
                connection.sendall(opening)
                while piece := connection.recv(4096):
                    received += piece
        # At most the negotiation's own word of refusal.
        assert received[:1] in (b"", b"\x03", b"\x04"), received


def test_plain_checks_passwords_and_impersonation_has_rules(tmp_path, types):
    """C 1.4, 8.3: who may speak for whom, from where; without rules nobody may."""
    settings = secured.digest(tmp_path, transport=secured.PLAIN)
    settings["nimbus.impersonation.authorizer"] = secured.AUTH + "authorizer.ImpersonationAuthorizer"
    settings["nimbus.impersonation.acl"] = {
        "super": {"hosts": ["127.0.0.1"], "groups": ["dev"]},
        "bob": {"hosts": ["10.1.2.3"], "groups": ["*"]},
    }
    groups = {"ann": ["dev"], "bob": ["sales"]}
    settings["storm.group.mapping.service.params"] = {"storm.fixed.group.mapping": groups}
    with Cluster(tmp_path, settings=settings, command="nimbus") as cluster:
        assert refusal(cluster.nimbus, "ann", mechanism="PLAIN") is None
        assert "wrong" in refusal(cluster.nimbus, "ann", mechanism="PLAIN", secret="x")
        assert refusal(cluster.nimbus, "ann") is None, "DIGEST-MD5 beside it"

        def speaks(user, other):
            told = refusal_as(cluster.nimbus, user, other)
            assert told is None or f"principal {user} is not authorized to impersonate" in told
            return told is None

        assert speaks("super", "ann")
        assert not speaks("super", "bob"), "of no allowed group"
        assert not speaks("bob", "ann"), "from another host"
        assert not speaks("root", "ann"), "admins need a rule, too"


def refusal_as(address, user, other):
    """As `refusal`, for one who speaks for somebody else."""
    payload = "\0".join([other, user, secured.password(user)]).encode()
    with socket.create_connection(address, timeout=15) as connection:
        for status, text in [(1, b"PLAIN"), (5, payload)]:
            connection.sendall(struct.pack(">BI", status, len(text)) + text)
        header = connection.recv(5, socket.MSG_WAITALL)
        assert header[0] == 5, header
        name = b"getClusterInfo"
        call = b"\x80\x01\0\x01" + struct.pack(">I", len(name)) + name + b"\0\0\0\x01\0"
        connection.sendall(struct.pack(">I", len(call)) + call)
        (length,) = struct.unpack(">I", connection.recv(4, socket.MSG_WAITALL))
        reply = connection.recv(length, socket.MSG_WAITALL)
    return reply.decode(errors="replace") if b"not authorized" in reply else None


def test_the_command_line_logs_in(guarded, words, tmp_path):
    """By the keys that Storm's own client reads."""

    def run(user, *arguments):
        host, port = guarded.nimbus
        file = secured.login_file(tmp_path / user, client=user)
        settings = [
            f"-cstorm.thrift.transport={secured.DIGEST}",
            f"-cjava.security.auth.login.config={file}",
        ]
        command = [PROGRAM, *arguments, "--nimbus", f"{host}:{port}", *settings]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    listed = run("ann", "list")
    assert listed.returncode == 0 and "words" in listed.stdout, listed.stderr
    refused = run("bob", "deactivate", "words")
    assert refused.returncode != 0
    assert "deactivate on topology words is not authorized" in refused.stderr
    assert secured.MARK not in refused.stderr + refused.stdout


# ---- Worker tokens -------------------------------------------------------------------------------


def launch_of(cluster, topology):
    """The launch record of a running worker of a topology, with its path."""

    def found():
        for path in cluster.local.glob("workers/*/launch"):
            launch = deserialize(tokens.Launch(), path.read_bytes(), TBinaryProtocolFactory())
            if launch.topology_id == topology:
                return path, launch
        return None

    return eventually("a worker is launched", found)


def token_of(cluster, topology):
    """Name and password that a worker's token gives."""
    _, launch = launch_of(cluster, topology)
    return parts(launch.work.worker_token)


def parts(text):
    token = deserialize(tokens.Token(), base64.b64decode(text), TBinaryProtocolFactory())
    return base64.b64encode(token.info).decode(), base64.b64encode(token.signature).decode()


def test_a_worker_reports_by_its_token(guarded, words):
    """C 8.5: the worker logs in at Coordination, and its statistics arrive."""
    path, launch = launch_of(guarded, words.id)
    assert launch.work.worker_token, "it was given one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with login(guarded, "user") as nimbus:

        def reported():
            info = nimbus.getTopologyInfo(words.id)
            # What was sampled is chance; that there are statistics is not.
            return info.executors and all(executor.stats for executor in info.executors)

        eventually("statistics arrive", reported)


def test_a_token_serves_its_own_topology_and_service_only(guarded, words, types):
    """G6, C 8.5."""
    name, password = token_of(guarded, words.id)
    with login(guarded, "user") as nimbus:
        other = rules.submit(nimbus, types, name="other")
    try:
        with secured.login(guarded.nimbus, name, secret=password) as worker:
            assert worker.getTopologyConf(words.id)
            with rules.refused(
                types.AuthorizationException, "getTopologyConf on topology other is not authorized"
            ):
                worker.getTopologyConf(other.id)
        assert "wrong" in refusal(guarded.addresses["supervisor"], name, secret=password)
        assert "wrong" in refusal(guarded.nimbus, name, secret=password[::-1])
        # A later expiry, or another user, is signed by nobody.
        info = deserialize(tokens.Info(), base64.b64decode(name), TBinaryProtocolFactory())
        for change in [{"expires_ms": info.expires_ms + 1}, {"user": "root"}, {"version": 99}]:
            changed = tokens.Info(**{**vars(info), **change})
            forged = base64.b64encode(peers.to_bytes(changed)).decode()
            assert "wrong" in refusal(guarded.nimbus, forged, secret=password)
    finally:
        with login(guarded, "user") as nimbus:
            rules.kill(nimbus, types, "other")


def test_the_token_of_a_killed_topology_ends_within_five_seconds(guarded, types):
    """G6: for new logins and on connections that stay open."""
    with login(guarded, "user") as nimbus:
        topology = rules.submit(nimbus, types, name="short")
        topology.placed()
        name, password = token_of(guarded, topology.id)
        with secured.login(guarded.nimbus, name, secret=password) as worker:
            worker.getLeader()
            rules.kill(nimbus, types, "short")
            gone = time.monotonic()
            eventually("the login is refused", lambda: refusal(guarded.nimbus, name, secret=password))
            assert not is_permitted(worker.getLeader)
            seconds = time.monotonic() - gone
    print(f"token refused {seconds:.2f} s after its topology was gone")
    assert seconds < 5


# ---- Sessions and secrets ------------------------------------------------------------------------


def test_an_upload_belongs_to_whom_began_it(guarded, types):
    """G3, C 3.4: for others there is no such file."""
    with login(guarded, "user") as ann, login(guarded, "other") as bob:
        location = ann.beginFileUpload()
        with rules.internal("uploadChunk", "File for that location does not exist"):
            bob.uploadChunk(location, b"stolen")
        with rules.internal("finishFileUpload", "File for that location does not exist"):
            bob.finishFileUpload(location)
        ann.uploadChunk(location, b"own")
        ann.finishFileUpload(location)


def test_a_blob_session_belongs_to_whom_began_it(guarded, types):
    """G3, C 3.5."""
    with login(guarded, "user") as ann, login(guarded, "other") as bob:
        session = ann.beginCreateBlob("mine", types.SettableBlobMeta(acl=[]))
        with pytest.raises(Exception):
            bob.uploadBlobChunk(session, b"stolen")
        with pytest.raises(Exception):
            bob.finishBlobUpload(session)
        ann.uploadBlobChunk(session, b"own")
        ann.finishBlobUpload(session)
        begun = ann.beginBlobDownload("mine")
        with pytest.raises(Exception):
            bob.downloadBlobChunk(begun.session)
        assert ann.downloadBlobChunk(begun.session) == b"own"
        with pytest.raises(Exception):
            bob.getBlobMeta("mine")
        ann.deleteBlob("mine")


def test_a_history_is_its_users_own(guarded, words):
    """G2, C 3.3: whatever name a caller gives; admins see all."""
    seen = {}
    for role in ("user", "other", "admin"):
        with login(guarded, role) as nimbus:
            ids = [nimbus.getTopologyHistory(user).topo_ids for user in (None, "ann")]
            seen[role] = [words.id in (found or []) for found in ids]
    assert seen == {"user": [True, True], "other": [False, False], "admin": [True, True]}


def test_secrets_are_in_no_reply_and_no_log(guarded, words, types):
    """G8: marks were planted in passwords, settings and credentials."""
    secret = f"{secured.MARK}-credential"
    with login(guarded, "user") as ann:
        ann.uploadNewCredentials("words", types.Credentials(creds={"api": secret}))
    given = arguments(types, words)
    replies = []
    harmless = [call for call in given if call.startswith("get") or call.startswith("list")]
    with login(guarded, "admin") as nimbus:
        for call in harmless:
            try:
                replies.append(repr(getattr(nimbus, call)(*given[call])))
            except Exception as refused:
                replies.append(repr(refused))
    refusal(guarded.nimbus, "ann", secret=f"{secured.MARK}-guess")
    texts = [*replies, guarded.out.read_text(), guarded.log.read_text()]
    texts += [guarded.worker_log(words.id)]
    hits = [text[:200] for text in texts if secured.MARK in text]
    print(f"secrets: {len(hits)} hits in {len(texts)} replies and logs")
    assert not hits
    readable = []
    for path in guarded.local.rglob("*"):
        if not path.is_file() or not path.stat().st_mode & 0o077:
            continue
        content = path.read_bytes()
        if secured.MARK.encode() in content or b"worker_token" in content:
            readable.append(path)
    assert not readable, "files with secrets are their owner's alone"
