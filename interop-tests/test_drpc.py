"""Functions that topologies answer: called over Thrift and HTTP, with servers, spouts and clients that
die. The rules of the services themselves are in contract/test_drpc.py.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import time

import pytest

import functions
import peers
import secured
from cluster import PROGRAM, Cluster, eventually, free_ports
from functions import CLIENTS, HTTP, SPOUTS, Call
from topologies import Builder, component_files, running

PY2 = peers.ThriftPy2


@pytest.fixture
def peer():
    return PY2()


def exclaim(peer, function, parallelism=1):
    builder = Builder(peer.types)
    return functions.direct(builder, function, builder.python("exclaim.py"), parallelism)


EXCLAIM_FILES = component_files("exclaim.py", "exclaim_linear.py")


@pytest.mark.parametrize("kind", peers.ALL, ids=lambda kind: kind.name)
def test_a_python_bolt_answers_over_thrift(cluster, peer, nimbus, kind):
    function = f"exclaim-{kind.name}"
    with running(peer, nimbus, function, exclaim(peer, function, 2), EXCLAIM_FILES):
        with functions.client(kind, cluster.addresses[CLIENTS]) as drpc:
            for args in ["aaa", "", "für Elise ☃", 'with "quotes"\nand lines', "x" * 100_000]:
                assert drpc.execute(function, args) == args + "!!!"
            assert drpc.execute(function, "number") == "7", "as a text"


def test_a_python_bolt_answers_over_http(cluster, peer, nimbus):
    with running(peer, nimbus, "over-http", exclaim(peer, "over http"), EXCLAIM_FILES):
        address = cluster.addresses[HTTP]
        text = "text/plain; charset=utf-8"
        assert functions.get(address, "over http", "a b") == (200, text, "a b!!!")
        assert functions.get(address, "over http", "ü/%") == (200, text, "ü/%!!!")
        assert functions.get(address, "over http") == (200, text, "!!!")
        posted = functions.get(address, "over http", method="POST", body="a/b?c=d&é".encode())
        assert posted == (200, text, "a/b?c=d&é!!!")
        status, kind, body = functions.get(address, "over http", "fail please")
        assert (status, kind) == (400, "application/json")
        assert json.loads(body) == {"error": "FAILED_REQUEST", "errorMessage": "Request failed"}


@pytest.mark.parametrize("package", ["org.apache.storm", "backtype.storm"])
def test_a_linear_topology(cluster, peer, nimbus, package):
    function = f"linear-{package}"
    builder = Builder(peer.types)
    starter = "storm.starter" if package == "backtype.storm" else f"{package}.starter"
    bolts = [
        builder.python("exclaim_linear.py"),
        builder.native(f"{starter}.BasicDRPCTopology$ExclaimBolt"),
        builder.python("exclaim_linear.py"),
    ]
    functions.linear(builder, function, *bolts, package=package)
    conf = {"topology.workers": 2}
    with running(peer, nimbus, function.replace(".", "-"), builder, EXCLAIM_FILES, conf):
        calls = [Call(cluster.addresses[CLIENTS], function, f"call {n}") for n in range(40)]
        assert [each.outcome() for each in calls] == [f"call {n}!!!" for n in range(40)]


def reach(builder):
    starter = "org.apache.storm.starter.ReachTopology"
    return functions.coordinated(
        builder,
        "reach",
        ((f"{starter}$GetTweeters",), ["id", "tweeter"], None, 2),
        ((f"{starter}$GetFollowers",), ["id", "follower"], None, 4),
        ((f"{starter}$PartialUniquer",), ["id", "partial-count"], ["id", "follower"], 3),
        ((f"{starter}$CountAggregator",), ["id", "reach"], ["id"], 3),
    )


def test_a_coordinated_topology_finishes_when_all_of_a_request_is_there(cluster, peer, nimbus):
    """Storm's ReachTopology: the answers are its own."""
    conf = {"topology.workers": 2}
    with running(peer, nimbus, "reach", reach(Builder(peer.types)), {}, conf):
        address = cluster.addresses[CLIENTS]
        expected = {
            "foo.com/blog/1": "16",
            "engineering.twitter.com/blog/5": "14",
            "notaurl.com": "0",
        }
        calls = [(url, Call(address, "reach", url)) for url in list(expected) * 8]
        for url, each in calls:
            assert each.outcome() == expected[url], url


