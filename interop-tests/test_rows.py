"""The table of the catalogue's rows in README.md: each row is there, its tests are, and one of them prints its
figure.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the issue of the Thrift contract asks for, and what came along.
ROWS = (
    [f"E{n}" for n in range(1, 10)]
    + ["F1", "F2", "F3", "F6", "F7", "F8", "F9", "F10", "F13"]
    + ["G1", "G2", "G3", "G4", "G6", "G7", "G8"]
)
TESTS = re.compile(r"^ *(?:async )?(?:def|fn) ([a-z]\w+)\(", re.MULTILINE)
FIGURES = re.compile(r'\bfigure\(\s*"([EFG]\d+)"')


def test_every_row_has_tests_that_are_there_and_its_figure():
    readme = (ROOT / "interop-tests/README.md").read_text()
    table = dict(re.findall(r"^\| ([EFG]\d+) \|(.*)\|$", readme, re.MULTILINE))
    assert list(table) == ROWS
    sources = [*ROOT.glob("src/**/*.rs"), *ROOT.glob("interop-tests/**/test_*.py")]
    texts = [path.read_text() for path in sources]
    there = {name for text in texts for name in TESTS.findall(text)}
    for row, cells in table.items():
        names = re.findall(r"`([a-z]+_\w+_\w+)`", cells)
        assert names and set(names) <= there, (row, set(names) - there)
    printed = {row for text in texts for row in FIGURES.findall(text)}
    assert set(ROWS) <= printed, set(ROWS) - printed
