"""What holds for each report's page, in both languages: no request, no complaint, no fault in any frame, every part
reached by keyboard, and no number or picture that changed unseen.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Frame, Page

from civic_kernel.publish.record import read_record
from civic_kernel.texts import LANGUAGES
from tests.pages import compare, recorded
from tests.pages.conftest import Made, Walked
from tests.pictures import FOLDER, RULES

pytestmark = pytest.mark.browser

REPORTS = recorded.reports()
EVERY = pytest.mark.parametrize("name", REPORTS)


def place(site: Path, made: dict[str, Made], name: str) -> Path:
    """Where a report lies on the site."""
    return site / "reports" / str(read_record(made[name].folder)["slug"])


def faults(frame: Frame) -> list[str]:
    """axe's findings in one document: it cannot look into a sandboxed frame from outside."""
    found = Axe().run(frame, options={**RULES, "iframes": False}).response["violations"]
    return [f"{line['id']}: {[node['target'] for node in line['nodes']]}" for line in found]


@EVERY
def test_a_reports_pages_ask_for_nothing_and_have_no_fault_in_any_frame(
    site: Path, made: dict[str, Made], walked: Walked, name: str
) -> None:
    for language in LANGUAGES:
        folder = place(site, made, name)
        frames = walked.open(folder / language / "index.html")
        assert len(frames) > 1, "a map"
        assert [fault for frame in frames for fault in faults(frame)] == []
        assert walked.page.evaluate("document.documentElement.scrollWidth") <= 360
        assert walked.requests == [] and walked.complaints == []
        for beside in (folder / language / "method.html", folder / "status" / f"{language}.html"):
            frames = walked.open(beside)
            assert [fault for frame in frames for fault in faults(frame)] == []
            assert walked.requests == [] and walked.complaints == []


def test_a_planted_fault_is_found_in_the_page_and_in_each_frame(
    site: Path, made: dict[str, Made], walked: Walked
) -> None:
    frames = walked.open(place(site, made, "bike_routes") / "ko" / "index.html")
    for frame in frames:
        frame.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,\">')")
        assert any(fault.startswith("image-alt") for fault in faults(frame))


def test_the_sites_own_pages_have_no_fault_and_load_their_search_alone(site: Path, walked: Walked) -> None:
    for language in LANGUAGES:
        (frame,) = walked.open(site / language / "index.html")
        assert walked.page.locator("ul.reports > li").count() == len(REPORTS)
        assert walked.requests == [(site / language / "search.js").as_uri()] and walked.complaints == []
        assert faults(frame) == []
        for lasting in sorted((site / "latest").iterdir()):
            (frame,) = walked.open(lasting / language / "index.html")
            assert walked.requests == [] and walked.complaints == []
        assert faults(frame) == []


@EVERY
def test_a_page_with_its_maps_stays_under_600_kb(made: dict[str, Made], name: str) -> None:
    for language in LANGUAGES:
        assert (made[name].folder / language / "index.html").stat().st_size < 600_000


def test_with_more_contrast_every_text_has_seven_to_one(
    site: Path, made: dict[str, Made], chromium: Browser
) -> None:
    """WCAG 2.2's AAA, for who asks for more contrast; in light and dark."""
    for scheme in ("light", "dark"):
        context = chromium.new_context(contrast="more", color_scheme=scheme)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto((place(site, made, "bike_routes") / "ko" / "index.html").as_uri())
        found = Axe().run(page, options={"runOnly": ["color-contrast-enhanced"], "iframes": False}).response
        assert found["violations"] == [] and found["passes"], scheme
        context.close()


# --- by keyboard ---

