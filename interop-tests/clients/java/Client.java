import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.storm.generated.Bolt;
import org.apache.storm.generated.ClusterSummary;
import org.apache.storm.generated.ComponentCommon;
import org.apache.storm.generated.ComponentObject;
import org.apache.storm.generated.DistributedRPC;
import org.apache.storm.generated.GlobalStreamId;
import org.apache.storm.generated.Grouping;
import org.apache.storm.generated.JavaObject;
import org.apache.storm.generated.JavaObjectArg;
import org.apache.storm.generated.KillOptions;
import org.apache.storm.generated.Nimbus;
import org.apache.storm.generated.NullStruct;
import org.apache.storm.generated.ShellComponent;
import org.apache.storm.generated.SpoutSpec;
import org.apache.storm.generated.StormTopology;
import org.apache.storm.generated.StreamInfo;
import org.apache.storm.generated.TopologySummary;
import org.apache.thrift.TException;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.protocol.TProtocol;
import org.apache.thrift.transport.TSocket;
import org.apache.thrift.transport.TTransport;
import org.apache.thrift.transport.layered.TFramedTransport;

/**
 * Submits, lists and kills topologies and calls functions, with Apache's Thrift library for Java.
 *
 * <pre>
 * thrift --gen java -out gen storm.thrift      # the stock compiler, 0.17 or later
 * mvn compile                                  # libthrift of the compiler's version: pom.xml
 * java -cp ... Client submit 127.0.0.1 6627 words words.jar book.txt /tmp/totals
 * java -cp ... Client list 127.0.0.1 6627
 * java -cp ... Client kill 127.0.0.1 6627 words
 * java -cp ... Client drpc 127.0.0.1 3772 FUNCTION ARGUMENT
 * </pre>
 *
 * The jar is any zip file: components in other languages run in its folder resources/.
 *
 * <p>This needs none of Storm's libraries. Its classes have the same names as theirs, so have either on
 * a class path; with storm-client there, StormSubmitter does all this. Until Java 18 texts of the command
 * line and the console are in the locale's encoding: run with a UTF-8 locale.
 */
public class Client {
    /** What Storm's own clients send at once. */
    private static final int CHUNK_BYTES = 307_200;
    private static final int CALL_MS = 30_000;

    /** Both Nimbus and DistributedRPC speak the binary protocol in frames. */
    private static TProtocol connect(String host, String port) throws TException {
        // Without a time-out a call waits for ever.
        TTransport transport = new TFramedTransport(new TSocket(host, Integer.parseInt(port), CALL_MS));
        transport.open();
        return new TBinaryProtocol(transport);
    }

    /** Sends a file chunk by chunk; returns where Nimbus keeps it. */
    private static String upload(Nimbus.Client nimbus, Path jar) throws Exception {
        String location = nimbus.beginFileUpload();
        try (InputStream file = Files.newInputStream(jar)) {
            for (byte[] chunk; (chunk = file.readNBytes(CHUNK_BYTES)).length > 0; ) {
                nimbus.uploadChunk(location, ByteBuffer.wrap(chunk));
            }
        }
        nimbus.finishFileUpload(location);
        System.out.printf("uploaded %d bytes to %s%n", Files.size(jar), location);
        return location;
    }

    /** A component that runs in a process of its own: python3 and a script of the jar's resources/. */
    private static ComponentObject python(String script) {
        ShellComponent shell = new ShellComponent();
        shell.setExecution_command("python3");
        shell.setScript(script);
        return ComponentObject.shell(shell);
    }

    /** A component of the server, by its class name, with an argument for its constructor. */
    private static ComponentObject builtIn(String name, String text) {
        return ComponentObject.java_object(new JavaObject(name, List.of(JavaObjectArg.string_arg(text))));
    }

