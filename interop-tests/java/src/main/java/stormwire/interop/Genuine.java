package stormwire.interop;

import java.util.Map;
import org.apache.storm.utils.Utils;

/**
 * Storm's own Java client library against a cluster: everything that a Java user does with it.
 *
 * <p>Configured as any Storm client is: storm.yaml on the class path, the system properties
 * storm.jar and, for SASL, java.security.auth.login.config. Arguments: what is called after the
 * transport in the names of topologies and blobs, and a directory for what topologies write.
 */
public final class Genuine {
    private Genuine() {}

    public static void main(String[] args) {
        Map<String, Object> conf = Utils.readStormConfig();
        Steps steps = new Steps();
        new Blobs(conf, "java-" + args[0]).run(steps);
        new Life(conf, "java-" + args[0], args[1]).run(steps);
        new Functions(conf, "java-" + args[0] + "-drpc").run(steps);
        new Commands(conf, "java-" + args[0] + "-storm", args[1]).run(steps);
        steps.finish();
    }
}
