"""Sentences for people, from `templates/locale/<language>/<domain>.po` (gettext, read by Babel).

The twin of `data_access/texts.py`: the two sides never import each other, so each has its own dozen lines.
tests/contracts demand equal keys in every language, so `text()` may raise KeyError for a build fault.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")


@cache
def templates_root() -> Path:
    """The templates beside this checkout, or those that the wheel put under `share/civic`."""
    beside = Path(__file__).resolve().parents[1] / "templates"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "civic" / "templates"


@cache
def _catalog(language: Language, domain: str) -> dict[str, str]:
    from babel.messages.pofile import read_po  # 80 ms, and most imports of this package never speak

    with (templates_root() / "locale" / language / f"{domain}.po").open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id}


def read_all() -> None:
    """For processes that are forked: each would read them anew."""
    for language in LANGUAGES:
        for path in sorted((templates_root() / "locale" / language).glob("*.po")):
            _catalog(language, path.stem)


def text(language: Language, domain: str, key: str, /, **facts: object) -> str:
    """The sentence `key`, with `{facts}` filled in. Raises KeyError for an unknown key."""
    return _catalog(language, domain)[key].format(**facts)


def unfilled(language: Language, domain: str, key: str) -> str:
    """The sentence `key` with its places still open, for a page's script, which fills them in."""
    return _catalog(language, domain)[key]


def speaker(language: Language, domain: str, prefix: str) -> Callable[..., str]:
    """`text` for one language and the keys under `prefix`, where many sentences stand together."""

    def say(key: str, /, **facts: object) -> str:
        return text(language, domain, prefix + key, **facts)

    return say


def keys(language: Language, domain: str) -> frozenset[str]:
    """All keys of one catalogue; tests compare the languages with it."""
    return frozenset(_catalog(language, domain))
