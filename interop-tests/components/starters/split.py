"""A bolt over Storm's own adapter that anchors, acks and fails by itself: the words of a sentence."""

import storm


class Split(storm.BasicBolt):
    def process(self, tuple):
        for word in tuple.values[0].split(" "):
            storm.emit([word])


Split().run()
