package stormwire.interop;

import static stormwire.interop.Peer.refused;
import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.thrift.TApplicationException;
import stormwire.generated.ClusterSummary;
import stormwire.generated.ComponentPageInfo;
import stormwire.generated.ComponentType;
import stormwire.generated.ExecutorSummary;
import stormwire.generated.GetInfoOptions;
import stormwire.generated.Nimbus;
import stormwire.generated.NotAliveException;
import stormwire.generated.NumErrorsChoice;
import stormwire.generated.OwnerResourceSummary;
import stormwire.generated.StormTopology;
import stormwire.generated.SupervisorPageInfo;
import stormwire.generated.TopologyInfo;
import stormwire.generated.TopologyPageInfo;

/** Calls that only ask. */
final class ReadRules {
    private final Nimbus.Iface nimbus;
    private final String name;
    private final String id;

    ReadRules(Nimbus.Iface nimbus, String name, String id) {
        this.nimbus = nimbus;
        this.name = name;
        this.id = id;
    }

    void run(Steps steps) {
        cluster(steps);
        infos(steps);
        code(steps);
        pages(steps);
        unknown(steps);
    }

    private void cluster(Steps steps) {
        steps.step("C 3.3 getNimbusConf: a JSON object", () -> {
            String conf = nimbus.getNimbusConf();
            check(conf.startsWith("{") && conf.contains("\"nimbus.thrift.port\""), conf);
            return conf.length() + " characters";
        });
        steps.step("C 3.3 getClusterInfo: nimbus_uptime_secs for old clients", () -> {
            ClusterSummary info = nimbus.getClusterInfo();
            check(info.isSetNimbus_uptime_secs(), info);
            check(info.getTopologies().stream().anyMatch(each -> each.getId().equals(id)), info);
            check(info.getNimbuses().stream().anyMatch(each -> each.isIsLeader()), info);
            return info.getSupervisorsSize() + " supervisors";
        });
        steps.step("C 3.3 getLeader: the one of getClusterInfo", () -> {
            String host = nimbus.getLeader().getHost();
            equal(nimbus.getClusterInfo().getNimbuses().get(0).getHost(), host);
            return host;
        });
        steps.step("C 3.3 isTopologyNameAllowed: false when taken", () -> {
            equal(nimbus.isTopologyNameAllowed(name), false);
            equal(nimbus.isTopologyNameAllowed(name + "-free"), true);
            return null;
        });
        steps.step("C 3.3 getTopologySummaries: each with its figures", () -> {
            Set<String> ids = nimbus.getTopologySummaries().stream().map(each -> each.getId())
                    .collect(Collectors.toCollection(TreeSet::new));
            check(ids.contains(id), ids);
            return ids;
        });
        steps.step("C 3.3 getTopologySummaryByName: the same as by id", () -> {
            equal(nimbus.getTopologySummaryByName(name).setUptime_secs(0),
                    nimbus.getTopologySummary(id).setUptime_secs(0));
            return null;
        });
    }

    private void infos(Steps steps) {
        steps.step("C 3.3 getTopologyInfo: executors with stats, rate included", () -> {
            eventually("all executors have reported", () -> nimbus.getTopologyInfo(id)
                    .getExecutors().stream().allMatch(ExecutorSummary::isSetStats));
            TopologyInfo info = nimbus.getTopologyInfo(id);
            for (ExecutorSummary each : info.getExecutors()) {
                check(each.getStats().isSetRate() && each.getStats().getSpecific().isSet(), each);
            }
            equal(info.getErrors().keySet(), Set.of("__acker", "ticks", "sink"));
            return info.getExecutorsSize() + " executors";
        });
        steps.step("C 3.3 getTopologyInfoByName: the same topology", () -> {
            equal(nimbus.getTopologyInfoByName(name).getId(), id);
            return null;
        });
        for (NumErrorsChoice choice : NumErrorsChoice.values()) {
            GetInfoOptions options = new GetInfoOptions().setNum_err_choice(choice);
            steps.step("C 3.3 getTopologyInfoWithOpts: " + choice, () -> {
                equal(nimbus.getTopologyInfoWithOpts(id, options).getName(), name);
                return null;
            });
            steps.step("C 3.3 getTopologyInfoByNameWithOpts: " + choice, () -> {
                equal(nimbus.getTopologyInfoByNameWithOpts(name, options).getId(), id);
                return null;
            });
        }
    }

    private void code(Steps steps) {
        steps.step("C 3.3 getTopologyConf: the merged conf", () -> {
            String conf = nimbus.getTopologyConf(id);
            check(conf.contains("\"storm.id\":\"" + id + "\""), conf);
            return conf.length() + " characters";
        });
        steps.step("C 4.5 getTopology: with the system's components", () -> {
            StormTopology topology = nimbus.getTopology(id);
            check(topology.getBolts().keySet().containsAll(List.of("__acker", "__system")),
                    topology.getBolts().keySet());
            check(topology.getBolts().get("__acker").getBolt_object().isSetSerialized_java(),
                    "an acker of another kind");
            return topology.getBolts().keySet();
        });
        steps.step("C 3.3 getUserTopology: without them", () -> {
            equal(nimbus.getUserTopology(id).getBolts().keySet(), Set.of("sink"));
            return null;
        });
    }

