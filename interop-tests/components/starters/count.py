"""A bolt over Storm's own adapter that anchors and acks by hand: each word with how often it came."""

import collections

import storm


class Count(storm.Bolt):
    def initialize(self, conf, context):
        self.counts = collections.Counter()

    def process(self, tuple):
        word = tuple.values[0]
        self.counts[word] += 1
        storm.emit([word, self.counts[word]], anchors=[tuple])
        storm.ack(tuple)


Count().run()
