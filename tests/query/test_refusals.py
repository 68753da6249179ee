"""What cannot be asked, and that nothing an asker sends ends in anything but a code."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_access.errors import CivicError
from data_access.query import KeyColumn, MeasureColumn, Schema, bind, decode_plan
from data_access.query.compiler import compile_sql
from tests.query.strategies import BAND, HOUR, PERIODS, SCHEMA, SEASON

PLAN: dict[str, Any] = {"dataset": "rides", "by": ["gu"], "measures": {"n": {"fn": "count"}}}


def code_of(document: Any, schema: Schema = SCHEMA) -> str | None:
    """The refusal's code, None where the plan may run; whatever may run can be compiled."""
    try:
        compile_sql(bind(decode_plan(document), schema))
    except CivicError as refusal:
        assert len(str(refusal.facts)) < 1000, "a hostile name must not fill a log"
        return refusal.code
    return None


MISSING: dict[str, Any] = {"column": "minutes", "op": "null"}


def measured(**measure: Any) -> dict[str, Any]:
    return PLAN | {"measures": {"n": measure}}


def where(column: Any, op: Any, **value: Any) -> dict[str, Any]:
    return PLAN | {"where": {"column": column, "op": op, **value}}


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (PLAN, None),
        (PLAN | {"by": ["secret"]}, "unknown_column"),
        (PLAN | {"by": ["unit"]}, "unknown_column"),
        (PLAN | {"by": ["period"]}, "unknown_column"),
        (PLAN | {"by": ["at"]}, "plan_invalid"),
        (PLAN | {"by": ["gu", "gu"]}, "plan_invalid"),
        (PLAN | {"by": ["gu\n"]}, "plan_invalid"),
        (PLAN | {"by": "gu"}, "plan_invalid"),
        (PLAN | {"by": [{"fn": "hour", "column": "gu"}]}, "plan_invalid"),
        (PLAN | {"by": [{"fn": "minute", "column": "at"}]}, "unknown_function"),
        (PLAN | {"by": [{"fn": "hour", "column": "at", "more": 1}]}, "plan_invalid"),
        (PLAN | {"measures": {}}, "plan_invalid"),
        (PLAN | {"measures": {"n": {"fn": "median"}}}, "unknown_function"),
        (PLAN | {"measures": {"n" * 5000: {"fn": "median"}}}, "plan_invalid"),
        (PLAN | {"measures": {"n": {"fn": "count", "weight": 0}}}, "plan_invalid"),
        (PLAN | {"measures": {"n": {"fn": "count", "weight": True}}}, "plan_invalid"),
        (PLAN | {"measures": {"gu": {"fn": "count"}}}, "plan_invalid"),
        (PLAN | {"measures": {"n": {"fn": "count"}, "n_low": {"fn": "count"}}}, "plan_invalid"),
        (PLAN | {"measures": {"withheld": {"fn": "count"}}}, "plan_invalid"),
        (PLAN | {"rows": ["gu"]}, "rows_refused"),
        (PLAN | {"surprise": 1}, "plan_invalid"),
        (where("gu", "eq", value="서울"), "value_outside_domain"),
        (where("gu", "in", values=["중구", "서울"]), "value_outside_domain"),
        (where("gu", "in", values=[]), "plan_invalid"),
        (where("gu", "lt", value="중구"), "plan_invalid"),
        (where("gu", "eq", value=None), "plan_invalid"),
        (where("gu", "like", value="%"), "plan_invalid"),
        (where("month", "eq", value="2026-03"), "value_outside_domain"),
        (where(HOUR, "eq", value=24), "value_outside_domain"),
        (where(HOUR, "eq", value="8"), "value_outside_domain"),
        (where(HOUR, "eq", value=True), "plan_invalid"),
        (where(HOUR, "eq", value=8.0), "plan_invalid"),
        (where(HOUR, "between", values=[1, 2, 3]), "plan_invalid"),
        (where("at", "eq", value="2026-01-01"), "plan_invalid"),
        (where("at", "ge", value="2026-1-1"), "plan_invalid"),
        (where("at", "ge", value="20260101"), "plan_invalid"),
        (where("at", "ge", value="2026-02-30"), "plan_invalid"),
        (where("at", "ge", value="2026-01-01T00:00:00"), "plan_invalid"),
        (where("at", "between", values=["2026-01-01", "9999-12-31"]), "plan_invalid"),
        (where("at", "between", values=["2026-01-01", "3000-01-01"]), "plan_invalid"),
        (where("at", "lt", value="3000-01-01"), None),
        (where("at", "lt", value="0001-01-01"), "plan_invalid"),
        (where("at", "ge", value=20260101), "plan_invalid"),
        (measured(fn="sum", column="minutes"), None),
        (measured(fn="sum"), "plan_invalid"),
        (measured(fn="sum", column="gu"), "unknown_column"),
        (measured(fn="sum", column="at"), "unknown_column"),
        (measured(fn="sum", column="unit"), "unknown_column"),
        (measured(fn="sum", column="minutes", at=[50]), "plan_invalid"),
        (measured(fn="sum", column='minutes"'), "plan_invalid"),
        (measured(fn="count", column="minutes"), "plan_invalid"),
        (measured(fn="histogram", column="change"), "bins_missing"),
        (measured(fn="quantiles", column="change"), "bins_missing"),
        (measured(fn="histogram", column="minutes", bins=[0, 1, 2]), "plan_invalid"),
        (measured(fn="quantiles", column="minutes", at=[]), "plan_invalid"),
        (measured(fn="quantiles", column="minutes", at=[0]), "plan_invalid"),
        (measured(fn="quantiles", column="minutes", at=[50, 50]), "plan_invalid"),
        (measured(fn="quantiles", column="minutes", at=[True]), "plan_invalid"),
        (measured(fn="quantiles", column="minutes", at=[0.5]), "plan_invalid"),
        (measured(fn="share"), None),
        (measured(fn="share", within=["gu"]), "plan_invalid"),
        (measured(fn="share", within=["sex"]), "plan_invalid"),
        (measured(fn="share") | {"by": []}, "plan_invalid"),
        (measured(fn="share", within=[], where=MISSING), None),
        (measured(fn="share", within=["gu"], where=MISSING), "plan_invalid"),
        (measured(fn="share", where={"or": [MISSING, {"not": MISSING}]}), None),
        (
            measured(fn="share", where={"column": "month", "op": "in", "values": list(PERIODS)}),
            "plan_invalid",
        ),
        (measured(fn="share", where={"column": "secret", "op": "null"}), "unknown_column"),
        (PLAN | {"where": MISSING | {"column": "gu"}}, "unknown_column"),
        (PLAN | {"where": MISSING | {"column": "at"}}, "unknown_column"),
        (PLAN | {"where": MISSING | {"value": 1}}, "plan_invalid"),
        (PLAN | {"by": [{"fn": "band", "column": "change"}]}, "bins_missing"),
        (PLAN | {"by": [{"fn": "band", "column": "gu"}]}, "unknown_column"),
        (PLAN | {"by": [{"fn": "season", "column": "at"}]}, "plan_invalid"),
        (where(BAND, "lt", value="1..4"), "plan_invalid"),
        (where(BAND, "eq", value="1..5"), "value_outside_domain"),
        (where(SEASON, "between", values=["spring", "winter"]), "plan_invalid"),
        (where("minutes", "gt", value=5), "unknown_column"),
        (PLAN | {"measures": {f"n{i}": {"fn": "count"} for i in range(8)}}, None),
        (
            PLAN | {"measures": {f"n{i}": {"fn": "sum", "column": "minutes"} for i in range(8)}},
            "plan_invalid",
        ),
        (
            PLAN | {"measures": {"n": {"fn": "histogram", "column": "minutes"}, "n_bin2": {"fn": "count"}}},
            "plan_invalid",
        ),
        ({"dataset": "rides"}, "plan_invalid"),
        ([], "plan_invalid"),
        (None, "plan_invalid"),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)[-60:],
)
def test_each_fault_has_its_code(document: Any, code: str | None) -> None:
    assert code_of(document) == code


