"""Counts words on a cluster, with nothing but a Thrift client: pip install thriftpy2."""

import glob, io, json, pathlib, sys, tempfile, time, zipfile

import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.transport import TFramedTransportFactory

project = pathlib.Path(__file__).resolve().parent.parent
storm = thriftpy2.load(str(project / "thrift/storm.thrift"), "storm_thrift")
host, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6627").rsplit(":", 1)
nimbus = make_client(storm.Nimbus, host, int(port), proto_factory=TBinaryProtocolFactory(),
                     trans_factory=TFramedTransportFactory(), timeout=20_000)

# A bolt in Python: takes a sentence, emits its words. multilang.py is the protocol, in a page.
SPLIT = """
import multilang

def process(message):
    for word in message["tuple"][0].split():
        multilang.emit([word], anchors=[message["id"]])

multilang.run_bolt(process)
"""

# The jar is a zip: what lies below resources/ is where the bolt runs.
jar = io.BytesIO()
with zipfile.ZipFile(jar, "w") as archive:
    archive.writestr("resources/split.py", SPLIT)
    archive.write(project / "examples/words/multilang.py", "resources/multilang.py")
location = nimbus.beginFileUpload()
nimbus.uploadChunk(location, jar.getvalue())
nimbus.finishFileUpload(location)


def built_in(name, *texts):
    arguments = [storm.JavaObjectArg(string_arg=text) for text in texts]
    return storm.ComponentObject(java_object=storm.JavaObject(name, arguments))


def common(inputs, *fields):
    inputs = {storm.GlobalStreamId(source, "default"): how for source, how in inputs.items()}
    return storm.ComponentCommon(inputs, {"default": storm.StreamInfo(list(fields), False)}, 2)


# Two executors of each: random sentences -> words -> counts, which the counters write to files.
totals = tempfile.mkdtemp() + "/totals"
python = storm.ComponentObject(shell=storm.ShellComponent("python3", "split.py"))
sentences = storm.SpoutSpec(built_in("stormwire.RandomSentenceSpout"), common({}, "sentence"))
shuffle, by_word = storm.Grouping(shuffle=storm.NullStruct()), storm.Grouping(fields=["word"])
split = storm.Bolt(python, common({"sentences": shuffle}, "word"))
count = storm.Bolt(built_in("stormwire.Count", totals), common({"split": by_word}, "word", "count"))
topology = storm.StormTopology({"sentences": sentences}, {"split": split, "count": count}, {})
nimbus.submitTopology("first", location, json.dumps({"topology.max.spout.pending": 100}), topology)

while not glob.glob(totals + ".*[0-9]"):
    time.sleep(0.1)
print("it runs: counting for five seconds")
time.sleep(5)
nimbus.killTopologyWithOpts("first", storm.KillOptions(wait_secs=1))
counts = {}
for file in glob.glob(totals + ".*[0-9]"):
    counts.update(json.load(open(file))["counts"])
for word, n in sorted(counts.items(), key=lambda each: -each[1])[:10]:
    print(f"{n:8} {word}")
