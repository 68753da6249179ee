"""Signing in as people see it: a telephone that scans, a browser that waits, a password, a script that meddles."""

import time

import pytest
from playwright.sync_api import expect

from hub_config import db
from hub_config.members.people import open_people
from hub_config.signing_in.accounts import Accounts
from hub_config.texts import text
from hub_config.workshop.cards import card_link, open_cards
from tests.hub.conftest import KOREAN
from tests.hub.places import DAY, add_seat, add_workshop

pytestmark = [pytest.mark.hub, pytest.mark.browser]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
PASSWORD = "a boat on the Han at night"


@pytest.fixture(scope="module")
def cards(hub):
    engine = db.open_database(hub.settings)
    add_workshop(engine, "han", time.time(), team="river")
    opened = open_cards(hub.settings)
    yield opened
    opened.close()
    engine.dispose()


@pytest.fixture
def card(hub, cards):
    engine = db.open_database(hub.settings)
    with engine.connect() as connection:
        number = len(connection.execute(db.seats.select()).all()) + 1
    seat = add_seat(engine, "han", number)
    engine.dispose()
    return cards.make(seat, expires_at=int(time.time() + DAY))


def staying(hub, card):
    """The card's link, to a page that starts no server."""
    return card_link(hub.settings, card).replace("/hub/login#", "/hub/login?next=%2Fhub%2Fhome#")


def test_a_telephone_that_scans_a_card_shows_how_to_go_on_at_the_laptop_and_claims_nothing(
    hub, cards, card, visit, look
):
    page = visit(**PHONE)
    page.goto(staying(hub, card))
    for language in ("ko", "en"):
        expect(page.locator("h1")).to_have_text(text(language, "sign_in.phone_title"))
        expect(page.locator("#phone-code")).to_have_text(card.code)
        expect(page.locator("#phone")).to_contain_text(hub.settings.address)
        expect(page.locator("#desk")).to_be_hidden()
        look(page, f"card-on-a-phone-{language}")
        page.click("#language")
    page.reload()  # as opened again in another browser of the telephone
    expect(page.locator("#phone-code")).to_have_text(card.code)
    assert not any(card.token in sent or card.code in sent for sent in page.requests)
    assert cards.enter(card.seat, "her laptop") == "in"  # nobody was in before
    cards.forget_browsers(card.seat)
    page.click("#here")
    assert card.token not in page.url
    page.click("#enter")
    page.wait_for_url("**/hub/home")
    assert not page.faults


def test_a_laptop_that_opens_the_cards_link_needs_one_press(hub, card, visit):
    page = visit()
    page.goto(staying(hub, card))
    expect(page.locator("#linked")).to_be_visible()
    expect(page.locator("#phone")).to_be_hidden()
    expect(page.locator("#others")).to_be_hidden()
    assert card.token not in page.url
    page.keyboard.press("Enter")
    page.wait_for_url("**/hub/home")
    assert not any(f"/hub/login?{card.token}" in sent or f"#s={card.token}" in sent for sent in page.requests)


def test_the_code_of_the_card_is_typed_at_the_short_address(hub, card, visit):
    page = visit()
    page.goto(hub.settings.address)
    page.fill("#code", card.code.lower())
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/hub/spawn" in url or f"/user/{card.seat}/" in url, wait_until="commit")


def test_a_second_browser_waits_shows_a_number_and_comes_in_by_itself(hub, cards, card, visit, look):
    cards.enter(card.seat, "the first")
    page = visit()
    page.goto(staying(hub, card))
    page.click("#enter")
    [asked] = [move for move in cards.moves("han") if move.seat == card.seat]
    for language in ("ko", "en"):
        expect(page.locator("h1")).to_have_text(text(language, "move.title"))
        expect(page.locator("#number")).to_have_text(asked.number)
        look(page, f"waiting-for-the-facilitator-{language}")
        page.click("#language")
    assert cards.admit(card.seat, asked.number)
    page.wait_for_url(lambda url: "/hub/spawn" in url or f"/user/{card.seat}/" in url, wait_until="commit")
    assert not page.faults


