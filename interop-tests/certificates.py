"""Certificates for a test: an authority, a server on localhost, a client; as PEM and for Java.

Made by openssl and the JDK's keytool, valid for a day.
"""

import subprocess
from collections import namedtuple

PASSWORD = "interop"

# Paths: PEM files, and the stores that Java wants.
Certificates = namedtuple(
    "Certificates", "authority server server_key client client_key keys trusted"
)


def make(directory, client_name="ahab"):
    """Makes them in `directory`; the client's common name is `client_name`."""
    directory.mkdir(parents=True, exist_ok=True)

    def openssl(*arguments):
        run("openssl", *arguments, directory=directory)

    subject = ["-subj", "/O=Stormwire/CN="]
    openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "1", "-keyout", "authority.key", "-out", "authority.pem"),
        *(subject[0], f"{subject[1]}authority"),
    )
    for name, common, extra in [
        ("server", "localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ("client", client_name, "extendedKeyUsage=clientAuth"),
    ]:
        openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr", subject[0], f"{subject[1]}{common}"),
        )
        (directory / f"{name}.ext").write_text(extra)
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-days", "1"),
            *("-CAkey", "authority.key", "-CAcreateserial", "-extfile", f"{name}.ext"),
            *("-out", f"{name}.pem"),
        )
    openssl(
        *("pkcs12", "-export", "-in", "client.pem", "-inkey", "client.key"),
        *("-out", "client.p12", "-passout", f"pass:{PASSWORD}"),
    )
    run(
        *("keytool", "-importcert", "-noprompt", "-alias", "authority", "-file", "authority.pem"),
        *("-keystore", "trusted.p12", "-storetype", "PKCS12", "-storepass", PASSWORD),
        directory=directory,
    )
    names = ["authority.pem", "server.pem", "server.key", "client.pem", "client.key"]
    return Certificates(*(directory / name for name in [*names, "client.p12", "trusted.p12"]))


def run(*command, directory):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
