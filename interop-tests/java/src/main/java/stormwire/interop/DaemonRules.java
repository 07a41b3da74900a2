package stormwire.interop;

import static stormwire.interop.Peer.internal;
import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;
import static stormwire.interop.Steps.thrown;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import stormwire.generated.Assignment;
import stormwire.generated.ExecutorInfo;
import stormwire.generated.ExecutorSummary;
import stormwire.generated.Nimbus;
import stormwire.generated.NotAliveException;
import stormwire.generated.Supervisor;
import stormwire.generated.SupervisorAssignments;
import stormwire.generated.SupervisorWorkerHeartbeat;
import stormwire.generated.SupervisorWorkerHeartbeats;
import stormwire.generated.WorkerMetricList;
import stormwire.generated.WorkerMetricPoint;
import stormwire.generated.WorkerMetrics;

/** Calls of supervisors and workers, at Nimbus and at the supervisor's own port. */
final class DaemonRules {
    private final Nimbus.Iface nimbus;
    private final Supervisor.Iface supervisor;
    private final String id;

    DaemonRules(Nimbus.Iface nimbus, Supervisor.Iface supervisor, String id) {
        this.nimbus = nimbus;
        this.supervisor = supervisor;
        this.id = id;
    }

    void run(Steps steps) {
        atNimbus(steps);
        atSupervisor(steps);
    }

    private String node() throws Exception {
        return nimbus.getClusterInfo().getSupervisors().get(0).getSupervisor_id();
    }

    private SupervisorWorkerHeartbeat beat(String topology) throws Exception {
        List<ExecutorInfo> executors = nimbus.getTopologyInfo(id).getExecutors().stream()
                .map(ExecutorSummary::getExecutor_info).collect(Collectors.toList());
        return new SupervisorWorkerHeartbeat(topology, executors,
                System.currentTimeMillis() / 1000);
    }

    private void atNimbus(Steps steps) {
        steps.step("C 6.3 getSupervisorAssignments: whole Assignments", () -> {
            Assignment assignment =
                    nimbus.getSupervisorAssignments(node()).getStorm_assignment().get(id);
            equal(assignment.getExecutor_node_port().keySet(),
                    Set.of(List.of(1L, 1L), List.of(2L, 2L), List.of(3L, 3L)));
            check(assignment.getNode_host().containsKey(node()), assignment);
            return null;
        });
        steps.step("C 3.1 getSupervisorAssignments: an unknown node", () -> {
            equal(nimbus.getSupervisorAssignments("nobody").getStorm_assignment(), Map.of());
            return null;
        });
        steps.step("C 3.3 sendSupervisorWorkerHeartbeat: taken", () -> {
            nimbus.sendSupervisorWorkerHeartbeat(beat(id));
            return null;
        });
        steps.step("C 3.3 sendSupervisorWorkerHeartbeat: an unknown topology", () -> thrown(
                NotAliveException.class, () -> {
                    nimbus.sendSupervisorWorkerHeartbeat(beat("nobody-1-1"));
                    return null;
                }).getMsg());
        steps.step("C 3.3 sendSupervisorWorkerHeartbeats: taken, an unknown topology too", () -> {
            nimbus.sendSupervisorWorkerHeartbeats(new SupervisorWorkerHeartbeats(node(),
                    List.of(beat(id), beat("nobody-1-1"))));
            return null;
        });
        steps.step("C 3.3 processWorkerMetrics: taken", () -> {
            WorkerMetricPoint point = new WorkerMetricPoint("pulse",
                    System.currentTimeMillis(), 1.5, "ticks", "[3-3]", "default");
            nimbus.processWorkerMetrics(new WorkerMetrics(id, 6700, "localhost",
                    new WorkerMetricList().setMetrics(List.of(point))));
            return null;
        });
    }

    private void atSupervisor(Steps steps) {
        steps.step("C 3.6 getLocalAssignmentForStorm: Nimbus's Assignment", () -> {
            eventually("it is there", () -> {
                try {
                    return supervisor.getLocalAssignmentForStorm(id)
                            .isSetExecutor_node_port();
                } catch (NotAliveException notYet) {
                    return false;
                }
            });
            return null;
        });
        steps.step("C 3.6 getLocalAssignmentForStorm: of no topology here", () -> {
            String told = thrown(NotAliveException.class,
                    () -> supervisor.getLocalAssignmentForStorm("nobody-1-1")).getMsg();
            check(told.startsWith(
                    "No local assignment assigned for storm: nobody-1-1 for node: "), told);
            return told;
        });
        steps.step("C 3.6 sendSupervisorAssignments: returns at once", () -> {
            supervisor.sendSupervisorAssignments(nimbus.getSupervisorAssignments(node()));
            supervisor.sendSupervisorAssignments(new SupervisorAssignments());
            return null;
        });
        steps.step("C 3.6 sendSupervisorWorkerHeartbeat: taken", () -> {
            supervisor.sendSupervisorWorkerHeartbeat(beat(id));
            return null;
        });
        steps.step("C 3.6 sendSupervisorWorkerHeartbeat: an unknown topology", () -> internal(
                "sendSupervisorWorkerHeartbeat",
                "nobody-1-1 does not appear to be alive, you should probably exit", () -> {
                    supervisor.sendSupervisorWorkerHeartbeat(beat("nobody-1-1"));
                    return null;
                }));
    }
}
