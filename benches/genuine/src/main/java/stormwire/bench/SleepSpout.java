package stormwire.bench;

import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.storm.spout.SpoutOutputCollector;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.base.BaseRichSpout;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Values;
import org.apache.storm.utils.Utils;

/** Emits the time, after a sleep of so many milliseconds; the stamp is the message id. */
final class SleepSpout extends BaseRichSpout {
    private final String directory;
    private final Fields fields;
    private final boolean tracked;
    private final long sleepMillis;
    private transient Meter meter;
    private transient SpoutOutputCollector collector;
    private transient AtomicLong emitted;
    private transient AtomicLong acked;

    SleepSpout(String directory, Fields fields, boolean tracked, long sleepMillis) {
        this.directory = directory;
        this.fields = fields;
        this.tracked = tracked;
        this.sleepMillis = sleepMillis;
    }

    @Override
    public void open(Map<String, Object> conf, TopologyContext context,
                     SpoutOutputCollector collector) {
        this.collector = collector;
        meter = Meter.of(directory);
        emitted = meter.emitted();
        acked = meter.acked();
    }

    @Override
    public void nextTuple() {
        Utils.sleep(sleepMillis);
        meter.began();
        emitted.lazySet(emitted.get() + 1);
        Long now = System.nanoTime();
        if (tracked) {
            collector.emit(new Values(now), now);
        } else {
            collector.emit(new Values(now));
        }
    }

    @Override
    public void ack(Object id) {
        acked.lazySet(acked.get() + 1);
        meter.recordAck(System.nanoTime() - (Long) id);
    }

    @Override
    public void declareOutputFields(OutputFieldsDeclarer declarer) {
        declarer.declare(fields);
    }
}
