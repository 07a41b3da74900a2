"""Blobs: sessions, pages, access lists, and what a live topology keeps from being deleted."""

import pytest

from cluster import eventually

from . import rules

GONE = "does not exist (or timed out)"


@pytest.fixture
def blob(nimbus, types):
    """`blob(content=b"", key=None)` creates one and returns its key; deleted after the test."""
    made = []

    def make(content=b"", key=None, acl=(), replication=None):
        key = key or rules.fresh_name("blob")
        upload(nimbus, nimbus.beginCreateBlob(key, meta(types, acl, replication)), content)
        made.append(key)
        return key

    yield make
    for key in made:
        try:
            nimbus.deleteBlob(key)
        except types.KeyNotFoundException:
            pass


def meta(types, acl=(), replication=None):
    """What an owner says about a blob: `acl` holds (kind, name, bits)."""
    kinds = {"o": types.AccessControlType.OTHER, "u": types.AccessControlType.USER}
    entries = [types.AccessControl(kinds[kind], name, access) for kind, name, access in acl]
    return types.SettableBlobMeta(entries, replication)


def acl_of(nimbus, key):
    entries = nimbus.getBlobMeta(key).settable.acl
    return [("ou"[entry.type - 1], entry.name, entry.access) for entry in entries]


def upload(nimbus, session, content, chunk_bytes=65536):
    for start in range(0, len(content), chunk_bytes):
        nimbus.uploadBlobChunk(session, content[start : start + chunk_bytes])
    nimbus.finishBlobUpload(session)


def download(nimbus, key):
    """The chunks of a blob, up to the empty one."""
    session, chunks = nimbus.beginBlobDownload(key).session, []
    while chunk := nimbus.downloadBlobChunk(session):
        chunks.append(chunk)
    return chunks


def listed(nimbus):
    page = nimbus.listBlobs("")
    keys = []
    while page.keys:
        keys += page.keys
        page = nimbus.listBlobs(page.session)
    return keys


# ---- Create, read, update, delete ----------------------------------------------------------------


def test_a_blob_is_there_when_its_upload_is_finished(nimbus, types, blob):
    """C 3.5: visible at finishBlobUpload. Before, getBlobMeta is INTERNAL_ERROR, as recorded."""
    key = rules.fresh_name("blob")
    session = nimbus.beginCreateBlob(key, meta(types))
    nimbus.uploadBlobChunk(session, b"hello ")
    nimbus.uploadBlobChunk(session, b"")
    with rules.internal("getBlobMeta"):
        nimbus.getBlobMeta(key)
    with rules.internal("beginBlobDownload"):
        nimbus.beginBlobDownload(key)
    assert key in listed(nimbus)
    nimbus.uploadBlobChunk(session, b"world")
    nimbus.finishBlobUpload(session)
    nimbus.createStateInZookeeper(key)
    assert b"".join(download(nimbus, key)) == b"hello world"
    with rules.internal("finishBlobUpload", f"Blob for session {session} {GONE}"):
        nimbus.finishBlobUpload(session)
    nimbus.deleteBlob(key)


def test_a_key_is_created_once(nimbus, types, blob):
    """C 3.5: KeyAlreadyExists, msg = key; also while somebody else creates it."""
    key = blob(b"first")
    with rules.refused(types.KeyAlreadyExistsException, key):
        nimbus.beginCreateBlob(key, meta(types))
    begun = rules.fresh_name("blob")
    session = nimbus.beginCreateBlob(begun, meta(types))
    with rules.refused(types.KeyAlreadyExistsException, begun):
        nimbus.beginCreateBlob(begun, meta(types))
    nimbus.cancelBlobUpload(session)


