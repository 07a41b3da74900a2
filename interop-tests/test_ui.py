"""Storm UI's REST API on a real cluster: every route with the keys of control-plane 11, orders that
change the cluster, who may order what from where, and what streamparse reads of it.
"""

import json
import re
import socket

import pytest

import peers
import secured
import web
from cluster import Cluster, eventually, free_ports
from topologies import Builder, component_files, running, words_files
from web import ask, get, part, post

EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def peer():
    return peers.ThriftPy2()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A cluster whose workers may be profiled."""
    settings = {"worker.profiler.enabled": "true", "nimbus.task.timeout.secs": 30}
    with Cluster(tmp_path_factory.mktemp("ui"), slots=4, settings=settings) as cluster:
        yield cluster
        cluster.stop()


@pytest.fixture(scope="module")
def ui(site):
    return site.addresses["ui"]


def builder(peer):
    made = Builder(peer.types)
    made.spout("sentences", made.native("stormwire.RandomSentenceSpout"), {"default": ["sentence"]})
    made.bolt(
        "split", made.python("split.py"), {"sentences": made.shuffle()}, {"default": ["word"]}, 2
    )
    made.bolt("broken", made.python("absent.py"), {"sentences": made.shuffle()})
    return made


SPLIT = """
import multilang

def process(message):
    for word in message["tuple"][0].split():
        multilang.emit([word], anchors=[message["id"]])

