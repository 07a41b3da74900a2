"""A bolt over pystorm, streamparse's library, that speaks what SHOUT_SERIALIZER names. It anchors and acks by itself;
of its metrics one is a counter and one a gauge."""

import os

from pystorm import Bolt


class Shout(Bolt):
    def initialize(self, conf, context):
        self.n_seen = 0

    def process(self, tup):
        self.n_seen += 1
        self.report_metric("seen", None)
        self.report_metric("last.length", len(tup.values[0]))
        if tup.values[0] == "golda":
            self.logger.info("there is golda")
        self.emit([tup.values[0].upper(), self.n_seen])


Shout(serializer=os.environ["SHOUT_SERIALIZER"]).run()
