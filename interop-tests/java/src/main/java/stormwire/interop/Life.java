package stormwire.interop;

import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;
import static stormwire.interop.Steps.thrown;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.generated.ExecutorSummary;
import org.apache.storm.generated.GetInfoOptions;
import org.apache.storm.generated.InvalidTopologyException;
import org.apache.storm.generated.KillOptions;
import org.apache.storm.generated.LogConfig;
import org.apache.storm.generated.LogLevel;
import org.apache.storm.generated.LogLevelAction;
import org.apache.storm.generated.Nimbus;
import org.apache.storm.generated.NimbusSummary;
import org.apache.storm.generated.NotAliveException;
import org.apache.storm.generated.NumErrorsChoice;
import org.apache.storm.generated.RebalanceOptions;
import org.apache.storm.generated.StormTopology;
import org.apache.storm.generated.TopologyInfo;
import org.apache.storm.generated.TopologySummary;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.tuple.Fields;
import org.apache.storm.utils.NimbusClient;

/**
 * A topology's life: StormSubmitter, then with NimbusClient what the commands of `storm` do.
 *
 * <p>Those commands themselves are in storm-core; the calls here are theirs, in their order.
 */
final class Life {
    private final Map<String, Object> conf;
    private final String name;
    private final Path out;

    Life(Map<String, Object> conf, String name, String directory) {
        this.conf = conf;
        this.name = name;
        out = Path.of(directory, name);
    }

    void run(Steps steps) {
        steps.step("leader", this::leader);
        steps.step("submit", () -> {
            StormSubmitter.submitTopology(name, settings(), topology());
            eventually("tuples arrive", () -> lines() > 10);
            return lines() + " tuples arrived";
        });
        steps.step("submit under a taken name refused", () -> thrown(RuntimeException.class,
                () -> {
                    StormSubmitter.submitTopology(name, settings(), topology());
                    return null;
                }).getMessage());
        steps.step("submit of an invalid topology refused", this::invalid);
        steps.step("list", () -> with(this::list));
        steps.step("monitor", () -> with(this::monitor));
        steps.step("get-errors", () -> with(this::errors));
        steps.step("pages", () -> with(this::pages));
        steps.step("deactivate", () -> with(nimbus -> {
            nimbus.deactivate(name);
            equal(nimbus.getTopologySummaryByName(name).get_status(), "INACTIVE");
            eventually("the spout rests", this::rests);
            return null;
        }));
        steps.step("activate", () -> with(nimbus -> {
            nimbus.activate(name);
            equal(nimbus.getTopologySummaryByName(name).get_status(), "ACTIVE");
            long before = lines();
            eventually("tuples arrive again", () -> lines() > before);
            return null;
        }));
        steps.step("set-log-level", () -> with(this::setLogLevel));
        steps.step("upload credentials", () -> StormSubmitter.pushCredentials(name, conf,
                Map.of("white", "whale")) ? "pushed" : null);
        steps.step("rebalance", () -> with(this::rebalance));
        steps.step("kill", () -> with(this::kill));
        steps.step("kill of a topology that is gone refused", () -> with(nimbus ->
                thrown(NotAliveException.class, () -> {
                    nimbus.killTopology(name);
                    return null;
                }).get_msg()));
    }

    /** A shell spout, native bolts: the graph as any Java user declares it. */
    private StormTopology topology() {
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("pulse", new Remote.Spout("sequence"));
        builder.setBolt("project", new Remote.Bolt("sequence"), 2).shuffleGrouping("pulse");
        builder.setBolt("sink", new Remote.Bolt(), 2)
                .fieldsGrouping("project", new Fields("sequence"));
        StormTopology topology = builder.createTopology();
        Remote.put(topology, "pulse", Remote.shell("python3", "pulse.py"));
        Remote.put(topology, "project", Remote.named("stormwire.Project", "sequence"));
        Remote.put(topology, "sink", Remote.named("stormwire.FileSink", out.toString()));
        return topology;
    }

    private static Config settings() {
        Config settings = new Config();
        settings.setNumWorkers(1);
        settings.setMessageTimeoutSecs(30);
        settings.setStatsSampleRate(1.0);
        settings.put("a.key.of.ours", Map.of("x", List.of(1, 2.5, "ä")));
        return settings;
    }

    private Object leader() throws Exception {
        return with(nimbus -> {
            NimbusSummary leader = nimbus.getLeader();
            check(leader.is_isLeader(), leader);
            return leader.get_host() + ":" + leader.get_port() + " " + leader.get_version();
        });
    }

    private Object invalid() throws Throwable {
        StormTopology topology = topology();
        topology.get_bolts().get("project").get_common().get_inputs().keySet()
                .forEach(source -> source.set_componentId("ghost"));
        // StormSubmitter wraps what Nimbus said.
        Throwable cause = thrown(RuntimeException.class, () -> {
            StormSubmitter.submitTopology(name + "-invalid", settings(), topology);
            return null;
        }).getCause();
        check(cause instanceof InvalidTopologyException, cause);
        return ((InvalidTopologyException) cause).get_msg();
    }

    private Object list(Nimbus.Iface nimbus) throws Exception {
        List<TopologySummary> all = nimbus.getTopologySummaries();
        TopologySummary own = all.stream().filter(each -> each.get_name().equals(name))
                .findFirst().orElseThrow();
        equal(own.get_status(), "ACTIVE");
        equal(own.get_num_workers(), 1);
        // pulse, project and sink twice each, an acker.
        equal(own.get_num_tasks(), 6);
        check(nimbus.getClusterInfo().get_topologies().contains(own), "not in getClusterInfo");
        return own.get_id();
    }

