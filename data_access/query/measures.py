"""From a measure to the integers that are computed for it, and to the figures that its answer shows.

A mechanism protects integer vectors. `count` is one number a cell; a mean is read off two vectors (rows and a
centred sum), a histogram is one vector with a number for each bin of each cell. Engine, interpreter, price and
answer all go by this table, so that none of them can forget a part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from data_access.query.nodes import Count, Histogram, Mean, Measure, Persons, Quantiles, Share, Sum
from data_access.query.schema import Schema


@dataclass(frozen=True)
class Vector:
    """What one mechanism protects: `columns` of the engine's result, each with one integer a cell.

    A colon, which no name may hold, keeps a part apart from the asker's own headings.
    """

    measure: str
    part: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """One heading of the answer's table, with its `_low` and `_high`. `bin` holds a bin's first and last integer,
    `per_cent` the place of a quantile; None where it is neither.
    """

    name: str
    bin: tuple[int, int] | None = None
    per_cent: int | None = None


def vectors(name: str, measure: Measure, schema: Schema) -> tuple[Vector, ...]:
    match measure:
        case Count() | Persons() | Sum():
            return (Vector(name, "cells", (name,)),)
        case Mean():
            return Vector(name, "rows", (f"{name}:rows",)), Vector(name, "centred", (f"{name}:centred",))
        case Share(None):
            return (Vector(name, "cells", (name,)),)
        case Share():
            return (Vector(name, "cells", (f"{name}:yes", f"{name}:no")),)
        case Histogram(column) | Quantiles(column):
            bins = range(len(schema.measures[column].bins))
            return (Vector(name, "cells", tuple(f"{name}:{number}" for number in bins)),)
        case _:
            assert_never(measure)


def figures(name: str, measure: Measure, schema: Schema) -> tuple[Figure, ...]:
    match measure:
        case Histogram(column):
            bins = schema.measures[column].bins
            return tuple(Figure(f"{name}_bin{number}", ends) for number, ends in enumerate(bins, 1))
        case Quantiles(_, at):
            return tuple(Figure(f"{name}_q{per_cent}", None, per_cent) for per_cent in at)
        case Count() | Persons() | Sum() | Mean() | Share():
            return (Figure(name),)
        case _:
            assert_never(measure)
