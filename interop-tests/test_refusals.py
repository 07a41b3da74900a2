"""What bad submissions get: a clear error that says what and where, and a Nimbus that goes on.

Each row runs with both clients. A refusal leaves nothing: no topology, no name, no blob.
"""

import io
import json
import re
import stat
import time
import zipfile

import pytest

import peers
from cluster import eventually
from topologies import Builder, component_files, jar, kill, pulse, pulse_files, upload

INVALID, INTERNAL, DENIED = "invalid", "internal", "denied"


class Submission:
    """A good submission, for a row of the table to spoil."""

    def __init__(self, peer, nimbus, tmp_path):
        self.types, self.nimbus, self.tmp_path = peer.types, nimbus, tmp_path
        self.name = "refused"
        self.conf = "{}"
        self.jar = jar(pulse_files())
        self.location = None
        self.builder = pulse(Builder(peer.types), tmp_path / "out")
        self.topology = self.builder.topology
        self.spout = self.topology.spouts["pulse"]
        self.bolt = self.topology.bolts["sink"]

    def submit(self):
        location = upload(self.nimbus, self.jar) if self.location is None else self.location
        self.nimbus.submitTopology(self.name, location, self.conf, self.topology)

    # ---- Ways to spoil it ----------------------------------------------------------------------

    def subscribe(self, component, stream="default", grouping=None):
        source = self.types.GlobalStreamId(componentId=component, streamId=stream)
        self.bolt.common.inputs[source] = grouping or self.builder.shuffle()

    def declare(self, stream):
        declared = self.types.StreamInfo(output_fields=["x"], direct=False)
        self.bolt.common.streams[stream] = declared

    def add_bolt(self, id, component=None):
        component = component or self.builder.python("pulse.py")
        self.builder.bolt(id, component, {"pulse": self.builder.shuffle()})

    def set_conf(self, **settings):
        self.conf = json.dumps({key.replace("_", "."): value for key, value in settings.items()})

    def zip(self, *names, mode=None):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name in names:
                info = zipfile.ZipInfo(name)
                info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
                archive.writestr(info, "/etc")
        self.jar = packed.getvalue()


