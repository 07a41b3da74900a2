"""Components in processes of their own: spouts and bolts that connect over Thrift, with the stock
clients of two languages, and what happens when one of the many processes is lost, slow or hostile.

The peers are programs of gateway/. They keep records in files, so that nothing that was acked is
lost with a peer that is killed.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest

import peers
import secured
from cluster import ROOT, eventually, free_ports
from topologies import Builder, running

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "gateway"))

import clients  # noqa: E402

N_LINES = 3000
WORDS = "the quick brown fox jumps over the lazy dog".split()
# Nothing in these tests may wait for it: what is lost fails at once.
TIMEOUT = {"topology.message.timeout.secs": 300}


@pytest.fixture
def nimbus(cluster):
    peer = peers.ThriftPy2()
    with peer.connect(cluster.nimbus) as client:
        yield client


@pytest.fixture(params=clients.KINDS)
def client(request):
    return request.param


@pytest.fixture
def peer_process(tmp_path):
    """Starts programs of gateway/, and ends them with the test."""
    started = []

    def start(program, *arguments):
        command = ["node"] if program.endswith(".js") else [sys.executable, "-u"]
        node = HERE / ".env/node"
        environment = {**os.environ, "NODE_PATH": f"{node}/node_modules:{node}/generated"}
        with (tmp_path / f"{len(started)}-{program}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, HERE / "gateway" / program, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        process.log = Path(log.name)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        print(f"--- {process.log.name}\n{process.log.read_text(errors='replace')[-2000:]}")


class Words:
    """The word count: lines of a peer, split by a native bolt, recorded by peers, to a native sink."""

    def __init__(self, directory, n_tasks=1, conf=None):
        self.directory = directory
        self.lines = directory / "lines.txt"
        self.lines.write_text(
            "".join(f"{' '.join(WORDS[: number % 9 + 1])}\n" for number in range(N_LINES))
        )
        self.report = directory / "report"
        builder = Builder(peers.storm)
        builder.spout(
            "lines", builder.native("stormwire.GatewaySpout"), {"default": ["number", "line"]}
        )
        builder.bolt(
            "split",
            builder.native("stormwire.SplitNumbered"),
            {"lines": builder.shuffle()},
            {"default": ["word", "number", "position"]},
        )
        builder.bolt(
            "record",
            builder.native("stormwire.GatewayBolt"),
            {"split": builder.fields("word")},
            {"default": ["word"]},
            parallelism=n_tasks,
        )
        builder.bolt(
            "sink",
            builder.native("stormwire.FileSink", str(directory / "sink")),
            {"record": builder.shuffle()},
        )
        self.builder = builder
        self.conf = {**TIMEOUT, "topology.workers": 1, **(conf or {})}

    def running(self, nimbus, name):
        return running(peers.ThriftPy2(), nimbus, name, self.builder, {}, self.conf)

    def expected(self):
        """Each word with its line and position, once."""
        return Counter(
            (word, number, position)
            for number, line in enumerate(self.lines.read_text().splitlines(), start=1)
            for position, word in enumerate(line.split())
        )

    def recorded(self):
        """What all peers wrote, how often each."""
        lines = [
            line.split("\t")
            for path in self.directory.glob("record-*")
            for line in path.read_text().splitlines()
        ]
        return Counter((word, int(number), int(position)) for word, number, position in lines)

    def sunk(self):
        paths = self.directory.glob("sink.*")
        return Counter(word for path in paths for word in path.read_text().splitlines())

    def replays(self):
        return int(self.report.read_text()) if self.report.exists() else None


def place(address):
    return f"{address[0]}:{address[1]}"


def start_words(peer_process, cluster, words, name, client, *bolts):
    """Bolts' peers with their manners, then the spout's: else one may have done all the work before
    the other is there.
    """
    nimbus = place(cluster.nimbus)
    started = [
        peer_process(
            "words_bolt.py", client, nimbus, name, "record", words.directory / f"record-{n}", *manners
        )
        for n, manners in enumerate(bolts)
    ]
    all_there(started)
    spout = peer_process(
        "words_spout.py", client, nimbus, name, "lines", words.lines, words.report
    )
    return spout, started


def all_there(bolts):
    eventually(
        "all bolts are there", lambda: all("session" in bolt.log.read_text() for bolt in bolts)
    )


def errors(nimbus, id, component):
    return [error.error for error in nimbus.getTopologyInfo(id).errors.get(component, [])]


# ---- What it is for ------------------------------------------------------------------------------


def test_words_are_counted_exactly_by_processes_of_their_own(
    cluster, nimbus, client, peer_process, tmp_path
):
    words = Words(tmp_path, n_tasks=2)
    with words.running(nimbus, f"gateway-{client}"):
        spout, _ = start_words(peer_process, cluster, words, f"gateway-{client}", client, [])
        assert spout.wait(timeout=90) == 0
        assert words.replays() == 0
        assert words.recorded() == words.expected()
        by_word = Counter(word for word, _, _ in words.expected().elements())
        assert words.sunk() == by_word, "each emit of the peer arrived, and before its line was acked"


def test_another_language(cluster, nimbus, peer_process, tmp_path):
    """The client that the stock compiler makes for Node.js, in the plain form, packed by zlib."""
    words = Words(tmp_path, n_tasks=2, conf={"stormwire.link.compression": "always"})
    with words.running(nimbus, "gateway-node"):
        bolt = peer_process(
            "words_bolt.js", place(cluster.nimbus), "gateway-node", "record", tmp_path / "record-0"
        )
        spout, _ = start_words(peer_process, cluster, words, "gateway-node", "thriftpy2")
        assert spout.wait(timeout=90) == 0
        assert words.replays() == 0
        assert words.recorded() == words.expected()
        assert sum(words.sunk().values()) == sum(words.expected().values())
        assert "packs by 1" in bolt.log.read_text()


def test_tuples_travel_packed_both_ways(cluster, nimbus, client, peer_process, tmp_path):
    """By the codec that every Python has; peers that know none work beside those that do."""
    words = Words(tmp_path, n_tasks=2, conf={"stormwire.link.compression": "always"})
    name = f"gateway-packed-{client}"
    with words.running(nimbus, name):
        bolts = [
            peer_process(
                "words_bolt.py", client, place(cluster.nimbus), name, "record",
                tmp_path / f"record-{n}", *manners,
            )
            for n, manners in enumerate([["zlib", "slow=0.01"], ["slow=0.01"]])
        ]
        all_there(bolts)
        spout = peer_process(
            "words_spout.py", client, place(cluster.nimbus), name, "lines", words.lines,
            words.report, "zlib",
        )
        assert spout.wait(timeout=90) == 0
        assert words.replays() == 0
        assert words.recorded() == words.expected()
        logs = [bolt.log.read_text() for bolt in bolts]
        found = re.search(r"packs by 1\npacked (\d+) -> (\d+)", logs[0])
        assert found and int(found[2]) < int(found[1]), logs[0]
        assert "packs by None" in logs[1] and "packed" not in logs[1]


def test_packed_tuples_that_are_not_as_agreed_are_refused(cluster, nimbus):
    builder = Builder(peers.storm)
    builder.spout("in", builder.native("stormwire.GatewaySpout"), {"default": ["word"]})
    builder.bolt("sink", builder.native("stormwire.NullBolt"), {"in": builder.shuffle()})
    conf = {**TIMEOUT, "stormwire.link.compression": "auto", "stormwire.link.codecs": ["zlib"]}
    with running(peers.ThriftPy2(), nimbus, "gateway-bombs", builder, {}, conf):
        kind = clients.Apache()
        types = kind.types
        (found,) = clients.find(kind, cluster.nimbus, "gateway-bombs", "in")
        gateway = kind.connect((found.host, found.port))

        def opened(*codecs):
            return gateway.open(
                types.GatewayOpen(
                    component="in", role=types.GatewayRole.SPOUT, codecs=list(codecs), tasks_max=1
                )
            )

        plain = opened(types.LinkCodec.LZ4)
        assert plain.codec is None and plain.pack_above is None
        gateway.leave(plain.session)
        session = opened(types.LinkCodec.LZ4, types.LinkCodec.ZLIB)
        assert (session.codec, session.pack_above) == (types.LinkCodec.ZLIB, 1460)
        columns = types.GatewayColumns(columns=[types.GatewayColumn(strings=["w" * 50] * 9)])
        good = clients.pack(kind, columns=[columns])
        zeros = zlib.compress(bytes(64 << 20), 9)

        def emit(packed, **rest):
            request = types.GatewayEmit(session=session.session, packed=packed, **rest)
            return gateway.emit(request)

        def changed(**changes):
            return types.PackedFrame(**{**vars(good), **changes})

        wrong = {
            "by another codec": changed(codec=types.LinkCodec.LZ4),
            "1 to 16384000 are taken": changed(plain_length=64 << 20, body=zeros),
            "unfolds beyond the": changed(plain_length=1 << 20, body=zeros),
            "were announced": changed(plain_length=good.plain_length + 1),
            "cannot be unpacked": changed(body=b"no zlib"),
        }
        for text, packed in wrong.items():
            assert text in refused(kind, "BAD_REQUEST", lambda: emit(packed))
        both = lambda: emit(good, columns=[columns])
        assert "not both" in refused(kind, "BAD_REQUEST", both)
        nonsense = zlib.compress(b"\xff" * 1000)
        refused(kind, "BAD_REQUEST", lambda: emit(changed(plain_length=1000, body=nonsense)))
        assert emit(good).is_active is not None, "and the session goes on"
        gateway.close()


def test_what_a_peer_fails_comes_again(cluster, nimbus, client, peer_process, tmp_path):
    words = Words(tmp_path)
    with words.running(nimbus, "gateway-moody"):
        spout, _ = start_words(
            peer_process, cluster, words, "gateway-moody", client, ["moody"]
        )
        assert spout.wait(timeout=90) == 0
        assert words.replays() >= N_LINES / 3
        assert set(words.recorded()) == set(words.expected())


# ---- What is lost --------------------------------------------------------------------------------


def test_a_peer_that_is_killed_fails_what_it_had_and_another_takes_its_tasks(
    cluster, nimbus, peer_process, tmp_path
):
    """The time-out of tuples is far beyond the test: without it only a failure brings them back."""
    words = Words(tmp_path, n_tasks=2)
    with words.running(nimbus, "gateway-killed") as id:
        slowly = ["slow=0.3"]
        spout, bolts = start_words(
            peer_process, cluster, words, "gateway-killed", "apache", slowly, slowly
        )

        def both_work():
            return all((tmp_path / f"record-{n}").stat().st_size > 1000 for n in range(2))

        eventually("both peers have tasks", both_work)
        bolts[0].send_signal(signal.SIGKILL)
        assert spout.wait(timeout=90) == 0
        assert set(words.recorded()) == set(words.expected()), "nothing is lost"
        found = eventually("the loss is told", lambda: errors(nimbus, id, "record"))
        told = [text for text in found if "peer `record-0` of component record is lost" in text]
        assert told, found
        n_failed = sum(int(re.search(r"(\d+) tuples", text)[1]) for text in told)
        print(f"gateway: {n_failed} tuples of a killed peer failed, {words.replays()} lines again")
        assert n_failed > 0 and words.replays() > 0


def test_what_a_lost_spouts_peer_had_pending_fails(cluster, nimbus):
    """Its tuples wait at a bolt's peer that never answers, and the time-out is far beyond the test."""
    builder = Builder(peers.storm)
    builder.spout("in", builder.native("stormwire.GatewaySpout"), {"default": ["n"]})
    builder.bolt("hold", builder.native("stormwire.GatewayBolt"), {"in": builder.shuffle()})
    name, n = "gateway-orphans", 50
    conf = {**TIMEOUT, "topology.workers": 1, "topology.stats.sample.rate": 1.0}
    with running(peers.ThriftPy2(), nimbus, name, builder, {}, conf) as id:
        kind = clients.Apache()
        types = kind.types

        def enter(component, role):
            (found,) = clients.find(kind, cluster.nimbus, name, component)
            gateway = kind.connect((found.host, found.port))
            request = types.GatewayOpen(component=component, role=role, peer=f"peer of {component}")
            return gateway, gateway.open(request).session

        def failed():
            executors = nimbus.getTopologyInfo(id).executors
            stats = [one.stats for one in executors if one.component_id == "in"]
            return sum(
                sum(one.specific.spout.failed.get(":all-time", {}).values()) for one in stats if one
            )

        holder, holding = enter("hold", types.GatewayRole.BOLT)
        spout, session = enter("in", types.GatewayRole.SPOUT)
        columns = types.GatewayColumns(
            columns=[types.GatewayColumn(longs=list(range(n)))], ids=list(range(n))
        )
        spout.emit(types.GatewayEmit(session=session, columns=[columns], wait_ms=10_000))
        held = []
        while len(held) < n:
            held += holder.receive(types.GatewayReceive(session=holding)).tuples
        assert failed() == 0
        spout.close()
        eventually("the statistics show that they failed", lambda: failed() == n)
        told = eventually("the loss is told", lambda: errors(nimbus, id, "in"))
        assert any("`peer of in` of component in is lost" in text for text in told), told
        assert any(f"{n} tuples of task" in text for text in told), told
        holder.close()


