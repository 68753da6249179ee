"""Maps of flows and of points, and how numbers and months are written, in a real Chromium without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from civic_kernel import charts, maps
from civic_kernel.errors import FrameUnsuitable
from civic_kernel.figures import number, short, with_unit
from civic_kernel.publish.screen import reason_in_drawing
from civic_kernel.texts import Language

from .test_figures import open_page, violations


def flows(language: Language = "ko", **changes: Any) -> maps.Map:
    rows = [
        ("마포구", "영등포구", 17_200), ("송파구", "강동구", 32_400), ("강남구", "송파구", 32_100),
        ("도봉구", "노원구", 9_000), ("중구", "성동구", np.nan), ("마포구", "마포구", 50_000), ("마포구", "other", 30),
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["a", "b", "rides"])
    frame["rides_low"], frame["rides_high"] = frame["rides"] - 140, frame["rides"] + 140
    frame["withheld"], frame["big"] = frame["rides"].isna(), frame["rides"] == 32_400
    frame.attrs["civic"] = {"synthetic": True, "language": language}
    unit = {"ko": "번", "en": "rides"}[language]
    asked = {"title": "t", "alt": "d", "mark": "big", "unit": unit, "language": language}
    return maps.flows(frame, "rides", "a", "b", **(asked | changes))


def spots() -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "rank": [1, 2, 3],
            "gu": ["중랑구", "강서구", "도봉구"],
            "dong": ["신내동", "내발산동", "도봉동"],
            "lat": [37.6148, 37.5506, 37.6966],
            "lon": [127.1039, 126.8322, 127.0243],
            "spared": [1850.0, 1770.0, np.nan],
        }
    )
    frame["spared_low"], frame["spared_high"] = frame["spared"] - 20, frame["spared"] + 20
    frame["withheld"] = frame["spared"].isna()
    frame.attrs["civic"] = {"synthetic": True, "language": "ko"}
    return frame


def points(**changes: Any) -> maps.Map:
    backdrop = pd.DataFrame({"lat": [37.55, 37.56, np.nan], "lon": [126.98, 127.0, 127.0]})
    asked = {"title": "t", "alt": "d", "unit": "km", "backdrop": backdrop, "backdrop_label": "대여소"}
    return maps.points(spots(), "spared", "rank", **({"name": ("gu", "dong")} | asked | changes))


def test_a_flow_is_as_wide_as_it_is_large_and_a_withheld_one_is_dashed() -> None:
    document = flows().document
    # Five of seven: what stays in a gu and what goes nobody knows where have no line.
    assert document.count('role="button"') == 5
    assert document.index("송파구 ↔ 강동구: 32,400번, 32,260에서 32,540 사이 · 뚜렷이 높음") < document.index(
        "도봉구 ↔ 노원구: 9,000번"
    )
    assert "중구 ↔ 성동구: 사람이 너무 적어 숨겼습니다" in document and "nan" not in document
    assert document.count('class="cv-feature cv-line-one cv-withheld"') == 1
    assert ">3만번" not in document and "≥ 3만번" in document
    assert "Mapo-gu → Yeongdeungpo-gu" in flows("en", directed=True).document
    assert "cv-head" in flows(directed=True).document.split("</style>")[1]
    assert flows().document == flows().document


def test_maps_are_light_and_pass_the_screen_and_hostile_words_stay_text() -> None:
    evil = '</script><img src=x onerror="alert(1)">'
    for drawn in (flows(), points(), flows(title=evil, unit=evil), points(backdrop_label=evil)):
        assert len(drawn.document.encode()) < 60_000 and "<img" not in drawn.document
        assert reason_in_drawing(drawn.document, "map") is None


def test_a_place_outside_seoul_is_refused_since_latitude_and_longitude_are_swapped_more_often() -> None:
    with pytest.raises(FrameUnsuitable):
        points(lat="lon", lon="lat", backdrop=None)


def test_a_frame_without_any_flow_is_an_empty_map() -> None:
    frame = pd.DataFrame({"a": [], "b": [], "n": [], "n_low": [], "n_high": []})
    frame.attrs["civic"] = {"synthetic": True, "language": "ko"}
    assert 'role="button"' not in maps.flows(frame, "n", "a", "b", title="t").document


def test_numbers_and_months_are_written_as_koreans_write_them() -> None:
    assert [short(v, 0, "ko") for v in (0, 9_000, 10_000, 15_000, 12_345, 200_000_000)] == [
        "0", "9,000", "1만", "1.5만", "12,345", "2억",
    ]  # fmt: skip
    assert short(150_000, 0, "en") == "150,000" and number(-7.04, 1) == "−7.0" and number(-0.2) == "0"
    assert (with_unit("3", "번"), with_unit("3", "%"), with_unit("3", "km")) == ("3번", "3%", "3 km")
    months = [f"2025-{m}" for m in (10, 11, 12)] + [f"2026-0{m}" for m in range(1, 10)]
    frame = pd.DataFrame({"month": months, "n": np.arange(12.0) - 4})
    frame["n_low"], frame["n_high"] = frame["n"] - 3, frame["n"] - 1
    korean, english = (charts.line(frame, "n", title="t", language=spoken).svg for spoken in ("ko", "en"))
    assert [said in korean for said in (">25년 10월<", ">26년 1월<", ">4월<", ">2026-01<")] == [True] * 3 + [
        False
    ]
    assert ">Oct 2025<" in english and ">Apr<" in english
    assert ">−7.0 ~ −5.0<" in charts.dots(frame, "n", "month", title="t", digits=1, language="ko").svg


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_inside_and_finds_a_planted_fault(
    chromium: Any, tmp_path: Path, scheme: str
) -> None:
    for drawn in (flows("en"), points()):
        # The policy stops axe from being put in, so the same document is judged without that one line.
        start = drawn.document.index("<meta http-equiv")
        document = drawn.document[:start] + drawn.document[drawn.document.index(">", start) + 1 :]
        page, _, said = open_page(chromium, document, tmp_path, color_scheme=scheme)
        assert violations(page) == [] and said == []
        page.evaluate("document.querySelector('.cv-feature').removeAttribute('aria-label')")
        page.evaluate("document.querySelector('.cv-feature text, .cv-feature title')?.remove()")
        assert violations(page), "the planted fault was not found"


@pytest.mark.browser
def test_every_flow_is_reached_by_keyboard_and_finger_and_nothing_is_asked_for(
    chromium: Any, tmp_path: Path
) -> None:
    html = f"<!doctype html><html lang=ko><title>t</title><body>{flows().iframe()}{points().iframe()}"
    phone = {"viewport": {"width": 360, "height": 800}, "has_touch": True}
    page, requests, said = open_page(chromium, html, tmp_path, **phone)
    lines, dots = page.frame_locator("iframe >> nth=0"), page.frame_locator("iframe >> nth=1")
    expect(lines.get_by_role("button", name="송파구 ↔ 강동구")).to_be_visible()
    readout = lines.locator(".cv-readout")
    assert readout.inner_text() == "선을 고르면 값이 나옵니다."
    # One tab stop for all flows, the largest first; arrows go on to the withheld one, which comes last.
    assert lines.locator(".cv-feature[tabindex='0']").count() == 1
    lines.locator(".cv-feature[tabindex='0']").focus()
    expect(readout).to_contain_text("송파구 ↔ 강동구: 32,400번")
    page.keyboard.press("ArrowLeft")
    expect(readout).to_have_text("중구 ↔ 성동구: 사람이 너무 적어 숨겼습니다")
    page.keyboard.press("Enter")
    assert lines.locator("[aria-pressed=true]").count() == 1
    page.keyboard.press("Escape")
    assert lines.locator("[aria-pressed=true]").count() == 0
    box = lines.locator(".cv-map svg")
    whole = box.get_attribute("viewBox")
    lines.get_by_role("button", name="확대").tap()
    assert box.get_attribute("viewBox") != whole
    lines.get_by_role("button", name="처음 위치로").tap()
    assert [float(n) for n in (box.get_attribute("viewBox") or "").split()] == [
        float(n) for n in (whole or "").split()
    ]
    dots.get_by_role("button", name="강서구 내발산동").tap()
    expect(dots.locator(".cv-readout")).to_contain_text("2. 강서구 내발산동: 1,770 km")
    dots.locator(".cv-feature[tabindex='0']").focus()
    expect(dots.locator(".cv-readout")).to_contain_text("1. 중랑구 신내동")
    assert page.frames[1].evaluate("document.documentElement.scrollWidth") <= 360
    assert requests == [] and said == []
