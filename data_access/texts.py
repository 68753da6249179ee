"""Sentences for people, from `templates/locale/<language>/<domain>.po` (gettext, read by Babel).

A key that a language lacks is a build fault, not a reader's surprise: tests/contracts/test_texts.py demands
equal keys in every language, so `text()` may raise KeyError.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Literal

from babel.messages.pofile import read_po

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")


@cache
def templates_root() -> Path:
    """The templates beside this checkout, or those that the wheel put under `share/civic`."""
    beside = Path(__file__).resolve().parents[1] / "templates"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "civic" / "templates"


@cache
def _catalog(language: Language, domain: str) -> dict[str, str]:
    with (templates_root() / "locale" / language / f"{domain}.po").open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id}


def text(language: Language, domain: str, key: str, /, **facts: object) -> str:
    """The sentence `key`, with `{facts}` filled in. Raises KeyError for an unknown key."""
    return _catalog(language, domain)[key].format(**facts)


def preferred_language(accept_language: str | None) -> Language:
    """Korean unless the reader's browser ranks English higher (RFC 9110, section 12.5.4)."""
    best: tuple[float, Language] = (0.0, "ko")
    for part in (accept_language or "").split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        for language in LANGUAGES:
            if tag.lower().split("-")[0] == language and weight > best[0]:
                best = (weight, language)
    return best[1]
