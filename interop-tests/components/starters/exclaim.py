"""A bolt over Storm's own adapter: its word with three exclamation marks more."""

import storm


class Exclaim(storm.BasicBolt):
    def process(self, tuple):
        storm.emit([tuple.values[0] + "!!!"])


Exclaim().run()
