"""How the Hub's pages look and sound: both widths, light, dark and strong contrast, the keyboard alone."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from hub_config.client import make_link
from hub_config.texts import text
from tests.pictures import RULES

pytestmark = [pytest.mark.hub, pytest.mark.browser]

NAMES = {"ko": "expert-han", "en": "analyst-lee"}
LOCALES = {"ko": "ko-KR", "en": "en-GB"}


@pytest.fixture
def enter(hub, chromium):
    """`enter("ko")` gives a page of a person who reads that language, on the start page; `None`: nobody yet."""
    contexts = []

    def visit(language, *, signed_in=True):
        context = chromium.new_context(locale=LOCALES[language], viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.faults = []
        page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda fault: page.faults.append(str(fault)))
        if signed_in:
            page.goto(make_link(hub.url, hub.secrets[NAMES[language]]))
            page.click("#enter")
            page.wait_for_url("**/hub/home")
        return page

    yield visit
    for context in contexts:
        context.close()


def title_and_heading(page):
    return page.title(), page.locator("h1:visible").inner_text()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_pages_that_anybody_sees(hub, enter, look, language):
    page = enter(language, signed_in=False)
    page.goto(f"{hub.url}/hub/login")
    look(page, f"sign-in-{language}")
    page.goto(f"{hub.url}/hub/no-such-page")
    look(page, f"not-there-{language}")
    page.goto(f"{hub.url}/hub/error/503")
    look(page, f"not-ready-{language}")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_start_page_and_a_seat_that_is_closed(hub, enter, look, language):
    page = enter(language)
    look(page, f"start-{language}")
    page.goto(f"{hub.url}/user/{NAMES[language]}/lab")
    expect(page.locator("h1")).to_have_text(text(language, "not_running.title"))
    look(page, f"seat-closed-{language}")
    page.goto(f"{hub.url}/hub/token")
    look(page, f"absent-{language}")
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


@pytest.mark.parametrize("language", ["ko", "en"])
def test_with_the_keyboard_alone_everything_on_the_start_page_is_reached_and_seen(enter, language):
    page = enter(language)
    wanted = page.evaluate(
        "[...document.querySelectorAll('a, button')].filter(e => e.checkVisibility()).map(e => e.innerText.trim())"
    )
    reached = []
    for _ in wanted:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText.trim()"))
        seen = page.evaluate(
            """(() => { const e = document.activeElement, b = e.getBoundingClientRect();
                return [getComputedStyle(e).outlineStyle, b.left >= 0 && b.top >= 0 && b.bottom <= innerHeight,
                        b.height] })()"""
        )
        assert seen[0] == "solid" and seen[1], reached[-1]
        assert seen[2] >= 24, reached[-1]  # WCAG 2.2, 2.5.8
    assert reached == wanted  # in the order in which they are read
    assert reached[0] == text(language, "page.skip")


def test_the_skip_link_leads_past_the_header(enter):
    page = enter("en")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "start"


@pytest.mark.parametrize("place", ["login", "home", "no-such-page", "token", "error/503"])
def test_a_title_says_first_which_page_it_is(hub, enter, place):
    page = enter("en", signed_in=place in ("home", "token"))
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