def test_a_cancelled_upload_leaves_no_blob(nimbus, types):
    """C 3.5: cancelBlobUpload discards; getBlobMeta of that key is INTERNAL_ERROR, as recorded.

    Unlike Storm's the key can be begun again.
    """
    key = rules.fresh_name("blob")
    session = nimbus.beginCreateBlob(key, meta(types))
    nimbus.uploadBlobChunk(session, b"x" * 100_000)
    nimbus.cancelBlobUpload(session)
    with rules.internal("getBlobMeta"):
        nimbus.getBlobMeta(key)
    with rules.internal("uploadBlobChunk", f"Blob for session {session} {GONE}"):
        nimbus.uploadBlobChunk(session, b"x")
    nimbus.cancelBlobUpload(nimbus.beginCreateBlob(key, meta(types)))
    nimbus.deleteBlob(key)
    with rules.refused(types.KeyNotFoundException, key):
        nimbus.getBlobMeta(key)


def test_an_update_shows_whole_and_keeps_the_list(nimbus, types, blob):
    """C 3.5, 7: beginUpdateBlob; other content, other version; readers keep what they began."""
    key = blob(b"old", acl=[("o", None, 7), ("u", "alice", 5)])
    before = nimbus.getBlobMeta(key)
    reading = nimbus.beginBlobDownload(key)
    session = nimbus.beginUpdateBlob(key)
    nimbus.uploadBlobChunk(session, b"new content")
    assert nimbus.getBlobMeta(key) == before
    nimbus.finishBlobUpload(session)
    after = nimbus.getBlobMeta(key)
    assert after.settable == before.settable and after.version != before.version
    assert nimbus.downloadBlobChunk(reading.session) == b"old"
    assert download(nimbus, key) == [b"new content"]
    upload(nimbus, nimbus.beginUpdateBlob(key), b"old")
    assert nimbus.getBlobMeta(key).version == before.version  # CRC32C of the content


def test_an_unknown_key(nimbus, types):
    """C 3.5: KeyNotFound, msg = key; isRemoteBlobExists says no."""
    key = rules.fresh_name("ghost")
    calls = [
        lambda: nimbus.getBlobMeta(key),
        lambda: nimbus.setBlobMeta(key, meta(types)),
        lambda: nimbus.beginUpdateBlob(key),
        lambda: nimbus.beginBlobDownload(key),
        lambda: nimbus.deleteBlob(key),
        lambda: nimbus.getBlobReplication(key),
    ]
    for call in calls:
        with rules.refused(types.KeyNotFoundException, key):
            call()
    assert nimbus.isRemoteBlobExists(key) is False


@pytest.mark.parametrize(
    "key", ["", ".", "..", "a/b", "a:b", "../../etc/passwd", "%2e%2e/x", "a\\b", "a\nb", "a\0b", "x" * 300]
)
def test_a_key_is_a_plain_name(nimbus, types, key):
    """C 7, F10: violations are INTERNAL_ERROR, in every call; nothing outside is touched."""
    with rules.internal("beginCreateBlob"):
        nimbus.beginCreateBlob(key, meta(types))
    with rules.internal("getBlobMeta"):
        nimbus.getBlobMeta(key)
    with rules.internal("beginBlobDownload"):
        nimbus.beginBlobDownload(key)
    with rules.internal("beginUpdateBlob"):
        nimbus.beginUpdateBlob(key)
    with rules.internal("deleteBlob"):
        nimbus.deleteBlob(key)
    with rules.internal("setBlobMeta"):
        nimbus.setBlobMeta(key, meta(types))
    with rules.internal("getBlobReplication"):
        nimbus.getBlobReplication(key)
    with rules.internal("isRemoteBlobExists"):
        nimbus.isRemoteBlobExists(key)


@pytest.mark.parametrize("key", ["\u043a\u043b\u044e\u0447", "under_score-dot.jar", "two words", "..."])
def test_keys_of_any_script(nimbus, blob, key):
    """C 7: letters of any script, digits, blank, `_`, `-`, `.`."""
    assert nimbus.isRemoteBlobExists(blob(b"x", key=key)) is True


