"""No method of the IDL without a contract test, and no contract test without its section.

Reads the tests' text: a call counts when it is written out, on a client of that service.
"""

import ast
import inspect
import re
from pathlib import Path

import peers

from . import rules

HERE = Path(__file__).resolve().parent
# How clients of a service are called in tests; every other name is a client of Nimbus.
CLIENTS = {
    "supervisor": rules.SUPERVISOR,
    "drpc": rules.DRPC,
    "invocations": rules.INVOCATIONS,
}
# A section, a hole that others fell into (F7), or that the rule is not Storm's.
SECTION = re.compile(r"\b[CDM] \d+(\.\d+)?|\b[A-G]\d+:|\bOurs:")


def sources():
    for path in sorted(HERE.glob("test_*.py")):
        if path != Path(__file__):
            yield path, path.read_text()


def calls():
    """(service, method) of each call in the tests: `client.method(...)`, and methods that are named
    in a table and called by that name.
    """
    for _, source in sources():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute):
                name = getattr(node.value, "id", getattr(node.value, "attr", ""))
                yield CLIENTS.get(name, rules.NIMBUS), node.attr


def test_every_method_of_the_idl_is_called():
    """C 14.4: the methods of all four services, as the stock compiler knows them."""
    called = set(calls())
    missing, n_methods = [], 0
    for service in rules.ADDRESS_OF:
        interface = peers.Apache(service).service.Iface
        for method, _ in inspect.getmembers(interface, inspect.isfunction):
            n_methods += 1
            if (service, method) not in called:
                missing.append(f"{service}.{method}")
    assert n_methods > 60
    assert not missing, "no test calls " + ", ".join(missing)


def test_every_contract_test_names_its_section():
    """C 14: the section of the specification, in a test's first lines or its comments."""
    unnamed = []
    for path, source in sources():
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                if not SECTION.search(ast.get_source_segment(source, node)):
                    unnamed.append(f"{path.name}: {node.name}")
    assert not unnamed, "no section in " + ", ".join(unnamed)
