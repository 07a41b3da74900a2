"""A first topology from Python, with nothing but a Thrift client.

pip install thriftpy2
stormwire dev                              # in another terminal
python interop-tests/first_topology.py     # or with another HOST:PORT than 127.0.0.1:6627
"""

import glob
import io
import json
import pathlib
import sys
import tempfile
import time
import zipfile

import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.transport import TFramedTransportFactory

# A bolt in Python: takes a sentence, emits its words. multilang.py is the protocol, in a page.
SPLIT = """
import multilang

def process(message):
    for word in message["tuple"][0].split():
        multilang.emit([word], anchors=[message["id"]])

multilang.run_bolt(process)
"""

project = pathlib.Path(__file__).resolve().parent.parent
host, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6627").rsplit(":", 1)
storm = thriftpy2.load(str(project / "thrift/storm.thrift"), "storm_thrift")
nimbus = make_client(
    storm.Nimbus,
    host,
    int(port),
    timeout=20_000,
    proto_factory=TBinaryProtocolFactory(),
    trans_factory=TFramedTransportFactory(),
)

# The jar: a zip whose resources/ folder becomes the working directory of the bolt.
jar = io.BytesIO()
with zipfile.ZipFile(jar, "w") as archive:
    archive.writestr("resources/split.py", SPLIT)
    archive.write(project / "examples/words/multilang.py", "resources/multilang.py")
location = nimbus.beginFileUpload()
nimbus.uploadChunk(location, jar.getvalue())
nimbus.finishFileUpload(location)


def common(inputs, *fields):
    streams = {"default": storm.StreamInfo(output_fields=list(fields), direct=False)}
    subscribed = {storm.GlobalStreamId(id, "default"): grouping for id, grouping in inputs.items()}
    return storm.ComponentCommon(inputs=subscribed, streams=streams, parallelism_hint=2)


def built_in(name, *texts):
    arguments = [storm.JavaObjectArg(string_arg=text) for text in texts]
    return storm.ComponentObject(java_object=storm.JavaObject(name, arguments))


totals = tempfile.mkdtemp() + "/totals"
python = storm.ComponentObject(shell=storm.ShellComponent("python3", "split.py"))
shuffle, by_word = storm.Grouping(shuffle=storm.NullStruct()), storm.Grouping(fields=["word"])
topology = storm.StormTopology(
    spouts={
        "sentences": storm.SpoutSpec(
            built_in("stormwire.RandomSentenceSpout"), common({}, "sentence")
        )
    },
    bolts={
        "split": storm.Bolt(python, common({"sentences": shuffle}, "word")),
        "count": storm.Bolt(
            built_in("stormwire.Count", totals), common({"split": by_word}, "word", "count")
        ),
    },
    state_spouts={},
)
nimbus.submitTopology("first", location, json.dumps({"topology.max.spout.pending": 100}), topology)
print("submitted; counting for five seconds once it runs")
while not glob.glob(f"{totals}.*[0-9]"):
    time.sleep(0.1)
time.sleep(5)
nimbus.killTopologyWithOpts("first", storm.KillOptions(wait_secs=1))
counts = [json.load(open(file))["counts"].items() for file in glob.glob(f"{totals}.*[0-9]")]
for word, count in sorted(sum(map(list, counts), []), key=lambda each: -each[1])[:10]:
    print(f"{count:8} {word}")
