"""G2: every published hole of Apache Storm has its lesson, and every lesson its tests.

The tests themselves stand where the part is that they test; here it is held that they are there.
"""

import csv
import re
from pathlib import Path

from figures import figure

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = 36
TESTS = re.compile(r"^ *(?:async )?(?:def|fn) ([a-z]\w+)\(", re.MULTILINE)


def test_every_lesson_is_held_by_tests_that_are_there():
    lines = (ROOT / "interop-tests/lessons.tsv").read_text().splitlines()
    lessons = list(
        csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
    )
    sources = [*ROOT.glob("src/**/*.rs"), *ROOT.glob("interop-tests/**/test_*.py")]
    there = {name for source in sources for name in TESTS.findall(source.read_text())}
    cves = [cve for lesson in lessons for cve in lesson["cves"].split(",")]
    assert len(cves) == len(set(cves)) == PUBLISHED
    held = 0
    for lesson in lessons:
        tests = [name for name in lesson["tests"].split(",") if name]
        assert set(tests) <= there, set(tests) - there
        assert tests or lesson["absent"], lesson["lesson"]
        held += len(lesson["cves"].split(",")) if tests else 0
    absent = [lesson for lesson in lessons if not lesson["tests"]]
    figure(
        "G2",
        f"{held} of {PUBLISHED} CVEs covered by tests; not applicable: "
        + "; ".join(f"{each['cves']} ({each['absent']})" for each in absent),
    )
