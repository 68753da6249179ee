"""What an analyst types: datasets, columns, filters, questions. Translates into plans, never the other way.

Names are checked against the dataset's public description before anything is sent, so that a slip of the
pen costs neither a round trip nor an event in the ledger. The gateway checks everything again.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from civic_kernel.client import Client
from civic_kernel.errors import (
    MeasureRefused,
    PlanInvalid,
    SpendInvalid,
    UnknownColumn,
    UnknownFunction,
    ValueOutsideDomain,
)
from civic_kernel.measures import Measure
from civic_kernel.price_card import Price, show
from civic_kernel.texts import Language, speaker, text
from civic_kernel.wire import ColumnDetail, DatasetDetail

if TYPE_CHECKING:
    import pandas as pd

    from civic_kernel.frames import AnswerFrame
    from civic_kernel.open_rows import RowsQuestion

#: A decimal is for the columns of an open dataset that hold some.
Value = str | int | float | Decimal
#: A named precision, a margin ("±50 rides"), a ρ, or the contract's own `{"margin": {"rides": 50}}`.
Spend = str | int | float | Decimal | dict[str, Any] | None

#: The policy's names, as a person may type them.
PRECISIONS = {"대략": "rough", "보통": "normal", "자세히": "fine"}
#: How large cells are, for margins that depend on it: rows or persons, a stored answer's id, or its frame.
Cell: TypeAlias = "int | str | pd.DataFrame | None"
#: `±50 rides`, `±5% rides`: the 95 % half-width that a measure shall have, in its own unit or as part of a size.
_MARGIN = re.compile(
    r"(?:±|\+/?-)\s*(?P<width>[0-9][0-9,]{0,12}(?:\.[0-9]{1,6})?)\s*(?P<part>%?)\s+(?P<measure>[a-z][a-z0-9_]*)",
    re.ASCII,
)


@dataclass(frozen=True)
class Filter:
    """A condition on rows. Combine with `&`, `|` and `~`; Python's `and`, `or`, `not` cannot be used."""

    node: dict[str, Any]
    language: Language = field(repr=False)

    def __and__(self, other: Filter) -> Filter:
        return Filter(_flat("and", self.node, other.node), self.language)

    def __or__(self, other: Filter) -> Filter:
        return Filter(_flat("or", self.node, other.node), self.language)

    def __invert__(self) -> Filter:
        return Filter({"not": self.node}, self.language)

    def __bool__(self) -> NoReturn:
        # `a and b` would silently keep only b: an answer to another question than the one typed.
        raise PlanInvalid(
            text(self.language, "kernel", "query.and_or"),
            text(self.language, "kernel", "query.and_or.remedy"),
        )