def test_the_examples_say_what_they_wait_for(cluster, tmp_path):
    (closed,) = free_ports(1)
    for port, told in [(closed, f"Nimbus at ('127.0.0.1', {closed})"), (cluster.nimbus[1], "ghost")]:
        program = ROOT / "examples/gateway/lines.py"
        command = [sys.executable, "-u", program, f"127.0.0.1:{port}", "ghost", "lines", __file__]
        log = tmp_path / f"{told}.log"
        process = subprocess.Popen(command, stdout=log.open("wb"))
        try:
            eventually(f"{told} is named", lambda: told in log.read_text(), 10)
        finally:
            process.kill()
            process.wait()


def test_a_component_without_a_peer_says_so_and_goes_on_with_the_first_that_comes(
    cluster, nimbus, peer_process, tmp_path
):
    words = Words(tmp_path)
    with words.running(nimbus, "gateway-vacant") as id:

        def told():
            return [text for text in errors(nimbus, id, "record") if "no peer for" in text]

        eventually("its want of a peer is told", told)
        spout, _ = start_words(peer_process, cluster, words, "gateway-vacant", "apache", [])
        assert spout.wait(timeout=90) == 0
        assert set(words.recorded()) == set(words.expected())


def test_a_worker_that_is_killed_is_found_again(own_cluster, peer_process, tmp_path):
    cluster = own_cluster(slots=1)
    words = Words(tmp_path)
    with peers.ThriftPy2().connect(cluster.nimbus) as nimbus:
        with words.running(nimbus, "gateway-worker") as id:
            spout, _ = start_words(
                peer_process, cluster, words, "gateway-worker", "apache", ["slow=0.3"]
            )
            record = tmp_path / "record-0"
            eventually("tuples flow", lambda: record.stat().st_size > 1000)
            (worker,) = cluster.workers(id)
            os.kill(worker.pid, signal.SIGKILL)
            assert spout.wait(timeout=90) == 0
            assert words.replays() > 0
            assert set(words.recorded()) == set(words.expected())


