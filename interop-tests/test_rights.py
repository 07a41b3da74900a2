"""Who may call what (G1): every cell of access.tsv, asked of live ports, over DIGEST-MD5 by those who can
log in; nobody asks where nobody has a name, and where logins are asked for is not even heard.
"""

import http.client
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.thrift import TClient

import peers
import secured
from access import arguments, is_permitted, rows, services
from cluster import Cluster, eventually, messages
from contract import rules
from figures import figure
from wire import call, frame

DRPC_RULES = {
    "drpc.authorizer": secured.AUTH + "authorizer.DRPCSimpleACLAuthorizer",
    "drpc.authorizer.acl.strict": "true",
    "drpc.request.timeout.secs": 10,
}
# The line of `dev` that names the port of each service.
ADDRESS_OF = {
    **rules.ADDRESS_OF,
    "Coordination": "coordination",
    "DrpcSpouts": "drpc-invocations",
    "GatewayFinder": "nimbus",
    "TopologyFlows": "nimbus",
    "MetricReader": "nimbus",
}


def drpc_rules(directory):
    """The rules of the function `f`, which `user` answers and `reader` may call, too."""
    acl = directory / "drpc-auth-acl.yaml"
    acl.write_text("drpc.authorizer.acl: {f: {client.users: [rae, ann], invocation.user: ann}}\n")
    return {**DRPC_RULES, "drpc.authorizer.acl.filename": str(acl)}


@pytest.fixture(scope="module")
def types():
    return peers.Apache().types


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A cluster that asks for logins on every port."""
    directory = tmp_path_factory.mktemp("rights")
    settings = {**secured.digest(directory), **drpc_rules(directory)}
    with Cluster(directory, slots=4, settings=settings) as cluster:
        yield cluster
        cluster.stop()


def login(cluster, role, service="Nimbus"):
    address = cluster.addresses[ADDRESS_OF[service]]
    return secured.login(address, secured.USERS[role], service)


@contextmanager
def own_login(cluster, role, service):
    """A client of one of our own services: thriftpy2's, on Apache's login."""
    from thrift.transport.TSocket import TSocket
    from thrift.transport.TTransport import TSaslClientTransport

    user = secured.USERS[role]
    plain = TSocket(*cluster.addresses[ADDRESS_OF[service]])
    plain.setTimeout(20_000)
    transport = TSaslClientTransport(
        plain,
        "localhost",
        "storm_thrift_server",
        "DIGEST-MD5",
        username=user,
        password=secured.password(user),
    )
    transport.open()
    try:
        yield TClient(getattr(messages, service), TBinaryProtocol(transport))
    finally:
        transport.close()


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


class Table:
    """Asks a service's cells for these roles, of all calls or of some, and remembers those that are not
    as the table says.
    """

    def __init__(self, service, roles=tuple(secured.USERS), calls=None):
        self.service, self.roles = service, roles
        self.rows = [row for row in rows(service) if calls is None or row["call"] in calls]
        self.asked, self.wrong = set(), []

    def ask(self, row, role, question):
        self.hear(row, role, is_permitted(question))

    def hear(self, row, role, permitted):
        self.asked.add((row["call"], role))
        if permitted != (row[role] == "yes"):
            self.wrong.append((row["call"], role, permitted))

    def close(self):
        """A new call has its row (`no_call_is_without_a_row`), and its cells are asked or this fails."""
        cells = {(row["call"], role) for row in self.rows for role in self.roles}
        assert self.asked == cells, (self.service, cells ^ self.asked)
        assert not self.wrong, self.service
        n_roles, n_calls = len(self.roles), len(self.rows)
        figure("G1", f"{self.service}: {len(cells)} cells as in the table, {n_calls} calls x {n_roles} roles")


def test_every_call_of_nimbus(guarded, words, types):
    """C 8.2."""
    given = arguments(types, words)
    table = Table("Nimbus")
    assert [row["call"] for row in table.rows] == list(given), "each call has its arguments here"
    for role in secured.USERS:
        with login(guarded, role) as nimbus, login(guarded, "user") as owner:
            for row in table.rows:
                name = row["call"]
                if name.startswith("killTopology"):
                    rules.submit(owner, types, name="victim")
                table.ask(row, role, lambda: getattr(nimbus, name)(*given[name]))
                if name.startswith("killTopology"):
                    rules.kill(owner, types, "victim")
    table.close()


def supervisor_arguments(types, words):
    beat = types.SupervisorWorkerHeartbeat(storm_id=words.id, executors=[], time_secs=1)
    return {
        "sendSupervisorAssignments": (types.SupervisorAssignments(storm_assignment={}),),
        "getLocalAssignmentForStorm": (words.id,),
        "sendSupervisorWorkerHeartbeat": (beat,),
    }


def test_every_call_of_a_supervisor(guarded, words, types):
    """C 3.6."""
    given = supervisor_arguments(types, words)
    # Until the code is here its users are not known here.
    eventually("its worker runs", lambda: guarded.workers(words.id))
    table = Table("Supervisor")
    for role in secured.USERS:
        with login(guarded, role, "Supervisor") as supervisor:
            for row in table.rows:
                table.ask(row, role, lambda: getattr(supervisor, row["call"])(*given[row["call"]]))
    table.close()


def test_every_call_of_coordination(guarded, words):
    """Ours: supervisors, admins, and a topology's own workers."""
    report = messages.SupervisorReport(
        node="nobody",
        info=messages.storm.SupervisorInfo(time_secs=1, hostname="nowhere"),
        session="s",
        workers=[],
        errors=[],
        known_version=0,
        wait_ms=0,
    )
    beat = messages.WorkerReport(
        topology_id=words.id,
        node="nobody",
        port=1,
        generation=1,
        executors=[],
        uptime_secs=1,
        errors=[],
        known_version=0,
        wait_ms=0,
    )
    given = {
        "syncSupervisor": (report,),
        "syncWorker": (beat,),
        "readBlob": ("nobody", 0, 10, None),
        "tokenKeys": (messages.storm.WorkerTokenServiceType.DRPC, 0, 0),
    }
    table = Table("Coordination")
    for role in secured.USERS:
        with own_login(guarded, role, "Coordination") as client:
            for row in table.rows:
                table.ask(row, role, lambda: getattr(client, row["call"])(*given[row["call"]]))
    table.close()


