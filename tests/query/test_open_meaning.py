"""What a question to an open dataset means: DuckDB and the slow interpreter agree, value by value, gaps included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civic_kernel.sql_text import sql_of
from data_access.answers.opened import cells_page, mean_text, rows_page, shown
from data_access.errors import CivicError
from data_access.query.codec import decode_open, encode_open
from data_access.query.nodes import Comparison, KeyFunction, Rows
from data_access.query.open_binding import OpenBound, bind_open, column_of
from data_access.query.open_compiler import compile_matching, compile_open
from data_access.query.open_reference import interpret_cells, interpret_rows
from data_access.query.open_schema import OpenColumn, OpenSchema, OpenType
from data_access.query.sql import decode_open_sql, decode_sql

SCHEMA = OpenSchema(
    "sensors",
    {
        "at": OpenColumn("at", OpenType.MOMENT),
        "day": OpenColumn("day", OpenType.DAY),
        "gu": OpenColumn("gu", OpenType.TEXT),
        "pm10": OpenColumn("pm10", OpenType.INTEGER),
        "no2": OpenColumn("no2", OpenType.DECIMAL, 3),
    },
    "at",
)
ARROW = pa.schema(
    {
        **{"_place": pa.int64(), "_period": pa.string(), "at": pa.timestamp("us"), "day": pa.timestamp("us")},
        **{"gu": pa.string(), "pm10": pa.int64(), "no2": pa.int64()},
    }
)
HOUR, WEEKDAY = {"fn": "hour", "column": "at"}, {"fn": "weekday", "column": "at"}
SEASON = {"fn": "season", "column": "month"}
GU = ("강남구", "중구", "o'구", "")
DAYS = ("2026-01-01", "2026-01-02", "2026-02-28", "2026-12-31")

_numbers = st.integers(-3, 3) | st.sampled_from([2**53, -(2**53) - 1])
_decimals = st.sampled_from(["-0.001", "0", "0.030", "1.5", "-2", "999999999999.999"])
#: column → (values of a filter, whether it has an order).
_COLUMNS: dict[str, tuple[Any, st.SearchStrategy[Any], bool]] = {
    "gu": ("gu", st.sampled_from(GU), False),
    "pm10": ("pm10", _numbers.filter(lambda n: abs(n) < 2**53), True),
    "no2": ("no2", _decimals | st.integers(-2, 2), True),
    "day": ("day", st.sampled_from(DAYS), True),
    "month": ("month", st.sampled_from(["2026-01", "2026-02", "2026-12"]), True),
    "hour": (HOUR, st.integers(0, 23), True),
    "weekday": (WEEKDAY, st.integers(0, 6), True),
    "season": (SEASON, st.sampled_from(["spring", "winter"]), False),
}


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    # The column first, so that none is rare.
    name = draw(st.sampled_from([*_COLUMNS, "at", "missing", "missing"]))
    if name == "missing":
        column = draw(st.sampled_from(list(SCHEMA.columns)))
        return {"column": column, "op": draw(st.sampled_from(["null", "not_null"]))}
    if name == "at":
        op = draw(st.sampled_from(["ge", "lt", "between"]))
        days = [draw(st.sampled_from(DAYS)), draw(st.sampled_from(DAYS))]
        return {"column": "at", "op": op} | ({"values": days} if op == "between" else {"value": days[0]})
    key, values, has_order = _COLUMNS[name]
    equal, ordered = ["eq", "ne", "in"], ["le", "gt", "lt", "ge", "between"]
    op = draw(st.sampled_from([*equal, *ordered] if has_order else equal))
    if op == "in":
        return {"column": key, "op": op, "values": draw(st.lists(values, min_size=1, max_size=3))}
    if op == "between":
        return {"column": key, "op": op, "values": [draw(values), draw(values)]}
    return {"column": key, "op": op, "value": draw(values)}


filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
#: Several conditions at once, so that a few hundred questions have each of them.
_several = st.builds(
    lambda word, parts: {word: parts},
    st.sampled_from(["and", "or"]),
    st.lists(comparisons(), min_size=3, max_size=6),
)
_MEASURES = st.sampled_from(
    [{"fn": "count"}, *({"fn": fn, "column": column} for fn in ("sum", "mean") for column in ("pm10", "no2"))]
)


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    document = {"dataset": "sensors", "where": draw(st.none() | filters | _several | _several)}
    if draw(st.booleans()):
        columns = draw(
            st.lists(st.sampled_from(list(SCHEMA.columns)), min_size=1, unique=True) | st.just(["*"])
        )
        return document | {"rows": columns, "limit": draw(st.none() | st.integers(1, 5))}
    keys = ["gu", "pm10", "no2", "day", "at", "month", HOUR, WEEKDAY, SEASON]
    by = draw(st.lists(st.sampled_from(range(len(keys))), max_size=3, unique=True))
    names = draw(st.lists(st.sampled_from(["n", "m", "period"]), min_size=1, unique=True))
    return document | {"by": [keys[n] for n in by], "measures": {name: draw(_MEASURES) for name in names}}


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows as the catalog types them."""
    moments = st.sampled_from([datetime.fromisoformat(day) for day in DAYS])
    return [
        {
            "at": draw(moments) + timedelta(minutes=draw(st.sampled_from([0, 1, 59, 60, 1439]))),
            "day": draw(st.none() | moments),
            "gu": draw(st.none() | st.sampled_from(GU)),
            "pm10": draw(st.none() | _numbers),
            "no2": draw(st.none() | _decimals.map(Decimal)),
        }
        for _ in range(draw(st.integers(0, 10)))
    ]


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:", config={"threads": "1"})
    yield connection
    connection.close()


