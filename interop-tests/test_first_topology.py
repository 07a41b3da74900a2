"""The script that the README shows, as it stands."""

import subprocess
import sys

import peers
from cluster import eventually
from topologies import ROOT, counts


def test_the_readmes_first_topology_counts_words(cluster, tmp_path):
    script = ROOT / "interop-tests/first_topology.py"
    assert script.read_text().strip() in (ROOT / "README.md").read_text(), "the README has another"
    host, port = cluster.nimbus
    ran = subprocess.run(
        [sys.executable, script, f"{host}:{port}"],
        capture_output=True,
        text=True,
        timeout=90,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    head, *rows = ran.stdout.splitlines()
    assert head.startswith("it runs")
    shown = [row.split() for row in rows]
    assert len(shown) == 10 and all(int(count) > 0 for count, _ in shown)
    # The words of Storm's random sentences; "the" is in most of them.
    assert "the" in dict(map(reversed, shown))
    (totals,) = {path.with_suffix("") for path in tmp_path.glob("*/totals.[0-9]*")}
    n_words, by_word = counts(totals)
    assert n_words == sum(by_word.values()) >= sum(int(count) for count, _ in shown)

    with peers.ThriftPy2().connect(cluster.nimbus) as nimbus:
        eventually("it killed its topology", lambda: nimbus.isTopologyNameAllowed("first"))


def test_the_readme_shows_the_script_as_it_stands():
    script = (ROOT / "interop-tests/first_topology.py").read_text()
    assert f"```python\n{script}```\n" in (ROOT / "README.md").read_text()
