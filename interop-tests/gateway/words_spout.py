"""A spout's peer for the tests: emits the lines of a file as (number, line) until each is acked, and
writes how often it had to emit a line again.

    words_spout.py CLIENT NIMBUS TOPOLOGY COMPONENT LINES REPORT [zlib]
"""

import sys
from pathlib import Path

import clients

BATCH = 200


def main(client, nimbus, topology, component, path, report, *manners):
    kind = clients.KINDS[client]()
    types = kind.types
    lines = dict(enumerate(Path(path).read_text().splitlines(), start=1))
    waiting, replays = list(lines), 0
    while lines:
        try:
            place = clients.find(kind, clients.address(nimbus), topology, component)[0]
            gateway = kind.connect((place.host, place.port))
            request = types.GatewayOpen(
                component=component,
                role=types.GatewayRole.SPOUT,
                codecs=[types.LinkCodec.ZLIB] if "zlib" in manners else None,
            )
            opened = gateway.open(request)
            session = opened.session
            while lines:
                batch, waiting = waiting[:BATCH], waiting[BATCH:]
                columns = types.GatewayColumns(
                    columns=[
                        types.GatewayColumn(longs=batch),
                        types.GatewayColumn(strings=[lines[number] for number in batch]),
                    ],
                    ids=batch,
                )
                emit = types.GatewayEmit(session=session, wait_ms=10_000)
                if batch and opened.codec:
                    emit.packed = clients.pack(kind, columns=[columns])
                elif batch:
                    emit.columns = [columns]
                fates = gateway.emit(emit)
                for number in fates.acked:
                    lines.pop(number, None)
                replays += len(fates.failed)
                waiting += fates.failed
            gateway.leave(session)
        except Exception as error:  # The worker is gone: what had no fate is emitted again.
            print(repr(error), flush=True)
            replays += len(lines) - len(waiting)
            waiting = list(lines)
    Path(report).write_text(f"{replays}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
