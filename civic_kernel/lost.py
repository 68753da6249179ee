"""What the row bound leaves out, in words: beside every interval, since the interval is about the noise alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from civic_kernel.texts import Language, text

if TYPE_CHECKING:
    from civic_kernel.wire import TruncatedShare, Unit

#: Row bound (as text, since frames keep JSON-like provenance) → 95 % interval of the share, None: not published.
Lost = dict[str, list[str] | None]

_TENTH = Decimal("0.1")


def lost_of(unit: Unit | None, row_bound: int | None, share: TruncatedShare | None) -> Lost:
    """Of one answer or price; empty where the unit is a row, of which none can be past the bound, or the data open."""
    if unit is None or unit.kind != "person":
        return {}
    return {str(row_bound): [share.low, share.high] if share else None}


def lost_together(origins: Iterable[Mapping[str, Any]]) -> Lost:
    """Of a table that stands on several answers: for each bound the range that holds every answer's own; not
    published where one of them says nothing.
    """
    found: Lost = {}
    for origin in origins:
        for bound, ends in dict(origin.get("lost") or {}).items():
            known = found.get(bound, ends)
            if ends is None or known is None:
                found[bound] = None
            else:
                found[bound] = [min(known[0], ends[0], key=Decimal), max(known[1], ends[1], key=Decimal)]
    return found


def lost_words(lost: Lost, language: Language, key: str = "lost") -> list[str]:
    """A sentence for each bound; `key` chooses the short form (`lost`) or the card's (`lost.card`)."""
    return [
        text(language, "kernel", f"{key}.unpublished", bound=bound)
        if ends is None
        else text(language, "kernel", f"{key}.share", bound=bound, range=per_cent_range(*ends))
        for bound, ends in sorted(lost.items(), key=lambda line: int(line[0]))
    ]


def per_cent_range(low: str, high: str) -> str:
    """`1.5–2.1` from parts of 1, rounded outwards."""
    first = (Decimal(low) * 100).quantize(_TENTH, ROUND_FLOOR)
    last = (Decimal(high) * 100).quantize(_TENTH, ROUND_CEILING)
    return f"{first}–{last}"