def test_a_silent_peer_is_lost_after_its_lease(cluster, nimbus, peer_process, tmp_path):
    words = Words(tmp_path)
    with words.running(nimbus, "gateway-silent") as id:
        kind = clients.Apache()
        (found,) = clients.find(kind, cluster.nimbus, "gateway-silent", "record")
        silent = kind.connect((found.host, found.port))
        silent.open(
            kind.types.GatewayOpen(
                component="record", role=kind.types.GatewayRole.BOLT, peer="sleeper", lease_ms=1000
            )
        )

        def told():
            return any("was silent for 1000 ms" in text for text in errors(nimbus, id, "record"))

        eventually("its silence is told", told)
        spout, _ = start_words(peer_process, cluster, words, "gateway-silent", "apache", [])
        assert spout.wait(timeout=90) == 0
        silent.close()


# ---- Who is slow ---------------------------------------------------------------------------------


def test_a_slow_peer_costs_no_memory_and_holds_up_nobody_else(own_cluster, tmp_path):
    """A peer that holds its tuples and asks for none, behind a spout that never ends; beside it a
    spout and a bolt of the same worker that have nothing to do with it.
    """
    cluster = own_cluster(slots=1)
    builder = Builder(peers.storm)
    builder.spout("flood", builder.native("stormwire.ConstSpout"), {"default": ["text"]})
    builder.bolt(
        "slow", builder.native("stormwire.GatewayBolt"), {"flood": builder.shuffle()}
    )
    builder.spout(
        "ticks", builder.native("stormwire.TimerSpout", 5), {"default": ["number", "millis"]}
    )
    builder.bolt(
        "others",
        builder.native("stormwire.FileSink", str(tmp_path / "others")),
        {"ticks": builder.shuffle()},
    )
    conf = {**TIMEOUT, "topology.workers": 1}
    with peers.ThriftPy2().connect(cluster.nimbus) as nimbus:
        with running(peers.ThriftPy2(), nimbus, "gateway-slow", builder, {}, conf) as id:
            kind = clients.Apache()
            (found,) = clients.find(kind, cluster.nimbus, "gateway-slow", "slow")
            slow = kind.connect((found.host, found.port))
            request = kind.types.GatewayOpen(component="slow", role=kind.types.GatewayRole.BOLT)
            session = slow.open(request).session
            delivery = slow.receive(kind.types.GatewayReceive(session=session))
            assert delivery.tuples
            (worker,) = cluster.workers(id)

            def n_others():
                paths = tmp_path.glob("others.*")
                return sum(len(path.read_text().splitlines()) for path in paths)

            time.sleep(1)
            before, n_before = cluster.memory_mb(worker.pid), n_others()
            time.sleep(3)
            grown = cluster.memory_mb(worker.pid) - before
            print(f"gateway: a worker with a slow peer grew by {grown:.1f} MB in 3 s")
            assert grown < 20
            assert n_others() > n_before + 20, "the others go on"
            handles = [received.handle for received in delivery.tuples]
            slow.receive(kind.types.GatewayReceive(session=session, acks=handles))
            slow.close()


