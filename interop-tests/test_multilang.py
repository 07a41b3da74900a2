"""Shell components over the adapters that Storm ships for Python, Ruby and JavaScript, and over pystorm, on a real
cluster: the starters' topologies with exact counts, direct emits, metrics, lifecycles, and what a dying child
leaves behind.

`run` takes the adapters out of Storm's public artefacts (peers/multilang.sh); the components are ours.
"""

import collections
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import thriftpy2.rpc

import peers
import web
from cluster import PROGRAM, eventually, messages
from table import note
from topologies import COMPONENTS, Builder, component_files, lines_of, running

ADAPTERS = Path(__file__).resolve().parent / ".env/multilang"
STARTERS = COMPONENTS / "starters"
COMMANDS = {"py": "python3", "rb": "ruby", "js": "node"}
NAMES = {"py": "storm.py", "rb": "storm.rb", "js": "storm.js"}
SUPPRESS = "stormwire.shell.suppress.lifecycle"
MESSAGE_PACK = "com.yelp.pyleus.serializer.MessagePackSerializer"

SENTENCES = ["the cow jumped over the moon", "an apple a day", "snow and the seven", "two with nature"]


@pytest.fixture
def peer():
    return peers.ThriftPy2()


def adapters_version():
    return (ADAPTERS / "version").read_text().strip()


def files():
    """Every starter and every adapter, as one jar of Storm's starters has them."""
    adapters = {name: ADAPTERS / name for name in NAMES.values()}
    return {**adapters, **{path.name: path for path in STARTERS.iterdir() if path.is_file()}}


def starter(builder, name, language):
    return builder.shell(COMMANDS[language], f"{name}.{language}")


def direct(builder, topology_part, fields):
    """Makes the default stream of a bolt a direct one."""
    streams = builder.topology.bolts[topology_part].common.streams
    streams["default"] = builder.types.StreamInfo(output_fields=list(fields), direct=True)
    return builder.types.Grouping(direct=builder.types.NullStruct())


def sink(builder, out):
    return builder.native("stormwire.FileSink", str(out))


@pytest.mark.parametrize("language", COMMANDS)
def test_the_starters_word_count(peer, nimbus, tmp_path, language):
    """Spout, splitter and counter in one language: each word is counted exactly, each sentence acked at its spout."""
    total = 200
    out, done = tmp_path / "out", tmp_path / "done"
    builder = Builder(peer.types)
    # The adapter for JavaScript never answers the commands of a spout that does not know them.
    conf = {SUPPRESS: True} if language == "js" else {}
    builder.spout(
        "sentences",
        starter(builder, "sentences", language),
        {"default": ["sentence"], "done": ["acked"]},
        conf=conf,
    )
    builder.bolt(
        "split",
        starter(builder, "split", language),
        {"sentences": builder.shuffle()},
        {"default": ["word"]},
        parallelism=2,
    )
    builder.bolt(
        "count",
        starter(builder, "count", language),
        {"split": builder.fields("word")},
        {"default": ["word", "count"]},
        parallelism=2,
    )
    builder.bolt("sink", sink(builder, out), {"count": builder.shuffle()})
    builder.bolt("done", sink(builder, done), {"sentences:done": builder.shuffle()})
    name = f"starter-{language}"
    with running(peer, nimbus, name, builder, files(), {"starter.sentences": total}) as id:
        eventually("all sentences are acked", lambda: lines_of(done) == [str(total)], seconds=60)
        found = collections.Counter()
        for line in lines_of(out):
            word, count = line.split("\t")
            found[word] = max(found[word], int(count))
        expected = collections.Counter()
        for number in range(total):
            expected.update(SENTENCES[number % len(SENTENCES)].split())
        assert found == expected
        assert len(lines_of(out)) == sum(expected.values())
        errors = nimbus.getTopologyInfo(id).errors
        assert not any(errors.values()), errors
    note(NAMES[language], adapters_version(), "word count", "reliable spout")


def test_exclamation_in_three_languages(peer, nimbus, tmp_path):
    out = tmp_path / "out"
    builder = Builder(peer.types)
    words = builder.native("org.apache.storm.testing.TestWordSpout")
    builder.spout("words", words, {"default": ["word"]})
    before = "words"
    for language in COMMANDS:
        builder.bolt(
            language,
            starter(builder, "exclaim", language),
            {before: builder.shuffle()},
            {"default": ["word"]},
            parallelism=2,
        )
        before = language
    builder.bolt("sink", sink(builder, out), {before: builder.shuffle()})
    with running(peer, nimbus, "exclamation", builder, files()):
        eventually("words arrive", lambda: len(lines_of(out)) >= 50)
        known = {"nathan", "mike", "jackson", "golda", "bertels"}
        assert {line for line in lines_of(out)} <= {word + "!" * 9 for word in known}
    for language in COMMANDS:
        note(NAMES[language], adapters_version(), "exclamation")


