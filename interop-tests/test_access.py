"""Logins, worker tokens, sessions and secrets on a cluster that asks for logins. Who may call what is
`test_rights.py`'s. Section numbers are those of the control plane's specification; G3, G6, G7, G8 are
rows of the catalogue of reliability tests.
"""

import base64
import io
import socket
import stat
import struct
import subprocess
import time
import urllib.request
from contextlib import suppress
from unittest import mock

import pytest
import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.utils import deserialize

import peers
import secured
from access import arguments, is_permitted
from cluster import PROGRAM, Cluster, eventually
from contract import rules
from figures import figure

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
    # Not on a command line, which everybody reads.
    conf = directory / "storm.yaml"
    conf.write_text(f"storm.zookeeper.auth.payload: digest:{secured.MARK}\n")
    conf.chmod(0o600)
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


OPENINGS = {
    "a call in a frame": FRAMED_CALL,
    "a call without one": FRAMED_CALL[4:],
    "a login of 2 GiB": b"\x01\x7f\xff\xff\xff",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(193),
    "a login that begins in its middle": b"\x02\0\0\0\0",
    "a login that says it is over": b"\x05\0\0\0\0" + FRAMED_CALL,
    "no mechanism": b"\x01\0\0\0\0",
    "a mechanism without a password": b"\x01\0\0\0\x09ANONYMOUS",
    "a weaker mechanism": b"\x01\0\0\0\x05PLAIN" + b"\x02\0\0\0\x0a\0ann\0wrong",
}
LOGIN_PORTS = ["nimbus", "supervisor", "coordination", "drpc", "drpc-invocations"]


@pytest.mark.parametrize("port", LOGIN_PORTS)
def test_who_does_not_log_in_gets_no_answer(guarded, port):
    """G7: frames on a port that asks for logins; also what announces more than a login needs."""
    for opening in OPENINGS.values():
        with socket.create_connection(guarded.addresses[port], timeout=15) as connection:
            received = b""
            # Closed before all of it was read: a reset is a refusal, too.
            with suppress(OSError):
                connection.sendall(opening)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(4096):
                    received += piece
        # At most the negotiation's own word of refusal.
        assert received[:1] in (b"", b"\x03", b"\x04"), received
    figure("G7", f"{port}: {len(OPENINGS)} openings without a login refused")


@pytest.mark.parametrize("port", LOGIN_PORTS)
def test_a_recorded_login_is_of_no_use(guarded, port):
    """G6: whoever hears a login and its calls cannot say them again."""
    from thrift.transport.TSocket import TSocket

    said, write = [], TSocket.write

    def overheard(self, data):
        said.append(bytes(data))
        return write(self, data)

    service = {line: name for name, line in rules.ADDRESS_OF.items()}.get(port, "Nimbus")
    with mock.patch.object(TSocket, "write", overheard):
        with secured.login(guarded.addresses[port], "root", service):
            pass
    with socket.create_connection(guarded.addresses[port], timeout=15) as connection:
        connection.sendall(b"".join(said))
        statuses = []
        while len(header := connection.recv(5, socket.MSG_WAITALL)) == 5:
            status, length = struct.unpack(">BI", header)
            connection.recv(length, socket.MSG_WAITALL)
            statuses.append(status)
    assert statuses == [2, 3], "a challenge of its own, and a refusal"
    figure("G6", f"{port}: a recorded login, said again, is refused")


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
    figure("G6", f"the token of a killed topology is refused after {seconds:.2f} s")
    assert seconds < 5


# ---- Sessions and secrets ------------------------------------------------------------------------