# ---- Who may come in -----------------------------------------------------------------------------


def test_only_who_trusts_and_is_trusted_talks_over_tls(cluster, nimbus, client, tmp_path):
    ours = secured.Certificates(tmp_path / "certificates")
    chain, key = ours.issue("worker")
    conf = {
        "stormwire.gateway.tls.certificates": str(chain),
        "stormwire.gateway.tls.key": str(key),
    }
    builder = Builder(peers.storm)
    builder.spout("flood", builder.native("stormwire.TimerSpout", 1), {"default": ["n", "ms"]})
    builder.bolt("tls", builder.native("stormwire.GatewayBolt"), {"flood": builder.shuffle()})
    name = f"gateway-tls-{client}"
    with running(peers.ThriftPy2(), nimbus, name, builder, {}, {**TIMEOUT, **conf}):
        kind = clients.KINDS[client]()
        (found,) = clients.find(kind, cluster.nimbus, name, "tls")
        gateway = kind.connect(("localhost", found.port), authorities=ours.authority)
        request = kind.types.GatewayOpen(component="tls", role=kind.types.GatewayRole.BOLT)
        session = gateway.open(request).session
        assert gateway.receive(kind.types.GatewayReceive(session=session)).tuples
        gateway.close()
        plain = kind.connect(("localhost", found.port))
        with pytest.raises(Exception):
            plain.open(request)
        others = secured.Certificates(tmp_path / "others", name="others")
        with pytest.raises(Exception):
            stranger = kind.connect(("localhost", found.port), authorities=others.authority)
            stranger.open(request)


