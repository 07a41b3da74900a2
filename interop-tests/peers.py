"""The two Thrift clients that talk to the cluster: thriftpy2 and Apache's own.

Both are made from thrift/storm.thrift, the first at run time, the second by the stock compiler (by
`interop-tests/run`, into .env/generated). A test that takes `peer` runs once with each. Of Apache's
there is a client for each service; thriftpy2's serves Nimbus unless told another service.
"""

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path

import thriftpy2
import thriftpy2.rpc
import thriftpy2.thrift
import thriftpy2.utils
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.transport import TFramedTransportFactory

ROOT = Path(__file__).resolve().parent.parent
GENERATED = Path(__file__).resolve().parent / ".env/generated"

sys.path.insert(0, str(GENERATED))

storm = thriftpy2.load(str(ROOT / "thrift/storm.thrift"), "storm_thrift")


class ThriftPy2:
    """Pure Python, reads the IDL when it starts. What streamparse is built on."""

    name = "thriftpy2"
    types = storm
    ApplicationException = thriftpy2.thrift.TApplicationException
    TransportException = thriftpy2.transport.TTransportException

    def __init__(self, service=storm.Nimbus):
        self.service = service

    @contextmanager
    def connect(self, address, timeout_secs=20):
        client = thriftpy2.rpc.make_client(
            self.service,
            *address,
            proto_factory=TBinaryProtocolFactory(),
            trans_factory=TFramedTransportFactory(),
            timeout=timeout_secs * 1000,
        )
        try:
            yield client
        finally:
            client.close()


def to_bytes(struct):
    """A struct of thriftpy2's in the binary protocol, its stop byte included."""
    return thriftpy2.utils.serialize(struct, TBinaryProtocolFactory())


class Apache:
    """Apache's runtime with code from the stock compiler. What Storm's own Python clients use."""

    name = "apache"

    def __init__(self, service="Nimbus"):
        import storm.ttypes
        import thrift.Thrift
        import thrift.transport.TTransport

        self.service = importlib.import_module(f"storm.{service}")
        self.types = storm.ttypes
        self.ApplicationException = thrift.Thrift.TApplicationException
        self.TransportException = thrift.transport.TTransport.TTransportException
        for kind in vars(storm.ttypes).values():
            # The stock compiler writes structs that cannot be keys of a dict; Storm's maps need it.
            if (
                isinstance(kind, type)
                and hasattr(kind, "thrift_spec")
                and not issubclass(kind, Exception)
            ):
                kind.__hash__ = lambda self: hash(repr(self))

    @contextmanager
    def connect(self, address, timeout_secs=20):
        from thrift.protocol.TBinaryProtocol import TBinaryProtocol
        from thrift.transport.TSocket import TSocket
        from thrift.transport.TTransport import TFramedTransport

        socket = TSocket(*address)
        socket.setTimeout(timeout_secs * 1000)
        transport = TFramedTransport(socket)
        transport.open()
        try:
            yield self.service.Client(TBinaryProtocol(transport))
        finally:
            transport.close()


ALL = [ThriftPy2, Apache]
