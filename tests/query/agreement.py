"""What the tests of meaning share: exact cells as both ways of running a plan give them, and which words of the
closed registry a plan is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pyarrow as pa

from data_access.query import (
    And,
    Between,
    BoundPlan,
    Compare,
    Filter,
    FunctionKey,
    GroupKey,
    In,
    KeyFunction,
    Measure,
    Missing,
    Not,
    Or,
    Plan,
    Share,
)
from data_access.query.cells import dense
from data_access.query.codec import _MEASURES
from data_access.query.nodes import Comparison
from tests.query.strategies import SCHEMA

#: The table that `strategies.rows` are rows of.
ARROW = pa.schema(
    [
        ("period", pa.string()),
        ("unit", pa.int64()),
        ("at", pa.timestamp("us")),
        ("gu", pa.string()),
        ("sex", pa.string()),
        ("minutes", pa.int64()),
        ("change", pa.int64()),
    ]
)

Found = dict[tuple[Any, ...], dict[str, int]]


def cells_of(bound: BoundPlan, columns: pa.Table) -> Found:
    """The non-zero cells of an engine's result."""
    cells = dense(bound, {name: columns[name].to_pylist() for name in columns.column_names})
    return nonzero(
        {
            keys: {name: int(values[place]) for name, values in cells.columns.items()}
            for place, keys in enumerate(cells.keys())
        }
    )


def nonzero(found: Found) -> Found:
    return {keys: measures for keys, measures in found.items() if any(measures.values())}


def only(found: Found, names: set[str]) -> Found:
    return nonzero(
        {keys: {n: v for n, v in measures.items() if n in names} for keys, measures in found.items()}
    )


def words(plan: Plan) -> set[str]:
    """The nodes, operations, keys and measures of `plan`, each by one word, with where it stands."""
    found = {f"by {_word(key)}" for key in plan.by}
    if plan.where is not None:
        found |= set(_filter_words(plan.where))
    for _, measure in plan.measures:
        name = type(measure).__name__
        found.add(name)
        if isinstance(measure, Share):
            found.add("Share where" if measure.where is not None else "Share within")
            if measure.where is not None:
                found |= set(_filter_words(measure.where))
        found |= {f"{name} {word}" for word in ("column", "at") if hasattr(measure, word)}
    return found


def _filter_words(node: Filter) -> Iterator[str]:
    yield type(node).__name__
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _filter_words(part)
        case Not(part):
            if isinstance(part, Compare) and part.op is Comparison.EQ:
                yield "ne"
            yield from _filter_words(part)
        case Missing(column, holds):
            yield f"{'null' if holds else 'not_null'} {column}"
        case Compare(key, op):
            yield op.value
            yield f"where {_word(key)}"
        case In(key) | Between(key):
            yield f"where {_word(key)}"


def _word(key: GroupKey) -> str:
    return key.fn.value if isinstance(key, FunctionKey) else key.column


def registry() -> set[str]:
    """Every word that a plan over the tests' schema may be made of. Read from the product's own registries, so
    that a node, operation, function or measure that is added tomorrow is wanted tomorrow. (Weights are left out:
    they move a price and no row.)
    """
    wanted = {node.__name__ for node in get_args(Filter)} | {kind.__name__ for kind in get_args(Measure)}
    wanted |= {op.value for op in Comparison} | {"ne"}
    wanted |= {f"{name.capitalize()} {word}" for name, taken in _MEASURES.items() for word in taken}
    wanted |= {f"{word} {column}" for word in ("null", "not_null") for column in SCHEMA.measures}
    keys = {"month", *SCHEMA.keys, *(fn.value for fn in KeyFunction)}
    return wanted | {f"by {key}" for key in keys} | {f"where {key}" for key in keys | {SCHEMA.time_column}}
