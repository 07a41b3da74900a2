"""Raw bytes to a Thrift port: frames by hand, damaged on purpose."""

import socket
import struct
from contextlib import closing

STRICT = 0x8001_0000
CALL, REPLY, EXCEPTION = 1, 2, 3
STOP, BOOL, I32, I64, STRING, STRUCT, MAP, SET, LIST = 0, 2, 8, 10, 11, 12, 13, 14, 15


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(value)) + value


def field(type, id, value):
    return struct.pack(">bh", type, id) + value


def call(method, arguments=b"", seqid=1):
    """The payload of a request: strict header, then fields and a stop byte."""
    return (
        struct.pack(">I", STRICT | CALL)
        + text(method)
        + struct.pack(">i", seqid)
        + arguments
        + b"\0"
    )


class Raw:
    """A socket to a server under test."""

    def __init__(self, address, timeout_secs=10):
        self.socket = socket.create_connection(address, timeout=timeout_secs)

    def send(self, data):
        """Sends; a server that closed already is no error here."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def no_more(self):
        """Tells the server that nothing follows."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self

    def reply(self):
        """The next reply as (message type, method, rest); None when the server closed instead."""
        payload = self.payload()
        if payload is None:
            return None
        version, length = struct.unpack(">Ii", payload[:8])
        return version & 0xFF, payload[8 : 8 + length].decode(), payload[12 + length :]

    def payload(self):
        """The next reply without its length; None when the server closed instead."""
        head = self._read(4)
        if head is None:
            return None
        payload = self._read(struct.unpack(">i", head)[0])
        assert payload is not None, "the server closed within a reply"
        return payload

    def pipeline(self, payloads):
        """Sends requests without waiting; then their replies' payloads."""
        frames = [frame(payload) for payload in payloads]
        self.send(b"".join(frames))
        return [self.payload() for _ in frames]

    def skip(self, size):
        """Reads so many bytes and forgets them."""
        while size:
            received = len(self.receive(min(size, 1 << 20)))
            assert received, "the server closed"
            size -= received

    def is_closed(self):
        """Whether the server closes without a word, within the time-out."""
        return self.receive(1) == b""

    def receive(self, size):
        """Up to so many bytes; none when the server closed."""
        try:
            return self.socket.recv(size)
        except ConnectionResetError:
            return b""

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.receive(size - len(data))
            if not more:
                return None
            data += more
        return data

    def close(self):
        self.socket.close()


def exchange(address, data, timeout_secs=10):
    """Sends bytes and nothing more; returns the reply, or None when the server closed."""
    with closing(Raw(address, timeout_secs)) as raw:
        return raw.send(data).no_more().reply()


def application_exception(reply):
    """(type, message) of a TApplicationException."""
    kind, _, rest = reply
    assert kind == EXCEPTION, reply
    message, code = b"", 0
    while rest[0] != STOP:
        type, id = struct.unpack(">bh", rest[:3])
        if type == STRING:
            length = struct.unpack(">i", rest[3:7])[0]
            message, rest = rest[7 : 7 + length], rest[7 + length :]
        else:
            assert (type, id) == (I32, 2), reply
            code, rest = struct.unpack(">i", rest[3:7])[0], rest[7:]
    return code, message.decode()


def walk(payload):
    """Offsets of every length or count, and of every type byte, in a strict message's payload."""
    lengths, types = [4], []
    name_length = struct.unpack(">i", payload[4:8])[0]
    end = _walk_struct(payload, 12 + name_length, lengths, types)
    assert end == len(payload)
    return lengths, types


def _walk_struct(data, at, lengths, types):
    while True:
        types.append(at)
        if data[at] == STOP:
            return at + 1
        at = _walk_value(data, at + 3, data[at], lengths, types)


def _walk_value(data, at, type, lengths, types):
    widths = {BOOL: 1, 3: 1, 4: 8, 6: 2, I32: 4, I64: 8}
    if type in widths:
        return at + widths[type]
    if type == STRUCT:
        return _walk_struct(data, at, lengths, types)
    if type == STRING:
        lengths.append(at)
        return at + 4 + struct.unpack(">i", data[at : at + 4])[0]
    inner = 2 if type == MAP else 1
    types.extend(range(at, at + inner))
    lengths.append(at + inner)
    count = struct.unpack(">i", data[at + inner : at + inner + 4])[0]
    kinds, at = data[at : at + inner], at + inner + 4
    for _ in range(count):
        for kind in kinds:
            at = _walk_value(data, at, kind, lengths, types)
    return at


def decode(payload):
    """A strict message as (message type, method, sequence number, fields): structs as dicts by id,
    maps as lists of pairs, texts as str where they are such.
    """
    version, length = struct.unpack(">Ii", payload[:8])
    method, at = payload[8 : 8 + length].decode(), 12 + length
    fields, end = _decode_struct(payload, at)
    assert end == len(payload)
    return version & 0xFF, method, struct.unpack(">i", payload[at - 4 : at])[0], fields


def _decode_struct(data, at):
    fields = {}
    while data[at] != STOP:
        type, id = struct.unpack(">bh", data[at : at + 3])
        fields[id], at = _decode_value(data, at + 3, type)
    return fields, at + 1


def _decode_value(data, at, type):
    scalars = {BOOL: ">?", 3: ">b", 4: ">d", 6: ">h", I32: ">i", I64: ">q"}
    if type in scalars:
        end = at + struct.calcsize(scalars[type])
        return struct.unpack(scalars[type], data[at:end])[0], end
    if type == STRUCT:
        return _decode_struct(data, at)
    if type == STRING:
        end = at + 4 + struct.unpack(">i", data[at : at + 4])[0]
        raw = data[at + 4 : end]
        try:
            return raw.decode(), end
        except UnicodeDecodeError:
            return raw, end
    inner = 2 if type == MAP else 1
    kinds, at = data[at : at + inner], at + inner
    items, count, at = [], struct.unpack(">i", data[at : at + 4])[0], at + 4
    for _ in range(count):
        parts = []
        for kind in kinds:
            part, at = _decode_value(data, at, kind)
            parts.append(part)
        items.append(parts[0] if inner == 1 else tuple(parts))
    return items, at
