"""What a workshop's seat has in JupyterLab: a hand to raise, and practice data to begin with."""

import json
import time
import urllib.error

import pytest

from civic_kernel.texts import text
from hub_config.members.people import open_people
from hub_config.workshop.cards import card_link, open_cards
from hub_config.workshop.workshops import open_workshops
from tests.hub.seat import Seat

pytestmark = [pytest.mark.hub, pytest.mark.slow]


@pytest.fixture(scope="module")
def workshops(hub):
    made = open_workshops(hub.settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def place(hub, workshops):
    """(a running seat of an open workshop of a team of its own, its card)"""
    people = open_people(hub.settings)
    people.add_team("hands", "손 모임", "Hands")
    workshop = workshops.make(
        title="Hands", team="hands", seats=1, ends_at=int(time.time()) + 3600, notebook="bike_routes.ipynb"
    )
    name = workshops.seats(workshop.slug)[0].name
    people.close()
    cards = open_cards(hub.settings)
    card = cards.make(name, expires_at=workshop.homes_until)
    seat = Seat(hub.url, card.code)
    cards.forget_browsers(name)  # the next one comes in without asking
    cards.close()
    yield seat, card
    workshops.end(workshop.slug)


def test_a_seat_starts_on_practice_data_and_its_choice_is_kept_by_its_server_only(place):
    seat, _ = place
    code = "import civic_kernel as civic; print(civic.use().data)"
    assert seat.run(code) == "twin"
    seat._open("POST", "civic/data", {"data": "real"})
    assert seat.run("import civic_kernel.practice as p; p._chosen = None; print(p.in_use())") == "real"
    seat._open("POST", "civic/data", {"data": "twin"})
    for wrong in ({"data": "/etc/passwd"}, {}, [1], {"data": True}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            seat._open("POST", "civic/data", wrong)
        with refused.value as answer:
            assert answer.code == 400


@pytest.mark.browser
def test_a_hand_raised_in_jupyterlab_is_up_for_the_facilitator_and_can_be_lowered(
    hub, workshops, place, chromium, look
):
    seat, card = place
    page = chromium.new_context(locale="ko-KR", viewport={"width": 1280, "height": 900}).new_page()
    page.goto(card_link(hub.settings, card))
    page.click("#enter")
    # The card leads straight to the workshop's notebook.
    page.wait_for_url("**/lab/tree/examples/bike_routes.ipynb", timeout=60_000)
    button = page.get_by_role("button", name="도움 요청")
    button.wait_for(timeout=60_000)
    button.click()
    up = page.get_by_role("button", name="손들었음")
    up.wait_for()
    assert workshops.seat(seat.owner).help_since is not None
    look(page, "seat-hand-up", ours=False)
    up.click()
    button.wait_for()
    assert workshops.seat(seat.owner).help_since is None
    page.get_by_role("link", name=text("ko", "lab", "button.home")).click()
    page.wait_for_url("**/hub/home")
    page.context.close()


def test_a_seat_keeps_what_was_open_and_how_it_was_set_in_its_own_home(place):
    seat, _ = place
    open_now = {"data": {}, "metadata": {"id": "default"}}
    seat._open("PUT", "lab/api/workspaces/default", open_now)
    assert seat.get("lab/api/workspaces/default")["metadata"]["id"] == "default"
    name = "lab/api/settings/@jupyterlab/apputils-extension:themes"
    seat._open("PUT", name, {"raw": '{"theme": "JupyterLab Dark"}'})
    assert "Dark" in seat.get(name)["raw"]


def test_who_is_in_no_workshop_has_no_hand_to_raise(hub):
    seat = Seat(hub.url, hub.secrets["analyst-lee"])
    assert json.loads(seat.page("civic/buttons"))["workshop"] is False
    with pytest.raises(urllib.error.HTTPError) as refused:
        seat._open("POST", "civic/help", {"wanted": True})
    with refused.value as answer:
        assert answer.code == 502