def test_a_python_batch_has_the_last_word(cluster, peer, nimbus):
    builder = functions.coordinated(
        Builder(peer.types),
        "longest",
        (("shell", "python3", "spread.py"), ["request", "word"], None, 2),
        (("shell-batch", "python3", "longest.py"), ["request", "longest"], ["request"], 2),
    )
    files = component_files("spread.py", "longest.py")
    conf = {"topology.workers": 2, "topology.stats.sample.rate": 1.0}
    with running(peer, nimbus, "longest", builder, files, conf) as id:
        address = cluster.addresses[CLIENTS]
        calls = [Call(address, "longest", "a bb ccc dd " + "e" * n) for n in range(4, 24)]
        for n, each in zip(range(4, 24), calls):
            assert each.outcome() == "5: " + "e" * n
        assert functions.call(address, "longest", "") == "0: nothing"
        eventually("all trees are complete", lambda: acked(nimbus, id, "spout") >= 21)
        assert failed(nimbus, id, "spout") == 0


def acked(nimbus, id, spout):
    return of_spout(nimbus, id, spout, "acked")


def failed(nimbus, id, spout):
    return of_spout(nimbus, id, spout, "failed")


def of_spout(nimbus, id, spout, what):
    """A count of a spout in the stream `default`, of all time."""
    count = 0
    for executor in nimbus.getTopologyInfo(id).executors:
        if executor.component_id == spout and executor.stats:
            windows = getattr(executor.stats.specific.spout, what)
            count += windows.get(":all-time", {}).get("default", 0)
    return count


def test_a_serialized_component_is_refused_with_the_fix(peer, nimbus):
    builder = Builder(peer.types)
    java = peer.types.ComponentObject(serialized_java=b"\xac\xed\x00\x05")
    functions.direct(builder, "serialized", java)
    with pytest.raises(peer.types.InvalidTopologyException) as refusal:
        with running(peer, nimbus, "serialized", builder, {}):
            pass
    told = refusal.value.msg
    assert "[function]" in told and "Use a shell component or the class name" in told


def test_a_failed_tuple_fails_its_request_at_once(cluster, peer, nimbus):
    with running(peer, nimbus, "fails", exclaim(peer, "fails"), EXCLAIM_FILES):
        functions.call(cluster.addresses[CLIENTS], "fails", "warm")
        started = time.monotonic()
        outcome = Call(cluster.addresses[CLIENTS], "fails", "fail now").outcome()
        took = time.monotonic() - started
    assert (outcome.msg, outcome.type) == ("Request failed", 3)
    assert took < 10, f"{took:.3f} s: it is no time-out"


def test_a_child_that_dies_fails_its_requests_and_answers_the_next(cluster, peer, nimbus):
    with running(peer, nimbus, "dies", exclaim(peer, "dies"), EXCLAIM_FILES):
        address = cluster.addresses[CLIENTS]
        functions.call(address, "dies", "warm")
        outcome = Call(address, "dies", "die now").outcome()
        assert (outcome.msg, outcome.type) == ("Request failed", 3)
        assert functions.call(address, "dies", "again") == "again!!!"


# ---- Servers, workers and clients that go --------------------------------------------------------


def server(tmp_path, name="drpc", **settings):
    """`stormwire drpc` on ports that stay the same when it starts again."""
    clients, spouts, web = free_ports(3)
    ports = {"drpc.port": clients, "drpc.invocations.port": spouts, "drpc.http.port": web}
    return Cluster(tmp_path / name, settings={**ports, **settings}, command="drpc")


def at(*servers):
    """The conf of a topology that answers at these servers."""
    port = servers[0].settings["drpc.invocations.port"]
    return {"drpc.servers": ["127.0.0.1"] * len(servers), "drpc.invocations.port": port}


def test_a_server_that_is_killed_and_started_again(peer, nimbus, tmp_path):
    with server(tmp_path) as drpc:
        builder = exclaim(peer, "phoenix")
        with running(peer, nimbus, "drpc-phoenix", builder, EXCLAIM_FILES, at(drpc)):
            assert functions.call(drpc.addresses[CLIENTS], "phoenix", "1") == "1!!!"
            waiting = Call(drpc.addresses[CLIENTS], "phoenix", "nap 3")
            time.sleep(1)
            drpc.kill()
            assert isinstance(waiting.outcome(20), Exception), "its server is gone"
            drpc.start()
            started = time.monotonic()
            assert functions.call(drpc.addresses[CLIENTS], "phoenix", "2") == "2!!!"
            print(f"the spout was back {time.monotonic() - started:.2f} s after the server")


