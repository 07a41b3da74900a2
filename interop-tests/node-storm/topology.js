// A topology as users of node-storm write it: its spout emits lines of a file, reliably, its bolts split
// and count them; and a function. Which of both is asked for, and where, is in the command line.
//
//     node topology.js words HOST:PORT NAME TEXT TOTALS
//     node topology.js function HOST:PORT NAME FUNCTION
//     node topology.js kill HOST:PORT NAME
//     node topology.js call HOST:PORT FUNCTION ARGUMENT
//
// A worker starts the same program without a command line: node-storm then finds the component.
const fs = require("fs");
const storm = require("node-storm");
const Nimbus = require("node-storm/lib/nimbus");
const { KillOptions } = require("node-storm/lib/gen-nodejs/storm_types");

const [verb, address, name, ...rest] = process.argv.slice(2);

const conf = (collector, key) => collector.context().config(key);

let lines = null;
let sent = 0;
const spout = storm
    .spout(function (sync) {
        lines = lines || fs.readFileSync(conf(this, "words.file"), "utf8").split("\n");
        if (sent < lines.length) {
            this.emit([lines[sent]], { id: String(sent) });
            sent += 1;
        }
        sync();
    })
    // Storm awaits a sync after every command; node-storm leaves these two to its user.
    .on("ack", function () {
        this.collector.sync();
    })
    .on("fail", () => process.exit(1))
    .declareOutputFields(["line"]);

const split = storm
    .basicbolt(function (data) {
        for (const word of data.tuple[0].split(/\s+/).filter(Boolean)) {
            this.emit([word]);
        }
    })
    .declareOutputFields(["word"]);

const counts = {};
const count = storm
    .basicbolt(function (data) {
        const [word] = data.tuple;
        counts[word] = (counts[word] || 0) + 1;
        fs.writeFileSync(`${conf(this, "words.totals")}.${process.pid}`, JSON.stringify(counts));
    })
    .declareOutputFields([]);

const exclaim = storm
    .basicbolt(function (data) {
        this.emit([`${data.tuple[0]}!!!`, data.tuple[1]]);
    })
    .declareOutputFields(["result", "return-info"]);

function topology() {
    const builder = storm.topologybuilder();
    builder.setSpout("lines", spout);
    builder.setBolt("split", split, 2).shuffleGrouping("lines");
    builder.setBolt("count", count).fieldsGrouping("split", ["word"]);
    // Only the function's topology has a function's name; every component must be known in a worker.
    if (verb !== "words") {
        builder.setSpout("requests", storm.drpc.spout(rest[0] || ""));
        builder.setBolt("exclaim", exclaim).shuffleGrouping("requests");
        builder.setBolt("return", storm.drpc.returnresults()).shuffleGrouping("exclaim");
    }
    const built = builder.createTopology();
    if (verb === "function") {
        delete built.spouts.lines;
        delete built.bolts.split;
        delete built.bolts.count;
    }
    return built;
}

// Its spouts do not know activate and deactivate, which came later.
const config = {
    "topology.workers": 1,
    "stormwire.shell.suppress.lifecycle": true,
    "words.file": rest[0],
    "words.totals": rest[1],
};

const done = {
    // Its killTopology and submit do not hand back what Nimbus answered; this does.
    kill: () => Nimbus(address).killTopologyWithOpts(name, new KillOptions({ wait_secs: 1 })),
    call: () => storm.drpc.client(address).execute(name, rest[0]),
};

(done[verb] ? done[verb]() : storm.submit(topology(), { name, nimbus: address, config }))
    .then((result) => verb && console.log(result === undefined ? "done" : result))
    .catch((error) => {
        console.error(`${(error && error.name) || error}: ${error && error.msg}`);
        process.exit(3);
    });
