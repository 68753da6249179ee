"""The workspace's own pages in a real browser: the link, the languages, the look."""

from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from hub_config.client import make_link
from hub_config.pages.common import make_stylesheet
from hub_config.texts import text
from tests.hub.command import template_of
from tests.hub.conftest import KOREAN

#: Once she is signed in, a person's own setting decides, not her browser's.
OF_LANGUAGE = {"ko": "expert-han", "en": "analyst-lee"}

pytestmark = [pytest.mark.hub, pytest.mark.browser]


def assert_accessible(page):
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], v["nodes"][0]["html"]) for v in found]


@contextmanager
def held(process):
    """It does nothing meanwhile: a seat that is ready at once never shows the page that waits."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def assert_fits(page):
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(("locale", "language"), [("ko-KR", "ko"), ("en-GB", "en")])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_link_and_one_press_lead_to_ones_own_page(hub, visit, locale, language, width):
    page = visit(locale, width)
    secret = hub.secrets[OF_LANGUAGE[language]]
    page.goto(make_link(hub.url, secret))
    assert page.get_attribute("html", "lang") == language
    expect(page.locator("#linked")).to_be_visible()
    expect(page.locator("#code")).to_be_hidden()
    assert secret not in page.url
    assert not any(secret in url for url in page.requests)
    assert_accessible(page)
    assert_fits(page)
    page.click("#enter")
    shown = {"ko": KOREAN["expert-han"], "en": "Analyst-Lee"}[language]
    expect(page.locator("h1")).to_have_text(text(language, "home.title", name=shown))
    assert page.get_attribute("html", "lang") == language
    expect(page.locator("main")).to_contain_text(text(language, "home.rooms"))
    assert_accessible(page)
    assert_fits(page)
    assert all(url.startswith((hub.url, "data:")) for url in page.requests)
    assert not page.faults


def test_a_fetched_link_alone_signs_nobody_in(hub, visit):
    page = visit("ko-KR")
    page.goto(make_link(hub.url, hub.secrets["expert-han"]))
    page.goto(f"{hub.url}/hub/home")
    assert "/hub/login" in page.url


def test_without_script_the_code_is_typed(hub, chromium):
    context = chromium.new_context(locale="en-GB", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{hub.url}/hub/login")
    page.fill("#code", hub.secrets["cso-steward"].upper())
    page.click("#enter")
    expect(page.locator("h1")).to_contain_text("Cso-Steward")
    context.close()


def test_a_refused_link_shows_one_sentence_and_the_way_on(hub, visit):
    page = visit("ko-KR", 360)
    page.goto(make_link(hub.url, "a" * 26))
    page.click("#enter")
    expect(page.get_by_role("alert")).to_have_text(text("ko", "sign_in.refused"))
    expect(page.locator("#code")).to_be_visible()
    assert_accessible(page)


def test_the_other_language_is_one_press_away_and_stays(hub, visit):
    page = visit("ko-KR")
    page.goto(make_link(hub.url, hub.secrets["outsider-yun"]))
    page.click("#language")
    assert page.get_attribute("html", "lang") == "en"
    expect(page.locator("#linked")).to_be_visible()  # choosing a language does not lose the link
    page.click("#enter")
    assert page.get_attribute("html", "lang") == "en"
    expect(page.locator("h1")).to_contain_text("Outsider-Yun")
    expect(page.locator("main")).not_to_contain_text("Team room")


@pytest.mark.parametrize(("locale", "language"), [("ko-KR", "ko"), ("en-GB", "en")])
def test_a_page_that_is_not_there_says_so_in_plain_words(hub, visit, locale, language):
    page = visit(locale)
    page.goto(f"{hub.url}/hub/no-such-page")
    expect(page.locator("h1")).to_have_text(text(language, "error_page.404"))
    assert page.get_attribute("html", "lang") == language
    assert_accessible(page)
    page.goto(make_link(hub.url, hub.secrets[OF_LANGUAGE[language]]))
    page.click("#enter")
    for closed in ("token", "admin", "accept-share?code=1"):
        assert page.goto(f"{hub.url}/hub/{closed}").status == 404
        expect(page.locator("h1")).to_have_text(text(language, "absent.title"))
    assert_accessible(page)


@pytest.mark.slow
def test_a_korean_opens_a_seat_and_sees_korean_then_closes_it(hub, visit):
    page = visit("ko-KR")
    page.goto(make_link(hub.url, hub.secrets["outsider-yun"]))
    page.click("#enter")
    page.route("**/server/progress*", lambda route: route.fulfill(status=403), times=1)
    with held(template_of(hub.settings)), page.expect_response("**/server/progress*") as answer:
        page.click("#start")
    assert answer.value.status == 403
    page.wait_for_url("**/user/outsider-yun/lab**", timeout=120_000)  # the page that waits asked again
    expect(page.locator(".lm-MenuBar-itemLabel").first).to_have_text("파일", timeout=90_000)
    page.goto(f"{hub.url}/hub/home")
    # The newest: of the examples, which were all made together, it may be any.
    name = page.get_by_role("link", name="examples/").first.inner_text()
    example = page.get_by_role("link", name=name, exact=True)
    place = f"/user/outsider-yun/lab/tree/{name}.ipynb"
    assert example.get_attribute("href") == place
    page.click("#stop")
    expect(page.locator("#stop")).to_have_count(0, timeout=60_000)
    # From a closed seat the same press opens it first.
    assert "/hub/spawn/outsider-yun?next=" in example.get_attribute("href")
    expect(page.locator("#start")).to_be_visible(timeout=30_000)
    example.click()
    page.wait_for_url(f"**{place}", timeout=120_000)


@pytest.mark.slow
def test_the_teams_room_is_entered_from_home(hub, visit):
    page = visit("en-GB")
    page.goto(make_link(hub.url, hub.secrets["analyst-lee"]))
    page.click("#enter")
    page.get_by_role("link", name="River group").click()
    page.wait_for_url(lambda url: "oauth2/authorize" in url or "/user/room-01/lab" in url, timeout=120_000)
    if "oauth2/authorize" in page.url:
        expect(page.locator("h1")).to_have_text(text("en", "enter.title"))
        assert_accessible(page)
        page.click("#enter")
    page.wait_for_url("**/user/room-01/lab**", timeout=60_000)


def test_the_stylesheet_holds_the_tokens_it_uses_and_no_others():
    css = make_stylesheet()
    assert "--krds-color-light-primary-60:#0b50d0" in css.replace(" ", "")
    assert css.count("--krds-") < 100
