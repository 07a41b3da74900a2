"""Clients of Storm's generations 0.9, 1.x, 2.x and 3.x, each from an IDL with what its time had.

They are stricter than thriftpy2 itself: a reply without a field that the generation requires fails,
as it does in that time's Java and Python clients.
"""

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import thriftpy2
import thriftpy2.rpc
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.thrift import TPayload
from thriftpy2.transport import TFramedTransportFactory

HERE = Path(__file__).resolve().parent
VERSIONS = ("0.9", "1.x", "2.x", "3.x")
# Exactly one field of these is set.
UNIONS = ("ComponentObject", "Grouping", "ExecutorSpecificStats", "SpecificAggregateStats")


class Generation:
    """A client of that time. Its headers are strict, or those of the first years of Thrift."""

    def __init__(self, version, is_strict):
        self.version = version
        self.is_strict = is_strict
        name = f"generation_{version.replace('.', '_')}_thrift"
        idl = thriftpy2.load(str(HERE / f"{version}.thrift"), name)
        self.types = SimpleNamespace(**{**vars(idl.same), **vars(idl)})

    def __repr__(self):
        return f"{self.version}-{'strict' if self.is_strict else 'old'}-headers"

    @contextmanager
    def connect(self, address, service="Nimbus"):
        client = thriftpy2.rpc.make_client(
            getattr(self.types, service),
            *address,
            proto_factory=TBinaryProtocolFactory(strict_read=False, strict_write=self.is_strict),
            trans_factory=TFramedTransportFactory(),
            timeout=20_000,
        )
        try:
            yield _Strict(client)
        finally:
            client.close()

    def methods(self, service="Nimbus"):
        """Each method of the service with the number of its arguments."""
        kind = getattr(self.types, service)
        return {
            name: len(getattr(kind, f"{name}_args").thrift_spec) for name in kind.thrift_services
        }


class _Strict:
    def __init__(self, client):
        self._client = client

    def __getattr__(self, method):
        def checked(*arguments):
            reply = getattr(self._client, method)(*arguments)
            check(reply, method)
            return reply

        return checked


def check(value, where):
    """Raises AssertionError when a required field within the value is not set."""
    if isinstance(value, dict):
        for key, each in value.items():
            check(key, f"{where} key")
            check(each, f"{where}[{key}]")
    elif isinstance(value, (list, set, tuple)):
        for each in value:
            check(each, f"{where}[]")
    elif isinstance(value, TPayload):
        name = type(value).__name__
        fields = {spec[1]: spec[-1] for spec in value.thrift_spec.values()}
        unset = [field for field in fields if getattr(value, field) is None]
        missing = [field for field in unset if fields[field]]
        assert not missing, f"{where}: {name} lacks {missing}"
        if name in UNIONS:
            assert len(fields) - len(unset) == 1, f"{where}: {name} has not one field"
        for field in fields:
            check(getattr(value, field), f"{where}.{field}")