    private void pages(Steps steps) {
        steps.step("C 9.4 getTopologyPageInfo: each window, and any other text", () -> {
            for (String window : List.of(":all-time", "600", "10800", "86400", "nonsense")) {
                TopologyPageInfo page = nimbus.getTopologyPageInfo(id, window, false);
                equal(page.getId(), id);
                equal(page.getId_to_spout_agg_stats().keySet(), Set.of("ticks"));
                equal(page.getId_to_bolt_agg_stats().keySet(), Set.of("sink"));
            }
            return null;
        });
        steps.step("C 9.5 getComponentPageInfo: a spout and a bolt", () -> {
            ComponentPageInfo ticks = nimbus.getComponentPageInfo(id, "ticks", ":all-time", false);
            equal(ticks.getComponent_type(), ComponentType.SPOUT);
            ComponentPageInfo sink = nimbus.getComponentPageInfo(id, "sink", ":all-time", false);
            equal(sink.getComponent_type(), ComponentType.BOLT);
            equal(sink.getTopology_name(), name);
            return null;
        });
        steps.step("C 3.3 getComponentPageInfo: an unknown component", () -> Peer.internal(
                "getComponentPageInfo", "",
                () -> nimbus.getComponentPageInfo(id, "ghost", ":all-time", false)));
        steps.step("C 3.3 getSupervisorPageInfo: by id and by host", () -> {
            var supervisor = nimbus.getClusterInfo().getSupervisors().get(0);
            SupervisorPageInfo page =
                    nimbus.getSupervisorPageInfo(supervisor.getSupervisor_id(), null, true);
            equal(page.getSupervisor_summaries().get(0).getHost(), supervisor.getHost());
            check(page.getWorker_summaries().stream()
                    .anyMatch(each -> id.equals(each.getTopology_id())), page);
            equal(nimbus.getSupervisorPageInfo(null, supervisor.getHost(), true)
                    .getSupervisor_summariesSize(), 1);
            return supervisor.getHost();
        });
        steps.step("C 3.3 getTopologyHistory: what runs is in it", () -> {
            List<String> ids = nimbus.getTopologyHistory(null).getTopo_ids();
            check(ids.contains(id), ids);
            return ids.size() + " topologies";
        });
        steps.step("C 3.3 getOwnerResourceSummaries: all owners, or one, even unknown", () -> {
            check(!nimbus.getOwnerResourceSummaries(null).isEmpty(), "nobody");
            List<OwnerResourceSummary> one = nimbus.getOwnerResourceSummaries("queequeg");
            equal(one.size(), 1);
            equal(one.get(0).getOwner(), "queequeg");
            return null;
        });
    }

    private void unknown(Steps steps) {
        GetInfoOptions options = new GetInfoOptions();
        String it = "nobody-1-1";
        byId(steps, "getTopologyInfo", () -> nimbus.getTopologyInfo(it));
        byId(steps, "getTopologyInfoWithOpts", () -> nimbus.getTopologyInfoWithOpts(it, options));
        byId(steps, "getTopologyConf", () -> nimbus.getTopologyConf(it));
        byId(steps, "getTopology", () -> nimbus.getTopology(it));
        byId(steps, "getUserTopology", () -> nimbus.getUserTopology(it));
        byId(steps, "getTopologyPageInfo", () -> nimbus.getTopologyPageInfo(it, "600", false));
        byId(steps, "getComponentPageInfo",
                () -> nimbus.getComponentPageInfo(it, "sink", "600", false));
        for (String method : List.of("getTopologySummary", "getTopologySummaryByName",
                "getTopologyInfoByName", "getTopologyInfoByNameWithOpts")) {
            steps.step("C 3.1 " + method + ": unknown", () -> refused(NotAliveException.class,
                    it + " is not alive", () -> switch (method) {
                        case "getTopologySummary" -> nimbus.getTopologySummary(it);
                        case "getTopologySummaryByName" -> nimbus.getTopologySummaryByName(it);
                        case "getTopologyInfoByName" -> nimbus.getTopologyInfoByName(it);
                        default -> nimbus.getTopologyInfoByNameWithOpts(it, options);
                    }));
        }
        steps.step("C 3.1 getTopologyInfoWithOpts: no options", () -> Steps.thrown(
                TApplicationException.class,
                () -> nimbus.getTopologyInfoWithOpts(id, null)).getMessage());
    }

    /** These answer with the id and nothing else. */
    private static void byId(Steps steps, String method, Steps.Body body) {
        steps.step("C 3.1 " + method + ": an unknown id",
                () -> refused(NotAliveException.class, "nobody-1-1", body));
    }
}
