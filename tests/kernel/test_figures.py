"""Maps and charts, in a real Chromium without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
from playwright.sync_api import expect

from civic_kernel import charts, maps
from civic_kernel.charts import make_scale
from civic_kernel.errors import FrameUnsuitable, VendorMissing
from civic_kernel.places import gu_shapes, place_name
from civic_kernel.texts import Language

from .conftest import MONTHS
from .test_asking_in_sql import OFFER, price_of

#: Where set-up puts Leaflet, or where `npm ci` in the checkout does.
NODE = Path(__file__).resolve().parents[2] / "node_modules" / "leaflet" / "dist"
VENDOR = maps.VENDOR if (maps.VENDOR / "leaflet.js").is_file() else NODE
TITLE = {"ko": "구별 따릉이 이용", "en": "Bike rides by gu"}

needs_leaflet = pytest.mark.skipif(
    not (VENDOR / "leaflet.js").is_file(), reason="set-up has not put Leaflet there"
)


def by_gu(language: Language = "ko") -> pd.DataFrame:
    names = [str(shape["id"]) for shape in gu_shapes()]
    value = np.random.default_rng(2).uniform(60_000, 210_000, 25).round()
    frame = pd.DataFrame({"start_gu": names, "rides": value, "withheld": False, "above": False})
    frame["rides_low"], frame["rides_high"] = frame["rides"] - 960, frame["rides"] + 960
    frame.loc[3, ["rides", "rides_low", "rides_high"]] = np.nan
    frame.loc[3, "withheld"] = True
    frame.loc[[5, 16], "above"] = True
    frame.attrs["civic"] = {"synthetic": True, "language": language}
    return frame


def draw(language: Language, **changes: Any) -> maps.Map:
    frame = by_gu(language)
    asked = {
        "title": TITLE[language],
        "mark": "above",
        "unit": "rides",
        "language": language,
        "vendor": VENDOR,
    }
    return maps.choropleth(frame, "rides", "start_gu", **(asked | changes))


def test_outlines_are_25_gu_that_share_their_borders_and_weigh_little() -> None:
    shapes = gu_shapes()
    assert len(shapes) == 25 and len(json.dumps(shapes, separators=(",", ":"))) < 60_000
    # Rounding to a metre may let a narrow spike touch itself, which draws the same.
    areas = [shapely.make_valid(shapely.geometry.shape(s["geometry"])) for s in shapes]
    whole = shapely.union_all(areas)
    overlap = sum(a.area for a in areas) - whole.area
    holes = sum(
        shapely.Polygon(ring).area for part in getattr(whole, "geoms", [whole]) for ring in part.interiors
    )
    assert overlap < 1e-5 * whole.area and holes < 1e-5 * whole.area
    assert all(place_name(str(s["id"]), "en").endswith("-gu") for s in shapes)


@needs_leaflet
def test_the_same_frame_gives_the_same_bytes() -> None:
    assert draw("ko").document == draw("ko").document
    assert draw("ko").document != draw("ko", title="다른 제목").document
    assert charts.dots(by_gu(), "rides", "start_gu", title="t") == charts.dots(
        by_gu(), "rides", "start_gu", title="t"
    )


@needs_leaflet
def test_a_map_of_open_data_says_that_its_figures_are_exact() -> None:
    frame = by_gu("en").drop(columns=["rides_low", "rides_high", "withheld"])
    frame.attrs["civic"]["lane"] = "open"
    document = maps.choropleth(frame, "rides", "start_gu", title="t", language="en", vendor=VENDOR).document
    assert '"sure": "exact"' in document and '"said": "no value"' in document
    assert "too few" not in document and "cv-swatch cv-withheld" not in document
    # The same numbers without the lane are somebody's noisy ones, and need their intervals.
    frame.attrs["civic"]["lane"] = "private"
    with pytest.raises(FrameUnsuitable):
        maps.choropleth(frame, "rides", "start_gu", title="t", language="en", vendor=VENDOR)


@needs_leaflet
def test_a_hostile_key_or_title_stays_text() -> None:
    evil = '</script><img src=x onerror="alert(1)">'
    frame = by_gu()
    frame.loc[0, "start_gu"] = evil
    document = maps.choropleth(frame, "rides", "start_gu", title=evil, unit=evil, vendor=VENDOR).document
    assert "<img" not in document
    assert "<img" not in charts.dots(frame, "rides", "start_gu", title=evil).html


def test_without_leaflet_the_map_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VendorMissing):
        draw("en", vendor=tmp_path)


def test_a_frame_with_several_rows_for_a_gu_is_refused() -> None:
    with pytest.raises(FrameUnsuitable):
        charts.dots(pd.concat([by_gu(), by_gu()]), "rides", "start_gu", title="t")
    with pytest.raises(FrameUnsuitable):
        charts.dots(by_gu(), "riders", "start_gu", title="t")


def test_a_withheld_value_is_a_hatched_gap_and_never_a_number() -> None:
    chart = charts.dots(by_gu(), "rides", "start_gu", title="t", mark="above")
    assert chart.svg.count("<circle") == 22 and chart.svg.count("숨김") == 1 and "nan" not in chart.svg
    months = pd.DataFrame({"month": ["a", "b", "c"], "n": [1.0, np.nan, 3.0]})
    months["n_low"], months["n_high"] = months["n"] - 1, months["n"] + 1
    line = charts.line(months, "n", title="t")
    assert line.svg.count("<polyline") == 2 and "nan" not in line.svg


def test_the_first_word_is_that_data_are_made_up() -> None:
    frame = by_gu("en")
    assert (
        ">Made-up data (synthetic demonstration)</text>"
        in charts.dots(frame, "rides", "start_gu", title="t").svg
    )
    joined = frame.merge(frame[["start_gu"]].assign(n=1), on="start_gu")
    joined.attrs.clear()
    forgot = charts.dots(joined, "rides", "start_gu", title="t", language="en")
    assert ">A table of unknown origin</text>" in forgot.svg


@pytest.mark.parametrize("values", [[], [0.0], [5.0], [-3.0, 2.0], [1e-4, 3e-4], [123456.0, 98.0]])
def test_a_scale_encloses_its_values(values: list[float]) -> None:
    scale = make_scale(values)
    assert all(scale.low <= v <= scale.high for v in values)
    assert 2 <= len(scale.ticks) <= 8 and scale.low < scale.high


def open_page(chromium: Any, html: str, tmp_path: Path, **context: Any) -> tuple[Any, list[str], list[str]]:
    """The page, its requests beyond the file itself, and everything on its console."""
    file = tmp_path / "page.html"
    file.write_text(html, encoding="utf-8")
    page = chromium.new_context(offline=True, **context).new_page()
    requests: list[str] = []
    said: list[str] = []
    page.on(
        "request", lambda r: requests.append(r.url) if r.url not in (file.as_uri(), "about:srcdoc") else None
    )
    page.on("console", lambda m: said.append(m.text))
    page.on("pageerror", lambda e: said.append(str(e)))
    page.goto(file.as_uri())
    page.wait_for_selector("iframe, path.leaflet-interactive, .cv-feature")
    return page, requests, said


def violations(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    return [f"{v['id']}: {v['nodes'][0]['html'][:150]}" for v in found.response["violations"]]


@needs_leaflet
@pytest.mark.browser
@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_inside_the_map_s_document(
    chromium: Any, tmp_path: Path, language: Language, scheme: str
) -> None:
    # The policy stops axe from being put in, so the same document is judged without that one line.
    document = draw(language).document
    start = document.index("<meta http-equiv")
    open_document = document[:start] + document[document.index(">", start) + 1 :]
    page, _, said = open_page(chromium, open_document, tmp_path, color_scheme=scheme)
    page.locator("path.leaflet-interactive").nth(2).click()
    page.wait_for_selector(".leaflet-popup")
    assert violations(page) == [] and said == []
    page.evaluate("document.querySelector('[data-move=in]').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('[data-move=in]').removeAttribute('title')")
    page.evaluate("document.querySelector('[data-move=in]').innerHTML = ''")
    assert any(v.startswith("button-name") for v in violations(page)), "the planted fault was not found"


@needs_leaflet
@pytest.mark.browser
def test_a_map_in_its_sandbox_asks_for_nothing_and_works_by_keyboard(chromium: Any, tmp_path: Path) -> None:
    chart = charts.dots(by_gu(), "rides", "start_gu", title=TITLE["ko"], mark="above")
    html = f"<!doctype html><html lang=ko><title>t</title><body>{draw('ko').iframe()}{chart.html}"
    page, requests, said = open_page(chromium, html, tmp_path, viewport={"width": 1280, "height": 900})
    frame = page.frame_locator("iframe")
    paths = frame.locator("path.leaflet-interactive")
    # Waited for: Leaflet draws on the browser's next frame, which a busy machine makes late.
    expect(paths).to_have_count(25)
    assert frame.locator("path.cv-withheld").count() == 1
    before = paths.nth(0).get_attribute("d") or ""
    frame.get_by_role("button", name="확대").click()
    expect(paths.nth(0)).not_to_have_attribute("d", before)
    frame.get_by_role("button", name="처음 위치로").click()
    expect(paths.nth(0)).to_have_attribute("d", before)
    # One tab stop for all gu; arrows go on; Enter opens, Escape closes.
    first = frame.locator("path[tabindex='0']")
    assert first.count() == 1
    first.focus()
    page.keyboard.press("ArrowRight")
    at = frame.locator("path[tabindex='0']")
    assert "사이" in (at.get_attribute("aria-label") or "")
    page.keyboard.press("Enter")
    assert frame.locator(".leaflet-popup").inner_text().startswith("중구")
    page.keyboard.press("Escape")
    assert frame.locator(".leaflet-popup").count() == 0
    assert (
        frame.locator("path.cv-withheld").get_attribute("aria-label") == "성동구: 사람이 너무 적어 숨겼습니다"
    )
    assert requests == [] and said == []


@needs_leaflet
@pytest.mark.browser
def test_one_finger_scrolls_the_page_and_nothing_is_wider_than_a_phone(chromium: Any, tmp_path: Path) -> None:
    chart = charts.dots(by_gu("en"), "rides", "start_gu", title=TITLE["en"], mark="above")
    viewport = "<meta name=viewport content='width=device-width'>"
    html = f"<!doctype html><html lang=en>{viewport}<title>t</title><body>{draw('en').iframe()}{chart.html}"
    phone = {"viewport": {"width": 360, "height": 700}, "has_touch": True, "is_mobile": True}
    page, _, said = open_page(chromium, html, tmp_path, **phone)
    inside = page.frames[1]
    inside.wait_for_selector("path.leaflet-interactive")
    # The frame is another process, which may have drawn before it is told of the phone: the map heeds the change.
    inside.wait_for_selector(".cv-fingers .cv-touch")
    touch = inside.evaluate("getComputedStyle(document.querySelector('.leaflet-container')).touchAction")
    assert sorted(touch.split()) == ["pan-x", "pan-y"]
    assert inside.locator(".cv-touch").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert inside.evaluate("document.documentElement.scrollWidth") <= 360
    # No label runs out of the drawing.
    box = "e => { const s = e.closest('svg.civic-chart').getBoundingClientRect();"
    box += " const r = e.getBoundingClientRect(); return r.left >= s.left - 2 && r.right <= s.right + 2 }"
    assert all(t.evaluate(box) for t in page.locator("svg.civic-chart text").all())
    assert said == []


@needs_leaflet
@pytest.mark.browser
def test_a_tablet_taken_off_its_keyboard_scrolls_by_one_finger_from_then_on(
    chromium: Any, tmp_path: Path
) -> None:
    page, _, said = open_page(chromium, f"<!doctype html><title>t</title>{draw('en').iframe()}", tmp_path)
    inside = page.frames[1]
    inside.wait_for_selector("path.leaflet-interactive")
    style = "getComputedStyle(document.querySelector('.leaflet-container')).touchAction"
    assert inside.evaluate(style) == "none" and not inside.locator(".cv-touch").is_visible()
    device = page.context.new_cdp_session(inside)
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    inside.wait_for_selector(".cv-fingers .cv-touch")
    assert sorted(inside.evaluate(style).split()) == ["pan-x", "pan-y"]
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    inside.wait_for_selector(".cv-touch", state="hidden")
    assert inside.evaluate(style) == "none" and said == []


@pytest.mark.browser
@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_fullest_card_fits_a_phone_and_takes_its_colours_from_the_page(
    chromium: Any, language: str
) -> None:
    price = price_of(
        9000000, language, to_pay=MONTHS[:9], joins={MONTHS[9]: "ans-a"}, offers=[OFFER], cell=6000,
        cell_from="answer:ans-x5ohs2fdz5bhf2nq3s6qk5ohs2",
        truncated_share={"share": "0.018", "low": "0.015", "high": "0.021", "lost_shares": []},
    )  # fmt: skip
    context = chromium.new_context(viewport={"width": 320, "height": 700}, color_scheme="dark")
    page = context.new_page()
    scheme = "<style>body{color-scheme:dark;margin:8px}</style>"
    page.set_content(f"<meta name=viewport content='width=device-width'>{scheme}{price._repr_html_()}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # Every label is on the line of its value, and no value is squeezed under a half of the card.
    for label, value in zip(page.locator("dt").all(), page.locator("dd").all(), strict=True):
        left, right = label.bounding_box(), value.bounding_box()
        assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
        assert right["width"] >= 150
    style = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
    paper, ink = page.locator("dl").evaluate(style)
    assert paper == "rgba(0, 0, 0, 0)" and ink == page.locator("body").evaluate(style)[1]
    context.close()
