package stormwire.interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.storm.generated.ComponentObject;
import org.apache.storm.generated.JavaObject;
import org.apache.storm.generated.JavaObjectArg;
import org.apache.storm.generated.ShellComponent;
import org.apache.storm.generated.StormTopology;
import org.apache.storm.spout.SpoutOutputCollector;
import org.apache.storm.task.OutputCollector;
import org.apache.storm.task.TopologyContext;
import org.apache.storm.topology.OutputFieldsDeclarer;
import org.apache.storm.topology.base.BaseRichBolt;
import org.apache.storm.topology.base.BaseRichSpout;
import org.apache.storm.tuple.Fields;
import org.apache.storm.tuple.Tuple;

/**
 * Components that do not run in a JVM, for Storm's TopologyBuilder: the graph is declared with
 * stand-ins that know only their fields, then each stand-in is replaced by what shall run.
 */
final class Remote {
    private Remote() {}

    /** Stands for a spout in TopologyBuilder. */
    static final class Spout extends BaseRichSpout {
        private final String[] fields;

        Spout(String... fields) {
            this.fields = fields;
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {
            declarer.declare(new Fields(fields));
        }

        @Override
        public void open(Map<String, Object> conf, TopologyContext context,
                SpoutOutputCollector collector) {
            throw new UnsupportedOperationException("stands for a component that runs elsewhere");
        }

        @Override
        public void nextTuple() {}
    }

    /** Stands for a bolt in TopologyBuilder. */
    static final class Bolt extends BaseRichBolt {
        private final String[] fields;

        Bolt(String... fields) {
            this.fields = fields;
        }

        @Override
        public void declareOutputFields(OutputFieldsDeclarer declarer) {
            if (fields.length > 0) {
                declarer.declare(new Fields(fields));
            }
        }

        @Override
        public void prepare(Map<String, Object> conf, TopologyContext context,
                OutputCollector collector) {
            throw new UnsupportedOperationException("stands for a component that runs elsewhere");
        }

        @Override
        public void execute(Tuple input) {}
    }

    /** Puts what shall run in the place of the stand-in of this id. */
    static void put(StormTopology topology, String id, ComponentObject component) {
        if (topology.get_spouts().containsKey(id)) {
            topology.get_spouts().get(id).set_spout_object(component);
        } else {
            topology.get_bolts().get(id).set_bolt_object(component);
        }
    }

    static ComponentObject shell(String command, String script) {
        return ComponentObject.shell(new ShellComponent(command, script));
    }

    static ComponentObject named(String className, String... arguments) {
        List<JavaObjectArg> args = new ArrayList<>();
        for (String argument : arguments) {
            args.add(JavaObjectArg.string_arg(argument));
        }
        return ComponentObject.java_object(new JavaObject(className, args));
    }
}
