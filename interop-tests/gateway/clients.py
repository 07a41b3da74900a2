"""The two stock Python clients of the gateway, behind one face: Apache's, made from messages.thrift by
the stock compiler, with its accelerated protocol; and thriftpy2, which reads the IDL at run time.

`connect(address)` gives a client of the Gateway, `find(nimbus, ...)` the places of a component.
"""

import ssl
import sys
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "interop-tests/.env/generated"
TIMEOUT_SECS = 60


class ThriftPy2:
    name = "thriftpy2"

    def __init__(self):
        import thriftpy2
        from thriftpy2.protocol import TCyBinaryProtocolFactory
        from thriftpy2.utils import deserialize, serialize

        factory = TCyBinaryProtocolFactory()
        self.to_bytes = lambda struct: serialize(struct, factory)
        self.from_bytes = lambda struct, data: deserialize(struct, data, factory)
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
        from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory
        from thrift.TSerialization import deserialize, serialize

        factory = TBinaryProtocolAcceleratedFactory(fallback=False)
        self.to_bytes = lambda struct: serialize(struct, factory)
        self.from_bytes = lambda struct, data: deserialize(struct, data, factory)
        self.types = stormwire.messages.ttypes

    def connect(
        self, address, kind="Gateway", authorities=None, context=None, framed=True, host=None
    ):
        """`host` is the name that the certificate of `context` must show, where it is another."""
        import importlib

        from thrift.protocol.TBinaryProtocol import TBinaryProtocolAccelerated
        from thrift.transport.TSocket import TSocket
        from thrift.transport.TSSLSocket import TSSLSocket
        from thrift.transport.TTransport import TBufferedTransport, TFramedTransport

        if context:
            socket = TSSLSocket(
                *address, ssl_context=context, server_hostname=host or address[0]
            )
        elif authorities:
            socket = TSSLSocket(*address, cert_reqs=ssl.CERT_REQUIRED, ca_certs=str(authorities))
        else:
            socket = TSocket(*address)
        socket.setTimeout(TIMEOUT_SECS * 1000)
        transport = TFramedTransport(socket) if framed else TBufferedTransport(socket)
        transport.open()
        service = importlib.import_module(f"stormwire.messages.{kind}")
        # Without the C code the tests would measure another client than they say.
        protocol = TBinaryProtocolAccelerated(transport, fallback=False)
        client = service.Client(protocol)
        client.close = transport.close
        return client


def pack(kind, messages=None, columns=None):
    """What a call emits, packed by zlib: for a session that agreed on it."""
    types = kind.types
    plain = kind.to_bytes(types.GatewayEmitted(messages=messages, columns=columns))
    return types.PackedFrame(
        codec=types.LinkCodec.ZLIB, plain_length=len(plain), body=zlib.compress(plain, 1)
    )


def unpack(kind, delivery):
    """A delivery as it was before it was packed, if it was."""
    packed = delivery.packed
    if packed:
        assert packed.codec == kind.types.LinkCodec.ZLIB
        plain = zlib.decompress(packed.body)
        assert len(plain) == packed.plain_length
        delivered = kind.from_bytes(kind.types.GatewayDelivered(), plain)
        delivery.tuples, delivery.runs = delivered.tuples or [], delivered.runs or []
    return delivery


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
