"""Submit, activate, deactivate, kill: what each does and refuses."""

import json

import pytest

import topologies
from cluster import eventually

from . import rules


@pytest.fixture
def jar(nimbus):
    """The location of an uploaded jar."""
    return topologies.upload(nimbus, topologies.jar({"nothing": ""}))


def test_submit_topology_starts_active(nimbus, types, jar):
    """C 3.2: submitTopology is submitTopologyWithOpts with ACTIVE; the reply follows the commit."""
    name = rules.fresh_name()
    nimbus.submitTopology(name, jar, "{}", rules.native(types).topology)
    try:
        assert nimbus.getTopologySummaryByName(name).status == "ACTIVE"
    finally:
        rules.kill(nimbus, types, name)


@pytest.mark.parametrize("status", ["ACTIVE", "INACTIVE"])
def test_submit_with_opts_takes_the_initial_status(submitted, nimbus, status):
    """C 3.2: SubmitOptions.initial_status."""
    assert nimbus.getTopologySummary(submitted(status=status).id).status == status


def test_ids_count_submissions(submitted):
    """C 3.2 (12): id = name-<counter>-<now>; two in one second differ by the counter."""
    first, second = submitted(), submitted()
    for each in (first, second):
        name, counter, epoch = each.id.rsplit("-", 2)
        assert name == each.name and int(counter) > 0 and int(epoch) > 1_700_000_000
    assert int(second.id.rsplit("-", 2)[1]) > int(first.id.rsplit("-", 2)[1])


def test_a_taken_name_is_refused(submitted, nimbus, types, jar):
    """C 3.2 (5): AlreadyAlive `<n> is already alive`, also while the topology is being killed."""
    name, topology = submitted().name, rules.native(types).topology
    with rules.refused(types.AlreadyAliveException, f"{name} is already alive"):
        nimbus.submitTopology(name, jar, "{}", topology)
    nimbus.killTopologyWithOpts(name, types.KillOptions(wait_secs=600))
    with rules.refused(types.AlreadyAliveException, f"{name} is already alive"):
        nimbus.submitTopology(name, jar, "{}", topology)


@pytest.mark.parametrize("name", ["a/b", "a.b", "a:b", "a\\b", "", None])
def test_a_bad_name_is_refused(nimbus, types, jar, name):
    """C 3.2 (3): InvalidTopology; a null name reads as 'null' in the text."""
    shown = "null" if name is None else name
    text = f"Topology name '{shown}' is not valid. It can't be null and it must match ^[^/.:\\\\]+$"
    with rules.refused(types.InvalidTopologyException, text):
        nimbus.submitTopology(name, jar, "{}", rules.native(types).topology)


def test_submit_without_options_is_refused(nimbus, types, jar):
    """C 3.2 (2): options null -> InvalidTopology that says so."""
    with pytest.raises(types.InvalidTopologyException) as refusal:
        nimbus.submitTopologyWithOpts(
            rules.fresh_name(), jar, "{}", rules.native(types).topology, None
        )
    assert "SubmitOptions parameter value is null" in refusal.value.msg


@pytest.mark.parametrize("conf", ["not json", "[]", "17"])
def test_a_conf_that_is_no_object_is_an_internal_error(nimbus, types, jar, conf):
    """C 3.2 (6): unparsable or non-object -> INTERNAL_ERROR."""
    with rules.internal("submitTopology"):
        nimbus.submitTopology(rules.fresh_name(), jar, conf, rules.native(types).topology)


@pytest.mark.parametrize("location", ["", "/nowhere/stormjar-1.jar"])
def test_a_jar_that_cannot_be_read_is_an_internal_error(nimbus, types, location):
    """C 3.2: an empty or unreadable location is INTERNAL_ERROR."""
    name = rules.fresh_name()
    with rules.internal("submitTopology"):
        nimbus.submitTopology(name, location, "{}", rules.native(types).topology)
    assert nimbus.isTopologyNameAllowed(name)


def test_a_jar_outside_the_inbox_is_denied(nimbus, types):
    """C 3.2 (trap): no file of Nimbus's machine but an upload can be named as the jar."""
    name = rules.fresh_name()
    with pytest.raises(types.AuthorizationException):
        nimbus.submitTopology(name, "/etc/passwd", "{}", rules.native(types).topology)
    assert nimbus.isTopologyNameAllowed(name)


