"""What a plan is checked against: the names and public domains that a signed policy opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: The name under which every dataset offers its period as a key.
PERIOD_KEY = "month"
OTHER = "other"


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
class Schema:
    dataset: str
    keys: Mapping[str, KeyColumn]
    time_column: str
    periods: tuple[str, ...]
    #: Whether `persons` has a meaning: the unit is a person.
    counts_persons: bool

    def column(self, name: str) -> KeyColumn | None:
        if name == PERIOD_KEY:
            return KeyColumn(PERIOD_KEY, self.periods, other=False)
        return self.keys.get(name)

    @property
    def known(self) -> str:
        """The names that may be asked, for a message."""
        return ", ".join([PERIOD_KEY, self.time_column, *sorted(self.keys)])
