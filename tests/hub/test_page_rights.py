"""What a browser may do with the Hub's pages, and what a notebook in a seat of the same origin may not."""

import re
from urllib.parse import quote

import httpx
import pytest

from hub_config.client import make_link
from hub_config.texts import shared_folder

PAGES = sorted((shared_folder("templates") / "workspace").rglob("*.html"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_template_needs_what_the_pages_policy_forbids(page):
    source = page.read_text("utf-8")
    # Each of these would be dead in the browser, without a word: handlers and styles in attributes, other addresses.
    assert not re.search(r"<[^>{]*\son\w+\s*=", source), "a script in an attribute"
    assert not re.search(r"<[^>{]*\sstyle\s*=", source), "a style in an attribute"
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)\s*=\s*[\"']https?:", source)
    assert not re.search(r"href\s*=\s*[\"']\s*javascript:", source)


@pytest.mark.hub
@pytest.mark.parametrize("place", ["login", "home", "no-such-page", "token", "error/503", "logout"])
def test_every_page_runs_and_fetches_only_its_own(hub, place):
    answer = httpx.get(f"{hub.url}/hub/{place}", follow_redirects=True)
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    nonce = re.fullmatch(r"'nonce-([\w-]{22})'", policy["script-src"]).group(1)
    assert nonce not in httpx.get(f"{hub.url}/hub/{place}", follow_redirects=True).text
    tags = re.findall(r"<(?:script|style)\b[^>]*>", answer.text)
    assert tags and all(f'nonce="{nonce}"' in tag for tag in tags)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.hub
@pytest.mark.parametrize("place", ["token", "admin", "admin/x", "accept-share"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_for_rights_made_by_hand_are_not_there(hub, place, method):
    answer = httpx.request(method, f"{hub.url}/hub/{place}", headers={"Sec-Fetch-Mode": "navigate"})
    # 403: a form without this workspace's word in it gets no further than that.
    assert answer.status_code == (404 if method == "GET" else 403)


@pytest.mark.hub
def test_the_other_language_keeps_where_one_was_going(hub):
    going = f"next={quote('/hub/spawn/expert-han', safe='')}"
    page = httpx.get(f"{hub.url}/hub/login?lang=ko&{going}").text
    link = re.search(r'<a href="([^"]+)"[^>]*id="language"', page).group(1).replace("&amp;", "&")
    assert link.startswith("/hub/login?") and going in link and link.endswith("lang=en")


@pytest.mark.hub
@pytest.mark.browser
def test_a_script_in_a_seats_page_cannot_use_the_hubs_pages(hub, chromium):
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(make_link(hub.url, hub.secrets["analyst-lee"]))
    page.click("#enter")
    page.wait_for_url("**/hub/home")
    assert page.get_by_role("heading", level=1).inner_text().startswith("Analyst-Lee")
    # The same origin and cookies as a notebook's output has, without the page's own policy.
    page.route("**/user/analyst-lee/planted", lambda route: route.fulfill(body="<p>planted</p>"))
    page.goto(f"{hub.url}/user/analyst-lee/planted")
    for mode in ("cors", "no-cors", "same-origin"):
        fetched = page.evaluate(
            "mode => fetch('/hub/home', {mode}).then(a => a.text().then(t => [a.status, t]))", mode
        )
        assert fetched[0] == 403 and "xsrf" not in fetched[1].lower()
    with context.expect_page() as opened:
        page.evaluate("window.other = window.open('/hub/home'), 0")
    opened.value.wait_for_load_state()
    assert "Analyst-Lee" in opened.value.inner_text("h1")  # she herself may
    assert page.evaluate("window.other.closed") is True  # but nothing of it can be touched from there
    framed = """() => new Promise(done => {
        const frame = document.createElement('iframe');
        frame.onload = () => done(frame.contentDocument ? frame.contentDocument.body.innerText : 'nothing');
        frame.src = '/hub/home'; document.body.append(frame); })"""
    assert "Analyst-Lee" not in page.evaluate(framed)
    context.close()
