"""A shell bolt that passes each ledger id on: what dies when a shell child is killed."""

import json
import os
import sys


def read():
    lines = []
    for line in sys.stdin:
        if line == "end\n":
            return json.loads("".join(lines))
        lines.append(line)
    sys.exit(0)


def write(*messages):
    for message in messages:
        sys.stdout.write(json.dumps(message) + "\nend\n")
    sys.stdout.flush()


setup = read()
open(os.path.join(setup["pidDir"], str(os.getpid())), "w").close()
write({"pid": os.getpid()})
while True:
    message = read()
    if message["stream"] == "__heartbeat":
        write({"command": "sync"})
        continue
    write(
        {
            "command": "emit",
            "tuple": message["tuple"],
            "anchors": [message["id"]],
            "need_task_ids": False,
        },
        {"command": "ack", "id": message["id"]},
    )
