"""The grammar of a question: one frozen dataclass per operation.

There is no node for a user's vector, function or row identifier: what cannot be written cannot be asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
Value = str | int


def check_name(name: str) -> None:
    # Not `$`, which a newline at the end would pass.
    if not _NAME.fullmatch(name):
        raise ValueError("a name has lower-case letters, digits and underscores")


class Comparison(StrEnum):
    EQ = "eq"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"


class KeyFunction(StrEnum):
    """Allow-listed transforms: of the time column, of the period, of a clipped column with declared bins."""

    HOUR = "hour"
    WEEKDAY = "weekday"
    SEASON = "season"
    BAND = "band"


SEASONS = ("spring", "summer", "autumn", "winter")
#: The public domain of each transform that has one for every dataset: hours 0–23, weekdays 0 (Monday) – 6, the
#: meteorological seasons. The bands of a column are the signed policy's.
FUNCTION_VALUES: dict[KeyFunction, tuple[Value, ...]] = {
    KeyFunction.HOUR: tuple(range(24)),
    KeyFunction.WEEKDAY: tuple(range(7)),
    KeyFunction.SEASON: SEASONS,
}


def season_of(period: str) -> str:
    """Of `YYYY-MM`: spring is March to May, and so on; December counts to the winter of its own year's end."""
    return SEASONS[(int(period[5:7]) - 3) % 12 // 3]


@dataclass(frozen=True)
class ColumnKey:
    column: str

    def __post_init__(self) -> None:
        check_name(self.column)


@dataclass(frozen=True)
class FunctionKey:
    fn: KeyFunction
    column: str

    def __post_init__(self) -> None:
        check_name(self.column)

    @property
    def name(self) -> str:
        """The column name of the answer's table: `hour`; `minutes_band`, since several columns have bands."""
        return f"{self.column}_band" if self.fn is KeyFunction.BAND else self.fn.value


GroupKey = ColumnKey | FunctionKey


@dataclass(frozen=True)
class Compare:
    key: GroupKey
    op: Comparison
    value: Value


@dataclass(frozen=True)
class In:
    key: GroupKey
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("`in` names at least one value")


@dataclass(frozen=True)
class Between:
    """Both ends belong to it."""

    key: GroupKey
    low: Value
    high: Value


@dataclass(frozen=True)
class Missing:
    """Whether the source had no value in a clipped column (`holds` False: whether it had one).

    Only there: in a key column a missing value is the key `other`, which the other comparisons name.
    """

    column: str
    holds: bool

    def __post_init__(self) -> None:
        check_name(self.column)


@dataclass(frozen=True)
class And:
    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_parts(self.parts)


@dataclass(frozen=True)
class Or:
    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_parts(self.parts)


@dataclass(frozen=True)
class Not:
    part: Filter


Filter = Compare | In | Between | Missing | And | Or | Not


def _check_parts(parts: tuple[Filter, ...]) -> None:
    if not parts:
        raise ValueError("`and` and `or` join at least one part")


@dataclass(frozen=True)
class Count:
    """How many rows fall into the cell."""

    weight: int = 1


@dataclass(frozen=True)
class Persons:
    """How many different persons have a row in the cell. Refused where the unit is a row."""

    weight: int = 1


@dataclass(frozen=True)
class Sum:
    """The sum of a clipped column over the cell's rows; a missing value adds nothing."""

    column: str
    weight: int = 1

    def __post_init__(self) -> None:
        check_name(self.column)


@dataclass(frozen=True)
class Mean:
    """The mean of a clipped column over the cell's rows that have a value."""

    column: str
    weight: int = 1

    def __post_init__(self) -> None:
        check_name(self.column)


@dataclass(frozen=True)
class Share:
    """Without `where`: the cell's rows as a part of all rows that agree with it in the keys `within`. With it:
    the part of the cell's own rows that also meet `where`.

    Both totals are sums of cells that a row falls into once: keys have `other`, and a row meets a condition or
    it does not. So no total has to be bought beside the cells (answers/estimates.py).
    """

    where: Filter | None = None
    within: tuple[GroupKey, ...] = ()
    weight: int = 1

    def __post_init__(self) -> None:
        if self.where is not None and self.within:
            raise ValueError("a share has `where` or `within`, not both")


@dataclass(frozen=True)
class Histogram:
    """How many rows of the cell fall into each declared bin of a clipped column."""

    column: str
    weight: int = 1

    def __post_init__(self) -> None:
        check_name(self.column)


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of a clipped column at whole per cents, read off its histogram over the declared bins."""

    column: str
    at: tuple[int, ...] = (25, 50, 75)
    weight: int = 1

    def __post_init__(self) -> None:
        check_name(self.column)
        if not 1 <= len(self.at) <= 9 or any(not 1 <= q <= 99 for q in self.at):
            raise ValueError("quantiles are 1 to 9 whole per cents from 1 to 99")
        if len(set(self.at)) != len(self.at):
            raise ValueError("a quantile is named once")


Measure = Count | Persons | Sum | Mean | Share | Histogram | Quantiles


@dataclass(frozen=True)
class Plan:
    """One question of one dataset. Measure names are the asker's own column headings."""

    dataset: str
    where: Filter | None
    by: tuple[GroupKey, ...]
    measures: tuple[tuple[str, Measure], ...]

    def __post_init__(self) -> None:
        check_name(self.dataset)
        if not 1 <= len(self.measures) <= 8 or len(self.by) > 6:
            raise ValueError("a question has 1 to 8 measures and at most 6 keys")
        names = [name for name, _ in self.measures]
        keys = [key_name(key) for key in self.by]
        for name in names:
            check_name(name)
        taken = names + [f"{n}_low" for n in names] + [f"{n}_high" for n in names] + keys + ["withheld"]
        if len(set(taken)) != len(taken):
            raise ValueError("column names of the answer are distinct")
        if any(not 1 <= measure.weight <= 1000 for _, measure in self.measures):
            raise ValueError("a weight is a whole number from 1 to 1,000")


#: Rows of one page, and the word that stands for every column.
MAX_PAGE, EVERY_COLUMN = 10_000, "*"


@dataclass(frozen=True)
class Rows:
    """Rows of an open dataset as the file has them, in its order. `after` is where an earlier page says it ended.

    None of the private lane's checks takes this node, so no plan with rows in it can reach a private view.
    """

    dataset: str
    where: Filter | None
    columns: tuple[str, ...]
    #: None is as many as a page holds.
    limit: int | None = None
    after: str | None = None

    def __post_init__(self) -> None:
        check_name(self.dataset)
        if self.columns != (EVERY_COLUMN,):
            for column in self.columns:
                check_name(column)
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise ValueError("rows: names at least one column, each once")
        if self.limit is not None and not 1 <= self.limit <= MAX_PAGE:
            raise ValueError(f"limit: a whole number from 1 to {MAX_PAGE:,}")


def key_name(key: GroupKey) -> str:
    return key.column if isinstance(key, ColumnKey) else key.name
