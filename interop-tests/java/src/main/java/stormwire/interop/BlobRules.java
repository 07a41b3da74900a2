package stormwire.interop;

import static stormwire.interop.Peer.internal;
import static stormwire.interop.Peer.refused;
import static stormwire.interop.Steps.check;
import static stormwire.interop.Steps.equal;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import stormwire.generated.AccessControl;
import stormwire.generated.AccessControlType;
import stormwire.generated.BeginDownloadResult;
import stormwire.generated.IllegalStateException;
import stormwire.generated.KeyAlreadyExistsException;
import stormwire.generated.KeyNotFoundException;
import stormwire.generated.ListBlobsResult;
import stormwire.generated.Nimbus;
import stormwire.generated.ReadableBlobMeta;

/** Blobs and their sessions. */
final class BlobRules {
    private static final String KEY = "java-contract-blob";

    private final Nimbus.Iface nimbus;
    private final String id;

    BlobRules(Nimbus.Iface nimbus, String id) {
        this.nimbus = nimbus;
        this.id = id;
    }

    void run(Steps steps) {
        write(steps);
        read(steps);
        change(steps);
        refuse(steps);
        delete(steps);
    }

    private void write(Steps steps) {
        steps.step("C 3.5 beginCreateBlob, uploadBlobChunk, finishBlobUpload", () -> {
            String session = nimbus.beginCreateBlob(KEY, Samples.open());
            nimbus.uploadBlobChunk(session, Samples.bytes("call me "));
            nimbus.uploadBlobChunk(session, Samples.bytes("Ishmael"));
            nimbus.finishBlobUpload(session);
            return content();
        });
        steps.step("C 3.5 beginCreateBlob: a taken key", () -> refused(
                KeyAlreadyExistsException.class, KEY,
                () -> nimbus.beginCreateBlob(KEY, Samples.open())));
        steps.step("C 3.5 beginCreateBlob: a key with a slash", () -> internal("beginCreateBlob",
                "", () -> nimbus.beginCreateBlob("a/b", Samples.open())));
        steps.step("C 3.5 beginUpdateBlob: another content and version", () -> {
            long before = nimbus.getBlobMeta(KEY).getVersion();
            String session = nimbus.beginUpdateBlob(KEY);
            nimbus.uploadBlobChunk(session, Samples.bytes("whale"));
            equal(content(), "call me Ishmael");
            nimbus.finishBlobUpload(session);
            equal(content(), "whale");
            check(nimbus.getBlobMeta(KEY).getVersion() != before, "the same version");
            return null;
        });
        steps.step("C 3.5 cancelBlobUpload: nothing of it stays", () -> {
            String session = nimbus.beginUpdateBlob(KEY);
            nimbus.uploadBlobChunk(session, Samples.bytes("gone"));
            nimbus.cancelBlobUpload(session);
            equal(content(), "whale");
            return internal("uploadBlobChunk", "does not exist (or timed out)", () -> {
                nimbus.uploadBlobChunk(session, Samples.bytes("x"));
                return null;
            });
        });
    }

