"""DistributedRPC and DistributedRPCInvocations, rule by rule; and DRPC over HTTP.

Here the tests are the topology: they fetch requests and answer them.
"""

import http.client
import json
import threading

import pytest

import functions
from cluster import eventually

from . import rules

# DRPCExceptionType.
INTERNAL, SHUTDOWN, TIMEOUT, FAILED = range(4)


@pytest.fixture
def function():
    return rules.fresh_name("function")


@pytest.fixture
def execute(cluster):
    """Calls a function on a thread of its own: `execute(function, args).outcome()`."""
    return lambda function, args: functions.Call(cluster.addresses[functions.CLIENTS], function, args)


@pytest.fixture
def fetched(invocations):
    """Waits for a request of a function and takes it."""

    def fetch(function):
        def probe():
            request = invocations.fetchRequest(function)
            return request if request.request_id else None

        return eventually(f"a request of {function}", probe)

    return fetch


def test_a_call_waits_for_its_result(execute, fetched, invocations, function):
    """C 10.1: execute blocks until `result` with the id that fetchRequest gave."""
    call = execute(function, "args")
    request = fetched(function)
    assert request.func_args == "args"
    invocations.result(request.request_id, "done ☃")
    assert call.outcome() == "done ☃"


def test_nothing_to_fetch(invocations, function):
    """C 10.1: an empty queue answers at once, with two empty texts."""
    request = invocations.fetchRequest(function)
    assert (request.func_args, request.request_id) == ("", "")


def test_ids_are_decimal_and_shared_by_all(cluster, execute, fetched, invocations, function):
    """C 10.1: one counter for all functions and for HTTP, as decimal texts."""
    ids = []
    for name in [function, function + "-2"]:
        call = execute(name, "x")
        request = fetched(name)
        ids.append(int(request.request_id))
        invocations.result(request.request_id, "r")
        call.outcome()
    over_http = Get(cluster, function)
    request = fetched(function)
    ids.append(int(request.request_id))
    invocations.result(request.request_id, "r")
    assert over_http.outcome()[0] == 200
    assert ids == list(range(ids[0], ids[0] + 3))


def test_first_in_first_out(execute, fetched, invocations, function):
    """C 10.1: one queue for each function."""
    calls = []
    for n in range(5):
        calls.append(execute(function, str(n)))
        # Each on a connection of its own: wait until it is in the queue.
        threading.Event().wait(0.1)
    for n in range(5):
        request = fetched(function)
        assert request.func_args == str(n)
        invocations.result(request.request_id, f"r{n}")
    assert [call.outcome() for call in calls] == [f"r{n}" for n in range(5)]


@pytest.mark.parametrize("args", [None, ""])
def test_arguments_may_be_absent(execute, fetched, invocations, function, args):
    """C 10.1: funcArgs may be null or empty. Storm cannot give null to a spout; here it is empty."""
    call = execute(function, args)
    request = fetched(function)
    assert request.func_args == ""
    invocations.result(request.request_id, "")
    assert call.outcome() == ""


def test_an_empty_name_is_a_name(execute, fetched, invocations):
    """C 10.1: only null is none."""
    call = execute("", "x")
    invocations.result(fetched("").request_id, "r")
    assert call.outcome() == "r"


def test_null_names(drpc, invocations):
    """C 10.1: a null function is an internal error, for clients and spouts."""
    with rules.internal("execute", "cannot be null"):
        drpc.execute(None, "x")
    with rules.internal("fetchRequest", "cannot be null"):
        invocations.fetchRequest(None)


def test_null_ids(invocations, types):
    """C 1.3: what Storm falls over is an internal error."""
    with rules.internal("result"):
        invocations.result(None, "r")
    with rules.internal("failRequest"):
        invocations.failRequest(None)
    with rules.internal("failRequestV2"):
        invocations.failRequestV2(None, types.DRPCExecutionException(msg="m"))


def test_a_request_that_fails(execute, fetched, invocations, function):
    """C 10.1: failRequest: `Request failed`, FAILED_REQUEST."""
    call = execute(function, "x")
    invocations.failRequest(fetched(function).request_id)
    error = call.outcome()
    assert (error.msg, error.type) == ("Request failed", FAILED)


