"""What a stored answer shows of the size of its cells: medians over those that are not withheld. Post-processing."""

from __future__ import annotations

import json
from decimal import Decimal
from statistics import median

from data_access.answers.shelf import StoredAnswer
from data_access.pricing import Size, measure_meaning
from data_access.query import Count, Mean, Persons, Share, Sum, decode_plan


def size_shown(answer: StoredAnswer) -> Size:
    """Rows by its first `count`, persons by its first `persons`, and the usual value of each sum, mean and share."""
    statement = json.loads(answer.statement)
    table = statement["table"]
    flag = next(i for i, column in enumerate(table["columns"]) if column["role"] == "flag")
    shown = [row for row in table["rows"] if not row[flag]]
    places = {c["measure"]: i for i, c in enumerate(table["columns"]) if c["role"] == "measure"}
    found: dict[str, Decimal] = {}
    rows: int | None = None
    persons: int | None = None
    for name, measure in decode_plan(statement["plan"]).measures:
        if not shown or not isinstance(measure, Count | Persons | Sum | Mean | Share):
            continue
        usual = median(Decimal(row[places[name]]) for row in shown)
        match measure:
            case Count():
                rows = _whole(usual) if rows is None else rows
            case Persons():
                persons = _whole(usual) if persons is None else persons
            case Sum() | Mean() | Share():
                found[measure_meaning(measure)] = usual
    return Size(f"answer:{answer.id}", rows, persons, found)


def _whole(usual: Decimal) -> int | None:
    """Noise can push the median of nearly empty cells below one, where no size is left."""
    return int(usual) if usual >= 1 else None