    private void read(Steps steps) {
        steps.step("C 3.5 beginBlobDownload: version and size", () -> {
            BeginDownloadResult begun = nimbus.beginBlobDownload(KEY);
            equal(begun.getData_size(), 5L);
            equal(begun.getVersion(), nimbus.getBlobMeta(KEY).getVersion());
            return begun.getVersion();
        });
        steps.step("C 3.5 downloadBlobChunk: after the end no session", () -> {
            String session = nimbus.beginBlobDownload(KEY).getSession();
            equal(Samples.text(nimbus.downloadBlobChunk(session)), "whale");
            equal(nimbus.downloadBlobChunk(session).remaining(), 0);
            return internal("downloadBlobChunk", "does not exist (or timed out)",
                    () -> nimbus.downloadBlobChunk(session));
        });
        steps.step("C 3.5 listBlobs: pages until an empty one", () -> {
            List<String> keys = new ArrayList<>();
            ListBlobsResult page = nimbus.listBlobs("");
            String session = page.getSession();
            while (page.getKeysSize() > 0) {
                check(page.getKeysSize() <= 100, page.getKeysSize());
                keys.addAll(page.getKeys());
                page = nimbus.listBlobs(session);
            }
            check(keys.contains(KEY), keys);
            return keys.size() + " keys";
        });
        steps.step("C 3.5 listBlobs: an unknown session", () -> internal("listBlobs",
                "does not exist (or timed out)", () -> nimbus.listBlobs("nobody")));
        steps.step("C 3.5 isRemoteBlobExists", () -> {
            equal(nimbus.isRemoteBlobExists(KEY), true);
            equal(nimbus.isRemoteBlobExists("nobody"), false);
            return null;
        });
    }

    private void change(Steps steps) {
        steps.step("C 3.5 setBlobMeta: the ACL", () -> {
            ReadableBlobMeta meta = nimbus.getBlobMeta(KEY);
            AccessControl queequeg =
                    new AccessControl(AccessControlType.USER, 5).setName("queequeg");
            meta.getSettable().addToAcl(queequeg);
            nimbus.setBlobMeta(KEY, meta.getSettable());
            List<AccessControl> acl = nimbus.getBlobMeta(KEY).getSettable().getAcl();
            check(acl.contains(queequeg), acl);
            return null;
        });
        steps.step("C 3.5 getBlobReplication", () -> {
            equal(nimbus.getBlobReplication(KEY), 1);
            return null;
        });
        steps.step("C 3.5 updateBlobReplication: the count that there is, no other", () -> {
            equal(nimbus.updateBlobReplication(KEY, 1), 1);
            return internal("updateBlobReplication", "",
                    () -> nimbus.updateBlobReplication(KEY, 3));
        });
        steps.step("C 3.5 createStateInZookeeper: nothing to do", () -> {
            nimbus.createStateInZookeeper(KEY);
            return null;
        });
    }

    private void refuse(Steps steps) {
        missing(steps, "beginUpdateBlob", () -> nimbus.beginUpdateBlob("nobody"));
        missing(steps, "getBlobMeta", () -> nimbus.getBlobMeta("nobody"));
        missing(steps, "beginBlobDownload", () -> nimbus.beginBlobDownload("nobody"));
        missing(steps, "getBlobReplication", () -> nimbus.getBlobReplication("nobody"));
        missing(steps, "setBlobMeta", () -> {
            nimbus.setBlobMeta("nobody", Samples.open());
            return null;
        });
        missing(steps, "deleteBlob", () -> {
            nimbus.deleteBlob("nobody");
            return null;
        });
    }

    private static void missing(Steps steps, String method, Steps.Body body) {
        steps.step("C 3.5 " + method + ": an unknown key",
                () -> refused(KeyNotFoundException.class, "nobody", body));
    }

    private void delete(Steps steps) {
        steps.step("C 3.5 deleteBlob: not from under a live topology", () -> {
            String key = id + "-stormcode.ser";
            return refused(IllegalStateException.class, "Attempting to delete blob " + key
                    + " from under active topology " + id, () -> {
                        nimbus.deleteBlob(key);
                        return null;
                    });
        });
        steps.step("C 3.5 deleteBlob", () -> {
            nimbus.deleteBlob(KEY);
            equal(nimbus.isRemoteBlobExists(KEY), false);
            return null;
        });
    }

    private String content() throws Exception {
        String session = nimbus.beginBlobDownload(KEY).getSession();
        StringBuilder text = new StringBuilder();
        for (ByteBuffer chunk = nimbus.downloadBlobChunk(session); chunk.hasRemaining();
                chunk = nimbus.downloadBlobChunk(session)) {
            text.append(Samples.text(chunk));
        }
        return text.toString();
    }
}
