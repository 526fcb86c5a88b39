"""Debian's Chromium, without a window, driven by the DevTools protocol through a pair of pipes: no driver, no socket.

with Browser() as browser:
    page = browser.open("http://127.0.0.1:9121/")
    page.until("document.title.startsWith('Shardis')")
    assert page.errors == []
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from typing import Any, Self

PROGRAMS = ("chromium", "chromium-browser")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
    *("--remote-debugging-pipe", "--mute-audio", "--disable-sync"),
)
TIMEOUT_S = 60.0
POLL_S = 0.05
READ_FD, WRITE_FD = 3, 4
"""Where Chromium expects its pipes."""


def program() -> str | None:
    """Where it is; None if there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Browser:
    """A browser with a profile of its own."""

    def __enter__(self) -> Self:
        found = program()
        assert found is not None
        self.folder = tempfile.mkdtemp(prefix="browser-")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # In a shell, which puts the pipes where they are wanted.
        argv = ["bash", "-c", f'exec "$@" {READ_FD}<&{theirs_in} {WRITE_FD}>&{theirs_out}', "bash"]
        self.process = subprocess.Popen(
            [*argv, found, *FLAGS, f"--user-data-dir={self.folder}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        self._last_id = 0
        self.pages: dict[str, Page] = {}
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.terminate()
        self.process.wait()
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, url: str, width: int = 1400, height: int = 1600) -> "Page":
        """A new page."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.call("Page.navigate", {"url": url})
        while not page.loaded:
            self._dispatch(self._receive())
        return page

    def call(self, method: str, params: dict[str, Any] | None = None, session: str = "") -> dict[str, Any]:
        """What the browser answers."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params or {}}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            said = self._receive()
            if said.get("id") == self._last_id:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result
            self._dispatch(said)

    def _dispatch(self, said: dict[str, Any]) -> None:
        if page := self.pages.get(said.get("sessionId", "")):
            page.hear(said)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._in, 1 << 16)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


class Page:
    """One page, and what went wrong in it."""

    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session
        self.loaded = False
        self.errors: list[str] = []
        """What the console says of faults, and exceptions that nobody caught."""

    def hear(self, said: dict[str, Any]) -> None:
        params = said["params"]
        self.loaded = self.loaded or said["method"] == "Page.loadEventFired"
        if said["method"] == "Runtime.exceptionThrown":
            self.errors.append(str(params["exceptionDetails"]))
        elif said["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(str(params["entry"]))
        elif said["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(str(params["args"]))

    def call(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.browser.call(method, params, self.session)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is."""
        answer = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> Any:
        """Waits until an expression is true; what it is then."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline_s, f"not reached: {expression}; {self.value('document.body.innerText')}"
            time.sleep(POLL_S)
        return found

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Light or dark."""
        self.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def screenshot(self) -> str:
        """A PNG, in base64."""
        data: str = self.call("Page.captureScreenshot", {"format": "png"})["data"]
        return data
