"""What a release says of itself in a few lines, for the lists, the search and the feed that lead to it.

A file of the release (`ko/summary.json`), so that the site builder shows words that both sides approved and never
reads them out of a page's markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from civic_kernel.publish.words import span
from civic_kernel.texts import Language
from civic_kernel.verify.documents import canonical_bytes, sha256_hex

NAME: Final = "summary.json"
#: The parameter that says nothing about a page, since every page is in both languages.
_SPOKEN: Final = "language"
_MONTH: Final = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True)
class Summary:
    """`passages` are `(text, id of the element that it stands in)`, for the search; `site` is the address that the page
    names as its site's, or empty."""

    title: str
    caption: str
    headline: str
    passages: Sequence[tuple[str, str]]
    printed: bool
    site: str = ""

    def document(self) -> dict[str, Any]:
        return {"kind": "civic-summary", **asdict(self)}


def read_summary(folder: Path, record: Mapping[str, Any], language: Language) -> Summary:
    """That of a release whose files are those of its record; a bare one where it has none that can be read."""
    listed = {line["path"] for line in record["files"]}
    try:
        found = json.loads((folder / language / NAME).read_text("utf-8"))
        return Summary(
            title=str(found["title"]),
            caption=str(found["caption"]),
            headline=str(found["headline"]),
            passages=tuple((str(words), str(place)) for words, place in found["passages"]),
            printed=f"{language}/report.pdf" in listed,
            site=str(found["site"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Summary(record["title"][language], "", "", (), printed=False)


def series(record: Mapping[str, Any]) -> str:
    """The name under which a report is found whatever version it is in: its own, and whose and about what it is.

    Of a release record or a run record. A correction has the same parameters, and so the same address.
    """
    about = {name: value for name, value in record["parameters"].items() if name != _SPOKEN}
    what = {"report": record["report"], "team": record["team"], "parameters": about}
    return f"{record['report'].replace('_', '-')}-{sha256_hex(canonical_bytes(what))[:10]}"


def caption(schema: Mapping[str, Any], parameters: Mapping[str, Any], language: Language) -> str:
    """The parameters in words: `모든 구 · 2025년 10월부터 2026년 9월까지`."""
    said = []
    for name, rule in schema["properties"].items():
        if name not in parameters or name == _SPOKEN:
            continue
        value, words = parameters[name], rule.get("values", {})
        values = value if isinstance(value, list) else [value]
        if values and all(isinstance(one, str) and _MONTH.fullmatch(one) for one in values):
            said.append(span(values, language))
        elif values:
            said.append(", ".join(str(words.get(one, {language: one})[language]) for one in values))
    return " · ".join(said)