# Name of the row: what is spoiled, which exception, and a pattern that its text holds.
ROWS = {
    # Names
    "a slash in the name": (lambda s: rename(s, "a/b"), INVALID, r"name 'a/b' is not valid"),
    "a dot in the name": (lambda s: rename(s, "a.b"), INVALID, r"name 'a.b' is not valid"),
    "a colon in the name": (lambda s: rename(s, "a:b"), INVALID, r"name 'a:b' is not valid"),
    "a backslash in the name": (lambda s: rename(s, "a\\b"), INVALID, r"is not valid"),
    "no name": (lambda s: rename(s, ""), INVALID, r"name '' is not valid"),
    "a null name": (lambda s: rename(s, None), INVALID, r"name 'null' is not valid"),
    "a name of two dots": (lambda s: rename(s, ".."), INVALID, r"name '..' is not valid"),
    "a name of 300 characters": (lambda s: rename(s, "n" * 300), INVALID, r"200"),
    "a percent sign in the name": (lambda s: rename(s, "a%b"), INTERNAL, r"a%b"),
    "a zero byte in the name": (lambda s: rename(s, "a\0b"), INTERNAL, r"submitTopology"),
    # Inputs
    "an input of a component that is not there": (
        lambda s: s.subscribe("ghost"),
        INVALID,
        r"Component: \[sink\] subscribes from non-existent component \[ghost\]",
    ),
    "an input of a stream that is not there": (
        lambda s: s.subscribe("pulse", "ghost"),
        INVALID,
        r"\[sink\] subscribes from non-existent stream: \[ghost\] of component \[pulse\]",
    ),
    "a grouping by a field that is not there": (
        lambda s: s.subscribe("pulse", grouping=s.builder.fields("ghost")),
        INVALID,
        r"Component: \[sink\] subscribes from stream: .* non-existent fields: \[ghost\]",
    ),
    "a spout with inputs": (
        lambda s: s.spout.common.inputs.update(s.bolt.common.inputs),
        INVALID,
        r"May not declare inputs for a spout",
    ),
    # Ids
    "a reserved component id": (
        lambda s: s.add_bolt("__mine"),
        INVALID,
        r"__mine is not a valid component id",
    ),
    "a reserved stream id": (
        lambda s: s.declare("__mine"),
        INVALID,
        r"__mine is not a valid stream id",
    ),
    "one id for two components": (
        lambda s: s.add_bolt("pulse"),
        INVALID,
        r"Duplicate component ids: .*pulse",
    ),
    "an id of ten megabytes": (lambda s: s.add_bolt("i" * 10_000_000), INVALID, r"1024"),
    "more components than the limit": (
        lambda s: chain(s, 10_001),
        INVALID,
        r"components, more than 10000",
    ),
    # Executors and tasks
    "no executors for tasks": (
        lambda s: resize(s, executors=0, tasks=2),
        INVALID,
        r"Number of executors must be greater than 0 when number of tasks is greater than 0",
    ),
    "a million executors": (
        lambda s: resize(s, executors=1_000_000),
        INVALID,
        r"stormwire\.topology\.executors\.max",
    ),
    "as many executors as an integer holds": (
        lambda s: resize(s, executors=2**31 - 1),
        INVALID,
        r"stormwire\.topology\.(executors|tasks)\.max",
    ),
    "as many tasks as an integer holds": (
        lambda s: resize(s, executors=1, tasks=2**31 - 1),
        INVALID,
        r"stormwire\.topology\.tasks\.max",
    ),
    # Confs of components
    "a json_conf that breaks off": (lambda s: configure(s, "{"), INTERNAL, r"sink.*json_conf"),
    "an empty json_conf": (lambda s: configure(s, ""), INTERNAL, r"sink.*json_conf"),
    "a json_conf that is null": (lambda s: configure(s, "null"), INTERNAL, r"sink.*json_conf"),
    "a json_conf that is a list": (lambda s: configure(s, "[]"), INTERNAL, r"sink.*json_conf"),
    "a json_conf that is deep": (lambda s: configure(s, "[" * 1_000_000), INTERNAL, r"sink"),
    "two and a half tasks": (
        lambda s: configure(s, '{"topology.tasks": 2.5}'),
        INTERNAL,
        r"sink.*topology\.tasks",
    ),
    # The topology's conf
    "a conf that is no JSON": (lambda s: assign(s, conf="nonsense{"), INTERNAL, r"JSON|json"),
    "a conf that breaks off": (lambda s: assign(s, conf='{"a": '), INTERNAL, r"JSON|json"),
    "a conf that is a list": (
        lambda s: assign(s, conf="[1]"),
        INTERNAL,
        r"no JSON object but a list; {} is one that sets nothing",
    ),
    "a conf that is null": (
        lambda s: assign(s, conf="null"),
        INTERNAL,
        r"no JSON object but null; {} is one that sets nothing",
    ),
    "a conf that is deep": (lambda s: assign(s, conf='{"a":' * 100_000), INTERNAL, r"."),
    "workers in words": (
        lambda s: s.set_conf(topology_workers="two"),
        INVALID,
        r"TOPOLOGY_WORKERS",
    ),
    "workers as a text": (
        lambda s: s.set_conf(topology_workers="1e9"),
        INVALID,
        r"TOPOLOGY_WORKERS",
    ),
    "workers below zero": (lambda s: s.set_conf(topology_workers=-1), INVALID, r"TOPOLOGY_WORKERS"),
    "workers beyond integers": (
        lambda s: s.set_conf(topology_workers=2**40),
        INVALID,
        r"TOPOLOGY_WORKERS",
    ),
    "no message timeout": (
        lambda s: s.set_conf(topology_message_timeout_secs=None),
        INVALID,
        r"TOPOLOGY_MESSAGE_TIMEOUT_SECScannot be null",
    ),
    "a debug flag as a text": (
        lambda s: s.set_conf(topology_debug="true"),
        INVALID,
        r"TOPOLOGY_DEBUG",
    ),
    "a blob that is not there": (
        lambda s: s.set_conf(topology_blobstore_map={"ghost": {"localname": "g"}}),
        INVALID,
        r"ghost",
    ),
    "a serializer that is not there": (
        lambda s: s.set_conf(topology_multilang_serializer="com.example.Telepathy"),
        INVALID,
        r"com\.example\.Telepathy",
    ),
    # Jars
    "a jar that is no zip": (lambda s: assign(s, jar=b"#!/bin/sh\n"), INVALID, r"not a zip"),
    "an empty jar": (lambda s: assign(s, jar=b""), INVALID, r"not a zip"),
    "half a jar": (lambda s: assign(s, jar=s.jar[:-40]), INVALID, r"not a zip"),
    "a jar that climbs": (lambda s: s.zip("resources/../../x"), INVALID, r"resources/\.\./\.\./x"),
    "a jar that climbs from its root": (lambda s: s.zip("../x"), INVALID, r"\.\./x"),
    "a jar with an absolute path": (lambda s: s.zip("/tmp/x"), INVALID, r"/tmp/x"),
    "a jar that climbs as in Windows": (
        lambda s: s.zip("resources\\..\\..\\x"),
        INVALID,
        r"\.\.\\x",
    ),
    "a location outside the inbox": (
        lambda s: assign(s, location="/etc/passwd"),
        DENIED,
        r"/etc/passwd.*inbox",
    ),
    "a location that climbs out of the inbox": (
        lambda s: assign(s, location=s.nimbus.beginFileUpload() + "/../../../../../../etc/passwd"),
        (DENIED, INTERNAL),
        r"etc/passwd",
    ),
    "a location that is a directory": (lambda s: assign(s, location="/"), DENIED, r"inbox"),
    "a location that is not there": (
        lambda s: assign(s, location="/nowhere/x.jar"),
        (DENIED, INTERNAL),
        r"/nowhere/x\.jar",
    ),
    "an empty location": (lambda s: assign(s, location=""), INTERNAL, r"submitTopology"),
    # Components
    "a bolt of serialized Java": (
        lambda s: s.add_bolt("frozen", s.types.ComponentObject(serialized_java=b"\xac\xed\0\5")),
        INVALID,
        r"frozen.*[Jj]ava",
    ),
    "a spout of serialized Java": (
        lambda s: assign_spout(s, s.types.ComponentObject(serialized_java=b"\xac\xed\0\5")),
        INVALID,
        r"pulse.*[Jj]ava",
    ),
    "a class that is not built in": (
        lambda s: s.add_bolt("alien", s.builder.native("com.example.Alien")),
        INVALID,
        r"alien.*com\.example\.Alien",
    ),
    "a built-in component that lacks an argument": (
        lambda s: s.add_bolt("filter", s.builder.native("stormwire.Filter")),
        INVALID,
        r"filter.*stormwire\.Filter.*argument 1 is missing",
    ),
    "an argument of another type": (
        lambda s: s.add_bolt("file", s.builder.native("stormwire.FileSink", 7)),
        INVALID,
        r"file.*stormwire\.FileSink.*argument 1",
    ),
    "a spout in place of a bolt": (
        lambda s: s.add_bolt("turned", s.builder.native("stormwire.ConstSpout")),
        INVALID,
        r"turned.*stormwire\.ConstSpout.*not a bolt",
    ),
    "a component without code": (
        lambda s: s.add_bolt("empty", s.types.ComponentObject()),
        (INVALID, INTERNAL, 7),
        r"",
    ),
}


