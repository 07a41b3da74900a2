"""A bolt over Storm's own adapter that reports metrics nobody registered, good ones and bad ones."""

import storm


class Measured(storm.BasicBolt):
    n_seen = 0

    def process(self, tuple):
        self.n_seen += 1
        storm.rpcMetrics("seen", None)
        storm.rpcMetrics("depth", self.n_seen * 0.5)
        storm.rpcMetrics("by", {"first": 1, "second": self.n_seen})
        if self.n_seen == 3:
            storm.rpcMetrics("mood", "fine")
        storm.emit([self.n_seen])


Measured().run()
