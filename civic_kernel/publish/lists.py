"""What leads to the reports: the list with its search, the feed, and for each report an address that lasts.

    public/{ko,en}/index.html, search.js, feed.xml
    public/latest/<series>/{ko,en}/index.html, card.png     all versions of one report, the newest first

A report's own address is made from its fingerprints, so a correction has another one. Who quotes a report quotes its
`latest` page: it stays, also when no version is left. No redirect from there: a reader should see which version she is
about to read, and a file opened from a disk cannot be redirected by a server.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from civic_kernel.publish.layout import render
from civic_kernel.publish.record import SLUG
from civic_kernel.publish.summary import Summary
from civic_kernel.publish.words import day_in_words
from civic_kernel.texts import LANGUAGES, Language, templates_root, text
from civic_kernel.verify.records import Records

#: Script files may come from beside the page, and the page from a disk, where `'self'` is nothing.
_BESIDE: Final = ("'self'", "file:")
#: A feed tells what is new; all that ever was stands in the list.
_FEED_LENGTH: Final = 50
_NAMESPACE: Final = uuid.UUID("b3d0a6f2-6c3e-5f0e-9c55-2f1d7a0c9a41")


@dataclass(frozen=True)
class Shown:
    """One version of a report as lists show it. `summaries` by language."""

    id: str
    slug: str
    series: str
    made_at: str
    demonstration: bool
    summaries: Mapping[Language, Summary]


def lists(shown: Sequence[Shown], address: str, records: Records | None, public: Path) -> dict[str, bytes]:
    """Path below `public` → bytes, in the order in which they are to be written; `shown` is newest first.

    `address` is the site's, or empty: then what leads to a report is relative, which feeds may be too (RFC 4287, 4.2.7
    with 3986). What `public/latest` has from before, and `shown` no more, is said to be gone.
    """
    newest: dict[str, Shown] = {}
    for one in shown:
        newest.setdefault(one.series, one)
    made: dict[str, bytes] = {}
    before = public / "latest"
    gone = sorted(path.name for path in before.iterdir()) if before.is_dir() else []
    for series in dict.fromkeys([*newest, *(name for name in gone if SLUG.fullmatch(name))]):
        versions = [one for one in shown if one.series == series]
        for language in LANGUAGES:
            place = f"latest/{series}/{language}"
            if versions and versions[0].summaries[language].printed:
                card = public / "reports" / versions[0].slug / language / "card.png"
                made[f"{place}/card.png"] = card.read_bytes()
            made[f"{place}/index.html"] = _latest_page(
                versions, language, f"{address}/{place}" if address else ""
            )
    for language in LANGUAGES:
        made[f"{language}/search.js"] = _search_file(list(newest.values()), language)
        made[f"{language}/feed.xml"] = _feed(shown[:_FEED_LENGTH], language, address)
        made[f"{language}/index.html"] = _index_page(list(newest.values()), language, records)
    made["index.html"] = render("front.html.j2", "ko")
    return made


def _line(one: Shown, language: Language, up: str) -> dict[str, Any]:
    """A version in words, with relative addresses that begin with `up`."""
    said = one.summaries[language]
    folder = f"{up}reports/{one.slug}"
    return {
        "slug": one.slug,
        "title": said.title,
        "caption": said.caption,
        "headline": said.headline,
        "date": day_in_words(one.made_at, language),
        "release": one.id,
        "address": f"{folder}/{language}/index.html",
        "status": f"{folder}/status/{language}.html",
        "pdf": said.printed and f"{folder}/{language}/report.pdf",
    }


def _index_page(newest: Sequence[Shown], language: Language, records: Records | None) -> bytes:
    sides = records.witnesses.get("sides", ()) if records else ()
    return render(
        "index.html.j2",
        language,
        script=(templates_root() / "citizen" / "search.js").read_text("utf-8"),
        also=_BESIDE,
        reports=[_line(one, language, "../") for one in newest],
        demonstration=any(one.demonstration for one in newest),
        watched=[_watched(line, language) for line in sides],
    )


def _latest_page(versions: Sequence[Shown], language: Language, address: str) -> bytes:
    return render(
        "latest.html.j2",
        language,
        versions=[_line(one, language, "../../../") for one in versions],
        demonstration=any(one.demonstration for one in versions),
        address=address,
        card=bool(versions) and versions[0].summaries[language].printed,
    )


def _search_file(newest: Sequence[Shown], language: Language) -> bytes:
    """A script and not JSON: a page that was opened from a disk may load the one and not the other."""
    entries = []
    for one in newest:
        said = one.summaries[language]
        entries.append(
            {
                "slug": one.slug,
                "words": " ".join((said.title, said.caption, said.headline)),
                "passages": [list(passage) for passage in said.passages],
            }
        )
    return f"window.CIVIC_SEARCH={json.dumps(entries, ensure_ascii=False)};\n".encode()


def _feed(shown: Sequence[Shown], language: Language, address: str) -> bytes:
    """Atom (RFC 4287). Ids are made from the releases', so a site that moves tells nothing twice."""
    base = f"{address}/" if address else "../"
    entries = [
        {
            **_line(one, language, base),
            "id": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{one.id} {language}')}",
            "updated": one.made_at,
        }
        for one in shown
    ]
    document = render(
        "feed.xml.j2",
        language,
        entries=entries,
        feed_id=f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{address} {language}')}",
        home=f"{base}{language}/index.html",
        own=f"{base}{language}/feed.xml",
        # A feed must have a moment; that of a site without reports is the beginning.
        updated=shown[0].made_at if shown else "1970-01-01T00:00:00Z",
    )
    return re.sub(rb"\n\s*\n", b"\n", document)


def _watched(line: Mapping[str, Any], language: Language) -> str:
    """When one side's own computer last signed the chain of events, and on how many days it did not."""
    say = partial(text, language, "citizen")
    side = say(f"status.side.{'city' if line['side'] == 'city' else 'cso'}")
    if not line["last"]:
        return say("site.witness.none", side=side)
    last = day_in_words(f"{line['last']}T00:00:00Z", language)
    missed = len(line["missed"])
    words = say("site.witness.missed", count=missed) if missed else say("site.witness.whole")
    return f"{say('site.witness.last', side=side, date=last)} {words}"
