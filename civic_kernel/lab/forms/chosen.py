"""A question as the form has it. One object says it in three ways, which tests hold equal: as the fields of an address
(so that a question can be kept as a link), as a question of `civic_kernel`, and as the Python that asks the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from civic_kernel import measures, queries
from civic_kernel.measures import Measure
from civic_kernel.queries import Column, Dataset, KeyFunction, Question
from civic_kernel.wire import DatasetDetail

#: Fields of an address: each name may stand there several times.
Fields = Mapping[str, Sequence[str]]

#: How the answer's column is called. Plain words, since they are the head of a CSV.
NAMES = {
    "count": "number",
    "persons": "people",
    "share": "part",
    "sum": "total",
    "mean": "average",
    "median": "middle",
}
#: Key functions that the form offers, and whether their values are whole numbers.
FUNCTIONS = {"hour": True, "weekday": True, "season": False, "band": False}
#: More would make a table that nobody reads on a page.
MOST_KEYS = 2


@dataclass(frozen=True)
class Condition:
    """Rows whose `key` (a column, or `hour:started_at`) has one of `values`; with `span`, lies between the two."""

    key: str
    values: tuple[str | int, ...]
    span: bool = False


@dataclass(frozen=True)
class Chosen:
    """`measure` is `count`, `persons`, `share`, or one of `sum`, `mean`, `median` with its column: `mean:minutes`."""

    dataset: str
    where: tuple[Condition, ...] = ()
    by: tuple[str, ...] = ()
    measure: str = "count"

    @property
    def fn(self) -> str:
        return self.measure.partition(":")[0]

    @property
    def name(self) -> str:
        """What the measure is called in the plan."""
        return NAMES.get(self.fn, "number")  # of one that does not exist, which `agg` refuses

    @property
    def figure(self) -> str:
        """The answer's column with its figures."""
        return f"{self.name}_q50" if self.fn == "median" else self.name

    def fields(self) -> list[tuple[str, str]]:
        """The fields of the address that `read_chosen` reads back into an equal object."""
        found = [("dataset", self.dataset)]
        for condition in self.where:
            if condition.span:
                low, high = condition.values
                found += [(f"from.{condition.key}", str(low)), (f"to.{condition.key}", str(high))]
            else:
                found += [(f"in.{condition.key}", str(value)) for value in condition.values]
        return [*found, *(("by", key) for key in self.by), ("measure", self.measure)]

    def question(self, dataset: Dataset) -> Question:
        """Raises UnknownColumn, UnknownFunction, ValueOutsideDomain, MeasureRefused, each with its own words."""
        asked = Question(dataset).where(*(_filter(dataset, each) for each in self.where))
        return asked.by(*(_key(dataset, each) for each in self.by)).agg(
            **{self.name: _measure(dataset, self.measure)}
        )

    def python(self, spend: str | None, team: str, purpose: str, twin_rows: int | None = None) -> str:
        """The same as Python, drawing included. `twin_rows`: of so many made-up rows."""
        source = f"civic.dataset({_literal(self.dataset)})"
        if twin_rows is not None:
            source = f"civic.twin({_literal(self.dataset)}, rows={twin_rows})"
        steps = [f".where({_filter_text(each)})" for each in self.where]
        if self.by:
            steps.append(f".by({', '.join(map(_key_text, self.by))})")
        given = [_literal(spend)] if spend else []
        given += [f"team={_literal(team)}", f"purpose={_literal(purpose)}"]
        steps += [f".agg({self.name}={_measure_text(self.measure)})", f".ask({', '.join(given)})"]
        lines = ["import civic_kernel as civic", "", f"data = {source}", "answer = (", "    data" + steps[0]]
        lines += [f"    {step}" for step in steps[1:]]
        return "\n".join([*lines, ")", "answer"])


