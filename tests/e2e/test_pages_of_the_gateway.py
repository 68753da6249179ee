"""The gateway's pages behind the real Hub's login, in a real browser: the steward's table, and one click."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.hub.seat import Seat

pytestmark = [pytest.mark.hub, pytest.mark.browser]

ASK = """
import civic_kernel as civic
rides = civic.dataset("bike_rides")
frame = rides.where(rides.month == "2026-08").by(rides.rain).agg(rides=civic.count()).ask("rough")
print(frame.attrs["civic"]["answer_id"])
"""
PAGES = ("", "budget", "questions", "approvals")


@pytest.fixture
def signed_in(demonstration, chromium):
    """`signed_in("expert")` gives a page of somebody who came by her link, on the Hub's home page."""
    contexts = []

    def enter(name):
        context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        page.goto(demonstration.link(name))
        page.get_by_role("button").first.click()
        page.wait_for_url("**/hub/home")
        return page

    yield enter
    for context in contexts:
        context.close()


def assert_clean(page, width, language):
    page.set_viewport_size({"width": width, "height": 900})
    assert page.get_attribute("html", "lang") == language
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], v["nodes"][0]["html"]) for v in found]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_steward_reads_what_was_asked_and_what_is_left(demonstration, signed_in):
    page = signed_in("steward-city")
    page.get_by_role("link", name="Our team's budget").click()
    page.wait_for_url("**/services/data/budget**")
    expect(page.locator("h1")).to_have_text("Budgets and questions of all teams")
    # What the published report asked: by whom, for what, in words, at what cost.
    report = (
        page.locator("table")
        .last.get_by_role("row")
        .filter(has_text="accidents (made-up city), by gu: count")
    )
    for told in ("site", "published_report", "10.0 % × 12", "2025-10 – 2026-09", "service-reports"):
        expect(report.first).to_contain_text(told)
    expect(page.locator("th[scope=row]").first).to_contain_text("2026-")
    page.select_option("#month", "2026-09")
    page.get_by_role("button", name="Show").click()
    assert set(page.locator("th[scope=row]").all_inner_texts()) == {"2026-09"}
    assert page.said == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_page_is_accessible_on_a_phone_and_on_a_desk(demonstration, signed_in, language):
    for name, places in (("facilitator", PAGES), ("steward-cso", ("", "budget"))):
        page = signed_in(name)
        for place in places:
            page.goto(f"{demonstration.url}/services/data/{place}?lang={language}")
            for width in (360, 1280):
                assert_clean(page, width, language)
        assert page.said == []


def test_a_facilitator_approves_in_one_click_and_the_rooms_kernel_goes_on(demonstration, signed_in):
    room = Seat(demonstration.url, demonstration.secrets["analyst"], owner="room-01")
    page = signed_in("facilitator")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(room.run, ASK)
        until = time.monotonic() + 60
        card = page.locator("article").filter(has_text="in 2026-08, by rain: count")
        while not card.count():
            assert not asked.done() and time.monotonic() < until
            page.goto(f"{demonstration.url}/services/data/approvals?lang=en")
        for width in (360, 1280):
            assert_clean(page, width, "en")
        card.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status")).to_contain_text("You approved it.")
        answer = asked.result(60)
    page.goto(f"{demonstration.url}/services/data/questions")
    expect(page.locator("tbody tr").first).to_contain_text(f'civic.answer("{answer}")')


def test_a_script_in_a_seats_page_cannot_read_what_its_owner_could(demonstration, signed_in):
    page = signed_in("facilitator")
    page.goto(f"{demonstration.url}/services/data/approvals")
    # The same origin, the same cookies: what a notebook's output could run in a person's browser. No page of the Hub,
    # which is in a group of windows of its own as the gateway's are.
    page.goto(f"{demonstration.url}/hub/logo")
    fetched = page.evaluate("fetch('/services/data/approvals').then(a => a.status)")
    assert fetched == 403
    with page.context.expect_page() as opened:
        page.evaluate("window.other = window.open('/services/data/approvals'), 0")
    opened.value.wait_for_load_state()
    expect(opened.value.locator("h1")).to_have_text("Waiting questions")
    # Opened, it is another group of windows: no handle is left to read it by.
    assert page.evaluate("window.other.closed") is True


def test_who_signs_out_of_the_hub_is_out_of_the_pages_too(demonstration, signed_in):
    page = signed_in("steward-cso")
    page.goto(f"{demonstration.url}/services/data/budget")
    expect(page.locator("h1")).to_contain_text("Budgets")
    page.goto(f"{demonstration.url}/hub/logout")
    until = time.monotonic() + 20
    while "/hub/login" not in page.url:
        assert time.monotonic() < until
        page.goto(f"{demonstration.url}/services/data/budget")
        time.sleep(0.5)