def held(data: list[dict[str, Any]]) -> pa.Table:
    """The same rows as an open view holds them."""
    return pa.Table.from_pylist(
        [
            row
            | {"_place": place, "_period": row["at"].strftime("%Y-%m")}
            | {"no2": None if row["no2"] is None else int(row["no2"].scaleb(3))}
            for place, row in enumerate(data, 1)
        ],
        schema=ARROW,
    )


def run(engine: duckdb.DuckDBPyConnection, sql: str) -> dict[str, list[Any]]:
    found = engine.execute(sql).to_arrow_table()
    return {name: found[name].to_pylist() for name in found.column_names}


def written(value: Any, column: OpenColumn) -> Any:
    """A value of the interpreter's as an answer writes it."""
    if column.type is OpenType.DECIMAL and value is not None:
        value = value.scaleb(column.places)
    return shown(value, column)


def check(engine: duckdb.DuckDBPyConnection, document: dict[str, Any], data: list[dict[str, Any]]) -> None:
    asked = decode_open(document)
    bound = bind_open(asked, SCHEMA)
    engine.register("incoming", held(data))
    engine.execute('CREATE OR REPLACE TABLE "view" AS FROM incoming')
    if isinstance(asked, Rows):
        expected = [
            [
                written(value, SCHEMA.columns[name])
                for name, value in zip(bound.document["rows"], row, strict=True)
            ]
            for row in interpret_rows(asked, SCHEMA, data)
        ]
        found: list[Any] = []
        while True:
            [matching] = run(engine, compile_matching(bound))["matching"]
            page = rows_page(bound, run(engine, compile_open(bound, most=100)), 1, matching)
            assert matching == len(expected) and len(page.rows) <= (asked.limit or 10_000)
            found += page.rows
            if page.ended is None:
                break
            assert page.rows, "a page that goes on has rows"
            again = replace(asked, after=bound.continuation(page.ended))
            bound = bind_open(again, SCHEMA)
        assert found == expected
        return
    answer = cells_page(bound, run(engine, compile_open(bound, most=100)))
    cells = interpret_cells(asked, SCHEMA, data)
    keys = bound.plan.by
    place = {key: number for number, key in enumerate(asked.by)}
    expected_rows = {}
    for cell, measures in cells.items():
        shown_keys = tuple(written(cell[place[key]], column_of(key, SCHEMA)) for key in keys)
        expected_rows[shown_keys] = [figure(bound, name, measures[name]) for name, _ in bound.plan.measures]
    many = len(keys)
    assert {tuple(row[:many]): row[many:] for row in answer.rows} == expected_rows
    assert len(answer.rows) == len(expected_rows)


