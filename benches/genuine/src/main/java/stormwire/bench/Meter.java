package stormwire.bench;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * What the components of this process count, written to a file of the run's directory ten times a
 * second, in the form that Stormwire's side has too (perf/meter.rs): time, counts, then what of each
 * histogram is new.
 */
final class Meter {
    private static final long LOOK_MILLIS = 100;
    private static final Map<String, Meter> METERS = new ConcurrentHashMap<>();

    /** Tuples a second that all spouts together emit; 0: as many as they can. */
    volatile long rate;
    private final Path directory;
    private final List<AtomicLong> emitted = new ArrayList<>();
    private final List<AtomicLong> acked = new ArrayList<>();
    private final List<AtomicLong> failed = new ArrayList<>();
    private final List<AtomicLong> executed = new ArrayList<>();
    private final AtomicLong first = new AtomicLong();
    private final AtomicLong done = new AtomicLong();
    private final Histogram toAck = new Histogram();
    private final Histogram toBolt = new Histogram();

    static Meter of(String directory) {
        return METERS.computeIfAbsent(directory, Meter::new);
    }

    private Meter(String directory) {
        this.directory = Path.of(directory);
        readRate();
        Thread thread = new Thread(this::write, "bench-meter");
        thread.setDaemon(true);
        thread.start();
    }

    synchronized AtomicLong emitted() {
        return added(emitted);
    }

    synchronized AtomicLong acked() {
        return added(acked);
    }

    synchronized AtomicLong failed() {
        return added(failed);
    }

    synchronized AtomicLong executed() {
        return added(executed);
    }

    /** A spout emits for the first time. */
    void began() {
        first.compareAndSet(0, System.nanoTime());
    }

    /** The last tree of a spout that ends is complete. */
    void ended() {
        done.set(System.nanoTime());
    }

    void recordAck(long nanos) {
        toAck.record(nanos);
    }

    void recordBolt(long nanos) {
        toBolt.record(nanos);
    }

    private static AtomicLong added(List<AtomicLong> counters) {
        AtomicLong counter = new AtomicLong();
        counters.add(counter);
        return counter;
    }

    private void write() {
        Path file = directory.resolve("meter-" + ProcessHandle.current().pid());
        try (BufferedWriter out = Files.newBufferedWriter(file)) {
            while (true) {
                out.write(line());
                out.flush();
                Thread.sleep(LOOK_MILLIS);
                readRate();
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized String line() {
        StringBuilder line = new StringBuilder();
        line.append(System.nanoTime());
        for (List<AtomicLong> counters : List.of(emitted, acked, failed, executed)) {
            line.append(' ').append(counters.stream().mapToLong(AtomicLong::get).sum());
        }
        // Allocations are not counted here.
        line.append(" - ").append(first.get()).append(' ').append(done.get());
        toAck.appendNew(line, 'A');
        toBolt.appendNew(line, 'B');
        return line.append('\n').toString();
    }

    private void readRate() {
        try {
            rate = Long.parseLong(Files.readString(directory.resolve("rate")).trim());
        } catch (IOException | NumberFormatException absent) {
            rate = 0;
        }
    }

    /** Logarithmic buckets, 32 for each power of two, as in Stormwire's. */
    private static final class Histogram {
        private static final int SUB_BITS = 5;
        private static final int SUB_BUCKETS = 1 << SUB_BITS;
        private final AtomicLongArray counts =
                new AtomicLongArray((64 - SUB_BITS + 1) << SUB_BITS);
        private final long[] written = new long[counts.length()];

        void record(long nanos) {
            counts.incrementAndGet(bucket(Math.max(0, nanos)));
        }

        void appendNew(StringBuilder line, char name) {
            for (int index = 0; index < written.length; index++) {
                long count = counts.get(index);
                if (count > written[index]) {
                    line.append(' ').append(name).append(index).append(':')
                            .append(count - written[index]);
                    written[index] = count;
                }
            }
        }

        private static int bucket(long nanos) {
            if (nanos < SUB_BUCKETS) {
                return (int) nanos;
            }
            int shift = 63 - Long.numberOfLeadingZeros(nanos) - SUB_BITS;
            return (shift + 1) * SUB_BUCKETS + (int) ((nanos >> shift) - SUB_BUCKETS);
        }
    }
}
