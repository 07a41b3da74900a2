"""Asks a cluster's UI and log viewer over HTTP and HTTPS, as scripts and browsers do."""

import http.client
import json
import socket
from urllib.parse import quote, urlsplit


class Reply:
    """What came back: status, headers by lower-case name, and the bytes of the body."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Secure(http.client.HTTPConnection):
    """Inside TLS; the server's certificate has to be that of `name`."""

    def __init__(self, *address, context, name, timeout):
        super().__init__(*address, timeout=timeout)
        self.context, self.name = context, name

    def connect(self):
        super().connect()
        self.sock = self.context.wrap_socket(self.sock, server_hostname=self.name)


def ask(
    address, path, method="GET", headers=None, body=None, timeout=30, context=None, host=None
):
    """One request; `path` goes as it is, whatever is in it. With a context over HTTPS."""
    if context:
        name = host or address[0]
        connection = Secure(*address, context=context, name=name, timeout=timeout)
    else:
        connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        # Nothing is made prettier on the way: no normalising of dots, no escaping.
        has_host = "Host" in (headers or {})
        connection.putrequest(method, path, skip_host=has_host, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        elif method == "POST":
            connection.putheader("Content-Length", "0")
        connection.endheaders(body)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def get(address, path, **options):
    """The JSON of a route that has to have an answer."""
    reply = ask(address, f"/api/v1/{path}", **options)
    assert reply.status == 200, (path, reply.status, reply.body[:500])
    return reply.json


def post(address, path, body=None, **options):
    return get(address, path, method="POST", body=body, **options)


def part(text):
    """Text as one part of a path or of a query."""
    return quote(text, safe="")


def follow(address, link):
    """What a link leads to: its path, at the address that the system chose for the test."""
    parts = urlsplit(link)
    return ask(address, f"{parts.path}?{parts.query}")


def raw(address, request, timeout=10):
    """Sends bytes and reads until the other side closes or is silent."""
    with socket.create_connection(address, timeout=timeout) as connection:
        connection.sendall(request)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except (TimeoutError, ConnectionError):
            pass
        return received
