"""Plans and rows drawn from one small schema, so that filters and rows meet."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from data_access.errors import PlanInvalid
from data_access.query import KeyColumn, MeasureColumn, Plan, Schema, bind, decode_plan

PERIODS = ("2026-01", "2026-02", "2026-12")
GU = ("강남구", "중구", "o'구")
SEX = ("F", "M")
SCHEMA = Schema(
    dataset="rides",
    keys={"gu": KeyColumn("gu", GU, True), "sex": KeyColumn("sex", SEX, False)},
    time_column="at",
    periods=PERIODS,
    counts_persons=True,
    # An odd sum of the ends, so that the clip's middle lies on a half; one bin of a single number.
    measures={
        "minutes": MeasureColumn("minutes", 0, 11, (0, 1, 5, 11)),
        "change": MeasureColumn("change", -3, 2),
    },
)
HOUR = {"fn": "hour", "column": "at"}
WEEKDAY = {"fn": "weekday", "column": "at"}
SEASON = {"fn": "season", "column": "month"}
BAND = {"fn": "band", "column": "minutes"}
_DOMAINS: list[tuple[Any, tuple[Any, ...], bool]] = [
    ("gu", (*GU, "other"), False),
    ("sex", SEX, False),
    ("month", PERIODS, True),
    (HOUR, tuple(range(24)), True),
    (WEEKDAY, tuple(range(7)), True),
    # All periods are winter, and what lets no row through compares nothing.
    (SEASON, ("winter", "winter", "winter", "spring", "summer", "autumn"), False),
    (BAND, ("0..0", "1..4", "5..11", "other"), False),
]
#: Every operation with every key that has it, so that none is rare.
_ASKABLE = [
    (op, key)
    for op in ("le", "gt", "lt", "ge", "between", "eq", "ne", "in")
    for key in _DOMAINS
    if key[2] or op in ("eq", "ne", "in")
]
_KEYS = ["gu", "sex", "month", HOUR, WEEKDAY, SEASON, BAND]
#: Days in, between and beside the periods, with the ends of months.
_DAYS = st.sampled_from(
    [
        *("1900-01-01", "2025-12-31", "2026-01-01", "2026-01-15", "2026-01-31", "2026-02-01", "2026-02-28"),
        *("2026-03-01", "2026-11-30", "2026-12-01", "2026-12-24", "2026-12-31", "2027-01-01", "2999-12-31"),
    ]
)


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.integers(0, 4)) == 0:
        op = draw(st.sampled_from(["ge", "lt", "between"]))
        days = [draw(_DAYS), draw(_DAYS)]
        return {"column": "at", "op": op} | ({"values": days} if op == "between" else {"value": days[0]})
    if draw(st.integers(0, 3)) == 0:
        return {
            "column": draw(st.sampled_from(["minutes", "change"])),
            "op": draw(st.sampled_from(["null", "not_null"])),
        }
    op, (column, domain, _) = draw(st.sampled_from(_ASKABLE))
    value = st.sampled_from(domain)
    if op == "in":
        return {"column": column, "op": op, "values": draw(st.lists(value, min_size=1, max_size=6))}
    if op == "between":
        return {"column": column, "op": op, "values": [draw(value), draw(value)]}
    return {"column": column, "op": op, "value": draw(value)}


def filters() -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        comparisons(),
        lambda inner: st.one_of(
            st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
            st.builds(lambda part: {"not": part}, inner),
        ),
        max_leaves=8,
    )


def _either() -> st.SearchStrategy[dict[str, Any]]:
    """Wide filters: many operations in one plan, and rows that pass."""
    return st.lists(filters(), min_size=2, max_size=4).map(lambda parts: {"or": parts})


@st.composite
def measures(draw: st.DrawFn, by: list[Any]) -> dict[str, Any]:
    kind = draw(st.sampled_from(["count", "persons", "sum", "mean", "share", "histogram", "quantiles"]))
    measure: dict[str, Any] = {"fn": kind}
    match kind:
        case "sum" | "mean":
            measure["column"] = draw(st.sampled_from(["minutes", "change"]))
        case "histogram":
            measure["column"] = "minutes"
        case "quantiles":
            measure["column"] = "minutes"
            measure["at"] = draw(st.lists(st.integers(1, 99), min_size=1, max_size=3, unique=True))
        case "share":
            if by and draw(st.integers(0, 2)):
                measure["within"] = draw(st.lists(st.sampled_from(by), max_size=len(by) - 1, unique_by=str))
            else:
                # Not all months and not none: a condition that holds always or never is refused.
                measure["where"] = {
                    "and": [
                        draw(filters()),
                        {"column": "sex", "op": "eq", "value": draw(st.sampled_from(SEX))},
                    ]
                }
    if draw(st.booleans()):
        measure["weight"] = draw(st.integers(1, 1000))
    return measure


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    by = draw(
        st.lists(
            st.sampled_from(range(len(_KEYS))), min_size=draw(st.integers(0, 1)), max_size=2, unique=True
        )
    )
    names = draw(
        st.lists(st.sampled_from(["n", "who", "period", "at", "unit"]), min_size=1, max_size=3, unique=True)
    )
    keys = [_KEYS[place] for place in by]
    chosen = {name: draw(measures(keys)) for name in names}
    return {
        "dataset": "rides",
        "where": draw(draw(st.sampled_from([st.none(), filters(), _either(), _either()]))),
        "by": keys,
        "measures": chosen,
    }


def documents() -> st.SearchStrategy[dict[str, Any]]:
    return _documents().filter(_is_bound)


def plans() -> st.SearchStrategy[Plan]:
    return documents().map(decode_plan)


def _is_bound(document: dict[str, Any]) -> bool:
    """Only a share whose condition turns out to hold for all rows or for none is refused."""
    try:
        bind(decode_plan(document), SCHEMA)
    except PlanInvalid as refusal:
        assert str(refusal.facts["where"]).startswith("share: its condition")
        return False
    return True


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows as a private view has them: time on the full hour, a value of its domain in each key."""
    found = []
    for _ in range(draw(st.sampled_from([12, 6, 1, 0]))):
        period = draw(st.sampled_from(PERIODS))
        year, month = map(int, period.split("-"))
        first = datetime(year, month, 1)
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        hours = draw(st.integers(0, last.day * 24 - 1) | st.sampled_from([0, last.day * 24 - 1]))
        found.append(
            {
                "period": period,
                "unit": draw(st.integers(1, 4)),
                "at": first + timedelta(hours=hours),
                "gu": draw(st.sampled_from([*GU, "other"])),
                "sex": draw(st.sampled_from(SEX)),
                "minutes": draw(st.none() | st.integers(0, 11)),
                "change": draw(st.none() | st.integers(-3, 2)),
            }
        )
    return found