def _flat(word: str, left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    for node in (left, right):
        parts.extend(node.get(word, [node]))
    return {word: parts}


class Comparable(ABC):
    """What can be compared: a column, or the hour or weekday of one. Comparing makes a Filter."""

    __hash__ = None  # type: ignore[assignment]  # `==` builds a filter, so a set of columns would lie

    def __init__(self, node: str | dict[str, str], detail: ColumnDetail, language: Language) -> None:
        self._node = node
        self._language: Language = language
        self.detail = detail

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compare("eq", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compare("ne", value)

    def __lt__(self, value: Value) -> Filter:
        return self._compare("lt", value)

    def __le__(self, value: Value) -> Filter:
        return self._compare("le", value)

    def __gt__(self, value: Value) -> Filter:
        return self._compare("gt", value)

    def __ge__(self, value: Value) -> Filter:
        return self._compare("ge", value)

    def isin(self, values: Iterable[Value]) -> Filter:
        """Rows whose value is one of `values`."""
        listed = [values] if isinstance(values, str) else list(values)
        for value in listed:
            self._check(value)
        return Filter(
            {"column": self._node, "op": "in", "values": [self._sent(v) for v in listed]}, self._language
        )

    def between(self, low: Value, high: Value) -> Filter:
        """Rows from `low` to `high`, both included."""
        self._check(low)
        self._check(high)
        values = [self._sent(low), self._sent(high)]
        return Filter({"column": self._node, "op": "between", "values": values}, self._language)

    def _compare(self, op: str, value: object) -> Filter:
        self._check(value)
        return Filter({"column": self._node, "op": op, "value": self._sent(value)}, self._language)

    def _sent(self, value: Any) -> Any:
        """`value` as the contract writes it: a decimal is text, since a float in a signed question is a guess."""
        if self.detail.holds == "decimal" and isinstance(value, float | Decimal):
            return format(Decimal(str(value)), "f")
        return value

    @abstractmethod
    def _domain(self) -> list[str] | list[int] | None:
        """The public values, or None where the gateway alone knows them."""

    def _check(self, value: object) -> None:
        known = self._domain()
        kinds = str | int | float | Decimal if self.detail.holds == "decimal" else str | int
        typed = isinstance(value, kinds) and not isinstance(value, bool)
        if typed and (known is None or value in known or (self.detail.other and value == "other")):
            return
        close: list[str] = []
        if isinstance(value, str):
            close = get_close_matches(value, [k for k in known or [] if isinstance(k, str)], n=3)
        names = _some(close or [str(k) for k in known or []])
        raise ValueOutsideDomain.say(self._language, column=self.detail.name, known=names)


class Column(Comparable):
    """A column of a dataset. Comparing it makes a Filter; naming it in `by` makes it a key."""

    def __init__(self, detail: ColumnDetail, language: Language) -> None:
        super().__init__(detail.name, detail, language)
        self.name = detail.name

    def __repr__(self) -> str:
        return f"<{self.name}: {self.detail.label.get(self._language)}>"

    def _domain(self) -> list[str] | None:
        return self.detail.values

    def isna(self) -> Filter:
        """Rows in which the source had no value here; for columns that are summed. In a key it is `other`."""
        return Filter({"column": self.name, "op": "null"}, self._language)

    def notna(self) -> Filter:
        """Rows in which the source had a value here; for columns that are summed."""
        return Filter({"column": self.name, "op": "not_null"}, self._language)


class KeyFunction(Comparable):
    """A key made from a column. Also good in filters: `civic.hour(rides.started_at) >= 18`."""

    def __init__(self, fn: str, column: Column, domain: list[int] | list[str]) -> None:
        super().__init__({"fn": fn, "column": column.name}, column.detail, column._language)
        self.fn = fn
        self.column = column
        self._values = domain

    def __repr__(self) -> str:
        return f"<{self.fn} of {self.column.name}>"

    def _domain(self) -> list[int] | list[str]:
        return self._values


def hour(column: Column) -> KeyFunction:
    """The hour of day, 0–23, in Asia/Seoul."""
    return KeyFunction("hour", column, list(range(24)))


def weekday(column: Column) -> KeyFunction:
    """The day of the week, 0 (Monday) to 6 (Sunday), in Asia/Seoul."""
    return KeyFunction("weekday", column, list(range(7)))


def season(column: Column) -> KeyFunction:
    """The season of the month column: spring (March to May), summer, autumn, winter (December to February)."""
    return KeyFunction("season", column, ["spring", "summer", "autumn", "winter"])


def band(column: Column) -> KeyFunction:
    """The declared bin of a column that can be summed, such as `10..19`; `other` where the source had no value."""
    return KeyFunction("band", column, column.detail.bands or [])


class Dataset:
    """A dataset as its public description shows it; columns are attributes, or `dataset["name"]`."""

    def __init__(self, detail: DatasetDetail, client: Client) -> None:
        self._detail = detail
        self._client = client
        self._columns = {c.name: Column(c, client.language) for c in detail.columns}

    @property
    def detail(self) -> DatasetDetail:
        return self._detail

    @property
    def columns(self) -> pd.DataFrame:
        """What may be asked: name, label, type and the values that a filter may name."""
        import pandas as pd

        language = self._client.language
        return pd.DataFrame(
            [
                {
                    "name": c.name,
                    "label": c.label.get(language),
                    "type": c.type,
                    "values": _some(c.values or []),
                }
                for c in self._detail.columns
            ]
        )

    def __repr__(self) -> str:
        return f"<{self._detail.id}: {self._detail.title.get(self._client.language)}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._columns]

    def __getattr__(self, name: str) -> Column:
        # Python asks for underscored names on its own account (copying, display); those are never columns.
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Column:
        """The column `name`. Raises UnknownColumn, which names the nearest ones."""
        if name not in self._columns:
            close = get_close_matches(name, self._columns, n=3) or list(self._columns)
            raise UnknownColumn.say(
                self._client.language, column=name, dataset=self._detail.id, known=", ".join(close)
            )
        return self._columns[name]

    def twin(self, rows: int = 100_000, seed: int = 0) -> Dataset:
        """Dummy rows to rehearse on: asked alike, free, true of nobody. Of an open dataset, the dataset itself."""
        from civic_kernel.twins import make_twin

        return make_twin(self._client, self._detail.id, rows, seed)

    def rows(self, *columns: Column | str) -> RowsQuestion:
        """Rows of an open dataset, by columns; all of them where none is named. Raises RowsRefused."""
        from civic_kernel.open_rows import make_rows

        return make_rows(self, tuple(c.name if isinstance(c, Column) else c for c in columns))

    def where(self, *conditions: Filter) -> Question:
        """A question on the rows that meet all `conditions`."""
        return Question(self).where(*conditions)

    def by(self, *keys: Column | KeyFunction | str) -> Question:
        """A question with one cell for each combination of the keys' public values."""
        return Question(self).by(*keys)

    def agg(self, **measures: Measure) -> Question:
        """A question with one cell."""
        return Question(self).agg(**measures)


@dataclass(frozen=True)
class Question:
    """A question that has not been asked. Each method gives a new one."""

    dataset: Dataset
    conditions: tuple[Filter, ...] = ()
    keys: tuple[str | tuple[str, str], ...] = ()
    measures: tuple[tuple[str, Measure], ...] = ()

    def where(self, *conditions: Filter) -> Question:
        for condition in conditions:
            if not isinstance(condition, Filter):
                self._refuse("query.where")
        return replace(self, conditions=(*self.conditions, *conditions))

    def by(self, *keys: Column | KeyFunction | str) -> Question:
        return replace(self, keys=(*self.keys, *(self._key(key) for key in keys)))

    def agg(self, **measures: Measure) -> Question:
        """Names of the answer's columns and what they count: `agg(rides=civic.count())`."""
        known = self.dataset.detail.measures
        for name, measure in measures.items():
            if not isinstance(measure, Measure):
                self._refuse("query.agg")
            if measure.fn not in known:
                raise MeasureRefused.say(self._language, measure=measure.fn, known=", ".join(known))
            if name == "withheld" or name.endswith(("_low", "_high")):
                self._refuse("query.reserved", name=name)
        return replace(self, measures=(*self.measures, *measures.items()))

    @property
    def plan(self) -> dict[str, Any]:
        """The contract's plan, as it is sent."""
        if not self.measures:
            self._refuse("query.agg")
        nodes = [condition.node for condition in self.conditions]
        return {
            "dataset": self.dataset.detail.id,
            "where": None if not nodes else nodes[0] if len(nodes) == 1 else {"and": nodes},
            "by": [k if isinstance(k, str) else {"fn": k[0], "column": k[1]} for k in self.keys],
            "measures": {name: measure.node for name, measure in self.measures},
        }

    def price(
        self,
        spend: Spend = None,
        *,
        cell: Cell = None,
        team: str | None = None,
        purpose: str | None = None,
    ) -> Price:
        """What it would cost and how exact it would be. Costs nothing. `cell` is as for `ask`."""
        body = self._client.price(self.plan, self._spend(spend, cell), team=team, purpose=purpose)
        return Price(body, self.dataset.detail, self._language)

    def ask(
        self,
        spend: Spend = None,
        *,
        cell: Cell = None,
        team: str | None = None,
        purpose: str | None = None,
        fresh: bool = False,
        quiet: bool = False,
    ) -> AnswerFrame:
        """Ask, pay, and get the frame. Shows the price first unless `quiet` (as in a report).

        `cell` says how large a cell is, where a margin depends on it (`"±5% rides"`, or of a mean): a number of rows
        or persons, or an answer (its frame or id) that shows it. Without it the catalog's size holds, if it has one.

        `fresh` pays again although the same question is stored: for newer data, or independent noise.
        """
        from civic_kernel.frames import labelled_frame

        sent = self._spend(spend, cell)
        if not quiet:
            offer = self._client.price(self.plan, sent, team=team, purpose=purpose, fresh=fresh)
            show(Price(offer, self.dataset.detail, self._language))
        answer = self._client.ask(self.plan, sent, team=team, purpose=purpose, fresh=fresh)
        return labelled_frame(answer, self.dataset.detail, self._language)

    @property
    def _client(self) -> Client:
        return self.dataset._client

    @property
    def _language(self) -> Language:
        return self._client.language

    def _key(self, key: Column | KeyFunction | str) -> str | tuple[str, str]:
        match key:
            case str():
                return self.dataset[key].name
            case Column():
                return self.dataset[key.name].name
            case KeyFunction():
                known = self.dataset.detail.functions
                if key.fn not in known:
                    raise UnknownFunction.say(self._language, function=key.fn, known=", ".join(known))
                return key.fn, self.dataset[key.column.name].name
            case _:
                self._refuse("query.by")

    def _spend(self, spend: Spend, cell: Cell) -> dict[str, Any] | None:
        return spend_document(spend, self.dataset.detail.precisions, self._language, cell)

    def _refuse(self, key: str, **facts: object) -> NoReturn:
        say = speaker(self._language, "kernel", key)
        raise PlanInvalid(say("", **facts), say(".remedy", **facts))


def spend_document(
    spend: Spend, precisions: Iterable[str], language: Language, cell: Cell = None
) -> dict[str, Any] | None:
    """The contract's form of what a person typed. Raises SpendInvalid, which names the `precisions`."""
    document = _spend_alone(spend, precisions, language)
    if cell is None:
        return document
    if not isinstance(cell, int | str):
        from civic_kernel.frames import origin_of

        cell = str(origin_of(cell)["answer_id"])
    return {**(document or {}), "cell": cell}


def _spend_alone(spend: Spend, precisions: Iterable[str], language: Language) -> dict[str, Any] | None:
    if spend is None or isinstance(spend, dict):
        return spend
    known = list(precisions)
    if isinstance(spend, str):
        margin = _MARGIN.fullmatch(spend.strip())
        if margin:
            width = margin["width"].replace(",", "")
            whole = width.isdigit() and not margin["part"]
            return {"margin": {margin["measure"]: int(width) if whole else width + margin["part"]}}
        if not spend[:1].isdigit():
            name = PRECISIONS.get(spend, spend)
            if name not in known:
                raise SpendInvalid.say(language, known=", ".join(known))
            return {"precision": name}
    try:
        # By way of its text: 0.01 as a binary fraction has 55 digits, and the ledger counts nano-ρ.
        rho = Decimal(str(spend))
    except InvalidOperation:
        rho = Decimal(0)
    if not rho.is_finite() or rho <= 0:
        raise SpendInvalid.say(language, known=", ".join(known))
    return {"rho": format(rho, "f")}


def _some(values: list[str], most: int = 8) -> str:
    return ", ".join(values[:most]) + (" …" if len(values) > most else "")
