// The bolt's peer of words_bolt.py in another language, with the client that the stock compiler makes
// for Node.js, and in the plain form: one struct a tuple.
//
//     node words_bolt.js NIMBUS TOPOLOGY COMPONENT FILE
//
// NODE_PATH names the folders of the `thrift` package and of the generated client.
"use strict";

const fs = require("fs");
const zlib = require("zlib");
const thrift = require("thrift");
const messages = require("messages_types");
const Finder = require("GatewayFinder");
const Gateway = require("Gateway");

const [nimbus, topology, component, path] = process.argv.slice(2);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// A client of a service, and what ends its connection; rejects when it breaks before it is there.
function connect(service, host, port) {
    return new Promise((resolve, reject) => {
        const connection = thrift.createConnection(host, port, {
            transport: thrift.TFramedTransport,
            protocol: thrift.TBinaryProtocol,
        });
        connection.on("error", reject);
        connection.on("connect", () =>
            resolve({ client: thrift.createClient(service, connection), connection }));
    });
}

// A delivery as it was before the worker packed it, if it did.
function unpack(delivery) {
    if (!delivery.packed) {
        return delivery;
    }
    const plain = zlib.inflateSync(delivery.packed.body);
    let delivered;
    thrift.TBufferedTransport.receiver((transport) => {
        delivered = new messages.GatewayDelivered();
        delivered.read(new thrift.TBinaryProtocol(transport));
    })(plain);
    return { tuples: delivered.tuples || [], runs: delivered.runs || [] };
}

async function find() {
    const [host, port] = nimbus.split(":");
    for (;;) {
        const { client, connection } = await connect(Finder, host, Number(port));
        const places = await client.findGateways(topology, component);
        connection.end();
        if (places.length > 0) {
            return places[0];
        }
        await pause(50);
    }
}

async function main() {
    const place = await find();
    const { client } = await connect(Gateway, place.host, place.port);
    const opened = await client.open(new messages.GatewayOpen({
        component,
        role: messages.GatewayRole.BOLT,
        peer: "node",
        codecs: [messages.LinkCodec.ZLIB],
    }));
    console.log(`session ${opened.tasks}, packs by ${opened.codec}`);
    let answers = {};
    for (;;) {
        const request = new messages.GatewayReceive({ session: opened.session, ...answers });
        const delivery = unpack(await client.receive(request));
        const lines = [];
        answers = { acks: [], messages: [] };
        for (const tuple of delivery.tuples) {
            const [word, number, position] = tuple.values;
            lines.push(`${word.string_value}\t${number.long_value}\t${position.long_value}\n`);
            answers.acks.push(tuple.handle);
            answers.messages.push(new messages.GatewayMessage({
                values: [new messages.Value({ string_value: word.string_value })],
                anchors: [tuple.handle],
            }));
        }
        // What is acked must be on record first.
        fs.appendFileSync(path, lines.join(""));
    }
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
