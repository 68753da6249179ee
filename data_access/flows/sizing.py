"""How large a question's cells are taken to be: as the asker says, a stored answer shows, or the catalog declares.

Nothing of it reads data: an answer that was given is anybody's who may reopen it, and its median costs nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection

from data_access.answers import Shelf
from data_access.answers.sizes import size_shown
from data_access.catalog import Dataset
from data_access.errors import SpendInvalid, UnknownAnswer
from data_access.flows.asked import Asker
from data_access.pricing import Size
from data_access.query import And, BoundPlan, ColumnKey, Filter, In
from data_access.query.nodes import GroupKey
from data_access.query.schema import PERIOD_KEY


def size_of(
    connection: Connection,
    shelf: Shelf,
    asker: Asker,
    entry: Dataset,
    bound: BoundPlan,
    wished: int | str | None,
) -> Size | None:
    """What the asker named comes first, then the catalog; None where neither says anything.

    Raises UnknownAnswer for an answer that she may not reopen, SpendInvalid for one about another dataset.
    """
    match wished:
        case int(cell):
            return Size("asker", rows=cell, persons=cell)
        case str(answer_id):
            answer = shelf.get(connection, answer_id)
            if answer.team not in asker.teams:
                raise UnknownAnswer()
            if answer.dataset != bound.plan.dataset:
                raise SpendInvalid()
            return size_shown(answer)
        case None:
            return _declared(entry, bound)


def _declared(entry: Dataset, bound: BoundPlan) -> Size | None:
    """The catalog's size for these keys: as it stands for cells of one month, times the months where a cell spans
    several. Not of a question that filters by anything else, nor of seasons, which have different numbers of months.
    """
    keys = frozenset(_written(key) for key in bound.plan.by) - {PERIOD_KEY}
    found = next((size for size in entry.sizes if frozenset(size.by) == keys), None)
    if found is None or not _keeps_cells_whole(bound.plan.where, bound.plan.by):
        return None
    if ColumnKey(PERIOD_KEY) in bound.plan.by:
        return Size("catalog", found.rows, found.persons)
    months = len(bound.periods)
    # The same person in two months is one person, so persons do not add up.
    return Size("catalog", found.rows * months, found.persons if months == 1 else None)


def _keeps_cells_whole(where: Filter | None, by: tuple[GroupKey, ...]) -> bool:
    """Whether the filter chooses among cells and months, and never some rows of a cell."""
    parts = () if where is None else where.parts if isinstance(where, And) else (where,)
    return all(
        isinstance(part, In) and (part.key in by or part.key == ColumnKey(PERIOD_KEY)) for part in parts
    )


def _written(key: GroupKey) -> str:
    return key.column if isinstance(key, ColumnKey) else f"{key.fn.value}({key.column})"
