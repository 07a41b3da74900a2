package stormwire.bench;

import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.storm.spout.SpoutOutputCollector;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.base.BaseRichSpout;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Values;

/**
 * Emits what its source has: as fast as it may, or at the meter's rate. Latency is of one emit in
 * 1024, from its stamp; at a rate of more of them, from the time at which it was due.
 */
final class MeteredSpout extends BaseRichSpout {
    private static final long STAMP_EVERY = 1024;
    private static final int STAMPS = 4096;
    /** At a rate so many tuples a second get stamps. */
    private static final long STAMPS_A_SECOND = 20_000;

    private final String directory;
    private final Fields fields;
    private final boolean tracked;
    private final Sources.Source source;

    private transient Meter meter;
    private transient SpoutOutputCollector collector;
    private transient AtomicLong emitted;
    private transient AtomicLong acked;
    private transient AtomicLong failed;
    private transient long spouts;
    /** Ids of stamped tuples, and when they were emitted or due. */
    private transient long[] stampIds;
    private transient long[] stampTimes;
    private transient long stampEvery;
    private transient long count;
    private transient long ackedCount;
    private transient long failedCount;
    /** The next look at clock and rate. */
    private transient long until;
    private transient long rate;
    private transient long started;
    private transient long countAtStart;

    MeteredSpout(String directory, Fields fields, boolean tracked, Sources.Source source) {
        this.directory = directory;
        this.fields = fields;
        this.tracked = tracked;
        this.source = source;
    }

    @Override
    public void open(Map<String, Object> conf, TopologyContext context,
                     SpoutOutputCollector collector) {
        this.collector = collector;
        meter = Meter.of(directory);
        emitted = meter.emitted();
        acked = meter.acked();
        failed = meter.failed();
        spouts = context.getComponentTasks(context.getThisComponentId()).size();
        stampIds = new long[STAMPS];
        stampTimes = new long[STAMPS];
        stampEvery = STAMP_EVERY;
        Arrays.fill(stampIds, -1);
        source.open();
    }

    @Override
    public void nextTuple() {
        if (count >= until && !isDue()) {
            return;
        }
        String text = source.next();
        if (text == null) {
            return;
        }
        if (count == 0) {
            meter.began();
        }
        long id = count;
        count = id + 1;
        emitted.lazySet(count);
        if (!tracked) {
            collector.emit(new Values(text));
            return;
        }
        if (id % stampEvery == 0) {
            int place = (int) (id / stampEvery % STAMPS);
            stampIds[place] = id;
            stampTimes[place] = rate == 0 ? System.nanoTime() : dueAt(id);
        }
        collector.emit(new Values(text), id);
    }

    @Override
    public void ack(Object id) {
        acked.lazySet(++ackedCount);
        long number = (Long) id;
        if (number % stampEvery == 0) {
            int place = (int) (number / stampEvery % STAMPS);
            if (stampIds[place] == number) {
                meter.recordAck(System.nanoTime() - stampTimes[place]);
            }
        }
        if (ackedCount == source.size()) {
            meter.ended();
        }
    }

    @Override
    public void fail(Object id) {
        failed.lazySet(++failedCount);
    }

    @Override
    public void declareOutputFields(OutputFieldsDeclarer declarer) {
        declarer.declare(fields);
    }

    /** Whether the next tuple may go; if so, up to which no other look is needed. */
    private boolean isDue() {
        long wanted = meter.rate;
        if (wanted != rate) {
            rate = wanted;
            started = System.nanoTime();
            countAtStart = count;
            stampEvery = rate == 0
                    ? STAMP_EVERY
                    : Math.min(STAMP_EVERY, Long.highestOneBit(1 + rate / STAMPS_A_SECOND));
            Arrays.fill(stampIds, -1);
        }
        if (rate == 0) {
            until = count + STAMP_EVERY;
            return true;
        }
        double seconds = (System.nanoTime() - started) / 1e9;
        long due = countAtStart + 1 + (long) (seconds * rate / spouts);
        until = Math.min(due, count + STAMP_EVERY);
        return due > count;
    }

    private long dueAt(long id) {
        return started + (long) ((id - countAtStart) * 1e9 * spouts / rate);
    }
}
