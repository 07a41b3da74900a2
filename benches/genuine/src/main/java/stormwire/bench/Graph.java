package stormwire.bench;

import java.util.ArrayList;
import java.util.List;

import net.minidev.json.JSONObject;
import org.apache.storm.generated.StormTopology;
import org.apache.storm.topology.BoltDeclarer;
import org.apache.storm.topology.IRichBolt;
import org.apache.storm.topology.IRichSpout;
import org.apache.storm.topology.TopologyBuilder;
import org.apache.storm.tuple.Fields;

/** Makes a topology of the plan that both sides are given, of the components here. */
final class Graph {
    static StormTopology of(JSONObject plan) {
        TopologyBuilder builder = new TopologyBuilder();
        for (Object each : (List<?>) plan.get("parts")) {
            JSONObject part = (JSONObject) each;
            String id = part.getAsString("id");
            Number parallelism = part.getAsNumber("parallelism");
            JSONObject input = (JSONObject) part.get("input");
            if (input == null) {
                builder.setSpout(id, spout(part), parallelism);
                continue;
            }
            BoltDeclarer bolt = builder.setBolt(id, bolt(part), parallelism);
            String from = input.getAsString("from");
            String grouping = input.getAsString("grouping");
            switch (grouping) {
                case "shuffle" -> bolt.shuffleGrouping(from);
                case "local-or-shuffle" -> bolt.localOrShuffleGrouping(from);
                default -> bolt.fieldsGrouping(from, new Fields(grouping));
            }
        }
        return builder.createTopology();
    }

    private static IRichSpout spout(JSONObject part) {
        List<?> args = (List<?>) part.get("args");
        String directory = (String) args.get(0);
        Fields fields = fields(part);
        return switch (name(part)) {
            case "ConstSpout" -> new MeteredSpout(directory, fields, flag(args, 1),
                    new Sources.Constant("some data"));
            case "LineSpout" -> new MeteredSpout(directory, fields, flag(args, 1),
                    new Sources.Lines((String) args.get(2), flag(args, 3)));
            case "SentenceSpout" -> new MeteredSpout(directory, fields, flag(args, 1),
                    new Sources.Sentences());
            case "StringSpout" -> new MeteredSpout(directory, fields, flag(args, 1),
                    new Sources.Strings(number(args, 2)));
            case "SleepSpout" -> new SleepSpout(directory, fields, flag(args, 1), number(args, 2));
            default -> throw new IllegalArgumentException("no spout " + name(part));
        };
    }

    private static IRichBolt bolt(JSONObject part) {
        List<?> args = (List<?>) part.get("args");
        String directory = args.isEmpty() ? "" : (String) args.get(0);
        Fields fields = fields(part);
        return switch (name(part)) {
            case "IdBolt" -> new Bolts.Id(fields);
            case "Split" -> new Bolts.Split(fields);
            case "NullBolt" -> new Bolts.Null(directory, fields, 0);
            case "SleepBolt" -> new Bolts.Null(directory, fields, number(args, 1));
            case "CountBolt" -> new Bolts.Count(directory, fields);
            case "LatencyBolt" -> new Bolts.Latency(directory, fields);
            case "ShellBolt" -> new Bolts.Shell((String) args.get(0), (String) args.get(1));
            case "FileBolt" -> new Bolts.ToFile(directory, fields, number(args, 1));
            default -> throw new IllegalArgumentException("no bolt " + name(part));
        };
    }

    /** Without the package that the names have on our side. */
    private static String name(JSONObject part) {
        String name = part.getAsString("class");
        return name.substring(name.lastIndexOf('.') + 1);
    }

    private static Fields fields(JSONObject part) {
        List<String> names = new ArrayList<>();
        for (Object name : (List<?>) part.get("fields")) {
            names.add((String) name);
        }
        return new Fields(names);
    }

    private static boolean flag(List<?> args, int position) {
        return (Boolean) args.get(position);
    }

    private static long number(List<?> args, int position) {
        return ((Number) args.get(position)).longValue();
    }

    private Graph() {
    }
}
