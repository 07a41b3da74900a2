"""What the peers of this folder share: finds the workers that wait for a component, connects to each,
and connects again when a worker has moved or a connection broke.

Needs thriftpy2 and messages.thrift, with storm.thrift beside it. Any other Thrift client does as well.
"""

import os
import threading
import time
from pathlib import Path

import thriftpy2
from thriftpy2.protocol import TCyBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.thrift import TException
from thriftpy2.transport import TCyFramedTransportFactory

IDL = os.environ.get("STORMWIRE_IDL") or Path(__file__).resolve().parents[2] / "thrift"
messages = thriftpy2.load(str(Path(IDL) / "messages.thrift"), "messages_thrift")

RETRY_SECS = 0.5


def connect(kind, host, port):
    """A client of one of the services of messages.thrift."""
    return make_client(
        kind,
        host,
        port,
        proto_factory=TCyBinaryProtocolFactory(),
        trans_factory=TCyFramedTransportFactory(),
        timeout=60_000,
    )


def serve(nimbus, topology, role, component, work, **wishes):
    """Runs `work(client, session)` at each worker that has tasks of the component, until all of them
    have returned. `nimbus` is (host, port); `wishes` are further fields of GatewayOpen.
    """
    threads = {}
    finished = set()
    told = None
    while True:
        waits = None
        try:
            finder = connect(messages.GatewayFinder, *nimbus)
            places = finder.findGateways(topology, component)
            finder.close()
            if not places:
                waits = f"no worker of {topology} waits for {component} yet"
        except (OSError, TException) as error:
            places = []
            waits = f"Nimbus at {nimbus}: {error!r}"
        if waits and waits != told:
            print(waits, flush=True)  # once: it goes on looking
        told = waits
        for place in {(each.host, each.port) for each in places} - finished:
            if place not in threads or not threads[place].is_alive():
                request = messages.GatewayOpen(component=component, role=role, **wishes)
                threads[place] = threading.Thread(
                    target=attend, args=(place, request, work, finished), daemon=True
                )
                threads[place].start()
        if finished and not any(thread.is_alive() for thread in threads.values()):
            return
        time.sleep(RETRY_SECS)


def attend(place, request, work, finished):
    """One session, from its beginning to its end."""
    try:
        client = connect(messages.Gateway, *place)
        session = client.open(request)
        print(f"tasks {session.tasks} of {request.component} at {place}", flush=True)
        work(client, session)
        client.leave(session.session)
        finished.add(place)
    except (OSError, TException) as error:
        print(f"{place}: {error!r}", flush=True)  # `serve` looks for it again


def text(value):
    return messages.Value(string_value=value)


def number(value):
    return messages.Value(long_value=value)
