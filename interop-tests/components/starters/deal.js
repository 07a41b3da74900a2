// A bolt over Storm's own adapter that deals its tuples out: by direct emits, to each task of `sink` in turn.
const { BasicBolt } = require("./storm");

class Deal extends BasicBolt {
    initialize(conf, context, done) {
        const tasks = Object.entries(context["task->component"]);
        this.tasks = tasks.filter(([, component]) => component === "sink").map(([task]) => Number(task)).sort();
        this.nDealt = 0;
        done();
    }

    process(tuple, done) {
        const task = this.tasks[this.nDealt % this.tasks.length];
        this.nDealt += 1;
        this.emitDirect({ tuple: [task, tuple.values[0]], anchorTupleId: tuple.id, task });
        done();
    }
}

new Deal().run();
