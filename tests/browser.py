"""A headless Chromium, driven by the DevTools protocol over a pipe: it needs no driver.

https://chromedevtools.github.io/devtools-protocol: objects of JSON, each ended by a NUL byte, go to
the browser's file descriptor 3 and come from its 4.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0
"""Seconds that a slow machine may take for an answer."""


def find_browser() -> str | None:
    """Return the browser that is installed, if there is one."""
    if os.name != "posix":
        return None
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Browser:
    """One page of a browser. Leave by `close`.

    Args:
        program: The browser.
        folder: For its profile.
    """

    def __init__(self, program: str, folder: Path):
        its_input, self._to = map(_high, os.pipe())
        self._from, its_output = map(_high, os.pipe())
        command = [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe", "about:blank"),
        ]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{its_input} 4>&{its_output}', "bash", *command],
            pass_fds=(its_input, its_output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_input)
        os.close(its_output)
        self._buffer, self._number, self._session = b"", 0, None
        self.requests: list[str] = []
        """Addresses of all that was asked for."""
        (page,) = [
            one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page"
        ]
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Return the answer to one call of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def _read(self):
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            assert left > 0, "the browser is silent"
            if not select.select([self._from], [], [], left)[0]:
                continue
            got = os.read(self._from, 1 << 16)
            assert got, "the browser ended"
            self._buffer += got
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message

    def run(self, script):
        """Return the value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script):
        """Wait until an expression has a value, and not false or empty; return it."""
        deadline = time.monotonic() + PATIENCE
        while (value := self.run(script)) in (None, False, ""):
            assert time.monotonic() < deadline, f"{script}\n{self.run('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def open(self, address, *, width=1280, height=900, is_dark=False):
        """Open a page in a window of some size, in light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def click(self, element):
        """Press the mouse on the middle of what an expression returns."""
        box = self.wait_for(
            f"(() => {{ const it = {element}; if (!it) return null; it.scrollIntoView({{block: "
            "'center'}); const {x, y, width, height} = it.getBoundingClientRect();"
            "return width && {x: x + width / 2, y: y + height / 2}; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **box)

    def type(self, text):
        """Replace what the focused field holds by typing."""
        self.run("document.activeElement.select()")
        self.call("Input.insertText", text=text)

    def screenshot(self, path, *, is_whole=False):
        """Write what is seen, or the whole page, to a PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        """End the browser."""
        try:
            self._session = None
            os.write(self._to, b'{"id": 0, "method": "Browser.close"}\0')
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)


def _high(descriptor):
    """Return the same pipe by a number that is not in the way of 3 and 4."""
    import fcntl  # Windows has none

    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return higher
