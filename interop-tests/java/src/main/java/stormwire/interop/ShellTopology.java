package stormwire.interop;

import org.apache.storm.Config;
import org.apache.storm.StormSubmitter;
import org.apache.storm.generated.StormTopology;
import org.apache.storm.topology.TopologyBuilder;

/**
 * The main class of a topology's jar, as `storm jar` runs it: a Python spout, and a sink of ours.
 *
 * <p>Arguments: the topology's name, the sink's file, and the exit code to end with.
 */
public final class ShellTopology {
    private ShellTopology() {}

    public static void main(String[] args) throws Exception {
        TopologyBuilder builder = new TopologyBuilder();
        builder.setSpout("pulse", new Remote.Spout("sequence"));
        builder.setBolt("sink", new Remote.Bolt()).shuffleGrouping("pulse");
        StormTopology topology = builder.createTopology();
        Remote.put(topology, "pulse", Remote.shell("python3", "pulse.py"));
        Remote.put(topology, "sink", Remote.named("stormwire.FileSink", args[1]));
        StormSubmitter.submitTopology(args[0], new Config(), topology);
        System.out.println("arguments: " + String.join(" ", args));
        System.exit(Integer.parseInt(args[2]));
    }
}
