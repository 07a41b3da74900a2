"""What fails once, always, in numbers, or not at all: what `steady.py` makes of it."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

STEADY = Path(__file__).resolve().parent / "steady.py"
TESTS = """
import pathlib, pytest

def first_time(name):
    path = pathlib.Path(__file__).with_name(name)
    there = path.exists()
    path.touch()
    return not there

def test_good():
    assert first_time("good")

@pytest.mark.parametrize("value", ["a b", "c"])
def test_value(value):
    assert BODY
"""


def run(tmp_path, monkeypatch, *command):
    unsteady = tmp_path / "unsteady"
    monkeypatch.setenv("STORMWIRE_UNSTEADY", str(unsteady))
    ran = subprocess.run(
        [sys.executable, STEADY, *map(str, command)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )
    named = unsteady.read_text().splitlines() if unsteady.exists() else []
    return ran.returncode, named, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "body, code, named",
    [
        ("True", 0, []),
        ('value == "c" or not first_time("odd")', 0, ["test_them.py::test_value[a b]"]),
        ('value == "c"', 1, []),
    ],
)
def test_of_pytest_only_what_failed_runs_again(tmp_path, monkeypatch, body, code, named):
    (tmp_path / "test_them.py").write_text(TESTS.replace("BODY", body))
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "."]
    found = run(tmp_path, monkeypatch, *command)
    assert found[:2] == (code, named), found[2]
    # Else test_good would have failed, which can pass but once.
    assert ("once more" in found[2]) == (body != "True"), found[2]


# As libtest prints: the list of names comes after the outputs, under the same word.
LIBTEST = """#!/bin/sh
if [ "$1" = --exact ]; then
    echo "$@" >>asked
    exit {second}
fi
echo "test a::b ... FAILED"
echo "failures:"
echo
echo "---- a::b stdout ----"
echo "    indented"
echo
echo "failures:"
for name in {names}; do echo "    $name"; done
echo
echo "test result: FAILED. 1 passed; 1 failed"
exit {first}
"""


@pytest.mark.parametrize(
    "names, first, second, code, asked",
    [
        ("a::b c", 101, 0, 0, "--exact a::b c\n"),
        ("a::b", 101, 101, 101, "--exact a::b\n"),
        ("a b c d e f g h i j k", 101, 0, 101, None),
        # A command that did not come to its end has no list to be believed.
        ("a::b", 124, 0, 124, None),
    ],
)
def test_of_libtest_too(tmp_path, monkeypatch, names, first, second, code, asked):
    program = tmp_path / "tests"
    program.write_text(LIBTEST.format(names=names, first=first, second=second))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = run(tmp_path, monkeypatch, program)
    assert found[:2] == (code, names.split() if code == 0 else []), found[2]
    notes = tmp_path / "asked"
    assert (notes.read_text() if notes.exists() else None) == asked


ONCE = "mkdir there && exit 1; exit 0"


@pytest.mark.parametrize(
    "body, code, is_named", [("exit 0", 0, False), (ONCE, 0, True), ("exit 1", 1, False)]
)
def test_of_other_commands_all(tmp_path, monkeypatch, body, code, is_named):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    found = run(tmp_path, monkeypatch, program, "word")
    assert found[:2] == (code, [f"{program} word"] if is_named else []), found[2]
