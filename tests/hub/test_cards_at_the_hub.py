"""Cards at a real Hub: who is let in, who waits, and what is said to whoever is not."""

import html
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from hub_config import db
from hub_config.errors import PersonRefused
from hub_config.home import read_card_key
from hub_config.members.people import People, find_person, hash_secret
from hub_config.texts import text
from hub_config.workshop.cards import Cards, number_of
from tests.hub.places import DAY, add_seat, add_workshop, end
from tests.hub.visitor import Visitor

pytestmark = pytest.mark.hub

#: A page that starts no server.
STAY = "/hub/login?next=%2Fhub%2Fapi%2Fuser"


@pytest.fixture(scope="module")
def engine(hub):
    opened = db.open_database(hub.settings)
    add_workshop(opened, "mapo", time.time(), team="river")
    add_workshop(opened, "past", time.time(), team="river")
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def cards(hub, engine):
    return Cards(engine, read_card_key(hub.settings))


@pytest.fixture(scope="module")
def numbers():
    return iter(range(1, 100))


@pytest.fixture
def seat(engine, numbers):
    return add_seat(engine, "mapo", next(numbers))


@pytest.fixture
def card(cards, seat):
    return make(cards, seat)


def make(cards, seat, days=1.0):
    return cards.make(seat, expires_at=int(time.time() + days * DAY))


def comes_in(visitor, typed):
    return visitor.submit(STAY, {"code": typed})


def browsers_of(engine, seat):
    with engine.connect() as connection:
        return connection.execute(
            select(func.count())
            .select_from(db.browsers.join(db.seats).join(db.persons))
            .where(db.persons.c.name == seat)
        ).scalar_one()


def test_a_card_opens_its_seat_by_token_and_by_code_with_the_teams_groups(hub, card, seat):
    visitor = Visitor(hub.url)
    assert comes_in(visitor, card.token).status == 200
    assert visitor.name() == seat
    assert '"team-river"' in visitor.get("/hub/api/user").text
    assert (
        comes_in(visitor, card.code.lower().replace("-", " ")).status == 200
    )  # and again: a reload, another tab


def test_a_hall_behind_one_address_signs_in_at_once_though_everybody_mistypes_first(
    hub, engine, cards, numbers
):
    """Sixty-four tries are more than an address may fail: who succeeded is not counted."""
    hall = [make(cards, add_seat(engine, "mapo", next(numbers))) for _ in range(32)]

    def one(card):
        visitor = Visitor(hub.url, address="127.9.9.9")
        return comes_in(visitor, f"0{card.code[1:]}x").status, comes_in(visitor, card.code).status

    with ThreadPoolExecutor(8) as together:
        assert set(together.map(one, hall)) == {(403, 200)}


def test_a_link_of_a_seat_opens_nothing(hub, engine, seat):
    """Made by hand in the table: no verb makes one."""
    people = People(engine, hub.settings)
    with pytest.raises(PersonRefused):
        people.add_link(seat, lifetime_s=60)
    with engine.begin() as connection:
        connection.execute(
            db.links.insert().values(
                person_id=find_person(connection, seat),
                secret_sha256=hash_secret("c" * 26),
                created_at=0,
                expires_at=2**40,
            )
        )
    visitor = Visitor(hub.url)
    assert comes_in(visitor, "c" * 26).status == 403 and visitor.name() is None


def test_looking_at_the_page_claims_nothing(hub, engine, card, seat):
    """As a messenger's preview, a mail scanner and a telephone's camera do."""
    for _ in range(3):
        page = Visitor(hub.url).get("/hub/login", **{"User-Agent": "preview"})
        assert page.status == 200 and card.code not in page.text
    assert browsers_of(engine, seat) == 0


def test_the_second_of_two_people_on_one_card_waits_and_is_let_in_by_the_facilitators_word(
    hub, cards, card, seat
):
    first, second = Visitor(hub.url), Visitor(hub.url)
    comes_in(first, card.token)
    waiting = comes_in(second, card.code)
    assert waiting.status == 200 and f"/hub/move?seat={seat}" in waiting.url
    assert text("ko", "move.title") in waiting.text
    [asked] = [move for move in cards.moves("mapo") if move.seat == seat]
    assert f">{asked.number}<" in waiting.text
    assert first.name() == seat and second.name() is None
    token = waiting.text.split('name="_xsrf" value="')[1].split('"')[0]
    assert second.submit("/hub/login", {"claim": seat}, token).status == 403
    assert cards.admit(seat, asked.number)
    assert second.get(f"/hub/move?state&seat={seat}").text == "in"
    assert second.submit(STAY, {"claim": seat}, token).status == 200
    assert second.name() == seat


def test_a_browser_that_showed_no_card_learns_and_claims_nothing(hub, cards, card, seat):
    comes_in(Visitor(hub.url), card.token)
    stranger = Visitor(hub.url)
    assert stranger.get(f"/hub/move?seat={seat}").url.endswith("/hub/login")
    assert stranger.get(f"/hub/move?state&seat={seat}").text == "out"
    assert stranger.sign_in(claim=seat).status == 403
    assert cards.moves("mapo") == [] or all(move.seat != seat for move in cards.moves("mapo"))


