"""Joins with public tables happen once, at load, through keys proved unique; a row is never lost or doubled by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from making import CATALOG, trip, write_trips

from data_access.catalog import Dataset
from data_access.catalog.entry import parse_entry
from data_access.errors import LoadFileMissing, LoadValue, PolicyMalformed
from data_access.intake import read_files

MORE = """
  rain: {op: lookup, table: weather, column: started_at, key: day, value: rain, label: {ko: 비, en: Rain},
         classes: [{name: dry, below: "0.1"}, {name: light, below: "10"}, {name: heavy}]}
  size: {op: lookup, table: facts, column: gu, key: gu, value: residents, label: {ko: 크기, en: Size},
         classes: [{name: small, below: "130000"}, {name: large}]}
  side: {op: lookup, table: facts, column: gu, key: gu, value: side, label: {ko: 쪽, en: Side}}
public_tables:
  weather:
    file: weather.csv
    key: day
    columns:
      day: {source: 일시, type: text, required: true, label: {ko: 날, en: Day}}
      rain: {source: 강수량, type: decimal, label: {ko: 비, en: Rain}}
  facts:
    file: facts.csv
    key: gu
    columns:
      gu: {source: 구, type: text, required: true, label: {ko: 구, en: Gu}}
      residents: {source: 거주자, type: integer, label: {ko: 거주자, en: Residents}}
      side: {source: 쪽, type: text, label: {ko: 쪽, en: Side}}
"""
WEATHER = "일시,강수량\n2026-09-01,0.0\n2026-09-02,0.1\n2026-09-03,10.0\n2026-09-04,\n"
FACTS = "구,거주자,쪽\n종로구,140000,북\n중구,129999,\n"


def dataset(more: str = MORE) -> Dataset:
    return parse_entry(CATALOG.replace("\npublic_tables:", more, 1), "trips.yaml")


def read(
    folder: Path, *rows: tuple[str, ...], weather: str = WEATHER, facts: str = FACTS
) -> list[dict[str, Any]]:
    path = write_trips(folder / "rides.csv", rows)
    (folder / "weather.csv").write_text(weather, "utf-8")
    (folder / "facts.csv").write_text(facts, "utf-8")
    [table] = read_files(dataset(), [path])
    return [dict(row) for row in table.to_pylist()]


def test_the_weather_of_a_rides_day_and_the_facts_of_its_gu_become_columns(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        trip(time="2026-09-01 00:00:00"),
        trip(time="2026-09-01 23:59:59", station="102"),
        trip(time="2026-09-02 08:00:00", station="999"),
        trip(time="2026-09-03 08:00:00", station=""),
        trip(time="2026-09-04 08:00:00"),
        trip(time="2026-09-05 08:00:00"),
    )
    assert [row["rain"] for row in found] == ["dry", "dry", "light", "heavy", None, None]
    assert [row["size"] for row in found] == ["large", "small", None, None, "large", "large"]
    assert [row["side"] for row in found] == ["북", None, None, None, "북", "북"]


def test_a_day_that_stands_twice_is_refused_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(LoadValue) as caught:
        read(tmp_path, trip(), weather=WEATHER + "2026-09-01,3.0\n")
    assert caught.value.facts == {"file": "weather.csv", "line": 6, "column": "일시"}


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "rides.csv", [trip()])
    with pytest.raises(LoadFileMissing):
        list(read_files(dataset(), [path]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("column: gu, key: gu, value: residents", "column: member, key: gu, value: residents"),
        ("column: gu, key: gu, value: residents", "column: side, key: gu, value: residents"),
        ("value: side", "value: nothing"),
        ("key: gu, value: side", "key: side, value: side"),
        ('below: "130000"', "below: 130000"),
        (", {name: large}", ""),
        ('{name: dry, below: "0.1"}', '{name: dry, below: "20"}'),
        ('{name: dry, below: "0.1"}', '{name: light, below: "0.1"}'),
        ("value: side, label", "value: side, classes: [{name: all}], label"),
    ],
)
def test_lookups_that_cannot_be_followed_are_refused_with_the_catalog(old: str, new: str) -> None:
    dataset()
    assert old in MORE
    with pytest.raises(PolicyMalformed):
        dataset(MORE.replace(old, new))


def test_an_entry_without_classes_keeps_the_hash_that_was_signed() -> None:
    assert "classes" not in parse_entry(CATALOG, "trips.yaml").model_dump(mode="json")["derived"]["gu"]
    assert "classes" in dataset().model_dump(mode="json")["derived"]["rain"]
