package stormwire.interop;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import stormwire.generated.DistributedRPC;
import stormwire.generated.DistributedRPCInvocations;
import stormwire.generated.Nimbus;
import stormwire.generated.Supervisor;

/**
 * The client that the stock compiler makes of our IDL, against every method of it.
 *
 * <p>Each step is a rule of Storm's contract; its name begins with the section of the specification
 * (C 3.5: section 3.5 of the control plane's) and the method. Java refuses every reply that lacks a
 * required field, which is half of what is tested here. Arguments: service=host:port.
 */
public final class Contract {
    private Contract() {}

    public static void main(String[] args) throws Exception {
        Map<String, String> at = new HashMap<>();
        for (String arg : args) {
            at.put(arg.substring(0, arg.indexOf('=')), arg.substring(arg.indexOf('=') + 1));
        }
        Peer<Nimbus.Iface> nimbus =
                new Peer<>(Nimbus.Iface.class, at.get("nimbus"), Nimbus.Client::new);
        Peer<Supervisor.Iface> supervisor =
                new Peer<>(Supervisor.Iface.class, at.get("supervisor"), Supervisor.Client::new);
        Peer<DistributedRPC.Iface> drpc =
                new Peer<>(DistributedRPC.Iface.class, at.get("drpc"), DistributedRPC.Client::new);
        Peer<DistributedRPCInvocations.Iface> invocations = new Peer<>(
                DistributedRPCInvocations.Iface.class, at.get("drpc-invocations"),
                DistributedRPCInvocations.Client::new);

        Steps steps = new Steps();
        String name = "java-contract";
        String id = Samples.submit(nimbus.call, name);
        Steps.eventually("the topology is placed",
                () -> nimbus.call.getTopologySummary(id).getNum_workers() > 0);
        new LifeRules(nimbus.call, name, id).run(steps);
        new ReadRules(nimbus.call, name, id).run(steps);
        new SteerRules(nimbus.call, name, id).run(steps);
        new BlobRules(nimbus.call, id).run(steps);
        new DaemonRules(nimbus.call, supervisor.call, id).run(steps);
        new DrpcRules(drpc.call, invocations.call).run(steps);
        Samples.kill(nimbus.call, name);
        steps.step("C 14.4 every method of the IDL is called", () -> {
            int methods = 0;
            for (Peer<?> peer : new Peer<?>[] {nimbus, supervisor, drpc, invocations}) {
                Steps.equal(peer.neverCalled(), Set.of());
                methods += peer.methods();
            }
            return methods + " methods";
        });
        steps.finish();
    }
}
