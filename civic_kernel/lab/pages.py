"""The restore page: which notebooks there are earlier contents of, what was in them when, and one button for each.

What one person wrote and another opens (in a room) is shown as text only, under a policy that fetches nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from civic_kernel.lab.history import History, Version
from civic_kernel.publish.look import krds
from civic_kernel.texts import Language, speaker, templates_root, text

SEOUL = ZoneInfo("Asia/Seoul")
#: Bytes of contents that are read to say what changed; beyond them a version has only its time.
MOST_DESCRIBED = 4_000_000
_NAMED = re.compile(r"var\((--krds-[\w-]+)\)")


#: A room that is written in has a version for each second: these many of the newest, then one a minute.
NEWEST = 20


@dataclass(frozen=True)
class Line:
    """One version on the page."""

    id: int
    at: str
    ago: str
    change: str


def policy(nonce: str) -> str:
    """Content-Security-Policy of our pages: our own style and script, our own forms, and nothing else."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


@cache
def stylesheet() -> str:
    root = templates_root()
    css = "".join(
        (root / place).read_text("utf-8") for place in ("workspace/workspace.css", "lab/restore.css")
    )
    return krds(_NAMED.findall(css)) + css


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_root() / "lab"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def render(name: str, language: Language, **facts: Any) -> str:
    """`name.html.j2` in the reader's language. `facts` has `nonce`, `home` (the Hub's page), `base` (this server's)."""
    return (
        _environment()
        .get_template(f"{name}.html.j2")
        .render(language=language, t=partial(text, language, "lab"), css=stylesheet(), **facts)
    )


def days(
    history: History, versions: Sequence[Version], now: float, language: Language
) -> list[tuple[str, list[Line]]]:
    """(day in words, its versions) of one notebook, newest first; the newest of all is what the notebook is now."""
    found: list[tuple[str, list[Line]]] = []
    changes = _changes(history, versions, language)
    for version, change in zip(versions, changes, strict=True):
        day = day_in_words(version.taken_at, now, language)
        if not found or found[-1][0] != day:
            found.append((day, []))
        found[-1][1].append(
            Line(
                version.id,
                moment(version.taken_at, language),
                ago(now - version.taken_at, language),
                change,
            )
        )
    return found


def few(versions: Sequence[Version]) -> list[Version]:
    """So many as a person looks through; newest first, as given."""
    shown = list(versions[:NEWEST])
    for version in versions[NEWEST:]:
        if shown[-1].taken_at - version.taken_at >= 60:
            shown.append(version)
    return shown


def day_in_words(at: float, now: float, language: Language) -> str:
    say = speaker(language, "lab", "day.")
    day, today = (datetime.fromtimestamp(each, SEOUL).date() for each in (at, now))
    match (today - day).days:
        case 0:
            return say("today")
        case 1:
            return say("yesterday")
    return say("other", year=day.year, month=day.month, day=day.day)


def moment(at: float, language: Language) -> str:
    """The time of day, in the clock that the reader's language uses."""
    when = datetime.fromtimestamp(at, SEOUL)
    half = text(language, "lab", "time.am" if when.hour < 12 else "time.pm")
    clock = f"{when.hour % 12 or 12}:{when:%M:%S}"
    return text(language, "lab", "time.of_day", half=half, clock=clock)


def ago(seconds: float, language: Language) -> str:
    """`3 minutes ago`; empty from a day on, where the date says it better."""
    say = speaker(language, "lab", "ago.")
    if seconds < 60:
        return say("now")
    if seconds < 120:
        return say("minute")
    if seconds < 3_600:
        return say("minutes", n=int(seconds // 60))
    if seconds < 7_200:
        return say("hour")
    return say("hours", n=int(seconds // 3_600)) if seconds < 86_400 else ""


def sources(content: bytes) -> list[tuple[str, str]]:
    """(kind, text) of each cell; empty for what is no notebook."""
    try:
        cells = json.loads(content)["cells"]
        return [(str(cell["cell_type"]), _joined(cell["source"])) for cell in cells]
    except (ValueError, TypeError, KeyError):
        return []


def _joined(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _changes(history: History, versions: Sequence[Version], language: Language) -> list[str]:
    """What each version has that the one before it had not, in words."""
    read = 0
    cells: list[list[tuple[str, str]] | None] = []
    for version in versions:
        if read > MOST_DESCRIBED:
            cells.append(None)
            continue
        content = history.content(version)
        read += len(content)
        cells.append(sources(content))
    earlier = [*cells[1:], None]
    return [_change(now, before, language) for now, before in zip(cells, earlier, strict=True)]


def _change(
    now: list[tuple[str, str]] | None, before: list[tuple[str, str]] | None, language: Language
) -> str:
    if now is None:
        return ""
    say = speaker(language, "lab", "change.")
    size = say("cell") if len(now) == 1 else say("cells", n=len(now))
    if before is None:
        return size
    if now == before:
        return f"{size} · {say('outputs')}"
    if len(now) < len(before):
        gone = len(before) - len(now)
        return f"{size} · {say('fewer_one') if gone == 1 else say('fewer', n=gone)}"
    number = next((i for i, (a, b) in enumerate(zip(now, before, strict=False)) if a != b), len(before))
    line = next((row for row in now[number][1].splitlines() if row.strip()), "").strip()
    words = line if len(line) <= 60 else line[:59] + "…"
    where = say("where", number=number + 1)
    return f"{size} · {where}: {words}" if words else f"{size} · {where}"
