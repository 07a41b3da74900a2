// A bolt over Storm's own adapter: each word with how often it came.
const { BasicBolt } = require("./storm");

class Count extends BasicBolt {
    initialize(conf, context, done) {
        this.counts = new Map();
        done();
    }

    process(tuple, done) {
        const [word] = tuple.values;
        const count = (this.counts.get(word) || 0) + 1;
        this.counts.set(word, count);
        this.emit({ tuple: [word, count], anchorTupleId: [tuple.id] }, () => done());
    }
}

new Count().run();