    /** What a component reads, by the id of the component that emits it; and its streams. */
    private static ComponentCommon common(
            Map<String, Grouping> inputs, Map<String, StreamInfo> streams, int parallelism) {
        Map<GlobalStreamId, Grouping> subscribed = new HashMap<>();
        inputs.forEach((id, grouping) -> subscribed.put(new GlobalStreamId(id, "default"), grouping));
        ComponentCommon common = new ComponentCommon(subscribed, streams);
        common.setParallelism_hint(parallelism);
        return common;
    }

    private static StreamInfo stream(String... fields) {
        return new StreamInfo(List.of(fields), false);
    }

    /** lines.py, split.py (two of them), and a counter, which writes files that begin with totals. */
    private static StormTopology wordCount(String totals) {
        Grouping shuffle = Grouping.shuffle(new NullStruct());
        Grouping byWord = Grouping.fields(List.of("word"));
        // A spout may have further streams; lines.py reports on one of its own when all is done.
        ComponentCommon lines = common(
                Map.of(),
                Map.of("default", stream("number", "line"), "done", stream("lines", "replays")),
                1);
        ComponentCommon split = common(
                Map.of("lines", shuffle), Map.of("default", stream("word", "number", "position")), 2);
        ComponentCommon count =
                common(Map.of("split", byWord), Map.of("default", stream("word", "count")), 1);
        ComponentObject counter = builtIn("stormwire.CountOnce", totals);
        return new StormTopology(
                Map.of("lines", new SpoutSpec(python("lines.py"), lines)),
                Map.of("split", new Bolt(python("split.py"), split), "count", new Bolt(counter, count)),
                Map.of());
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    private static void submit(String host, String port, String name, String... files) throws Exception {
        Nimbus.Client nimbus = new Nimbus.Client(connect(host, port));
        String location = upload(nimbus, Path.of(files[0]));
        String conf = "{\"topology.workers\": 1, \"words.file\": " + quoted(files[1]) + "}";
        nimbus.submitTopology(name, location, conf, wordCount(files[2]));
        System.out.println("submitted " + name);
    }

    private static void list(String host, String port) throws TException {
        Nimbus.Client nimbus = new Nimbus.Client(connect(host, port));
        ClusterSummary cluster = nimbus.getClusterInfo();
        String version = cluster.getNimbuses().get(0).getVersion();
        System.out.printf("storm %s, %d supervisors%n", version, cluster.getSupervisorsSize());
        for (TopologySummary each : nimbus.getTopologySummaries()) {
            System.out.println(String.join("\t", each.getName(), each.getStatus(), each.getId()));
        }
    }

    private static void kill(String host, String port, String name) throws TException {
        KillOptions options = new KillOptions();
        options.setWait_secs(1);
        new Nimbus.Client(connect(host, port)).killTopologyWithOpts(name, options);
        System.out.println("killed " + name);
    }

    private static void drpc(String host, String port, String name, String argument) throws TException {
        System.out.println(new DistributedRPC.Client(connect(host, port)).execute(name, argument));
    }

    public static void main(String[] arguments) throws Exception {
        String[] of = arguments.length < 3 ? arguments : Arrays.copyOfRange(arguments, 1, arguments.length);
        try {
            switch (arguments.length < 3 ? "" : arguments[0] + of.length) {
                case "submit6" -> submit(of[0], of[1], of[2], of[3], of[4], of[5]);
                case "list2" -> list(of[0], of[1]);
                case "kill3" -> kill(of[0], of[1], of[2]);
                case "drpc4" -> drpc(of[0], of[1], of[2], of[3]);
                default -> {
                    System.err.println("usage: see the head of Client.java");
                    System.exit(2);
                }
            }
        } catch (TException error) {
            // Storm's own exceptions, such as NotAliveException, are of its package.
            if (!error.getClass().getPackageName().startsWith("org.apache.storm")) {
                throw error;
            }
            Object reason = error.getClass().getMethod("getMsg").invoke(error);
            System.err.println(error.getClass().getSimpleName() + ": " + reason);
            System.exit(3);
        }
    }
}
