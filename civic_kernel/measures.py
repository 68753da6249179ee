"""What `agg` takes: how many, how much, which part, how spread. Each is one entry of the contract's plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from civic_kernel.queries import Column, Filter, KeyFunction


@dataclass(frozen=True)
class Measure:
    """One entry of `agg`: `fn` and what else the contract's plan says of it."""

    fn: str
    more: tuple[tuple[str, Any], ...] = ()

    @property
    def node(self) -> dict[str, Any]:
        return {"fn": self.fn, **dict(self.more)}


def count() -> Measure:
    """How many rows (rides, accidents)."""
    return Measure("count")


def persons() -> Measure:
    """How many different persons; refused where the source names none."""
    return Measure("persons")


def sum_of(column: Column) -> Measure:
    """The sum of a column, its values cut to the policy's clip. `civic.sum`."""
    return Measure("sum", (("column", column.name),))


def mean(column: Column) -> Measure:
    """The mean of a column over the rows that have a value, cut to the policy's clip."""
    return Measure("mean", (("column", column.name),))


def share(where: Filter | None = None, *, within: Iterable[Column | KeyFunction] = ()) -> Measure:
    """The part of each cell's rows that meet `where`; without it, each cell as a part of all rows, or of those that
    agree with it in the keys `within`. Between 0 and 1.
    """
    if where is not None:
        return Measure("share", (("where", where.node),))
    return Measure("share", (("within", [key._node for key in within]),))


def histogram(column: Column) -> Measure:
    """How many rows fall into each bin that the policy declares for the column."""
    return Measure("histogram", (("column", column.name),))


def quantiles(column: Column, at: Iterable[int] = (25, 50, 75)) -> Measure:
    """Quantiles of a column at whole per cents, as exact as the policy's bins allow; 50 is the median."""
    return Measure("quantiles", (("column", column.name), ("at", list(at))))
