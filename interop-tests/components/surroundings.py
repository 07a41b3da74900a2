"""A spout that says, every 50 ms, what its process was given: arguments, directory, variable MODE, end of PATH."""

import os
import sys
import time

import multilang


class Surroundings:
    def open(self, conf, context):
        self.told = [
            " ".join(sys.argv[1:]),
            os.path.basename(os.getcwd()),
            os.environ.get("MODE", ""),
            os.environ.get("PATH", "").rpartition(":")[2],
        ]

    def next(self):
        multilang.emit(self.told)
        time.sleep(0.05)

    def ack(self, id):
        pass

    def fail(self, id):
        pass


multilang.run_spout(Surroundings())
