"""What a plan means: DuckDB, the slow interpreter and every way of writing it agree, exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_access.query import BoundPlan, ColumnKey, In, KeyColumn, Plan, Schema, bind, decode_plan
from data_access.query.compiler import compile_sql
from data_access.query.reference import interpret
from data_access.vault.views import _enum
from tests.query.agreement import ARROW, Found, cells_of, nonzero, only, registry, words
from tests.query.strategies import HOUR, PERIODS, SCHEMA, SEASON, documents, filters, plans, rows


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:", config={"threads": "1"})
    yield connection
    connection.close()


def load(engine: duckdb.DuckDBPyConnection, data: list[dict[str, Any]]) -> None:
    """A real table called `view`, with the types of a private view."""
    engine.register("incoming", pa.Table.from_pylist(data, schema=ARROW))
    domains = {"period": PERIODS} | {name: column.domain for name, column in SCHEMA.keys.items()}
    enums = ", ".join(f"{name}::{_enum(domain)} AS {name}" for name, domain in domains.items())
    engine.execute(f'CREATE OR REPLACE TABLE "view" AS SELECT * REPLACE ({enums}) FROM incoming')


def run(engine: duckdb.DuckDBPyConnection, bound: BoundPlan) -> Found:
    return cells_of(bound, engine.execute(compile_sql(bound)).to_arrow_table())


def test_duckdb_and_the_interpreter_agree_on_every_word_as_written_and_in_canonical_form(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None, print_blob=True)
    @given(plan=plans(), data=rows())
    def agree(plan: Plan, data: list[dict[str, Any]]) -> None:
        # Sorted by name as the canonical form is, since columns are compared by place.
        ordered = replace(
            plan,
            by=tuple(sorted(plan.by, key=lambda key: key.column if isinstance(key, ColumnKey) else key.name)),
        )
        load(engine, data)
        as_written = BoundPlan(ordered, SCHEMA)
        expected = nonzero(interpret(as_written, data))
        assert run(engine, as_written) == expected
        canonical = bind(plan, SCHEMA)
        found = nonzero(interpret(canonical, data))
        assert run(engine, canonical) == found
        # The canonical form may have gained the count that cells are withheld by, and nothing else.
        names = {column for vector in as_written.vectors for column in vector.columns}
        assert only(found, names) == expected
        if expected:
            # Nothing is nothing in every engine: only a word that let a row through was compared.
            seen.update(words(plan))

    agree()
    # Here and not in a test of its own, which another process might run, or nobody.
    assert registry() <= set(seen), registry() - set(seen)


def test_a_word_that_is_never_generated_is_missed() -> None:
    """The positive control of the check above: the generator with one measure less, or without filters."""

    def made(keep: Callable[[dict[str, Any]], bool]) -> set[str]:
        seen: set[str] = set()

        @settings(max_examples=50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(document=documents().filter(keep))
        def collect(document: dict[str, Any]) -> None:
            seen.update(words(decode_plan(document)))

        collect()
        return registry() - seen

    def has_no_mean(document: dict[str, Any]) -> bool:
        return all(measure["fn"] != "mean" for measure in document["measures"].values())

    assert {"Mean", "Mean column"} <= made(has_no_mean)
    assert {"where at", "where season", "Or", "In"} <= made(
        lambda document: document["where"] is None and "where" not in str(document["measures"])
    )


@settings(max_examples=150, deadline=None, print_blob=True)
@given(plan=plans(), data=rows())
def test_the_charged_periods_cover_the_periods_of_every_row_that_passes(
    plan: Plan, data: list[dict[str, Any]]
) -> None:
    by_month = replace(plan, by=(ColumnKey("month"),))
    touched = {cell[0] for cell in interpret(BoundPlan(by_month, SCHEMA), data)}
    assert touched <= set(bind(plan, SCHEMA).periods)


@settings(max_examples=100, deadline=None, print_blob=True)
@given(plan=plans())
def test_the_canonical_form_is_its_own_canonical_form(plan: Plan) -> None:
    once = bind(plan, SCHEMA)
    assert bind(once.plan, SCHEMA).document == once.document


@settings(max_examples=150, deadline=None, print_blob=True)
@given(document=documents(), random=st.randoms(use_true_random=False))
def test_rewriting_without_changing_the_meaning_gives_the_same_bytes(
    document: dict[str, Any], random: Any
) -> None:
    def rewritten(node: dict[str, Any]) -> dict[str, Any]:
        for word, opposite in (("and", "or"), ("or", "and")):
            if word in node:
                parts = [rewritten(part) for part in node[word]]
                random.shuffle(parts)
                match random.choice(["shuffle", "repeat", "nest", "morgan"]):
                    case "repeat":
                        parts = [*parts, parts[0]]
                    case "nest":
                        parts = [{word: parts[:1]}, *parts[1:]]
                    case "morgan":
                        return {"not": {opposite: [{"not": part} for part in parts]}}
                return {word: parts}
        if "not" in node:
            return {"not": rewritten(node["not"])}
        if random.random() < 0.3:
            return {"not": {"not": node}}
        if node["op"] == "in":
            singles = [{"column": node["column"], "op": "eq", "value": v} for v in node["values"]]
            return {"or": singles}
        if node["op"] == "ne":
            return {"not": node | {"op": "eq"}}
        return node

    changed = dict(document)
    if document["where"] is not None:
        changed["where"] = rewritten(document["where"])
    changed["by"] = random.sample(document["by"], len(document["by"]))
    names = list(document["measures"])
    changed["measures"] = {name: document["measures"][name] for name in random.sample(names, len(names))}
    assert bind(decode_plan(changed), SCHEMA).id == bind(decode_plan(document), SCHEMA).id


def _id(where: Any, **changes: Any) -> str:
    document = {"dataset": "rides", "where": where, "measures": {"n": {"fn": "count"}}}
    return bind(decode_plan(document | changes), SCHEMA).id


def test_equal_questions_by_name() -> None:
    def month(op: str, *values: str) -> dict[str, Any]:
        many = {"values": list(values)} if op in ("in", "between") else {"value": values[0]}
        return {"column": "month", "op": op} | many

    assert _id(None) == _id(month("in", *PERIODS)) == _id({"not": {"not": month("ge", PERIODS[0])}})
    assert _id(month("le", PERIODS[1])) == _id(month("between", *PERIODS[:2])) == _id(month("ne", PERIODS[2]))
    assert _id(month("eq", PERIODS[0])) == _id({"and": [month("lt", PERIODS[1]), month("ne", PERIODS[1])]})
    days = {"column": "at", "op": "between", "values": ["2026-01-01", "2026-01-31"]}
    ends = [{"column": "at", "op": op, "value": v} for op, v in (("ge", "2026-01-01"), ("lt", "2026-02-01"))]
    assert _id(days) == _id({"and": ends})
    assert _id(None, measures={"a": {"fn": "count", "weight": 2}, "b": {"fn": "count", "weight": 4}}) == _id(
        None, measures={"b": {"fn": "count", "weight": 2}, "a": {"fn": "count"}}
    )


def test_a_season_is_its_months_and_charges_no_others() -> None:
    winter = {"column": SEASON, "op": "eq", "value": "winter"}
    assert _id({"not": winter}) == _id(
        {"column": SEASON, "op": "in", "values": ["spring", "summer", "autumn"]}
    )
    assert _id(winter) == _id(None), "all periods of the tests are winter"
    schema = Schema("rides", {}, "at", ("2026-02", "2026-03", "2026-05", "2026-06"), True)
    document = {"dataset": "rides", "measures": {"n": {"fn": "count"}}}
    spring = {"column": SEASON, "op": "eq", "value": "spring"}
    assert bind(decode_plan(document | {"where": spring}), schema).periods == ("2026-03", "2026-05")
    assert bind(decode_plan(document | {"where": {"not": spring}}), schema).periods == ("2026-02", "2026-06")


def test_equal_measures_by_name() -> None:
    def measure(**fields: Any) -> str:
        return _id(None, by=["gu", "sex"], measures={"n": fields, "c": {"fn": "count"}})

    def sex(op: str, value: str) -> dict[str, Any]:
        return {"column": "sex", "op": op, "value": value}

    assert measure(fn="share", where=sex("eq", "F")) == measure(fn="share", where={"not": sex("eq", "M")})
    assert measure(fn="share") == measure(fn="share", within=[]) != measure(fn="share", within=["gu"])
    quantiles = {"fn": "quantiles", "column": "minutes"}
    assert measure(**quantiles) == measure(**quantiles, at=[75, 25, 50]) != measure(**quantiles, at=[50])
    assert _id({"column": "minutes", "op": "not_null"}) == _id({"not": {"column": "minutes", "op": "null"}})


def test_different_questions_stay_different() -> None:
    eight = {"column": HOUR, "op": "eq", "value": 8}
    distinct = [
        _id(None),
        _id(None, by=["gu"]),
        _id(None, measures={"m": {"fn": "count"}}),
        _id(None, measures={"n": {"fn": "persons"}}),
        _id(eight),
        _id({"not": eight}),
        _id({"column": "at", "op": "ge", "value": "2026-01-02"}),
        _id({"column": "at", "op": "lt", "value": "2026-01-02"}),
    ]
    assert len(set(distinct)) == len(distinct)


def test_a_long_domain_may_be_filtered_and_negated() -> None:
    stations = tuple(f"s{number}" for number in range(2700))
    schema = Schema("rides", {"station": KeyColumn("station", stations, True)}, "at", PERIODS, True)
    where = {"column": "station", "op": "ne", "value": "s1"}
    bound = bind(
        decode_plan(
            {"dataset": "rides", "where": where, "by": ["station"], "measures": {"n": {"fn": "count"}}}
        ),
        schema,
    )
    assert isinstance(bound.plan.where, In) and len(bound.plan.where.values) == 2700
    assert "s2699" in compile_sql(bound)


@settings(max_examples=60, deadline=None)
@given(where=filters())
def test_what_excludes_a_month_by_name_or_by_date_does_not_charge_it(where: dict[str, Any]) -> None:
    january = {"column": "month", "op": "eq", "value": PERIODS[0]}
    periods = bind(
        decode_plan(
            {"dataset": "rides", "where": {"and": [where, january]}, "measures": {"n": {"fn": "count"}}}
        ),
        SCHEMA,
    ).periods
    assert set(periods) <= {PERIODS[0]}