def test_null_arguments(nimbus, types):
    """C 3.1, recorded: INTERNAL_ERROR, but for createStateInZookeeper and listBlobs."""
    with rules.internal("beginCreateBlob"):
        nimbus.beginCreateBlob(None, None)
    with rules.internal("uploadBlobChunk"):
        nimbus.uploadBlobChunk(None, None)
    with rules.internal("updateBlobReplication"):
        nimbus.updateBlobReplication(None, None)
    with rules.internal("finishBlobUpload"):
        nimbus.finishBlobUpload(None)
    with rules.internal("downloadBlobChunk"):
        nimbus.downloadBlobChunk(None)
    with rules.internal("isRemoteBlobExists"):
        nimbus.isRemoteBlobExists(None)
    nimbus.createStateInZookeeper(None)
    assert nimbus.listBlobs(None).session


# ---- Chunks, versions, pages ---------------------------------------------------------------------


def test_a_download_comes_in_chunks_of_65536(nimbus, blob):
    """C 3.5: {version, session, data_size}; at most 65536 bytes; an empty one ends the session."""
    content = bytes(range(256)) * 600
    key = blob(content)
    begun = nimbus.beginBlobDownload(key)
    assert begun.data_size == len(content)
    assert begun.version == nimbus.getBlobMeta(key).version
    sizes = []
    while chunk := nimbus.downloadBlobChunk(begun.session):
        sizes.append(len(chunk))
    assert sizes == [65536, 65536, 153_600 - 131_072]
    with rules.internal("downloadBlobChunk", f"Blob for session {begun.session} {GONE}"):
        nimbus.downloadBlobChunk(begun.session)


def test_the_version_is_the_checksum_of_the_content(nimbus, blob):
    """C 7: CRC32C since 2.7; `hello world` was recorded as 3381945770."""
    assert nimbus.getBlobMeta(blob(b"hello world")).version == 3381945770
    assert nimbus.getBlobMeta(blob(b"")).version == 0


def test_many_chunks_of_one_byte(nimbus, types, blob):
    """C 2.1: single-byte writes produce 1-byte RPCs; the server must handle many tiny chunks."""
    content = bytes(n % 251 for n in range(20_000))
    key = rules.fresh_name("blob")
    session = nimbus.beginCreateBlob(key, meta(types))
    upload(nimbus, session, content, chunk_bytes=1)
    assert b"".join(download(nimbus, key)) == content
    nimbus.deleteBlob(key)


def test_a_listing_comes_in_pages_of_100(nimbus, blob):
    """C 3.5: <= 100 keys a page; an empty page ends the session."""
    made = {blob() for _ in range(120)}
    page = nimbus.listBlobs("")
    assert len(page.keys) == 100
    session, found = page.session, set(page.keys)
    while page.keys:
        page = nimbus.listBlobs(session)
        assert page.session == session and len(page.keys) <= 100
        found |= set(page.keys)
    assert made <= found
    for unknown in (session, "nope"):
        with rules.internal("listBlobs", f"Blob list for session {unknown} {GONE}"):
            nimbus.listBlobs(unknown)


def test_an_unknown_session(nimbus):
    """C 3.5: INTERNAL_ERROR `Blob for session <s> does not exist (or timed out)`."""
    text = f"Blob for session nope {GONE}"
    with rules.internal("uploadBlobChunk", text):
        nimbus.uploadBlobChunk("nope", b"x")
    with rules.internal("finishBlobUpload", text):
        nimbus.finishBlobUpload("nope")
    with rules.internal("cancelBlobUpload", text):
        nimbus.cancelBlobUpload("nope")
    with rules.internal("downloadBlobChunk", text):
        nimbus.downloadBlobChunk("nope")


def test_replication(nimbus, types, blob):
    """C 3.5: getBlobReplication counts; updateBlobReplication is unsupported on a local store."""
    key = blob(b"x", replication=3)
    assert nimbus.getBlobMeta(key).settable.replication_factor == 3
    assert nimbus.getBlobReplication(key) == 1
    assert nimbus.updateBlobReplication(key, 1) == 1
    with rules.internal("updateBlobReplication"):
        nimbus.updateBlobReplication(key, 2)


# ---- Access lists --------------------------------------------------------------------------------