@pytest.mark.parametrize("language", COMMANDS)
def test_direct_emits_reach_their_task_alone(peer, nimbus, tmp_path, language):
    """Storm since 2.6 dies of them: `task` is a whole number."""
    out = tmp_path / "out"
    builder = Builder(peer.types)
    words = builder.native("org.apache.storm.testing.TestWordSpout")
    builder.spout("words", words, {"default": ["word"]})
    deal = starter(builder, "deal", language)
    builder.bolt("deal", deal, {"words": builder.shuffle()}, {"default": ["task", "word"]})
    grouping = direct(builder, "deal", ["task", "word"])
    builder.bolt("sink", sink(builder, out), {"deal": grouping}, parallelism=3)
    with running(peer, nimbus, f"deal-{language}", builder, files(), {"topology.workers": 2}) as id:
        eventually("tuples arrive", lambda: len(lines_of(out)) >= 60)
        assert not nimbus.getTopologyInfo(id).errors.get("deal")

        def dealt():
            found = {
                int(path.suffix[1:]): [
                    int(line.split("\t")[0]) for line in path.read_text().splitlines()
                ]
                for path in tmp_path.glob("out.*")
            }
            assert len(found) == 3
            for task, named in found.items():
                assert set(named) == {task}
            return [len(named) for named in found.values()]

        # In turn: no task is ahead of another by more than what is under way.
        in_turn = lambda lengths: max(lengths) - min(lengths) <= max(5, max(lengths) // 5)
        eventually("in turn", lambda: in_turn(dealt()))
    note(NAMES[language], adapters_version(), "direct emit")


def read_metrics(cluster, topology, component):
    """{(task, name): value} by our own call on Nimbus's port."""
    client = thriftpy2.rpc.make_client(
        messages.MetricReader,
        *cluster.nimbus,
        proto_factory=peers.TBinaryProtocolFactory(),
        trans_factory=peers.TFramedTransportFactory(),
        timeout=20_000,
    )
    try:
        found = client.getTaskMetrics(topology, component)
        return {(metric.task, metric.name): metric.value for metric in found}
    finally:
        client.close()


def test_metrics_need_no_registration(cluster, peer, nimbus, tmp_path):
    out = tmp_path / "out"
    builder = Builder(peer.types)
    words = builder.native("org.apache.storm.testing.TestWordSpout")
    builder.spout("words", words, {"default": ["word"]})
    measured = starter(builder, "measured", "py")
    builder.bolt("measured", measured, {"words": builder.shuffle()}, {"default": ["n"]}, parallelism=2)
    builder.bolt("sink", sink(builder, out), {"measured": builder.shuffle()})
    with running(peer, nimbus, "measured", builder, files()) as id:

        def reported():
            values = read_metrics(cluster, "measured", "measured")
            by_name = collections.defaultdict(list)
            for (_, name), value in values.items():
                by_name[name].append(value)
            assert sorted(by_name) == ["by.first", "by.second", "depth", "seen"], by_name
            assert all(len(values) == 2 for values in by_name.values())
            assert min(by_name["seen"]) > 3
            assert by_name["by.first"] == [1, 1]
            # Reported one after another: they differ by a tuple at most.
            for seen, second, depth in zip(by_name["seen"], by_name["by.second"], by_name["depth"]):
                assert seen - 1 <= second <= seen and depth in (seen / 2, (seen - 1) / 2)
            return True

        eventually("metrics are at Nimbus", reported)
        assert read_metrics(cluster, "measured", "sink") == {}
        page = web.get(cluster.addresses["ui"], f"topology/{id}/component/measured")
        rows = [(each["name"], each["task"]) for each in page["stormwire"]["taskMetrics"]]
        assert rows == sorted(rows) and len(rows) == 8, rows
        # A metric that is no number is an error, and the child goes on.
        texts = [each.error for each in nimbus.getTopologyInfo(id).errors["measured"]]
        assert texts and all("metric mood: fine is neither" in text for text in texts), texts
        address = "%s:%d" % cluster.nimbus
        shown = subprocess.run(
            [PROGRAM, "info", "measured", "--nimbus", address], capture_output=True, text=True
        )
        assert "METRIC" in shown.stdout and "by.second" in shown.stdout, shown.stdout + shown.stderr
    note("storm.py", adapters_version(), "metrics")


@pytest.mark.parametrize("serializer", ["json", "msgpack"])
def test_pystorm(cluster, peer, nimbus, tmp_path, serializer):
    out = tmp_path / "out"
    builder = Builder(peer.types)
    words = builder.native("org.apache.storm.testing.TestWordSpout")
    builder.spout("words", words, {"default": ["word"]})
    shout = builder.shell(sys.executable, "shout.py")
    builder.bolt("shout", shout, {"words": builder.shuffle()}, {"default": ["word", "seen"]})
    builder.bolt("sink", sink(builder, out), {"shout": builder.shuffle()})
    conf = {"topology.environment": {"SHOUT_SERIALIZER": serializer}}
    if serializer == "msgpack":
        conf["topology.multilang.serializer"] = MESSAGE_PACK
    name = f"pystorm-{serializer}"
    with running(peer, nimbus, name, builder, files(), conf) as id:
        eventually("words arrive", lambda: len(lines_of(out)) >= 30)
        words = {"NATHAN", "MIKE", "JACKSON", "GOLDA", "BERTELS"}
        lines = [line.split("\t") for line in lines_of(out)]
        assert {word for word, _ in lines} <= words
        assert [int(n_seen) for _, n_seen in lines] == list(range(1, len(lines) + 1))

        def reported():
            values = {name: value for (_, name), value in read_metrics(cluster, name, "shout").items()}
            assert values.get("seen", 0) > 1 and 4 <= values["last.length"] <= 7, values
            return True

        eventually("metrics are at Nimbus", reported)
        assert not nimbus.getTopologyInfo(id).errors.get("shout")
    note("pystorm", version("pystorm"), f"bolt over {serializer}", "report_metric")


def test_what_a_dying_child_leaves_is_told_everywhere(cluster, peer, nimbus):
    """Exit status and last words: in the summaries, on the component's page, in the worker's log."""
    builder = Builder(peer.types)
    builder.spout("pulse", builder.python("pulse.py"), {"default": ["sequence"]})
    builder.bolt("sore", builder.python("moody.py"), {"pulse": builder.shuffle()})
    scripts = component_files("pulse.py", "moody.py")
    with running(peer, nimbus, "last-words", builder, scripts, {"moody.do": "die"}) as id:
        told = ["exit status 37", "the disk is on fire", "giving up"]

        def is_told(errors):
            return any(all(part in each.error for part in told) for each in errors)

        def everywhere():
            assert is_told(nimbus.getTopologyInfo(id).errors.get("sore", []))
            page = nimbus.getComponentPageInfo(id, "sore", ":all-time", False)
            assert is_told(page.errors), page
            summaries = nimbus.getTopologyPageInfo(id, ":all-time", False).id_to_bolt_agg_stats
            assert is_told([summaries["sore"].last_error])
            return True

        eventually("it is told", everywhere)
        log = cluster.worker_log(id)
        assert all(part in log for part in told), log


def test_the_switch_of_lifecycles_is_of_a_component_or_of_all(peer, nimbus, tmp_path):
    """A spout that would never answer `activate` emits at once where it is not told, and so after each start."""
    for name, conf, own in [("all", {SUPPRESS: True}, {}), ("one", {}, {SUPPRESS: True})]:
        out = tmp_path / name
        builder = Builder(peer.types)
        spout = starter(builder, "sentences", "js")
        streams = {"default": ["sentence"], "done": ["acked"]}
        builder.spout("sentences", spout, streams, conf=own)
        builder.bolt("sink", sink(builder, out), {"sentences": builder.shuffle()})
        conf = {"starter.sentences": 1_000_000, "topology.max.spout.pending": 50, **conf}
        with running(peer, nimbus, f"switch-{name}", builder, files(), conf) as id:
            eventually("sentences arrive", lambda: len(lines_of(out)) >= 100)
            nimbus.deactivate(f"switch-{name}")
            nimbus.activate(f"switch-{name}")
            n_lines = len(lines_of(out))
            eventually("more arrive", lambda: len(lines_of(out)) >= n_lines + 100)
            assert not nimbus.getTopologyInfo(id).errors.get("sentences")
