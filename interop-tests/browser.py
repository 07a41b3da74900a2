"""A real browser without a screen: Chromium, told what to do over its DevTools protocol.

Speaks with it over a pipe (two descriptors, JSON texts that end with a zero byte), so that nothing but
Chromium itself has to be installed. Clicks as a hand would, at the middle of what is to be seen. Keeps what
pages complain of; judges nothing.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from urllib.parse import urlsplit

from cluster import eventually

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def program():
    """The browser of this machine, as peers/browser.sh installs it."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"no browser: one of {', '.join(NAMES)} (apt-get install chromium-headless-shell)"
    return found


class Browser:
    """One page in a browser of its own; as a context manager it ends on exit."""

    def __init__(self, directory, size=(1400, 900)):
        self.directory = directory
        self.size = size
        self.complaints = []
        self.requests = []
        self.number = 0
        self.session = None

    def __enter__(self):
        from_us, to_us = os.pipe(), os.pipe()
        width, height = self.size
        command = [
            program(),
            "--headless",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            f"--window-size={width},{height}",
            f"--user-data-dir={self.directory}",
            "about:blank",
        ]
        # The browser reads from descriptor 3 and writes to 4.
        shell = f'exec "$@" 3<&{from_us[0]} 4>&{to_us[1]}'
        with open(f"{self.directory}.log", "wb") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", shell, "bash", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(from_us[0], to_us[1]),
            )
        os.close(from_us[0])
        os.close(to_us[1])
        self.to, self.answers, self.rest = from_us[1], to_us[0], b""
        try:
            pages = eventually("the browser has a page", self._pages)
            attached = self.order(
                "Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True
            )
            self.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.order(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.answers)

    def _pages(self):
        targets = self.order("Target.getTargets")["targetInfos"]
        return [each for each in targets if each["type"] == "page"]

    # ---- The protocol --------------------------------------------------------------------------

    def order(self, method, **parameters):
        """Has the browser do something, and returns what it says to that."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data) :]
        deadline = time.monotonic() + 30
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _next(self, deadline):
        while b"\0" not in self.rest:
            left = max(0, deadline - time.monotonic())
            ready, _, _ = select.select([self.answers], [], [], left)
            assert ready, "the browser says nothing"
            piece = os.read(self.answers, 1 << 20)
            assert piece, "the browser is gone"
            self.rest += piece
        message, _, self.rest = self.rest.partition(b"\0")
        message = json.loads(message)
        self._hear(message.get("method"), message.get("params", {}))
        return message

    def _hear(self, event, told):
        if event == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            thrown = details.get("exception", {}).get("description")
            self.complaints.append(f"thrown: {thrown or details['text']}")
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(f"console: {[each.get('value') for each in told['args']]}")
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            entry = told["entry"]
            self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
        elif event == "Network.requestWillBeSent":
            request = told["request"]
            self.requests.append((request["method"], urlsplit(request["url"]).path))

    # ---- What a person does --------------------------------------------------------------------

    def open(self, address):
        self.order("Page.navigate", url=address)

    def ask(self, expression):
        """The value of an expression in the page; of a promise what it comes to."""
        done = self.order(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, (expression, done["exceptionDetails"])
        return done["result"].get("value")

    def sent(self, request):
        """Whether a page has sent that: (method, path)."""
        self.ask("true")  # has it say what happened meanwhile
        return request in self.requests

    def text(self, selector="body"):
        """What is to be read there; empty where there is no such thing."""
        return self.ask(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText || ''")

    def sees(self, text, selector="body"):
        eventually(
            f"{text!r} in {selector}; it says {self.text(selector)[:500]!r}",
            lambda: text in self.text(selector),
        )

    def click(self, text, selector="a, button, summary"):
        """The visible thing of that text, once it is there."""
        find = f"""(() => {{
            const all = [...document.querySelectorAll({json.dumps(selector)})];
            const found = all.find((each) => each.innerText.trim() === {json.dumps(text)}
                && each.getClientRects().length);
            if (!found) return null;
            found.scrollIntoView({{ block: "center" }});
            const box = found.getBoundingClientRect();
            const at = [box.x + box.width / 2, box.y + box.height / 2];
            return found.contains(document.elementFromPoint(...at)) ? at : null;
        }})()"""
        x, y = eventually(f"{text!r} can be clicked", lambda: self.ask(find))
        for kind in ("mousePressed", "mouseReleased"):
            self.order(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    def type(self, selector, text):
        """In the place of what stands in a field."""
        self.ask(f"document.querySelector({json.dumps(selector)}).select()")
        self.order("Input.insertText", text=text)

    def picture(self, path, size=None, scheme="light"):
        """The whole page as PNG, as on a screen of that size."""
        width, height = size or self.size
        self.order(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.order(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        shot = self.order("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        self.order("Emulation.clearDeviceMetricsOverride")
