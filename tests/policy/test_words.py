"""A question in words: in both languages, with everything that the plan says and nothing that it does not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from data_access.catalog import load_catalog
from data_access.catalog.entry import parse_entry
from data_access.policy.words import question_words, with_particle
from data_access.query import Plan, bind, decode_plan
from data_access.texts import LANGUAGES
from tests.query.strategies import GU, SCHEMA, plans

RIDES = load_catalog(Path(__file__).resolve().parents[2] / "data_access/demo/catalog")["bike_rides"]
ENTRY = parse_entry(
    """
id: rides
title: {ko: 대여, en: Rides}
description: {ko: 시험용, en: For tests}
encodings: [utf-8]
missing: ''
time_column: at
columns:
  at: {source: t, type: timestamp, required: true, formats: ["%Y"], label: {ko: 때, en: Time}}
  gu: {source: g, type: text, label: {ko: 자치구, en: District}}
  sex: {source: s, type: text, label: {ko: 성별, en: Sex}}
  minutes: {source: m, type: integer, label: {ko: 이용 시간, en: Minutes}}
""",
    "rides.yaml",
)
HOUR, WEEKDAY = ({"fn": fn, "column": "started_at"} for fn in ("hour", "weekday"))


@settings(max_examples=60, deadline=None)
@given(plans())
def test_every_question_has_words_in_both_languages_and_no_value_that_is_not_in_it(plan: Plan) -> None:
    canonical = bind(plan, SCHEMA).plan
    document = bind(plan, SCHEMA).document
    numbers = {int(found) for found in re.findall(r"\d+", json.dumps(document))}
    values = _values(document)
    for language in LANGUAGES:
        said = question_words(canonical, ENTRY, language)
        assert ("대여" if language == "ko" else "Rides") in said
        assert {int(found) for found in re.findall(r"\d+", said)} <= numbers
        assert {gu for gu in GU if re.search(rf"(?<![가-힣]){gu}", said)} == values & {*GU}
        assert set(re.findall(r"(?<![A-Za-z])[FM](?![A-Za-z])", said)) == values & {"F", "M"}
        assert "{" not in said and "  " not in said and said == said.strip()


def _values(node: Any) -> set[Any]:
    """Every value that a filter of the document compares with."""
    if isinstance(node, dict):
        own = {node["value"]} if "value" in node else set(node.get("values", ()))
        return own.union(*(_values(child) for child in node.values()))
    return set().union(*(_values(child) for child in node)) if isinstance(node, list) else set()


@pytest.mark.parametrize(
    ("where", "by", "measures", "korean", "english"),
    [
        (
            {"column": "month", "op": "in", "values": ["2026-09"]},
            ["start_gu", HOUR],
            {"n": {"fn": "count"}},
            "2026년 9월의 공공자전거 대여이력 (가상 도시)을, 출발 구와 시간대별로, 건수",
            "Public bike rides (made-up city) in 2026-09, by gu of the start and hour: count",
        ),
        (
            {
                "and": [
                    {"column": "month", "op": "in", "values": ["2025-12", "2026-01", "2026-02", "2026-09"]},
                    {
                        "or": [
                            {"column": HOUR, "op": "in", "values": [7, 8, 9, 18]},
                            {"column": WEEKDAY, "op": "in", "values": [5, 6]},
                        ]
                    },
                    {"column": "sex", "op": "in", "values": ["F", "other"]},
                ]
            },
            ["sex"],
            {"n": {"fn": "persons"}, "m": {"fn": "mean", "column": "minutes"}},
            "2025년 12월–2026년 2월, 2026년 9월의 공공자전거 대여이력 (가상 도시)을, (시간대 7시–9시, 18시 또는 요일 "
            "토요일, 일요일) 그리고 성별 F, 그 밖인 것만, 성별로, 사람 수, 이용 시간(분) 평균",
            "Public bike rides (made-up city) in 2025-12 to 2026-02, 2026-09, only (hour 7 to 9, 18 or weekday "
            "Saturday, Sunday) and sex F, other, by sex: number of persons and mean of minutes",
        ),
        (
            {"column": "started_at", "op": "ge", "value": "2026-09-03"},
            [],
            {"q": {"fn": "quantiles", "column": "minutes"}, "s": {"fn": "share"}},
            "공공자전거 대여이력 (가상 도시)을, 대여 시각 2026-09-03부터인 것만, 이용 시간(분) 분위수(25, 50, 75 %), "
            "전체에서 차지하는 비율",
            "Public bike rides (made-up city), only start of the ride from 2026-09-03: quantiles (25, 50, 75 %) of "
            "minutes and share of the total",
        ),
    ],
    ids=["plain", "nested", "dates"],
)
def test_it_reads_like_a_sentence(where: Any, by: Any, measures: Any, korean: str, english: str) -> None:
    plan = decode_plan({"dataset": "bike_rides", "where": where, "by": by, "measures": measures})
    assert question_words(plan, RIDES, "ko") == korean
    assert question_words(plan, RIDES, "en") == english


def test_a_list_is_never_cut_short() -> None:
    gu = [f"구{number}" for number in range(300)]
    plan = decode_plan(
        {
            "dataset": "bike_rides",
            "where": {"column": "start_gu", "op": "in", "values": gu},
            "by": [],
            "measures": {"n": {"fn": "count"}},
        }
    )
    for language in LANGUAGES:
        said = question_words(plan, RIDES, language)
        assert all(re.search(rf"{name}(?!\d)", said) for name in gu)


def test_a_column_that_the_catalog_no_longer_has_stands_there_by_its_name() -> None:
    plan = decode_plan({"dataset": "bike_rides", "by": ["old_key"], "measures": {"n": {"fn": "count"}}})
    assert "old_key" in question_words(plan, RIDES, "en") and "old_key" in question_words(plan, RIDES, "ko")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("구", "구를"),
        ("성별", "성별을"),
        ("대여이력 (가상 도시)", "대여이력 (가상 도시)을"),
        ("자료 ((가)나)", "자료 ((가)나)를"),
        ("2026-08", "2026-08을"),
        ("2026-09", "2026-09를"),
        ("data", "data를"),
        ("(가)", "(가)를"),
        ("", "를"),
    ],
)
def test_a_particle_fits_the_sound_of_its_word(word: str, said: str) -> None:
    assert with_particle(word, "을", "를") == said