multilang.run_bolt(process)
"""


@pytest.fixture(scope="module")
def words(site, peer):
    """A topology with a bolt that cannot start, once its statistics have come."""
    files = {**words_files(), "split.py": SPLIT}
    conf = {
        "topology.max.spout.pending": 20,
        "topology.stats.sample.rate": 1.0,
        "topology.eventlogger.executors": 1,
        "topology.message.timeout.secs": 5,
    }
    with peer.connect(site.nimbus) as nimbus:
        with running(peer, nimbus, "words", builder(peer), files, conf) as id:
            ui = site.addresses["ui"]

            def reported():
                page = get(ui, f"topology/{id}")
                bolts = {bolt["boltId"]: bolt for bolt in page["bolts"]}
                emitted = page["spouts"][0]["emitted"]
                return emitted and bolts["split"]["executed"] > 0 and bolts["broken"]["lastError"]

            eventually("statistics and an error", reported)
            yield id


def keys(text):
    return set(text.split())


SUPERVISOR = keys(
    "id host uptime uptimeSeconds blacklisted slotsTotal slotsUsed slotsFree totalMem totalCpu "
    "usedMem usedCpu logLink availMem availCpu version totalGenericResources usedGenericResources "
    "availGenericResources"
)
WORKER = keys(
    "supervisorId host port topologyId topologyName executorsTotal assignedMemOnHeap "
    "assignedMemOffHeap assignedCpu componentNumTasks uptime uptimeSeconds workerLogLink owner"
)
TOPOLOGY = keys(
    "id encodedId owner name status uptime uptimeSeconds tasksTotal workersTotal executorsTotal "
    "replicationCount schedulerInfo requestedMemOnHeap requestedMemOffHeap requestedTotalMem "
    "requestedCpu requestedGenericResources assignedMemOnHeap assignedMemOffHeap assignedTotalMem "
    "assignedCpu assignedGenericResources topologyVersion stormVersion"
)
OWNER = keys(
    "owner totalTopologies totalExecutors totalWorkers totalTasks totalMemoryUsage totalCpuUsage "
    "memoryGuarantee cpuGuarantee isolatedNodes memoryGuaranteeRemaining cpuGuaranteeRemaining "
    "totalReqOnHeapMem totalReqOffHeapMem totalReqMem totalReqCpu totalAssignedOnHeapMem "
    "totalAssignedOffHeapMem"
)
COMPONENT = keys(
    "user id encodedId name executors tasks requestedMemOnHeap requestedMemOffHeap requestedCpu "
    "requestedGenericResources schedulerDisplayResource topologyId encodedTopologyId "
    "topologyStatus window windowHint componentType debug samplingPct eventLogLink "
    "profilingAndDebuggingCapable profileActionEnabled profilerActive componentErrors "
    "outputStats executorStats stormwire"
)
COUNTS = keys("emitted transferred acked failed")
EXECUTED = keys("executeLatency executed processLatency")
EXECUTOR = COUNTS | keys("id encodedId uptime uptimeSeconds host port workerLogLink")
ROW = COUNTS | keys(
    "executors tasks requestedMemOnHeap requestedMemOffHeap requestedCpu "
    "requestedGenericResourcesComp lastError errorHost errorPort errorWorkerLogLink errorTime "
    "errorLapsedSecs"
)
LOGVIEWER = keys("logviewerPort logviewerScheme")
RESOURCES = {"schedulerDisplayResource"}
LATENCY = re.compile(r"\d+\.\d{3}")


def test_cluster_routes(ui, site, words):
    cluster = get(ui, "cluster/summary")
    assert set(cluster) == RESOURCES | keys(
        "user stormVersion stormVersionInfo nimbusUptime supervisors topologies slotsTotal "
        "slotsUsed slotsFree executorsTotal tasksTotal totalMem totalCpu availMem availCpu "
        "fragmentedMem fragmentedCpu memAssignedPercentUtil cpuAssignedPercentUtil totalGenerics "
        "availGenerics bugtracker-url central-log-url"
    )
    assert set(cluster["stormVersionInfo"]) == keys("version revision branch date srcChecksum")
    assert (cluster["supervisors"], cluster["slotsTotal"], cluster["topologies"]) == (1, 4, 1)
    nimbuses = get(ui, "nimbus/summary")["nimbuses"]
    assert set(nimbuses[0]) == keys(
        "host port status version nimbusUpTimeSeconds nimbusUpTime nimbusLogLink"
    )
    assert [each["status"] for each in nimbuses] == ["Leader"]
    assert get(ui, "cluster/configuration")["supervisor.slots.ports"] == site.slots
    owners = get(ui, "owner-resources")
    assert set(owners) == RESOURCES | {"owners"} and set(owners["owners"][0]) == OWNER
    owner = owners["owners"][0]["owner"]
    single = get(ui, f"owner-resources/{part(owner)}")
    assert set(single) == OWNER | RESOURCES | {"topologies"}
    assert [set(each) for each in single["topologies"]] == [TOPOLOGY]
    assert get(ui, "owner-resources/no%20body")["totalTopologies"] == 0
    assert words in get(ui, "history/summary")["topo-history"]
    supervisors = get(ui, "supervisor/summary")
    assert set(supervisors) == RESOURCES | LOGVIEWER | {"supervisors"}
    assert set(supervisors["supervisors"][0]) == SUPERVISOR
    assert supervisors["logviewerPort"] == site.addresses["logviewer"][1]
    one = supervisors["supervisors"][0]
    for query in (f"id={one['id']}", f"host={one['host']}&sys=true"):
        page = get(ui, f"supervisor?{query}")
        assert set(page) == RESOURCES | LOGVIEWER | {"supervisors", "workers"}
        assert set(page["supervisors"][0]) == SUPERVISOR
        assert {frozenset(each) for each in page["workers"]} == {frozenset(WORKER)}
        assert {each["topologyId"] for each in page["workers"]} == {words}
    topologies = get(ui, "topology/summary")
    assert set(topologies) == RESOURCES | {"topologies"}
    assert [set(each) for each in topologies["topologies"]] == [TOPOLOGY]
    assert topologies["topologies"][0]["id"] == words


@pytest.mark.parametrize("route", ["", "/metrics"])
def test_a_topologys_page(ui, words, route):
    page = get(ui, f"topology/{words}{route}?window=600&sys=false")
    assert set(page) == TOPOLOGY | RESOURCES | keys(
        "configuration topologyStats spouts bolts workers debug samplingPct user window "
        "windowHint msgTimeout visualizationTable bugtracker-url central-log-url "
        "requestedRegularOnHeapMem requestedSharedOnHeapMem requestedRegularOffHeapMem "
        "requestedSharedOffHeapMem assignedRegularOnHeapMem assignedSharedOnHeapMem "
        "assignedRegularOffHeapMem assignedSharedOffHeapMem"
    )
    assert (page["window"], page["windowHint"], page["msgTimeout"]) == ("600", "10m 0s", 5)
    assert page["configuration"]["topology.name"] == "words"
    windows = {each["window"]: each for each in page["topologyStats"]}
    assert set(windows) == {":all-time", "600", "10800", "86400"}
    assert set(windows["600"]) == COUNTS | keys("window windowPretty completeLatency")
    latency = windows["600"]["completeLatency"]
    assert latency == "0" or LATENCY.fullmatch(latency), "0 until something was acked"
    assert [set(each) for each in page["spouts"]] == [
        ROW | keys("spoutId encodedSpoutId completeLatency")
    ]
    bolts = {each["boltId"]: each for each in page["bolts"]}
    assert set(bolts) == {"split", "broken"}
    for bolt in bolts.values():
        assert set(bolt) == ROW | EXECUTED | keys("boltId encodedBoltId capacity")
        assert LATENCY.fullmatch(bolt["capacity"]) and isinstance(bolt["executed"], int)
    assert [set(each) for each in page["workers"]] == [WORKER]
    with_system = get(ui, f"topology/{words}?sys=true")
    assert "__acker" in {each["boltId"] for each in with_system["bolts"]}


def test_a_failing_child_is_an_error_on_the_pages(ui, words):
    """Its exit status and what it said last; and a link to its worker's log."""
    page = get(ui, f"topology/{words}/component/broken")
    newest = page["componentErrors"][-1]
    assert set(newest) == keys(
        "errorTime errorHost errorPort errorWorkerLogLink errorLapsedSecs error"
    )
    assert "ended with exit status 2" in newest["error"] and "absent.py" in newest["error"]
    times = [each["errorTime"] for each in page["componentErrors"]]
    assert times == sorted(times)
    bolts = {each["boltId"]: each for each in get(ui, f"topology/{words}")["bolts"]}
    assert "exit status 2" in bolts["broken"]["lastError"]
    assert len(bolts["broken"]["lastError"]) <= 200 and bolts["broken"]["errorTime"]
    assert (bolts["split"]["lastError"], bolts["split"]["errorTime"]) == ("", None)