def rename(submission, name):
    submission.name = name


def assign(submission, **values):
    vars(submission).update(values)


def assign_spout(submission, component):
    submission.spout.spout_object = component


def configure(submission, json_conf):
    submission.bolt.common.json_conf = json_conf


def resize(submission, executors, tasks=None):
    submission.bolt.common.parallelism_hint = executors
    if tasks is not None:
        submission.bolt.common.json_conf = json.dumps({"topology.tasks": tasks})


def chain(submission, length):
    """Bolts that hang on each other, more than the limit."""
    builder, previous = submission.builder, "pulse"
    for index in range(length):
        streams = {"default": ["x"]}
        builder.bolt(f"b{index}", builder.python("x"), {previous: builder.shuffle()}, streams)
        previous = f"b{index}"


@pytest.mark.parametrize("spoil, kinds, told", ROWS.values(), ids=ROWS)
def test_a_bad_submission_is_refused_and_leaves_nothing(
    cluster, peer, nimbus, tmp_path, spoil, kinds, told
):
    submission = Submission(peer, nimbus, tmp_path)
    spoil(submission)
    topologies, blobs = names(nimbus), stored(cluster)
    started = time.monotonic()
    try:
        with pytest.raises(Exception) as refused:
            submission.submit()
        taken = time.monotonic() - started
        check_refusal(peer, refused.value, kinds, told)
        assert taken < 20, f"the refusal took {taken:.1f} s"
        assert names(nimbus) == topologies
        assert stored(cluster) == blobs
        assert nimbus.isTopologyNameAllowed("refused")
    finally:
        kill(peer, nimbus, "refused")  # so that a row that is accepted spoils no other


