"""The UI's page in a real browser, on a cluster that runs: what an operator sees and clicks, from the cluster
to a component, each order until the cluster has followed it; and no complaint of the page on the way.

STORMWIRE_PICTURES names a folder for pictures of the pages.
"""

import http.server
import os
import socket
import threading
from pathlib import Path

import pytest

import peers
from browser import Browser
from cluster import Cluster, eventually
from topologies import Builder, running, words_files
from web import get

MOODY = """
import multilang

multilang.handshake()
n = 0
while True:
    message = multilang._read()
    if message["stream"] == "__heartbeat":
        multilang._write({"command": "sync"})
    else:
        n += 1
        if n == 5:
            multilang._write({"command": "error", "msg": "disk <b>full</b> & angry"})
        multilang._write({"command": "metrics", "name": "mood", "params": n})
        multilang._write({"command": "emit", "tuple": [n], "anchors": [message["id"]],
                          "need_task_ids": False})
        multilang._write({"command": "ack", "id": message["id"]})
    multilang._flush()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("browser"), slots=3) as cluster:
        yield cluster
        cluster.stop()


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def weather(site):
    """A topology with an error, and with metrics of a shell component; gone at the end."""
    peer = peers.ThriftPy2()
    made = Builder(peer.types)
    made.spout("words", made.native("org.apache.storm.testing.TestWordSpout"), {"default": ["word"]})
    made.bolt("moody", made.python("moody.py"), {"words": made.shuffle()}, {"default": ["n"]}, 2)
    made.bolt("sink", made.native("stormwire.NullBolt"), {"moody": made.shuffle()})
    files = {**words_files(), "moody.py": MOODY}
    conf = {"topology.workers": 2, "topology.stats.sample.rate": 1.0}
    with peer.connect(site.nimbus) as nimbus:
        with running(peer, nimbus, "weather", made, files, conf) as id:
            yield id


def picture(browser, name, **options):
    if folder := os.environ.get("STORMWIRE_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.picture(Path(folder) / f"{name}.png", **options)


def test_from_the_cluster_to_a_component_and_every_order(site, weather, browser):
    host, port = site.addresses["ui"]
    ui = site.addresses["ui"]
    eventually("an error", lambda: get(ui, f"topology/{weather}/component/moody")["componentErrors"])

    browser.open(f"http://{host}:{port}/")
    browser.sees("weather", "main")
    browser.sees("ACTIVE", "main")
    picture(browser, "cluster")
    picture(browser, "cluster-dark", scheme="dark")
    picture(browser, "cluster-narrow", size=(420, 900))

    browser.click("weather")
    browser.sees("Last errors", "main")
    browser.sees("disk <b>full</b> & angry", "main")
    browser.sees("error", "td .pill")
    eventually("counts", lambda: get(ui, f"topology/{weather}")["topologyStats"])
    picture(browser, "topology")

    browser.click("moody")
    browser.sees("Errors, the newest first", "main")
    moody = f"topology/{weather}/component/moody"
    eventually("metrics", lambda: get(ui, moody)["stormwire"]["taskMetrics"])
    browser.sees("Metrics of its tasks", "main")
    browser.sees("mood", "main")
    picture(browser, "component")

    browser.click("weather", "nav a")
    order(browser, "Deactivate")
    browser.sees("INACTIVE", "h1")
    assert get(ui, f"topology/{weather}")["status"] == "INACTIVE"
    picture(browser, "inactive")
    order(browser, "Activate")
    eventually("it is active", lambda: "ACTIVE" in browser.text("h1").split())
    assert get(ui, f"topology/{weather}")["status"] == "ACTIVE"

    order(browser, "Rebalance", "0")
    asked = ("POST", f"/api/v1/topology/{weather}/rebalance/0")
    eventually("it is asked for", lambda: browser.sent(asked))

    browser.click("Kill", "main button")
    browser.sees("Kill weather?", "dialog")
    picture(browser, "kill")
    browser.click("Leave it", "dialog button")
    # The rebalance may still be on its way.
    assert get(ui, f"topology/{weather}")["status"] in ("ACTIVE", "REBALANCING")
    assert browser.complaints == []
    order(browser, "Kill", "0")
    # Nothing is left to be seen of it but its name, and the way on is the cluster.
    browser.sees("No topology runs.", "main")
    browser.sees("Ended topologies (1)", "main")
    assert get(ui, "topology/summary")["topologies"] == []
    assert browser.text("#alarm") == ""
    # The page may have looked at it once more before it went on, and was told that it is gone.
    gone = [f"/api/v1/topology/{weather}{rest}?" for rest in ("", "/component/__system")]
    said = [each for each in browser.complaints if not any(path in each for path in gone)]
    assert said == []


def order(browser, name, wait=None):
    """Presses a button of the page, and the one that asks once more."""
    browser.click(name, "main button")
    browser.sees(f"{name} weather?", "dialog")
    if wait is not None:
        browser.type("dialog input", wait)
    browser.click(name, "dialog button")


def test_why_no_worker_starts_stands_on_the_topologys_page(tmp_path, browser):
    """No component is to blame: the worker's port is taken, and what it says of that is shown."""
    peer = peers.ThriftPy2()
    made = Builder(peer.types)
    made.spout("words", made.native("org.apache.storm.testing.TestWordSpout"), {"default": ["w"]})
    with Cluster(tmp_path / "own", slots=1) as own, socket.socket() as taken:
        (slot,) = own.slots
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", slot))
        taken.listen()
        with peer.connect(own.nimbus) as nimbus, running(peer, nimbus, "held", made, {}) as id:
            (ui, port) = own.addresses["ui"]
            errors = f"topology/{id}/component/__system?sys=true"
            told = eventually("an error", lambda: get((ui, port), errors)["componentErrors"])[0]
            assert told["errorPort"] == slot and f"%2F{slot}%2F" in told["errorWorkerLogLink"]
            browser.open(f"http://{ui}:{port}/#/topology/{id}")
            browser.sees(f"exit status: 1: cannot listen on 127.0.0.1:{slot}", "main")
            browser.sees("supervisor.slots.ports", "main .error")
            browser.sees(f"localhost:{slot}", "main .error span a")
        own.stop()