def test_who_waits_comes_in_by_herself_once_the_first_has_signed_out(hub, card, seat):
    first, second = Visitor(hub.url), Visitor(hub.url)
    comes_in(first, card.token)
    comes_in(second, card.token)
    assert second.get(f"/hub/move?state&seat={seat}").text == "waiting"
    first.get("/hub/logout")
    assert second.get(f"/hub/move?state&seat={seat}").text == "in"


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("kind", ["unknown", "expired", "revoked", "ended"])
def test_a_card_that_opens_nothing_says_why_in_the_readers_language(
    hub, engine, cards, seat, numbers, kind, language
):
    place = add_seat(engine, "past", next(numbers)) if kind == "ended" else seat
    card = make(cards, place, days=-1 if kind == "expired" else 1)
    if kind == "revoked":
        cards.revoke(place)
    if kind == "ended":
        end(engine, "past", time.time())
    typed = [card.token, card.code] if kind != "unknown" else [card.token[:-2], "0000-0000-0000", "x" * 5_000]
    for code in typed:
        answer = comes_in(Visitor(hub.url, language), code)
        assert answer.status == 403
        assert text(language, f"sign_in.card_{kind}") in html.unescape(answer.text)
        assert code not in answer.text


def test_a_code_typed_with_the_korean_keyboard_gets_the_hint_that_helps(hub):
    assert text("ko", "sign_in.hangul") in comes_in(Visitor(hub.url), "ㅁㅠㅊㅇ-1234-ㅁㅁㅁㅁ").text


def test_a_session_ends_with_its_card_and_when_its_browser_is_no_longer_the_one(hub, cards, card, seat):
    visitor = Visitor(hub.url)
    comes_in(visitor, card.token)
    cards.forget_browsers(seat)
    cards.enter(seat, "another browser")
    assert refused_at_its_next_look(visitor, seat)
    cards.forget_browsers(seat)
    comes_in(visitor, card.token)
    assert visitor.name() == seat
    cards.revoke(seat)
    assert refused_at_its_next_look(visitor, seat)


def refused_at_its_next_look(visitor, seat):
    """The Hub looks anew once a minute, and before it starts a server."""
    return visitor.call("POST", f"users/{seat}/server").status == 403


def test_the_next_person_at_a_shared_laptop_does_not_find_the_seat_before_hers_open(
    hub, engine, cards, numbers
):
    laptop = Visitor(hub.url)
    one, two = (make(cards, add_seat(engine, "mapo", next(numbers))) for _ in range(2))
    comes_in(laptop, one.token)
    assert text("ko", "sign_in.already", name=f"자리 {int(one.seat[-2:])}") in laptop.get("/hub/login").text
    comes_in(laptop, two.token)
    assert laptop.name() == two.seat


def test_no_log_and_no_page_holds_a_cards_secret_or_a_browsers_word(hub, card, seat):
    visitor = Visitor(hub.url)
    seen = [
        comes_in(visitor, card.token),
        comes_in(Visitor(hub.url), card.code),
        comes_in(visitor, card.code[:-1]),
    ]
    words = [c.value for c in visitor.cookies() if c.name == "civic_browser"]
    log = hub.log()
    assert seat in log and words
    for secret in (card.token, card.code, card.code.replace("-", ""), card.code[:-1], *words):
        assert secret not in log
        assert not any(secret in answer.text or secret in answer.url for answer in seen)


def test_the_browsers_word_goes_to_the_hub_alone(hub, card):
    visitor = Visitor(hub.url)
    comes_in(visitor, card.token)
    [word] = [cookie for cookie in visitor.cookies() if cookie.name == "civic_browser"]
    assert word.path == "/hub/" and word.has_nonstandard_attr("HttpOnly")
    assert number_of("x") != number_of("y") and len(number_of("x")) == 2


def test_a_picture_in_a_notebook_signs_nobody_out(hub, card, seat):
    visitor = Visitor(hub.url)
    comes_in(visitor, card.token)
    as_picture = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"}
    assert visitor.get("/hub/logout", **as_picture).status == 403
    assert visitor.name() == seat
    visitor.get("/hub/logout")
    assert visitor.name() is None


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "http://127.0.0.1@evil.example/",
        "/hub/../..//evil.example",
        "%2F%2Fevil.example",
    ],
)
def test_no_sign_in_leads_off_the_workspace(hub, elsewhere):
    visitor = Visitor(hub.url, follow=False)
    path = f"/hub/login?next={urllib.parse.quote(elsewhere)}"
    answer = visitor.submit(path, {"code": hub.secrets["analyst-lee"]})
    assert answer.status == 302
    there = urllib.parse.urljoin(f"{hub.url}{path}", answer.location)
    assert urllib.parse.urlsplit(there).netloc == urllib.parse.urlsplit(hub.url).netloc
    assert answer.location.startswith("/") and not answer.location.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/hub/login", {"code": "x"}),
        ("/hub/login", {"claim": "seat-mapo-01"}),
        ("/hub/login", {"name": "expert-han", "password": "x"}),
        ("/hub/logout", {}),
    ],
)
@pytest.mark.parametrize("token", ["", "forged", "other"])
def test_a_form_that_we_did_not_write_for_this_browser_is_refused(hub, path, fields, token):
    visitor = Visitor(hub.url)
    comes_in(visitor, hub.secrets["expert-han"])
    page = Visitor(hub.url).get("/hub/login").text
    sent = page.split('name="_xsrf" value="')[1].split('"')[0] if token == "other" else token
    answer = visitor.submit(path, fields, sent)
    assert answer.status == 403
    assert visitor.name() == "expert-han"
