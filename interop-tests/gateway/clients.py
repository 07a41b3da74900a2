"""The two stock Python clients of the gateway, behind one face: Apache's, made from messages.thrift by
the stock compiler, with its accelerated protocol; and thriftpy2, which reads the IDL at run time.

`connect(address)` gives a client of the Gateway, `find(nimbus, ...)` the places of a component.
"""

import ssl
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "interop-tests/.env/generated"
TIMEOUT_SECS = 60


class ThriftPy2:
    name = "thriftpy2"

    def __init__(self):
        import thriftpy2

        self.types = thriftpy2.load(str(ROOT / "thrift/messages.thrift"), "messages_thrift")

    def connect(self, address, kind="Gateway", authorities=None):
        from thriftpy2.protocol import TCyBinaryProtocolFactory
        from thriftpy2.rpc import make_client
        from thriftpy2.transport import TCyFramedTransportFactory

        context = None
        if authorities:
            context = ssl.create_default_context(cafile=str(authorities))
        return make_client(
            getattr(self.types, kind),
            *address,
            proto_factory=TCyBinaryProtocolFactory(),
            trans_factory=TCyFramedTransportFactory(),
            timeout=TIMEOUT_SECS * 1000,
            **({"ssl_context": context} if context else {}),
        )


class Apache:
    name = "apache"

    def __init__(self):
        sys.path.insert(0, str(GENERATED))
        import stormwire.messages.ttypes

        self.types = stormwire.messages.ttypes

    def connect(self, address, kind="Gateway", authorities=None):
        import importlib

        from thrift.protocol.TBinaryProtocol import TBinaryProtocolAccelerated
        from thrift.transport.TSocket import TSocket
        from thrift.transport.TSSLSocket import TSSLSocket
        from thrift.transport.TTransport import TFramedTransport

        if authorities:
            socket = TSSLSocket(*address, cert_reqs=ssl.CERT_REQUIRED, ca_certs=str(authorities))
        else:
            socket = TSocket(*address)
        socket.setTimeout(TIMEOUT_SECS * 1000)
        transport = TFramedTransport(socket)
        transport.open()
        service = importlib.import_module(f"stormwire.messages.{kind}")
        # Without the C code the tests would measure another client than they say.
        protocol = TBinaryProtocolAccelerated(transport, fallback=False)
        client = service.Client(protocol)
        client.close = transport.close
        return client


KINDS = {"apache": Apache, "thriftpy2": ThriftPy2}


def find(kind, nimbus, topology, component, patience_secs=20):
    """Where workers wait for peers of a component, as soon as one does."""
    deadline = time.monotonic() + patience_secs
    while True:
        finder = kind.connect(nimbus, "GatewayFinder")
        places = finder.findGateways(topology, component)
        finder.close()
        if places or time.monotonic() > deadline:
            return places
        time.sleep(0.05)


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)