def test_an_operator_reads_what_is_wrong(site, browser):
    """A topology that is gone, and a Nimbus that is: the page says it and stays."""
    host, port = site.addresses["ui"]
    browser.open(f"http://{host}:{port}/#/topology/gone-1-1")
    browser.sees("gone-1-1", "#alarm")
    assert "Stormwire" in browser.text("header"), "the way back"
    picture(browser, "gone")
    browser.click("To the cluster, and what runs on it")
    browser.sees("Supervisors", "main")
    eventually("the alarm is over", lambda: browser.text("#alarm") == "")


def test_another_sites_page_orders_nothing(site, weather, browser):
    """The browser says from where the request comes, and that is enough: there is no token to steal."""
    host, port = site.addresses["ui"]

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<h1>another site</h1>")

        def log_message(self, *_):
            pass

    other = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    try:
        browser.open(f"http://127.0.0.1:{other.server_port}/")
        browser.sees("another site")
        route = f"http://{host}:{port}/api/v1/topology/{weather}/deactivate"
        sent = f"fetch('{route}', {{ method: 'POST', mode: 'no-cors' }}).then((reply) => reply.type)"
        assert browser.ask(sent) == "opaque", "it was sent, and its answer is not for that page"
        assert get(site.addresses["ui"], f"topology/{weather}")["status"] == "ACTIVE"
        # Reading is open to all sites, as Storm's is.
        read = f"fetch('http://{host}:{port}/api/v1/topology/summary').then((reply) => reply.json())"
        assert browser.ask(read)["topologies"][0]["id"] == weather
        # The same order of the UI's own page is obeyed.
        browser.open(f"http://{host}:{port}/")
        browser.sees("weather", "main")
        own = f"fetch('/api/v1/topology/{weather}/deactivate', {{ method: 'POST' }}).then((r) => r.status)"
        assert browser.ask(own) == 200
        assert get(site.addresses["ui"], f"topology/{weather}")["status"] == "INACTIVE"
    finally:
        other.shutdown()
        other.server_close()
