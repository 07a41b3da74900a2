"""Storm's multilang protocol in a page: what a Python spout or bolt needs, and no package to install.

Messages are JSON texts, each followed by a line `end`, on standard input and output. Write for people to
standard error, or with log(): anything else on standard output would end the component.
"""

import json
import os
import sys



def _read():
    lines = []
    for line in sys.stdin:
        line = line.rstrip("\n")
        if line == "end":
            return json.loads("\n".join(lines))
        lines.append(line)
    sys.exit(0)  # the worker closed the pipe


def _write(message):
    sys.stdout.write(json.dumps(message) + "\nend\n")


def _flush():
    sys.stdout.flush()


def handshake():
    """Says hello to the worker; returns (conf, context)."""
    setup = _read()
    pid = os.getpid()
    open(os.path.join(setup["pidDir"], str(pid)), "w").close()
    _write({"pid": pid})
    _flush()
    return setup["conf"], setup["context"]


def emit(values, stream=None, anchors=(), id=None, task=None):
    """Emits one tuple; a spout gives an id to hear of its ack or fail, a bolt gives anchors."""
    message = {"command": "emit", "tuple": values, "need_task_ids": False}
    if stream is not None:
        message["stream"] = stream
    if anchors:
        message["anchors"] = list(anchors)
    if id is not None:
        message["id"] = id
    if task is not None:
        message["task"] = task
    _write(message)


def log(text):
    _write({"command": "log", "msg": text})


def run_bolt(process):
    """Calls process(tuple) for each input; acks it when that returns, fails it when that raises."""
    handshake()
    while True:
        message = _read()
        if message["stream"] == "__heartbeat":
            _write({"command": "sync"})
        else:
            try:
                process(message)
                _write({"command": "ack", "id": message["id"]})
            except Exception as error:  # the tuple comes again; the reason is shown in the topology
                _write({"command": "error", "msg": repr(error)})
                _write({"command": "fail", "id": message["id"]})
        _flush()


def run_spout(spout):
    """Calls next(), ack(id), fail(id) of a spout object, turn by turn."""
    conf, context = handshake()
    spout.open(conf, context)
    while True:
        message = _read()
        command = message["command"]
        if command == "next":
            spout.next()
        elif command == "ack":
            spout.ack(message["id"])
        elif command == "fail":
            spout.fail(message["id"])
        _write({"command": "sync"})
        _flush()