#: The element that has the focus: whether it can be seen, in sight, with a name; marked as visited.
FOCUSED = """() => {
  const at = document.activeElement;
  if (!at || at === document.body || at.tagName === "IFRAME") return null;
  const style = getComputedStyle(at), box = at.getBoundingClientRect();
  const again = at.hasAttribute("data-visited");
  at.setAttribute("data-visited", "");
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = "var(--focus)";
  const mark = getComputedStyle(probe).color;  // in which a drawing's part is drawn while it has the focus
  probe.remove();
  const named = at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.title || at.textContent;
  return {
    again, named: named.trim().length > 0,
    shown: (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || parseFloat(style.strokeWidth) >= 4
      || [...at.querySelectorAll("path, circle, line, polygon")].some(part =>
        [getComputedStyle(part).stroke, getComputedStyle(part).fill].includes(mark)),
    inSight: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth && box.width > 0,
    what: at.outerHTML.slice(0, 90),
  };
}"""
LEFT_OUT = """() => [...document.querySelectorAll("a[href], button, select, input, summary, [tabindex='0']")]
  .filter(one => one.checkVisibility() && !one.hasAttribute("data-visited")).map(one => one.outerHTML.slice(0, 90))"""


def stops(page: Page) -> Iterator[tuple[Frame, dict[str, Any]]]:
    """Tab through the page and its frames until it begins anew."""
    for _ in range(400):
        page.keyboard.press("Tab")
        stop = focused(page)
        if stop is None:
            return
        yield stop
    pytest.fail("the page has no end")


def focused(page: Page) -> tuple[Frame, dict[str, Any]] | None:
    """Where the focus is now, if it was never there. A frame is another process: it arrives there and leaves in its
    own time (also between one question and the next), so a place that looks like none is looked at again; the
    frame's own element is never a place."""
    for _ in range(20):
        frame: Frame | None = page.main_frame
        if page.evaluate("document.activeElement?.tagName") == "IFRAME":
            frame = next((one for one in page.frames[1:] if one.evaluate("document.hasFocus()")), None)
        found = frame and frame.evaluate(FOCUSED)
        if frame and found and not found["again"]:
            return frame, found
        page.wait_for_timeout(25)
    return None


@EVERY
def test_by_keyboard_every_part_is_reached_seen_and_named(
    site: Path, made: dict[str, Made], walked: Walked, name: str
) -> None:
    frames = walked.open(place(site, made, name) / "ko" / "index.html")
    page = walked.page
    seen = list(stops(page))
    assert seen[0][1]["what"].startswith('<a class="skip"') or 'class="skip"' in seen[0][1]["what"]
    assert [one["what"] for _, one in seen if not one["shown"]] == []
    assert [one["what"] for _, one in seen if not one["inSight"]] == []
    assert [one["what"] for _, one in seen if not one["named"]] == []
    for frame in frames:
        assert frame.evaluate(LEFT_OUT) == []
    assert {frame for frame, _ in seen} == set(frames)


def test_by_keyboard_a_reader_skips_chooses_her_gu_opens_the_map_and_comes_back(
    site: Path, made: dict[str, Made], walked: Walked
) -> None:
    frames = walked.open(place(site, made, "bike_routes") / "ko" / "index.html")
    page = walked.page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"
    page.keyboard.press("ArrowDown")
    assert page.locator(".mygu li.mine").count() == 1
    for frame, _ in stops(page):
        if frame == frames[1] and frame.evaluate("document.activeElement.matches('path')"):
            break
    first = frames[1].evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowRight")
    assert frames[1].evaluate("document.activeElement.getAttribute('aria-label')") != first
    page.keyboard.press("Enter")
    assert frames[1].locator(".leaflet-popup").count() == 1
    page.keyboard.press("Escape")
    assert frames[1].locator(".leaflet-popup").count() == 0
    for _ in range(10):  # the map's buttons, and then out of it
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") != "IFRAME", "no trap"


# --- what a change did ---


