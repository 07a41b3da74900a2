"""The contract once more, by the Java client of the stock compiler: a rule or more a method.

The rules and their sections are in ../java (Contract.java and the classes that it names). Java
checks required fields of every reply, Python does not.
"""

import java

SERVICES = ("nimbus", "supervisor", "drpc", "drpc-invocations")


def test_the_generated_java_client(cluster, capsys):
    """C 14.4: each method of the four services, with its result and its refusals."""
    addresses = [
        f"{name}={host}:{port}"
        for name, (host, port) in cluster.addresses.items()
        if name in SERVICES
    ]
    steps = java.run("Contract", addresses)
    with capsys.disabled():
        print(java.table("Generated Java client", steps))
    assert [step.name for step in steps if step.outcome != "passed"] == []
