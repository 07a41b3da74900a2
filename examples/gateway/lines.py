"""A spout in a process of its own: emits the lines of a file as (number, line), each until it is acked.

    python3 lines.py HOST:PORT-OF-NIMBUS TOPOLOGY COMPONENT FILE

With several tasks every one of its sessions would emit the whole file: give the component one.
"""

import sys

from gateway import messages, number, serve, text

BATCH = 500


def emit_all(path):
    def work(client, session):
        with open(path, encoding="utf-8") as file:
            lines = dict(enumerate((line.rstrip("\n") for line in file), start=1))
        waiting = list(lines)
        while lines:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            tuples = [
                messages.GatewayMessage(values=[number(n), text(lines[n])], id=n) for n in batch
            ]
            # Without tuples the call waits until there is news of earlier ones.
            fates = client.emit(
                messages.GatewayEmit(session=session.session, messages=tuples, wait_ms=10_000)
            )
            for done in fates.acked:
                del lines[done]
            waiting += fates.failed
        print("every line is acked", flush=True)

    return work


if __name__ == "__main__":
    nimbus, topology, component, path = sys.argv[1:]
    host, _, port = nimbus.rpartition(":")
    serve((host, int(port)), topology, messages.GatewayRole.SPOUT, component, emit_all(path))