def test_components(ui, words):
    spout = get(ui, f"topology/{words}/component/sentences")
    assert set(spout) == COMPONENT | {"spoutSummary"}
    summary = {each["window"]: each for each in spout["spoutSummary"]}
    assert set(summary[":all-time"]) == COUNTS | keys(
        "window windowPretty completeLatency lastError"
    )
    assert isinstance(summary[":all-time"]["completeLatency"], float)
    assert set(spout["outputStats"][0]) == COUNTS | keys("stream completeLatency")
    assert [set(each) for each in spout["executorStats"]] == [EXECUTOR | {"completeLatency"}]
    bolt = get(ui, f"topology/{words}/component/split?window=10800")
    assert set(bolt) == COMPONENT | keys("boltStats inputStats")
    assert set(bolt["boltStats"][0]) == COUNTS | EXECUTED | keys("window windowPretty capacity")
    assert set(bolt["inputStats"][0]) == EXECUTED | keys(
        "component encodedComponentId stream acked failed"
    )
    assert set(bolt["outputStats"][0]) == keys("stream emitted transferred")
    assert [set(each) for each in bolt["executorStats"]] == [EXECUTOR | EXECUTED | {"capacity"}] * 2
    assert (bolt["id"], bolt["componentType"], bolt["tasks"]) == ("split", "bolt", 2)
    host = bolt["executorStats"][0]["host"]
    link = bolt["executorStats"][0]["workerLogLink"]
    assert link.startswith(f"http://{host}:") and f"file={words}%2F" in link


def test_the_other_reads_of_a_topology(ui, words, site):
    workers = get(ui, f"topology-workers/{words}")
    assert set(workers) == LOGVIEWER | {"hostPortList"}
    assert [set(each) for each in workers["hostPortList"]] == [{"host", "port"}]
    assert workers["hostPortList"][0]["port"] in site.slots
    assert get(ui, f"topology/{words}/lag") == {}
    streams = get(ui, f"topology/{words}/visualization-init")["visualizationTable"]
    assert {"stream": "default", "sani-stream": "default", "checked": True} in sum(streams, [])
    drawing = get(ui, f"topology/{words}/visualization")
    assert set(drawing) == {"sentences", "split", "broken"}
    for component in drawing.values():
        assert set(component) == keys(":type :capacity :latency :transferred :stats :link :inputs")
        assert set(component[":stats"][0]) == keys(":host :port :uptime_secs :transferred")
    # Numbers, and nothing of system streams unless they are asked for.
    assert type(drawing["sentences"][":transferred"]) is int
    assert type(drawing["split"][":latency"]) is float
    sent = drawing["sentences"][":stats"][0][":transferred"][":all-time"]
    assert set(sent) == {"default"}
    unknown = get(ui, f"topology/{words}/visualization?window=never")
    assert unknown["split"][":latency"] is None
    assert drawing["split"][":inputs"] == [
        {
            ":component": "sentences",
            ":stream": "default",
            ":sani-stream": "default",
            ":grouping": "shuffle",
        }
    ]
    assert get(ui, f"topology/{words}/logconfig") == {"namedLoggerLevels": {}}


