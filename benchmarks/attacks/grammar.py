"""Vectors of the attacker's own: weights by row, row numbers, masks. What cannot be written cannot be asked."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from benchmarks.attacks.injection import concatenated, unchecked
from benchmarks.attacks.reconstruction import TOY, random_plan
from benchmarks.attacks.town import Plan, WatchedEngine, rebuilt, town, townspeople
from benchmarks.attacks.verdict import Verdict, counted
from data_access.errors import CivicError
from data_access.flows import answering

#: Columns that number rows or name persons, in this vault, in DuckDB, or by custom.
_ROW_NAMES = ("rowid", "row_number", "index", "unit", "_person", "_rank", "person", "hash", "id", "ctid")
#: Words under which other systems take a vector, a function or a transformation.
_WORDS = (
    "values",
    "vector",
    "mask",
    "weights",
    "index",
    "rows_at",
    "expr",
    "formula",
    "udf",
    "code",
    "sample",
    "order",
)


def user_vectors(draws: int) -> Verdict:
    """`draws` plans, well-formed but for one place, in which stands a vector or a row's name (Huth's attack on
    DataSHIELD builds the columns of its linear system that way).

    A success is one that is answered or that reaches the engine.
    """
    ours = _understood(draws, weak=False)
    control = _understood(draws, weak=True)
    return counted(f"attacker-built vectors, {draws} plans", "Huth 2022; dsBase#250", ours, control)


def _understood(draws: int, *, weak: bool) -> int:
    executed: list[str] = []
    found = 0
    with ExitStack() as stack:
        made = stack.enter_context(town(townspeople(), policy=TOY))
        made = rebuilt(made, engine=WatchedEngine(made, executed.append))
        if weak:
            stack.enter_context(patch.object(answering, "bind", unchecked))
            stack.enter_context(patch.object(answering, "compile_sql", concatenated))
        for plan in _plans(draws):
            executed.clear()
            try:
                made.ask(plan, "0.01", fresh=True)
            except CivicError:
                found += bool(executed)
            except Exception:
                # No refusal of ours: it got as far as something that broke.
                found += 1
            else:
                found += 1
    return found


def _plans(draws: int) -> Iterator[Plan]:
    dice = random.Random(43)
    for turn in range(draws):
        vector = [dice.choice((-1, 0, 1, 2**40)) for _ in range(dice.choice((2, 3, 180)))]
        name = dice.choice(_ROW_NAMES)
        if turn % 4 == 0:
            # A row's name where a column may stand.
            yield {
                "dataset": "visits",
                "by": ["gu"] if dice.random() < 0.5 else [name],
                "where": {"column": name, "op": "eq", "value": dice.choice((7, "7"))},
                "measures": {"m": {"fn": "count"}},
            }
            continue
        plan = copy.deepcopy(random_plan(dice))
        hostile = dice.choice([vector, {"values": vector}, {"column": name, "op": "in", "values": vector}])
        places = list(_places(plan))
        holder, place = dice.choice(places)
        if isinstance(holder, dict) and dice.random() < 0.5:
            holder[dice.choice([word for word in _WORDS if word not in holder])] = hostile
        else:
            holder[place] = hostile
        yield plan


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON tree that a hostile thing could be put in."""
    if isinstance(node, dict | list):
        for place, inner in node.items() if isinstance(node, dict) else enumerate(node):
            yield node, place
            yield from _places(inner)