def test_persons_have_no_meaning_where_the_unit_is_a_row() -> None:
    rows = Schema("rides", SCHEMA.keys, "at", SCHEMA.periods, counts_persons=False)
    assert code_of(PLAN | {"measures": {"n": {"fn": "persons"}}}, rows) == "measure_refused"


def test_a_hundred_thousand_cells_are_allowed_and_one_more_is_not() -> None:
    def plan(last: int) -> str | None:
        keys = {
            name: KeyColumn(name, tuple(map(str, range(size))), False)
            for name, size in (("a", 1000), ("b", last))
        }
        document = PLAN | {"by": ["a", "b"]}
        return code_of(document, Schema("rides", keys, "at", SCHEMA.periods, True))

    assert plan(100) is None
    assert plan(101) == "too_many_cells"


def test_a_histogram_counts_with_each_of_its_bins() -> None:
    places = {"a": KeyColumn("a", tuple(map(str, range(1000))), False)}

    def code(bins: int) -> str | None:
        clip = {"x": MeasureColumn("x", 0, bins, tuple(range(bins + 1)))}
        document = PLAN | {"by": ["a"], "measures": {"n": {"fn": "histogram", "column": "x"}}}
        return code_of(document, Schema("rides", places, "at", SCHEMA.periods, True, clip))

    assert code(100) is None
    assert code(101) == "too_many_cells"


def _nested(depth: int, word: str) -> dict[str, Any]:
    node: Any = {"column": "sex", "op": "eq", "value": "F"}
    for _ in range(depth):
        node = {word: node} if word == "not" else {word: [node]}
    return PLAN | {"where": node}


@pytest.mark.parametrize("word", ["and", "or", "not"])
def test_deep_and_wide_filters_are_refused_before_they_cost_anything(word: str) -> None:
    assert code_of(_nested(20, word)) is None
    for depth in (21, 300, 900):
        assert code_of(_nested(depth, word)) == "plan_invalid"
    one = {"column": "sex", "op": "eq", "value": "F"}
    assert code_of(PLAN | {"where": {"and": [one] * 999}}) is None
    assert code_of(PLAN | {"where": {"and": [one] * 1000}}) == "plan_invalid"
    many = [{"column": "at", "op": "ge", "value": f"{1900 + n}-01-01"} for n in range(900)]
    assert code_of(PLAN | {"where": {"or": many}}) is None


def test_ten_thousand_keys_and_values_are_refused() -> None:
    assert code_of({f"k{n}": n for n in range(10_000)}) == "plan_invalid"
    assert code_of(PLAN | {"measures": {f"k{n}": {"fn": "count"} for n in range(10_000)}}) == "plan_invalid"
    assert code_of(where("sex", "in", values=["F"] * 10_000)) == "plan_invalid"


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["\ud800", "\x00", "rides", "gu", "at", "month", "eq", "in", 2**53, -(2**80), "x" * 200]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from(
                ["dataset", "where", "by", "measures", "column", "op", "value", "values", "fn", "and"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=400, deadline=None, print_blob=True)
@given(document=_JSON)
def test_hostile_json_ends_in_a_code(document: Any) -> None:
    code_of(document)
    if isinstance(document, dict):
        code_of(PLAN | document)
        code_of(PLAN | {"where": document})
        code_of(PLAN | {"measures": document})
    code_of(PLAN | {"by": [document], "where": {"and": [document]}})
