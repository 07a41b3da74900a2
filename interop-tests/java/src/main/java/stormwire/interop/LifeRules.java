package stormwire.interop;

import static stormwire.interop.Peer.internal;
import static stormwire.interop.Peer.refused;
import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.eventually;
import static stormwire.interop.Steps.thrown;

import java.nio.ByteBuffer;
import stormwire.generated.AlreadyAliveException;
import stormwire.generated.InvalidTopologyException;
import stormwire.generated.KillOptions;
import stormwire.generated.Nimbus;
import stormwire.generated.NotAliveException;
import stormwire.generated.SubmitOptions;
import stormwire.generated.TopologyInitialStatus;

/** Uploads, submits, orders. */
final class LifeRules {
    private final Nimbus.Iface nimbus;
    private final String name;
    private final String id;

    LifeRules(Nimbus.Iface nimbus, String name, String id) {
        this.nimbus = nimbus;
        this.name = name;
        this.id = id;
    }

    void run(Steps steps) {
        files(steps);
        submit(steps);
        orders(steps);
    }

    private void files(Steps steps) {
        steps.step("C 3.4 beginFileUpload: a path in the inbox", () -> {
            String location = nimbus.beginFileUpload();
            check(location.matches(".*/nimbus/inbox/stormjar-[-0-9a-f]+\\.jar"), location);
            nimbus.finishFileUpload(location);
            return location;
        });
        String gone = "File for that location does not exist (or timed out)";
        steps.step("C 3.4 uploadChunk: an unknown location", () ->
                internal("uploadChunk", gone, () -> {
                    nimbus.uploadChunk("nowhere", Samples.bytes("x"));
                    return null;
                }));
        steps.step("C 3.4 finishFileUpload: an unknown location", () ->
                internal("finishFileUpload", gone, () -> {
                    nimbus.finishFileUpload("nowhere");
                    return null;
                }));
        steps.step("C 13.4 beginFileDownload, downloadChunk: code for older peers", () -> {
            String session = nimbus.beginFileDownload(id + "-stormcode.ser");
            int received = 0;
            for (ByteBuffer chunk = nimbus.downloadChunk(session); chunk.hasRemaining();
                    chunk = nimbus.downloadChunk(session)) {
                received += chunk.remaining();
            }
            check(received > 100, received);
            return received + " bytes";
        });
        steps.step("C 3.4 downloadChunk: an unknown session", () -> internal("downloadChunk",
                "Could not find input stream for id nobody", () -> nimbus.downloadChunk("nobody")));
    }

    private void submit(Steps steps) {
        String other = name + "-other";
        steps.step("C 3.2 submitTopology: ACTIVE at once", () -> {
            nimbus.submitTopology(other, Samples.jar(nimbus), "{}", Samples.topology());
            equal(nimbus.getTopologySummaryByName(other).getStatus(), "ACTIVE");
            Samples.kill(nimbus, other);
            return null;
        });
        steps.step("C 3.2 submitTopologyWithOpts: INACTIVE", () -> {
            nimbus.submitTopologyWithOpts(other, Samples.jar(nimbus), null, Samples.topology(),
                    new SubmitOptions(TopologyInitialStatus.INACTIVE));
            equal(nimbus.getTopologySummaryByName(other).getStatus(), "INACTIVE");
            Samples.kill(nimbus, other);
            return null;
        });
        steps.step("C 3.2 submitTopology: a taken name", () -> refused(AlreadyAliveException.class,
                name + " is already alive", () -> {
                    nimbus.submitTopology(name, Samples.jar(nimbus), "{}", Samples.topology());
                    return null;
                }));
        steps.step("C 3.2 submitTopology: a name with a slash", () ->
                refused(InvalidTopologyException.class, "Topology name 'a/b' is not valid. It can't"
                        + " be null and it must match ^[^/.:\\\\]+$", () -> {
                            nimbus.submitTopology("a/b", "", "{}", Samples.topology());
                            return null;
                        }));
        steps.step("C 3.2 submitTopologyWithOpts: no options", () -> {
            String told = thrown(InvalidTopologyException.class, () -> {
                nimbus.submitTopologyWithOpts(other, "", "{}", Samples.topology(), null);
                return null;
            }).getMsg();
            check(told.contains("SubmitOptions parameter value is null"), told);
            return told;
        });
        steps.step("C 3.2 submitTopology: no jar there", () -> internal("submitTopology", "",
                () -> {
                    nimbus.submitTopology(other, "/nowhere", "{}", Samples.topology());
                    return null;
                }));
    }

    private void orders(Steps steps) {
        steps.step("C 3.2 deactivate: INACTIVE", () -> {
            nimbus.deactivate(name);
            return status("INACTIVE");
        });
        steps.step("C 3.2 activate: ACTIVE", () -> {
            nimbus.activate(name);
            return status("ACTIVE");
        });
        String other = name + "-killed";
        steps.step("C 3.2 killTopology: KILLED for the message time-out", () -> {
            String killed = Samples.submit(nimbus, other);
            nimbus.killTopology(other);
            equal(nimbus.getTopologySummary(killed).getStatus(), "KILLED");
            return killed;
        });
        steps.step("C 3.2 activate: not when killed", () -> internal("activate",
                "No transition for event: ACTIVATE, status: KILLED storm-id: ", () -> {
                    nimbus.activate(other);
                    return null;
                }));
        steps.step("C 3.2 killTopologyWithOpts: the new delay counts", () -> {
            nimbus.killTopologyWithOpts(other, new KillOptions().setWait_secs(0));
            eventually("it is gone", () -> nimbus.isTopologyNameAllowed(other));
            return null;
        });
        unknown(steps, "killTopology", () -> nimbus.killTopology("nobody"));
        unknown(steps, "killTopologyWithOpts",
                () -> nimbus.killTopologyWithOpts("nobody", new KillOptions()));
        unknown(steps, "activate", () -> nimbus.activate("nobody"));
        unknown(steps, "deactivate", () -> nimbus.deactivate("nobody"));
    }

    private interface Order {
        void give() throws Exception;
    }

    private static void unknown(Steps steps, String method, Order order) {
        steps.step("C 3.1 " + method + ": an unknown name", () ->
                refused(NotAliveException.class, "nobody is not alive", () -> {
                    order.give();
                    return null;
                }));
    }

    private Object status(String expected) throws Exception {
        equal(nimbus.getTopologySummaryByName(name).getStatus(), expected);
        return null;
    }
}
