// A bolt over Storm's own adapter, which acks when `done` is called: the words of a sentence.
const { BasicBolt } = require("./storm");

class Split extends BasicBolt {
    process(tuple, done) {
        for (const word of tuple.values[0].split(" ")) {
            this.emit({ tuple: [word], anchorTupleId: tuple.id }, () => {});
        }
        done();
    }
}

new Split().run();
