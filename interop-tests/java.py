"""Java programs of ours as peers: Storm's own client library, and Thrift's generated Java client.

Built by `interop-tests/run` from java/ into .env/java. A program prints a line for each step; here
they are read, shown as a table, and each must have passed.
"""

import json
import os
import re
import subprocess
from collections import namedtuple
from pathlib import Path

BUILT = Path(__file__).resolve().parent / ".env/java"

STORE_PASSWORD = "of a test's stores"

Step = namedtuple("Step", "outcome name duration told")


def run(program, arguments, settings=None, properties=None, directory=None, timeout_secs=150):
    """Runs a program; returns its steps after checking that it ended with 0.

    `settings` stand in a storm.yaml of its own in `directory`, as every Storm client reads them.
    """
    class_path = [str(BUILT / "target/classes"), (BUILT / "classpath").read_text().strip()]
    if settings is not None:
        # JSON is YAML.
        (directory / "storm.yaml").write_text(json.dumps(settings))
        class_path.insert(0, str(directory))
    command = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", ":".join(class_path)]
    command += [f"-D{key}={value}" for key, value in (properties or {}).items()]
    patience = float(os.environ.get("STORMWIRE_PATIENCE") or 1)
    process = subprocess.run(
        [*command, f"stormwire.interop.{program}", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_secs * patience,
    )
    steps = [
        Step(*(part.strip() for part in line.split(" | ", 3)))
        for line in process.stdout.splitlines()
        if re.match(r"passed \||FAILED \|", line)
    ]
    output = f"{process.stdout}\n{process.stderr[-6000:]}"
    assert process.returncode == 0, f"{program} ended with {process.returncode}\n{output}"
    assert steps, f"{program} did nothing\n{output}"
    return steps


def stores(directory, made, identity):
    """Java's stores of a client's certificate and of the authority that it trusts: two paths.

    `made` are secured.Certificates, `identity` is what they issued.
    """
    keys, trusted = directory / "keys.p12", directory / "trusted.p12"
    pack = ["openssl", "pkcs12", "-export", "-in", identity[0], "-inkey", identity[1]]
    trust = ["keytool", "-importcert", "-noprompt", "-alias", "ours", "-file", made.authority]
    for command in (
        [*pack, "-out", keys, "-passout", f"pass:{STORE_PASSWORD}"],
        [*trust, "-keystore", trusted, "-storetype", "PKCS12", "-storepass", STORE_PASSWORD],
    ):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return keys, trusted


def versions():
    """Which Java, storm-client and libthrift are at work."""
    told = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    jars = (BUILT / "classpath").read_text()
    found = {"java": re.search(r'"(.*?)"', told).group(1)}
    for library in ("storm-client", "libthrift"):
        found[library] = re.search(rf"{library}-([0-9.]+)\.jar", jars).group(1)
    return found


def table(title, steps):
    """Operation -> passed, for a person."""
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [f"\n{title} ({told})"]
    for step in steps:
        told = step.told if len(step.told) <= 70 else f"{step.told[:67]}..."
        lines.append(f"  {step.name:<48} {step.outcome:<7} {step.duration:>8}  {told}")
    return "\n".join(lines)
