"""The published page, opened from a file by a browser that can reach nothing."""

from __future__ import annotations

import csv
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = [pytest.mark.hub, pytest.mark.browser]

TAGS = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def folder(demonstration):
    return demonstration.page.parents[1]


def violations(page):
    """axe's findings in the page and in every frame of it."""
    return [
        (frame.name or "page", found["id"])
        for frame in page.frames
        for found in Axe().run(frame, options=TAGS).response["violations"]
    ]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_asks_for_nothing_and_shows_map_chart_table_and_csv(demonstration, blocked, language):
    path = folder(demonstration) / language / "index.html"
    page = blocked.page
    page.goto(path.as_uri())
    assert page.locator("html").get_attribute("lang") == language
    frame = page.frame_locator("iframe").first
    page.locator("iframe").first.scroll_into_view_if_needed()
    frame.locator("path.leaflet-interactive").nth(24).wait_for(timeout=60_000)
    assert page.locator("svg[role=img], figure svg").count() >= 2
    assert page.locator("table tbody tr").count() >= 25
    # Printed by the system user who publishes, whom the browser's own sandbox holds as well.
    assert page.locator("a[href='report.pdf']").count() == 1
    assert (path.parent / "report.pdf").read_bytes().startswith(b"%PDF-")
    for link in page.locator("a[href$='.csv']").all():
        target = (path.parent / link.get_attribute("href")).resolve()
        with target.open(encoding="utf-8-sig", newline="") as file:
            assert len(list(csv.reader(file))) > 2
    assert blocked.asked == []
    assert blocked.said == []


@pytest.mark.parametrize(("language", "width"), [("ko", 360), ("en", 1280)])
def test_axe_finds_nothing_in_the_page_or_in_the_maps_frame(demonstration, blocked, language, width):
    page = blocked.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto((folder(demonstration) / language / "index.html").as_uri())
    page.locator("iframe").first.scroll_into_view_if_needed()
    page.frame_locator("iframe").first.locator("path.leaflet-interactive").first.wait_for(timeout=60_000)
    assert len(page.frames) >= 2
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_planted_violation_is_found_in_the_page_and_in_the_frame(demonstration, blocked):
    page = blocked.page
    page.goto((folder(demonstration) / "ko" / "index.html").as_uri())
    page.locator("iframe").first.scroll_into_view_if_needed()
    page.frame_locator("iframe").first.locator("path.leaflet-interactive").first.wait_for(timeout=60_000)
    for frame in page.frames:
        frame.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
    found = [rule for _, rule in violations(page)]
    assert found.count("image-alt") == len(page.frames)


def test_the_page_finds_the_citys_written_truth(demonstration, blocked):
    """At least two of the three unsafe gu, and no other: the noise of an answer is real, and over 1,000 draws
    each of the three is found in 95 to 100 of 100 (tests/methods)."""
    truth = json.loads((demonstration.home / "city" / "files" / "truth.json").read_text("utf-8"))
    unsafe = {gu["name"] for gu in truth["unsafe_gu"]}
    page = blocked.page
    page.goto((folder(demonstration) / "ko" / "index.html").as_uri())
    headline = page.locator("h1").inner_text()
    every = set(gu_names(demonstration))
    assert len(unsafe) == 3 and len(every) == 25
    named = {gu for gu in every if re.search(rf"(^|\s){gu}(,|\s|에|가|의|$)", headline)}
    assert named <= unsafe and len(named) >= 2


def gu_names(demonstration):
    with (demonstration.home / "city" / "files" / "gu.csv").open(encoding="utf-8-sig", newline="") as file:
        return [row["자치구"] for row in csv.DictReader(file)]


def test_no_person_level_value_is_anywhere_on_the_site(demonstration):
    """Member numbers and bicycle numbers of the source files appear in no public file."""
    rides = (demonstration.home / "city" / "files" / "rides" / "rides_2025-10.csv").read_text("cp949")
    rows = [line.split(",") for line in rides.splitlines()[1:500]]
    personal = {row[-1] for row in rows} | {row[0] for row in rows}
    assert len(personal) > 300
    for path in (demonstration.home / "public").rglob("*"):
        if path.is_file():
            content = path.read_text("utf-8", "replace")
            assert not [value for value in personal if value in content], path.name


def test_the_share_that_the_bound_leaves_out_is_told_and_holds_the_citys_truth(demonstration, blocked):
    """One draw of a 95 % interval a month, so that the year's is looked at with three times its width to spare."""
    truth = json.loads((demonstration.home / "city" / "files" / "truth.json").read_text("utf-8"))
    share = 100 * truth["measured"]["share_past_bound"]
    page = blocked.page
    page.goto((folder(demonstration) / "ko" / "index.html").as_uri())
    told = re.search(r"20건을 넘긴 기록은 세지 않았습니다.*?([0-9.]+)–([0-9.]+) %", page.inner_text("body"))
    assert told is not None
    low, high = float(told[1]), float(told[2])
    assert low - (high - low) <= share <= high + (high - low) and high - low < 1
