// A spout over Storm's own adapter: so many sentences with whole numbers as ids, again when one fails. When all
// are acked it says how many, once, on the stream `done`. Written before there was activate and deactivate: the
// adapter's own bodies of these two never answer.
const { Spout } = require("./storm");

const SENTENCES = ["the cow jumped over the moon", "an apple a day", "snow and the seven", "two with nature"];

class Sentences extends Spout {
    initialize(conf, context, done) {
        this.total = conf["starter.sentences"];
        this.waiting = [...Array(this.total).keys()];
        this.acked = new Set();
        this.isDone = false;
        done();
    }

    nextTuple(done) {
        if (this.waiting.length > 0) {
            const id = this.waiting.shift();
            const tuple = [SENTENCES[id % SENTENCES.length]];
            // The log line comes when the task ids do: after the turn's end.
            this.emit({ tuple, id }, (tasks) => this.logDebug(id + " sent to " + tasks));
        } else if (this.acked.size === this.total && !this.isDone) {
            this.isDone = true;
            this.emit({ tuple: [this.total], stream: "done" }, () => {});
        } else {
            setTimeout(done, 1);
            return;
        }
        done();
    }

    ack(id, done) {
        this.acked.add(id);
        done();
    }

    fail(id, done) {
        this.waiting.push(id);
        done();
    }
}

new Sentences().run();
