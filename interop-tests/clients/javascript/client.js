// Submits, lists and kills topologies and calls functions, with Apache's Thrift library for Node.js.
//
//     thrift --gen js:node -out gen storm.thrift    # the stock compiler, 0.17 or later
//     npm install thrift@0.17.0                     # the compiler's version
//     NODE_PATH=gen:node_modules node client.js submit 127.0.0.1 6627 words words.jar \
//         book.txt /tmp/totals
//     NODE_PATH=gen:node_modules node client.js list 127.0.0.1 6627
//     NODE_PATH=gen:node_modules node client.js kill 127.0.0.1 6627 words
//     NODE_PATH=gen:node_modules node client.js drpc 127.0.0.1 3772 FUNCTION ARGUMENT
//
// The jar is any zip file: components in other languages run in its folder resources/.
//
// Whole numbers of 64 bits arrive as objects of the package node-int64: Number(value) is exact up to
// 2^53. Calls return promises, and one that never gets an answer stays pending: see connect().
"use strict";

const fs = require("fs");
const thrift = require("thrift");
const DistributedRPC = require("DistributedRPC");
const Nimbus = require("Nimbus");
const storm = require("storm_types");

const { Type } = thrift.Thrift;
const CHUNK_BYTES = 307_200; // what Storm's own clients send at once
const CALL_MS = 30_000;

// The inputs of a component are a map whose keys are structs. Keys of an object are texts, so the
// compiler's code cannot write them. Here a key is the JSON of component and stream, and this writes
// the struct. (A class of our own would not do: the library copies what it sends, as its own classes.)
const input = (id, stream = "default") => JSON.stringify([id, stream]);

storm.ComponentCommon.prototype.write = function (output) {
    output.writeStructBegin("ComponentCommon");
    output.writeFieldBegin("inputs", Type.MAP, 1);
    output.writeMapBegin(Type.STRUCT, Type.STRUCT, Object.keys(this.inputs).length);
    for (const [key, grouping] of Object.entries(this.inputs)) {
        const [componentId, streamId] = JSON.parse(key);
        new storm.GlobalStreamId({ componentId, streamId }).write(output);
        grouping.write(output);
    }
    output.writeMapEnd();
    output.writeFieldEnd();
    output.writeFieldBegin("streams", Type.MAP, 2);
    output.writeMapBegin(Type.STRING, Type.STRUCT, Object.keys(this.streams).length);
    for (const [id, stream] of Object.entries(this.streams)) {
        output.writeString(id);
        stream.write(output);
    }
    output.writeMapEnd();
    output.writeFieldEnd();
    output.writeFieldBegin("parallelism_hint", Type.I32, 3);
    output.writeI32(this.parallelism_hint);
    output.writeFieldEnd();
    output.writeFieldStop();
    output.writeStructEnd();
};

// Calls `use` with a client of Nimbus or DistributedRPC, which speak the binary protocol in frames.
// When the connection breaks, or says nothing for too long, the promise is rejected: the library
// would leave the call's own promise pending.
async function connect(service, host, port, use) {
    const connection = thrift.createConnection(host, Number(port), {
        transport: thrift.TFramedTransport,
        protocol: thrift.TBinaryProtocol,
        timeout: CALL_MS,
    });
    const broken = new Promise((_, reject) => {
        connection.on("error", reject);
        connection.on("close", () => reject(new Error(`${host}:${port} closed the connection`)));
        connection.on("timeout", () => reject(new Error(`${host}:${port} does not answer`)));
    });
    try {
        await Promise.race([broken, use(thrift.createClient(service, connection))]);
    } finally {
        connection.end();
    }
}

// Sends a file chunk by chunk; returns where Nimbus keeps it.
async function upload(nimbus, jar) {
    const location = await nimbus.beginFileUpload();
    for await (const chunk of fs.createReadStream(jar, { highWaterMark: CHUNK_BYTES })) {
        await nimbus.uploadChunk(location, chunk);
    }
    await nimbus.finishFileUpload(location);
    console.log(`uploaded ${fs.statSync(jar).size} bytes to ${location}`);
    return location;
}

// A component that runs in a process of its own: python3 and a script of the jar's resources/.
function python(script) {
    const shell = new storm.ShellComponent({ execution_command: "python3", script });
    return new storm.ComponentObject({ shell });
}

// A component of the server, by its class name, with arguments for its constructor.
function builtIn(name, ...texts) {
    const args_list = texts.map((text) => new storm.JavaObjectArg({ string_arg: text }));
    const java_object = new storm.JavaObject({ full_class_name: name, args_list });
    return new storm.ComponentObject({ java_object });
}

const stream = (...fields) => new storm.StreamInfo({ output_fields: fields, direct: false });

// What a component reads and how that is grouped, and the streams that it emits.
function common(inputs, streams, parallelism_hint = 1) {
    return new storm.ComponentCommon({ inputs, streams, parallelism_hint });
}

// lines.py -> split.py, two of them -> a counter, which writes files that begin with `totals`.
function wordCount(totals) {
    const shuffle = new storm.Grouping({ shuffle: new storm.NullStruct() });
    const byWord = new storm.Grouping({ fields: ["word"] });
    // A spout may have further streams; lines.py reports on one of its own when all is done.
    const lines = new storm.SpoutSpec({
        spout_object: python("lines.py"),
        common: common({}, { default: stream("number", "line"), done: stream("lines", "replays") }),
    });
    const words = { default: stream("word", "number", "position") };
    const split = new storm.Bolt({
        bolt_object: python("split.py"),
        common: common({ [input("lines")]: shuffle }, words, 2),
    });
    const count = new storm.Bolt({
        bolt_object: builtIn("stormwire.CountOnce", totals),
        common: common({ [input("split")]: byWord }, { default: stream("word", "count") }),
    });
    return new storm.StormTopology({ spouts: { lines }, bolts: { split, count }, state_spouts: {} });
}

const verbs = {
    submit: (host, port, name, jar, text, totals) =>
        connect(Nimbus, host, port, async (nimbus) => {
            const location = await upload(nimbus, jar);
            const conf = JSON.stringify({ "topology.workers": 1, "words.file": text });
            await nimbus.submitTopology(name, location, conf, wordCount(totals));
            console.log(`submitted ${name}`);
        }),
    list: (host, port) =>
        connect(Nimbus, host, port, async (nimbus) => {
            const { nimbuses, supervisors } = await nimbus.getClusterInfo();
            console.log(`storm ${nimbuses[0].version}, ${supervisors.length} supervisors`);
            for (const { name, status, id } of await nimbus.getTopologySummaries()) {
                console.log(`${name}\t${status}\t${id}`);
            }
        }),
    kill: (host, port, name) =>
        connect(Nimbus, host, port, async (nimbus) => {
            await nimbus.killTopologyWithOpts(name, new storm.KillOptions({ wait_secs: 1 }));
            console.log(`killed ${name}`);
        }),
    drpc: (host, port, name, argument) =>
        connect(DistributedRPC, host, port, async (drpc) => {
            console.log(await drpc.execute(name, argument));
        }),
};

const [verb, ...rest] = process.argv.slice(2);
if (verbs[verb]?.length !== rest.length) {
    console.error(`usage: see the head of ${__filename}`);
    process.exit(2);
}
verbs[verb](...rest).catch((error) => {
    // Storm's own exceptions, such as NotAliveException, carry their reason in msg.
    console.error(error.msg === undefined ? error : `${error.name}: ${error.msg}`);
    process.exit(error.msg === undefined ? 1 : 3);
});
