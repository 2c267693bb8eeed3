# SPDX-License-Identifier: BSD-3-Clause
"""A headless Chromium that a test drives: WebDriver (W3C) over plain HTTP to chromedriver, and the DevTools protocol through
it for what WebDriver has no words for: the size of the screen, dark mode, paper, what the network was asked for."""

import base64
import json
import os
import struct
import urllib.error
import urllib.request
import zlib

from processes import Failure, need_program

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # It is the page that is asked what it loads: the browser is not to look for updates or anything else.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]


class Browser:
    """One window. `bench` ends it."""

    def __init__(self, bench):
        driver = need_program("chromedriver", "chromium-driver")
        chromium = need_program("chromium", "chromium")
        # Its own files, which it leaves behind, go with the test's.
        process = bench.start("chromedriver", [driver, "--port=0"], env={**os.environ, "TMPDIR": bench.directory})
        port = process.wait_for(r"started successfully on port (\d+)")[1]
        self.url = f"http://127.0.0.1:{port}/session"
        options = {"binary": chromium, "args": [*ARGUMENTS, f"--user-data-dir={bench.path('chromium')}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        wanted["goog:loggingPrefs"] = {"browser": "ALL", "performance": "ALL"}
        session = self._post("", {"capabilities": {"alwaysMatch": wanted}})
        self.url += "/" + session["sessionId"]
        bench.at_end(self._quit, running=True)
        self.open("about:blank")  # away from the browser's own first page, which asks for much
        self.requests()

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Failure(f"the browser refused {path or 'to start'}: {error.read().decode()[:500]}") from None

    def _post(self, path, body):
        return self._request("POST", path, body)

    def _quit(self):
        try:
            self._request("DELETE", "")
        except (Failure, OSError):
            pass  # chromedriver is gone

    def devtools(self, command, **parameters):
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def log(self, kind):
        """What came since the last call: "browser" is the page's console, "performance" the DevTools' events."""
        return self._post("/se/log", {"type": kind})

    def open(self, url):
        self._post("/url", {"url": url})

    def requests(self):
        """The URLs of all that was asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def look(self, width, height=900, scheme="light", paper=False):
        """The screen that the page is shown on."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self.devtools(
            "Emulation.setEmulatedMedia",
            media="print" if paper else "screen",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def run(self, script, *arguments):
        """The value that this JavaScript returns. It is the browser's own: no page need allow it."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText.trim())", selector)

    def screenshot(self, path, whole=False):
        """A PNG of what is seen, or of the whole page."""
        image = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(image["data"]))


def rows_of(png):
    """How many different rows of pixels a PNG has, as they are filtered: in a blank one they are all alike."""
    with open(png, "rb") as file:
        data = file.read()
    at, packed, stride = 8, b"", 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, _, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
            if depth != 8 or interlace != 0:
                raise Failure(f"{png}: a PNG of another kind")
            stride = width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] + 1
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    rows = zlib.decompress(packed)
    return len({rows[i + 1 : i + stride] for i in range(0, len(rows), stride)})
