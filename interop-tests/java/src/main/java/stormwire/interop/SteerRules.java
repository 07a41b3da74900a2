package stormwire.interop;

import static stormwire.interop.Peer.internal;
import static stormwire.interop.Peer.refused;
import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;
import static stormwire.interop.Steps.thrown;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import stormwire.generated.AuthorizationException;
import stormwire.generated.Credentials;
import stormwire.generated.ExecutorSummary;
import stormwire.generated.InvalidTopologyException;
import stormwire.generated.LogConfig;
import stormwire.generated.LogLevel;
import stormwire.generated.LogLevelAction;
import stormwire.generated.Nimbus;
import stormwire.generated.NodeInfo;
import stormwire.generated.NotAliveException;
import stormwire.generated.ProfileAction;
import stormwire.generated.ProfileRequest;
import stormwire.generated.RebalanceOptions;

/** What changes a topology that runs: rebalance, log levels, debug, profiling, credentials. */
final class SteerRules {
    private final Nimbus.Iface nimbus;
    private final String name;
    private final String id;

    SteerRules(Nimbus.Iface nimbus, String name, String id) {
        this.nimbus = nimbus;
        this.name = name;
        this.id = id;
    }

    void run(Steps steps) {
        logLevels(steps);
        debug(steps);
        profiling(steps);
        credentials(steps);
        rebalance(steps);
    }

    private void logLevels(Steps steps) {
        steps.step("C 3.2 getLogConfig: empty when none was set", () -> {
            equal(nimbus.getLogConfig(id).getNamed_logger_levelSize(), 0);
            return null;
        });
        steps.step("C 3.2 setLogConfig: UPDATE with a time-out, then REMOVE", () -> {
            LogLevel level = new LogLevel(LogLevelAction.UPDATE).setTarget_log_level("WARN")
                    .setReset_log_level_timeout_secs(60);
            nimbus.setLogConfig(id, config("ROOT", level));
            LogLevel kept = nimbus.getLogConfig(id).getNamed_logger_level().get("ROOT");
            equal(kept.getTarget_log_level(), "WARN");
            long left = kept.getReset_log_level_timeout_epoch() - System.currentTimeMillis();
            check(left > 30_000 && left <= 60_000, left + " ms left");
            nimbus.setLogConfig(id, config("ROOT", new LogLevel(LogLevelAction.REMOVE)));
            equal(nimbus.getLogConfig(id).getNamed_logger_levelSize(), 0);
            return null;
        });
        steps.step("C 1.3 setLogConfig: no throws clause, so INTERNAL_ERROR", () ->
                internal("setLogConfig", "nobody-1-1", () -> {
                    nimbus.setLogConfig("nobody-1-1", new LogConfig());
                    return null;
                }));
    }

    private static LogConfig config(String logger, LogLevel level) {
        return new LogConfig().setNamed_logger_level(new HashMap<>(Map.of(logger, level)));
    }

    private void debug(Steps steps) {
        steps.step("C 3.2 debug: a component, the percentage clamped", () -> {
            nimbus.debug(name, "ticks", true, 150);
            var debug = nimbus.getTopologyInfo(id).getComponent_debug().get("ticks");
            equal(debug.isEnable(), true);
            equal(debug.getSamplingpct(), 100.0);
            nimbus.debug(name, "ticks", false, 0);
            equal(nimbus.getTopologyInfo(id).getComponent_debug().get("ticks").isEnable(), false);
            return null;
        });
        steps.step("C 3.2 debug: no component means the topology", () -> {
            nimbus.debug(name, "", true, 10);
            check(nimbus.getTopologyInfo(id).getComponent_debug().containsKey(id), "not there");
            nimbus.debug(name, null, false, 0);
            return null;
        });
        steps.step("C 3.2 debug: an unknown name", () -> thrown(NotAliveException.class, () -> {
            nimbus.debug("nobody", "ticks", true, 1);
            return null;
        }).getMsg());
    }

    private void profiling(Steps steps) {
        steps.step("C 3.2 setWorkerProfiler, getComponentPendingProfileActions", () -> {
            ExecutorSummary ticks = nimbus.getTopologyInfo(id).getExecutors().stream()
                    .filter(each -> each.getComponent_id().equals("ticks")).findFirst()
                    .orElseThrow();
            NodeInfo worker = new NodeInfo(ticks.getHost(), Set.of((long) ticks.getPort()));
            long until = System.currentTimeMillis() + 60_000;
            nimbus.setWorkerProfiler(id, new ProfileRequest(worker, ProfileAction.JPROFILE_STOP)
                    .setTime_stamp(until));
            List<ProfileRequest> pending = nimbus.getComponentPendingProfileActions(id, "ticks",
                    ProfileAction.JPROFILE_STOP);
            equal(pending.size(), 1);
            equal(pending.get(0).getTime_stamp(), until);
            equal(pending.get(0).getNodeInfo().getNode(), ticks.getHost());
            return worker;
        });
    }

    private void credentials(Steps steps) {
        steps.step("C 3.2 uploadNewCredentials: taken", () -> {
            nimbus.uploadNewCredentials(name, new Credentials(Map.of("white", "whale")));
            return null;
        });
        steps.step("C 3.2 uploadNewCredentials: another owner's", () -> {
            Credentials credentials = new Credentials(Map.of("white", "whale"));
            String told = thrown(AuthorizationException.class, () -> {
                nimbus.uploadNewCredentials(name, credentials.setTopoOwner("queequeg"));
                return null;
            }).getMsg();
            check(told.startsWith(id + " is expected to be owned by queequeg but is"), told);
            return told;
        });
        steps.step("C 3.1 uploadNewCredentials: an unknown name", () -> thrown(
                NotAliveException.class, () -> {
                    nimbus.uploadNewCredentials("nobody", new Credentials(Map.of()));
                    return null;
                }).getMsg());
    }

    private void rebalance(Steps steps) {
        steps.step("C 3.2 rebalance: another number of workers", () -> {
            nimbus.rebalance(name, new RebalanceOptions().setWait_secs(0).setNum_workers(2));
            eventually("two workers", () -> {
                var summary = nimbus.getTopologySummary(id);
                return summary.getStatus().equals("ACTIVE") && summary.getNum_workers() == 2;
            });
            return null;
        });
        steps.step("C 3.2 rebalance: an unknown component", () -> {
            String told = thrown(InvalidTopologyException.class, () -> {
                nimbus.rebalance(name, new RebalanceOptions().setWait_secs(0)
                        .setNum_executors(Map.of("ghost", 2)));
                return null;
            }).getMsg();
            check(told.startsWith("Invalid component ghost for topology " + name
                    + ", valid values are "), told);
            return told;
        });
        steps.step("C 3.2 rebalance: no executors", () -> {
            String told = thrown(InvalidTopologyException.class, () -> {
                nimbus.rebalance(name, new RebalanceOptions().setWait_secs(0)
                        .setNum_executors(Map.of("sink", 0)));
                return null;
            }).getMsg();
            check(told.contains("Number of executors must be greater than 0"), told);
            return told;
        });
        steps.step("C 3.1 rebalance: an unknown name", () -> refused(NotAliveException.class,
                "nobody is not alive", () -> {
                    nimbus.rebalance("nobody", new RebalanceOptions());
                    return null;
                }));
    }
}
