"""What a question in the open lane is checked against: every column of the signed catalog entry, as the file has it.

There are no public domains here, and no clips: nothing is protected, so nothing has to be declared beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from data_access.query.schema import PERIOD_KEY


class OpenType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    #: A decimal with `places` decimals. The view holds it as a whole number of its last place, so that comparisons
    #: and sums are exact in every engine.
    DECIMAL = "decimal"
    #: A timestamp; a `DAY` is one that says nothing about the time of day.
    MOMENT = "moment"
    DAY = "day"


NUMBERS = frozenset({OpenType.INTEGER, OpenType.DECIMAL})
TIMES = frozenset({OpenType.MOMENT, OpenType.DAY})


@dataclass(frozen=True)
class OpenColumn:
    name: str
    type: OpenType
    places: int = 0


#: The month of a row, `2026-09`: offered where the dataset has a time column.
MONTH = OpenColumn(PERIOD_KEY, OpenType.TEXT)


@dataclass(frozen=True)
class OpenSchema:
    """`columns` in the order in which the catalog lists them, derived ones last."""

    dataset: str
    columns: Mapping[str, OpenColumn]
    time_column: str | None

    @property
    def known(self) -> str:
        """The names that may be asked, for a message."""
        return ", ".join([*([PERIOD_KEY] if self.time_column else []), *self.columns])
