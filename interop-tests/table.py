#!/usr/bin/env python3
"""The table of README.md that says which client does what here: client, versions, operations that passed.

A test that saw an operation of a client succeed, and checked what came of it, says so with `note`, as its last
line. `interop-tests/run` collects the notes of its tests in the file that STORMWIRE_TABLE names, and then runs
this file as a program, which prints the table and holds README's copy against it:

    STORMWIRE_TABLE=notes interop-tests/table.py [--write | --add]

An operation that README claims and no test noted, or the other way round, is an error; versions are shown and
may differ between machines. With --write the notes become README's copy, with --add those of some tests join
it. Judges nothing else.
"""

import os
import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN = "<!-- clients and operations: written by interop-tests/table.py --write -->"
END = "<!-- end of clients and operations -->"
HEADER = "| client | with | operations that passed |\n|---|---|---|\n"


def note(client, version, *operations):
    """An operation, or several, of a client that the calling test saw succeed.

    Names are those that a reader of README knows: note("streamparse", "5.0.1", "sparse submit -f").
    """
    for operation in operations:
        for text in (client, version, operation):
            assert text and not re.search(r"[|\t\n;]", text), f"not fit for a table: {text!r}"
        print(f"{client} ({version}): {operation} passed")
        if path := os.environ.get("STORMWIRE_TABLE"):
            with open(path, "a") as file:
                file.write(f"{client}\t{version}\t{operation}\n")


def read_notes(text):
    """{client: (versions, operations)}, both in the order in which they were noted, none twice."""
    found = {}
    for line in text.splitlines():
        client, version, operation = line.split("\t")
        versions, operations = found.setdefault(client, ({}, {}))
        versions[version] = operations[operation] = None
    return {client: tuple(map(list, found[client])) for client in sorted(found, key=str.lower)}


def markdown(cells):
    rows = (
        f"| {client} | {'; '.join(versions)} | {'; '.join(operations)} |\n"
        for client, (versions, operations) in cells.items()
    )
    return HEADER + "".join(rows)


def split_at_copy(readme):
    """The text before README's copy of the table, the copy, the text after it."""
    before, begin, rest = readme.partition(BEGIN)
    copy, end, after = rest.partition(END)
    assert begin and end, f"README.md has no place for the table: {BEGIN} and {END}"
    return before + begin, copy, end + after


def read_copy(copy):
    """README's copy, as `read_notes` returns notes."""
    rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", copy.replace(HEADER, ""), re.MULTILINE)
    return {client: (versions.split("; "), cell.split("; ")) for client, versions, cell in rows}


def pairs(cells):
    return {(client, operation) for client in cells for operation in cells[client][1]}


def added(copy, cells):
    """README's copy with these cells besides; versions are the new ones where there are any."""
    joined = read_copy(copy)
    for client, (versions, operations) in cells.items():
        known = joined.get(client, ([], []))[1]
        joined[client] = (versions, list(dict.fromkeys([*known, *operations])))
    return {client: joined[client] for client in sorted(joined, key=str.lower)}


def differences(copy, cells):
    """What README's copy and the notes do not agree on, a line each."""
    claimed, passed = pairs(read_copy(copy)), pairs(cells)
    lines = [f"README claims, but no test saw: {' | '.join(cell)}" for cell in claimed - passed]
    lines += [f"passed, but README lacks: {' | '.join(cell)}" for cell in passed - claimed]
    return sorted(lines)


def main(arguments):
    if arguments not in ([], ["--write"], ["--add"]) or "STORMWIRE_TABLE" not in os.environ:
        sys.exit("usage: STORMWIRE_TABLE=notes table.py [--write | --add]")
    cells = read_notes(Path(os.environ["STORMWIRE_TABLE"]).read_text())
    before, copy, after = split_at_copy(README.read_text())
    table = markdown(added(copy, cells) if arguments == ["--add"] else cells)
    print(table)
    if arguments:
        README.write_text(f"{before}\n\n{table}\n{after}")
    elif unlike := differences(copy, cells):
        remedy = "README.md holds another table than the one above: table.py --write, or mend the client"
        sys.exit("\n".join([*unlike, remedy]))


if __name__ == "__main__":
    main(sys.argv[1:])
