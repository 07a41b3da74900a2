"""A bolt: splits a line into words. Emits (word, line number, position in the line)."""

import multilang


def process(message):
    number, line = message["tuple"]
    for position, word in enumerate(line.split()):
        multilang.emit([word, number, position], anchors=[message["id"]])


multilang.run_bolt(process)