def test_every_call_of_our_own_services_at_nimbus(guarded, words):
    """Ours beside Storm's: readers of a topology may look, its users may speak for its components."""
    given = {
        "GatewayFinder": {"findGateways": ("words", "sink"), "gatewayCertificate": ("words",)},
        "TopologyFlows": {"topologyFlow": ("words",)},
        "MetricReader": {"getTaskMetrics": ("words", "sink")},
    }
    for service, calls in given.items():
        table = Table(service)
        assert [row["call"] for row in table.rows] == list(calls), "each call has its arguments here"
        for role in secured.USERS:
            with own_login(guarded, role, service) as client:
                for row in table.rows:
                    call = row["call"]
                    table.ask(row, role, lambda: getattr(client, call)(*calls[call]))
        table.close()


def test_every_call_of_drpc(guarded):
    """C 10.2: clients of the function `f`, the user that answers it, and nobody else."""
    table = Table("DistributedRPC")
    (row,) = table.rows
    for role in secured.USERS:
        with Answering(guarded):
            with login(guarded, role, "DistributedRPC") as drpc:
                table.ask(row, role, lambda: drpc.execute("f", "x"))
    table.close()


class Answering:
    """Answers the function `f`, as `user` may, as long as it is open."""

    def __init__(self, cluster):
        self.cluster, self.is_over = cluster, threading.Event()
        self.thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def _answer(self):
        with login(self.cluster, "user", "DistributedRPCInvocations") as invocations:
            while not self.is_over.is_set():
                request = invocations.fetchRequest("f")
                if request.request_id:
                    invocations.result(request.request_id, "y")
                time.sleep(0.01)


