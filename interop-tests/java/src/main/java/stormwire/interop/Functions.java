package stormwire.interop;

import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;

import java.util.Map;
import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.generated.KillOptions;
import org.apache.storm.generated.StormTopology;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.utils.DRPCClient;
import org.apache.storm.utils.NimbusClient;

/** DRPCClient: functions that a topology of ours answers. */
final class Functions {
    private final Map<String, Object> conf;
    private final String name;
    private final String function;
    private boolean isServed;

    Functions(Map<String, Object> conf, String name) {
        this.conf = conf;
        this.name = name;
        function = name + "-exclaim";
    }

    void run(Steps steps) {
        steps.step("DRPC topology", () -> {
            StormSubmitter.submitTopology(name, new Config(), topology(function));
            isServed = true;
            return null;
        });
        steps.step("DRPC execute", () -> {
            // Storm's client waits for ever.
            check(isServed, "no topology serves " + function);
            try (DRPCClient client = DRPCClient.getConfiguredClient(conf)) {
                equal(client.execute(function, "thar she blows"), "thar she blows!!!");
                equal(client.execute(function, "whale"), "whale!!!");
                return client.getHost() + ":" + client.getPort();
            }
        });
        steps.step("DRPC topology killed", () -> {
            try (NimbusClient nimbus = NimbusClient.Builder.withConf(conf).build()) {
                KillOptions now = new KillOptions();
                now.set_wait_secs(0);
                nimbus.getClient().killTopologyWithOpts(name, now);
                eventually(name + " is gone",
                        () -> nimbus.getClient().isTopologyNameAllowed(name));
            }
            return null;
        });
    }

    /** What Storm's users build by hand for DRPC: DRPCSpout, their bolt, ReturnResults. */
    static StormTopology topology(String function) {
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("calls", new Remote.Spout("args", "return-info"));
        builder.setBolt("exclaim", new Remote.Bolt("result", "return-info"))
                .shuffleGrouping("calls");
        builder.setBolt("return", new Remote.Bolt()).shuffleGrouping("exclaim");
        StormTopology topology = builder.createTopology();
        Remote.put(topology, "calls", Remote.named("org.apache.storm.drpc.DRPCSpout", function));
        Remote.put(topology, "exclaim", Remote.shell("python3", "exclaim.py"));
        Remote.put(topology, "return", Remote.named("org.apache.storm.drpc.ReturnResults"));
        return topology;
    }
}