@pytest.mark.parametrize("kind", [None, INTERNAL, SHUTDOWN, TIMEOUT, FAILED])
def test_a_request_that_fails_with_words(execute, fetched, invocations, types, function, kind):
    """C 10.1: failRequestV2: the exception given, type and all."""
    call = execute(function, "x")
    exception = types.DRPCExecutionException(msg="because", type=kind)
    invocations.failRequestV2(fetched(function).request_id, exception)
    error = call.outcome()
    assert (error.msg, error.type) == ("because", kind)


def test_a_request_that_fails_with_null(execute, fetched, invocations, function):
    """C 10.1: failRequestV2 with a null exception: as failRequest."""
    call = execute(function, "x")
    invocations.failRequestV2(fetched(function).request_id, None)
    error = call.outcome()
    assert (error.msg, error.type) == ("Request failed", FAILED)


def test_a_null_result(execute, fetched, invocations, function):
    """C 10.1: completed without result or error."""
    call = execute(function, "x")
    invocations.result(fetched(function).request_id, None)
    error = call.outcome()
    assert (error.msg, error.type) == ("Internal Error: No Result and No Exception", INTERNAL)


@pytest.mark.parametrize("id", ["0", "999999999", "-1", "x", "", "1.0", "١"])
def test_unknown_ids_are_ignored(invocations, types, id):
    """C 10.1: in silence, whatever they look like."""
    invocations.result(id, "r")
    invocations.failRequest(id)
    invocations.failRequestV2(id, types.DRPCExecutionException(msg="m"))


def test_the_first_answer_counts(execute, fetched, invocations, function):
    """C 10.1: later ones are of an id that is no more."""
    call = execute(function, "x")
    id = fetched(function).request_id
    invocations.result(id, "first")
    invocations.result(id, "second")
    invocations.failRequest(id)
    assert call.outcome() == "first"


def test_a_request_is_given_once(execute, fetched, invocations, function):
    """C 10.1: a fetched request is in no queue, though it may be answered by anybody."""
    call = execute(function, "x")
    id = fetched(function).request_id
    assert invocations.fetchRequest(function).request_id == ""
    invocations.result(id, "r")
    call.outcome()


def test_spouts_may_come_on_a_new_connection_each_time(cluster, execute, function):
    """C 10.1: the end of a poller's connection means nothing."""
    call = execute(function, "x")
    address = cluster.addresses[functions.SPOUTS]

    def fetch():
        with functions.spout(address) as invocations:
            return invocations.fetchRequest(function).request_id

    id = eventually("the request", fetch)
    threading.Event().wait(0.5)
    with functions.spout(address) as invocations:
        invocations.result(id, "late but there")
    assert call.outcome() == "late but there"


def test_unknown_methods(cluster):
    """C 1.3: each service knows its own methods, and the connection goes on."""
    with functions.spout(cluster.addresses[functions.CLIENTS]) as wrong:
        with rules.application_error(rules.UNKNOWN_METHOD, "Invalid method name: 'fetchRequest'"):
            wrong.fetchRequest("f")
        with rules.application_error(rules.UNKNOWN_METHOD, "Invalid method name: 'result'"):
            wrong.result("1", "r")


# ---- HTTP ----------------------------------------------------------------------------------------


class Get(threading.Thread):
    """A call over HTTP that waits on a thread of its own."""

    def __init__(self, cluster, *path, method="GET", body=None):
        super().__init__(daemon=True)
        self.made = (cluster.addresses[functions.HTTP], path, method, body)
        self.ended = None
        self.start()

    def run(self):
        address, path, method, body = self.made
        self.ended = functions.get(address, *path, method=method, body=body)

    def outcome(self):
        self.join(30)
        assert self.ended, "it still waits"
        return self.ended


