"""The page in a real Chromium, opened from its file with all network blocked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page, Route

from tests.publish.conftest import Made
from tests.publish.test_site import build, release, slug
from tests.reports import standin

pytestmark = pytest.mark.browser

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def site(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    build([release(made, standin.CITY, standin.CSO)], made.folder, root)
    return root / "public"


class Watched:
    """A page that may load files below `site` by being opened, and nothing in any other way."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.route("**/*", self._judge)

    def _judge(self, route: Route) -> None:
        if route.request.is_navigation_request() and route.request.frame == self.page.main_frame:
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def open(self, path: Path) -> Page:
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture
def watched(chromium: Browser) -> Iterator[Watched]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield Watched(context.new_page())
    context.close()


def map_frame(page: Page) -> Frame:
    page.wait_for_function("document.querySelector('iframe') !== null")
    frame = page.frames[1]
    frame.wait_for_selector("path.leaflet-interactive", state="attached")
    return frame


def violations(where: Page | Frame) -> list[str]:
    """Axe's findings in one document; frames are asked one by one, since it cannot reach into a sandbox."""
    where.evaluate(Axe().axe_script)
    options = json.dumps({"runOnly": TAGS, "iframes": False})
    found: list[dict[str, Any]] = where.evaluate(f"axe.run(document, {options}).then(r => r.violations)")
    return [f"{v['id']}: {[n['target'] for n in v['nodes']]}" for v in found]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_asks_the_network_for_nothing(
    site: Path, made: Made, watched: Watched, language: str
) -> None:
    page = watched.open(site / "reports" / slug(made) / language / "index.html")
    frame = map_frame(page)
    assert frame.locator("path.leaflet-interactive").count() == 25
    assert page.locator("table.sortable").first.locator("tbody tr").count() == 26
    assert page.locator("a[href$='.csv']").count() == 4
    assert page.locator("html").get_attribute("lang") == language
    assert watched.requests == [] and watched.complaints == []


def test_a_request_would_have_been_seen(site: Path, made: Made, watched: Watched) -> None:
    """The control of the test above: with the policy taken away and an image put in, it notices."""
    source = (site / "reports" / slug(made) / "ko" / "index.html").read_text("utf-8")
    open_door = source.replace("Content-Security-Policy", "x").replace(
        "</main>", "<img src='https://x.invalid/a'></main>"
    )
    spoiled = site / "spoiled.html"
    spoiled.write_text(open_door, "utf-8")
    watched.open(spoiled)
    assert watched.requests == ["https://x.invalid/a"]
    spoiled.unlink()


def test_the_policy_stops_what_the_screen_might_miss(site: Path, made: Made, watched: Watched) -> None:
    source = (site / "reports" / slug(made) / "ko" / "index.html").read_text("utf-8")
    attack = "<script>document.title='ran'</script><img src='https://x.invalid/a'></main>"
    spoiled = site / "spoiled.html"
    spoiled.write_text(source.replace("</main>", attack), "utf-8")
    page = watched.open(spoiled)
    assert page.title() != "ran" and watched.requests == []
    spoiled.unlink()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_axe_finds_nothing_on_any_page_and_in_any_frame_in_the_dark(
    site: Path, made: Made, chromium: Browser, language: str
) -> None:
    """In the light: tests/pages, each report."""
    context = chromium.new_context(
        bypass_csp=True, color_scheme="dark", viewport={"width": 360, "height": 800}
    )
    page = context.new_page()
    report = site / "reports" / slug(made)
    places = [report / language / "index.html", report / language / "method.html"]
    places += [report / "status" / f"{language}.html", site / language / "index.html", site / "index.html"]
    for place in places:
        page.goto(place.as_uri())
        if place == places[0]:
            assert violations(map_frame(page)) == []
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_axe_finds_a_planted_fault_on_the_page_and_in_its_frame(
    site: Path, made: Made, chromium: Browser
) -> None:
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto((site / "reports" / slug(made) / "ko" / "index.html").as_uri())
    frame = map_frame(page)
    for where in (page, frame):
        where.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<button></button>')")
        assert any("button-name" in line for line in violations(where))
    context.close()


def test_my_gu_leads_to_its_row_and_sentence(site: Path, made: Made, watched: Watched) -> None:
    page = watched.open(site / "reports" / slug(made) / "ko" / "index.html")
    page.get_by_label("자치구를 고르세요").select_option(label="노원구")
    assert page.locator(".mygu li:visible").count() == 1
    assert "10만 번" in page.locator(".mygu li:visible").inner_text()
    assert page.locator("tr.mine th").inner_text() == "노원구"


def test_without_script_my_gu_is_a_list_of_links(site: Path, made: Made, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "reports" / slug(made) / "ko" / "index.html").as_uri())
    assert page.locator(".mygu li:visible a").count() == 25
    address = page.locator(".mygu li a").first.get_attribute("href")
    assert address and page.locator(f"[id='{address[1:]}']").count() == 1
    context.close()


def test_the_table_sorts_from_the_keyboard(site: Path, made: Made, watched: Watched) -> None:
    page = watched.open(site / "reports" / slug(made) / "ko" / "index.html")
    head = page.locator("table.sortable").first.locator("thead th").nth(1)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    cells = page.locator("table.sortable").first.locator("tbody tr td:nth-child(2)")
    values = [int(cell.get_attribute("data-value") or 0) for cell in cells.all()]
    assert values == sorted(values, reverse=True) and len(values) == 26
