"""A bolt that says at level debug what it got, and acks it."""

import multilang

conf, _ = multilang.handshake()

while True:
    message = multilang._read()
    if isinstance(message, dict) and message["stream"] == "__heartbeat":
        multilang._write({"command": "sync"})
    elif isinstance(message, dict):
        said = f"heard {message['tuple']}"
        multilang._write({"command": "log", "msg": said, "level": 1})
        multilang._write({"command": "ack", "id": message["id"]})
    multilang._flush()