def test_bad_wifi_while_waiting_loses_nothing(hub, cards, card, visit):
    cards.enter(card.seat, "the first")
    page = visit()
    page.goto(staying(hub, card))
    page.click("#enter")
    expect(page.locator("#number")).to_be_visible()
    page.context.set_offline(True)
    page.wait_for_event("requestfailed")
    page.context.set_offline(False)
    cards.leave(card.seat, "the first")
    page.wait_for_url(lambda url: "/hub/spawn" in url or f"/user/{card.seat}/" in url, wait_until="commit")


def test_a_name_and_a_password_by_keyboard_and_what_is_wrong_is_said_where_it_was_typed(hub, visit, look):
    people = open_people(hub.settings)
    people.add_person("auditor-seo", display_ko="서 감사인", display_en="Seo", roles=["auditor"])
    people.close()
    engine = db.open_database(hub.settings)
    Accounts(engine).set_password("auditor-seo", PASSWORD)
    engine.dispose()
    page = visit()
    page.goto(f"{hub.url}/hub/login")
    page.locator("#account summary").focus()
    page.keyboard.press("Enter")
    for typed in ("wrong password 1", PASSWORD):
        page.locator("#name").focus()
        page.keyboard.type("auditor-seo")
        page.keyboard.press("Tab")
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        if typed != PASSWORD:
            expect(page.get_by_role("alert")).to_have_text(text("ko", "sign_in.password_refused"))
            expect(page.locator("#name")).to_be_visible()
            look(page, "password-refused")
    expect(page.locator("header")).to_contain_text("서 감사인")
    assert not page.faults


def test_who_rescans_in_a_browser_where_another_is_in_chooses_and_nothing_is_lost(hub, card, visit, look):
    page = visit()
    page.goto(f"{hub.url}/hub/login#k={hub.secrets['expert-han']}")
    page.click("#enter")
    page.wait_for_url("**/hub/home")
    page.goto(staying(hub, card).replace("?next=%2Fhub%2Fhome", ""))
    expect(page.locator("#linked")).to_be_visible()
    expect(page.locator("main")).to_contain_text(text("ko", "sign_in.already", name=KOREAN["expert-han"]))
    look(page, "somebody-else-is-in")
    page.get_by_role("link", name=text("ko", "sign_in.go_on")).click()
    expect(page.locator("header")).to_contain_text(KOREAN["expert-han"])


def test_a_form_planted_in_a_notebook_signs_nobody_in_as_somebody_else(hub, card, visit):
    """Login forgery: a steward who opens a notebook must not find herself in the attacker's seat, nor be made to
    type into a copy of the real page's form."""
    page = visit()
    page.goto(f"{hub.url}/hub/login#k={hub.secrets['city-steward']}")
    page.click("#enter")
    page.wait_for_url("**/hub/home")
    planted = f"{hub.url}/user/expert-han/planted"
    form = f"<form id=f method=post action=/hub/login><input name=code value={card.code}><input name=_xsrf></form>"
    page.route(planted, lambda route: route.fulfill(body=form, content_type="text/html"))
    page.goto(planted)
    fetched = page.evaluate(
        "fetch('/hub/login').then(a => a.text().then(t => [a.status, t.includes('_xsrf')]))"
    )
    assert fetched == [403, False]
    assert (
        page.evaluate("document.cookie.includes('civic') || document.cookie.includes('hub-login')") is False
    )
    seen = page.evaluate(
        """new Promise(done => { const w = window.open('/hub/login'); setTimeout(() => {
             try { done(w.document.getElementById('sign-in') !== null) } catch (e) { done(false) } }, 800) })"""
    )
    assert seen is False
    with page.expect_navigation():
        page.evaluate("document.getElementById('f').submit()")
    assert text("ko", "sign_in.expired_form") in page.content()
    page.goto(f"{hub.url}/hub/home")
    expect(page.locator("header")).to_contain_text(KOREAN["city-steward"])
