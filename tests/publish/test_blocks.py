"""What a notebook may put on a page is checked where it is written."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from civic_kernel.errors import AltTextMissing, FrameUnsuitable, NotPublishable
from civic_kernel.frames import KEY
from civic_kernel.publish import blocks
from civic_kernel.publish.tables import csv_bytes, shown
from civic_kernel.publish.words import between, during, key_value, number, span

WORDS = {"ko": "말", "en": "words"}
ALT = {
    "ko": "구마다 막대 하나, 가장 긴 막대는 강남구이고 가장 짧은 막대는 중구입니다.",
    "en": "One bar for each district; the longest is Gangnam-gu.",
}


def frame() -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "gu": ["강남구", "중구", "other"],
            "rides": pd.array([1200, None, -3], dtype="Int64"),
            "rides_low": pd.array([1100, None, -90], dtype="Int64"),
            "rides_high": pd.array([1300, None, 84], dtype="Int64"),
            "withheld": [False, True, False],
            "secret": [1, 2, 3],
        }
    )
    rows.attrs[KEY] = {"answer_id": "ans-b, ans-a"}
    return rows


def figure(**changes: Any) -> blocks.Block:
    given: dict[str, Any] = {
        "name": "rides-by-gu",
        "title": WORDS,
        "subtitle": WORDS,
        "alt": ALT,
        "table": frame(),
        "columns": {"gu": WORDS, "rides": WORDS},
        "uncertainty": WORDS,
    }
    draw = changes.pop("draw", lambda language: '<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    return blocks.figure(draw, **(given | changes))


@pytest.mark.parametrize(
    "alt",
    [
        None,
        {"ko": ALT["ko"], "en": ""},
        {"ko": "그림", "en": ALT["en"]},
        {"ko": ALT["ko"], "en": "No description has been provided for this image"},
        {"ko": ALT["ko"], "en": "alt text"},
        {"ko": ALT["ko"], "en": "chart.png"},
    ],
)
def test_a_placeholder_is_no_text_alternative(alt: Any) -> None:
    with pytest.raises(AltTextMissing, match="rides-by-gu"):
        figure(alt=alt)


def test_a_title_is_no_text_alternative() -> None:
    with pytest.raises(AltTextMissing):
        figure(title=ALT)


def test_a_block_carries_what_was_named_and_nothing_else() -> None:
    data = figure().data
    assert [column["name"] for column in data["table"]["columns"]] == [
        *("gu", "rides", "rides_low", "rides_high", "withheld")
    ]
    assert data["answers"] == ["ans-a", "ans-b"] and data["form"] == "chart"
    assert data["table"]["rows"][1] == ["중구", None, None, None, True]


@pytest.mark.parametrize("name", ["../x", "Rides", "a b", "", "x" * 60])
def test_a_name_becomes_a_file_and_is_a_plain_one(name: str) -> None:
    with pytest.raises(NotPublishable):
        figure(name=name)


def test_a_figure_needs_both_languages() -> None:
    with pytest.raises(NotPublishable):
        figure(subtitle={"ko": "말"})


def test_a_table_without_an_origin_is_refused() -> None:
    table = frame()
    table.attrs = {}
    with pytest.raises(FrameUnsuitable):
        figure(table=table)


def test_a_drawing_is_svg_or_a_map_document() -> None:
    with pytest.raises(NotPublishable):
        figure(draw=lambda language: "<p>hello</p>")


def test_a_notebook_shows_a_block_with_its_words_escaped() -> None:
    bundle = blocks.message(ko="<b>굵게</b>", en="<b>bold</b>")._repr_mimebundle_()
    assert "<b>" not in bundle["text/html"] and blocks.BLOCK_MIME in bundle


def test_a_table_reads_in_the_reader_s_language() -> None:
    table = figure().data["table"]
    english = shown(table, "en", "gu")
    assert [row["cells"][0]["text"] for row in english["rows"]] == ["Gangnam-gu", "Jung-gu", "unknown"]
    assert english["rows"][0]["cells"][2]["text"] == "between 1,100 and 1,300"
    assert english["rows"][1]["cells"][1]["text"] == "withheld"
    assert english["rows"][2]["cells"][1]["text"] == "−3"
    assert [row["id"] for row in english["rows"]] == ["row-강남구", "row-중구", "row-other"]


def test_a_csv_cell_cannot_become_a_formula() -> None:
    table = {"columns": [{"name": "k"}, {"name": "n"}], "rows": [["=1+1", -5], [None, True]]}
    assert csv_bytes(table).decode("utf-8-sig") == "k,n\r\n'=1+1,-5\r\n,true\r\n"


def test_words_for_ranges_and_months() -> None:
    assert between(9800, 10700, "ko") == "9,800에서 10,700 사이"
    assert number(-1234.5, 1) == "−1,234.5"
    assert key_value("month", "2026-09", "en") == "September 2026"
    assert span(["2026-02", "2025-12", "2026-01"], "ko") == "2025년 12월부터 2026년 2월까지"
    assert during(["2026-09"], "ko") == "2026년 9월에"
    assert span(["2026-01", "2026-03"], "en") == "January 2026, March 2026"
