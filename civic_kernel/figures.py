"""What charts and maps share: reading a frame's values with their intervals, and writing them as words."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from civic_kernel.errors import FrameUnsuitable
from civic_kernel.frames import KEY, check_columns, is_exact
from civic_kernel.lost import lost_words
from civic_kernel.publish.words import key_value
from civic_kernel.texts import Language, templates_root, text
from civic_kernel.wire import OPEN

if TYPE_CHECKING:
    import jinja2
    import pandas as pd


@dataclass(frozen=True)
class Point:
    """One drawn value. `value`, `low`, `high` are None where nothing is shown; all three are one where it is exact.

    `exact` of a value that is None: it is missing. In the open lane nothing is ever withheld for there being too few.
    """

    key: str
    label: str
    value: float | None
    low: float | None
    high: float | None
    marked: bool
    exact: bool = False

    @property
    def shown(self) -> bool:
        return self.value is not None


def points(frame: pd.DataFrame, by: str, value: str, mark: str | None, language: Language) -> list[Point]:
    """The rows of `frame` in their order; one row for each key.

    Needs `value`, `value_low`, `value_high` and `by`; honours `withheld`; `mark` names a boolean column.
    Raises FrameUnsuitable, also for a frame with several rows of one key: a figure that drew the last of
    them would show one month and say that it is the year.
    """
    exact = is_exact(frame, value)
    ends = (value, value) if exact else (f"{value}_low", f"{value}_high")
    check_columns(frame, by, value, *ends, *([mark] if mark else []))
    if frame[by].duplicated().any():
        raise FrameUnsuitable.say(language, column=f"civic.total(…, by={by!r})", known=by)
    numbers = [frame[c].to_numpy(dtype=float, na_value=np.nan) for c in (value, *ends)]
    gone: npt.NDArray[np.bool_] = ~np.isfinite(np.vstack(numbers)).all(axis=0)
    if "withheld" in frame.columns:
        gone |= frame["withheld"].to_numpy(dtype=bool)
    marks = frame[mark].to_numpy(dtype=bool) if mark else np.zeros(len(frame), dtype=bool)
    out = []
    is_open = frame.attrs.get(KEY, {}).get("lane") == OPEN
    for i, raw in enumerate(frame[by].tolist()):
        v, low, high = (None if gone[i] else float(n[i]) for n in numbers)
        shown = bool(marks[i]) and not gone[i]
        plain = exact or (is_open and bool(gone[i]))
        out.append(Point(str(raw), key_value(by, raw, language), v, low, high, shown, plain))
    return out


def origin_note(frame: pd.DataFrame, language: Language) -> str:
    """What a figure must say first: that its data are made up, or that nobody knows; empty for real answers.

    pandas drops a frame's origin when tables are joined. Silence would then pass made-up data off as real.
    """
    origin = frame.attrs.get(KEY)
    if origin is None:
        return text(language, "kernel", "figure.origin_unknown")
    if origin.get("made_up"):
        return text(language, "kernel", "figure.made_up")
    return text(language, "kernel", "figure.synthetic") if origin["synthetic"] else ""


def lost_note(frame: pd.DataFrame, language: Language) -> list[str]:
    """What the row bound leaves out of the answers behind this figure; nothing where its origin is gone."""
    return lost_words(frame.attrs.get(KEY, {}).get("lost") or {}, language)


def number(value: float, digits: int = 0) -> str:
    """`−1,234.5`, with a true minus sign; −0 is 0, since a noisy nothing is nothing."""
    written = f"{value:,.{digits}f}"
    return written.lstrip("-") if float(written.replace(",", "")) == 0 else written.replace("-", "−")


def with_unit(written: str, unit: str) -> str:
    """`1,234번`, `40%`, `1,234 rides`: Korean units and the per cent sign stand close, others apart."""
    close = unit[:1] == "%" or "가" <= unit[:1] <= "힣"
    return f"{written}{'' if close else ' '}{unit}" if unit else written


def short(value: float, digits: int, language: Language) -> str:
    """A round number as an axis or a legend has it: `1.5만`, `2억` in Korean where it is round there, else as `number`.

    A reader of Korean counts in ten thousands, and has to count the digits of 150,000.
    """
    if language == "ko":
        for size, sign in ((1e8, "억"), (1e4, "만")):
            if abs(value) >= size and float(value / size * 10).is_integer():
                return f"{number(value / size, 0 if float(value / size).is_integer() else 1)}{sign}"
    return number(value, digits)


def interval(point: Point, language: Language, digits: int, unit: str = "") -> str:
    """`9,800에서 10,700 사이`, that it is exact, or why there is nothing."""
    if point.low is None or point.high is None:
        return text(language, "kernel", "figure.missing" if point.exact else "figure.withheld_why")
    if point.exact:
        return text(language, "kernel", "figure.exact")
    said = text(
        language, "kernel", "figure.interval", low=number(point.low, digits), high=number(point.high, digits)
    )
    return f"{said} ({unit})" if unit else said


def summary(drawn: list[Point], language: Language, digits: int) -> str:
    """A generated description: a fallback for the notebook. A published figure needs words by a person."""
    shown = [(p.value, p.label) for p in drawn if p.value is not None]
    if not shown:
        return text(language, "kernel", "figure.summary_empty")
    (top, top_label), (low, low_label) = max(shown), min(shown)
    said = text(
        language, "kernel", "figure.summary", n=len(shown),
        top=top_label, top_value=number(top, digits), low=low_label, low_value=number(low, digits),
    )  # fmt: skip
    gone = len(drawn) - len(shown)
    why = "figure.summary_missing" if any(p.exact for p in drawn) else "figure.summary_withheld"
    return said + (" " + text(language, "kernel", why, n=gone) if gone else "")


def content_id(*parts: str) -> str:
    """An id from content alone: the same figure has the same bytes wherever and whenever it is drawn."""
    return "f" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@cache
def template(name: str) -> jinja2.Template:
    """A template of `templates/report`, autoescaped; an undefined name in it is a fault, not a blank."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_root() / "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