def test_an_upload_belongs_to_whom_began_it(guarded, types):
    """G3, C 3.4: for others there is no such file, on whatever connection."""
    with login(guarded, "user") as ann, login(guarded, "other") as bob:
        location = ann.beginFileUpload()
        with rules.internal("uploadChunk", "File for that location does not exist"):
            bob.uploadChunk(location, b"stolen")
        with rules.internal("finishFileUpload", "File for that location does not exist"):
            bob.finishFileUpload(location)
        with login(guarded, "admin") as root:
            with rules.internal("uploadChunk", "File for that location does not exist"):
                root.uploadChunk(location, b"stolen")
        ann.uploadChunk(location, b"own")
        ann.finishFileUpload(location)
    figure("G3", "uploads of jars: 2 calls of another user and 1 of an admin refused")


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
        update = ann.beginUpdateBlob("mine")
        for attempt in (
            lambda: bob.uploadBlobChunk(update, b"stolen"),
            lambda: bob.cancelBlobUpload(update),
            lambda: bob.finishBlobUpload(update),
        ):
            with pytest.raises(Exception):
                attempt()
        ann.uploadBlobChunk(update, b"own, too")
        ann.finishBlobUpload(update)
        begun = ann.beginBlobDownload("mine")
        assert ann.downloadBlobChunk(begun.session) == b"own, too"
        ann.deleteBlob("mine")
    figure("G3", "sessions of blobs: 6 calls with another's session refused")


def test_a_history_is_its_users_own(guarded, words):
    """G2, C 3.3: whatever name a caller gives; admins see all."""
    seen = {}
    for role in ("user", "other", "admin"):
        with login(guarded, role) as nimbus:
            ids = [nimbus.getTopologyHistory(user).topo_ids for user in (None, "ann")]
            seen[role] = [words.id in (found or []) for found in ids]
    assert seen == {"user": [True, True], "other": [False, False], "admin": [True, True]}


def test_secrets_are_in_no_reply_and_no_log(guarded, words, types):
    """G8: marks were planted in passwords, settings and credentials; they are looked for in what every
    call answers to an admin, in what commands print, in what processes show, and on the disk.
    """
    secret = f"{secured.MARK}-credential"
    with login(guarded, "user") as ann:
        ann.uploadNewCredentials("words", types.Credentials(creds={"api": secret}))
        conf = {"my.password": secret, "my.secret.token": secret, "topology.workers": 1}
        other = rules.submit(ann, types, name="secretive", conf=conf)
        with pytest.raises(Exception) as refused:
            rules.submit(ann, types, name="bad", conf={**conf, "topology.debug": "no"})
    seen = [("a refused submission", repr(refused.value))]
    for topology in (words, other):
        given = arguments(types, topology)
        with login(guarded, "admin") as nimbus:
            for call in [each for each in given if "kill" not in each]:
                seen.append((call, said(getattr(nimbus, call), *given[call])))
    with login(guarded, "admin", "Supervisor") as supervisor:
        seen.append(("local", said(supervisor.getLocalAssignmentForStorm, words.id)))
    web = urllib.request.Request("http://%s:%d/drpc/f/x" % guarded.addresses["drpc-http"])
    seen.append(("drpc over HTTP", said(urllib.request.urlopen, web, None, 2)))
    seen.append(("a login", refusal(guarded.nimbus, "ann", secret=f"{secured.MARK}-guess")))
    for pid, command in guarded.processes().items():
        seen.append((f"command line of {pid}", command))
    for log in [guarded.out, guarded.log, *guarded.local.glob("**/*.log*")]:
        seen.append((log.name, log.read_text(errors="replace")))
    hits = [what for what, text in seen if secured.MARK in text]
    readable, n_files = [], 0
    for path in guarded.local.rglob("*"):
        if path.is_file() and not path.is_symlink():
            n_files += 1
            content = path.read_bytes()
            is_secret = secured.MARK.encode() in content or b"worker_token" in content
            if is_secret and path.stat().st_mode & 0o077:
                readable.append(path)
    with login(guarded, "user") as ann:
        rules.kill(ann, types, "secretive")
    assert not hits
    assert not readable, "files with secrets are their owner's alone"
    figure(
        "G8",
        f"{len(hits)} hits in {len(seen)} replies, logs and command lines; {n_files} files, "
        f"{len(readable)} with secrets that others may read",
    )


def said(call, *arguments):
    """Whatever a call comes to, as a text."""
    try:
        return repr(call(*arguments))
    except Exception as refused:
        return repr(refused)
