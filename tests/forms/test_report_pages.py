"""Running reports as people do who write no code: price first, progress, stop, go on, the page; in a real Chromium."""

from __future__ import annotations

import pytest

import civic_kernel as civic
from civic_kernel.texts import text
from tests.forms.conftest import SEAT_TOKEN, TOKEN
from tests.forms.standin import PRICE, offered

pytestmark = pytest.mark.browser


def said(key, **facts):
    return text("ko", "forms", key, **facts)


def to_price(page, seat, more="&p.months=2026-09&p.gu=all&p.language=ko"):
    page.goto(f"{seat.base}civic/reports?report=bike_routes&priced=1&lang=ko{more}")


def test_a_batch_is_priced_once_watched_stopped_and_gone_on_with(page, seat, reports, look):
    page.goto(f"{seat.base}civic/reports?lang=ko")
    page.get_by_role("link", name="자전거는 어디서 타고").click()
    page.get_by_label(said("report.each", n=25)).check()
    for month in range(1, 9):
        page.get_by_label(f"2026년 {month}월", exact=True).uncheck()
    page.get_by_role("button", name=said("report.look")).click()
    price = page.locator("section.price")
    assert "5.0%" in price.inner_text() and said("report.once", n=25) in price.inner_text()
    look(page, "report-price")
    assert [path for path, _ in reports.seen].count("POST runs/price") == 1
    page.get_by_role("button", name=said("report.run_n", n=25)).click()
    page.locator("#state").wait_for()
    [order] = reports.orders
    ordered = dict(reports.seen)["POST runs"]
    assert ordered["pay"] == PRICE and len(ordered["each"]["gu"]) == 25 and "all" not in ordered["each"]["gu"]
    assert ordered["parameters"]["months"] == ["2025-10", "2025-11", "2025-12", "2026-09"]
    # It goes on by itself, and says so without taking the focus away.
    page.locator("#stop").focus()
    reports.orders[order]["runs"][1].update({"state": "running", "done": 7, "total": 20, "cell": "지도"})
    reports.finish(order)
    page.get_by_text("25건 가운데 1건 끝남").wait_for()
    assert page.evaluate("document.activeElement.id") == "stop"
    assert page.get_by_role("progressbar", name=said("run.progress", what="중구")).count() == 1
    assert "20칸 가운데 7칸 · 지도" in page.locator("#state").inner_text()
    look(page, "report-run")
    page.keyboard.press("Enter")
    page.locator("#resume").wait_for()
    states = {run["state"] for run in reports.orders[order]["runs"]}
    assert states == {"done", "cancelled"} and not page.locator("#stop").is_visible()
    page.get_by_role("button", name=said("run.resume")).click()
    page.locator("#stop").wait_for()
    assert {run["state"] for run in reports.orders[order]["runs"]} == {"done", "waiting"}
    for number in range(25):
        reports.finish(order, number)
    reports.finish(order, 24, state="failed", message="공책의 ‘지도’ 칸에서 멈췄습니다.", remedy="달을 줄여 보세요.",
                   partial="pages/25/partial.ipynb")  # fmt: skip
    page.locator("#resume").wait_for()
    assert "25건 가운데 24건 끝남" in page.locator("#spoken").inner_text()
    assert "멈췄습니다. 달을 줄여" in page.locator("#state").inner_text()
    look(page, "report-partly")
    page.goto(f"{seat.base}civic/reports?lang=ko")
    assert "25건 가운데 24건" in page.locator("main").inner_text()
    assert TOKEN not in page.content()


