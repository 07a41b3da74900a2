"""Runs a command, and what fails once more: of tests only the few that do, by themselves.

    steady.py COMMAND…      pytest, `cargo test … -- …`, or any other

These tests start hundreds of processes on a machine that others may use too. One that fails here
and passes alone does not end a landing, but it is not forgotten either: it is named as unsteady at
the end of the run, for somebody to look at. What fails twice has failed, and so has a run of which
more than MOST tests fail: that is no accident. A test must not count on what others did, then.
"""

import os
import re
import subprocess
import sys

# One silence of the machine meets all tests of a file that share a cluster.
MOST = 10
# The exit code that means "tests failed" and nothing else, of pytest and of libtest.
FAILED = {1, 101}
PYTEST_LINE = re.compile(r"^(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$")
LIBTEST_LINE = re.compile(r"^    (\S+)$")


def run(command):
    """Passes the output on, and returns the exit code with the names of what failed."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")
    failed, in_list = [], False
    for line in child.stdout:
        print(line, end="", flush=True)
        line = line.rstrip("\n")
        # libtest says "failures:" twice: before the outputs, and before the bare names.
        in_list = line == "failures:" or (in_list and bool(LIBTEST_LINE.match(line)))
        found = PYTEST_LINE.match(line) or (in_list and LIBTEST_LINE.match(line))
        if found:
            failed.append(found[1])
    return child.wait(), list(dict.fromkeys(failed))


def only(command, names):
    """The command for these tests alone."""
    if "pytest" in command:
        tests = command.index("pytest") + 1
        return [*command[:tests], *names]
    return [*command, "--exact", *names] if names else command


def main(command):
    code, failed = run(command)
    if code not in FAILED or len(failed) > MOST:
        return code
    if "pytest" in command and not failed:
        return code
    names = failed or [" ".join(command)]
    print(f"\n-- once more, by themselves: {', '.join(names)}", flush=True)
    again, _ = run(only(command, failed))
    if again == 0 and (path := os.environ.get("STORMWIRE_UNSTEADY")):
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in names)
    return again


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
