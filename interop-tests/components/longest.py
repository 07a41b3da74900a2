"""A batch bolt: gathers (request, text) and has its say when all are there: (request, the longest).

Runs inside a CoordinatedBolt as `shell-batch`: the tuple of the stream `id` comes last.
"""

import multilang

gathered = {}


def process(message):
    request = message["tuple"][0]
    if message["stream"] == "id":
        texts = gathered.pop(request, [])
        longest = max(texts, key=len, default="nothing")
        multilang.emit([request, f"{len(texts)}: {longest}"], anchors=[message["id"]])
    else:
        gathered.setdefault(request, []).append(message["tuple"][1])


multilang.run_bolt(process)