def figure(bound: OpenBound, name: str, value: Any) -> Any:
    measure = bound.document["measures"][name]
    if measure["fn"] == "count":
        return value
    column = SCHEMA.columns[measure["column"]]
    if measure["fn"] == "sum":
        return written(value, column)
    rows, total = value
    return mean_text(int(total.scaleb(column.places)), rows, column.places)


@settings(max_examples=100, deadline=None)
@given(document=questions())
def test_the_canonical_form_is_its_own_and_the_same_for_other_ways_of_writing(
    document: dict[str, Any],
) -> None:
    bound = bind_open(decode_open(document), SCHEMA)
    assert bind_open(decode_open(json.loads(json.dumps(bound.document))), SCHEMA).id == bound.id
    assert encode_open(bound.plan) == bound.document
    spelled = sql_of(bound.document)
    assert spelled is not None and bind_open(decode_open_sql(spelled), SCHEMA).id == bound.id
    if document["where"] is not None:
        same = document["where"]
        for other in ({"not": {"not": same}}, {"and": [same, same]}, {"or": [same]}):
            assert bind_open(decode_open(document | {"where": other}), SCHEMA).id == bound.id


@settings(max_examples=150, deadline=None, print_blob=True)
@given(document=questions(), data=tables())
def test_duckdb_answers_what_the_interpreter_reads_off_the_rows(
    engine: duckdb.DuckDBPyConnection, document: dict[str, Any], data: list[dict[str, Any]]
) -> None:
    check(engine, document, data)


#: A value of each column twice, a value that is missing, and the ends of days and months.
FIXED: list[dict[str, Any]] = [
    {
        "at": datetime.fromisoformat(at),
        "day": day and datetime.fromisoformat(day),
        "gu": gu,
        "pm10": pm10,
        "no2": None if no2 is None else Decimal(no2),
    }
    for at, day, gu, pm10, no2 in (
        ("2026-01-01 00:00", "2026-01-01", "중구", 0, "0.030"),
        ("2026-01-01 23:59", "2026-01-02", "o'구", -3, "-0.001"),
        ("2026-02-28 08:30", None, None, 2**53 - 1, "999999999999.999"),
        ("2026-02-28 08:30", "2026-02-28", "", 0, None),
        ("2026-12-31 12:00", "2026-02-28", "중구", None, "1.500"),
    )
]
#: column → values, of which some are there and some are not.
_VALUES: dict[str, list[Any]] = {
    "gu": ["중구", "강남구"],
    "pm10": [0, -1],
    "no2": ["0.03", 1],
    "day": ["2026-01-02", "2026-02-28"],
    "at": ["2026-01-01", "2026-02-28"],
    "month": ["2026-01", "2026-02"],
    "hour": [8, 23],
    "weekday": [3, 5],
    "season": ["winter", "spring"],
}


def every_operation() -> Iterator[dict[str, Any]]:
    """Each comparison of each column, and its opposite; each key with each measure; each column's rows."""
    keys = {name: key for name, (key, _, _) in _COLUMNS.items()} | {"at": "at"}
    for name, values in _VALUES.items():
        ordered = name == "at" or _COLUMNS[name][2]
        ops = ["ge", "lt"] if name == "at" else ["eq", "ne", *(["lt", "le", "gt", "ge"] if ordered else [])]
        tests = [{"column": keys[name], "op": op, "value": values[0]} for op in ops]
        tests += [{"column": keys[name], "op": "between", "values": values}] if ordered else []
        tests += [{"column": keys[name], "op": "in", "values": values}] if name != "at" else []
        tests += [{"column": name, "op": op} for op in ("null", "not_null")] if name in SCHEMA.columns else []
        for test in tests:
            for where in (test, {"not": test}):
                yield {"dataset": "sensors", "where": where, "rows": ["pm10", "at"]}
        measures = {"n": {"fn": "count"}} | {
            f"{fn}_{column}": {"fn": fn, "column": column}
            for fn in ("sum", "mean")
            for column in ("pm10", "no2")
        }
        yield {"dataset": "sensors", "where": None, "by": [keys[name]], "measures": measures}