def test_a_rebalance(ui, site, peer):
    made = Builder(peer.types)
    made.spout("pulse", made.python("pulse.py"), {"default": ["n"]})
    with peer.connect(site.nimbus) as nimbus:
        with running(peer, nimbus, "moved", made, component_files("pulse.py")) as id:
            eventually("it runs", lambda: get(ui, f"topology/{id}")["workersTotal"])
            answer = post(ui, f"topology/{id}/rebalance/3")
            done = {"topologyOperation": "rebalance", "topologyId": id, "status": "success"}
            assert answer == done
            assert get(ui, f"topology/{id}")["status"] == "REBALANCING"
            eventually("it is placed", lambda: get(ui, f"topology/{id}")["status"] == "ACTIVE")


def test_orders_change_the_cluster(ui, words):
    def status():
        return get(ui, f"topology/{words}")["status"]

    done = {"topologyId": words, "status": "success"}
    assert post(ui, f"topology/{words}/deactivate") == {"topologyOperation": "deactivate", **done}
    assert status() == "INACTIVE"
    assert post(ui, f"topology/{words}/activate") == {"topologyOperation": "activate", **done}
    assert status() == "ACTIVE"
    answer = post(ui, f"topology/{words}/debug/enable/25")
    assert answer == {"topologyOperation": "debug/enable", **done}
    page = get(ui, f"topology/{words}")
    assert (page["debug"], page["samplingPct"]) == (True, 25.0)
    post(ui, f"topology/{words}/debug/disable/0")
    post(ui, f"topology/{words}/component/split/debug/enable/100")
    page = get(ui, f"topology/{words}/component/split")
    assert (page["debug"], page["samplingPct"]) == (True, 100.0)
    post(ui, f"topology/{words}/component/split/debug/disable/0")
    assert not get(ui, f"topology/{words}")["debug"]


def test_levels_of_loggers(ui, words):
    level = {"target_level": "DEBUG", "reset_level": "INFO", "timeout": 60}
    body = json.dumps({"namedLoggerLevels": {"com.x": level}}).encode()
    levels = post(ui, f"topology/{words}/logconfig", body)["namedLoggerLevels"]
    assert set(levels["com.x"]) == keys("target_level reset_level timeout timeout_epoch")
    assert (levels["com.x"]["target_level"], levels["com.x"]["timeout"]) == ("DEBUG", 60)
    assert get(ui, f"topology/{words}/logconfig")["namedLoggerLevels"] == levels
    body = json.dumps({"namedLoggerLevels": {"com.x": {"target_level": None, "timeout": 0}}})
    assert post(ui, f"topology/{words}/logconfig", body.encode()) == {"namedLoggerLevels": {}}
    # More than a topology may have: none of them is set.
    many = {f"logger-{n}": {"target_level": "INFO", "timeout": 0} for n in range(101)}
    body = json.dumps({"namedLoggerLevels": many}).encode()
    refused = ask(ui, f"/api/v1/topology/{words}/logconfig", "POST", body=body)
    assert refused.status == 500 and "101 loggers" in refused.json["errorMessage"]
    assert get(ui, f"topology/{words}/logconfig") == {"namedLoggerLevels": {}}
    for bad in (b"", b"no JSON", b'{"namedLoggerLevels": 3}'):
        reply = ask(ui, f"/api/v1/topology/{words}/logconfig", "POST", body=bad)
        assert (reply.status, reply.json["error"]) == (500, "500 Server Error")


