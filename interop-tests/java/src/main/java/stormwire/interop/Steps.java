package stormwire.interop;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * What a program of ours does, step by step, and how it ended: a line for each step, an exit code
 * for all. A step that failed does not keep the next from running.
 */
final class Steps {
    interface Body {
        /** Does it. What it returns is shown beside the step's name. */
        Object run() throws Throwable;
    }

    private final List<String> failures = new ArrayList<>();
    private int passed;

    void step(String name, Body body) {
        long started = System.nanoTime();
        try {
            Object told = body.run();
            passed++;
            line("passed", name, started, told == null ? "" : told.toString());
        } catch (Throwable failure) {
            failures.add(name);
            line("FAILED", name, started, causes(failure));
            StringWriter trace = new StringWriter();
            failure.printStackTrace(new PrintWriter(trace));
            System.err.println(name + ": " + trace);
        }
    }

    /** Prints the totals and ends the process: 0 when every step passed. */
    void finish() {
        System.out.printf("total %d passed, %d failed %s%n", passed, failures.size(),
                failures.isEmpty() ? "" : failures);
        System.out.flush();
        // Storm's client leaves threads behind that would keep the process alive.
        Runtime.getRuntime().halt(failures.isEmpty() ? 0 : 1);
    }

    private static String causes(Throwable failure) {
        StringBuilder told = new StringBuilder(failure.toString());
        for (Throwable cause = failure.getCause(); cause != null; cause = cause.getCause()) {
            told.append(" because ").append(cause);
        }
        return told.toString();
    }

    private static void line(String outcome, String name, long started, String told) {
        long ms = (System.nanoTime() - started) / 1_000_000;
        System.out.printf("%s | %s | %d ms | %s%n", outcome, name, ms,
                told.lines().findFirst().orElse(""));
    }

    static void check(boolean holds, Object told) {
        if (!holds) {
            throw new AssertionError(String.valueOf(told));
        }
    }

    static void equal(Object actual, Object expected) {
        check(expected == null ? actual == null : expected.equals(actual),
                actual + " instead of " + expected);
    }

    interface Probe {
        boolean holds() throws Exception;
    }

    /** Waits until the probe holds. */
    static void eventually(String what, Probe probe) throws Exception {
        long deadline = System.nanoTime() + (long) (30e9 * patience());
        while (!probe.holds()) {
            check(System.nanoTime() < deadline, "waited in vain: " + what);
            Thread.sleep(50);
        }
    }

    private static double patience() {
        String told = System.getenv("STORMWIRE_PATIENCE");
        return told == null || told.isEmpty() ? 1 : Double.parseDouble(told);
    }

    /** The exception of this kind that the body throws; no other will do. */
    static <E extends Throwable> E thrown(Class<E> kind, Body body) throws Throwable {
        Object told;
        try {
            told = body.run();
        } catch (Throwable failure) {
            if (kind.isInstance(failure)) {
                return kind.cast(failure);
            }
            throw failure;
        }
        throw new AssertionError("no " + kind.getSimpleName() + " but " + told);
    }
}