def test_a_server_that_ends_tells_its_clients(tmp_path):
    with server(tmp_path) as drpc:
        over_thrift = Call(drpc.addresses[CLIENTS], "nobody", "x")
        time.sleep(1)
        started = time.monotonic()
        drpc.end(signal.SIGTERM)
        outcome = over_thrift.outcome()
        assert (outcome.msg, outcome.type) == ("Server Shutting Down", 1)
        assert time.monotonic() - started < 10, "it does not wait for the request's own end"


def test_a_worker_killed_with_requests_in_flight(cluster, peer, nimbus):
    with running(peer, nimbus, "in-flight", exclaim(peer, "in-flight", 4), EXCLAIM_FILES) as id:
        address = cluster.addresses[CLIENTS]
        functions.call(address, "in-flight", "warm")
        waiting = [Call(address, "in-flight", f"nap 60 {n}") for n in range(4)]
        time.sleep(2)
        started = time.monotonic()
        for worker in cluster.workers(id):
            os.kill(worker.pid, signal.SIGKILL)
        for each in waiting:
            outcome = each.outcome(20)
            assert outcome.type == 3 and outcome.msg.startswith("Request failed"), outcome
        took = time.monotonic() - started
        assert functions.call(address, "in-flight", "again") == "again!!!"
        print(f"clients heard after {took:.2f} s that their worker is gone")
        assert took < 20, "not at the end of a nap or of a time-out"


def test_a_client_that_leaves_takes_its_request_along(cluster):
    address = cluster.addresses[CLIENTS]
    with functions.client(peers.Apache, address) as drpc:
        drpc.send_execute("left alone", "1")
        time.sleep(1)
    with functions.spout(cluster.addresses[SPOUTS]) as invocations:
        time.sleep(1)
        assert invocations.fetchRequest("left alone").request_id == ""


def test_time_is_up_when_it_is(tmp_path):
    """Storm looks every half time-out, so that 2 s become up to 3."""
    with server(tmp_path, **{"drpc.request.timeout.secs": 2}) as drpc:
        took = []
        for _ in range(3):
            started = time.monotonic()
            outcome = Call(drpc.addresses[CLIENTS], "nobody", "x").outcome()
            took.append(time.monotonic() - started)
            assert (outcome.msg, outcome.type) == ("Timed Out", 2)
        assert min(took) >= 2.0, took
        # One that no busy machine held up tells that nothing rounds it up.
        assert min(took) < 2.9, took
        started = time.monotonic()
        status, _, body = functions.get(drpc.addresses[HTTP], "nobody", "x")
        assert time.monotonic() - started >= 2.0
        assert (status, json.loads(body)["error"]) == (504, "SERVER_TIMEOUT")


# ---- Hostile --------------------------------------------------------------------------------------


