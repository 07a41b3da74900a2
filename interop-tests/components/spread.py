"""The first bolt of a linear DRPC topology: (request, text) in, (request, word) for each word."""

import multilang


def process(message):
    request, text = message["tuple"]
    for word in text.split():
        multilang.emit([request, word], anchors=[message["id"]])


multilang.run_bolt(process)
