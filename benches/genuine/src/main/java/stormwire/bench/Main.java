package stormwire.bench;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

import net.minidev.json.JSONObject;
import net.minidev.json.parser.JSONParser;
import org.apache.storm.Config;
import org.apache.storm.ILocalCluster;
import org.apache.storm.LocalCluster;
import org.apache.storm.generated.ExecutorSummary;
import org.apache.storm.generated.TopologyInfo;

/**
 * Genuine Storm in one JVM, steered over standard input: {@code submit PLAN}, {@code stats},
 * {@code kill}; the end of the input ends it. Its answers are lines on standard output.
 *
 * <p>Measures nothing: components write what they count (Meter), and the parent watches this
 * process.
 */
public final class Main {
    private static final String NAME = "bench";
    private static final int STATS_SECS = 2;
    /** Until they have got there: they also travel with a heartbeat every three seconds. */
    private static final long STATS_MILLIS = 7000;

    public static void main(String[] args) throws Exception {
        int workers = Integer.parseInt(args[0]);
        LocalCluster.Builder builder = new LocalCluster.Builder()
                .withSupervisors(1)
                .withPortsPerSupervisor(workers)
                // How often statistics reach getTopologyInfo; by default once a minute.
                .withDaemonConf(Config.EXECUTOR_METRICS_FREQUENCY_SECS, STATS_SECS);
        if (workers > 1) {
            // Netty between workers, as between processes, instead of queues.
            builder.withDaemonConf(Config.STORM_LOCAL_MODE_ZMQ, true);
        }
        ILocalCluster cluster = builder.build();
        say("ready");
        BufferedReader orders =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = orders.readLine(); line != null; line = orders.readLine()) {
            obey(cluster, line.split(" ", 2));
        }
        // Nothing of it is needed any more; an orderly end takes many seconds.
        Runtime.getRuntime().halt(0);
    }

    private static void obey(ILocalCluster cluster, String[] order) throws Exception {
        switch (order[0]) {
            case "submit":
                JSONObject plan = (JSONObject) new JSONParser(JSONParser.MODE_RFC4627)
                        .parse(Files.readString(Path.of(order[1])));
                Config conf = new Config();
                conf.putAll((Map<String, Object>) plan.get("conf"));
                long started = System.nanoTime();
                cluster.submitTopology(NAME, conf, Graph.of(plan));
                say("submitted " + started + " " + System.nanoTime());
                break;
            case "stats":
                cluster.deactivate(NAME);
                Thread.sleep(STATS_MILLIS);
                say("emitted " + emitted(cluster));
                break;
            case "kill":
                cluster.killTopology(NAME);
                say("killed");
                break;
            default:
                throw new IllegalArgumentException("unknown order: " + order[0]);
        }
    }

    /** What getTopologyInfo says that the spouts emitted. */
    private static long emitted(ILocalCluster cluster) throws Exception {
        String id = cluster.getTopologyInfoByName(NAME).get_id();
        TopologyInfo info = cluster.getTopologyInfo(id);
        long emitted = 0;
        for (ExecutorSummary executor : info.get_executors()) {
            if (executor.get_component_id().equals("spout") && executor.get_stats() != null) {
                Map<String, Long> all = executor.get_stats().get_emitted().get(":all-time");
                emitted += all == null ? 0 : all.getOrDefault("default", 0L);
            }
        }
        return emitted;
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private Main() {
    }
}
