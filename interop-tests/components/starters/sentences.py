"""A spout over Storm's own adapter: so many sentences with whole numbers as ids, again when one fails. When all
are acked it says how many, once, on the stream `done`."""

import time

import storm

SENTENCES = ["the cow jumped over the moon", "an apple a day", "snow and the seven", "two with nature"]


class Sentences(storm.Spout):
    def initialize(self, conf, context):
        self.total = conf["starter.sentences"]
        self.waiting = list(range(self.total))
        self.acked = set()
        self.is_done = False

    def nextTuple(self):
        if self.waiting:
            number = self.waiting.pop(0)
            storm.emit([SENTENCES[number % len(SENTENCES)]], id=number)
        elif len(self.acked) == self.total and not self.is_done:
            self.is_done = True
            storm.emit([self.total], stream="done")
        else:
            time.sleep(0.001)

    def ack(self, id):
        self.acked.add(id)

    def fail(self, id):
        self.waiting.append(id)


Sentences().run()
