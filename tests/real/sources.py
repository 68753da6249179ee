"""What the real files hold, read by other means than the product's: true counts, and values that must not leave."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pandas as pd

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CIVIC_SHARED_DATA") or CHECKOUT.parent / "shared" / "data")
TRIPS = SHARED / "bike" / "ttareungi_trips_201709_sample1000.csv"
STATIONS = SHARED / "bike" / "ttareungi_stations_2019_utf8bom.csv"
ACCIDENTS = SHARED / "bike" / "taas_bike_accidents_2017.csv"
GU = (
    *("강남구", "강동구", "강북구", "강서구", "관악구", "광진구", "구로구", "금천구", "노원구", "도봉구"),
    *("동대문구", "동작구", "마포구", "서대문구", "서초구", "성동구", "성북구", "송파구", "양천구"),
    *("영등포구", "용산구", "은평구", "종로구", "중구", "중랑구"),
)


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, encoding="utf-8-sig", keep_default_na=False)


@cache
def trips() -> pd.DataFrame:
    """One row a trip: `start_gu` (`other` where the station is not listed), `month`, `hour`."""
    stations = _read(STATIONS)
    listed = {int(n): gu for n, gu in zip(stations["대여소ID"], stations["대여소_구"], strict=True) if n}
    raw = _read(TRIPS)
    when = pd.to_datetime(raw["대여일시"])
    return pd.DataFrame(
        {
            "start_gu": [listed.get(int(n), "other") for n in raw["대여 대여소번호"]],
            "month": when.dt.strftime("%Y-%m"),
            "hour": when.dt.hour,
        }
    )


@cache
def accidents() -> pd.DataFrame:
    """One row an accident: `gu`, `month`, `hour`."""
    raw = _read(ACCIDENTS)
    when = pd.to_datetime(raw["사고일시"], format="%Y년 %m월 %d일 %H시")
    return pd.DataFrame(
        {
            "gu": raw["시군구"].str.split().str[1],
            "month": when.dt.strftime("%Y-%m"),
            "hour": when.dt.hour,
        }
    )


def true_counts(rows: pd.DataFrame, keys: list[str], cells: Iterable[tuple[object, ...]]) -> list[int]:
    """Rows in each of `cells`, in their order; 0 where there are none."""
    counted = rows.groupby(keys).size().to_dict()
    return [int(counted.get(cell, 0)) for cell in cells]


#: kind → how such a value looks wherever it stands. Times are written `T` or blank alike.
SHAPES = {
    "bike number": r"SPB-\d+",
    "accident number": r"(?<!\d)\d{16}(?!\d)",
    "minute of a trip": r"2017-\d\d-\d\d[ T]\d\d:\d\d",
    "day of a trip": r"2017-\d\d-\d\d",
    "hour of an accident": r"2017년 \d+월 \d+일 \d+시",
    "day of an accident": r"2017년 \d+월 \d+일",
    "station id": r"(?<![\w-])ST-\d+",
    "station number": r"(?<![\w.#-])\d{5}(?![\w.-])",
    "age": r"(?<!\d)\d{1,3}세",
    # Bare, between blanks, commas, quotes or tags. No figure of the report is as large as a birth year.
    "birth year": r"(?<![\w.+/=#-])(?:19|20)\d\d(?![\w.+/=:-])",
}


@cache
def person_level_values() -> dict[str, frozenset[str]]:
    """Kind → every value of it in the two person-level files."""
    trip, accident = _read(TRIPS), _read(ACCIDENTS)
    moments = pd.concat([trip["대여일시"], trip["반납일시"]])
    people = pd.concat([accident["가해운전자 연령"], accident["피해운전자 연령"]])
    found = {
        "bike number": trip["자전거번호"],
        "accident number": accident["사고번호"],
        "minute of a trip": moments.str[:16],
        "day of a trip": moments.str[:10],
        "hour of an accident": accident["사고일시"],
        "day of an accident": accident["사고일시"].str.rsplit(" ", n=1).str[0],
        "station id": pd.concat([trip["대여대여소ID"], trip["반납대여소ID"]]),
        "station number": pd.concat([trip["대여 대여소번호"], trip["반납대여소번호"]]),
        "age": people[people.str.fullmatch(r"\d+세")],
        "birth year": trip["생년"][trip["생년"].str.fullmatch(r"\d{4}")],
        "station": pd.concat([trip["대여 대여소명"], trip["반납대여소명"]]),
        "dong": accident["시군구"].str.split().str[2],
    }
    return {kind: frozenset(values) - {"", "\\N"} for kind, values in found.items()}


def values_in(words: str) -> dict[str, set[str]]:
    """Which person-level values stand in `words`, by kind; kinds without any are left out."""
    found: dict[str, set[str]] = {}
    for kind, values in person_level_values().items():
        if kind in SHAPES:
            shown = {
                m.group().replace("T", " ") if "trip" in kind else m.group() for m in _shape(kind, words)
            }
            found[kind] = shown & values
        else:
            # A name of a dong or station may be the end of a longer word: only its start is looked at.
            found[kind] = {v for v in values if v in words and re.search(rf"(?<!\w){re.escape(v)}", words)}
    return {kind: values for kind, values in found.items() if values}


def _shape(kind: str, words: str) -> Iterable[re.Match[str]]:
    return re.finditer(SHAPES[kind], words)
