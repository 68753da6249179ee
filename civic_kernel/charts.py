"""Charts as small accessible SVG, with their uncertainty and their gaps.

Drawn by our own templates. matplotlib was rejected: its SVG has glyph outlines instead of text (so neither a
screen reader nor a search finds it), fixed pixel sizes that shrink to 7 px on a phone, colours that ignore
the page's dark or high-contrast theme, and 40 times the bytes. Here text is text in the reader's own font
and of constant size, since horizontal positions are percentages; colours are the page's tokens.
"""

from __future__ import annotations

import re
from calendar import month_abbr
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from civic_kernel.figures import (
    Point,
    content_id,
    interval,
    lost_note,
    number,
    origin_note,
    points,
    short,
    summary,
    template,
)
from civic_kernel.frames import KEY
from civic_kernel.texts import Language, speaker, text

if TYPE_CHECKING:
    import pandas as pd


_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True)
class Chart:
    """One drawn chart; `alt` is None until a person wrote one.

    `svg` is the drawing, which itself says so where its data are made up, since a drawing is copied without
    its page. `note` says how to read it, beside the drawing because SVG text cannot wrap on a phone. `html`
    is both.
    """

    svg: str
    note: str
    title: str
    alt: str | None

    @property
    def html(self) -> str:
        style = "font-size:.8125rem;margin:.5em 0"
        return f'<p class="civic-chart-note" style="{style}">{escape(self.note)}</p>{self.svg}'

    def _repr_html_(self) -> str:
        return f"<p><strong>{escape(self.title)}</strong></p>{self.html}"


@dataclass(frozen=True)
class Scale:
    """A linear axis from `low` to `high`, with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float, start: float = 0.0, end: float = 100.0) -> float:
        """Position between `start` and `end`, cut at both; 2 decimals: bytes must not hang on the 15th."""
        part = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(start + part * (end - start), 2)


def make_scale(values: list[float], wanted: int = 4, from_zero: bool = True) -> Scale:
    """Round ticks at 1, 2 or 5 times a power of ten, that enclose all values (and 0, where `from_zero`)."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high <= low:
        high = low + 1.0
    raw = (high - low) / wanted
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    first, last = floor(low / step), ceil(high / step)
    return Scale(first * step, last * step, tuple(i * step for i in range(first, last + 1)))


# Horizontal layout of the dot chart, in per cent of its width: labels, plot, words of the interval.
# English names of gu and six-digit intervals just fit beside each other at 320 px.
_PLOT_START, _PLOT_END = 36.0, 66.0
_ROW, _TOP = 26, 18
#: Height of the line that says that data are made up.
_LEAD = 22


def dots(
    frame: pd.DataFrame,
    value: str,
    by: str,
    *,
    title: str,
    alt: str | None = None,
    mark: str | None = None,
    reference: float | None = None,
    digits: int = 0,
    sort: bool = True,
    language: Language | None = None,
) -> Chart:
    """One dot with its 95 % line for each row of `frame`, highest first; withheld rows hatched, at the end.

    `mark` names a boolean column of rows that stand out: drawn as diamonds, in bold, with a word, so that
    colour is never alone. `reference` draws the overall value as a dashed line. Raises FrameUnsuitable.
    """
    spoken = language or _language(frame)
    drawn = points(frame, by, value, mark, spoken)
    if sort:
        drawn.sort(key=lambda p: (p.value is None, -(p.value or 0.0)))
    ends = [v for p in drawn for v in (p.low, p.high) if v is not None]
    scale = make_scale([*ends, *([reference] if reference is not None else [])])
    rows = [
        {
            "y": _TOP + i * _ROW + _ROW / 2,
            "label": p.label,
            "marked": p.marked,
            "shown": p.shown,
            "x": scale.at(p.value, _PLOT_START, _PLOT_END) if p.value is not None else None,
            "x1": scale.at(p.low, _PLOT_START, _PLOT_END) if p.low is not None else None,
            "x2": scale.at(p.high, _PLOT_START, _PLOT_END) if p.high is not None else None,
            "words": _range(p, digits, spoken),
        }
        for i, p in enumerate(drawn)
    ]
    facts = {
        "rows": rows,
        "height": _TOP + len(rows) * _ROW + 8,
        "top": _TOP,
        "bottom": _TOP + len(rows) * _ROW,
        "plot_start": _PLOT_START,
        "plot_width": _PLOT_END - _PLOT_START,
        "ticks": [
            (scale.at(t, _PLOT_START, _PLOT_END), word) for t, word in _few_words(scale, digits, spoken)
        ],
        "reference": None if reference is None else scale.at(reference, _PLOT_START, _PLOT_END),
    }
    notes = [f"◆ {text(spoken, 'kernel', 'figure.highlight')}"] if any(p.marked for p in drawn) else []
    if reference is not None:
        notes.append("┆ " + text(spoken, "kernel", "figure.reference", value=number(reference, digits)))
    return _chart("chart_dots.svg.j2", title, alt, drawn, frame, digits, spoken, facts, notes)


