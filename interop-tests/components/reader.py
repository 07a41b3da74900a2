"""A spout that emits, about ten times a second, what stands in the files that `reader.files` names.

The files are blobs: workers find them beside the directory that shell components start in.
"""

import time

import multilang


class Reader:
    def open(self, conf, context):
        self.files = conf["reader.files"]

    def next(self):
        texts = []
        for name in self.files:
            with open(f"../{name}") as file:
                texts.append(file.read(100).strip())
        multilang.emit(["|".join(texts)])
        time.sleep(0.1)

    def ack(self, id):
        pass

    def fail(self, id):
        pass


multilang.run_spout(Reader())