def test_profiles(ui, words, site):
    worker = eventually("a worker", lambda: get(ui, f"topology-workers/{words}")["hostPortList"])[0]
    name = f"{worker['host']}:{worker['port']}"
    started = post(ui, f"topology/{words}/profiling/start/{name}/5")
    assert set(started) == keys("status id timeout dumplink")
    assert (started["status"], started["id"], started["timeout"]) == ("ok", name, "5")

    def running_profiles():
        return get(ui, f"topology/{words}/component/split")["profilerActive"]

    assert set(eventually("a profile", running_profiles)[0]) == keys("host port dumplink timestamp")
    # As in Storm 1, where this was a GET.
    dumped = get(ui, f"topology/{words}/profiling/dumpjstack/{part(name)}")
    assert dumped == {"status": "ok", "id": name}
    link = started["dumplink"]
    assert link.endswith(f"/api/v1/dumps/{words}/{part(name)}")
    dumps = f"/api/v1/dumps/{words}/{part(name)}"
    logviewer = site.addresses["logviewer"]
    file = eventually(
        "a dump", lambda: re.search(r"jstack-[\w.-]+\.txt", ask(logviewer, dumps).text)
    ).group()
    assert "Threads of worker" in ask(logviewer, f"{dumps}/{file}").text
    for what in ("dumpprofile", "dumpheap", "stop"):
        answer = post(ui, f"topology/{words}/profiling/{what}/{name}")
        assert answer == {"status": "ok", "id": name}
    eventually("no profile is taken", lambda: running_profiles() == [])
    for bad in ("nowhere", "h:0x1", "h:99999"):
        reply = ask(ui, f"/api/v1/topology/{words}/profiling/stop/{bad}", "POST")
        assert reply.status == 500 and bad in reply.json["errorMessage"]


def test_errors_name_what_is_wrong(ui, words):
    for method, path, status, told in [
        ("GET", "topology/nobody-1-1", 500, "nobody-1-1"),
        ("GET", "topology/nobody-1-1/component/x", 500, "nobody-1-1"),
        ("GET", f"topology/{words}/component/nothing", 500, "Nimbus cannot say: "),
        ("GET", "topology/%ff", 400, "UTF-8"),
        ("GET", f"topology/{words}?window=soon", 500, "soon"),
        ("GET", "supervisor?id=nobody", 500, ""),
        ("GET", "supervisor?host=nowhere", 500, "nowhere"),
        ("GET", "supervisor", 500, "?host=HOST"),
        ("POST", "topology/nobody-1-1/activate", 500, "nobody-1-1"),
        ("POST", f"topology/{words}/kill/soon", 500, 'For input string: "soon"'),
        ("POST", f"topology/{words}/rebalance/1.5", 500, "1.5"),
        ("POST", f"topology/{words}/debug/enable/all", 500, "all"),
        ("GET", f"topology/{words}/kill/0", 405, "GET"),
        ("POST", "cluster/summary", 405, "POST"),
        ("GET", "nothing/here", 404, "nothing/here"),
        ("GET", "../../etc/passwd", 404, ""),
        ("GET", "topology/%2e%2e%2f%2e%2e", 500, ""),
    ]:
        reply = ask(ui, f"/api/v1/{path}", method)
        assert reply.status == status, (path, reply.status, reply.body)
        assert set(reply.json) == {"error", "errorMessage"}, path
        assert reply.json["error"].startswith(f"{status} ") and told in reply.json["errorMessage"]
    assert get(ui, f"topology/{words}")["status"] == "ACTIVE"


def test_no_visitor_writes_lines_of_the_log(ui, site, words):
    forged = "\n2026-01-01T00:00:00.000000Z ERROR forged: \x1b[31mall is lost"
    level = json.dumps({"namedLoggerLevels": {forged: {"target_level": 5}}})
    for path, body in [
        (f"topology/nobody{part(forged)}", None),
        (f"topology/{words}?window={part(forged)}", None),
        (f"topology/{words}/logconfig", level.encode()),
    ]:
        reply = ask(ui, f"/api/v1/{path}", "POST" if body else "GET", body=body)
        assert reply.status == 500 and "forged" in reply.json["errorMessage"], path
    lines = [line for line in site.log.read_text().splitlines() if "forged" in line]
    assert len(lines) == 3 and all("stormwire::ui" in line for line in lines), lines
    assert "\x1b" not in "".join(lines)