def test_every_operation_of_the_open_lane_agrees_on_one_table_with_every_kind_of_value(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    documents = list(every_operation())
    words = json.dumps(documents)
    used = {f'"{word}"' for word in (*Comparison, "in", "between", "null", "not_null", "ne", "not")}
    used |= {f'"{fn}"' for fn in KeyFunction if fn is not KeyFunction.BAND} | {'"count"', '"sum"', '"mean"'}
    assert {word for word in used if word not in words} == set(), "a new operation is asked here too"
    for document in documents:
        check(engine, document, FIXED)


#: what follows SELECT | the same as JSON; `…` is FROM sensors
SELECTS = """
gu, no2 …                      | {"rows": ["gu", "no2"]}
* … LIMIT 10                   | {"rows": ["*"], "limit": 10}
gu AS gu … WHERE no2 > 0.05    | {"rows": ["gu"], "where": {"column": "no2", "op": "gt", "value": "0.05"}}
gu … WHERE -1 <= pm10          | {"rows": ["gu"], "where": {"column": "pm10", "op": "ge", "value": -1}}
gu … WHERE no2 IN (-1, 0.5)    | {"rows": ["gu"], "where": {"column": "no2", "op": "in", "values": [-1, "0.5"]}}
gu … WHERE gu IS NULL          | {"rows": ["gu"], "where": {"column": "gu", "op": "null"}}
gu … WHERE day = '2026-01-02'  | {"rows": ["gu"], "where": {"column": "day", "op": "eq", "value": "2026-01-02"}}
gu, avg(no2) AS m … GROUP BY gu | {"by": ["gu"], "measures": {"m": {"fn": "mean", "column": "no2"}}}
sum(pm10) AS s …               | {"measures": {"s": {"fn": "sum", "column": "pm10"}}}
"""
#: SQL | why not
REFUSED = """
SELECT gu, hour(at) FROM sensors                | sql_refused
SELECT 1 FROM sensors                           | sql_refused
SELECT DISTINCT gu FROM sensors                 | sql_refused
SELECT gu AS place FROM sensors                 | sql_refused
SELECT gu, gu FROM sensors                      | plan_invalid
SELECT *, gu FROM sensors                       | plan_invalid
SELECT gu FROM sensors ORDER BY gu              | sql_refused
SELECT gu FROM sensors LIMIT 10 OFFSET 5        | sql_refused
SELECT gu FROM sensors LIMIT 10001              | plan_invalid
SELECT gu FROM sensors LIMIT 0                  | plan_invalid
SELECT gu FROM sensors LIMIT ALL                | sql_refused
SELECT gu FROM sensors LIMIT 10 PERCENT         | sql_refused
SELECT gu FROM sensors LIMIT (SELECT 1)         | sql_refused
SELECT gu FROM sensors WHERE pm10 > -pm10       | sql_refused
SELECT gu FROM sensors WHERE pm10 > - - 1       | sql_refused
SELECT gu FROM sensors WHERE pm10 > 1e3         | sql_refused
SELECT gu, count(*) FROM sensors GROUP BY gu LIMIT 3 | sql_refused
SELECT gu FROM sensors GROUP BY gu              | sql_refused
SELECT median(pm10) FROM sensors                | sql_refused
SELECT gu FROM sensors, sensors                 | sql_refused
SELECT gu FROM read_csv('/etc/passwd')          | sql_refused
SELECT count(DISTINCT person) FROM sensors      | measure_refused
SELECT sum(gu) FROM sensors                     | unknown_column
SELECT member FROM sensors                      | unknown_column
SELECT gu FROM sensors WHERE gu > '중구'        | plan_invalid
SELECT gu FROM sensors WHERE pm10 > 'many'      | plan_invalid
SELECT gu FROM sensors WHERE no2 > 0.0005       | plan_invalid
SELECT gu FROM sensors WHERE at > DATE '2026-01-02' | plan_invalid
SELECT gu FROM sensors WHERE at = DATE '2026-01-02' | plan_invalid
SELECT gu FROM sensors WHERE month = '2026-13'  | plan_invalid
SELECT gu FROM sensors WHERE hour(at) = 24      | value_outside_domain
"""


def lines(table: str) -> list[tuple[str, str]]:
    return [(a.strip(), b.strip()) for a, b in (line.split("|") for line in table.strip().splitlines())]


@pytest.mark.parametrize(("text", "same"), lines(SELECTS))
def test_sql_asks_for_what_json_asks_for(text: str, same: str) -> None:
    document = {"dataset": "sensors", "where": None} | json.loads(same)
    text = f"SELECT {text.replace('…', 'FROM sensors')}"
    assert bind_open(decode_open_sql(text), SCHEMA).id == bind_open(decode_open(document), SCHEMA).id


@pytest.mark.parametrize(("text", "code"), lines(REFUSED))
def test_what_cannot_be_asked_of_open_data_is_refused_with_its_code(text: str, code: str) -> None:
    with pytest.raises(CivicError) as caught:
        bind_open(decode_open_sql(text), SCHEMA)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"rows": []}, "plan_invalid"),
        ({"rows": "gu"}, "plan_invalid"),
        ({"rows": [1]}, "plan_invalid"),
        ({"rows": ["gu\n"]}, "plan_invalid"),
        ({"rows": ["month"]}, "unknown_column"),
        ({"limit": True}, "plan_invalid"),
        ({"limit": 1.5}, "plan_invalid"),
        ({"after": 5}, "plan_invalid"),
        ({"after": "r1-1-0000000000000000"}, "plan_invalid"),
        ({"measures": {}}, "plan_invalid"),
        ({"where": {"column": "no2", "op": "eq", "value": "٣"}}, "plan_invalid"),
        ({"where": {"column": "no2", "op": "eq", "value": "NaN"}}, "plan_invalid"),
        ({"where": {"column": "no2", "op": "eq", "value": "9" * 18}}, "plan_invalid"),
        (
            {"where": {"column": "day", "op": "between", "values": ["2026-01-01", "9999-12-31"]}},
            "plan_invalid",
        ),
        ({"where": {"column": "day", "op": "eq", "value": "0000-01-01"}}, "plan_invalid"),
    ],
)
def test_a_malformed_selection_of_rows_is_refused(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(CivicError) as caught:
        bind_open(decode_open({"dataset": "sensors", "rows": ["gu"]} | changed), SCHEMA)
    assert caught.value.code == code


def test_more_cells_than_a_question_may_have_are_refused_before_anything_is_read() -> None:
    wide = replace(
        SCHEMA, columns={f"c{n}": OpenColumn(f"c{n}", OpenType.TEXT) for n in range(20)}, time_column=None
    )
    assert bind_open(decode_open({"dataset": "sensors", "rows": ["*"]}), wide).document["limit"] == 5_000
    with pytest.raises(CivicError) as caught:
        bind_open(decode_open({"dataset": "sensors", "rows": ["*"], "limit": 5_001}), wide)
    assert caught.value.code == "too_many_cells"


@pytest.mark.parametrize("text", ["SELECT gu FROM rides", "SELECT gu, sex FROM rides WHERE sex = 'F'"])
def test_rows_of_a_private_dataset_are_refused_with_the_nearest_form(text: str) -> None:
    with pytest.raises(CivicError) as caught:
        decode_sql(text)
    assert caught.value.code == "sql_refused" and "rows.reason" in str(caught.value.facts["reason"])