def test_an_invalid_topology_is_refused_before_its_jar_is_read(nimbus, types):
    """C 3.2: the jar is read after all validation."""
    builder = rules.native(types)
    builder.bolt("lost", builder.native("stormwire.NullBolt"), {"ghost": builder.shuffle()})
    with pytest.raises(types.InvalidTopologyException):
        nimbus.submitTopology(rules.fresh_name(), "/nowhere", "{}", builder.topology)


def test_deactivate_and_activate(submitted, nimbus):
    """C 3.2: each turns the status, and is no error when it is so already."""
    name = submitted().name
    for call, status in [
        (nimbus.deactivate, "INACTIVE"),
        (nimbus.deactivate, "INACTIVE"),
        (nimbus.activate, "ACTIVE"),
        (nimbus.activate, "ACTIVE"),
    ]:
        call(name)
        assert nimbus.getTopologySummaryByName(name).status == status


def test_kill_waits_for_the_message_timeout(submitted, nimbus):
    """C 3.2: without options the delay is topology.message.timeout.secs; the name stays taken."""
    topology = submitted(conf={"topology.message.timeout.secs": 600})
    nimbus.killTopology(topology.name)
    assert nimbus.getTopologySummary(topology.id).status == "KILLED"
    assert nimbus.isTopologyNameAllowed(topology.name) is False


def test_kill_again_takes_the_new_delay(submitted, nimbus, types):
    """C 3.2: kill on KILLED restarts the delay with the new value."""
    name = submitted().name
    nimbus.killTopologyWithOpts(name, types.KillOptions(wait_secs=600))
    nimbus.killTopologyWithOpts(name, types.KillOptions(wait_secs=0))
    eventually(f"{name} is gone", lambda: nimbus.isTopologyNameAllowed(name))


def test_a_killed_topology_takes_no_orders(submitted, nimbus, types):
    """C 3.2: INTERNAL_ERROR `No transition for event: ..., status: KILLED storm-id: <id>`."""
    topology = submitted()
    nimbus.killTopologyWithOpts(topology.name, types.KillOptions(wait_secs=600))
    for method, event in [("activate", "ACTIVATE"), ("deactivate", "INACTIVATE")]:
        text = f"No transition for event: {event}, status: KILLED storm-id: {topology.id}"
        with rules.internal(method, text):
            getattr(nimbus, method)(topology.name)


@pytest.mark.parametrize(
    "call",
    [
        lambda nimbus, types, name: nimbus.killTopology(name),
        lambda nimbus, types, name: nimbus.killTopologyWithOpts(name, types.KillOptions()),
        lambda nimbus, types, name: nimbus.killTopologyWithOpts(name, None),
        lambda nimbus, types, name: nimbus.activate(name),
        lambda nimbus, types, name: nimbus.deactivate(name),
    ],
    ids=[
        "killTopology",
        "killTopologyWithOpts",
        "killTopologyWithOpts-null",
        "activate",
        "deactivate",
    ],
)
def test_orders_to_an_unknown_name(nimbus, types, call):
    """C 3.1: NotAlive `<name> is not alive`."""
    with rules.refused(types.NotAliveException, "nobody is not alive"):
        call(nimbus, types, "nobody")


@pytest.mark.parametrize("method", ["killTopology", "activate", "deactivate"])
def test_orders_to_a_null_name(nimbus, method):
    """C 3.1: a null name is INTERNAL_ERROR."""
    with rules.internal(method):
        getattr(nimbus, method)(None)


def test_is_topology_name_allowed(standing, nimbus):
    """C 3.3: false if the name breaks the rule, is null or in use, else true."""
    assert nimbus.isTopologyNameAllowed(rules.fresh_name()) is True
    for name in [standing.name, "a/b", "a.b", "a:b", "", None]:
        assert nimbus.isTopologyNameAllowed(name) is False


def test_unknown_conf_keys_are_kept(submitted, nimbus):
    """C 2.2: keys that Storm does not know, null values among them, are accepted and kept."""
    conf = {"sudo_user": None, "storm.workers.list": ["a"], "own": {"x": [1, None, "ä"]}}
    stored = json.loads(nimbus.getTopologyConf(submitted(conf=conf).id))
    assert {key: stored[key] for key in conf} == conf
