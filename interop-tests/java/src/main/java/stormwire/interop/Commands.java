package stormwire.interop;

import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.command.Activate;
import org.apache.storm.command.BasicDrpcClient;
import org.apache.storm.command.Blobstore;
import org.apache.storm.command.Deactivate;
import org.apache.storm.command.GetErrors;
import org.apache.storm.command.KillTopology;
import org.apache.storm.command.ListTopologies;
import org.apache.storm.command.Monitor;
import org.apache.storm.command.Rebalance;
import org.apache.storm.command.SetLogLevel;
import org.apache.storm.command.UploadCredentials;
import org.apache.storm.generated.ExecutorSummary;
import org.apache.storm.utils.NimbusClient;

/** The commands of `storm`, Storm's own classes, with what they print. */
final class Commands {
    private final Map<String, Object> conf;
    private final String name;
    private final String function;
    private final Path directory;

    Commands(Map<String, Object> conf, String name, String directory) {
        this.conf = conf;
        this.name = name;
        this.directory = Path.of(directory);
        function = name + "-function";
    }

    void run(Steps steps) {
        steps.step("storm jar (StormSubmitter)", () -> {
            Config settings = new Config();
            settings.setStatsSampleRate(1.0);
            StormSubmitter.submitTopology(name, settings, Functions.topology(function));
            return null;
        });
        steps.step("storm list", () -> {
            String told = storm(ListTopologies.class);
            check(told.lines().anyMatch(line -> line.startsWith(name) && line.contains("ACTIVE")),
                    told);
            return null;
        });
        steps.step("storm drpc-client", () -> {
            String told = storm(BasicDrpcClient.class, "-f", function, "ahoy");
            check(told.contains("ahoy!!!"), told);
            return null;
        });
        steps.step("storm monitor", this::monitor);
        steps.step("storm get-errors", () -> {
            String told = storm(GetErrors.class, name);
            check(told.contains("\"Topology Name\":\"" + name + "\""), told);
            return null;
        });
        steps.step("storm deactivate", () -> {
            storm(Deactivate.class, name);
            return status("INACTIVE");
        });
        steps.step("storm activate", () -> {
            storm(Activate.class, name);
            return status("ACTIVE");
        });
        steps.step("storm set_log_level", () -> {
            storm(SetLogLevel.class, name, "-l", "ROOT=DEBUG:30");
            try (NimbusClient nimbus = NimbusClient.Builder.withConf(conf).build()) {
                String id = nimbus.getClient().getTopologySummaryByName(name).get_id();
                return nimbus.getClient().getLogConfig(id).get_named_logger_level()
                        .get("ROOT").get_target_log_level();
            }
        });
        steps.step("storm upload-credentials", () -> {
            storm(UploadCredentials.class, name, "white", "whale");
            return null;
        });
        steps.step("storm rebalance", () -> {
            storm(Rebalance.class, name, "-w", "0", "-n", "2");
            eventually("two workers", () -> summary().contains("ACTIVE 2"));
            return null;
        });
        blobs(steps);
        steps.step("storm kill", () -> {
            storm(KillTopology.class, name, "-w", "0");
            eventually(name + " is gone", () -> !storm(ListTopologies.class).contains(name));
            return null;
        });
    }

    private void blobs(Steps steps) {
        String key = name + "-blob";
        steps.step("storm blobstore create", () -> {
            Path file = directory.resolve("blob");
            Files.writeString(file, "call me Ishmael");
            storm(Blobstore.class, "create", key, "-f", file.toString(), "-a", "o::rwa");
            return null;
        });
        steps.step("storm blobstore cat", () -> {
            Path file = directory.resolve("copy");
            storm(Blobstore.class, "cat", key, "-f", file.toString());
            equal(Files.readString(file), "call me Ishmael");
            return null;
        });
        steps.step("storm blobstore update", () -> {
            Path file = directory.resolve("blob");
            Files.writeString(file, "whale");
            storm(Blobstore.class, "update", key, "-f", file.toString());
            return null;
        });
        steps.step("storm blobstore set-acl", () -> {
            storm(Blobstore.class, "set-acl", "-s", "o::rwa,u:ishmael:r--", key);
            return null;
        });
        steps.step("storm blobstore replication", () -> {
            storm(Blobstore.class, "replication", "--read", key);
            storm(Blobstore.class, "replication", "--update", "-r", "1", key);
            return null;
        });
        steps.step("storm blobstore delete", () -> {
            storm(Blobstore.class, "delete", key);
            String told = storm(Blobstore.class, "list");
            check(!told.contains(key), told);
            return null;
        });
    }

    /** It never ends by itself: its first figures are enough. */
    private Object monitor() throws Exception {
        // It gives up when there are no figures yet.
        eventually("the call is counted", this::isCounted);
        ByteArrayOutputStream told = new ByteArrayOutputStream();
        PrintStream before = System.out;
        System.setOut(new PrintStream(told, true, StandardCharsets.UTF_8));
        Thread monitor = new Thread(() -> {
            try {
                Monitor.main(new String[] {name, "-i", "1", "-m", "exclaim"});
            } catch (Exception stopped) {
                stopped.printStackTrace();
            }
        });
        monitor.setDaemon(true);
        monitor.start();
        try {
            eventually("a figure", () -> told.toString(StandardCharsets.UTF_8).lines()
                    .anyMatch(line -> line.startsWith(name) && line.contains("exclaim")));
        } catch (AssertionError vain) {
            throw new AssertionError(vain.getMessage() + ": " + told, vain);
        } finally {
            System.setOut(before);
        }
        return null;
    }

    private boolean isCounted() throws Exception {
        try (NimbusClient nimbus = NimbusClient.Builder.withConf(conf).build()) {
            return nimbus.getClient().getTopologyInfoByName(name).get_executors().stream()
                    .filter(each -> each.get_component_id().equals("exclaim"))
                    .filter(ExecutorSummary::is_set_stats)
                    .anyMatch(each -> each.get_stats().get_emitted()
                            .getOrDefault(":all-time", Map.of()).containsKey("default"));
        }
    }

    /** Runs a command as `storm` does; what it printed. */
    private static String storm(Class<?> command, String... arguments) throws Exception {
        ByteArrayOutputStream told = new ByteArrayOutputStream();
        PrintStream before = System.out;
        System.setOut(new PrintStream(told, true, StandardCharsets.UTF_8));
        try {
            command.getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (InvocationTargetException failure) {
            throw new IllegalStateException(command.getSimpleName(), failure.getCause());
        } finally {
            System.setOut(before);
        }
        return told.toString(StandardCharsets.UTF_8);
    }

    private Object status(String expected) throws Exception {
        check(summary().startsWith(expected), summary());
        return null;
    }

    private String summary() throws Exception {
        try (NimbusClient nimbus = NimbusClient.Builder.withConf(conf).build()) {
            var summary = nimbus.getClient().getTopologySummaryByName(name);
            return summary.get_status() + " " + summary.get_num_workers();
        }
    }
}
