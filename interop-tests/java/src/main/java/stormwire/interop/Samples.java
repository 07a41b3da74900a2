package stormwire.interop;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import stormwire.generated.AccessControl;
import stormwire.generated.AccessControlType;
import stormwire.generated.Bolt;
import stormwire.generated.ComponentCommon;
import stormwire.generated.ComponentObject;
import stormwire.generated.GlobalStreamId;
import stormwire.generated.Grouping;
import stormwire.generated.JavaObject;
import stormwire.generated.JavaObjectArg;
import stormwire.generated.KillOptions;
import stormwire.generated.Nimbus;
import stormwire.generated.NotAliveException;
import stormwire.generated.NullStruct;
import stormwire.generated.SettableBlobMeta;
import stormwire.generated.SpoutSpec;
import stormwire.generated.StormTopology;
import stormwire.generated.StreamInfo;
import stormwire.generated.SubmitOptions;
import stormwire.generated.TopologyInitialStatus;

/** Arguments for calls: a topology of native components, a jar, a blob's metadata. */
final class Samples {
    private Samples() {}

    /** `ticks` -> `sink`: nothing that needs a process of its own. */
    static StormTopology topology() {
        JavaObject timer = new JavaObject("stormwire.TimerSpout",
                List.of(JavaObjectArg.long_arg(100)));
        JavaObject sink = new JavaObject("stormwire.NullBolt", List.of());
        ComponentCommon spout = new ComponentCommon(new HashMap<>(), new HashMap<>(
                Map.of("default", new StreamInfo(List.of("number", "time"), false))));
        ComponentCommon bolt = new ComponentCommon(new HashMap<>(Map.of(
                new GlobalStreamId("ticks", "default"), Grouping.shuffle(new NullStruct()))),
                new HashMap<>());
        return new StormTopology(
                new HashMap<>(Map.of("ticks",
                        new SpoutSpec(ComponentObject.java_object(timer), spout))),
                new HashMap<>(Map.of("sink", new Bolt(ComponentObject.java_object(sink), bolt))),
                new HashMap<>());
    }

    /** Uploads a jar; its location. */
    static String jar(Nimbus.Iface nimbus) throws Exception {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(packed)) {
            zip.putNextEntry(new ZipEntry("resources/nothing"));
        }
        String location = nimbus.beginFileUpload();
        nimbus.uploadChunk(location, ByteBuffer.wrap(packed.toByteArray()));
        nimbus.finishFileUpload(location);
        return location;
    }

    /** Submits the topology; its id. */
    static String submit(Nimbus.Iface nimbus, String name) throws Exception {
        nimbus.submitTopologyWithOpts(name, jar(nimbus), "{}", topology(),
                new SubmitOptions(TopologyInitialStatus.ACTIVE));
        return nimbus.getTopologySummaryByName(name).getId();
    }

    /** Kills a topology that may be gone, and waits until its name is free. */
    static void kill(Nimbus.Iface nimbus, String name) throws Exception {
        try {
            nimbus.killTopologyWithOpts(name, now());
        } catch (NotAliveException gone) {
            return;
        }
        Steps.eventually(name + " is gone", () -> nimbus.isTopologyNameAllowed(name));
    }

    static KillOptions now() {
        return new KillOptions().setWait_secs(0);
    }

    /** Metadata of a blob that everybody may read, write and administer. */
    static SettableBlobMeta open() {
        return new SettableBlobMeta(List.of(new AccessControl(AccessControlType.OTHER, 7)));
    }

    static ByteBuffer bytes(String text) {
        return ByteBuffer.wrap(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    static String text(ByteBuffer bytes) {
        return java.nio.charset.StandardCharsets.UTF_8.decode(bytes).toString();
    }
}
