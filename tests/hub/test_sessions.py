"""Signing out from outside: the Hub, the seat, and what is open in it."""

import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
import websocket

from hub_config import db
from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.members.people import open_people
from hub_config.workshop.cards import open_cards
from tests.hub.places import add_seat, add_workshop
from tests.hub.seat import Seat
from tests.hub.visitor import Visitor

pytestmark = pytest.mark.hub


@pytest.fixture(scope="module")
def secret(hub):
    people = open_people(hub.settings)
    people.add_person("expert-ryu", display_ko="류", display_en="Ryu", roles=["expert"], teams=["river"])
    link = people.add_link("expert-ryu", lifetime_s=3600)
    people.close()
    return link


@pytest.fixture(scope="module")
def seat(hub, secret):
    opened = Seat(hub.url, secret)
    opened.run("kept = 7")
    return opened


def open_channel(seat, token):
    """A websocket to her kernel."""
    return websocket.create_connection(
        f"{seat.url.replace('http:', 'ws:')}/user/{seat.owner}/api/kernels/{seat.kernel}/channels",
        header=[f"Authorization: token {token}"],
        timeout=20,
    )


def sign_out_everywhere(session):
    body = urllib.parse.urlencode({"_xsrf": session._xsrf()}).encode()
    return session._open(urllib.request.Request(f"{session.url}/hub/logout", body)).decode()


def test_signed_out_everywhere_her_browsers_and_their_websockets_end_and_her_kernel_goes_on(
    hub, seat, secret
):
    other = Session(hub.url, secret)
    channel = open_channel(seat, seat.token)
    assert seat.get("api/kernels")[0]["id"] == seat.kernel  # the seat now remembers the Hub's word
    sign_out_everywhere(other)
    for session in (other, seat.session):
        with pytest.raises(SignInRefused):
            session.api("GET", "user")
    assert closed(channel)
    assert refused(seat)
    again = Seat(hub.url, secret)
    again.kernel = seat.kernel
    assert again.run("print(kept)") == "7"


def closed(channel):
    """Whether the server ends the connection; what it still says first is read away."""
    try:
        while channel.recv_data(control_frame=False)[0] != websocket.ABNF.OPCODE_CLOSE:
            pass
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        pass
    except websocket.WebSocketTimeoutException:
        return False
    finally:
        channel.shutdown()
    return True


# --------------------------------------------------------------------------- a card's browsers, and the clock


@pytest.fixture(scope="module")
def place(hub):
    """A seat that runs, entered with its card: (card, cards, Seat)."""
    engine = db.open_database(hub.settings)
    add_workshop(engine, "sessions", time.time(), team="river")
    name = add_seat(engine, "sessions", 1)
    engine.dispose()
    cards = open_cards(hub.settings)
    card = cards.make(name, expires_at=int(time.time()) + 3600)
    seat = Seat(hub.url, card.token)
    seat.run("kept = 'hers'")
    yield card, cards, seat
    cards.close()


def press(session, slug, **fields):
    """One press on the facilitator's page."""
    body = urllib.parse.urlencode({"_xsrf": session._xsrf(), **fields}).encode()
    return session._open(urllib.request.Request(f"{session.url}/hub/workshops/{slug}", body)).decode()


def test_the_facilitators_press_moves_a_seat_and_the_first_browser_is_out_at_once(hub, place):
    card, cards, first = place
    channel = open_channel(first, first.token)
    second = Visitor(hub.url)
    second.submit("/hub/login?next=%2Fhub%2Fapi%2Fuser", {"code": card.code})
    [asked] = cards.moves("sessions")
    lead = Session(hub.url, hub.secrets["facilitator-mo"])
    press(lead, "sessions", do="admit", seat=card.seat, number=asked.number)
    assert closed(channel)
    with pytest.raises(SignInRefused):
        first.session.api("GET", "user")
    assert refused(first)
    assert second.submit("/hub/login?next=%2Fhub%2Fapi%2Fuser", {"claim": card.seat}).status == 200
    assert second.name() == card.seat
    # The kernel went on: the seat is entered once more, by whoever is let in next.
    cards.forget_browsers(card.seat)
    again = Seat(hub.url, card.token)
    again.kernel = first.kernel
    assert again.run("print(kept)") == "hers"


def test_a_facilitator_starts_a_seat_anew_and_its_browser_stays_in(hub, place):
    card, cards, _ = place
    cards.forget_browsers(card.seat)
    hers = Seat(hub.url, card.token)
    lead = Session(hub.url, hub.secrets["facilitator-mo"])
    press(lead, "sessions", do="restart", sure="1", seat=card.seat)
    assert hers.session.api("GET", "user")["name"] == card.seat
    assert hers._is_ready() or hers._start() < 60


def test_what_was_revoked_at_the_command_line_ends_by_itself_with_what_is_open(hub, place):
    card, cards, _ = place
    cards.forget_browsers(card.seat)
    seat = Seat(hub.url, card.token)
    seat.run("1")
    channel = open_channel(seat, seat.token)
    assert cards.revoke(card.seat)  # as another process: the Hub is not told
    assert closed(channel)
    assert refused(seat)


def refused(seat):
    try:
        seat.get("api/kernels")
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code in (401, 403)
    return False
