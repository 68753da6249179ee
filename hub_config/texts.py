"""Sentences of the workspace's pages and commands: `templates/locale/<language>/*.po` of DOMAINS, by key.

The vault side has a module of the same shape; the sides share no code, only the files' form. Keys are equal
in both languages (tests/hub/test_texts.py), so a missing one is a fault of ours and may raise.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Literal

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = ("ko", "en")
#: A file for each part; a key stands in one of them only.
DOMAINS = ("workspace", "sign_in", "workshops", "teams", "limits", "operations")


def shared_folder(name: str) -> Path:
    """`templates` or `notebooks`: beside the checkout, else where the wheel put them under `share/civic`."""
    beside = Path(__file__).resolve().parents[1] / name
    return beside if beside.is_dir() else Path(sys.prefix).resolve() / "share" / "civic" / name


@cache
def catalog(language: Language) -> dict[str, str]:
    """All texts of one language. Raises ValueError for a key that stands in two files."""
    from babel.messages.pofile import read_po

    texts: dict[str, str] = {}
    for domain in DOMAINS:
        with (shared_folder("templates") / "locale" / language / f"{domain}.po").open("rb") as file:
            found = {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id}
        if twice := texts.keys() & found.keys():
            raise ValueError(f"twice: {sorted(twice)}")
        texts |= found
    return texts


def text(language: Language, key: str, /, **facts: object) -> str:
    """The sentence `key`, with `{facts}` filled in. Raises KeyError for an unknown key."""
    return catalog(language)[key].format(**facts)


def known_language(value: str | None) -> Language | None:
    """`ko` or `en` if `value` is one of them."""
    for language in LANGUAGES:
        if value == language:
            return language
    return None


def preferred_language(accept_language: str | None) -> Language:
    """Korean unless the reader's browser ranks English higher (RFC 9110, section 12.5.4)."""
    best: tuple[float, Language] = (0.0, "ko")
    for part in (accept_language or "").split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        language = known_language(tag.strip().lower().split("-")[0])
        if language is not None and weight > best[0]:
            best = (weight, language)
    return best[1]