def test_lists_of_anonymous_callers(nimbus, types, blob):
    """C 7: an anonymous creator opens the blob to the world; an OTHER entry of 0 bits is dropped."""
    world = ("o", None, 7)
    assert acl_of(nimbus, blob()) == [world]
    key = blob(acl=[world, ("u", "alice", 5)])
    assert acl_of(nimbus, key) == [world, ("u", "alice", 5)]
    # What Java's submitter sends for a dependency.
    assert acl_of(nimbus, blob(acl=[("u", None, 7), ("o", None, 1)])) == [("o", None, 1), world]
    assert acl_of(nimbus, blob(acl=[("o", None, 0), ("u", "bob", 1)])) == [("u", "bob", 1), world]
    nimbus.setBlobMeta(key, meta(types, [("u", "carol", 3)], 2))
    assert acl_of(nimbus, key) == [("u", "carol", 3), world]
    assert nimbus.getBlobMeta(key).settable.replication_factor == 2


def test_impossible_lists_are_refused(nimbus, types, blob):
    """C 7: duplicates -> Authorization; unknown bits -> INTERNAL_ERROR. Nothing is changed."""
    key = blob()
    twice = meta(types, [("u", "x", 1), ("u", "x", 2)])
    text = "user [x] can't appear more than once in the ACLs for key [{}]."
    with rules.refused(types.AuthorizationException, text.format(key)):
        nimbus.setBlobMeta(key, twice)
    new = rules.fresh_name("blob")
    with rules.refused(types.AuthorizationException, text.format(new)):
        nimbus.beginCreateBlob(new, twice)
    for bits in (8, -1, 1 << 30):
        with rules.internal("setBlobMeta"):
            nimbus.setBlobMeta(key, meta(types, [("u", "x", bits)]))
        with rules.internal("beginCreateBlob"):
            nimbus.beginCreateBlob(new, meta(types, [("u", "x", bits)]))
    assert acl_of(nimbus, key) == [("o", None, 7)]
    assert nimbus.isRemoteBlobExists(new) is False


# ---- Topologies ----------------------------------------------------------------------------------


def test_blobs_of_a_live_topology_stay(nimbus, types, submitted):
    """C 3.5: IllegalState while it lives; afterwards they are gone with it."""
    topology = submitted(status="INACTIVE")
    keys = [f"{topology.id}-storm{kind}" for kind in ("jar.jar", "code.ser", "conf.ser")]
    assert set(keys) <= set(listed(nimbus))
    for key in keys:
        assert acl_of(nimbus, key) == [("o", None, 7)]
        text = f"Attempting to delete blob {key} from under active topology {topology.id}"
        with rules.refused(types.IllegalStateException, text):
            nimbus.deleteBlob(key)
    rules.kill(nimbus, types, topology.name)
    eventually("its blobs are gone", lambda: not set(keys) & set(listed(nimbus)))


def test_blobs_that_a_live_topology_needs_stay(nimbus, types, submitted, blob):
    """C 3.5, 5.3: its map's and dependencies' cannot be deleted; its jars go with it, no others."""
    mapped, jar, artifact = blob(b"m"), blob(b"j"), blob(b"a")
    builder = rules.native(types)
    builder.topology.dependency_jars = [jar]
    builder.topology.dependency_artifacts = [artifact, "no-such-artifact"]
    conf = {"topology.blobstore.map": {mapped: {"localname": "words.txt"}}}
    topology = submitted(builder=builder, conf=conf, status="INACTIVE")
    for key in (mapped, jar, artifact):
        text = f"Attempting to delete active blob {key} used by topology {topology.id}"
        with rules.refused(types.IllegalStateException, text):
            nimbus.deleteBlob(key)
    rules.kill(nimbus, types, topology.name)
    eventually("its jar is gone", lambda: not nimbus.isRemoteBlobExists(jar))
    assert nimbus.isRemoteBlobExists(artifact) and nimbus.isRemoteBlobExists(mapped)