def test_headers_and_callbacks(ui):
    plain = ask(ui, "/api/v1/cluster/summary")
    assert plain.headers["content-type"] == "application/json;charset=utf-8"
    assert plain.headers["cache-control"] == "no-cache, no-store"
    assert plain.headers["access-control-allow-origin"] == "*"
    assert "Access-Controler-Allow-Origin" in plain.headers["access-control-allow-headers"]
    assert plain.headers["x-content-type-options"] == "nosniff"
    assert set(ask(ui, "/api/v1/cluster/summary/?sys=true").json) == set(plain.json)
    taken = ask(ui, "/api/v1/cluster/summary", "OPTIONS").headers["allow"]
    assert set(taken.split(", ")) == {"GET", "HEAD", "OPTIONS"}
    led = ask(ui, "/component.html?id=split&topology_id=words-1-1")
    place = "./#/topology/words-1-1/component/split"
    assert (led.status, led.headers["location"]) == (302, place)
    wrapped = ask(ui, "/api/v1/cluster/summary?callback=a.$b_1")
    assert wrapped.headers["content-type"] == "application/javascript;charset=utf-8"
    assert wrapped.text.startswith("a.$b_1({") and wrapped.text.endswith("});")
    failed = ask(ui, "/api/v1/topology/nobody?callback=f")
    assert failed.status == 500 and failed.text.startswith('f({"error":"500 Server Error"')
    for bad in ("alert(1)", "a..b", "1a", "x" * 129, "<script>"):
        reply = ask(ui, f"/api/v1/cluster/summary?callback={part(bad)}")
        assert reply.headers["content-type"].startswith("application/json") and reply.json


def test_no_other_sites_page_acts(ui, words):
    """Reads are for everybody, as in Storm; orders only for scripts and for pages of the UI."""
    host = f"localhost:{ui[1]}"
    path = f"/api/v1/topology/{words}/deactivate"
    profile = f"/api/v1/topology/{words}/profiling/restartworker/localhost:1"
    for foreign in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{ui[1] + 1}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "http://evil.example/page"},
        {"User-Agent": "Mozilla/5.0"},  # whose page lets it send no Referer
    ):
        reply = ask(ui, path, "POST", headers={"Host": host, **foreign})
        assert reply.status == 403 and "stormwire.ui.origins" in reply.json["errorMessage"], foreign
        # An image of any page is a GET.
        assert ask(ui, profile, headers={"Host": host, **foreign}).status == 403, foreign
        assert ask(ui, "/api/v1/cluster/summary", headers=foreign).status == 200
    rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert ask(ui, path, "POST", headers=rebound).status == 403
    assert get(ui, f"topology/{words}")["status"] == "ACTIVE"
    own = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert ask(ui, f"/api/v1/topology/{words}/activate", "POST", headers=own).status == 200
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    preflight = ask(ui, "/api/v1/cluster/summary", "OPTIONS", headers=asked)
    assert preflight.headers["access-control-allow-methods"] == "GET"
    for order in ("activate", "kill/1", "profiling/stop/localhost:1", "logconfig"):
        preflight = ask(ui, f"/api/v1/topology/{words}/{order}", "OPTIONS", headers=asked)
        assert preflight.status == 200, order
        assert preflight.headers["access-control-allow-methods"] == "GET"


def test_the_page_lets_no_script_in(ui, site, peer):
    """What others typed reaches the page as data; the policy names the one script there is."""
    page = ask(ui, "/")
    assert page.status == 200 and page.headers["content-type"] == "text/html;charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert re.search(r"script-src 'sha256-[^']+';", policy)
    assert page.headers["x-frame-options"] == "DENY"
    assert ask(ui, "/index.html").body == page.body
    made = Builder(peer.types)
    made.spout(EVIL, made.python("pulse.py"), {"default": ["n"]})
    with peer.connect(site.nimbus) as nimbus:
        with running(peer, nimbus, "evil", made, component_files("pulse.py")) as id:
            reply = ask(ui, f"/api/v1/topology/{id}/component/{part(EVIL)}")
            assert reply.json["id"] == EVIL
            # As scripts write addresses.
            encoded = reply.json["encodedId"]
            again = get(ui, f"topology/{id}/component/{encoded}")
            assert "+" in encoded and again["id"] == EVIL
            assert reply.headers["content-type"].startswith("application/json")
            assert reply.headers["x-content-type-options"] == "nosniff"
    echoed = ask(ui, f"/api/v1/topology/{part(EVIL)}")
    assert echoed.headers["content-type"].startswith("application/json")