def check_refusal(peer, error, kinds, told):
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if isinstance(error, peer.ApplicationException):
        kind = {6: INTERNAL}.get(error.type, error.type)
        message = error.message
        if kind == INTERNAL:
            assert message.startswith("Internal error processing submitTopology"), message
    else:
        exceptions = {
            peer.types.InvalidTopologyException: INVALID,
            peer.types.AuthorizationException: DENIED,
        }
        assert type(error) in exceptions, repr(error)
        kind, message = exceptions[type(error)], error.msg
    assert kind in kinds, (kind, message)
    assert re.search(told, message, re.DOTALL), message
    assert len(message) < 20_000


def names(nimbus):
    return sorted(each.name for each in nimbus.getTopologySummaries())


def stored(cluster):
    """Blobs of topologies."""
    return sorted(str(path) for path in cluster.local.glob("**/*refused*"))


def test_options_are_required_where_they_are_an_argument(peer, nimbus, tmp_path):
    submission = Submission(peer, nimbus, tmp_path)
    location = upload(nimbus, submission.jar)
    with pytest.raises(peer.types.InvalidTopologyException) as refused:
        nimbus.submitTopologyWithOpts("refused", location, "{}", submission.topology, None)
    assert "SubmitOptions parameter value is null" in refused.value.msg


@pytest.mark.parametrize("text", [None, "", " ", '{"my.key": null, "lists": [1, {"a": [2.5]}]}'])
def test_a_conf_may_be_absent_or_hold_what_nobody_knows(peer, nimbus, tmp_path, text):
    """C 2.2, C 4.3: .NET clients send none, streamparse sends keys of its own, some of them null."""
    submission = Submission(peer, nimbus, tmp_path)
    location = upload(nimbus, submission.jar)
    nimbus.submitTopology("odd-conf", location, text, submission.topology)
    try:
        id = nimbus.getTopologySummaryByName("odd-conf").id
        conf = json.loads(nimbus.getTopologyConf(id))
        assert conf["topology.name"] == "odd-conf"
        if text and text.strip():
            assert (conf["my.key"], conf["lists"]) == (None, [1, {"a": [2.5]}])
    finally:
        kill(peer, nimbus, "odd-conf")


def test_a_topology_may_come_without_a_jar(cluster, peer, nimbus, tmp_path):
    """A null location, as in Storm's local mode: built-in classes need no jar. What does need one says
    what is missing.
    """
    builder = Builder(peer.types)
    timer = builder.native("stormwire.TimerSpout", 1)
    builder.spout("timer", timer, {"default": ["n", "ms"]})
    out = tmp_path / "out"
    sink = builder.native("stormwire.FileSink", str(out))
    builder.bolt("sink", sink, {"timer": builder.shuffle()})
    builder.bolt("script", builder.python("absent.py"), {"timer": builder.shuffle()})
    nimbus.submitTopology("no-jar", None, "{}", builder.topology)
    try:
        eventually("tuples arrive", lambda: any(tmp_path.glob("out.*")), 60)

        def told():
            errors = nimbus.getTopologyInfoByName("no-jar").errors.get("script") or []
            return next((each.error for each in errors if "absent.py" in each.error), None)

        text = eventually("the script's component says what it lacks", told, 60)
        assert "/resources/absent.py" in text and "No such file" in text, text
    finally:
        kill(peer, nimbus, "no-jar")


