"""A bolt in a process of its own: counts words and emits (word, count).

    python3 count.py HOST:PORT-OF-NIMBUS TOPOLOGY COMPONENT
"""

import sys
from collections import Counter

from gateway import messages, number, serve, text


def count(client, session):
    counts = Counter()
    answers = {}
    while True:
        # Answers to the tuples of the last call go with the question for more.
        request = messages.GatewayReceive(session=session.session, **answers)
        delivery = client.receive(request)
        answers = {"messages": [], "acks": []}
        for received in delivery.tuples:
            word = received.values[0].string_value
            counts[word] += 1
            answers["messages"].append(
                messages.GatewayMessage(
                    values=[text(word), number(counts[word])], anchors=[received.handle]
                )
            )
            answers["acks"].append(received.handle)


if __name__ == "__main__":
    nimbus, topology, component = sys.argv[1:]
    host, _, port = nimbus.rpartition(":")
    serve((host, int(port)), topology, messages.GatewayRole.BOLT, component, count)
