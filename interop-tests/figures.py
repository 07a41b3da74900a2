"""Figures of the catalogue of reliability tests (rows E1 to G8): a line where one arises, and a table of
all of them when the run ends. Judges nothing.
"""

import os
import re

# Rows as (letter, number), and what was measured, in the order in which the tests ran.
_lines = []


def figure(row, text):
    """Prints a row's figure, and keeps it for the end of the run: also in the file that `run` names
    for the figures of all its steps.
    """
    letter, number = re.fullmatch(r"([A-H])(\d+)", row).groups()
    _lines.append(((letter, int(number)), text))
    print(f"{row}: {text}")
    if path := os.environ.get("STORMWIRE_FIGURES"):
        with open(path, "a") as file:
            file.write(f"{row}\t{text}\n")


def table():
    """All lines so far, row by row."""
    ordered = sorted(_lines, key=lambda line: line[0])
    return [f"{f'{letter}{number}':4} {text}" for (letter, number), text in ordered]
