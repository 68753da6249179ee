"""An analyst who writes no code runs a report and asks a question, from the Hub's home to the page: real Chromium, the
real workspace with its vault and its reports service, nothing stood in for."""

from __future__ import annotations

import pytest

from civic_kernel.texts import text

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.root]
SLOW = 60_000


def said(key, **facts):
    return text("en", "forms", key, **facts)


@pytest.fixture
def analyst(demonstration, chromium):
    """Her browser, on the Hub's home; `faults` are what a page of ours complained of."""
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW)
    page.faults = []
    page.on("pageerror", lambda fault: page.faults.append(str(fault)))
    page.goto(demonstration.link("analyst"))
    page.get_by_role("button").first.click()
    page.wait_for_url("**/hub/home")
    yield page
    context.close()


def test_an_analyst_runs_a_report_and_asks_a_question_without_a_line_of_code(demonstration, analyst):
    page = analyst
    # Her seat is not open yet: the link opens it on the way.
    page.get_by_role("link", name=text("en", "forms", "page.reports"), exact=True).click()
    page.get_by_role("link", name="Where people ride bikes").click()
    page.get_by_label("District (gu)", exact=True).select_option("마포구")
    for box in page.get_by_role("group", name="Months").get_by_role("checkbox").all()[:-1]:
        box.uncheck()
    page.get_by_role("button", name=said("report.look")).click()
    price = page.locator("section.price")
    price.wait_for()
    assert "team bike" in price.inner_text() and "±" in price.inner_text(), price.inner_text()
    page.get_by_role("button", name=said("report.run"), exact=True).click()
    opened = page.locator("#state a.open")
    opened.wait_for()
    assert "Done" in page.locator("#state").inner_text(), page.locator("#state").inner_text()
    opened.click()
    page.locator("h1").wait_for()
    assert "/civic/reports/pages/run-" in page.url
    assert page.evaluate("window.origin") == "null", "it has an origin of its own"
    assert "Mapo-gu" in page.locator("body").inner_text()
    # Its other pages open from within, and its CSV comes.
    page.locator("a[href='method.html']").first.click()
    page.wait_for_url("**/method.html")
    page.go_back()
    with page.expect_download() as csv:
        page.locator("a[href$='.csv']").first.evaluate("a => a.click()")
    assert csv.value.suggested_filename.endswith(".csv")
    # Asking, in the same seat.
    page.goto(f"{demonstration.url}/user/analyst/civic/ask?dataset=bike_rides&lang=en")
    # Free where the report before has asked the same.
    page.locator("#ask").click()
    page.locator("tbody tr").first.wait_for()
    assert page.locator("tbody tr").count() == 26
    assert page.locator("figure svg[role=img]").count() == 1
    assert page.faults == []
