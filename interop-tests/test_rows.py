"""The table of the catalogue's rows in README.md: each row is there, its tests are, and one of them prints its
figure.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the issues of the tuple path and of the Thrift contract ask for, and what came along.
ROWS = (
    ["A1", "A2", "A3", "A4", "A5", "A7", "A8", "A12"]
    + ["B1", "B2", "B7", "B8", "B9", "B10", "B11", "B12", "B13", "B14"]
    + [f"E{n}" for n in range(1, 10)]
    + ["F1", "F2", "F3", "F4", "F6", "F7", "F8", "F9", "F10", "F13"]
    + ["G1", "G2", "G3", "G4", "G6", "G7", "G8"]
)
TESTS = re.compile(r"^ *(?:async )?(?:def|fn) ([a-z]\w+)\(", re.MULTILINE)
# Of a line that prints a figure, or of a run of faults, which prints the figure of its name.
FIGURES = re.compile(r'\b(?:figure|judge|strike\w*)\(\s*\(?\s*"([ABEFG]\d+)\b')


def test_every_row_has_tests_that_are_there_and_its_figure():
    readme = (ROOT / "interop-tests/README.md").read_text()
    table = dict(re.findall(r"^\| ([ABEFG]\d+) \|(.*)\|$", readme, re.MULTILINE))
    assert list(table) == ROWS
    patterns = ["src/**/*.rs", "interop-tests/faults/*.rs", "interop-tests/**/test_*.py"]
    sources = [path for pattern in patterns for path in ROOT.glob(pattern)]
    texts = [path.read_text() for path in sources]
    there = {name for text in texts for name in TESTS.findall(text)}
    for row, cells in table.items():
        names = re.findall(r"`([a-z]\w*_\w+_\w+)`", cells)
        assert names and set(names) <= there, (row, set(names) - there)
    printed = {row for text in texts for row in FIGURES.findall(text)}
    assert set(ROWS) <= printed, set(ROWS) - printed
