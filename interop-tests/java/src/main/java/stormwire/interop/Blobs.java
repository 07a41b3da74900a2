package stormwire.interop;

import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;
import static stormwire.interop.Steps.thrown;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.storm.blobstore.AtomicOutputStream;
import org.apache.storm.blobstore.BlobStoreAclHandler;
import org.apache.storm.blobstore.ClientBlobStore;
import org.apache.storm.blobstore.InputStreamWithMeta;
import org.apache.storm.generated.AccessControl;
import org.apache.storm.generated.AccessControlType;
import org.apache.storm.generated.KeyAlreadyExistsException;
import org.apache.storm.generated.KeyNotFoundException;
import org.apache.storm.generated.SettableBlobMeta;
import org.apache.storm.utils.Utils;

/** ClientBlobStore: a blob's whole life. */
final class Blobs {
    /** Crosses several chunks of the client's and of the server's. */
    private static final int SIZE = 300_000;

    private final ClientBlobStore store;
    private final String key;

    Blobs(Map<String, Object> conf, String name) {
        store = Utils.getClientBlobStore(conf);
        key = name + "-blob";
    }

    void run(Steps steps) {
        byte[] first = bytes(1);
        byte[] second = bytes(2);
        steps.step("blob create", () -> {
            write(store.createBlob(key, open()), first);
            return null;
        });
        steps.step("blob create again refused", () -> thrown(KeyAlreadyExistsException.class,
                () -> store.createBlob(key, open())).get_msg());
        steps.step("blob read", () -> read(first));
        steps.step("blob list", this::list);
        steps.step("blob update", () -> {
            long before = store.getBlobMeta(key).get_version();
            write(store.updateBlob(key), second);
            long after = store.getBlobMeta(key).get_version();
            check(after != before, "the version is still " + before);
            return read(second);
        });
        steps.step("blob cancelled upload", () -> {
            AtomicOutputStream out = store.updateBlob(key);
            out.write(first);
            out.cancel();
            return read(second);
        });
        steps.step("blob ACL", this::acl);
        steps.step("blob replication", () -> {
            equal(store.getBlobReplication(key), 1);
            return null;
        });
        steps.step("blob exists", () -> {
            check(store.isRemoteBlobExists(key), key);
            return null;
        });
        steps.step("blob one byte a call", this::singleBytes);
        steps.step("blob delete", () -> {
            store.deleteBlob(key);
            return thrown(KeyNotFoundException.class, () -> store.getBlobMeta(key)).get_msg();
        });
        store.shutdown();
    }

    private static SettableBlobMeta open() {
        return new SettableBlobMeta(
                new ArrayList<>(List.of(BlobStoreAclHandler.parseAccessControl("o::rwa"))));
    }

    private Object list() {
        Set<String> keys = new HashSet<>();
        store.listKeys().forEachRemaining(keys::add);
        check(keys.contains(key), keys);
        return keys.size() + " keys";
    }

    private Object acl() throws Exception {
        SettableBlobMeta meta = store.getBlobMeta(key).get_settable();
        meta.add_to_acl(BlobStoreAclHandler.parseAccessControl("u:ishmael:r-a"));
        store.setBlobMeta(key, meta);
        List<AccessControl> acl = store.getBlobMeta(key).get_settable().get_acl();
        AccessControl wanted = new AccessControl(AccessControlType.USER, 5);
        wanted.set_name("ishmael");
        check(acl.contains(wanted), acl);
        return BlobStoreAclHandler.accessControlToString(wanted);
    }

    /** Storm's stream sends a call for each write: many tiny chunks. */
    private Object singleBytes() throws Exception {
        AtomicOutputStream out = store.updateBlob(key);
        byte[] content = {5, 4, 3, 2, 1, 0, -1, -128};
        for (byte each : content) {
            out.write(each);
        }
        out.close();
        return read(content);
    }

    private static void write(AtomicOutputStream out, byte[] content) throws Exception {
        out.write(content);
        out.close();
    }

    private Object read(byte[] expected) throws Exception {
        try (InputStreamWithMeta in = store.getBlob(key)) {
            equal(in.getFileLength(), (long) expected.length);
            check(Arrays.equals(in.readAllBytes(), expected), "another content");
            equal(in.getVersion(), store.getBlobMeta(key).get_version());
        }
        return expected.length + " bytes";
    }

    private static byte[] bytes(int seed) {
        byte[] content = new byte[SIZE];
        new Random(seed).nextBytes(content);
        return content;
    }
}
