"""The little of the multilang protocol that the children of these tests need."""

import json
import os
import sys


def read():
    lines = []
    for line in sys.stdin:
        line = line.rstrip("\n")
        if line == "end":
            return json.loads("\n".join(lines))
        lines.append(line)
    sys.exit(0)


def write(message):
    sys.stdout.write(json.dumps(message) + "\nend\n")
    sys.stdout.flush()


def handshake():
    setup = read()
    open(os.path.join(setup["pidDir"], str(os.getpid())), "w").close()
    write({"pid": os.getpid()})
    return setup


def emit(values, **rest):
    write({"command": "emit", "tuple": values, "need_task_ids": False, **rest})


def ack(message):
    write({"command": "ack", "id": message["id"]})


def tuples():
    """Each tuple; heartbeats are answered on the way."""
    while True:
        message = read()
        if isinstance(message, dict) and message["stream"] == "__heartbeat":
            write({"command": "sync"})
        else:
            yield message


