"""A question in words, so that whoever decides on it, or reads what was asked, need not read a plan.

Made from the plan and the catalog's labels alone. Nothing is left out and nothing rounded off: a list that ended
in "and 20 more" could hide the one gu that matters. Only neighbours are joined (`18–23`), whose ends stand in the
plan like all that lies between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import assert_never

from data_access.catalog import Dataset
from data_access.query.canonical_form import PERIOD
from data_access.query.nodes import (
    And,
    Between,
    ColumnKey,
    Compare,
    Count,
    Filter,
    FunctionKey,
    GroupKey,
    Histogram,
    In,
    KeyFunction,
    Mean,
    Measure,
    Missing,
    Not,
    Or,
    Persons,
    Plan,
    Quantiles,
    Rows,
    Share,
    Sum,
    Value,
)
from data_access.query.schema import OTHER, PERIOD_KEY
from data_access.texts import Language, text

#: From so many neighbours on, the first and the last are named.
_RUN = 3


def question_words(plan: Plan, entry: Dataset, language: Language) -> str:
    """One sentence without a full stop: of when, of what, which rows, by what, which figures.

    `Rides in 2026-09, by start gu and hour: count`. `plan` is in its canonical form; a column that the catalog no
    longer has stands there by its name.
    """
    return _Words(entry, language).question(plan)


def rows_words(rows: Rows, entry: Dataset, language: Language) -> str:
    """The same of rows that are taken from an open dataset as they are."""
    return _Words(entry, language).rows(rows)


class _Words:
    def __init__(self, entry: Dataset, language: Language) -> None:
        self._entry = entry
        self._language: Language = language

    def question(self, plan: Plan) -> str:
        parts = plan.where.parts if isinstance(plan.where, And) else (plan.where,) if plan.where else ()
        months = [part for part in parts if isinstance(part, In) and part.key == PERIOD]
        rest = [part for part in parts if part not in months]
        korean = self._language == "ko"
        title = self._entry.title.ko if korean else self._entry.title.en
        by = [self._key(key) for key in plan.by]
        only = self._filter(And(tuple(rest)) if len(rest) > 1 else rest[0]) if rest else ""
        measures = list(dict.fromkeys(self._measure(measure) for _, measure in plan.measures))
        return text(
            self._language,
            "words",
            "question",
            title=with_particle(title, "을", "를") if korean else title,
            when=self._say("when", values=self._values(PERIOD, months[0].values)) if months else "",
            only=self._say("only", conditions=only) if only else "",
            by=self._say("by", keys=_split_by(self._list(by)) if korean else self._list(by)) if by else "",
            measures=", ".join(measures) if korean else self._list(measures),
        )

    def rows(self, rows: Rows) -> str:
        return self._say(
            "rows",
            title=self._entry.title.ko if self._language == "ko" else self._entry.title.en,
            only=self._say("only", conditions=self._filter(rows.where)) if rows.where else "",
            columns=", ".join(self._label(column) for column in rows.columns),
        )

    def _say(self, key: str, /, **facts: str) -> str:
        return text(self._language, "words", key, **facts)

    def _label(self, column: str) -> str:
        if column == PERIOD_KEY:
            return self._say("key.month")
        found = self._entry.columns.get(column) or self._entry.derived.get(column)
        if found is None:
            return column
        return found.label.ko if self._language == "ko" else _uncapitalised(found.label.en)

    def _key(self, key: GroupKey) -> str:
        match key:
            case ColumnKey(column):
                return self._label(column)
            case FunctionKey(KeyFunction.BAND, column):
                return self._say("key.band", label=self._label(column))
            case FunctionKey(fn):
                return self._say(f"key.{fn.value}")
            case _:
                assert_never(key)

    def _compared(self, key: GroupKey) -> str:
        is_band = isinstance(key, FunctionKey) and key.fn is KeyFunction.BAND
        return self._label(key.column) if is_band else self._key(key)

    def _value(self, key: GroupKey, value: Value) -> str:
        match key:
            case FunctionKey(KeyFunction.HOUR):
                return self._say("value.hour", hour=str(value))
            case FunctionKey(KeyFunction.WEEKDAY | KeyFunction.SEASON as fn):
                return self._say(f"value.{fn.value}.{value}")
            case ColumnKey(column) if column == PERIOD_KEY:
                year, _, month = str(value).partition("-")
                return self._say("value.month", year=year, month=month, number=str(int(month)))
            case _ if value == OTHER:
                return self._say("value.other")
            case FunctionKey(KeyFunction.BAND):
                return str(value).replace("..", "–")
            case _:
                return str(value)

    def _values(self, key: GroupKey, values: Sequence[Value]) -> str:
        follows = _follower(key)
        runs: list[list[Value]] = [[values[0]]]
        for one, other in pairwise(values):
            if follows is not None and follows(one) == other:
                runs[-1].append(other)
            else:
                runs.append([other])
        said: list[str] = []
        for run in runs:
            words = [self._value(key, value) for value in run]
            said += [self._say("run", low=words[0], high=words[-1])] if len(words) >= _RUN else words
        return ", ".join(said)

    def _filter(self, node: Filter) -> str:
        match node:
            case And(parts) | Or(parts):
                said = [
                    self._filter(p) if not isinstance(p, And | Or) else f"({self._filter(p)})" for p in parts
                ]
                return self._joined(said, "and" if isinstance(node, And) else "or")
            case Not(part):
                return self._say("not", condition=self._filter(part))
            case Missing(column, holds):
                return self._say("missing" if holds else "present", label=self._label(column))
            case In(key, values):
                return f"{self._compared(key)} {self._values(key, values)}"
            case Compare(key, op, value):
                return self._say(f"op.{op.value}", label=self._compared(key), value=self._value(key, value))
            case Between(key, low, high):
                ends = self._say("run", low=self._value(key, low), high=self._value(key, high))
                return f"{self._compared(key)} {ends}"
            case _:
                assert_never(node)

    def _measure(self, measure: Measure) -> str:
        match measure:
            case Count():
                return self._say("measure.count")
            case Persons():
                return self._say("measure.persons")
            case Sum(column):
                return self._say("measure.sum", label=self._label(column))
            case Mean(column):
                return self._say("measure.mean", label=self._label(column))
            case Histogram(column):
                return self._say("measure.histogram", label=self._label(column))
            case Quantiles(column, at):
                places = ", ".join(str(place) for place in at)
                return self._say("measure.quantiles", label=self._label(column), places=places)
            case Share(where, within):
                if where is not None:
                    return self._say("measure.share_where", condition=self._filter(where))
                if within:
                    return self._say("measure.share_within", keys=self._list([self._key(k) for k in within]))
                return self._say("measure.share")
            case _:
                assert_never(measure)

    def _joined(self, said: Sequence[str], word: str) -> str:
        return f" {self._say(word)} ".join(said)

    def _list(self, words: Sequence[str]) -> str:
        """`a, b and c`."""
        if len(words) < 2:
            return "".join(words)
        first = ", ".join(words[:-1])
        if self._language == "ko":
            return f"{with_particle(first, '과', '와')} {words[-1]}"
        return f"{first} {self._say('and')} {words[-1]}"


def _follower(key: GroupKey) -> Callable[[Value], Value] | None:
    """What comes next in the order that people know; None where values have none."""
    match key:
        case FunctionKey(KeyFunction.HOUR | KeyFunction.WEEKDAY):
            return lambda value: int(value) + 1
        case ColumnKey(column) if column == PERIOD_KEY:
            return lambda value: _next_month(str(value))
        case _:
            return None


def _next_month(period: str) -> str:
    year, month = map(int, period.split("-"))
    return f"{year + month // 12:04d}-{month % 12 + 1:02d}"


def _uncapitalised(label: str) -> str:
    """`Gu of the start` inside a sentence; `EV charging` stays as it is."""
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def _split_by(keys: str) -> str:
    """`성별` says "by sex" already."""
    return keys if keys.endswith("별") else f"{keys}별"


#: Digits whose Korean name ends in a consonant: 영, 일, 삼, 육, 칠, 팔.
_CLOSED_DIGITS = "013678"


def with_particle(word: str, after_consonant: str, after_vowel: str) -> str:
    """`word` with the particle that fits its sound. What stands in brackets at its end is not read aloud."""
    spoken = word.rstrip()
    while spoken.endswith(")") and "(" in spoken.rstrip(")"):
        spoken = spoken[: spoken.rindex("(")].rstrip()
    last = spoken[-1:]
    is_closed = (ord(last) - 0xAC00) % 28 > 0 if "가" <= last <= "힣" else last in _CLOSED_DIGITS
    return word + (after_consonant if last and is_closed else after_vowel)