def read_chosen(fields: Fields, detail: DatasetDetail) -> Chosen:
    """What the form of `detail` sent. Order and repetition of fields mean nothing; what names no column of the dataset
    is left for `question` to refuse, never passed over: dropping a filter would answer another question.
    """
    keys = dict.fromkeys(
        name.partition(".")[2] for name in fields if name.startswith(("in.", "from.", "to."))
    )
    order = [column.name for column in detail.columns]
    conditions = []
    for key in sorted(keys, key=lambda each: (_place(order, column_of(each)), each)):
        conditions += _conditions(key, fields)
    by = [key for key in dict.fromkeys(fields.get("by", ())) if key]
    measure = next((one for one in fields.get("measure", ()) if one), "count")
    return Chosen(detail.id, tuple(conditions), tuple(by[:MOST_KEYS]), measure)


def column_of(key: str) -> str:
    """`started_at` of `hour:started_at`; a column is its own."""
    return key.rpartition(":")[2]


def _place(order: list[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _conditions(key: str, fields: Fields) -> list[Condition]:
    found = []
    # A text field holds several values, separated by commas; a box holds one.
    texts = [part.strip() for value in fields.get(f"in.{key}", ()) for part in value.split(",")]
    values = [_typed(key, part) for part in dict.fromkeys(texts) if part]
    if values:
        found.append(Condition(key, tuple(values)))
    low, high = (next((v for v in fields.get(f"{end}.{key}", ()) if v), "") for end in ("from", "to"))
    if low or high:
        ends = _typed(key, low or high), _typed(key, high or low)
        found.append(Condition(key, ends, span=True))
    return found


def _typed(key: str, value: str) -> str | int:
    whole = FUNCTIONS.get(key.partition(":")[0], False) and ":" in key
    return int(value) if whole and value.isascii() and value.isdigit() else value


# --- as a question ---


def _key(dataset: Dataset, key: str) -> Column | KeyFunction:
    fn, _, column = key.rpartition(":")
    if not fn:
        return dataset[column]
    if fn not in FUNCTIONS:
        # The gateway's own list of what there is stands in the refusal.
        return KeyFunction(fn, dataset[column], [])
    made: KeyFunction = getattr(queries, fn)(dataset[column])
    return made


def _filter(dataset: Dataset, condition: Condition) -> queries.Filter:
    compared = _key(dataset, condition.key)
    if not condition.span:
        return compared.isin(condition.values)
    low, high = condition.values
    if isinstance(low, int) and isinstance(high, int) and low > high:
        return compared.isin(_through_midnight(low, high))
    return compared.between(low, high)


def _through_midnight(low: int, high: int) -> list[int]:
    """From 22 to 5 o'clock: the hours of a night, not none."""
    return [*range(low, 24), *range(high + 1)]


def _measure(dataset: Dataset, measure: str) -> Measure:
    fn, _, column = measure.partition(":")
    match fn:
        case "count":
            return measures.count()
        case "persons":
            return measures.persons()
        case "share":
            return measures.share()
        case "sum":
            return measures.sum_of(dataset[column])
        case "mean":
            return measures.mean(dataset[column])
        case "median":
            return measures.quantiles(dataset[column], at=[50])
        case _:
            return Measure(fn)  # `agg` refuses it, and names what there is


# --- as Python ---


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _column_text(name: str) -> str:
    # A column may have the name of something that a dataset can do.
    return f"data[{_literal(name)}]" if hasattr(Dataset, name) or not name.isidentifier() else f"data.{name}"


def _key_text(key: str) -> str:
    fn, _, column = key.rpartition(":")
    return f"civic.{fn}({_column_text(column)})" if fn else _column_text(column)


def _filter_text(condition: Condition) -> str:
    compared = _key_text(condition.key)
    if condition.span:
        low, high = condition.values
        if not (isinstance(low, int) and isinstance(high, int) and low > high):
            return f"{compared}.between({_literal(low)}, {_literal(high)})"
        return f"{compared}.isin({_literal(_through_midnight(low, high))})"
    return f"{compared}.isin({_literal(list(condition.values))})"


def _measure_text(measure: str) -> str:
    fn, _, column = measure.partition(":")
    if fn == "median":
        return f"civic.quantiles({_column_text(column)}, at=[50])"
    return f"civic.{fn}({_column_text(column) if column else ''})"