def line(
    frame: pd.DataFrame,
    value: str,
    by: str = "month",
    *,
    title: str,
    alt: str | None = None,
    digits: int = 0,
    from_zero: bool = True,
    language: Language | None = None,
) -> Chart:
    """A line with its 95 % band over `by`, in the frame's order. A withheld row is a hatched gap.

    Raises FrameUnsuitable.
    """
    spoken = language or _language(frame)
    drawn = points(frame, by, value, None, spoken)
    ends = [v for p in drawn for v in (p.low, p.high) if v is not None]
    scale = make_scale(ends, from_zero=from_zero)
    step = 100.0 / max(len(drawn), 1)
    xs = [round((i + 0.5) * step, 2) for i in range(len(drawn))]
    runs: list[list[tuple[float, Point]]] = [[]]
    for x, p in zip(xs, drawn, strict=True):
        if p.shown:
            runs[-1].append((x, p))
        elif runs[-1]:
            runs.append([])

    def at(v: float | None) -> float:
        return scale.at(v or 0.0, 100.0, 0.0)

    facts = {
        "bands": [
            " ".join([f"{x},{at(p.high)}" for x, p in run] + [f"{x},{at(p.low)}" for x, p in reversed(run)])
            for run in runs
            if run
        ],
        "lines": [" ".join(f"{x},{at(p.value)}" for x, p in run) for run in runs if run],
        "dots": [(x, at(p.value)) for x, p in zip(xs, drawn, strict=True) if p.shown],
        "gaps": [
            (round(x - step / 2, 2), round(step, 2)) for x, p in zip(xs, drawn, strict=True) if not p.shown
        ],
        "y_ticks": [(at(t), short(t, _digits(scale, digits), spoken)) for t in scale.ticks],
        "x_ticks": _in_turn(_spaced(list(zip(xs, drawn, strict=True)), 4), spoken),
    }
    return _chart("chart_line.svg.j2", title, alt, drawn, frame, digits, spoken, facts, [])


def _chart(
    name: str,
    title: str,
    alt: str | None,
    drawn: list[Point],
    frame: pd.DataFrame,
    digits: int,
    language: Language,
    facts: dict[str, object],
    notes: list[str],
) -> Chart:
    say = speaker(language, "kernel", "figure.")
    exact = any(p.exact and p.shown for p in drawn)
    reading = "reading_exact" if exact else "reading_line" if name.startswith("chart_line") else "reading"
    note = [say(reading), *lost_note(frame, language), *notes]
    origin = origin_note(frame, language)
    described = alt or summary(drawn, language, digits)
    svg = template(name).render(
        id=content_id(name, title, described, origin, *(repr(p) for p in drawn)),
        lang=language,
        title=title,
        description=f"{origin}. {described}" if origin else described,
        origin=origin,
        lead=_LEAD if origin else 0,
        **facts,
    )
    return Chart(svg.strip() + "\n", " · ".join(note), title, alt)


def _range(point: Point, digits: int, language: Language) -> str:
    if point.low is None or point.high is None:
        return text(language, "kernel", "figure.missing" if point.exact else "figure.withheld")
    if point.exact:
        return number(point.low, digits)
    low, high = number(point.low, digits), number(point.high, digits)
    # Between a minus sign and a dash nobody tells which is which.
    return (
        f"{low}–{high}" if point.low >= 0 else text(language, "kernel", "figure.from_to", low=low, high=high)
    )


def _digits(scale: Scale, digits: int) -> int:
    """Ticks need decimals only where their step is below 1."""
    step = scale.ticks[1] - scale.ticks[0]
    return 0 if step >= 1 else max(digits, ceil(-log10(step)))


def _few_words(scale: Scale, digits: int, language: Language) -> list[tuple[float, str]]:
    """Every tick, but words only at both ends and, of five or more, in the middle: a phone has no room."""
    last = len(scale.ticks) - 1
    worded = {0, last} | ({last // 2} if last >= 4 and last % 2 == 0 else set())
    spelled = [short(t, _digits(scale, digits), language) for t in scale.ticks]
    return [(t, spelled[i] if i in worded else "") for i, t in enumerate(scale.ticks)]


def _spaced(ticks: list[tuple[float, Point]], most: int) -> list[tuple[float, Point]]:
    """At most `most` labels, evenly, so that twelve months stay readable on a phone."""
    every = max(1, ceil(len(ticks) / most))
    return ticks[::every]


def _in_turn(ticks: list[tuple[float, Point]], language: Language) -> list[tuple[float, str]]:
    """Labels of an axis: of months the year stands where it is new, as `25년 10월`, `26년 1월`, `4월`."""
    out, year = [], ""
    for x, point in ticks:
        found = _MONTH.fullmatch(point.key)
        if found is None:
            out.append((x, point.label))
            continue
        key = "figure.month" if found[1] == year else "figure.month_year"
        year, place = found[1], int(found[2])
        said = text(language, "kernel", key, year=year, short=year[2:], month=place, name=month_abbr[place])
        out.append((x, said))
    return out


def _language(frame: pd.DataFrame) -> Language:
    language: Language = frame.attrs.get(KEY, {}).get("language", "ko")
    return language


__all__ = ["Chart", "Scale", "dots", "interval", "line", "make_scale"]
