"""A spout that emits 0, 1, 2, ... about every 10 ms for as long as it is active."""

import time

import multilang


class Pulse:
    sequence = 0

    def open(self, conf, context):
        pass

    def next(self):
        multilang.emit([self.sequence], id=self.sequence)
        self.sequence += 1
        time.sleep(0.01)

    def ack(self, id):
        pass

    def fail(self, id):
        multilang.emit([id], id=id)


multilang.run_spout(Pulse())
