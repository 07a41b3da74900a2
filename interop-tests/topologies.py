"""Topologies for the tests, built from a peer's types; and the calls that every submitter makes.

Python components are the ones of examples/words and of components/ here.
"""

import io
import json
import os
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

from cluster import ROOT, eventually

COMPONENTS = Path(__file__).resolve().parent / "components"
WORDS = ROOT / "examples/words"
CHUNK_BYTES = 307_200


class Builder:
    """Makes a StormTopology of one peer's types."""

    def __init__(self, types):
        self.types = types
        self.topology = types.StormTopology(spouts={}, bolts={}, state_spouts={})

    def spout(self, id, component, streams, parallelism=1, conf=None):
        common = self._common({}, streams, parallelism, conf)
        self.topology.spouts[id] = self.types.SpoutSpec(spout_object=component, common=common)
        return self

    def bolt(self, id, component, inputs, streams=None, parallelism=1, conf=None):
        common = self._common(inputs, streams or {}, parallelism, conf)
        self.topology.bolts[id] = self.types.Bolt(bolt_object=component, common=common)
        return self

    def _common(self, inputs, streams, parallelism, conf):
        types = self.types
        subscribed = {}
        for source, grouping in inputs.items():
            component, _, stream = source.partition(":")
            subscribed[
                types.GlobalStreamId(componentId=component, streamId=stream or "default")
            ] = grouping
        declared = {
            id: types.StreamInfo(output_fields=list(fields), direct=False)
            for id, fields in streams.items()
        }
        return types.ComponentCommon(
            inputs=subscribed,
            streams=declared,
            parallelism_hint=parallelism,
            json_conf=conf if isinstance(conf, str) else json.dumps(conf or {}),
        )

    # ---- Components and groupings --------------------------------------------------------------

    def shell(self, command, script):
        types = self.types
        return types.ComponentObject(
            shell=types.ShellComponent(execution_command=command, script=script)
        )

    def python(self, script):
        return self.shell("python3", script)

    def native(self, name, *arguments):
        types = self.types
        made = types.JavaObject(
            full_class_name=name, args_list=[self._argument(each) for each in arguments]
        )
        return types.ComponentObject(java_object=made)

    def _argument(self, value):
        kinds = {
            bool: "bool_arg",
            int: "long_arg",
            str: "string_arg",
            bytes: "binary_arg",
            float: "double_arg",
        }
        return self.types.JavaObjectArg(**{kinds[type(value)]: value})

    def shuffle(self):
        return self.types.Grouping(shuffle=self.types.NullStruct())

    def fields(self, *names):
        return self.types.Grouping(fields=list(names))


def jar(files, padding_bytes=0):
    """A zip with these files, by name (text, bytes or a path), below resources/."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(
                f"resources/{name}", content.read_bytes() if isinstance(content, Path) else content
            )
        if padding_bytes:
            archive.writestr("resources/padding", os.urandom(padding_bytes))
    return packed.getvalue()


def upload(nimbus, content):
    """Sends a jar as every client does; returns its location."""
    location = nimbus.beginFileUpload()
    for start in range(0, len(content), CHUNK_BYTES):
        nimbus.uploadChunk(location, content[start : start + CHUNK_BYTES])
    nimbus.finishFileUpload(location)
    return location


@contextmanager
def running(peer, nimbus, name, builder, files, conf=None, status="ACTIVE"):
    """A topology that runs, as its id. It is killed at the end, and then gone from Nimbus."""
    location = upload(nimbus, jar(files))
    status = getattr(peer.types.TopologyInitialStatus, status)
    options = peer.types.SubmitOptions(initial_status=status)
    nimbus.submitTopologyWithOpts(name, location, json.dumps(conf or {}), builder.topology, options)
    try:
        yield nimbus.getTopologySummaryByName(name).id
    finally:
        kill(peer, nimbus, name)


def kill(peer, nimbus, name, wait_secs=0):
    """Kills a topology that may be gone already, and waits until its name is free."""
    try:
        nimbus.killTopologyWithOpts(name, peer.types.KillOptions(wait_secs=wait_secs))
    except peer.types.NotAliveException:
        return
    eventually(f"{name} is gone", lambda: nimbus.isTopologyNameAllowed(name))


# ---- The word count ------------------------------------------------------------------------------


def words(builder, totals, done):
    """Python spout and splitter, native counter that writes its totals to files `totals.<task>`.

    When every line is acked, (lines, replays) goes to `done.<task>`.
    """
    return (
        builder.spout(
            "lines",
            builder.python("lines.py"),
            {"default": ["number", "line"], "done": ["lines", "replays"]},
        )
        .bolt(
            "split",
            builder.python("split.py"),
            {"lines": builder.shuffle()},
            {"default": ["word", "number", "position"]},
            parallelism=2,
        )
        .bolt(
            "count",
            builder.native("stormwire.CountOnce", str(totals)),
            {"split": builder.fields("word")},
            {"default": ["word", "count"]},
            parallelism=2,
        )
        .bolt(
            "done",
            builder.native("stormwire.FileSink", str(done)),
            {"lines:done": builder.shuffle()},
        )
    )


def words_files():
    return {path.name: path for path in WORDS.glob("*.py")}


def counters(totals):
    """The files of the counter's tasks, without those that are being written."""
    paths = totals.parent.glob(f"{totals.name}.[0-9]*")
    return [path for path in paths if path.suffix[1:].isdigit()]


def counts(totals):
    """What the counter's tasks have written: (words counted, how often each word)."""
    n_words, by_word = 0, {}
    for path in counters(totals):
        task = json.loads(path.read_text())
        n_words += task["words"]
        for word, count in task["counts"].items():
            by_word[word] = by_word.get(word, 0) + count
    return n_words, by_word


def lines_of(path_prefix):
    """Lines in the files that a sink's tasks wrote, as (task's file, text)."""
    found = []
    for path in sorted(path_prefix.parent.glob(f"{path_prefix.name}.[0-9]*")):
        found += path.read_text().splitlines()
    return found


def arrive(out, count=10, seconds=30.0):
    """Waits until so many lines more than now stand in a sink's files."""
    n_lines = len(lines_of(out))
    eventually(
        f"{count} tuples arrive", lambda: len(lines_of(out)) >= n_lines + count, seconds=seconds
    )


def rests(out):
    """How many lines there are, if no more came for half a second; else None."""
    n_lines = len(lines_of(out))
    time.sleep(0.5)
    return n_lines if len(lines_of(out)) == n_lines else None


# ---- A pulse that never ends ---------------------------------------------------------------------


def pulse(builder, out):
    """A Python spout that counts for ever; what arrives stands in the files `out.<task>`."""
    return builder.spout("pulse", builder.python("pulse.py"), {"default": ["sequence"]}).bolt(
        "sink", builder.native("stormwire.FileSink", str(out)), {"pulse": builder.shuffle()}
    )


def pulse_files():
    return component_files("pulse.py")


def component_files(*names):
    """Scripts of components/, and the protocol that they import."""
    return {"multilang.py": WORDS / "multilang.py", **{name: COMPONENTS / name for name in names}}