def test_greedy_http_clients_do_not_harm(tmp_path):
    with server(tmp_path) as drpc:
        address = drpc.addresses[HTTP]
        before = drpc.memory_mb()
        held = []
        for _ in range(200):  # an announced body that never comes
            raw = socket.create_connection(address, timeout=60)
            raw.sendall(b"POST /drpc/f HTTP/1.1\r\nhost: x\r\ncontent-length: 2000000000\r\n\r\nx")
            held.append(raw)
        status, _, _ = functions.get(address, "f", method="PUT")
        assert status == 405, "others are served"
        assert drpc.memory_mb() - before < 30
        for raw in held:
            raw.close()
        large = socket.create_connection(address, timeout=60)
        large.sendall(b"GET /drpc/f/" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
        assert large.recv(12) == b"HTTP/1.1 431"
        large.close()


# ---- The command ---------------------------------------------------------------------------------


def drpc_client(cluster, *arguments):
    host, port = cluster.addresses[CLIENTS]
    command = [PROGRAM, "drpc-client", "--server", f"{host}:{port}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_client_command(cluster, peer, nimbus):
    with running(peer, nimbus, "by-command", exclaim(peer, "by-command"), EXCLAIM_FILES):
        done = drpc_client(cluster, "by-command", "aaa", "by-command", "b c")
        assert done.stdout == 'by-command "aaa" => "aaa!!!"\nby-command "b c" => "b c!!!"\n', done
        done = drpc_client(cluster, "-f", "by-command", "aaa", "bbb")
        assert done.stdout == 'by-command "aaa" => "aaa!!!"\nby-command "bbb" => "bbb!!!"\n', done
        assert done.returncode == 0
        done = drpc_client(cluster, "by-command", "fail")
        assert done.returncode == 1 and "Request failed" in done.stderr, done
        done = drpc_client(cluster, "by-command")
        assert done.returncode == 1 and "argument" in done.stderr, done


# ---- Who is there --------------------------------------------------------------------------------


def test_logins_on_every_port(own_cluster, tmp_path):
    """DIGEST-MD5: clients by their accounts, the topology's worker by its token; and the ACL."""
    acl = tmp_path / "drpc-auth-acl.yaml"
    acl.write_text(
        "drpc.authorizer.acl:\n"
        "  exclaim:\n    client.users: [bob]\n    invocation.user: ann\n"
        "  stolen:\n    client.users: [bob]\n    invocation.user: rae\n"
    )
    settings = {
        **secured.digest(tmp_path / "digest"),
        "drpc.authorizer": secured.AUTH + "authorizer.DRPCSimpleACLAuthorizer",
        "drpc.authorizer.acl.filename": str(acl),
        "drpc.authorizer.acl.strict": "true",
        "drpc.request.timeout.secs": 3,
    }
    cluster = own_cluster(slots=2, settings=settings)
    apache = peers.Apache()
    builder = Builder(apache.types)
    functions.direct(builder, "exclaim", builder.python("exclaim.py"))
    with secured.login(cluster.nimbus, "ann") as nimbus:
        with running(apache, nimbus, "exclaim", builder, EXCLAIM_FILES):
            clients = cluster.addresses[CLIENTS]
            with secured.login(clients, "bob", "DistributedRPC") as drpc:
                assert eventually("an answer", lambda: answer(drpc, "exclaim")) == "x!!!"
            with secured.login(clients, "rae", "DistributedRPC") as drpc:
                told = "DRPC request 'execute' for 'rae' user is not authorized"
                assert refusal(drpc.execute, "exclaim", "x") == told
                assert refusal(drpc.execute, "unknown", "x") == told
            spouts = cluster.addresses[SPOUTS]
            with secured.login(spouts, "bob", "DistributedRPCInvocations") as invocations:
                told = "DRPC request 'fetchRequest' for 'bob' user is not authorized"
                assert refusal(invocations.fetchRequest, "exclaim") == told
            status, _, body = functions.get(cluster.addresses[HTTP], "exclaim", "x")
            assert status == 500 and "'unknown' user is not authorized" in body


def answer(drpc, function):
    try:
        return drpc.execute(function, "x")
    except peers.Apache().types.DRPCExecutionException:
        return None


def refusal(method, *arguments):
    """The text of an AuthorizationException."""
    try:
        method(*arguments)
    except peers.Apache().types.AuthorizationException as error:
        return error.msg
    raise AssertionError("it was permitted")


def test_https(tmp_path):
    """Certificates name clients; the port for HTTP is closed, as Storm's default says."""
    made = secured.Certificates(tmp_path / "certificates")
    server_certificate, server_key = made.issue("drpc")
    acl = tmp_path / "drpc-auth-acl.yaml"
    acl.write_text("drpc.authorizer.acl: {own: {client.users: [alice], invocation.user: alice}}\n")
    settings = {
        "stormwire.tls.certificates": str(server_certificate),
        "stormwire.tls.key": str(server_key),
        "stormwire.tls.authorities": str(made.authority),
        "drpc.https.port": 0,
        "drpc.request.timeout.secs": 1,
        "drpc.authorizer": secured.AUTH + "authorizer.DRPCSimpleACLAuthorizer",
        "drpc.authorizer.acl.filename": str(acl),
        "storm.principal.tolocal": secured.AUTH + "X509CertPrincipalToLocal",
    }
    with server(tmp_path, **settings) as drpc:
        assert HTTP not in drpc.addresses
        alice = secured.context(made.authority, made.issue("alice"))
        nameless = secured.context(made.authority)
        assert over_https(drpc, alice) == 504, "permitted, and nobody answers"
        assert over_https(drpc, nameless) == 500, "not authorized"


def over_https(drpc, context):
    connection = http.client.HTTPSConnection(
        *drpc.addresses["drpc-https"], timeout=20, context=context
    )
    try:
        connection.request("GET", "/drpc/own/x")
        return connection.getresponse().status
    finally:
        connection.close()
