"""An answer for somebody who reads: a table with its ranges in words, drawings of them, and the same as a CSV."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from civic_kernel.frames import KEY, headline
from civic_kernel.lab.forms.chosen import Chosen
from civic_kernel.lab.forms.offered import key_words, measure_words
from civic_kernel.publish.tables import csv_bytes, shown, withheld_rows
from civic_kernel.publish.words import value_words
from civic_kernel.texts import Language, text
from civic_kernel.wire import DatasetDetail

if TYPE_CHECKING:
    import pandas as pd

    from civic_kernel.charts import Chart

#: A drawing of more rows is a wall; so many drawings stand beside each other.
MOST_ROWS, MOST_DRAWINGS = 40, 6
#: Keys whose values have an order of their own: a line, from the first to the last.
IN_ORDER = frozenset({"month", "hour", "weekday", "day"})
LONG_TABLE = 200
#: Decimals of figures that are no whole numbers; a share is shown in per cent.
DIGITS = {"mean": 1, "share": 1, "median": 0}


@dataclass(frozen=True)
class View:
    """`table` is as `publish.tables.shown` makes it. `drawn` are (caption, chart); `undrawn` says why there is none."""

    title: str
    note: str
    table: dict[str, Any]
    withheld: tuple[str, ...]
    drawn: tuple[tuple[str, Chart], ...]
    undrawn: str
    cut: int


def make_view(frame: pd.DataFrame, detail: DatasetDetail, chosen: Chosen, language: Language) -> View:
    """Raises nothing that a frame of this question could cause."""
    table = _table(frame, detail, chosen, language)
    drawn, undrawn = _drawings(frame, detail, chosen, language)
    short = {**table, "rows": table["rows"][:LONG_TABLE]}
    return View(
        title_of(detail, chosen, language),
        headline(frame) or "",
        shown(short, language, None),
        tuple(withheld_rows(short, language)),
        tuple(drawn),
        undrawn,
        len(table["rows"]) - len(short["rows"]),
    )


def csv_of(frame: pd.DataFrame, detail: DatasetDetail, chosen: Chosen, language: Language) -> bytes:
    """UTF-8 with BOM: columns and figures as in the answer, keys as the source has them."""
    table = _table(frame, detail, chosen, language, plain=True)
    if frame.attrs.get(KEY, {}).get("made_up"):
        # The file leaves its page, and with it every word that says so.
        label = text(language, "forms", "answer.made_up")
        table["columns"].append({"name": "made_up", "role": "value", "label": {language: label}})
        table["rows"] = [[*row, True] for row in table["rows"]]
    return csv_bytes(table)


def title_of(detail: DatasetDetail, chosen: Chosen, language: Language) -> str:
    """`공공자전거 대여이력: 출발 구별 몇 건`."""
    title = detail.title.get(language)
    measure = measure_words(chosen.measure, detail, language)
    if not chosen.by:
        return text(language, "forms", "answer.title", title=title, measure=measure)
    by = text(language, "forms", "answer.and").join(key_words(key, detail, language) for key in chosen.by)
    return text(language, "forms", "answer.title_by", title=title, measure=measure, by=by)


def filter_lines(detail: DatasetDetail, chosen: Chosen, language: Language) -> list[tuple[str, str]]:
    """(what, which values) for each filter; nothing is left out."""
    found = []
    for condition in chosen.where:
        said = condition.key.partition(":")[0]
        words = [value_words(said, value, language) for value in condition.values]
        line = f"{words[0]}–{words[1]}" if condition.span else ", ".join(words)
        found.append((key_words(condition.key, detail, language), line))
    return found


def _table(
    frame: pd.DataFrame, detail: DatasetDetail, chosen: Chosen, language: Language, plain: bool = False
) -> dict[str, Any]:
    """The shape of `publish.tables`: only what was asked, with the ends of its range. `plain`: keys and figures as
    the answer has them.
    """
    origin = frame.attrs[KEY]
    digits = 0 if plain else _digits(frame, chosen)
    names, heads = [], []
    for key in origin["keys"]:
        words = next((key_words(k, detail, language) for k in chosen.by if _column(k) == key), key)
        names.append(key)
        heads.append({"name": key, "role": "key", "label": {language: words}})
    figure = chosen.figure
    label = {language: measure_words(chosen.measure, detail, language)}
    names.append(figure)
    heads.append({"name": figure, "role": "measure", "label": label})
    for end in ("low", "high"):
        if f"{figure}_{end}" in frame.columns:
            names.append(f"{figure}_{end}")
            heads.append({"name": names[-1], "role": end, "measure": figure, "label": label})
    if "withheld" in frame.columns:
        names.append("withheld")
        heads.append({"name": "withheld", "role": "flag", "label": {language: ""}})
    rows = []
    for row in frame[names].itertuples(index=False, name=None):
        cells = []
        for head, value in zip(heads, row, strict=True):
            if head["role"] == "key":
                cells.append(
                    _bare(value) if plain else value_words(str(head["name"]), _bare(value), language)
                )
            else:
                cells.append(_bare(value) if plain else _rounded(_bare(value), digits, chosen))
        rows.append(cells)
    return {"columns": heads, "rows": rows, "digits": digits}


def _column(key: str) -> str:
    """The answer's column of a key: that of `hour:started_at` is `hour`."""
    return key.partition(":")[0]


