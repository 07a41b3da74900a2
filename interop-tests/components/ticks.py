"""A bolt that emits of each tick where it came from and what it holds; others it drops."""

import multilang


def process(message):
    if message["stream"] == "__tick":
        multilang.emit([message["comp"], message["task"], message["tuple"][0]])


multilang.run_bolt(process)
