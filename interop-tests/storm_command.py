"""`storm`: this program under that name, and Storm's own commands beside it, on the same cluster."""

import json
import os
import re
import subprocess
from pathlib import Path

import java
from cluster import PROGRAM

# As the log of Storm's client is laid out: time, thread, level, class.
LOG_LAYOUT = """<configuration>
  <Appenders><Console name="C" target="SYSTEM_OUT">
    <PatternLayout pattern="%d{HH:mm:ss.SSS} [%t] %-5p %c{1.} - %msg%n"/>
  </Console></Appenders>
  <Loggers><Root level="info"><AppenderRef ref="C"/></Root></Loggers>
</configuration>"""
LOG_LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (\[main\] [A-Z]+ +(\S+) - .*)")
# What Storm's client says of itself, whatever the command.
CHATTER = {"o.a.s.u.NimbusClient", "o.a.s.v.ConfigValidation", "o.a.s.u.Utils"}


class Storm:
    """A link named `storm`, and the configuration that both clients read."""

    def __init__(self, directory, cluster):
        self.directory = Path(directory)
        self.program = self.directory / "storm"
        self.program.symlink_to(PROGRAM)
        host, port = cluster.nimbus
        settings = {
            "nimbus.seeds": [host],
            "nimbus.thrift.port": port,
            "drpc.servers": ["127.0.0.1"],
            "drpc.port": cluster.addresses["drpc"][1],
            "storm.local.dir": str(cluster.local),
            "supervisor.slots.ports": cluster.slots,
        }
        # JSON is YAML.
        (self.directory / "storm.yaml").write_text(json.dumps(settings))
        (self.directory / "log4j2.xml").write_text(LOG_LAYOUT)
        self.environment = {**os.environ, "STORM_CONF_DIR": str(self.directory)}
        for name in ("STORM_HOME", "STORM_BASE_DIR", "STORM_JAR_JVM_OPTS"):
            self.environment.pop(name, None)

    def __call__(self, *arguments, code=0, text=None, environment=None):
        """Runs ours; returns it after checking its exit code."""
        ran = subprocess.run(
            [self.program, *map(str, arguments)],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.directory,
            env={**self.environment, **(environment or {})},
        )
        assert ran.returncode == code, (arguments, ran.returncode, ran.stdout, ran.stderr)
        return ran

    def genuine(self, command, *arguments):
        """Runs a command class of Storm's with Storm's own client."""
        classes = f"{self.directory}:{(java.BUILT / 'classpath').read_text().strip()}"
        options = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", classes]
        return subprocess.run(
            ["java", *options, f"org.apache.storm.command.{command}", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.directory,
        )


def said(output):
    """Lines of standard output without what Storm's client says of itself; log lines without time."""
    lines = []
    for line in output.splitlines():
        logged = LOG_LINE.fullmatch(line)
        if logged and logged[2] in CHATTER:
            continue
        lines.append(logged[1] if logged else line)
    return lines


def both(storm, verb, command, *arguments):
    """Runs ours and Storm's; both must print the same and end the same way. Returns the lines."""
    ours = subprocess.run(
        [storm.program, *verb, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=storm.environment,
    )
    action = verb[1:]
    theirs = storm.genuine(command, *action, *arguments)
    assert ours.returncode == theirs.returncode, (ours, theirs)
    assert said(ours.stdout) == said(theirs.stdout), (ours, theirs)
    # A stack follows there.
    first = theirs.stderr.splitlines()[:1]
    assert ours.stderr.splitlines()[:1] == first, (ours, theirs)
    return said(ours.stdout)
