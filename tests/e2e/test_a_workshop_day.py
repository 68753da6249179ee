"""A workshop from the printed card to its end, as the facilitator and a participant live through it: real Chromium,
the real workspace with its vault, nothing stood in for."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import expect

from civic_kernel.texts import text as kernel_text
from hub_config.client import make_link
from hub_config.members.people import open_people
from hub_config.texts import text
from hub_config.workshop.cards import card_link, open_cards
from hub_config.workshop.workshops import open_workshops

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.root]

TITLE = "자전거길, 마포"
NOTEBOOK = "workshop_bike.ipynb"
CODE = re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")
#: JupyterLab is large, and the machine may be busy with thirty of them.
SLOW = 90_000


@pytest.fixture(scope="module")
def browser(chromium):
    """`browser()` gives the page of a new laptop; `browser(phone=True)` of a telephone."""
    contexts = []

    def take(*, phone=False, locale="ko-KR"):
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
        context = chromium.new_context(locale=locale, viewport=size, has_touch=phone, is_mobile=phone)
        contexts.append(context)
        page = context.new_page()
        page.faults, page.foreign = [], []
        page.on("pageerror", lambda fault: page.faults.append(str(fault)))
        page.on("request", lambda request: page.foreign.append(request.url))
        return page

    yield take
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def facilitator(demonstration, browser):
    people = open_people(demonstration.settings)
    people.add_person(
        "saebom",
        display_ko="진행자 새봄",
        display_en="Facilitator Saebom",
        roles=["facilitator"],
        teams=["bike"],
    )
    link = make_link(demonstration.url, people.add_link("saebom", lifetime_s=3600))
    people.close()
    page = browser()
    page.goto(link)
    page.click("#enter")
    page.wait_for_url("**/hub/home")
    return page


@pytest.fixture(scope="module")
def cards(facilitator):
    """She makes a workshop of two seats and prints its cards; [(address, code)]."""
    page = facilitator
    page.get_by_role("link", name=text("ko", "workshops.home")).click()
    page.fill("#title", TITLE)
    page.fill("#seats", "2")
    page.fill("#until", (datetime.now(ZoneInfo("Asia/Seoul")) + timedelta(days=1)).strftime("%Y-%m-%d"))
    page.select_option("#notebook", NOTEBOOK)
    page.click("#make")
    expect(page.locator("h1")).to_have_text(TITLE)
    page.click("#cards")
    found = []
    for card in page.locator("li.card").all():
        words = card.inner_text()
        address = re.search(r"https?://\S+", words).group()
        found.append((address, CODE.search(words).group()))
    page.go_back()
    assert len(found) == 2
    return found


@pytest.fixture(scope="module")
def lead(facilitator, cards):
    """Her page of the workshop, left open all day: nothing below reloads it."""
    expect(facilitator.locator("#now-summary")).to_be_visible()
    return facilitator


@pytest.fixture(scope="module")
def participant(cards, browser):
    """She types the address and the code of card 01 and presses one button."""
    address, code = cards[0]
    page = browser()
    page.goto(address)
    page.fill("#code", code.lower().replace("-", " "))  # as people type
    page.click("#enter")
    page.wait_for_url(f"**/lab/tree/examples/{NOTEBOOK}", timeout=SLOW)
    page.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=SLOW)
    return page


def text_of_lab(key):
    return kernel_text("ko", "lab", key)


def data_button(page, data):
    return page.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name=text_of_lab(f"button.{data}"))


def seat_of(page):
    return re.search(r"/user/([^/]+)/", page.url).group(1)


def started(demonstration, page):
    """When the seat's server started, as the server itself says to its owner's browser."""
    answer = page.context.request.get(f"{demonstration.url}/user/{seat_of(page)}/api/status")
    return answer.json()["started"]


def test_one_press_leads_from_the_printed_card_to_korean_jupyterlab_and_the_workshops_notebook(
    demonstration, participant, look
):
    expect(participant.locator(".lm-MenuBar-itemLabel").first).to_have_text("파일", timeout=SLOW)
    expect(participant.locator(".jp-NotebookPanel")).to_be_visible()
    expect(participant.locator(".lm-TabBar-tabLabel").get_by_text(NOTEBOOK)).to_be_visible()
    expect(data_button(participant, "twin")).to_be_visible(timeout=SLOW)
    look(participant, "seat-in-jupyterlab", ours=False)
    own = (demonstration.url, "data:", "blob:", "about:")
    assert [url for url in participant.foreign if not url.startswith(own)] == []


def test_reload_another_tab_and_bad_wifi_come_back_to_the_same_server(demonstration, participant, look):
    began = started(demonstration, participant)
    participant.reload()
    participant.locator(".jp-NotebookPanel .jp-Cell").first.wait_for(timeout=SLOW)
    assert started(demonstration, participant) == began
    participant.context.set_offline(True)
    with pytest.raises(Exception, match="ERR_INTERNET_DISCONNECTED"):
        participant.goto(demonstration.url)
    participant.context.set_offline(False)
    participant.goto(demonstration.url)  # the short address again
    look(participant, "start-participant")
    participant.get_by_role("link", name=text("ko", "home.open")).click()
    participant.wait_for_url("**/lab**", timeout=SLOW)
    assert started(demonstration, participant) == began
    tab = participant.context.new_page()
    tab.goto(f"{demonstration.url}/hub/workshop")
    tab.click("#start")
    tab.wait_for_url("**/lab**", timeout=SLOW)
    assert started(demonstration, tab) == began
    tab.close()


def test_one_button_switches_from_practice_data_to_the_real_ones(participant):
    participant.goto(f"{participant.url.split('/lab')[0]}/lab/tree/examples/{NOTEBOOK}")
    button = data_button(participant, "twin")
    expect(button).to_be_visible(timeout=SLOW)
    button.click()
    dialog = participant.get_by_role("dialog")
    expect(dialog).to_contain_text(text_of_lab("switch.to_real"))
    dialog.get_by_role("button", name=text_of_lab("switch.switch"), exact=True).click()
    expect(data_button(participant, "real")).to_be_visible(timeout=SLOW)


def test_lost_work_is_back_in_three_clicks(demonstration, participant, look):
    lab = f"{demonstration.url}/user/{seat_of(participant)}/lab/tree/examples/{NOTEBOOK}"
    participant.goto(lab)
    cell = participant.locator(".jp-NotebookPanel .jp-CodeCell .cm-content").first
    unsaved = participant.locator(".lm-TabBar-tab.jp-mod-dirty").filter(has_text=NOTEBOOK)
    cell.wait_for(timeout=SLOW)
    for words in ("an_hour_of_work = 1", "gone = 1"):
        cell.click()
        cell.fill(words)
        expect(unsaved).to_have_count(1, timeout=SLOW)
        participant.keyboard.press("Control+s")
        expect(unsaved).to_have_count(0, timeout=SLOW)
    participant.goto(f"{demonstration.url}/hub/home")
    participant.click("#restore")
    participant.get_by_role("link", name=NOTEBOOK).click()
    look(participant, "restore")
    participant.get_by_role("button", name=re.compile(text_of_lab("restore.put_back"))).first.click()
    expect(participant.locator("main")).to_contain_text(text_of_lab("restore.done"))
    participant.goto(lab)
    expect(cell).to_contain_text("an_hour_of_work", timeout=SLOW)


def test_scanning_on_a_telephone_takes_no_seat_and_shows_what_to_type(
    demonstration, cards, lead, browser, look
):
    address, code = cards[1]
    page = browser(phone=True)
    page.goto(scanned(demonstration, 2))
    expect(page.locator("#phone-code")).to_have_text(code)
    assert address.removeprefix("http://") in page.locator("#phone").inner_text()
    look(page, "phone-scanned", whole=False)
    expect(lead.locator("#now-summary")).to_contain_text("2자리 가운데 1자리")


def scanned(demonstration, number):
    """What the picture on a card says: pictures are for telephones, and no kept library reads them here."""
    workshops, cards = open_workshops(demonstration.settings), open_cards(demonstration.settings)
    try:
        (workshop,) = [one for one in workshops.of_teams(["bike"]) if one.title == TITLE]
        seat = next(seat for seat in workshops.seats(workshop.slug) if seat.number == number)
        return card_link(demonstration.settings, cards.again(seat.name))
    finally:
        workshops.close()
        cards.close()


def test_help_that_is_asked_for_stands_on_the_facilitators_page_without_a_reload(
    demonstration, participant, lead, look
):
    participant.goto(f"{demonstration.url}/hub/workshop")
    look(participant, "workshop-participant")
    participant.click("#help")
    expect(participant.locator("#help-state")).to_have_text(text("ko", "workshop.help_waits"))
    expect(lead.locator("#now-calls")).to_contain_text(text("ko", "lead.help", seat="01"), timeout=10_000)
    look(lead, "workshop-facilitator")
    lead.get_by_role("button", name=text("ko", "lead.helped_of", seat="01")).click()
    expect(lead.locator("#now-calls")).not_to_contain_text(text("ko", "lead.help", seat="01"))


def test_a_second_laptop_waits_until_the_facilitator_presses_once(
    demonstration, cards, participant, lead, browser, look
):
    participant.goto(f"{demonstration.url}/hub/home")
    _, code = cards[0]
    other = browser()
    other.goto(f"{demonstration.url}/hub/login")
    other.fill("#code", code)
    other.click("#enter")
    number = other.locator("#number").inner_text()
    look(other, "second-laptop-waits")
    call = lead.locator(".call").filter(has_text=number)
    expect(call).to_be_visible(timeout=10_000)
    call.get_by_role("button").click()
    other.wait_for_url(f"**/lab/tree/examples/{NOTEBOOK}", timeout=SLOW)
    # The first one is out: of the Hub, and of the seat itself.
    participant.goto(f"{demonstration.url}/hub/home")
    assert "/hub/login" in participant.url
    participant.goto(f"{demonstration.url}/user/{seat_of(other)}/lab")
    assert "/hub/login" in participant.url


def test_the_workshop_ends_and_the_card_says_what_comes_next(demonstration, cards, lead, browser):
    lead.click("#end")
    lead.get_by_role("button", name=text("ko", "lead.sure.end_yes")).click()
    expect(lead.get_by_role("status").first).to_have_text(text("ko", "lead.done.end"))
    page = browser()
    page.goto(f"{demonstration.url}/hub/login")
    page.fill("#code", cards[1][1])
    page.click("#enter")
    expect(page.get_by_role("alert")).to_have_text(text("ko", "sign_in.card_ended"))
    assert httpx.get(f"{demonstration.url}/hub/health").status_code == 200
    assert lead.faults == []
