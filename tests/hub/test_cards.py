"""Cards against a real database, with a clock of our own."""

import base64
import json

import pytest
from sqlalchemy import insert

from hub_config import db, home
from hub_config.errors import PersonRefused
from hub_config.workshop.cards import WAITING_S, CardRefused, Cards, card_link, number_of, open_cards
from tests.hub.places import DAY, add_seat, add_workshop, end, move_all


@pytest.fixture
def cards(engine, settings, clock):
    opened = Cards(engine, home.read_card_key(settings), clock)
    with engine.begin() as connection:
        for team in ("bike", "river"):
            connection.execute(insert(db.teams).values(slug=team, title_ko=team, title_en=team))
    add_workshop(engine, "mapo", clock.now)
    add_seat(engine, "mapo", 1)
    add_seat(engine, "mapo", 2)
    yield opened
    opened.close()


def make(cards, clock, seat="seat-mapo-01", days=30):
    return cards.make(seat, expires_at=int(clock.now) + days * DAY)


def sign(cards, fields):
    """A token with any content, signed with the workspace's key."""
    return cards._signer.sign(base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=")).decode()


def reason(cards, typed):
    with pytest.raises(CardRefused) as refused:
        cards.seat_for(typed)
    return refused.value.reason


def test_token_and_code_lead_to_the_seat_as_often_as_one_likes(cards, clock, settings):
    card = make(cards, clock)
    assert len(card.code) == 14 and card.code.count("-") == 2
    for typed in (card.token, card.code, card.token):
        assert cards.seat_for(typed) == "seat-mapo-01"
    assert card_link(settings, card) == f"{settings.address}/hub/login#s={card.token}"


def test_a_code_is_read_as_people_copy_it(cards, clock):
    card = make(cards, clock)
    bare = card.code.replace("-", "")
    full_width = "".join(chr(ord(letter) + 0xFEE0) for letter in bare)
    mistaken = bare.replace("0", "O").replace("1", "l")
    for typed in (bare, bare.lower(), f"  {card.code[:7]} {card.code[7:]}\n", full_width, mistaken):
        assert cards.seat_for(typed) == "seat-mapo-01"


def test_the_same_card_can_be_printed_again(cards, clock):
    card = make(cards, clock)
    assert cards.again("seat-mapo-01") == card
    assert cards.again("seat-mapo-02") is None


def test_an_expired_a_revoked_and_an_ended_card_say_so_to_their_holder(cards, clock, engine):
    short, lost = make(cards, clock, days=0.5), make(cards, clock, "seat-mapo-02")
    assert cards.revoke("seat-mapo-02") == 1
    clock.now += DAY * 0.75
    late = make(cards, clock)
    for field in ("token", "code"):
        assert reason(cards, getattr(short, field)) == "expired"
        assert reason(cards, getattr(lost, field)) == "revoked"
        assert cards.seat_for(getattr(late, field)) == "seat-mapo-01"
    end(engine, "mapo", clock.now)
    assert reason(cards, late.code) == reason(cards, late.token) == "ended"


def test_a_workshop_that_is_over_by_the_clock_is_ended_too(cards, clock):
    card = make(cards, clock)
    assert cards.can_stay("seat-mapo-01")
    clock.now += DAY
    assert reason(cards, card.token) == "ended"
    assert not cards.can_stay("seat-mapo-01")


def test_an_altered_token_opens_nothing(cards, clock):
    card = make(cards, clock)
    payload, signature = card.token.rsplit(".", 1)
    fields = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert fields[1] == "seat-mapo-01"  # the positive control: this is where the seat stands
    fields[1] = "seat-mapo-02"
    forged = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
    for typed in (f"{forged}.{signature}", card.token[:-1], f"{payload}.", f"{payload}.{signature[::-1]}"):
        assert reason(cards, typed) == "unknown"


def test_a_card_of_another_workspace_opens_nothing(cards, clock, engine):
    elsewhere = Cards(engine, b"another key of another workspace", clock)
    card = make(elsewhere, clock)
    assert elsewhere.seat_for(card.token) == "seat-mapo-01"
    assert reason(cards, card.token) == reason(cards, card.code) == "unknown"


@pytest.mark.parametrize("fields", [None, [], ["mapo"], ["mapo", "seat-mapo-02", "bike", 1, ""], {"a": 1}, 7])
def test_what_we_signed_but_never_as_such_a_card_opens_nothing(cards, clock, fields):
    make(cards, clock)
    assert reason(cards, sign(cards, fields)) == "unknown"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "x",
        "0" * 12,
        "가나다라마바사아자차카타",
        "a" * 100_000,
        "\x00",
        "' OR 1=1 --",
        "../vault",
        "." * 50,
    ],
)
def test_anything_else_opens_nothing(cards, clock, typed):
    make(cards, clock)
    assert reason(cards, typed) == "unknown"


