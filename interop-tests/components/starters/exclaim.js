// A bolt over Storm's own adapter: its word with three exclamation marks more.
const { BasicBolt } = require("./storm");

class Exclaim extends BasicBolt {
    process(tuple, done) {
        this.emit({ tuple: [tuple.values[0] + "!!!"], anchorTupleId: tuple.id }, () => done());
    }
}

new Exclaim().run();
