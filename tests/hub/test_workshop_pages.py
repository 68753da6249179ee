"""A facilitator's day on her pages, in a real browser: cards, who needs her, moves, lost cards, the end."""

import json
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect
from sqlalchemy import insert, update

from hub_config import db
from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.members.people import find_person, find_team, open_people
from hub_config.texts import text
from hub_config.workshop.cards import CardRefused, card_link, open_cards
from hub_config.workshop.workshops import open_workshops
from tests.hub.seat import Seat

pytestmark = [pytest.mark.hub, pytest.mark.browser]


@pytest.fixture(scope="module")
def desk(hub):
    """The command line's view of the running workspace's tables."""
    people, workshops, cards = (open_(hub.settings) for open_ in (open_people, open_workshops, open_cards))
    people.add_person(
        "facilitator-gu",
        display_ko="구청 진행자",
        display_en="Gu",
        roles=["facilitator"],
        teams=["gu-office"],
    )
    # Homes of other tests' workshops: a new one of the same team would take their seats over.
    with workshops._engine.begin() as connection:
        connection.execute(update(db.workshops).values(homes_until=0))
    yield people, workshops, cards
    for one in (people, workshops, cards):
        one.close()


@pytest.fixture
def signed_in(hub, desk, visit):
    """As everywhere, and with a link of one's own, for people whom only these tests have; or with a card."""

    def enter(name, locale="ko-KR", card=None):
        page = visit(locale)
        secret = f"s={card.token}" if card else f"k={desk[0].add_link(name, lifetime_s=600)}"
        page.goto(f"{hub.url}/hub/login?next=%2Fhub%2Fhome#{secret}")
        page.click("#enter")
        page.wait_for_url("**/hub/home")
        return page

    return enter


def card_of(hub, desk, name):
    card = desk[2].again(name) or desk[2].make(name, expires_at=int(time.time()) + 3600)
    return card_link(hub.settings, card)


def token_of(hub, card):
    """What the seat's own server has: a token of the seat."""
    return Session(hub.url, card.code).token([], lifetime_s=60, note="t")


def kernel_of(hub, page, name):
    """The seat's server and a kernel in it, in the browser that is in at the seat."""
    xsrf = next(
        c["value"] for c in page.context.cookies() if c["name"] == "_xsrf" and c["path"].startswith("/hub")
    )
    made = page.request.post(
        f"{hub.url}/hub/api/users/{name}/tokens",
        data={"scopes": [f"access:servers!user={name}"], "expires_in": 600},
        headers={"X-XSRFToken": xsrf, "Referer": f"{hub.url}/hub/home"},
    )
    seat = Seat.__new__(Seat)
    seat.url, seat.owner, seat.token = hub.url, name, made.json()["token"]
    return seat


@contextmanager
def workshop_of(desk, title, seats=3):
    """An open workshop of a team of its own (another of the same team would take its seats over), led by
    facilitator-mo, with a card for each seat; ended at the end."""
    people, workshops, cards = desk
    team = f"t-{uuid.uuid4().hex[:8]}"
    people.add_team(team, team, team)
    with people._engine.begin() as connection:
        ids = {"person_id": find_person(connection, "facilitator-mo"), "team_id": find_team(connection, team)}
        connection.execute(insert(db.memberships).values(**ids))
    made = workshops.make(title=title, team=team, seats=seats, ends_at=int(time.time()) + 3600)
    names = [seat.name for seat in workshops.seats(made.slug)]
    try:
        yield made, {name: cards.make(name, expires_at=made.homes_until) for name in names}
    finally:
        workshops.end(made.slug)


