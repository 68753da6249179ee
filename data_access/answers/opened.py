"""Answers of the open lane: rows and cells as the file has them. Nothing is added, withheld or rounded but a mean.

A whole number stands as one where every reader of JSON keeps it exactly (below 2^53), else as its text; decimals are
text with all their places, since a signature over a float is one over a guess. `type` in a column's head says which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, assert_never

from data_access.canonical import Json, canonical_bytes
from data_access.clock import timestamp
from data_access.policy import OpenPolicy
from data_access.query import Count, Mean, Plan, Sum
from data_access.query.nodes import Rows, key_name
from data_access.query.open_binding import Cursor, OpenBound, column_of, decimal_text
from data_access.query.open_schema import MONTH, OpenColumn, OpenType

#: Characters of one page: a page of long texts ends early, and says where the next one begins.
MAX_CHARACTERS = 4_000_000
#: A mean has this many decimals more than its column.
MEAN_PLACES = 3
_EXACT = 2**53

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Page:
    """`columns` and `rows` of the answer's table; for rows also how many match in all, and where this page ended."""

    columns: list[Json]
    rows: list[Json]
    matching: int | None = None
    ended: Cursor | None = None


def rows_page(bound: OpenBound, found: Columns, version: int, matching: int) -> Page:
    """`found` has `_place` and each named column, equal lengths, in order of place, with one row more than the page
    holds where there is one: `ended` is None where no row of this question is left.
    """
    question = bound.plan
    assert isinstance(question, Rows) and question.limit is not None
    chosen = [bound.schema.columns[name] for name in question.columns]
    heads: list[Json] = [
        {"name": column.name, "role": "value", "measure": None, "type": _type(column)} for column in chosen
    ]
    rows: list[Json] = []
    written = 0
    places = found["_place"]
    for number in range(min(len(places), question.limit)):
        row = [shown(found[column.name][number], column) for column in chosen]
        written += sum(len(str(value)) for value in row)
        if rows and written > MAX_CHARACTERS:
            break
        rows.append(row)
    ended = Cursor(version, places[len(rows) - 1]) if len(rows) < len(places) else None
    return Page(heads, rows, matching, ended)


def cells_page(bound: OpenBound, found: Columns) -> Page:
    """`found` has the keys by name and what `compile_open` computes for each measure. Cells come by their keys: a
    missing one last.
    """
    plan = bound.plan
    assert isinstance(plan, Plan)
    keys = [column_of(key, bound.schema) for key in plan.by]
    names = [key_name(key) for key in plan.by]
    heads: list[Json] = [
        {"name": name, "role": "key", "measure": None, "type": _type(column)}
        for name, column in zip(names, keys, strict=True)
    ]
    for name, measure in plan.measures:
        match measure:
            case Count():
                kind = "integer"
            case Sum(column):
                kind = _type(bound.schema.columns[column])
            case _:
                kind = "decimal"
        heads.append({"name": name, "role": "measure", "measure": name, "type": kind})
    size = len(next(iter(found.values())))
    order = sorted(
        range(size),
        key=lambda number: [
            (value is None, 0 if value is None else value)
            for value in (found[name][number] for name in names)
        ],
    )
    rows: list[Json] = []
    for number in order:
        row = [shown(found[name][number], column) for name, column in zip(names, keys, strict=True)]
        rows.append([*row, *(_figure(bound, name, found, number) for name, _ in plan.measures)])
    return Page(heads, rows)


def _figure(bound: OpenBound, name: str, found: Columns, number: int) -> Json:
    measure = dict(bound.plan.measures)[name] if isinstance(bound.plan, Plan) else None
    match measure:
        case Count():
            return whole(int(found[name][number]))
        case Sum(column):
            read = bound.schema.columns[column]
            total = int(found[name][number])
            return decimal_text(total, read.places) if read.type is OpenType.DECIMAL else whole(total)
        case Mean(column):
            return mean_text(int(found[f"{name}:total"][number]), int(found[f"{name}:rows"][number]),
                             bound.schema.columns[column].places)  # fmt: skip
        case _:
            raise AssertionError("every measure of the open lane is shown")


def mean_text(total: int, rows: int, places: int) -> str | None:
    """total ÷ rows in units of the last place, as a decimal; None where no row has a value."""
    if rows == 0:
        return None
    with localcontext() as context:
        context.prec = 60
        step = Decimal(1).scaleb(-(places + MEAN_PLACES))
        found = Decimal(total).scaleb(-places) / rows
        return f"{found.quantize(step, ROUND_HALF_EVEN):f}"


def shown(value: Any, column: OpenColumn) -> Json:
    """One value of the view, as the answer writes it."""
    if value is None:
        return None
    match column.type:
        case OpenType.TEXT:
            return str(value)
        case OpenType.INTEGER:
            return whole(int(value))
        case OpenType.DECIMAL:
            return decimal_text(int(value), column.places)
        case OpenType.DAY:
            return str(value.date().isoformat())
        case OpenType.MOMENT:
            return str(value.isoformat(" "))
        case _:
            assert_never(column.type)


def whole(number: int) -> int | str:
    return number if abs(number) < _EXACT else str(number)


def _type(column: OpenColumn) -> str:
    return "month" if column is MONTH and column.type is OpenType.TEXT else column.type.value


def measure_documents(bound: OpenBound) -> dict[str, dict[str, Json]]:
    """How the measures are protected: not at all. The words are those of the private lane's, so that one reader
    reads both.
    """
    if isinstance(bound.plan, Rows):
        return {}
    return {
        name: {
            "fn": bound.document["measures"][name]["fn"],
            "rho": 0,
            "sensitivity_squared": None,
            "scale": None,
            "margin": None,
        }
        for name, _ in bound.plan.measures
    }


def make_open_statement(
    bound: OpenBound,
    policy: OpenPolicy,
    page: Page,
    *,
    reservation: str,
    team: str,
    purpose: str,
    data_version: int,
    now: datetime,
) -> bytes:
    """Canonical bytes of the statement: that of the private lane, with nothing where it speaks of protection."""
    statement: dict[str, Json] = {
        "kind": "civic-answer",
        "dataset": policy.dataset,
        "dataset_title": {"ko": policy.title.ko, "en": policy.title.en},
        "data_version": data_version,
        "policy_hash": policy.hash(),
        "policy_version": policy.version,
        "synthetic": policy.synthetic,
        "lane": policy.lane.value,
        "unit": None,
        "row_bound": None,
        "minimum": None,
        "delta": None,
        "plan": bound.document,
        "plan_id": bound.id,
        "spend": {"rho": 0},
        "team": team,
        "purpose": purpose,
        "reservation": reservation,
        "periods": [],
        "mechanism": {"name": "none", "measures": measure_documents(bound)},
        "truncated_share": None,
        "issued_at": timestamp(now),
        "table": {"columns": page.columns, "rows": page.rows},
    }
    if page.matching is not None:
        statement["matching"] = page.matching
        statement["next"] = None if page.ended is None else bound.continuation(page.ended)
    return canonical_bytes(statement)