@pytest.fixture
def guarded(cluster, nimbus):
    """A spout with a token, and a peer that is let in: everybody else must leave it alone."""
    builder = Builder(peers.storm)
    builder.spout(
        "in",
        builder.native("stormwire.GatewaySpout"),
        {"default": ["word"]},
        conf={"stormwire.gateway.token": "sesame"},
    )
    builder.bolt("sink", builder.native("stormwire.NullBolt"), {"in": builder.shuffle()})
    with running(peers.ThriftPy2(), nimbus, "gateway-guarded", builder, {}, TIMEOUT):
        kind = clients.ThriftPy2()
        (found,) = clients.find(kind, cluster.nimbus, "gateway-guarded", "in")
        yield kind, (found.host, found.port)


def refused(kind, fault, call):
    with pytest.raises(kind.types.GatewayException) as caught:
        call()
    assert caught.value.kind == getattr(kind.types.GatewayFault, fault), caught.value
    return caught.value.text


def test_what_is_wrong_is_refused_by_name_and_hurts_nobody_else(guarded):
    kind, address = guarded
    types = kind.types
    spout = types.GatewayRole.SPOUT
    ask = {"component": "in", "role": spout, "token": "sesame"}

    def open_as(**changes):
        return gateway.open(types.GatewayOpen(**{**ask, **changes}))

    good = kind.connect(address)
    good_session = good.open(types.GatewayOpen(**ask))
    assert "sesame" not in good_session.conf
    gateway = kind.connect(address)
    assert "asks for another token" in refused(kind, "REFUSED", lambda: open_as(token="no"))
    assert "another token" in refused(kind, "REFUSED", lambda: open_as(token=None))
    assert "no task of" in refused(kind, "REFUSED", lambda: open_as(component="out"))
    bolt = types.GatewayRole.BOLT
    assert "is a spout, not a bolt" in refused(kind, "REFUSED", lambda: open_as(role=bolt))
    assert "at most 256" in refused(kind, "REFUSED", lambda: open_as(peer="p" * 257))

    def emit(session=good_session.session, **emission):
        return gateway.emit(types.GatewayEmit(session=session, **emission))

    def message(*words, **rest):
        values = [types.Value(string_value=word) for word in words]
        return {"messages": [types.GatewayMessage(values=values, **rest)]}

    def columns(*columns, **rest):
        return {"columns": [types.GatewayColumns(columns=list(columns), **rest)]}

    foreign = [{"session": "x" * 24}, {"session": ""}, {"session": good_session.session[:-1]}]
    for session in foreign:
        refused(kind, "NO_SESSION", lambda: emit(**session))
    strings = types.GatewayColumn(strings=["a", "b"])
    wrong = {
        "does not declare a stream `other`": message("a", stream="other"),
        "declares 1 fields, a tuple has 2 values": message("a", "b"),
        "declares 1 fields, a tuple has 0 values": columns(),
        "2 tuples but 1 ids": columns(strings, ids=[1]),
        "no UTF-16 code unit": {
            "messages": [types.GatewayMessage(values=[types.Value(char_value=-1)])]
        },
        "8388608 at most": message("x" * (8 << 20)),
        "more than 65536 tuples": columns(types.GatewayColumn(bools=[True] * 65_537)),
        "have no anchors": message("a", anchors=[1]),
        "task 77 is not held": {**message("a"), "task": 77},
    }
    for text, emission in wrong.items():
        assert text in refused(kind, "BAD_REQUEST", lambda: emit(**emission))
    # Unions without a value are refused where Java's are: while they are read.
    unset = [
        columns(types.GatewayColumn()),
        {"messages": [types.GatewayMessage(values=[types.Value()])]},
    ]
    for emission in unset:
        with pytest.raises(peers.ThriftPy2.ApplicationException):
            emit(**emission)
    receive = types.GatewayReceive(session=good_session.session)
    assert "is a spout" in refused(kind, "BAD_REQUEST", lambda: gateway.receive(receive))
    # None of it did anything, and whom it was done in the name of goes on.
    fates = good.emit(
        types.GatewayEmit(session=good_session.session, **message("a", id=1), wait_ms=5000)
    )
    acked = fates.acked or good.emit(
        types.GatewayEmit(session=good_session.session, wait_ms=10_000)
    ).acked
    assert acked == [1]


