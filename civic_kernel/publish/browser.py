"""Chromium, spoken to over a pipe: what a page looks like on paper and as a picture.

Its command line (`--print-to-pdf`, `--screenshot`) was rejected: a start for each of a release's four files, and
nobody to ask whether the page is ready. Playwright is for tests; it is no part of what a workspace installs.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, Self

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    # The same letters and colours whatever screen the machine may have: the files' fingerprints are signed.
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    # A page's own policy forbids every request. Here the browser itself could not find where to send one.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-proxy-server",
    # It stands in each PDF as its maker, where the default names the machine's system.
    "--user-agent=civic",
)
#: It expects its orders on 3 and answers on 4, numbers that may be taken in this process; and a shell's redirection
#: knows no number above 9.
_ON_3_AND_4: Final = """import fcntl, os, sys
high = [fcntl.fcntl(int(one), fcntl.F_DUPFD_CLOEXEC, 10) for one in sys.argv[1:3]]
for low, one in zip((3, 4), high):
    os.dup2(one, low)
os.execv(sys.argv[3], sys.argv[3:])
"""
#: For one page, on a machine that is busy with other things.
_PATIENCE_S: Final = 60.0


class NoBrowser(Exception):
    """There is no Chromium here, or it does not do what it is asked."""


def find_browser() -> str | None:
    """The program's path, or None."""
    return next((path for path in map(shutil.which, _PROGRAMS) if path), None)


class Browser:
    """A Chromium with a profile of its own, gone at the end. Every method raises NoBrowser.

    It is handed pages that the screen let pass, no variable of this process's environment, and no token.
    """

    def __init__(self, program: str | None = None) -> None:
        self._program = program or find_browser()
        self._leave = ExitStack()
        self._waiting = b""
        self._number = 0
        self._heard: list[dict[str, Any]] = []
        self._events: set[str] = set()

    def __enter__(self) -> Self:
        if self._program is None:
            raise NoBrowser
        folder = tempfile.TemporaryDirectory(prefix="civic-browser-", ignore_cleanup_errors=True)
        self._folder = Path(self._leave.enter_context(folder))
        asked_r, asked_w = os.pipe()
        told_r, told_w = os.pipe()
        self._ask, self._told = asked_w, told_r
        self._leave.callback(os.close, told_r)
        # Its sandbox needs another user than root; the workspace's publisher is one (`civic-reports`).
        flags = (*_FLAGS, "--no-sandbox") if os.geteuid() == 0 else _FLAGS
        starter = [sys.executable, "-I", "-S", "-c", _ON_3_AND_4, str(asked_r), str(told_w)]
        try:
            self._process = subprocess.Popen(
                [*starter, self._program, *flags, f"--user-data-dir={self._folder / 'profile'}"],
                pass_fds=(asked_r, told_w),
                env={"HOME": str(self._folder), "PATH": os.defpath, "LANG": "C.UTF-8"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self._leave.close()
            raise NoBrowser from None
        finally:
            os.close(asked_r)
            os.close(told_w)
        self._leave.callback(self._end)
        try:
            made = self._call("Target.createTarget", url="about:blank")
            self._session = self._call("Target.attachToTarget", targetId=made["targetId"], flatten=True)[
                "sessionId"
            ]
            self._do("Page.enable")
        except NoBrowser:
            self._leave.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.close()

    def open(self, document: str, width: int, height: int, *, media: str = "screen", scale: int = 1) -> None:
        """Show an HTML document as a file of its own, in a window of that many CSS pixels, and wait until it is drawn.

        `scale` is the dots a pixel. Size and medium stand before the document does: one that learns of them while it
        is shown may be drawn in one of several ways, by chance.
        """
        page = self._folder / "page.html"
        page.write_text(document, "utf-8")
        self._events.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self._do("Emulation.setDeviceMetricsOverride", **size)
        self._do("Emulation.setEmulatedMedia", media=media)
        if "errorText" in self._do("Page.navigate", url=page.as_uri()):
            raise NoBrowser
        self._until(lambda: "Page.loadEventFired" in self._events)
        # Two beats: in the second, what the first laid out has been drawn.
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def run(self, expression: str) -> None:
        """JavaScript in the open page, which its policy does not concern; a promise is waited for."""
        if "exceptionDetails" in self._do("Runtime.evaluate", expression=expression, awaitPromise=True):
            raise NoBrowser

    def pdf(self) -> bytes:
        """The open page as a tagged PDF with an outline, in the size that its own style asks for."""
        made = self._do(
            "Page.printToPDF",
            preferCSSPageSize=True,
            printBackground=True,
            generateTaggedPDF=True,
            generateDocumentOutline=True,
        )
        return base64.b64decode(made["data"])

    def picture(self) -> bytes:
        """The open window as PNG."""
        made = self._do("Page.captureScreenshot", format="png")
        return base64.b64decode(made["data"])

    # --- the protocol: JSON documents, each ended by a zero byte ---

    def _do(self, method: str, **parameters: Any) -> Any:
        return self._call(method, self._session, **parameters)

    def _call(self, method: str, session: str | None = None, /, **parameters: Any) -> Any:
        self._number += 1
        number = self._number
        order = {"id": number, "method": method, "params": parameters}
        if session:
            order["sessionId"] = session
        data = json.dumps(order).encode() + b"\0"
        try:
            while data:
                data = data[os.write(self._ask, data) :]
        except OSError:
            raise NoBrowser from None
        answers: list[Any] = []

        def answered() -> bool:
            answers.extend(line for line in self._heard if line.get("id") == number)
            self._heard.clear()
            return bool(answers)

        self._until(answered)
        if "error" in answers[0]:
            raise NoBrowser
        return answers[0]["result"]

    def _until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not happened():
            left = deadline - time.monotonic()
            ready = select.select([self._told], [], [], max(left, 0))[0]
            data = os.read(self._told, 1 << 20) if ready else b""
            if not data:  # too late, or it has ended
                raise NoBrowser
            *whole, self._waiting = (self._waiting + data).split(b"\0")
            for line in map(json.loads, whole):
                self._heard.append(line)
                self._events.add(line.get("method", ""))

    def _end(self) -> None:
        with suppress(OSError):
            os.close(self._ask)  # its own sign to leave
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