def test_a_topology_does_not_take_others_blobs_with_it(nimbus, types, submitted, blob):
    """C 5.3 and its trap: a topology may list any key as its jar; what others need stays."""
    shared = blob(b"x")
    one, other = rules.native(types), rules.native(types)
    one.topology.dependency_jars = [shared]
    other.topology.dependency_jars = [shared]
    first = submitted(builder=one, status="INACTIVE")
    own = f"{first.id}-stormcode.ser"
    other.topology.dependency_jars += [own]
    second = submitted(builder=other, status="INACTIVE")
    rules.kill(nimbus, types, second.name)
    assert nimbus.isRemoteBlobExists(shared) and nimbus.isRemoteBlobExists(own)
    rules.kill(nimbus, types, first.name)


def test_every_key_of_the_blob_map_must_exist(nimbus, types):
    """C 3.2 (11): else InvalidTopology."""
    with rules.refused(types.InvalidTopologyException, "Key not found: no-such-blob"):
        rules.submit(nimbus, types, conf={"topology.blobstore.map": {"no-such-blob": {}}})


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "", "a/b", "/etc/passwd", "a\\b", "a\0b", "tmp", "resources"]
)
def test_a_local_name_is_one_plain_name(nimbus, types, blob, name):
    """F10: a link that would leave the worker's directory, or hide what is there, is refused."""
    conf = {"topology.blobstore.map": {blob(): {"localname": name}}}
    with pytest.raises(types.InvalidTopologyException, match="cannot be a local name"):
        rules.submit(nimbus, types, conf=conf)


def test_symlinks_may_be_disabled(own_cluster, types):
    """C 3.2 (9): symlinks disabled and a blob map -> InvalidTopology."""
    cluster = own_cluster(settings={"storm.disable.symlinks": "true"})
    with rules.connection(cluster) as nimbus:
        session = nimbus.beginCreateBlob("words", meta(types))
        nimbus.finishBlobUpload(session)
        with pytest.raises(types.InvalidTopologyException, match="symlinks are disabled"):
            rules.submit(nimbus, types, conf={"topology.blobstore.map": {"words": {}}})


# ---- Durability and expiry -----------------------------------------------------------------------


def test_blobs_survive_a_kill_and_torn_uploads_do_not(own_cluster, types):
    """C 3.5: what was finished is on disk with its list; what was not is cleared at the start."""
    cluster = own_cluster()
    with rules.connection(cluster) as nimbus:
        session = nimbus.beginCreateBlob("whole", meta(types, [("u", "alice", 1)]))
        upload(nimbus, session, b"w" * 100_000)
        before = nimbus.getBlobMeta("whole")
        torn = nimbus.beginCreateBlob("torn", meta(types))
        nimbus.uploadBlobChunk(torn, b"t" * 100_000)
        torn_update = nimbus.beginUpdateBlob("whole")
        nimbus.uploadBlobChunk(torn_update, b"t" * 100_000)
    cluster.kill()
    assert len(list((cluster.local / "blobs/content").iterdir())) == 3
    cluster.start()
    with rules.connection(cluster) as nimbus:
        assert listed(nimbus) == ["whole"]
        assert nimbus.getBlobMeta("whole") == before
        assert b"".join(download(nimbus, "whole")) == b"w" * 100_000
    assert len(list((cluster.local / "blobs/content").iterdir())) == 1


def test_a_large_blob_is_never_in_memory(own_cluster, types):
    """C 3.5: an upload and a download of 300 MB cost a few megabytes, and no checksum again."""
    cluster = own_cluster()
    chunk = bytes(1 << 20)
    with rules.connection(cluster, timeout_secs=60) as nimbus:
        before = cluster.memory_mb()
        session = nimbus.beginCreateBlob("large", meta(types))
        for _ in range(300):
            nimbus.uploadBlobChunk(session, chunk)
        nimbus.finishBlobUpload(session)
        begun = nimbus.beginBlobDownload("large")
        assert begun.data_size == 300 << 20
        n_bytes = 0
        for _ in range(500):
            n_bytes += len(nimbus.downloadBlobChunk(begun.session))
        grown = cluster.memory_mb() - before
        print(f"300 MB up, {n_bytes >> 20} MB down: {grown:.0f} MB more in memory")
        assert grown < 60