def test_what_streamparse_reads(ui, words):
    """clients.md 2.6: plain GETs, objects only, these keys."""

    def read(path):
        reply = ask(ui, f"/api/v1/{path}", headers={"User-Agent": "python-requests/2.31"})
        assert reply.status == 200 and isinstance(reply.json, dict) and "error" not in reply.json
        return reply.json

    cluster = read("cluster/summary")
    assert cluster["nimbusUptime"] and cluster["stormVersion"]
    topologies = {each["name"]: each for each in read("topology/summary")["topologies"]}
    id = topologies["words"]["id"]
    page = read(f"topology/{id}")
    assert isinstance(page["spouts"], list) and isinstance(page["bolts"], list)
    for stat in page["topologyStats"]:
        assert keys("windowPretty emitted transferred completeLatency acked failed") <= set(stat)
    for bolt in page["bolts"]:
        component = read(f"topology/{id}/component/{bolt['boltId']}")
        assert keys("executorStats inputStats outputStats boltStats") <= set(component)


def test_slow_and_huge_requests_are_cut_off(ui, words):
    line = b"GET /api/v1/cluster/summary HTTP/1.1\r\nHost: localhost\r\n"
    huge = web.raw(ui, line + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n")
    assert b" 200 " not in huge.split(b"\r\n")[0]
    body = b"x" * (2 << 20)
    reply = ask(ui, f"/api/v1/topology/{words}/logconfig", "POST", body=body)
    assert (reply.status, reply.json["error"]) == (413, "413 Payload Too Large")
    idlers = [socket.create_connection(ui, timeout=10) for _ in range(600)]
    for idler in idlers:
        idler.sendall(b"GET /api/v1/clus")
    assert get(ui, "cluster/summary")["supervisors"] == 1, "garbage displaces no client"
    for idler in idlers:
        idler.close()


def test_bodies_that_do_not_come_hold_nobody_up(ui, words):
    """Many more of them than the UI has connections to Nimbus."""
    head = f"POST /api/v1/topology/{words}/logconfig HTTP/1.1\r\nHost: localhost\r\n"
    request = f"{head}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n{{".encode()
    senders = [socket.create_connection(ui, timeout=15) for _ in range(40)]
    for sender in senders:
        sender.sendall(request)
    for sender in senders:
        assert sender.recv(100).startswith(b"HTTP/1.1 100 "), "each body is waited for"
    assert get(ui, "cluster/summary", timeout=15)["supervisors"] == 1
    for sender in senders:
        sender.close()


def test_a_topology_is_killed(ui, site, peer):
    made = Builder(peer.types)
    made.spout("pulse", made.python("pulse.py"), {"default": ["n"]})
    with peer.connect(site.nimbus) as nimbus:
        with running(peer, nimbus, "short", made, component_files("pulse.py")) as id:
            answer = post(ui, f"topology/{id}/kill/0")
            assert answer["topologyOperation"] == "kill"
            eventually("it is gone", lambda: nimbus.isTopologyNameAllowed("short"))
    assert id in get(ui, "history/summary")["topo-history"]


def test_nimbus_comes_back(tmp_path):
    """The UI says that Nimbus is away, and goes on by itself when it is there."""
    port, coordination = free_ports(2)
    settings = {"nimbus.thrift.port": port, "stormwire.coordination.port": coordination}
    with Cluster(tmp_path / "ui", settings=settings, command="ui") as alone:
        ui = alone.addresses["ui"]
        away = ask(ui, "/api/v1/cluster/summary")
        assert away.status == 500 and "nimbus.seeds" in away.json["errorMessage"]
        with Cluster(tmp_path / "nimbus", settings=settings, command="nimbus") as nimbus:
            assert get(ui, "cluster/summary")["topologies"] == 0
            nimbus.kill()
            assert ask(ui, "/api/v1/cluster/summary").status == 500
            nimbus.start()
            eventually("it is back", lambda: get(ui, "cluster/summary"))
        alone.stop()


def test_actions_can_be_switched_off(site, words, tmp_path):
    settings = {"nimbus.thrift.port": site.nimbus[1], "ui.actions.enabled": "false"}
    with Cluster(tmp_path, settings=settings, command="ui") as alone:
        ui = alone.addresses["ui"]
        reply = ask(ui, f"/api/v1/topology/{words}/deactivate", "POST")
        assert reply.status == 403 and "ui.actions.enabled" in reply.json["errorMessage"]
        assert get(ui, f"topology/{words}")["status"] == "ACTIVE"
        # No profiler in this UI's conf either.
        assert get(ui, f"topology/{words}/component/split")["profileActionEnabled"] is False


def test_a_port_that_is_taken_and_a_filter_that_is_java(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Exception, match="ui.port"):
            Cluster(tmp_path / "ui", settings={"ui.port": port}, command="ui").start()
        with Cluster(tmp_path / "dev", settings={"ui.port": port}) as dev:
            assert "ui" not in dev.addresses and "ui.port" in dev.log.read_text()
            dev.stop()
    for command in ("ui", "logviewer"):
        settings = {"ui.filter": "org.example.KerberosFilter"}
        with pytest.raises(Exception, match="org.example.KerberosFilter"):
            Cluster(tmp_path / command, settings=settings, command=command).start()


def test_nobody_may_more_through_the_ui_than_through_nimbus(tmp_path, peer):
    """The UI is an admin to Nimbus; what its visitors may is held to Nimbus's own rules."""
    rules = secured.digest(tmp_path / "logins")
    settings = {**rules, "ui.port": -1, "logviewer.port": -1}
    with Cluster(tmp_path / "cluster", settings=settings) as cluster:
        assert "ui" not in cluster.addresses
        own = {
            **rules,
            "java.security.auth.login.config": str(
                secured.login_file(tmp_path / "ui-login", client="root")
            ),
            "nimbus.thrift.port": cluster.nimbus[1],
            "ui.filter": "stormwire.HeaderUser",
            "ui.filter.params": json.dumps({"proxies": "127.0.0.1"}),
        }
        submitted = Builder(peers.Apache().types)
        submitted.spout(
            "pulse", submitted.python("pulse.py"), {"default": ["n"]}
        )
        with Cluster(tmp_path / "ui", settings=own, command="ui") as alone:
            ui = alone.addresses["ui"]
            with secured.login(cluster.nimbus, "ann") as nimbus:
                files = component_files("pulse.py")
                with running(peers.Apache(), nimbus, "ann", submitted, files) as id:
                    check_rights(ui, id)


def check_rights(ui, id):
    def as_user(user, path, method="GET"):
        headers = {"X-Forwarded-User": user} if user else {}
        return ask(ui, f"/api/v1/{path}", method, headers=headers)

    assert as_user(None, "cluster/summary").status == 403
    nameless = as_user(None, "cluster/summary")
    assert "x-forwarded-user" in nameless.json["errorMessage"]
    assert as_user("stranger", "cluster/summary").status == 403
    assert as_user("ann", "cluster/summary").json["user"] == "ann"
    assert as_user("ann", f"topology/{id}").status == 200
    assert as_user("bob", "topology/summary").status == 200
    for path, method in [
        (f"topology/{id}", "GET"),
        (f"topology/{id}/component/pulse", "GET"),
        (f"topology/{id}/visualization", "GET"),
        (f"topology-workers/{id}", "GET"),
        (f"topology/{id}/logconfig", "GET"),
        (f"topology/{id}/kill/0", "POST"),
        (f"topology/{id}/activate", "POST"),
        (f"topology/{id}/profiling/stop/h:1", "POST"),
    ]:
        reply = as_user("bob", path, method)
        assert reply.status == 403 and "not authorized" in reply.json["errorMessage"], path
    supervisor = as_user("ann", "supervisor/summary").json["supervisors"][0]["id"]

    def workers(user):
        return as_user(user, f"supervisor?id={supervisor}").json["workers"]

    eventually("ann sees her worker", lambda: [each["topologyId"] for each in workers("ann")] == [id])
    assert [each["topologyId"] for each in workers("bob")] == [None]
    assert workers("bob")[0]["componentNumTasks"] is None
    assert as_user("bob", "history/summary").json["topo-history"] == []
    script = {"X-Forwarded-User": "ann", "Sec-Fetch-Site": "cross-site"}
    stolen = ask(ui, "/api/v1/cluster/summary?callback=steal", headers=script)
    assert stolen.status == 403, "a script element of another site"
    assert as_user("ann", f"topology/{id}/deactivate", "POST").status == 200
