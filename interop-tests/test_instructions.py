"""What a tuple costs whatever else the machine does: instructions, counted by valgrind's callgrind,
and system calls, counted by strace.

Instructions are those of an engine of one thread for which time stands still (`stormwire bench
--tuples`), so that load, speed and kernel have no part in them. They depend on the compiler: a value
is recorded in `instructions.tsv` for a version of rustc and its target. With these, a value more than
3 % off, up or down, fails: a change that is meant belongs into the record, by `STORMWIRE_RECORD=1`.
Another compiler is no fault of a change: its values are printed beside the newest ones that are
recorded for the target, and only what is far above them fails.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cluster import PROGRAM, eventually

RECORD = Path(__file__).with_name("instructions.tsv")
HEAD = """\
# Instructions of a tuple in a release build, on one thread, start and end left out. A compiler's
# lines are written by STORMWIRE_RECORD=1; the newest compiler stands last.
# rustc\ttarget\tcase\tinstructions
"""
CASES = {
    "const-null": ["const-null", "--acks", "off"],
    "const-null acked": ["const-null", "--acks", "on"],
    "const-id-null": ["const-id-null", "--acks", "off"],
    "const-id-null acked": ["const-id-null", "--acks", "on"],
}
# What the tuples cost by which these differ: no start, no first allocation, no end.
FEW, MANY = 50_000, 150_000
DRIFT_MAX = 0.03
# Of another compiler, upwards.
COMPILER_DRIFT_MAX = 0.25

# For 1000 tuples. One thread that has work makes none; the few that are allowed for are those of a
# look at memory by the allocator or of a clock that the kernel has to be asked for.
SYSTEM_CALLS_MAX = 0.1
# Workers make one for what was ready, so that a slow machine makes fewer than a fast one.
LINK_SYSTEM_CALLS_MAX = {"off": 10.0, "on": 40.0}
WATCH_SECS = 2


def compiler():
    """Version and target of the compiler, which built the program if nobody changed it since."""
    told = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    facts = dict(line.split(": ", 1) for line in told.splitlines() if ": " in line)
    return facts["release"], facts["host"]


def recorded():
    """Instructions by (rustc, target, case), in the order of the file."""
    lines = RECORD.read_text().splitlines() if RECORD.exists() else []
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return {(rustc, target, case): float(value) for rustc, target, case, value in rows}


def record(key, found):
    """Puts a value into the file; what is new comes last."""
    known = recorded()
    known[key] = found
    RECORD.write_text(HEAD + "".join(
        "\t".join([*each, f"{value:.1f}"]) + "\n" for each, value in known.items()))


def run_under(tool, case, count):
    """Runs so many tuples of a case under a tool."""
    ran = subprocess.run([*tool, PROGRAM, "bench", *CASES[case], "--tuples", str(count)],
                         check=True, capture_output=True, text=True, timeout=600)
    assert "release build" in ran.stdout, f"{PROGRAM} is no release build: cargo build --release"


def instructions(case, count, out):
    run_under(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"], case, count)
    return int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.M)[1])


def system_calls(out):
    """All calls of a summary of strace."""
    rows = [line.split() for line in out.read_text().splitlines()]
    rows = [row for row in rows if len(row) > 4 and row[3].isdigit() and row[-1] != "total"]
    return sum(int(row[3]) for row in rows)


@pytest.mark.parametrize("case", CASES)
def test_instructions_of_a_tuple(case, tmp_path):
    few, many = (instructions(case, count, tmp_path / str(count)) for count in (FEW, MANY))
    found = (many - few) / (MANY - FEW)
    rustc, target = compiler()
    if os.environ.get("STORMWIRE_RECORD"):
        record((rustc, target, case), found)
        return
    known = recorded()
    if expected := known.get((rustc, target, case)):
        print(f"{case}: {found:.1f} instructions a tuple, {expected} recorded")
        assert abs(found / expected - 1) <= DRIFT_MAX, (
            "a tuple's instructions changed: mend it, or record it by STORMWIRE_RECORD=1")
        return
    others = [value for (_, other, name), value in known.items() if (other, name) == (target, case)]
    print(f"{case}: {found:.1f} instructions a tuple by rustc {rustc} for {target}, of which nothing "
          f"is recorded (STORMWIRE_RECORD=1 does); the newest compiler with a record: {others[-1:]}")
    for newest in others[-1:]:
        assert found / newest - 1 <= COMPILER_DRIFT_MAX


@pytest.mark.parametrize("case", CASES)
def test_a_busy_thread_makes_no_system_calls(case, tmp_path):
    def count(n_tuples):
        out = tmp_path / str(n_tuples)
        run_under(["strace", "-f", "-c", "-o", out], case, n_tuples)
        return system_calls(out)

    few, many = count(FEW), count(20 * FEW)
    found = (many - few) / (19 * FEW) * 1000
    print(f"{case}: {found:.3f} system calls for 1000 tuples ({few} for {FEW} tuples)")
    assert few > 10, "nothing was traced"
    assert found <= SYSTEM_CALLS_MAX


@pytest.mark.parametrize("acks", LINK_SYSTEM_CALLS_MAX)
def test_system_calls_of_two_workers(acks, tmp_path):
    """Counted of both workers while tuples flow between them over loopback."""
    bench = subprocess.Popen(
        [PROGRAM, "bench", "const-null", "--acks", acks, "--workers", "2", "--quick"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        meters = eventually("both workers count", lambda: flowing(tmp_path))
        out = tmp_path / "calls"
        pids = [word for meter in meters for word in ("-p", meter.name.removeprefix("meter-"))]
        before = done(meters, acks)
        strace = subprocess.Popen(["strace", "-f", "-c", "-o", out, *pids], stderr=subprocess.PIPE)
        time.sleep(WATCH_SECS)
        strace.terminate()
        told = strace.communicate(timeout=30)[1].decode()
        tuples = done(meters, acks) - before
        assert "attached" in told, f"strace cannot look at the workers: {told}"
        assert bench.wait(timeout=120) == 0
    finally:
        if bench.poll() is None:
            # Its daemons, too: they end the workers.
            os.killpg(bench.pid, signal.SIGINT)
    found = system_calls(out) / tuples * 1000
    print(f"acks {acks}: {found:.1f} system calls for 1000 tuples, {tuples} tuples")
    assert found <= LINK_SYSTEM_CALLS_MAX[acks]


def flowing(directory):
    """The meters of both workers, once something has come through."""
    meters = sorted(directory.glob("*/meter-*"))
    return len(meters) == 2 and done(meters, "off") > 100_000 and meters


def done(meters, acks):
    """Tuples that are done: acked at the spout, or got by the bolt."""
    lines = [meter.read_text().rpartition("\n")[0].rpartition("\n")[2].split() for meter in meters]
    place = {"on": 2, "off": 4}[acks]
    return sum(int(line[place]) for line in lines if line)