def _digits(frame: pd.DataFrame, chosen: Chosen) -> int:
    if chosen.fn in DIGITS:
        return DIGITS[chosen.fn]
    return 0 if str(frame[chosen.figure].dtype) in ("Int64", "int64", "object") else 1


def _bare(value: Any) -> Any:
    import pandas as pd

    if value is None or pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def _rounded(value: Any, digits: int, chosen: Chosen) -> Any:
    if value is None or isinstance(value, bool):
        return value
    scaled = value * 100 if chosen.fn == "share" else value
    return scaled if isinstance(scaled, int) else round(scaled, digits) if digits else round(scaled)


# --- drawings ---


def _drawings(
    frame: pd.DataFrame, detail: DatasetDetail, chosen: Chosen, language: Language
) -> tuple[list[tuple[str, Chart]], str]:
    """One drawing, or with a second key one for each of its values; or why there is none."""
    keys = [_column(key) for key in chosen.by]
    if not keys or frame.empty:
        return [], ""
    along = next((key for key in keys if key in IN_ORDER), keys[0])
    rest = [key for key in keys if key != along]
    if rest and frame[rest[0]].nunique() > MOST_DRAWINGS and frame[along].nunique() <= MOST_DRAWINGS:
        along, rest = rest[0], [along]
    most = frame[rest[0]].nunique() if rest else 1
    if frame[along].nunique() > MOST_ROWS or most > MOST_DRAWINGS:
        return [], text(language, "forms", "answer.undrawn", rows=MOST_ROWS, drawings=MOST_DRAWINGS)
    if not rest:
        return [("", _draw(frame, along, detail, chosen, language, ""))], ""
    drawn = []
    for value in frame[rest[0]].drop_duplicates():
        words = value_words(rest[0], _bare(value), language)
        part = frame[frame[rest[0]] == value]
        drawn.append((words, _draw(part, along, detail, chosen, language, words)))
    return drawn, ""


def _draw(
    frame: pd.DataFrame, along: str, detail: DatasetDetail, chosen: Chosen, language: Language, part: str
) -> Chart:
    from civic_kernel import charts

    figure = chosen.figure
    worded = frame.assign(**{along: [value_words(along, _bare(value), language) for value in frame[along]]})
    if chosen.fn == "share":
        columns = [c for c in (figure, f"{figure}_low", f"{figure}_high") if c in worded.columns]
        worded = worded.assign(**{column: worded[column] * 100 for column in columns})
    title = title_of(detail, chosen, language) + (f" – {part}" if part else "")
    draw = charts.line if along in IN_ORDER and along != "weekday" else charts.dots
    if draw is charts.dots and along in IN_ORDER:
        return charts.dots(
            worded, figure, along, title=title, digits=_digits(frame, chosen), sort=False, language=language
        )
    return draw(worded, figure, along, title=title, digits=_digits(frame, chosen), language=language)