def test_a_change_of_one_number_and_of_one_picture_is_counted_as_one(
    site: Path, made: dict[str, Made], walked: Walked
) -> None:
    frames = walked.open(place(site, made, "bike_routes") / "en" / "index.html")
    drawn = compare.drawings(made["bike_routes"].run, "en")
    before = compare.Page(compare.tree(frames), drawn)
    assert not compare.changed(before, compare.Page(compare.tree(frames), drawn))
    walked.page.evaluate("""() => {
      const cell = document.querySelector("td.number");
      cell.textContent = cell.textContent.replace(/\\d$/, last => (Number(last) + 1) % 10);
    }""")
    figure = min(drawn)
    changed = compare.changed(before, compare.Page(compare.tree(frames), {**drawn, figure: "another"}))
    assert changed == compare.Change(numbers=1, pictures=1, words=0)
    frames[1].evaluate("document.querySelector('.cv-legend li').append(' 12,345')")
    assert compare.changed(before, compare.Page(compare.tree(frames), drawn)).numbers == 2


def test_no_number_and_no_picture_of_any_page_changed_unseen(
    site: Path, made: dict[str, Made], walked: Walked, request: pytest.FixtureRequest
) -> None:
    """Where they changed on purpose: look at the pages, then `make pictures` writes what they are now."""
    now = {}
    for name in REPORTS:
        for language in LANGUAGES:
            frames = walked.open(place(site, made, name) / language / "index.html")
            drawn = compare.drawings(made[name].run, language)
            now[f"{name}.{language}"] = compare.Page(compare.tree(frames), drawn)
    if request.config.getoption("--pictures"):
        compare.keep(now)
    told = []
    for page, is_now in now.items():
        change = compare.changed(compare.read(*page.split(".")), is_now)
        if change.numbers or change.pictures:
            many = len(is_now.drawings)
            told.append(f"{page}: {change.numbers} numbers, {change.pictures} of {many} pictures")
    assert told == []


# --- pictures for docs ---

LOOKS: dict[str, dict[str, Any]] = {
    "1280": {"viewport": {"width": 1280, "height": 900}},
    "1280-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "360": {"viewport": {"width": 360, "height": 800}},
    "360-dark": {"viewport": {"width": 360, "height": 800}, "color_scheme": "dark"},
    "print": {"viewport": {"width": 680, "height": 1009}},
}


def test_on_paper_nothing_sticks_out(
    site: Path, made: dict[str, Made], chromium: Browser, request: pytest.FixtureRequest
) -> None:
    """And `make pictures` looks at every page at every width, light and dark, and keeps what is seen."""
    keep = request.config.getoption("--pictures")
    shown = {
        f"report-{name.replace('_', '-')}-{language}": place(site, made, name) / language / "index.html"
        for name in REPORTS
        for language in LANGUAGES
    }
    if keep:
        shown |= {f"site-{language}": site / language / "index.html" for language in LANGUAGES}
        for old in FOLDER.glob("report-*.png"):
            old.unlink()
    for seen in LOOKS if keep else ("print",):
        context = chromium.new_context(**LOOKS[seen], reduced_motion="reduce")
        page = context.new_page()
        page.emulate_media(media="print" if seen == "print" else "screen")
        for name, path in shown.items():
            page.goto(path.as_uri())
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= LOOKS[seen]["viewport"]["width"], (name, seen)
            if seen == "print":  # what waits behind a button on a screen
                heights = page.evaluate(
                    "[...document.querySelectorAll('details table')].map(t => t.offsetHeight)"
                )
                assert all(height > 400 for height in heights), name
            if keep:
                picture(page).save(FOLDER / f"{name}-{seen}.png", optimize=True)
        context.close()


def picture(page: Page) -> Image.Image:
    """The whole page, its maps drawn, in as few colours as it has."""
    for frame in page.frames[1:]:
        frame.frame_element().scroll_into_view_if_needed()  # what is out of sight is not drawn
        frame.wait_for_selector("svg [role=button]", state="attached")
    # A window as high as the page: of a frame that has left a lower one nothing is left to photograph.
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": height})
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 500)))")
    whole = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    page.set_viewport_size(size)
    return whole.convert("RGB").quantize(24)


def test_what_was_recorded_is_made_up_and_names_nobody() -> None:
    for name in REPORTS:
        kept = recorded.read(name)
        assert all(answer["statement"]["synthetic"] for answer in kept.answers.values())
        assert not re.search(r"/(tmp|home|root|work)/", json.dumps(kept.told))
