"""Clusters that ask who is there, and clients that say it: logins over SASL, certificates over TLS.

The SASL client is Apache's own transport on top of pure-sasl. Certificates are made by openssl.
Judges nothing.
"""

import importlib
import ssl
import subprocess
from contextlib import contextmanager
from pathlib import Path

import peers

AUTH = "org.apache.storm.security.auth."
DIGEST = AUTH + "digest.DigestSaslTransportPlugin"
PLAIN = AUTH + "plain.PlainSaslTransportPlugin"
TLS = AUTH + "tls.TlsTransportPlugin"

# The roles of access.tsv; "nobody" cannot log in.
USERS = {
    "other": "bob",
    "reader": "rae",
    "user": "ann",
    "supervisor": "super",
    "admin": "root",
}
# Planted where only passwords stand: nobody may ever read it anywhere else.
MARK = "pl4ntedS3cret"


def password(user):
    return f"{MARK}-{user}"


def login_file(directory, client="super"):
    """A login file with all users; daemons use `client`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "jaas.conf"
    users = "\n".join(f'  user_{user}="{password(user)}"' for user in USERS.values())
    path.write_text(
        f"StormServer {{\n  {AUTH}digest.DigestLoginModule required\n{users};\n}};\n"
        f"StormClient {{\n  {AUTH}digest.DigestLoginModule required\n"
        f'  username="{client}"\n  password="{password(client)}";\n}};\n'
    )
    path.chmod(0o600)
    return path


def rules():
    """The authorizers of access.tsv."""
    return {
        "nimbus.authorizer": AUTH + "authorizer.SimpleACLAuthorizer",
        "supervisor.authorizer": AUTH + "authorizer.SupervisorSimpleACLAuthorizer",
        "nimbus.admins": ["root"],
        "nimbus.supervisor.users": ["super"],
        "nimbus.daemon.users": ["super"],
        "nimbus.users": ["ann", "bob", "rae"],
        "storm.group.mapping.service": AUTH + "FixedGroupsMapping",
    }


def digest(directory, transport=DIGEST):
    """Settings of a cluster with logins on every port."""
    return {
        "storm.thrift.transport": transport,
        "java.security.auth.login.config": str(login_file(directory)),
        **rules(),
    }


@contextmanager
def login(address, user, service="Nimbus", secret=None, mechanism="DIGEST-MD5", host="localhost"):
    """Apache's client of a service, logged in."""
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport.TSocket import TSocket
    from thrift.transport.TTransport import TSaslClientTransport

    peers.Apache(service)
    socket = TSocket(*address)
    socket.setTimeout(20_000)
    transport = TSaslClientTransport(
        socket,
        host,
        "storm_thrift_server",
        mechanism,
        username=user,
        password=password(user) if secret is None else secret,
    )
    transport.open()
    try:
        yield importlib.import_module(f"storm.{service}").Client(TBinaryProtocol(transport))
    finally:
        transport.close()


class Certificates:
    """An authority and what it signs, as PEM files in a directory."""

    def __init__(self, directory, name="ours"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.authority = self.directory / f"{name}-ca.pem"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={name} authority",
            "-keyout", self.directory / f"{name}-ca.key", "-out", self.authority,
        )  # fmt: skip

    def issue(self, name, hosts=("IP:127.0.0.1", "DNS:localhost"), dates=None, file=None):
        """Certificate and key of a name; `dates` are (not before, not after) as YYYYMMDDHHMMSSZ."""
        stem = self.directory / f"{self.name}-{file or name}"
        request = stem.with_suffix(".csr")
        extensions = stem.with_suffix(".ext")
        extensions.write_text(
            "basicConstraints=critical,CA:false\n" + f"subjectAltName={','.join(hosts)}\n"
        )
        self._openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/O=Storm/CN={name}", "-keyout", stem.with_suffix(".key"), "-out", request,
        )  # fmt: skip
        signed = ["-in", request, "-out", stem.with_suffix(".pem"), "-extfile", extensions]
        if dates is None:
            self._openssl(
                "x509", "-req", "-CA", self.authority, "-CAkey", self._key(),
                "-CAcreateserial", "-days", "1", *signed,
            )  # fmt: skip
        else:
            self._openssl(
                "ca", "-batch", "-config", self._book(), "-notext", "-startdate", dates[0],
                "-enddate", dates[1], *signed,
            )  # fmt: skip
        stem.with_suffix(".key").chmod(0o600)
        return stem.with_suffix(".pem"), stem.with_suffix(".key")

    def _key(self):
        return self.directory / f"{self.name}-ca.key"

    def _book(self):
        """What `openssl ca` needs, which alone signs for any span of time."""
        book = self.directory / f"{self.name}-ca"
        book.mkdir(exist_ok=True)
        (book / "index.txt").write_text("")
        conf = book / "ca.cnf"
        conf.write_text(
            f"[ca]\ndefault_ca = it\n[it]\ndatabase = {book}/index.txt\nnew_certs_dir = {book}\n"
            f"certificate = {self.authority}\nprivate_key = {self._key()}\nrand_serial = yes\n"
            "default_md = sha256\npolicy = any\nunique_subject = no\n"
            "[any]\norganizationName = optional\ncommonName = supplied\n"
        )
        return conf

    @staticmethod
    def _openssl(*arguments):
        command = ["openssl", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


def context(authority, identity=None):
    """A client's side of TLS: whom it trusts, what it shows."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(str(authority))
    if identity:
        made.load_cert_chain(str(identity[0]), str(identity[1]))
    return made


@contextmanager
def over_tls(address, made, service="Nimbus"):
    """Apache's client inside TLS, where messages have no frames."""
    from thrift.protocol.TBinaryProtocol import TBinaryProtocol
    from thrift.transport.TSSLSocket import TSSLSocket
    from thrift.transport.TTransport import TBufferedTransport

    peers.Apache(service)
    socket = TSSLSocket(*address, ssl_context=made)
    socket.setTimeout(20_000)
    transport = TBufferedTransport(socket)
    transport.open()
    try:
        yield importlib.import_module(f"storm.{service}").Client(TBinaryProtocol(transport))
    finally:
        transport.close()