    /** As `storm monitor` computes it: what a component's executors emitted, summed. */
    private Object monitor(Nimbus.Iface nimbus) throws Exception {
        GetInfoOptions none = new GetInfoOptions();
        none.set_num_err_choice(NumErrorsChoice.NONE);
        long before = emitted(nimbus.getTopologyInfoByNameWithOpts(name, none), "project");
        eventually("more is emitted",
                () -> emitted(nimbus.getTopologyInfoByNameWithOpts(name, none), "project")
                        > before);
        return emitted(nimbus.getTopologyInfoByNameWithOpts(name, none), "project") + " emitted";
    }

    private static long emitted(TopologyInfo info, String component) {
        long sum = 0;
        for (ExecutorSummary each : info.get_executors()) {
            if (each.get_component_id().equals(component) && each.is_set_stats()) {
                Map<String, Long> streams = each.get_stats().get_emitted().get(":all-time");
                sum += streams == null ? 0 : streams.getOrDefault("default", 0L);
            }
        }
        return sum;
    }

    private Object errors(Nimbus.Iface nimbus) throws Exception {
        GetInfoOptions one = new GetInfoOptions();
        one.set_num_err_choice(NumErrorsChoice.ONE);
        TopologyInfo info = nimbus.getTopologyInfoByNameWithOpts(name, one);
        check(info.get_errors().keySet().containsAll(List.of("pulse", "project", "sink")),
                info.get_errors());
        return info.get_errors().keySet();
    }

    /** Java refuses a reply that lacks one required field, so that reading it tells a lot. */
    private Object pages(Nimbus.Iface nimbus) throws Exception {
        String id = nimbus.getTopologySummaryByName(name).get_id();
        for (String window : List.of(":all-time", "600", "10800", "86400")) {
            equal(nimbus.getTopologyPageInfo(id, window, true).get_name(), name);
            for (String component : List.of("pulse", "project", "sink")) {
                equal(nimbus.getComponentPageInfo(id, component, window, true)
                        .get_component_id(), component);
            }
        }
        String node = nimbus.getClusterInfo().get_supervisors().get(0).get_supervisor_id();
        nimbus.getSupervisorPageInfo(node, null, true);
        check(nimbus.getTopologyHistory(null).get_topo_ids().contains(id), "not in the history");
        check(!nimbus.getOwnerResourceSummaries(null).isEmpty(), "no owners");
        nimbus.getTopology(id);
        equal(nimbus.getUserTopology(id).get_bolts_size(), 2);
        return null;
    }

    private Object setLogLevel(Nimbus.Iface nimbus) throws Exception {
        LogLevel level = new LogLevel(LogLevelAction.UPDATE);
        level.set_target_log_level("DEBUG");
        level.set_reset_log_level_timeout_secs(60);
        LogConfig wanted = new LogConfig();
        wanted.put_to_named_logger_level("ROOT", level);
        String id = nimbus.getTopologySummaryByName(name).get_id();
        nimbus.setLogConfig(id, wanted);
        LogLevel set = nimbus.getLogConfig(id).get_named_logger_level().get("ROOT");
        equal(set.get_target_log_level(), "DEBUG");
        check(set.get_reset_log_level_timeout_epoch() > System.currentTimeMillis(), set);
        return "ROOT " + set.get_target_log_level();
    }

    private Object rebalance(Nimbus.Iface nimbus) throws Exception {
        RebalanceOptions options = new RebalanceOptions();
        options.set_wait_secs(0);
        options.set_num_workers(2);
        options.put_to_num_executors("sink", 1);
        nimbus.rebalance(name, options);
        eventually("two workers, one executor of the sink", () -> {
            TopologySummary summary = nimbus.getTopologySummaryByName(name);
            long sinks = nimbus.getTopologyInfoByName(name).get_executors().stream()
                    .filter(each -> each.get_component_id().equals("sink")).count();
            return summary.get_status().equals("ACTIVE") && summary.get_num_workers() == 2
                    && sinks == 1;
        });
        long before = lines();
        eventually("tuples arrive again", () -> lines() > before);
        return "2 workers";
    }

    private Object kill(Nimbus.Iface nimbus) throws Exception {
        KillOptions now = new KillOptions();
        now.set_wait_secs(0);
        nimbus.killTopologyWithOpts(name, now);
        eventually(name + " is gone", () -> nimbus.isTopologyNameAllowed(name));
        return null;
    }

    private interface Call {
        Object with(Nimbus.Iface nimbus) throws Throwable;
    }

    /** A connection for each command, as `storm` has one. */
    private Object with(Call call) throws Exception {
        try (NimbusClient client = NimbusClient.Builder.withConf(conf).build()) {
            return call.with(client.getClient());
        } catch (Exception | Error failure) {
            throw failure;
        } catch (Throwable other) {
            throw new AssertionError(other);
        }
    }

    private boolean rests() throws Exception {
        long before = lines();
        Thread.sleep(500);
        return lines() == before;
    }

    private long lines() throws IOException {
        long count = 0;
        try (DirectoryStream<Path> files =
                Files.newDirectoryStream(out.getParent(), out.getFileName() + ".*")) {
            for (Path file : files) {
                try (var lines = Files.lines(file)) {
                    count += lines.count();
                }
            }
        }
        return count;
    }
}
