"""From the engine's sparse rows to the dense grid of public cells: an empty cell is a zero, and gets noise too."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_access.query.binding import BoundPlan
from data_access.query.nodes import Value, key_name


@dataclass(frozen=True)
class Cells:
    """Exact values before noise. Never leaves the vault side.

    `columns[name]` is int64 of length `bound.cells`, in row-major order of `bound.domains`, for each column of
    each of `bound.vectors`.
    """

    bound: BoundPlan
    columns: dict[str, NDArray[np.int64]]

    def slice(self, part: BoundPlan, axis: int, place: int) -> Cells:
        """The cells at one place of the key number `axis`, as those of `part`, which has all keys but that one."""
        shape = [len(domain) for domain in self.bound.domains]
        return Cells(
            part,
            {name: grid.reshape(shape).take(place, axis).reshape(-1) for name, grid in self.columns.items()},
        )

    def keys(self) -> Iterable[tuple[Value, ...]]:
        return itertools.product(*self.bound.domains)


def dense(bound: BoundPlan, columns: dict[str, Sequence[object]]) -> Cells:
    """Scatter `columns` (keys and measures by name, equal lengths) into the grid.

    Raises AssertionError for a key outside its domain: the view holds only domain values, so that would be
    our fault, and dropping the row would be a silent wrong answer.
    """
    names = [key_name(key) for key in bound.plan.by]
    shape = tuple(len(domain) for domain in bound.domains)
    positions = [{value: place for place, value in enumerate(domain)} for domain in bound.domains]
    size = len(next(iter(columns.values()))) if columns else 0
    flat = np.zeros(size, dtype=np.int64)
    for name, place, length in zip(names, positions, shape, strict=True):
        values = columns[name]
        try:
            index = np.fromiter((place[_plain(v)] for v in values), dtype=np.int64, count=size)
        except KeyError:
            raise AssertionError("the view holds a value outside its domain") from None
        flat = flat * length + index
    grids: dict[str, NDArray[np.int64]] = {}
    for vector in bound.vectors:
        for name in vector.columns:
            grids[name] = np.zeros(bound.cells, dtype=np.int64)
            grids[name][flat] = np.asarray(columns[name], dtype=np.int64)
    return Cells(bound, grids)


def _plain(value: object) -> Value:
    return value if isinstance(value, str) else int(value)  # type: ignore[call-overload]
