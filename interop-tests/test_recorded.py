"""Recorded frames of peers, good and broken, sent to a live cluster: answers as genuine Storm gave.

`src/nimbus/tests/recorded.rs` replays whole conversations; here are those of one exchange that need
no topology, byte for byte as they were sent, against the processes that users run. An answer is
equal when its kind, method, sequence number and meaning are: of an exception its class, code and
text, of a result its fields and their types. An internal error's text may go on with its cause.
"""

import base64
import json
from contextlib import closing

from cluster import ROOT
from wire import EXCEPTION, REPLY, Raw, decode

RECORDED = ROOT / "interop-tests/fixtures/control/protocol.jsonl"

# Differences that are meant, by case, with what stands in the recorded exception's place.
DELIBERATE = {
    # Storm has dropped this method; clients before 2.0 call it (C 13.4).
    "unknown-method-args": "Internal error processing beginFileDownload",
}


def conversations():
    """The recorded lines by case and connection, in their order."""
    found = {}
    for line in map(json.loads, RECORDED.read_text().splitlines()):
        found.setdefault((line["case"], line["connection"]), []).append(line)
    return found


def test_recorded_frames_are_answered_as_storm_did(cluster):
    """C 1.1, C 1.3, C 3.1: headers, absent arguments, broken frames, unknown methods."""
    unequal = []
    all_of_them = conversations()
    for (case, _), lines in all_of_them.items():
        address = cluster.addresses[lines[0]["service"]]
        with closing(Raw(address)) as raw:
            # All at once: the answers keep the order. Nothing follows, so that half a frame ends.
            raw.send(b"".join(base64.b64decode(line["request_b64"]) for line in lines)).no_more()
            for line in lines:
                expected, got = line["reply_b64"], raw.payload()
                difference = compare(case, expected and base64.b64decode(expected)[4:], got)
                if difference:
                    unequal.append(f"{case}: {difference}")
    n_equal = len(all_of_them) - len(unequal)
    print(f"control/protocol.jsonl: {n_equal} / {len(all_of_them)} equal")
    assert not unequal, "\n".join(unequal)


def compare(case, expected, got):
    """What is different, or nothing."""
    if expected is None or got is None:
        return None if expected is got else f"{got!r} instead of {expected!r}"
    expected, got = decode(expected), decode(got)
    if got[1:3] != expected[1:3]:
        return f"method and sequence number {got[1:3]} instead of {expected[1:3]}"
    if case in DELIBERATE:
        text = got[3].get(1, "") if got[0] == EXCEPTION else ""
        return None if text.startswith(DELIBERATE[case]) else f"no longer so: {got}"
    if got[0] != expected[0]:
        return f"{got} instead of {expected}"
    if got[0] == EXCEPTION:
        same = got[3][2] == expected[3][2] and got[3][1].startswith(expected[3][1])
    elif 0 in expected[3]:
        # A result: what it holds depends on the cluster.
        same = covers(got[3], expected[3])
    else:
        assert got[0] == REPLY
        same = got[3] == expected[3]
    return None if same else f"{got} instead of {expected}"


def covers(got, expected):
    """Whether every field of the recorded value is there with the same type."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return all(id in got and covers(got[id], value) for id, value in expected.items())
    if isinstance(expected, list) and isinstance(got, list) and expected and got:
        return covers(got[0], expected[0])
    return type(got) is type(expected)
