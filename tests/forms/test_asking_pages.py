"""Asking as people do who write no code: without a script, with the keyboard, on a phone; in a real Chromium."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from civic_kernel.client import Client
from civic_kernel.texts import text
from data_access.flows.answering import Asker
from tests.forms.conftest import SEAT_TOKEN, TOKEN

pytestmark = pytest.mark.browser

#: Asked of the data by the tests of this module, and by no other.
FIRE = "civic/ask?dataset=accidents&measure=count&by=gu&in.month=2026-08&data=real&precision=rough&lang=ko"


def said(key, **facts):
    return text("ko", "forms", key, **facts)


def asked_so_far(city):
    client = city.client()
    try:
        return len(client.team_answers())
    finally:
        client.close()


def price_of(page):
    page.locator("#price[aria-busy]").wait_for(state="detached")
    return page.locator("section.price dl").inner_text()


def test_without_a_script_one_asks_sees_the_price_pays_once_and_takes_the_table_home(chromium, seat, city):
    context = chromium.new_context(locale="ko-KR", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{seat.base}api/status?token={SEAT_TOKEN}")
    page.goto(f"{seat.base}civic/ask")
    page.get_by_role("link", name="공공자전거 대여이력").click()
    page.get_by_label(said("ask.measure"), exact=True).select_option("persons")
    page.get_by_label(said("ask.by"), exact=True).select_option("sex")
    page.get_by_label("대략").check()
    before = asked_so_far(city)
    page.get_by_role("button", name=said("ask.look")).click()
    assert "남은 예산의" in page.locator("section.price").inner_text()
    assert asked_so_far(city) == before, "looking at a price asks nothing"
    page.get_by_role("button", name=said("ask.ask_paid")).click()
    assert page.locator("tbody tr").count() == 3
    assert page.locator("figure svg[role=img]").count() == 1
    assert asked_so_far(city) == before + 1
    # Reloaded, or found again by its link, it is the stored answer.
    page.reload()
    assert page.locator("tbody tr").count() == 3
    csv = context.request.get(page.get_by_role("link", name=said("answer.csv")).evaluate("a => a.href"))
    assert csv.body().startswith(b"\xef\xbb\xbfsex,people,people_low,people_high,withheld")
    page.get_by_role("link", name=said("answer.change")).click()
    assert page.get_by_label(said("ask.measure"), exact=True).input_value() == "persons"
    page.get_by_role("button", name=said("ask.look")).click()
    assert said("price.stored") in page.locator("section.price").inner_text()
    assert TOKEN not in page.content()
    assert asked_so_far(city) == before + 1
    context.close()


def test_price_and_precision_follow_what_is_chosen_and_the_keyboard_reaches_all_of_it(page, seat, look):
    page.goto(f"{seat.base}civic/ask?dataset=bike_rides&lang=ko")
    first = price_of(page)
    look(page, "ask-form")
    page.get_by_label("자세히").check()
    page.wait_for_function("was => document.querySelector('section.price dl').innerText !== was", arg=first)
    finer = price_of(page)
    share = [words.split("남은 예산의 ")[1].split("%")[0] for words in (first, finer)]
    assert float(share[1]) == pytest.approx(4 * float(share[0]), rel=0.1)
    # From the top, with the keyboard alone: each stop is seen, none is met twice, the last is the button that asks.
    page.reload()
    price_of(page)
    stops = []
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => { const e = document.activeElement, r = e.getBoundingClientRect();
            return { id: e.id || e.name || e.textContent.trim().slice(0, 20), value: e.value || "",
                     seen: r.width > 0 && r.height > 0 && getComputedStyle(e).outlineStyle !== "none" } }"""
        )
        stops.append(stop)
        if stop["id"] == "ask":
            break
    assert stops[-1]["id"] == "ask"
    assert all(stop["seen"] for stop in stops), [stop for stop in stops if not stop["seen"]]
    names = {stop["id"] for stop in stops}
    assert {"measure", "by-1", "by-2", "in.month", "precision", "purpose"} <= names
    assert "출발 구" in " ".join(names), "a folded filter is a stop"
    # A folded filter opens and is ticked by keys, and says what is chosen in it.
    page.locator("summary", has_text="성별").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert "여성" in page.locator("summary", has_text="성별").inner_text()


