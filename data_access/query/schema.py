"""What a plan is checked against: the names and public domains that a signed policy opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

#: The name under which every dataset offers its period as a key.
PERIOD_KEY = "month"
OTHER = "other"


class Dialect(StrEnum):
    """Whose SQL a plan becomes; the values are Ibis's names. Engines say which is theirs."""

    DUCKDB = "duckdb"
    SPARK = "pyspark"


@dataclass(frozen=True)
class KeyColumn:
    """A column with a public domain. With `other`, values outside it form one more key."""

    name: str
    values: tuple[str, ...]
    other: bool

    @property
    def domain(self) -> tuple[str, ...]:
        return (*self.values, OTHER) if self.other else self.values


@dataclass(frozen=True)
class MeasureColumn:
    """A column whose values lie in the signed clip [`low`, `high`], as integers, or are missing.

    `edges` are those of the declared bins, from `low` to `high`; empty where the policy declares none. A value on
    an inner edge belongs to the bin above it, `high` to the last.
    """

    name: str
    low: int
    high: int
    edges: tuple[int, ...] = ()

    @property
    def bins(self) -> tuple[tuple[int, int], ...]:
        """First and last integer of each bin."""
        last = len(self.edges) - 2
        return tuple(
            (low, high if i == last else high - 1) for i, (low, high) in enumerate(pairwise(self.edges))
        )

    @property
    def bands(self) -> tuple[str, ...]:
        """The bins as key values, `0..4`; a missing value is `other`."""
        return (*(f"{low}..{high}" for low, high in self.bins), OTHER)


@dataclass(frozen=True)
class Schema:
    dataset: str
    keys: Mapping[str, KeyColumn]
    time_column: str
    periods: tuple[str, ...]
    #: Whether `persons` has a meaning: the unit is a person.
    counts_persons: bool
    measures: Mapping[str, MeasureColumn] = field(default_factory=dict)

    def column(self, name: str) -> KeyColumn | None:
        if name == PERIOD_KEY:
            return KeyColumn(PERIOD_KEY, self.periods, other=False)
        return self.keys.get(name)

    @property
    def known(self) -> str:
        """The names that may be asked, for a message."""
        return ", ".join([PERIOD_KEY, self.time_column, *sorted(self.keys)])
