"""A function between DRPCSpout and ReturnResults: (args, return info) in, (args!!!, return info) out.

Arguments that begin with a word of `DEEDS` ask for something else.
"""

import os
import time

import multilang

kept = []


def fail(_):
    raise ValueError("no such thing")


def die(_):
    os._exit(41)


def nap(args):
    time.sleep(float(args.split()[1]))
    return args


def number(_):
    return 7


DEEDS = {"fail": fail, "die": die, "nap": nap, "number": number}


def process(message):
    args, info = message["tuple"]
    deed = DEEDS.get(args.split(" ")[0])
    result = deed(args) if deed else args + "!!!"
    multilang.emit([result, info], anchors=[message["id"]])


multilang.run_bolt(process)
