"""The two functions of pkg_resources that streamparse 5 imports, for Pythons and setuptools that lack it.

Later ones that have it still end `sparse stats` with an error: they refuse to compare with "0.9.2-incubating".
"""

import re
from importlib import import_module
from pathlib import Path


def parse_version(text):
    """The numbers that a version begins with, to be compared: "0.9.2-incubating" is (0, 9, 2)."""
    numbers = [int(number) for number in re.findall(r"\d+", re.match(r"[\d.]*", text)[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def resource_filename(package, path):
    """Where a file of a package is."""
    return str(Path(import_module(package).__file__).parent / path)
