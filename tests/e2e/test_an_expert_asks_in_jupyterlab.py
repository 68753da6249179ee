"""An expert opens her link in a real browser, asks in a real notebook, and sees price, frame and map."""

from __future__ import annotations

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.hub.seat import Seat

pytestmark = [pytest.mark.hub, pytest.mark.browser]

CELLS = [
    "import civic_kernel as civic\ncivic.catalog()",
    'rides = civic.dataset("bike_rides")\n'
    'asked = rides.where(rides.sex == "F").by(rides.start_gu, rides.month).agg(rides=civic.count())\n'
    'asked.price("fine")',
    'frame = asked.ask("fine", quiet=True)\nframe.head(3)',
    'by_gu = civic.total(frame, "rides", "start_gu")\n'
    'civic.maps.choropleth(by_gu, "rides", "start_gu", title="Rides by gu", alt="Rides by gu of the start")',
]


def notebook(cells):
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def test_an_expert_signs_in_by_her_link_and_sees_price_frame_and_map(demonstration, chromium):
    seat = Seat(demonstration.url, demonstration.secrets["expert"])
    seat._open("PUT", "api/contents/ask.ipynb", {"type": "notebook", "content": notebook(CELLS)})
    context = chromium.new_context(viewport={"width": 1280, "height": 1600})
    page = context.new_page()
    foreign = []
    own = (demonstration.url, "data:", "blob:", "about:")
    page.on("request", lambda r: foreign.append(r.url) if not r.url.startswith(own) else None)
    page.goto(demonstration.link("expert"))
    page.get_by_role("button").first.click()
    page.wait_for_url("**/hub/home")
    page.goto(f"{demonstration.url}/user/expert/lab/tree/ask.ipynb?reset")
    cells = page.locator(".jp-NotebookPanel .jp-CodeCell")
    cells.nth(len(CELLS) - 1).wait_for(timeout=90_000)
    page.locator(
        ".jp-NotebookPanel-toolbar [data-status=idle], .jp-Notebook-ExecutionIndicator[data-status=idle]"
    ).first.wait_for(state="attached", timeout=60_000)
    cells.first.click()
    page.keyboard.press("Shift+Enter")
    try:
        cells.first.locator(".jp-OutputArea-output").first.wait_for(timeout=45_000)
    except TimeoutError:
        # Seen twice in full runs and never alone: a first cell that shows nothing. What the server says of it is kept
        # for whoever finds out why; she does what a person does.
        print((demonstration.home / "homes/expert/.server.log").read_text("utf-8")[-6_000:])
        page.reload()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(
            state="attached", timeout=60_000
        )
    cells.first.click()
    for number in range(len(CELLS)):
        page.keyboard.press("Shift+Enter")
        output = cells.nth(number).locator(".jp-OutputArea-output")
        output.first.wait_for(timeout=90_000)
    # An output is there before its text is; a cell out of sight has text without being drawn.
    expect(cells.nth(0)).to_contain_text("bike_rides", timeout=30_000)
    price = cells.nth(1).locator(".jp-OutputArea-output")
    for words in ("±277", "bike"):
        expect(price).to_contain_text(words, timeout=30_000)
    for column in ("rides", "rides_low", "rides_high", "withheld"):
        expect(cells.nth(2).locator("table")).to_contain_text(column, timeout=30_000)
    frame = cells.nth(3).frame_locator("iframe")
    frame.locator("path.leaflet-interactive").nth(24).wait_for(timeout=60_000)
    assert frame.locator("path.leaflet-interactive").count() == 25
    assert foreign == []
    context.close()


def test_the_two_members_of_a_room_edit_one_notebook_at_once(demonstration, chromium):
    entered = Seat(demonstration.url, demonstration.secrets["expert"], owner="room-01")
    entered._open("PUT", "api/contents/ours.ipynb", {"type": "notebook", "content": notebook(["1"])})
    pages = []
    for name in ("expert", "analyst"):
        page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.goto(demonstration.link(name))
        page.get_by_role("button").first.click()
        page.wait_for_url("**/hub/home")
        room = f"{demonstration.url}/user/room-01/lab/tree/ours.ipynb"
        page.goto(room)
        if "oauth2/authorize" in page.url:
            # Somebody else's server: the Hub asks once whether she means to enter it.
            page.get_by_role("button").first.click()
        page.wait_for_url(lambda url: "/user/room-01/lab" in url, timeout=60_000)
        page.goto(f"{room}?reset")
        page.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").first.wait_for(timeout=90_000)
        pages.append(page)
    first, second = (page.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").first for page in pages)
    first.click()
    first.fill("written_by_the_expert = 1")
    second.get_by_text("written_by_the_expert").wait_for(timeout=30_000)
    for page in pages:
        page.context.close()
