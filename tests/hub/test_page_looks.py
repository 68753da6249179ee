"""How the Hub's pages look and sound: both widths, light, dark and strong contrast, the keyboard alone."""

import contextlib
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.texts import text
from tests.pictures import RULES, Look

pytestmark = [pytest.mark.hub, pytest.mark.browser]

NAMES = {"ko": "expert-han", "en": "analyst-lee"}
#: The same look without a picture: the start page's for the documents is of people with names (tests/e2e).
CHECK = Look(keep=False)
LOCALES = {"ko": "ko-KR", "en": "en-GB"}


@pytest.fixture
def enter(hub, visit, signed_in):
    """`enter("ko")` gives a page of a person who reads that language, on the start page; name None: nobody yet."""

    def come(language, name=""):
        locale = LOCALES[language]
        page = visit(locale) if name is None else signed_in(name or NAMES[language], locale)
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        return page

    return come


def close_seat(hub, name):
    """Other tests of this Hub may have opened it."""
    session = Session(hub.url, hub.secrets[name])
    until = time.monotonic() + 60
    while session.api("GET", f"users/{name}")["servers"]:
        assert time.monotonic() < until
        with contextlib.suppress(SignInRefused):  # it is on its way already
            session.api("DELETE", f"users/{name}/server")
        time.sleep(0.3)


def title_and_heading(page):
    return page.title(), page.locator("h1:visible").inner_text()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_that_anybody_sees(hub, enter, look, language):
    page = enter(language, None)
    page.goto(f"{hub.url}/hub/login")
    look(page, f"sign-in-{language}")
    page.goto(f"{hub.url}/hub/no-such-page")
    look(page, f"not-there-{language}")
    page.goto(f"{hub.url}/hub/error/503")
    CHECK(page, f"not-ready-{language}")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_start_page_and_a_seat_that_is_closed(hub, enter, look, language):
    close_seat(hub, NAMES[language])
    page = enter(language)
    CHECK(page, f"start-{language}")
    page.goto(f"{hub.url}/user/{NAMES[language]}/lab")
    expect(page.locator("h1")).to_have_text(text(language, "not_running.title"))
    look(page, f"seat-closed-{language}")
    page.goto(f"{hub.url}/hub/token")
    CHECK(page, f"absent-{language}")
    assert page.faults == [] or all("404" in said or "424" in said for said in page.faults)


def test_colours_hold_in_the_dark_and_in_strong_contrast(enter):
    page = enter("ko")
    grounds = set()
    for scheme in ("light", "dark"):
        for contrast in ("no-preference", "more"):
            page.emulate_media(color_scheme=scheme, contrast=contrast)
            found = Axe().run(page, options=RULES).response["violations"]
            assert not found, [(scheme, contrast, v["id"]) for v in found]
            style = (
                "(() => { const s = getComputedStyle(document.querySelector('.hint')); return s.color })()"
            )
            grounds.add(page.evaluate(style))
    # The control: each of the four is its own look.
    assert len(grounds) == 4


#: What a keyboard should stop at, in the order of the page; a group of radio buttons is one stop.
STOPS = """[...document.querySelectorAll('a[href], button, input, select, summary, iframe, [tabindex="0"]')].filter(
    e => e.checkVisibility() && e.type !== 'hidden' && !(e.type === 'radio' && !e.checked))"""


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("expert-han", "home"),
        ("analyst-lee", "home"),
        (None, "login"),
        ("facilitator-mo", "workshops"),
        ("city-steward", "teams"),
    ],
)
def test_with_the_keyboard_alone_everything_on_a_page_is_reached_and_seen(hub, enter, name, place):
    page = enter("en", name)
    page.goto(f"{hub.url}/hub/{place}")
    page.evaluate("document.body.focus()")
    wanted = page.evaluate(f"({STOPS}).map(e => e.outerHTML.slice(0, 120))")
    reached = []
    for _ in range(4 * len(wanted)):  # a field for a date has a stop for each of its parts
        page.keyboard.press("Tab")
        found = page.evaluate(
            """(() => { const e = document.activeElement, b = e.getBoundingClientRect();
                return [e.outerHTML.slice(0, 120), getComputedStyle(e).outlineStyle,
                        b.left >= 0 && b.top > -1 && b.bottom < innerHeight + 1, b.height] })()"""
        )
        if found[0].startswith("<body"):
            break
        if reached and reached[-1] == found[0]:
            continue
        reached.append(found[0])
        assert found[1] == "solid" and found[2], f"not seen: {found[0]}"
        assert found[3] >= 20, f"smaller than a finger: {found[0]}"
        if len(reached) == len(wanted):
            break
    assert reached == wanted


def test_the_skip_link_leads_past_the_header(enter):
    page = enter("en")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "start"


@pytest.mark.parametrize("place", ["login", "home", "no-such-page", "token", "error/503"])
def test_a_title_says_first_which_page_it_is(hub, enter, place):
    page = enter("en", "" if place in ("home", "token") else None)
    page.goto(f"{hub.url}/hub/{place}")
    title, heading = title_and_heading(page)
    name = text("en", "home.name") if place == "home" else heading
    assert title == f"{name} - {text('en', 'page.name')}"


def test_at_four_times_the_text_size_nothing_is_cut_off(enter):
    # WCAG 1.4.10: 320 pixels wide is a page of 1280 at 400 per cent.
    page = enter("ko")
    page.set_viewport_size({"width": 320, "height": 256})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    cut = page.evaluate(
        """[...document.querySelectorAll('main *')].filter(e => e.checkVisibility()
            && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert cut == []
