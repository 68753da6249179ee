"""Values and ranges as a citizen reads them, in Korean and English."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from civic_kernel.places import place_name
from civic_kernel.texts import Language, keys, text

SEOUL = ZoneInfo("Asia/Seoul")
_MONTH = re.compile(r"(\d{4})-(\d{2})")


def number(value: float, digits: int = 0) -> str:
    """`9,800`; with `digits` decimals where the value is no whole number. A true minus sign, not a hyphen."""
    spelled = f"{value:,.{0 if isinstance(value, int) else digits}f}"
    return spelled.replace("-", "−")


def between(low: float, high: float, language: Language, digits: int = 0) -> str:
    """`9,800에서 10,700 사이`."""
    return text(language, "report", "range", low=number(low, digits), high=number(high, digits))


def month(value: str, language: Language) -> str:
    """`2026년 9월` for `2026-09`; anything else unchanged."""
    found = _MONTH.fullmatch(value)
    if found is None:
        return value
    year, place = int(found[1]), int(found[2])
    return text(language, "report", "months", year=year, month=place, name=calendar.month_name[place])


def moment(spelled: str) -> datetime:
    """Of `2026-11-23T13:40:00Z`, as every signed document spells it."""
    return datetime.strptime(spelled, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def day_in_words(spelled: str, language: Language) -> str:
    """A moment's day in Seoul: `2026년 11월 23일`."""
    day = moment(spelled).astimezone(SEOUL)
    if language == "ko":
        return f"{day.year}년 {day.month}월 {day.day}일"
    return f"{day.day} {day.strftime('%B')} {day.year}"


def key_value(column: str, value: Any, language: Language) -> str:
    """A key as a person says it: a gu in the reader's language, `미상` for `other`, months in words."""
    match column, value:
        case "weekday", int():
            return text(language, "report", f"weekday.{value}")
        case "hour", int():
            return text(language, "report", "hour", hour=value)
        case _, str():
            return place_name(month(value, language), language)
        case _:
            return str(value)


def span(months: Sequence[str], language: Language) -> str:
    """A choice of months as a label: one, a row of following months (`2025년 10월부터 …까지`), or a list."""
    ends = _row(months)
    if ends is not None:
        return text(
            language, "report", "months.span", first=month(ends[0], language), last=month(ends[1], language)
        )
    return ", ".join(month(one, language) for one in sorted(months))


def during(months: Sequence[str], language: Language) -> str:
    """The same inside a sentence: `2026년 9월에`, `in September 2026`."""
    ends = _row(months)
    if ends is not None:
        first, last = month(ends[0], language), month(ends[1], language)
        return text(language, "report", "during.span", first=first, last=last)
    return text(language, "report", "during.months", months=span(months, language))


def _row(months: Sequence[str]) -> tuple[str, str] | None:
    """First and last of several months that follow each other without a gap."""
    ordered = sorted(months)
    places = [12 * int(one[:4]) + int(one[5:7]) for one in ordered]
    whole = len(ordered) > 1 and places == list(range(places[0], places[0] + len(places)))
    return (ordered[0], ordered[-1]) if whole else None


def value_words(column: str, value: object, language: Language) -> str:
    """A key as a person says it: what key_value knows, legal dong by name, and the words of the city's own classes."""
    if isinstance(value, str):
        named = f"value.{value}"
        if named in keys(language, "forms"):
            return text(language, "forms", named)
        if value.isdigit() and len(value) == 10:
            return _dong().get(value, value)
    return key_value(column, value, language)


@cache
def _dong() -> Mapping[str, str]:
    from civic_kernel.places import dong_table

    return {code: f"{gu} {name}" for code, gu, name, *_ in dong_table()}
