package stormwire.bench;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.storm.task.OutputCollector;
import org.apache.storm.task.ShellBolt;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.IRichBolt;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.base.BaseRichBolt;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Tuple;
import org.apache.storm.tuple.Values;
import org.apache.storm.utils.Utils;

/** The bolts of the plans. */
final class Bolts {
    /** What bolts have in common: fields, a collector and, with a directory, a counter. */
    abstract static class Metered extends BaseRichBolt {
        private final String directory;
        private final Fields fields;
        protected transient OutputCollector collector;
        protected transient Meter meter;
        private transient AtomicLong executed;
        private transient long count;

        Metered(String directory, Fields fields) {
            this.directory = directory;
            this.fields = fields;
        }

        @Override
        public void prepare(Map<String, Object> conf, TopologyContext context,
                            OutputCollector collector) {
            this.collector = collector;
            if (!directory.isEmpty()) {
                meter = Meter.of(directory);
                executed = meter.executed();
            }
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {
            if (fields.size() > 0) {
                declarer.declare(fields);
            }
        }

        protected void counted() {
            executed.lazySet(++count);
        }
    }

    /** Passes each tuple on, anchored. */
    static final class Id extends Metered {
        Id(Fields fields) {
            super("", fields);
        }

        @Override
        public void execute(Tuple tuple) {
            collector.emit(tuple, tuple.getValues());
            collector.ack(tuple);
        }
    }

    /** Counts and acks, after a sleep if told. */
    static final class Null extends Metered {
        private final long sleepMillis;

        Null(String directory, Fields fields, long sleepMillis) {
            super(directory, fields);
            this.sleepMillis = sleepMillis;
        }

        @Override
        public void execute(Tuple tuple) {
            if (sleepMillis > 0) {
                Utils.sleep(sleepMillis);
            }
            counted();
            collector.ack(tuple);
        }
    }

    /** Emits each word. */
    static final class Split extends Metered {
        Split(Fields fields) {
            super("", fields);
        }

        @Override
        public void execute(Tuple tuple) {
            for (String word : tuple.getString(0).split("\\s+")) {
                collector.emit(tuple, new Values(word));
            }
            collector.ack(tuple);
        }
    }

    /** Emits each word with how often it has come. */
    static final class Count extends Metered {
        private transient Map<String, Long> counts;

        Count(String directory, Fields fields) {
            super(directory, fields);
        }

        @Override
        public void prepare(Map<String, Object> conf, TopologyContext context,
                            OutputCollector collector) {
            super.prepare(conf, context, collector);
            counts = new HashMap<>();
        }

        @Override
        public void execute(Tuple tuple) {
            counted();
            String word = tuple.getString(0);
            collector.emit(tuple, new Values(word, counts.merge(word, 1L, Long::sum)));
            collector.ack(tuple);
        }
    }

    /** Records how long ago the time in each tuple was. */
    static final class Latency extends Metered {
        Latency(String directory, Fields fields) {
            super(directory, fields);
        }

        @Override
        public void execute(Tuple tuple) {
            meter.recordBolt(System.nanoTime() - tuple.getLong(0));
            counted();
            collector.ack(tuple);
        }
    }

    /** Appends lines to a file; acks them when so many have come and are on the disk. */
    static final class ToFile extends Metered {
        private final String directory;
        private final long syncEvery;
        private transient FileOutputStream file;
        private transient StringBuilder lines;
        private transient List<Tuple> held;

        ToFile(String directory, Fields fields, long syncEvery) {
            super(directory, fields);
            this.directory = directory;
            this.syncEvery = syncEvery;
        }

        @Override
        public void prepare(Map<String, Object> conf, TopologyContext context,
                            OutputCollector collector) {
            super.prepare(conf, context, collector);
            lines = new StringBuilder();
            held = new ArrayList<>();
            try {
                file = new FileOutputStream(directory + "/file-" + context.getThisTaskId());
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        @Override
        public void execute(Tuple tuple) {
            counted();
            lines.append(tuple.getString(0)).append('\n');
            held.add(tuple);
            if (held.size() < syncEvery) {
                return;
            }
            try {
                file.write(lines.toString().getBytes(StandardCharsets.UTF_8));
                file.getFD().sync();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
            held.forEach(collector::ack);
            held.clear();
            lines.setLength(0);
        }
    }

    /** A child process: program and script. */
    static final class Shell extends ShellBolt implements IRichBolt {
        Shell(String program, String script) {
            super(program, script);
            // Nothing was unpacked here that it could run in.
            changeChildCWD(false);
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {
            // It emits nothing.
        }

        @Override
        public Map<String, Object> getComponentConfiguration() {
            return null;
        }
    }

    private Bolts() {
    }
}
