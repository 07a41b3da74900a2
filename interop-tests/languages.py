"""The programs of clients/: a client for each language, of what the stock compiler makes of our IDL.

`run` builds them into .env/clients (peers/languages.sh). All take the same command line and print the same.
"""

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE / ".env/clients"
SOURCES = HERE / "clients"

Outcome = namedtuple("Outcome", "code out err")


class Client:
    """A program, by its language's name; `command` makes its command line of where it was built."""

    def __init__(self, language, name, command, **environment):
        self.language = language
        self.name = name
        self.built = BUILT / language
        self.command = command
        self.environment = environment

    def __repr__(self):
        return self.language

    @property
    def versions(self):
        return (self.built / "versions").read_text().strip()

    def call(self, verb, address, *arguments, timeout_secs=60):
        """Runs one command; its exit code, and its output and errors as texts in UTF-8."""
        source = SOURCES / self.language
        gen = self.built / "gen"
        command = [str(part).format(gen=gen, source=source) for part in self.command]
        paths = {key: text.format(gen=gen) for key, text in self.environment.items()}
        done = subprocess.run(
            [*command, verb, *map(str, address), *map(str, arguments)],
            cwd=self.built,
            env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_secs * float(os.environ.get("STORMWIRE_PATIENCE") or 1),
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def _java():
    class_path = BUILT / "java/target/classpath"
    libraries = class_path.read_text().strip() if class_path.is_file() else ""
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", f"target/classes:{libraries}", "Client"]


NODE_MODULES = HERE / ".env/node/node_modules"

ALL = [
    Client("python", "Python", [sys.executable, "{source}/client.py"], PYTHONPATH="{gen}"),
    Client("java", "Java", _java()),
    Client("go", "Go", ["./client"]),
    Client("cpp", "C++", ["./client"]),
    Client(
        "javascript",
        "JavaScript",
        ["node", "{source}/client.js"],
        NODE_PATH=f"{{gen}}:{NODE_MODULES}",
    ),
    Client("ruby", "Ruby", ["ruby", "-I{gen}", "{source}/client.rb"]),
    Client(
        "php",
        "PHP",
        ["php", "-d", "include_path={gen}:/usr/lib/php:/usr/share/php", "{source}/client.php"],
    ),
    Client("perl", "Perl", ["perl", "-I{gen}", "{source}/client.pl"]),
]