def test_what_is_no_thrift_costs_only_its_own_connection(guarded):
    kind, address = guarded
    ask = kind.types.GatewayOpen(
        component="in", role=kind.types.GatewayRole.SPOUT, token="sesame"
    )
    good = kind.connect(address)
    session = good.open(ask).session
    for garbage in [b"GET / HTTP/1.1\r\n\r\n", b"\x7f\xff\xff\xff", b"\0\0\0\x08" + b"\xff" * 8]:
        with socket.create_connection(address, timeout=10) as stranger:
            stranger.sendall(garbage)
            assert stranger.recv(100) == b"", "closed without a word"
    good.keepAlive(session)
    good.leave(session)
    refused(kind, "NO_SESSION", lambda: good.keepAlive(session))


# ---- How fast ------------------------------------------------------------------------------------


def test_throughput_is_printed(cluster, nimbus, client):
    """Batches of a Python peer, either way. Figures only: nothing is asserted on time."""
    builder = Builder(peers.storm)
    builder.spout("in", builder.native("stormwire.GatewaySpout"), {"default": ["word", "number"]})
    builder.bolt("null", builder.native("stormwire.NullBolt"), {"in": builder.shuffle()})
    builder.spout("flood", builder.native("stormwire.ConstSpout"), {"default": ["text"]})
    builder.bolt("out", builder.native("stormwire.GatewayBolt"), {"flood": builder.shuffle()})
    name = f"gateway-fast-{client}"
    kind = clients.KINDS[client]()
    types = kind.types
    batch, seconds = 2000, 2.0
    with running(peers.ThriftPy2(), nimbus, name, builder, {}, {"topology.workers": 1}):
        (found,) = clients.find(kind, cluster.nimbus, name, "in")
        gateway = kind.connect((found.host, found.port))
        ask = types.GatewayOpen(component="in", role=types.GatewayRole.SPOUT)
        session = gateway.open(ask).session
        words = [f"word {number}" for number in range(batch)]
        n_emitted = n_acked = 0
        started = time.monotonic()
        while time.monotonic() < started + seconds or n_acked < n_emitted:
            columns = types.GatewayColumns(
                columns=[
                    types.GatewayColumn(strings=words),
                    types.GatewayColumn(longs=list(range(n_emitted, n_emitted + batch))),
                ],
                ids=list(range(n_emitted, n_emitted + batch)),
            )
            is_over = time.monotonic() >= started + seconds
            request = types.GatewayEmit(
                session=session, columns=None if is_over else [columns], wait_ms=5000
            )
            fates = gateway.emit(request)
            n_emitted += 0 if is_over else batch
            n_acked += len(fates.acked)
            assert not fates.failed
        rate = n_acked / (time.monotonic() - started)
        print(f"gateway: {client} spout, acked: {rate / 1e3:.0f} k tuples/s")
        gateway.leave(session)
        ask = types.GatewayOpen(
            component="out", role=types.GatewayRole.BOLT, form=types.GatewayForm.COLUMNS
        )
        session = gateway.open(ask).session
        n_received, done = 0, []
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            delivery = gateway.receive(types.GatewayReceive(session=session, ack_ranges=done))
            done = []
            for run in delivery.runs:
                assert len(run.columns[0].strings) == run.count
                n_received += run.count
                done.append(types.GatewayRange(first=run.first_handle, count=run.count))
        rate = n_received / (time.monotonic() - started)
        print(f"gateway: {client} bolt, acked: {rate / 1e3:.0f} k tuples/s")
        assert n_acked == n_emitted and n_received > 0
        gateway.close()