def api(hub, token, path, body=None):
    request = urllib.request.Request(
        f"{hub.url}/hub/api/{path}",
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code, None


def test_a_facilitator_makes_a_workshop_and_prints_its_cards(hub, desk, signed_in, look):
    page = signed_in("facilitator-mo")
    page.get_by_role("link", name=text("ko", "workshops.home")).click()
    look(page, "workshops")
    page.fill("#title", "자전거길 워크숍")
    page.fill("#seats", "12")
    page.select_option("#notebook", "bike_routes.ipynb")
    # She reads Korean; those who come do not.
    expect(page.locator("#spoken")).to_have_value("ko")
    page.select_option("#spoken", "en")
    page.click("#make")
    expect(page.get_by_role("status").first).to_contain_text(text("ko", "lead.done.made"))
    expect(page.locator("#now-summary")).to_have_text(text("ko", "lead.summary", count=12, here=0))
    slug = page.url.split("/workshops/")[1].split("?")[0]
    page.click("#cards")
    expect(page.locator("li.card")).to_have_count(12)
    look(page, "cards")
    expect(page.locator("main p").first).to_have_text(text("ko", "cards.about", count=12))
    expect(page.locator("li.card").first).to_contain_text(text("en", "cards.how"))
    # What is printed lets its bearer in, and is that seat's.
    for at in (0, 11):
        card = page.locator("li.card").nth(at)
        seat = desk[2].seat_for(card.locator(".code").inner_text())
        assert seat == f"seat-{slug}-{at + 1:02d}" and f"{at + 1:02d}" in card.inner_text()
        assert desk[0].account(seat).language == "en"
    assert hub.settings.address in page.locator("li.card").first.inner_text()
    # Printed on A4, ten cards are a page.
    page.emulate_media(media="print")
    height = page.locator("li.card").first.bounding_box()["height"] / 96 * 25.4
    assert 54 < height < 56 and 5 * height < 277
    # Again, the same codes: a second print is no second key.
    codes = page.locator(".code").all_inner_texts()
    page.reload()
    assert page.locator(".code").all_inner_texts() == codes
    assert not page.faults
    desk[1].end(slug)


def test_a_call_for_help_and_a_move_show_without_reload_and_are_one_press_each(hub, desk, signed_in, look):
    _, _, cards = desk
    with workshop_of(desk, "Live") as (workshop, given):
        one, two, three = given
        page = signed_in("facilitator-mo")
        page.goto(f"{hub.url}/hub/workshops/{workshop.slug}")
        expect(page.locator("#now-summary")).to_contain_text("3")
        page.locator(f"#more-{three} summary").click()
        assert cards.enter(one, "laptop") == "in" and cards.enter(one, "another") == "waiting"
        # The seat's own token, as JupyterLab's button uses it, and nothing in the body that names a seat.
        token = Session(hub.url, given[two].code).token([], lifetime_s=60, note="t")
        assert api(hub, token, "civic/help", {"wanted": True, "seat": three})[1]["wanted"] is True
        expect(page.locator("#now-calls")).to_contain_text(text("ko", "lead.help", seat="02"))
        expect(page.locator("#now-calls")).to_contain_text(text("ko", "lead.move", seat="01"))
        expect(page.locator("#said")).to_contain_text(text("ko", "lead.said.help", seat="02"))
        expect(page.locator("#now-summary")).to_have_text(text("ko", "lead.summary", count=3, here=2))
        assert page.locator(f"#more-{three}").get_attribute("open") is not None  # stayed as she left it
        number = cards.moves(workshop.slug)[0].number
        expect(page.locator("#now-calls")).to_contain_text(text("ko", "lead.move_hint", number=number))
        look(page, "workshop-calls")
        page.get_by_role("button", name=text("ko", "lead.admit_of", seat="01")).click()
        expect(page.get_by_role("status").first).to_contain_text(text("ko", "lead.done.admit", seat="01"))
        assert cards.standing(one, "another") == "in" and cards.standing(one, "laptop") is None
        page.get_by_role("button", name=text("ko", "lead.helped_of", seat="02")).click()
        expect(page.locator("#now-calls")).to_be_empty()
        assert api(hub, token, "civic/help")[1] == {"wanted": False, "since": None}
        assert not page.faults


def test_who_is_no_seat_cannot_ask_for_help_and_a_wrong_wish_is_refused(hub, desk):
    expert = Session(hub.url, hub.secrets["expert-han"]).token([], lifetime_s=60, note="t")
    assert api(hub, expert, "civic/help", {"wanted": True})[0] == 404
    with workshop_of(desk, "Wrong wish", seats=1) as (_, given):
        token = Session(hub.url, next(iter(given.values())).code).token([], lifetime_s=60, note="t")
        for wrong in ({"wanted": "yes"}, {}, ["wanted"]):
            assert api(hub, token, "civic/help", wrong)[0] == 400
        assert api(hub, "not-a-token", "civic/help", {"wanted": True})[0] == 403
    assert api(hub, token, "civic/help", {"wanted": True})[0] in (403, 404)  # it is over


def test_a_lost_card_is_replaced_and_the_old_one_opens_nothing(hub, desk, signed_in, look):
    _, _, cards = desk
    with workshop_of(desk, "Lost card", seats=2) as (workshop, given):
        seat, lost = next(iter(given.items()))
        assert cards.enter(seat, "laptop") == "in"
        page = signed_in("facilitator-mo")
        page.goto(f"{hub.url}/hub/workshops/{workshop.slug}")
        page.locator(f"#more-{seat} summary").click()
        page.get_by_role("button", name=text("ko", "lead.card_of", seat="01")).click()
        look(page, "workshop-sure")
        assert cards.seat_for(lost.code) == seat  # not before she said so twice
        page.click("#sure")
        expect(page.locator("li.card")).to_have_count(1)
        assert cards.seat_for(page.locator(".code").inner_text()) == seat
        with pytest.raises(CardRefused):
            cards.seat_for(lost.token)
        assert cards.standing(seat, "laptop") is None
        page.get_by_role("link", name=text("ko", "cards.back")).click()
        expect(page.locator("h1")).to_have_text("Lost card")


@pytest.mark.parametrize("name", ["facilitator-gu", "expert-han", "city-steward"])
def test_a_workshop_is_not_there_for_who_does_not_lead_its_team(hub, desk, name):
    people, workshops, _ = desk
    with workshop_of(desk, "Theirs", seats=1) as (workshop, given):
        session = Session(hub.url, people.add_link(name, lifetime_s=600))
        for path in ("", "/now", "/cards"):
            with pytest.raises(SignInRefused) as refused:
                session.api("GET", f"../workshops/{workshop.slug}{path}")
            assert refused.value.facts == {"status": 404}
        for do in ("end", "card", "fresh"):
            body = f"do={do}&sure=1&seat={next(iter(given))}&_xsrf={session._xsrf()}"
            request = urllib.request.Request(f"{hub.url}/hub/workshops/{workshop.slug}", body.encode())
            with pytest.raises(SignInRefused) as refused:
                session._open(request)
            assert refused.value.facts == {"status": 404}
        assert workshops.find(workshop.slug).ended_at is None


def test_a_press_without_the_pages_own_token_changes_nothing(hub, desk):
    with workshop_of(desk, "Forged", seats=1) as (workshop, _):
        session = Session(hub.url, desk[0].add_link("facilitator-mo", lifetime_s=600))
        request = urllib.request.Request(
            f"{hub.url}/hub/workshops/{workshop.slug}", b"do=end&sure=1", {"Sec-Fetch-Mode": "cors"}
        )
        with pytest.raises(SignInRefused) as refused:
            session._open(request)
        assert refused.value.facts == {"status": 403}
        assert desk[1].find(workshop.slug).ended_at is None


def test_a_form_that_cannot_be_met_says_why_and_keeps_what_was_typed(hub, desk, signed_in):
    page = signed_in("facilitator-mo", "en-GB")
    page.goto(f"{hub.url}/hub/workshops?lang=en")
    page.fill("#title", "Yesterday")
    page.fill("#until", "2020-01-01")
    page.click("#make")
    expect(page.locator("#refusal")).to_have_text(text("en", "workshop.refused.ends_at"))
    assert page.input_value("#title") == "Yesterday"


def test_the_check_runs_from_the_page_and_leaves_the_seats_as_they_were(hub, desk, signed_in, look):
    with workshop_of(desk, "Checked", seats=2) as (workshop, given):
        page = signed_in("facilitator-mo")
        page.goto(f"{hub.url}/hub/workshops/{workshop.slug}")
        page.get_by_role("button", name=text("ko", "prepare.check")).click()
        said = page.locator("#now-prepare")
        expect(said).to_contain_text(text("ko", "check.cards.good", count=2))
        # Here everything is on one machine, and the cards say so.
        expect(said).to_contain_text(
            text("ko", "check.address.bad", address=hub.settings.address), timeout=30_000
        )
        expect(said).to_contain_text(text("ko", "check.notebook.none"), timeout=90_000)
        expect(page.get_by_role("button", name=text("ko", "prepare.check"))).to_be_visible()
        expect(said).to_contain_text(text("ko", "check.seat.good", seconds="").split(":")[0])
        look(page, "workshop-check")
        assert desk[1].entered(workshop.slug) == set()
        assert {desk[2].seat_for(card.code) for card in given.values()} == set(given)
        assert not page.faults


@pytest.mark.slow
def test_a_seats_day_from_the_notebook_to_the_end(hub, desk, signed_in, look):
    """The seat opens with the workshop's notebook, says that she needs help, is begun afresh, and closes at the end."""
    _, workshops, cards = desk
    made = workshops.make(
        title="자리의 하루",
        team="river",
        seats=1,
        ends_at=int(time.time()) + 3600,
        notebook="bike_routes.ipynb",
    )
    name = workshops.seats(made.slug)[-1].name
    card = cards.make(name, expires_at=made.homes_until)
    page = signed_in(name, card=card)
    page.get_by_role("link", name="자리의 하루").click()
    look(page, "workshop")
    page.click("#help")
    expect(page.locator("#help-state")).to_have_text(text("ko", "workshop.help_waits"))
    assert workshops.seat(name).help_since
    page.click("#start")
    page.wait_for_url(f"**/user/{name}/lab/tree/examples/bike_routes.ipynb", timeout=90_000)
    cards.forget_browsers(name)  # another browser comes in without asking
    seat = Seat(hub.url, card.code)
    told = seat.run("import os; print([os.environ.get(n) for n in ('CIVIC_WORKSHOP', 'CIVIC_START_ON')])")
    assert told == str([made.slug, "twin"])
    seat.run("open('mine.txt', 'w').write('x')")
    home = hub.settings.home / "homes" / name
    assert (home / "mine.txt").exists()
    lead = signed_in("facilitator-mo")
    lead.goto(f"{hub.url}/hub/workshops/{made.slug}")
    expect(lead.locator(f"#now-{name}")).to_contain_text(text("ko", "lead.state.working"))
    lead.locator(f"#more-{name} summary").click()
    lead.get_by_role("button", name=text("ko", "lead.fresh_of", seat=name[-2:])).click()
    lead.click("#sure")
    # Her server is ended first, and her home moved.
    expect(lead.get_by_role("status").first).to_contain_text(
        text("ko", "lead.done.fresh", seat=name[-2:]), timeout=30_000
    )
    aside = list(home.parent.glob(f".{name}.*/mine.txt"))
    assert len(aside) == 1 and not home.exists()
    cards.forget_browsers(name)
    again = Seat(hub.url, card.code)
    assert (home / "examples/bike_routes.ipynb").exists() and not (home / "mine.txt").exists()
    lead.click("#end")
    lead.click("#sure")
    expect(lead.get_by_role("status").first).to_contain_text(text("ko", "lead.done.end"))
    until = time.monotonic() + 60
    while _runs(again):
        assert time.monotonic() < until
        time.sleep(0.3)


def _runs(seat):
    try:
        seat.page("api/status")
        return True
    except urllib.error.HTTPError as refused:
        refused.close()
        return False
    except urllib.error.URLError:
        return False
