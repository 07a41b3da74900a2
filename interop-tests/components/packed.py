"""A bolt that speaks MessagePack (package msgpack): emits its word reversed, and its length."""

import os
import sys

import msgpack

unpacker = msgpack.Unpacker(sys.stdin.buffer.raw)


def write(message):
    sys.stdout.buffer.write(msgpack.packb(message))
    sys.stdout.buffer.flush()


setup = next(unpacker)
open(os.path.join(setup["pidDir"], str(os.getpid())), "w").close()
write({"pid": os.getpid()})
for message in unpacker:
    if isinstance(message, dict) and message["stream"] == "__heartbeat":
        write({"command": "sync"})
    elif isinstance(message, dict):
        (word,) = message["tuple"]
        write(
            {
                "command": "emit",
                "tuple": [word[::-1], len(word)],
                "anchors": [message["id"]],
                "need_task_ids": False,
            }
        )
        write({"command": "ack", "id": message["id"]})
