"""What a laptop fetches to show JupyterLab with a notebook: at its first visit, and when it comes back.

Bytes as they cross the network, counted by a real Chromium. A workshop's room often has one slow Wi-Fi for all.
"""

from __future__ import annotations

import shutil
import time

from playwright.sync_api import BrowserContext, sync_playwright

from benchmarks.figures import Figure
from benchmarks.seats import hub_with
from hub_config.client import Session, make_link

#: Milliseconds for what JupyterLab fetches once it has time. It never rests: it asks for kernels again and again.
AFTERWARDS_MS = 10_000
NOTEBOOK = "examples/bike_routes.ipynb"


def first_load() -> list[Figure]:
    """From pressing the link's button to a notebook whose cells can be written in."""
    with hub_with(1, stock=False) as (settings, [secret]), sync_playwright() as playwright:
        name = Session(settings.workspace_url, secret).name
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(make_link(settings.workspace_url, secret))
        page.get_by_role("button").first.click()
        page.wait_for_url("**/hub/home")
        page.goto(f"{settings.workspace_url}/hub/spawn/{name}")
        page.wait_for_url(f"**/user/{name}/**", timeout=120_000)
        page.close()
        address = f"{settings.workspace_url}/user/{name}/lab/tree/{NOTEBOOK}"
        # The Hub's redirect after the start has shown JupyterLab once: that visit filled the cache.
        fresh = browser.new_context(storage_state=context.storage_state())
        first = _visit(fresh, address)
        again = _visit(fresh, address)
        browser.close()
    return [
        Figure("fetched at the first visit", first[0] / 1e6, "MB"),
        Figure("requests at the first visit", first[1], ""),
        Figure("notebook ready, first visit", first[2], "s"),
        Figure("fetched when coming back", again[0] / 1e6, "MB"),
        Figure("notebook ready, coming back", again[2], "s"),
    ]


def _visit(context: BrowserContext, address: str) -> tuple[int, int, float]:
    """(bytes, requests, seconds) until a cell can be written in."""
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    sizes: list[int] = []
    devtools.on("Network.loadingFinished", lambda told: sizes.append(int(told["encodedDataLength"])))
    devtools.send("Network.enable")
    began = time.monotonic()
    page.goto(address)
    page.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").first.wait_for(timeout=120_000)
    seconds = time.monotonic() - began
    page.wait_for_timeout(AFTERWARDS_MS)
    page.close()
    return sum(sizes), len(sizes), seconds