@pytest.fixture
def nimbus_of_thriftpy2(cluster):
    kind = peers.ThriftPy2()
    with kind.connect(cluster.nimbus) as nimbus:
        yield nimbus, kind.types


NULLS = {
    "no topology": lambda types: None,
    "a topology without spouts": lambda types: types.StormTopology(bolts={}, state_spouts={}),
    "a spout without code": lambda types: types.StormTopology(
        spouts={"s": types.SpoutSpec(common=types.ComponentCommon(inputs={}, streams={}))},
        bolts={},
        state_spouts={},
    ),
    "a spout without a common part": lambda types: types.StormTopology(
        spouts={"s": types.SpoutSpec(spout_object=Builder(types).python("x"))},
        bolts={},
        state_spouts={},
    ),
}


@pytest.mark.parametrize("what", NULLS)
def test_nulls_within_a_topology_are_named(nimbus_of_thriftpy2, what):
    """As a client sends them that checks nothing: thriftpy2. What the IDL requires is named."""
    nimbus, types = nimbus_of_thriftpy2
    with pytest.raises(Exception) as refused:
        nimbus.submitTopology("refused", None, "{}", NULLS[what](types))
    text = getattr(refused.value, "message", None) or getattr(refused.value, "msg", None)
    named = {
        "no topology": "the argument `topology` is null",
        "a topology without spouts": "spouts",
        "a spout without code": "spout_object",
        "a spout without a common part": "common",
    }
    assert text and named[what] in text, refused.value
    assert nimbus.isTopologyNameAllowed("refused")


def test_options_without_a_status_are_named(nimbus_of_thriftpy2, tmp_path):
    nimbus, types = nimbus_of_thriftpy2
    topology = pulse(Builder(types), tmp_path / "out").topology
    options = types.SubmitOptions(initial_status=None)
    with pytest.raises(Exception) as refused:
        nimbus.submitTopologyWithOpts("refused", None, "{}", topology, options)
    assert "initial_status" in refused.value.message
    assert nimbus.isTopologyNameAllowed("refused")


def test_a_name_that_is_allowed_says_so(peer, nimbus):
    for name in ("plain", "with blanks", "__leading", "größe", "名前", " "):
        assert nimbus.isTopologyNameAllowed(name) is True, name
    for name in ("a/b", "a.b", "a:b", "a\\b", ""):
        assert nimbus.isTopologyNameAllowed(name) is False, name


def test_unusual_names_and_ids_run(cluster, peer, nimbus, tmp_path):
    """What Storm accepts must not trip over our file names."""
    name = f"größe __ 名前 {peer.name}"
    builder = Builder(peer.types)
    (
        builder.spout("a/b ../%2e", builder.python("pulse.py"), {"größe/..": ["x"]}).bolt(
            "名前\n",
            builder.native("stormwire.FileSink", str(tmp_path / "out")),
            {"a/b ../%2e:größe/..": builder.shuffle()},
        )
    )
    # The script emits to the default stream: declare it too.
    builder.topology.spouts["a/b ../%2e"].common.streams["default"] = peer.types.StreamInfo(
        output_fields=["x"], direct=False
    )
    location = upload(nimbus, jar(component_files("pulse.py")))
    nimbus.submitTopology(name, location, "{}", builder.topology)
    try:
        id = nimbus.getTopologySummaryByName(name).id
        deadline = time.monotonic() + 30
        while not cluster.workers(id):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "a/b ../%2e" in nimbus.getTopologyInfo(id).errors
    finally:
        kill(peer, nimbus, name)