def test_a_card_opens_the_seat_again_at_the_teams_next_workshop_and_at_no_other_teams(cards, clock, engine):
    card = make(cards, clock)
    end(engine, "mapo", clock.now)
    clock.now += 2 * DAY
    add_workshop(engine, "mapo-2", clock.now)
    move_all(engine, "mapo-2")
    assert cards.seat_for(card.token) == cards.seat_for(card.code) == "seat-mapo-01"
    add_workshop(engine, "han", clock.now, team="river")
    move_all(engine, "han")
    assert reason(cards, card.token) == "unknown"


def test_the_database_file_holds_neither_code_nor_token_nor_browser(cards, clock, settings, engine):
    card = make(cards, clock)
    cards.enter("seat-mapo-01", "the browser's word")
    engine.dispose()
    stored = (settings.home / "hub" / "workspace.sqlite").read_bytes()
    assert b"seat-mapo-01" in stored
    for secret in (card.code, card.code.replace("-", ""), card.token, "the browser's word"):
        assert secret.encode() not in stored


def test_a_secret_is_in_no_repr(cards, clock):
    card = make(cards, clock)
    assert card.code not in repr(card) and card.token not in repr(card)


def test_no_card_is_made_for_whoever_is_no_seat(cards, clock):
    with pytest.raises(PersonRefused):
        make(cards, clock, "../vault")


def test_the_second_browser_waits_and_the_first_is_out_once_it_is_let_in(cards, clock):
    seat = "seat-mapo-01"
    assert cards.enter(seat, "first") == cards.enter(seat, "first") == "in"
    assert cards.enter(seat, "second") == "waiting"
    assert cards.enter("seat-mapo-02", "second") == "in"
    [asked] = cards.moves("mapo")
    assert (asked.seat, asked.since, asked.number) == (seat, int(clock.now), number_of("second"))
    assert cards.admit(seat)
    assert cards.standing(seat, "second") == "in"
    assert cards.standing(seat, "first") is None
    assert cards.moves("mapo") == []
    assert cards.enter(seat, "first") == "waiting"


def test_of_several_who_wait_the_number_chooses_and_without_one_nobody_is_let_in(cards):
    seat = "seat-mapo-01"
    for browser in ("first", "second", "third"):
        cards.enter(seat, browser)
    assert not cards.admit(seat)
    assert cards.standing(seat, "first") == "in"
    assert not cards.admit(seat, "none")
    assert cards.admit(seat, number_of("third"))
    assert cards.standing(seat, "third") == "in"
    assert cards.standing(seat, "second") == "waiting"


def test_nobody_is_let_in_where_nobody_waits(cards):
    cards.enter("seat-mapo-01", "first")
    assert not cards.admit("seat-mapo-01")
    assert cards.standing("seat-mapo-01", "first") == "in"


def test_a_browser_that_asks_no_more_is_shown_no_more(cards, clock):
    cards.enter("seat-mapo-01", "first")
    cards.enter("seat-mapo-01", "second")
    clock.now += WAITING_S
    assert cards.moves("mapo") == []
    assert not cards.admit("seat-mapo-01")
    assert cards.enter("seat-mapo-01", "second") == "waiting"  # its page was open after all
    assert len(cards.moves("mapo")) == 1


def test_a_browser_that_was_let_in_comes_in_once_without_the_card(cards, clock):
    seat = "seat-mapo-01"
    make(cards, clock)
    cards.enter(seat, "first")
    cards.enter(seat, "second")
    assert not cards.claim(seat, "second")
    cards.admit(seat)
    assert not cards.claim(seat, "first")
    assert cards.claim(seat, "second")
    assert not cards.claim(seat, "second")
    assert cards.enter(seat, "second") == "in"


def test_who_was_let_in_does_not_come_in_with_a_card_that_was_revoked_meanwhile(cards, clock):
    seat = "seat-mapo-01"
    make(cards, clock)
    cards.enter(seat, "first")
    cards.enter(seat, "second")
    cards.admit(seat)
    cards.revoke(seat)
    assert not cards.claim(seat, "second")


def test_after_a_sign_out_or_a_reset_the_next_browser_need_not_wait(cards):
    seat = "seat-mapo-01"
    cards.enter(seat, "first")
    cards.leave(seat, "first")
    assert cards.enter(seat, "second") == "in"
    cards.forget_browsers(seat)
    assert cards.enter(seat, "third") == "in"


def test_the_key_is_kept_by_its_owner_alone_and_made_once(settings):
    home.prepare(settings)
    key = home.read_card_key(settings)
    home.prepare(settings)
    assert len(key) == 32 and home.read_card_key(settings) == key
    assert (settings.home / "hub" / "cards.key").stat().st_mode & 0o777 == 0o600


def test_two_readers_of_one_workspace_agree_on_a_card(cards, clock, settings):
    card = make(cards, clock)
    other = open_cards(settings, clock)
    assert other.seat_for(card.code) == "seat-mapo-01"
    other.close()
