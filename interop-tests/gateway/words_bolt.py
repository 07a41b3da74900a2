"""A bolt's peer for the tests: writes what it gets to a file, a line for each tuple, then emits it
again, anchored, and acks it.

    words_bolt.py CLIENT NIMBUS TOPOLOGY COMPONENT FILE [moody] [slow=SECONDS] [zlib] [tls=AUTHORITIES]

It counts nothing: a peer that is killed takes its memory along, but not its file. `moody` fails each
third tuple that it sees for the first time.
"""

import sys
import time

import clients


def main(client, nimbus, topology, component, path, *manners):
    kind = clients.KINDS[client]()
    types = kind.types
    manners = dict(manner.partition("=")[::2] for manner in manners)
    seen = set()
    with open(path, "a", buffering=1 << 16, encoding="utf-8") as file:
        while True:
            try:
                place = clients.find(kind, clients.address(nimbus), topology, component)[0]
                gateway = kind.connect((place.host, place.port), authorities=manners.get("tls"))
                request = types.GatewayOpen(
                    component=component,
                    role=types.GatewayRole.BOLT,
                    peer=path.rpartition("/")[2],
                    form=types.GatewayForm.COLUMNS,
                    lease_ms=5000,
                    codecs=[types.LinkCodec.ZLIB] if "zlib" in manners else None,
                )
                opened = gateway.open(request)
                print(f"session {opened.tasks}, packs by {opened.codec}", flush=True)
                serve(gateway, kind, opened, file, seen, manners)
            except Exception as error:  # The worker is gone, or this peer was too slow.
                print(repr(error), flush=True)
                time.sleep(0.2)


def serve(gateway, kind, opened, file, seen, manners):
    types, session = kind.types, opened.session
    request = types.GatewayReceive(session=session)
    n_packed = 0
    while True:
        if opened.codec and request.columns:
            request.packed = clients.pack(kind, columns=request.columns)
            request.columns = None
        delivery = gateway.receive(request)
        if delivery.packed and not n_packed:
            n_packed += 1
            print(f"packed {delivery.packed.plain_length} -> {len(delivery.packed.body)}", flush=True)
        delivery = clients.unpack(kind, delivery)
        request = types.GatewayReceive(session=session, columns=[], acks=[], fails=[])
        for run in delivery.runs:
            words, numbers, positions = (
                column.strings or column.longs for column in run.columns
            )
            good = []
            for place, (word, number, position) in enumerate(zip(words, numbers, positions)):
                handle = run.first_handle + place
                if "moody" in manners and (number, position) not in seen:
                    seen.add((number, position))
                    if (number + position) % 3 == 0:
                        request.fails.append(handle)
                        continue
                file.write(f"{word}\t{number}\t{position}\n")
                good.append(place)
            handles = [run.first_handle + place for place in good]
            request.acks += handles
            if good:
                request.columns.append(
                    types.GatewayColumns(
                        columns=[types.GatewayColumn(strings=[words[place] for place in good])],
                        anchors=handles,
                    )
                )
        # What is acked must be on record first.
        file.flush()
        time.sleep(float(manners.get("slow") or 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
