"""File uploads and downloads: jars to Nimbus, code from it."""

import pytest

import topologies

from . import rules


def test_an_upload_is_a_location_in_the_inbox(cluster, nimbus):
    """C 3.4: beginFileUpload -> <storm.local.dir>/nimbus/inbox/stormjar-<uuid>.jar."""
    location = nimbus.beginFileUpload()
    assert location.startswith(f"{cluster.local}/nimbus/inbox/stormjar-")
    assert location.endswith(".jar")
    nimbus.uploadChunk(location, b"PK")
    nimbus.uploadChunk(location, b"")
    nimbus.finishFileUpload(location)


def test_an_upload_may_be_empty(nimbus):
    """C 3.4: begin, finish without a chunk yields an empty file; legal."""
    nimbus.finishFileUpload(nimbus.beginFileUpload())


def test_a_chunk_for_an_unknown_location(nimbus):
    """C 3.4: INTERNAL_ERROR `File for that location does not exist (or timed out)`."""
    text = "File for that location does not exist (or timed out)"
    location = nimbus.beginFileUpload()
    nimbus.finishFileUpload(location)
    for gone in (location, "/etc/passwd", "", None):
        with rules.internal("uploadChunk", text):
            nimbus.uploadChunk(gone, b"x")
        with rules.internal("finishFileUpload", text):
            nimbus.finishFileUpload(gone)


def test_code_comes_in_chunks_to_peers_before_2_0(submitted, nimbus):
    """C 3.4, C 13.4 (2): beginFileDownload, downloadChunk until an empty one; then no session."""
    key = f"{submitted(status='INACTIVE').id}-stormcode.ser"
    session, received = nimbus.beginFileDownload(key), b""
    while chunk := nimbus.downloadChunk(session):
        received += chunk
    assert received.startswith(b"\x1f\x8b")  # gzip
    with rules.internal("downloadChunk", f"Could not find input stream for id {session}"):
        nimbus.downloadChunk(session)


@pytest.mark.parametrize("session", ["nobody", "", None])
def test_a_chunk_of_an_unknown_download(nimbus, session):
    """C 3.4: INTERNAL_ERROR `Could not find input stream for id <id>`."""
    with rules.internal("downloadChunk", "Could not find input stream for id"):
        nimbus.downloadChunk(session)


@pytest.mark.parametrize("file", ["/etc/passwd", "../../x", "nobody-1-1-stormjar.jar", "", None])
def test_a_download_of_anything_else_is_refused(nimbus, file):
    """C 3.4: only what Nimbus keeps can be fetched; no path of its machine."""
    with rules.internal("beginFileDownload"):
        nimbus.beginFileDownload(file)


def test_an_upload_serves_two_submissions(nimbus, types):
    """C 2.2: the inbox file must survive a submit; older clients reuse the location."""
    location = topologies.upload(nimbus, topologies.jar({"nothing": ""}))
    names = [rules.fresh_name(), rules.fresh_name()]
    try:
        for name in names:
            nimbus.submitTopology(name, location, "{}", rules.native(types).topology)
            assert nimbus.isTopologyNameAllowed(name) is False
    finally:
        for name in names:
            rules.kill(nimbus, types, name)
