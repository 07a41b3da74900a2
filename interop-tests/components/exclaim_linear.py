"""A function of a linear DRPC topology: (request, args) in, (request, args!) out."""

import multilang


def process(message):
    request, args = message["tuple"]
    multilang.emit([request, args + "!"], anchors=[message["id"]])


multilang.run_bolt(process)