def test_without_a_script_a_report_is_run_and_opened_and_cannot_reach_its_readers_seat(
    chromium, seat, reports
):
    context = chromium.new_context(locale="ko-KR", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{seat.base}api/status?token={SEAT_TOKEN}")
    to_price(page, seat)
    page.get_by_role("button", name=said("report.run"), exact=True).click()
    [order] = reports.orders
    page.get_by_role("link", name=said("run.look_again")).click()
    reports.finish(order)
    page.get_by_role("link", name=said("run.look_again")).click()
    link = page.locator("#state a.open")
    assert "2026년 9월" in link.get_attribute("aria-label")
    address = seat.base + link.get_attribute("href").lstrip("/")
    state = context.storage_state()
    context.close()
    # With a script: the page is hostile, and stays among itself.
    context = chromium.new_context(storage_state=state)
    page = context.new_page()
    shown = page.goto(address)
    assert shown.headers["content-security-policy"].startswith("sandbox allow-scripts")
    page.wait_for_function("document.getElementById('found').textContent")
    assert page.inner_text("#found") == "no cookie, not reached"
    # The same script in a page of the seat itself does reach it: the control.
    page.goto(f"{seat.base}civic/reports?lang=ko")
    assert page.evaluate("fetch('/civic/buttons').then(a => a.ok)")
    for path in (
        f"{order}/1/ko/secret.exe",
        f"{order}/1/../../../x.html",
        f"{order}/1/%2e%2e/x.html",
        "x/1/ko/a.html",
    ):
        assert context.request.get(f"{seat.base}civic/reports/pages/{path}").status == 404
    context.close()


def test_a_price_that_rose_is_shown_again_before_anything_is_paid(page, seat, reports, look):
    to_price(page, seat)
    reports.price = 2 * PRICE
    page.get_by_role("button", name=said("report.run"), exact=True).click()
    page.locator("[role=alert]").wait_for()
    assert "값이 올랐습니다" in page.locator("[role=alert]").inner_text()
    assert not reports.orders
    page.get_by_role("button", name=said("report.run"), exact=True).click()
    page.locator("#state").wait_for()
    assert [body["pay"] for path, body in reports.seen if path == "POST runs"] == [PRICE, 2 * PRICE]


def test_a_form_that_is_not_filled_in_points_at_what_is_wrong_and_asks_no_price(page, seat, reports, look):
    to_price(page, seat, "&p.gu=nowhere&p.language=ko")
    look(page, "report-wrong")
    links = page.locator("#wrong a")
    assert links.all_inner_texts() == ["자치구", "달"]
    links.nth(1).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "p.months"
    assert "POST runs/price" not in dict(reports.seen)


def test_a_service_that_cannot_be_reached_is_told_and_a_stranger_is_shown_nothing(page, seat, reports, look):
    reports.token = "another"
    refused = page.goto(f"{seat.base}civic/reports?lang=ko")
    assert refused.status == 409 and "로그인이 필요합니다" in page.locator("[role=alert]").inner_text()
    reports.token = TOKEN
    assert page.goto(f"{seat.base}civic/reports?report=no_such&lang=ko").status == 404


def test_the_form_in_a_notebook_leads_to_the_price_of_what_was_chosen_in_it(
    page, seat, city, reports, monkeypatch
):
    reports.reports.append(offered("fine_dust"))
    monkeypatch.setenv("CIVIC_GATEWAY_URL", f"{city.url}/services/data")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)
    monkeypatch.setenv("CIVIC_LANGUAGE", "ko")
    form = civic.report_form(
        "fine_dust", gu="마포구", months=["2026-07", "2026-08", "2026-09"], pollutant="pm10"
    )
    assert "자치구: 마포구" in repr(form) and TOKEN not in form._repr_html_()
    page.goto(f"{seat.base}civic/reports?lang=ko")
    page.evaluate("html => { document.querySelector('main').innerHTML = html }", form._repr_html_())
    page.get_by_label("2026년 6월").check()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name=said("widget.open")).click()
    opened.value.locator("section.price").wait_for()
    priced = dict(reports.seen)["POST runs/price"]["parameters"]
    assert priced == {
        "gu": "마포구", "months": ["2026-06", "2026-07", "2026-08", "2026-09"], "pollutant": "pm10", "language": "ko",
    }  # fmt: skip
    with pytest.raises(civic.CivicError, match="bike_routes"):
        civic.report_form("no_such")
