"""A bolt that acks two tuples and then does what the topology's conf says under `moody.do`: `die`,
`garbage` or `hang`."""

import os
import sys
import time

import multilang

conf, _ = multilang.handshake()
what = conf["moody.do"]
n_tuples = 0


def misbehave():
    if what == "die":
        print("the disk is on fire", file=sys.stderr)
        print("giving up", file=sys.stderr, flush=True)
        os._exit(37)
    if what == "garbage":
        sys.stdout.write("Segmentation fault (not really)\nend\n")
        sys.stdout.flush()
    if what == "hang":
        time.sleep(3600)


while True:
    message = multilang._read()
    if isinstance(message, dict) and message["stream"] == "__heartbeat":
        multilang._write({"command": "sync"})
    elif isinstance(message, dict):
        n_tuples += 1
        if n_tuples >= 3:
            misbehave()
        multilang._write({"command": "ack", "id": message["id"]})
    multilang._flush()