def test_every_call_of_those_who_answer(guarded, types):
    """C 10.2: of Storm's service, and of ours beside it."""
    table, own = Table("DistributedRPCInvocations"), Table("DrpcSpouts")
    fetch = messages.DrpcFetch(
        function_name="f", session="s", max=0, wait_ms=0, call=1, answered=0
    )
    for role in secured.USERS:
        with login(guarded, role, "DistributedRPCInvocations") as invocations:
            for row in table.rows:
                if row["call"] == "fetchRequest":
                    table.ask(row, role, lambda: invocations.fetchRequest("f"))
                    continue
                with open_request(guarded) as id:
                    ends = {
                        "result": lambda: invocations.result(id, "y"),
                        "failRequest": lambda: invocations.failRequest(id),
                        "failRequestV2": lambda: invocations.failRequestV2(
                            id, types.DRPCExecutionException(msg="no")
                        ),
                    }
                    table.ask(row, role, ends[row["call"]])
        with own_login(guarded, role, "DrpcSpouts") as spouts:
            (row,) = own.rows
            own.ask(row, role, lambda: spouts.awaitRequests(fetch))
    table.close()
    own.close()


@contextmanager
def open_request(cluster):
    """The id of a request of `f` that somebody has fetched and nobody answered."""

    def ask():
        with login(cluster, "user", "DistributedRPC") as drpc, suppress(Exception):
            drpc.execute("f", "x")

    client = threading.Thread(target=ask, daemon=True)
    client.start()
    with login(cluster, "user", "DistributedRPCInvocations") as invocations:

        def fetched():
            return invocations.fetchRequest("f").request_id

        id = eventually("the request is there", fetched)
        yield id
        invocations.result(id, "over")
    client.join()


# ---- Nobody --------------------------------------------------------------------------------------


def test_nobody_is_not_heard_where_logins_are_asked_for(guarded):
    """A call without a login gets no answer; that is `no` for every call behind the port."""
    for service, port in ADDRESS_OF.items():
        table = Table(service, ["nobody"])
        for row in table.rows:
            table.hear(row, "nobody", has_answer(guarded.addresses[port], row["call"]))
        table.close()


def has_answer(address, method):
    """Whether a call that just comes, in a frame, is answered by more than a refused login."""
    with socket.create_connection(address, timeout=15) as connection:
        received = b""
        # Closed before all of it was read: a reset is a refusal, too.
        with suppress(OSError):
            connection.sendall(frame(call(method)))
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(4096):
                received += piece
    return received[:1] not in (b"", b"\x03", b"\x04")


def test_nobody_may_do_anything_where_nobody_has_a_name(tmp_path, types):
    """C 8.2, 8.3: the authorizers on ports without logins, which Storm's simple ACL breaks on."""
    cluster = Cluster(tmp_path / "open", slots=2)
    with cluster:
        with rules.connection(cluster) as nimbus:
            topology = rules.submit(nimbus, types, name="words")
            rules.submit(nimbus, types, name="victim")
        eventually("its worker runs", lambda: cluster.workers(topology.id))
        # Its worker goes on, and the supervisor knows by its code whose it is.
        cluster.kill()
        cluster.settings.update({**secured.rules(), **drpc_rules(tmp_path)})
        cluster.start()
        # Until the code is here its users are not known here.
        eventually("its worker runs again", lambda: cluster.workers(topology.id))
        given = {
            "Nimbus": arguments(types, topology),
            "Supervisor": supervisor_arguments(types, topology),
            "DistributedRPC": {"execute": ("f", "x")},
            "DistributedRPCInvocations": {"fetchRequest": ("f",)},
        }
        for service, calls in given.items():
            table = Table(service, ["nobody"], calls)
            with rules.connection(cluster, service) as client:
                if service == "DistributedRPC":
                    # CVE-2026-124496: a header gives nobody a name.
                    assert not is_served_over_http(cluster, "ann")
                for row in table.rows:
                    question = calls[row["call"]]
                    table.ask(row, "nobody", lambda: getattr(client, row["call"])(*question))
            table.close()


def is_served_over_http(cluster, user):
    """Whether DRPC over HTTP takes a caller for whom he says he is."""
    host, port = cluster.addresses["drpc-http"]
    headers = {"doAsUser": user, "X-Forwarded-User": user}
    connection = http.client.HTTPConnection(host, port, timeout=15)
    try:
        connection.request("GET", f"/drpc/f/x?doAsUser={user}", headers=headers)
        return b"is not authorized" not in connection.getresponse().read()
    finally:
        connection.close()


def test_every_service_has_a_port():
    """The tests above ask the services of `ADDRESS_OF`, each whole."""
    assert services() == set(ADDRESS_OF)
