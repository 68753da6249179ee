"""What the form of a dataset offers, in the words of its public description. Nothing here asks anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from civic_kernel.lab.forms.chosen import FUNCTIONS, NAMES, Chosen, Condition, column_of
from civic_kernel.publish.words import value_words
from civic_kernel.texts import Language, text
from civic_kernel.wire import ColumnDetail, DatasetDetail

#: So many values are ticked one by one; of more, one is picked from a list.
MOST_BOXES = 31
SEASONS = ("spring", "summer", "autumn", "winter")
#: The column of a private dataset that says which month pays.
MONTH = "month"


@dataclass(frozen=True)
class Option:
    value: str
    words: str
    chosen: bool = False


@dataclass(frozen=True)
class Choice:
    """One filter of the form. `form`: `boxes`, `list` (one of many), `span` (from–to), `text` (values are typed)."""

    key: str
    label: str
    form: str
    options: tuple[Option, ...] = ()
    low: str = ""
    high: str = ""
    typed: str = ""

    @property
    def said(self) -> str:
        """What is chosen, for whoever has the filter folded."""
        chosen = [option.words for option in self.options if option.chosen]
        if self.form == "span":
            return f"{self._words(self.low)}–{self._words(self.high)}" if self.low or self.high else ""
        if self.form == "text":
            return self.typed
        return ", ".join(chosen[:3]) + (f" +{len(chosen) - 3}" if len(chosen) > 3 else "")

    def _words(self, value: str) -> str:
        return next((option.words for option in self.options if option.value == value), value)


def key_words(key: str, detail: DatasetDetail, language: Language) -> str:
    """`출발 구`, or `대여 시각의 시간대` of a key function."""
    fn, _, name = key.rpartition(":")
    label = next((c.label.get(language) for c in detail.columns if c.name == name), name)
    return text(language, "forms", f"key.{fn}", label=label) if fn in FUNCTIONS else label


def measure_words(measure: str, detail: DatasetDetail, language: Language) -> str:
    """`몇 건`, `이용 시간(분)의 평균`."""
    fn, _, name = measure.partition(":")
    label = next((c.label.get(language) for c in detail.columns if c.name == name), name)
    return text(language, "forms", f"measure.{fn}", label=label) if fn in NAMES else measure


def first_choice(detail: DatasetDetail) -> Chosen:
    """Where the form begins: the newest month, by the first place or other key that the dataset has."""
    months = (Condition(MONTH, (max(detail.periods),)),) if detail.periods else ()
    named = [c for c in detail.columns if c.type == "key" and (c.values or detail.is_open)]
    named.sort(key=lambda column: column.geography is None)
    # Of a column that starts something (a ride's gu) people ask first.
    named.sort(key=lambda column: not column.name.startswith("start"))
    return Chosen(detail.id, months, tuple(column.name for column in named[:1]))


def groups(detail: DatasetDetail, chosen: Chosen, language: Language) -> list[list[Option]]:
    """The options of each "by" list, as many lists as a question may have keys here."""
    found: list[str] = []
    for column in detail.columns:
        if column.type in ("key", "period"):
            found.append(column.name)
        if column.type == "time" and detail.is_open and column.holds == "day":
            found.append(column.name)
        found += [f"{fn}:{column.name}" for fn in _functions(detail, column)]
    words = {key: key_words(key, detail, language) for key in found}
    places = [*chosen.by, ""][:2] if len(chosen.by) < 2 else list(chosen.by)
    return [[Option(key, words[key], key == now) for key in found] for now in places]


def measures(detail: DatasetDetail, chosen: Chosen, language: Language) -> list[Option]:
    found = ["count"]
    if "persons" in detail.measures and detail.unit is not None and detail.unit.kind == "person":
        found.append("persons")
    if "share" in detail.measures:
        found.append("share")
    for column in detail.columns:
        if column.type == "measure":
            for fn, needed in (("mean", "mean"), ("median", "quantiles"), ("sum", "sum")):
                if needed in detail.measures:
                    found.append(f"{fn}:{column.name}")
    words = partial(measure_words, detail=detail, language=language)
    return [Option(each, words(each), each == chosen.measure) for each in found]


def filters(detail: DatasetDetail, chosen: Chosen, language: Language) -> list[Choice]:
    """One for each column, or hour or weekday of one, that rows can be picked by; the month first."""
    there = {(condition.key, condition.span): condition for condition in chosen.where}
    found = list(_filters(detail, there, language))
    return sorted(found, key=lambda choice: choice.key != MONTH)


def _filters(
    detail: DatasetDetail, there: Mapping[tuple[str, bool], Condition], language: Language
) -> Iterator[Choice]:
    for column in detail.columns:
        known = list(column.values or ())
        if column.type in ("key", "period"):
            if column.other:
                known.append("other")
            yield _choice(column.name, detail, known, there, language)
        elif column.type == "time" and detail.is_open and column.holds == "day":
            low, high = _ends(there, column.name)
            yield Choice(column.name, column.label.get(language), "span", (), low, high)
        for fn in _functions(detail, column):
            key = f"{fn}:{column.name}"
            if fn == "hour":
                hours = tuple(Option(str(h), value_words("hour", h, language)) for h in range(24))
                low, high = _ends(there, key)
                yield Choice(key, key_words(key, detail, language), "span", hours, low, high)
            else:
                values: dict[str, Sequence[str | int]] = {"weekday": range(7), "season": SEASONS}
                yield _choice(key, detail, values.get(fn, column.bands or ()), there, language)


def _choice(
    key: str,
    detail: DatasetDetail,
    values: Sequence[str | int],
    there: Mapping[tuple[str, bool], Condition],
    language: Language,
) -> Choice:
    label = key_words(key, detail, language)
    chosen = there[key, False].values if (key, False) in there else ()
    if not values:  # an open dataset says no domain: what it holds is what is in its rows
        return Choice(key, label, "text", typed=", ".join(map(str, chosen)))
    # A function's value is said as such (`월요일`), whatever column it is made from.
    said = key.partition(":")[0] if ":" in key else column_of(key)
    options = tuple(
        Option(str(value), value_words(said, value, language), value in chosen) for value in values
    )
    return Choice(key, label, "boxes" if len(options) <= MOST_BOXES else "list", options)


def _ends(there: Mapping[tuple[str, bool], Condition], key: str) -> tuple[str, str]:
    condition = there.get((key, True))
    return (str(condition.values[0]), str(condition.values[1])) if condition else ("", "")


def _functions(detail: DatasetDetail, column: ColumnDetail) -> list[str]:
    """Key functions that may be made of the column."""
    kinds = {"time": ("hour", "weekday"), "period": ("season",), "measure": ("band",)}
    there = [fn for fn in kinds.get(column.type, ()) if fn in detail.functions]
    return [fn for fn in there if fn != "band" or column.bands]
