"""A bolt over Storm's own adapter that deals its tuples out: by direct emits, to each task of `sink` in turn."""

import storm


class Deal(storm.Bolt):
    def initialize(self, conf, context):
        tasks = context["task->component"]
        self.tasks = sorted(int(task) for task, component in tasks.items() if component == "sink")
        self.n_dealt = 0

    def process(self, tuple):
        task = self.tasks[self.n_dealt % len(self.tasks)]
        self.n_dealt += 1
        storm.emitDirect(task, [task, tuple.values[0]], anchors=[tuple])
        storm.ack(tuple)


Deal().run()