def test_an_answer_on_a_phone_has_its_ranges_what_is_withheld_and_the_python(page, seat, look):
    page.goto(f"{seat.base}{FIRE}")
    page.get_by_role("button", name=said("ask.ask_paid")).click()
    page.locator("table").wait_for()
    look(page, "ask-answer")
    assert "사이" in page.locator("tbody").inner_text()
    assert said("answer.withheld_row", minimum=3)[:10] in page.locator("main").inner_text()
    assert 'civic.dataset("accidents")' in page.locator(".python").inner_text()
    address = page.url
    page.goto(address.replace("lang=ko", "lang=en"))
    look(page, "ask-answer-en")
    assert not re.search("[가-힣]", page.locator("main").inner_text())
    # Another question's words over these numbers: a link that was put together by hand.
    for other in ("in.month=2026-07", "in.month=2026-08&in.severity=other"):
        wrong = page.goto(address.replace("in.month=2026-08", other))
        assert wrong.status == 400


def test_practice_costs_nothing_and_says_that_it_is_made_up_wherever_it_goes(page, seat, city, look):
    before = asked_so_far(city)
    page.goto(
        f"{seat.base}civic/ask?dataset=bike_rides&measure=mean:minutes&by=rain&by=sex&data=twin&lang=ko"
    )
    assert said("price.made_up") in price_of(page)
    page.get_by_role("button", name=said("ask.ask_free")).click()
    page.locator("table").wait_for()
    assert page.locator(".made-up").inner_text() == said("answer.made_up")
    assert page.locator("figure svg").count() == 3, "one for each sex, and for those of whom none is told"
    csv = page.context.request.get(page.get_by_role("link", name=said("answer.csv")).evaluate("a => a.href"))
    assert csv.text().splitlines()[0].endswith(",made_up") and csv.text().splitlines()[1].endswith(",true")
    assert asked_so_far(city) == before
    # By an address alone nothing is asked that costs.
    assert page.goto(page.url.replace("data=twin", "data=real")).status == 400


def test_a_question_that_cannot_be_asked_is_explained_where_it_was_chosen(page, seat, look):
    page.goto(f"{seat.base}civic/ask?dataset=bike_rides&measure=max:minutes&by=nothing&lang=ko")
    page.locator("#price [role=alert]").wait_for()
    look(page, "ask-refused")
    assert "nothing" in page.locator("#price").inner_text()
    gone = page.goto(f"{seat.base}civic/ask?dataset=no_such&lang=ko")
    assert gone.status == 409
    assert page.get_by_role("link", name=said("refused.back")).is_visible()


def test_a_rooms_question_waits_for_a_member_and_is_answered_once_she_agreed(
    page, seat, city, monkeypatch, look
):
    member, room = city.callers[TOKEN], Asker("room-01", frozenset({"bike"}), is_room=True, asks=True)
    monkeypatch.setitem(city.callers, TOKEN, replace(member, asker=room))
    monkeypatch.setitem(city.callers, "a-members", member)
    page.goto(
        f"{seat.base}civic/ask?dataset=bike_rides&measure=count&by=rain&in.month=2026-05&data=real&lang=ko"
    )
    assert "승인" in price_of(page) or said("price.waits") in price_of(page)
    page.get_by_role("button", name=said("ask.ask_paid")).click()
    again = page.get_by_role("button", name=said("waits.again"))
    again.wait_for()
    look(page, "ask-waits")
    again.click()
    again.wait_for()
    client = Client(f"{city.url}/services/data", "a-members", "bike", "exploration")
    [held] = [one for one in client.approvals() if one.state == "waiting"]
    client.decide(held.approval_id, "approve")
    client.close()
    again.click()
    page.locator("table").wait_for()
    assert page.locator("tbody tr").count() == 4


def test_an_address_without_a_sign_in_shows_nothing(seat):
    for address in (
        "civic/ask",
        "civic/ask/answer?dataset=accidents",
        "civic/reports",
        "civic/reports/run?id=run-1",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.build_opener(_Stays).open(seat.base + address, timeout=20)
        with refused.value as answer:
            assert answer.code in (302, 403)


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
