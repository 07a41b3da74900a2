"""The log viewer on a real cluster: its routes and shapes, and that nothing outside the logs is shown,
however it is asked for.
"""

import gzip
import json
import os
import re
import shutil
import socket
import time

import pytest

import peers
from cluster import Cluster, eventually
from topologies import Builder, component_files, running
from web import ask, follow, get, part

EVIL = '<script>alert(1)</script>"\'&'


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A cluster with logs of its own making beside those of a worker that runs."""
    directory = tmp_path_factory.mktemp("logviewer")
    peer = peers.ThriftPy2()
    with Cluster(directory, slots=2) as cluster:
        made = Builder(peer.types)
        made.spout("pulse", made.python("pulse.py"), {"default": ["n"]})
        with peer.connect(cluster.nimbus) as nimbus:
            with running(peer, nimbus, "logs", made, component_files("pulse.py")) as id:
                cluster.topology = id
                cluster.slot = eventually("a worker's logs", lambda: slot_of(cluster, id))
                plant(cluster)
                yield cluster
        cluster.stop()


def slot_of(cluster, id):
    slots = list(cluster.local.glob(f"logs/workers-artifacts/{id}/*"))
    return slots and (slots[0] / "worker.log").exists() and slots[0]


def plant(cluster):
    """Files for the tests, and things that must not be shown. With numbers they would be the worker's own, which
    packs them."""
    logs = cluster.local / "logs"
    slot = cluster.slot
    lines = "".join(f"line {n} {'needle' if n % 1000 == 7 else 'hay'}\n" for n in range(20_000))
    (slot / "worker.log.one").write_text(lines)
    (slot / "worker.log.two.gz").write_bytes(gzip.compress(lines.encode()))
    (slot / "evil.log").write_text(f"{EVIL} in a log\n")
    (slot / "core.bin").write_bytes(b"\0\1\2")
    (slot / "secret.log").symlink_to("/etc/passwd")
    (slot / "up").symlink_to("/")
    os.mkfifo(slot / "pipe.log")
    (slot.parent.parent / "away-1-1").symlink_to("/proc/self")
    (logs / "nimbus.log").write_text("a line of Nimbus\n")
    (logs / "away.log").symlink_to("/etc/passwd")
    (cluster.local / "outside.log").write_text("root: outside\n")


@pytest.fixture(scope="module")
def viewer(site):
    return site.addresses["logviewer"]


def file(site, name):
    return f"{site.topology}/{site.slot.name}/{name}"


def page(viewer, path, status=200):
    reply = ask(viewer, f"/api/v1/{path}")
    assert reply.status == status, (path, reply.status, reply.text[:300])
    assert reply.headers["content-type"] == "text/html;charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy
    return reply.text


def shown(text):
    return re.search(r'<pre id="logContent">(.*)</pre>', text, re.DOTALL).group(1)


def test_a_log_that_is_elsewhere_says_where_it_was_looked_for(site, viewer):
    ghost, there = file(site, "ghost.log"), file(site, "worker.log")
    assert "storm.log.dir of this log viewer" in page(viewer, f"log?file={part(ghost)}", 404)
    assert ask(viewer, f"/api/v1/search?file={part(there)}").status == 400
    ask(site.addresses["ui"], "/api/v1/topology/ghost-1-1")
    told = [line for line in site.log.read_text().splitlines() if "a request was" in line]
    for asked in (f"/log?file={part(ghost)}", f"/search?file={part(there)}", "/topology/ghost-1-1"):
        assert [line for line in told if f"asked={asked} " in line], (asked, told)


def test_the_uis_links_lead_to_logs(site, viewer):
    """What the REST API links to is there."""
    links = get(site.addresses["ui"], f"topology/{site.topology}")["workers"]
    link = links[0]["workerLogLink"]
    assert link.startswith(f"http://localhost:{viewer[1]}/")
    reply = follow(viewer, link)
    assert reply.status == 200 and "worker.log" in reply.text and "<pre id=" in reply.text


def test_pages_of_a_log(site, viewer):
    name = part(file(site, "worker.log.one"))
    whole = (site.slot / "worker.log.one").read_text()
    last = shown(page(viewer, f"log?file={name}"))
    assert last == whole[-51_200:]
    assert shown(page(viewer, f"log?file={name}&start=0&length=100")) == whole[:100]
    assert shown(page(viewer, f"log?file={name}&start=50&length=10")) == whole[50:60]
    some = page(viewer, f"log?file={name}&start=0&length=100000&grep=needle")
    assert shown(some).splitlines() == [
        line for line in whole[:100_000].splitlines() if "needle" in line
    ]
    packed = part(file(site, "worker.log.two.gz"))
    assert shown(page(viewer, f"log?file={packed}&start=50&length=10")) == whole[50:60]
    assert shown(page(viewer, f"log?file={packed}")) == last
    assert "no text" in page(viewer, f"log?file={part(file(site, 'core.bin'))}")
    for bad in ("start=soon", "length=-1", f"start={len(whole) + 1}"):
        page(viewer, f"log?file={name}&{bad}", 400)


def test_nothing_in_a_log_or_its_name_is_markup(site, viewer):
    text = page(viewer, f"log?file={part(file(site, 'evil.log'))}&grep={part('<script>')}")
    assert "<script" not in text and "&lt;script&gt;" in text
    text = page(viewer, f"log?file={part(EVIL)}", 404)
    assert "<script" not in text
    plain = EVIL.replace("/", "")
    text = page(viewer, f"dumps/{part(plain)}/h:{site.slot.name}", 404)
    assert "<script" not in text


def test_lists(site, viewer):
    names = [
        file(site, each.name)
        for each in site.slot.iterdir()
        if each.is_file() and not each.is_symlink()
    ]
    for route in ("listLogs", "searchLogs"):
        assert get(viewer, route) == sorted(names)
        assert get(viewer, f"{route}?topoId={site.topology}") == sorted(names)
        assert get(viewer, f"{route}?port={site.slot.name}") == sorted(names)
    assert get(viewer, "listLogs?topoId=nobody-1-1") == []
    assert get(viewer, "listLogs?topoId=away-1-1") == []
    assert get(viewer, f"listLogs?topoId={part('../..')}") == []
    assert file(site, "worker.yaml") in names, "who may read them"


MATCH = {"byteOffset", "beforeString", "afterString", "matchString", "logviewerURL"}


@pytest.mark.parametrize("name", ["worker.log.one", "worker.log.two.gz"])
def test_search(site, viewer, name):
    whole = (site.slot / "worker.log.one").read_text()
    offsets = [found.start() for found in re.finditer("needle", whole)]
    query = f"search?file={part(file(site, name))}&search-string=needle"
    first = get(viewer, query)
    assert set(first) == {"isDaemon", "searchString", "startByteOffset", "matches", "nextByteOffset"}
    assert (first["isDaemon"], first["searchString"], first["startByteOffset"]) == ("no", "needle", 0)
    assert [each["byteOffset"] for each in first["matches"]] == offsets[:10]
    for each in first["matches"]:
        assert set(each) == MATCH
        at = each["byteOffset"]
        assert each["beforeString"] == whole[max(0, at - 128) : at]
        assert each["afterString"] == whole[at + 6 : at + 6 + 128]
    assert first["nextByteOffset"] == offsets[9] + 6
    start = first["nextByteOffset"]
    rest = get(viewer, f"{query}&start-byte-offset={start}&num-matches=100")
    assert [each["byteOffset"] for each in rest["matches"]] == offsets[10:]
    assert "nextByteOffset" not in rest and rest["startByteOffset"] == start
    linked = first["matches"][0]["logviewerURL"]
    assert "needle" in follow(viewer, linked).text
    none = get(viewer, f"search?file={part(file(site, name))}&search-string={part('<nothing>')}")
    assert none["matches"] == [] and "nextByteOffset" not in none
    missing = ask(viewer, f"/api/v1/search?file={part(file(site, 'no.log'))}&search-string=x")
    assert missing.status == 404 and missing.json == {
        "error": "Not Found",
        "errorMessage": "The file was not found on this node.",
    }
    for bad in ("", "x" * 1025):
        reply = ask(viewer, f"/api/v1/{query[: -len('needle')]}{bad}")
        assert reply.status == 400 and reply.json["error"] == "400 Bad Request"


def test_deep_search(site, viewer):
    path = f"deepSearch/{site.topology}?search-string=needle"
    now = time.time()
    os.utime(site.slot / "worker.log.one", (now + 60, now + 60))
    single = get(viewer, f"{path}&port={site.slot.name}&num-matches=3")
    assert set(single) == {"fileOffset", "searchString", "matches"}
    (found,) = single["matches"]
    assert set(found) == {
        *("fileName", "matches", "port", "isDaemon", "startByteOffset", "nextByteOffset"),
        "searchString",
    }
    assert (found["fileName"], found["port"]) == (file(site, "worker.log.one"), site.slot.name)
    assert (len(found["matches"]), single["fileOffset"]) == (3, 0)
    everywhere = get(viewer, f"{path}&num-matches=1000&search-archived=true&port=*")
    assert [len(each["matches"]) for each in everywhere] == [2]
    assert {each["fileName"] for each in everywhere[0]["matches"]} == {
        file(site, "worker.log.one"),
        file(site, "worker.log.two.gz"),
    }
    assert get(viewer, f"deepSearch/{site.topology}?search-string=") == []
    assert get(viewer, f"{path}&port=1") == []
    assert get(viewer, "deepSearch/nobody-1-1?search-string=x") == []
    assert get(viewer, f"deepSearch/{part('../..')}?search-string=x") == []


def test_dumps_of_a_topology_with_a_blank_in_its_name(site, viewer):
    slot = site.slot.parent.parent / "two+words-1-1" / site.slot.name
    slot.mkdir(parents=True)
    (slot / "jstack-1.txt").write_text("a dump")
    listed = page(viewer, f"dumps/two%20words-1-1/h:{slot.name}")
    (link,) = re.findall('href="([^"]*)"', listed)
    assert ask(viewer, link).body == b"a dump", link
    shutil.rmtree(slot.parent)


def test_a_deep_search_goes_on_where_it_ended(site, viewer):
    """A quarter of a gigabyte is looked through at once; nothing behind it is left out."""
    slot = site.slot.parent.parent / "long-1-1" / site.slot.name
    slot.mkdir(parents=True)
    (slot / "worker.log.1.gz").write_bytes(gzip.compress(b"." * (300 << 20) + b"needle", 1))
    path = f"deepSearch/long-1-1?search-string=needle&port={slot.name}&search-archived=true"
    first = get(viewer, path, timeout=120)
    (cut,) = first["matches"]
    assert (first["fileOffset"], cut["matches"]) == (0, [])
    path += f"&start-file-offset=0&start-byte-offset={cut['nextByteOffset']}"
    rest = get(viewer, path, timeout=120)
    (found,) = rest["matches"]
    assert [match["byteOffset"] for match in found["matches"]] == [300 << 20]
    shutil.rmtree(slot.parent)


def test_matches_are_bounded_over_all_slots(site, viewer):
    """However many there are: an answer is made in memory."""
    topology = site.slot.parent.parent / "many-1-1"
    for port in range(1, 6):
        (topology / str(port)).mkdir(parents=True)
        (topology / str(port) / "worker.log").write_text("needle\n" * 6_000)
    path = "deepSearch/many-1-1?search-string=needle&num-matches=6000"
    slots = get(viewer, path)
    found = [match for slot in slots for file in slot["matches"] for match in file["matches"]]
    assert (len(slots), len(found)) == (5, 10_000)
    shutil.rmtree(topology)


def test_downloads(site, viewer):
    whole = (site.slot / "worker.log.one").read_bytes()
    name = part(file(site, "worker.log.one"))
    reply = ask(viewer, f"/api/v1/download?file={name}")
    assert (reply.status, reply.body) == (200, whole)
    assert reply.headers["content-type"] == "application/octet-stream"
    disposition = reply.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="localhost-') and "/" not in disposition
    some = ask(viewer, f"/api/v1/download?file={name}", headers={"Range": "bytes=10-19"})
    assert (some.status, some.body) == (206, whole[10:20])
    assert some.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    packed = ask(viewer, f"/api/v1/download?file={part(file(site, 'worker.log.two.gz'))}")
    assert gzip.decompress(packed.body) == whole


def test_daemons_logs(site, viewer):
    assert shown(page(viewer, "daemonlog?file=nimbus.log")) == "a line of Nimbus\n"
    assert ask(viewer, "/api/v1/daemondownload?file=nimbus.log").body == b"a line of Nimbus\n"
    found = get(viewer, "search?file=nimbus.log&is-daemon=yes&search-string=line")
    assert (found["isDaemon"], len(found["matches"])) == ("yes", 1)
    assert "standard error" in page(viewer, "daemonlog?file=supervisor.log", 404)


def test_no_path_leads_out(site, viewer):
    """The lesson of CVE-2014-0115, CVE-2019-0202 and CVE-2026-124495."""
    up = "../" * 12
    worker = [
        *("/etc/passwd", f"{up}etc/passwd", f"/{up}etc/passwd", "..", ".", "", "/", "%00"),
        *(file(site, each) for each in ("secret.log", "up", "up/etc/passwd", "pipe.log")),
        file(site, f"{up}etc/passwd"),
        file(site, "../../../../../outside.log"),
        file(site, "worker.log\0.txt"),
        file(site, "worker.log/"),
        file(site, "./worker.log"),
        f"{site.topology}//worker.log",
        f"{site.topology}/{site.slot.name}",
        f"{site.topology}/{site.slot.name}/../{site.slot.name}/worker.log",
        f"./{file(site, 'worker.log')}",
        f"away-1-1/{site.slot.name}/environ",
        "away-1-1/fd/0",
        "../nimbus.log",
        "..\\..\\nimbus.log",
        "....//....//etc/passwd",
        "file:///etc/passwd",
    ]
    daemon = [
        *("/etc/passwd", f"{up}etc/passwd", "..", ".", "", "away.log", "../outside.log"),
        *("workers-artifacts", f"workers-artifacts/{file(site, 'worker.log')}", "nimbus.log/", "\0"),
    ]
    asked = [(f"{route}?file=", each) for route in ("log", "download") for each in worker]
    asked += [(f"{route}?file=", each) for route in ("daemonlog", "daemondownload") for each in daemon]
    asked += [("search?search-string=root&file=", each) for each in worker]
    asked += [("search?search-string=root&is-daemon=yes&file=", each) for each in daemon]
    dumps = f"dumps/{site.topology}/h:{site.slot.name}/"
    asked += [(dumps, each) for each in (*worker, "worker.log", "evil.log", "jstack-/../x.txt")]
    n_asked = 0
    for route, name in asked:
        once = part(name)
        for text in {once, part(once), part(part(once)), once.replace("%2F", "/")}:
            if " " in text or "\0" in text:
                continue
            reply = ask(viewer, f"/api/v1/{route}{text}")
            n_asked += 1
            # A list of dumps is where an empty name leads.
            is_list = route == dumps and b"Dumps of" in reply.body
            assert reply.status in (400, 404) or is_list, (route, text, reply.status)
            assert b"root:" not in reply.body and b"outside" not in reply.body, (route, text)
    for path in (f"/{up}etc/passwd", "/api/v1/../../../etc/passwd", "//etc/passwd", "/%2e%2e/x"):
        assert ask(viewer, path).status == 404, path
    assert n_asked > 300


def test_no_other_sites_page_reads_logs(site, viewer):
    path = f"/api/v1/search?file={part(file(site, 'worker.log.one'))}&search-string=needle"
    foreign = ask(viewer, path, headers={"Origin": "http://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers
    host = f"localhost:{viewer[1]}"
    hidden = {"User-Agent": "Mozilla/5.0"}  # a script element of a page that sends no Referer
    named = ({"Sec-Fetch-Site": "cross-site"}, {"Referer": "http://evil.example/"})
    for headers in (*named, hidden):
        stolen = ask(viewer, f"{path}&callback=steal", headers={"Host": host, **headers})
        assert stolen.status == 403 and b"needle" not in stolen.body
    # A name that somebody points here: to the browser the page is the viewer's own.
    pages = (path, f"/api/v1/log?file={part(file(site, 'worker.log.one'))}", "/api/v1/listLogs")
    for page in pages:
        pointed = ask(viewer, page, headers={"Host": f"evil.example:{viewer[1]}"})
        assert pointed.status == 403 and b"worker.log" not in pointed.body, page
    wrapped = ask(viewer, f"{path}&callback=own")
    assert wrapped.text.startswith("own({")


def test_many_searches_leave_the_viewer_answering(site, viewer):
    """Searches wait for each other, and end with who asked."""
    line = f"GET /api/v1/search?file={part(file(site, 'worker.log.two.gz'))}"
    request = f"{line}&search-string=absent HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    sockets = []
    for _ in range(200):
        connection = socket.create_connection(viewer, timeout=20)
        connection.sendall(request)
        sockets.append(connection)
    for connection in sockets:
        connection.close()
    assert get(viewer, "listLogs")


def test_readers_who_do_not_read_take_no_memory(site, viewer):
    """Large pages wait for their readers; when too many do, others are told so at once."""
    log = site.slot / "worker.log.three"
    log.write_text(("'" * 99 + "\n") * 100_000)
    path = f"/api/v1/log?file={part(file(site, 'worker.log.three'))}&start=0&length=10000000"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    sockets, statuses = [], []
    for _ in range(8):
        connection = socket.create_connection(viewer, timeout=60)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request)
        sockets.append(connection)
        statuses.append(connection.recv(12).split()[1])
    assert statuses[0] == b"200" and statuses[-1] == b"503", statuses
    assert get(viewer, "listLogs"), "who asks for little gets it"
    for connection in sockets:
        connection.close()
    eventually("room again", lambda: ask(viewer, path).status == 200)
    log.unlink()


def test_who_may_read(tmp_path):
    """With names for visitors: the cluster's readers, and those of the slot's own list."""
    settings = {
        "ui.filter": "stormwire.HeaderUser",
        "ui.filter.params": json.dumps({"proxies": "127.0.0.1"}),
        "logs.users": ["root"],
        "logviewer.cleanup.interval.secs": 1,
    }
    slot = tmp_path / "local/logs/workers-artifacts/words-1-1/6700"
    slot.mkdir(parents=True)
    (slot / "worker.log").write_text("of the worker\n")
    (slot / "worker.yaml").write_text(json.dumps({"logs.users": ["ann"], "logs.groups": []}))
    (tmp_path / "local/logs/nimbus.log").write_text("of Nimbus\n")
    with Cluster(tmp_path, settings=settings, command="logviewer") as alone:
        viewer = alone.addresses["logviewer"]

        def status(user, path):
            headers = {"X-Forwarded-User": user} if user else {}
            return ask(viewer, f"/api/v1/{path}", headers=headers).status

        log = "log?file=words-1-1/6700/worker.log"
        for path, expected in [
            (log, {"root": 200, "ann": 200, "bob": 403, None: 403}),
            ("download" + log[3:], {"root": 200, "ann": 200, "bob": 403, None: 403}),
            (f"search{log[3:]}&search-string=of", {"root": 200, "ann": 200, "bob": 403}),
            ("daemonlog?file=nimbus.log", {"root": 200, "ann": 403, "bob": 403, None: 403}),
            ("dumps/words-1-1/h:6700", {"root": 200, "ann": 200, "bob": 403}),
        ]:
            assert {user: status(user, path) for user in expected} == expected, path
        listed = ask(viewer, "/api/v1/listLogs", headers={"X-Forwarded-User": "bob"})
        assert listed.json == []
        deep = "/api/v1/deepSearch/words-1-1?search-string=of"
        assert ask(viewer, deep, headers={"X-Forwarded-User": "bob"}).json == []
        assert len(ask(viewer, deep, headers={"X-Forwarded-User": "ann"}).json) == 1
        # And the old logs of workers that are gone go; here nothing is left of the slot.
        old = time.time() - 8 * 24 * 3600
        for path in (slot / "worker.log", slot / "worker.yaml", slot):
            os.utime(path, (old, old))
        eventually("old logs are removed", lambda: not slot.parent.exists())
        alone.stop()