@pytest.mark.parametrize(
    "path, method, body, args",
    [
        ([], "GET", None, ""),
        (["a b+c"], "GET", None, "a b+c"),
        (["ü☃"], "GET", None, "ü☃"),
        ([], "POST", "a/b\n☃".encode(), "a/b\n☃"),
        ([], "POST", b"", ""),
    ],
)
def test_http_calls(cluster, fetched, invocations, function, path, method, body, args):
    """C 10.2: the raw body, the decoded segment or nothing; the result as it is, as text."""
    call = Get(cluster, function, *path, method=method, body=body)
    request = fetched(function)
    assert request.func_args == args
    invocations.result(request.request_id, '{"not": "quoted" ☃}')
    status, kind, text = call.outcome()
    assert (status, text) == (200, '{"not": "quoted" ☃}')
    assert kind.startswith("text/plain")


@pytest.mark.parametrize(
    "kind, status, name",
    [
        (INTERNAL, 500, "INTERNAL_ERROR"),
        (SHUTDOWN, 503, "SERVER_SHUTDOWN"),
        (TIMEOUT, 504, "SERVER_TIMEOUT"),
        (FAILED, 400, "FAILED_REQUEST"),
        (None, 500, "Internal Error"),
    ],
)
def test_http_errors(cluster, fetched, invocations, types, function, kind, status, name):
    """C 10.2: JSON with the type's name and the message, under a code of its own."""
    call = Get(cluster, function)
    exception = types.DRPCExecutionException(msg='said "no"', type=kind)
    invocations.failRequestV2(fetched(function).request_id, exception)
    found, content, body = call.outcome()
    assert (found, content) == (status, "application/json")
    assert json.loads(body) == {"error": name, "errorMessage": 'said "no"'}


def test_http_keeps_its_connection(cluster, fetched, invocations, function):
    """C 10.2: several calls on one connection."""
    connection = http.client.HTTPConnection(*cluster.addresses[functions.HTTP], timeout=30)
    for n in range(3):
        connection.request("GET", f"/drpc/{function}/{n}")
        request = fetched(function)
        invocations.result(request.request_id, request.func_args * 2)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, f"{n}{n}".encode())
    connection.close()


def test_http_paths_of_others(cluster):
    """C 10.2: three routes, and nothing else."""
    address = cluster.addresses[functions.HTTP]
    assert functions.get(address, "f", "a", "b")[0] == 404
    assert functions.get(address, "f", method="DELETE")[0] == 405


# ---- Rights --------------------------------------------------------------------------------------


@pytest.fixture
def guarded(own_cluster, connect, tmp_path):
    """(clients, spouts, HTTP address) of a server whose ACL names `own` for alice."""
    acl = tmp_path / "drpc-auth-acl.yaml"
    acl.write_text(
        "drpc.authorizer.acl:\n  own:\n    client.users: [alice]\n    invocation.user: alice\n"
    )
    settings = {
        "drpc.authorizer": "org.apache.storm.security.auth.authorizer.DRPCSimpleACLAuthorizer",
        "drpc.authorizer.acl.filename": str(acl),
    }
    cluster = own_cluster(command="drpc", settings=settings)
    clients, spouts = (connect(service, cluster) for service in (rules.DRPC, rules.INVOCATIONS))
    return clients, spouts, cluster.addresses[functions.HTTP]


def text(operation):
    return f"DRPC request '{operation}' for 'unknown' user is not authorized"


def test_functions_of_others(guarded, types):
    """C 8.3, C 10.1: nobody on the simple transport is anybody; the texts are Storm's."""
    clients, spouts, address = guarded
    with rules.refused(types.AuthorizationException, text("execute")):
        clients.execute("own", "x")
    with rules.refused(types.AuthorizationException, text("fetchRequest")):
        spouts.fetchRequest("own")
    status, _, body = functions.get(address, "own", "x")
    assert status == 500, "C 10.2: not mapped"
    assert json.loads(body)["errorMessage"] == text("execute")


def test_functions_without_a_rule_and_ids_of_nothing(guarded, types):
    """C 8.3: open unless strict. C 10.1: an unknown id is not checked."""
    clients, spouts, _ = guarded
    assert spouts.fetchRequest("open").request_id == ""
    spouts.result("1", "r")
    spouts.failRequest("1")
    spouts.failRequestV2("1", types.DRPCExecutionException(msg="m"))
