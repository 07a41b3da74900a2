"""A spout: reads a text file line by line, once, and sends a line again when it failed.

The file's path comes in the topology's conf under `words.file`; with `words.seconds` it reads no further
after so many seconds. Blank lines hold no words and are left out. When every line that was read has been
acked it emits (lines read, lines sent again) on the stream `done`.
"""

import time
from collections import deque

import multilang


class Lines:
    def open(self, conf, context):
        self.file = open(conf["words.file"], encoding="utf-8", errors="replace", newline="\n")
        seconds = conf.get("words.seconds")
        self.deadline = time.monotonic() + seconds if seconds else None
        self.number = 0  # of the line read last
        self.replays = 0
        self.pending = {}  # line number -> line, until it is acked
        self.again = deque()  # numbers of failed lines
        self.at_end = False
        self.told = False

    def next(self):
        if self.again:
            number = self.again.popleft()
            self.emit(number, self.pending[number])
        elif not self.at_end:
            self.read()
        elif not self.pending and not self.told:
            self.told = True
            multilang.emit([self.number, self.replays], stream="done")
        else:
            time.sleep(0.001)

    def read(self):
        while self.deadline is None or time.monotonic() < self.deadline:
            line = self.file.readline()
            if not line:
                break
            self.number += 1
            if not line.isspace():
                self.pending[self.number] = line
                return self.emit(self.number, line)
        self.at_end = True

    def emit(self, number, line):
        multilang.emit([number, line], id=number)

    def ack(self, number):
        self.pending.pop(number, None)

    def fail(self, number):
        if number in self.pending:
            multilang.log(f"line {number} failed: sending it again")
            self.again.append(number)
            self.replays += 1


multilang.run_spout(Lines())
