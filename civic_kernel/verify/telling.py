"""What `civic report check` found, said to a person or as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from civic_kernel.errors import NotPublishable
from civic_kernel.texts import Language, text
from civic_kernel.verify.documents import Key, spelled
from civic_kernel.verify.page import Findings, check_page
from civic_kernel.verify.rerun import MOST_NAMED, Again, rerun
from civic_kernel.verify.trace import trace_page
from civic_kernel.verify.tracing import traced


def tell_check(page: Path, language: Language, *, again: bool, seconds: int, as_json: bool) -> None:
    """Check; with `again` run the notebook too. Raises NotPublishable (or exits with its code) unless all is well."""
    found = check_page(page)
    # A page that is not what was signed is no program to start.
    ran = _rerun(page, language, seconds, quiet=as_json) if again and found.good else None
    good = found.good and (ran is None or ran.same_numbers)
    if as_json:
        click.echo(json.dumps(_document(found, ran, good, language), ensure_ascii=False))
        if not good:
            raise SystemExit(NotPublishable.exit_code)
        return
    wrong = [*_wrong(found, language), *(_again_wrong(ran, language) if ran else ())]
    if wrong:
        raise NotPublishable("\n".join(wrong), text(language, "report", "check.remedy"))
    for line in [*_good(page, found, language), *(_again_good(ran, language) if ran else ())]:
        click.echo(line)


def _rerun(page: Path, language: Language, seconds: int, *, quiet: bool) -> Again:
    def tell(done: int, total: int, title: str) -> None:
        click.echo(text(language, "report", "run.progress", done=done, total=total, title=title), err=True)

    return rerun(page, language, progress=None if quiet else tell, seconds=seconds)


def _wrong(found: Findings, language: Language) -> Iterator[str]:
    for key, name in found.wrong:
        yield text(language, "report", f"check.{key}", name=name)
    for key, facts in found.records.wrong if found.records else ():
        yield text(language, "verify", f"wrong.{key}", **facts)


def _good(page: Path, found: Findings, language: Language) -> Iterator[str]:
    facts = {"files": found.files, "answers": found.answers, "policies": found.policies}
    yield text(language, "report", "check.good", **facts)
    yield traced(trace_page(page), language)
    if found.approvers:
        names = ", ".join(key.title[language] for key in found.approvers)
        yield text(language, "report", "check.approved", parties=names)
    else:
        yield text(language, "report", "check.unapproved")
    if found.records is None:
        yield text(language, "report", "check.no_records")
    else:
        counted = {name: f"{found.records.counted.get(name, 0):,}" for name in ("events", "charges")}
        yield text(language, "report", "check.records", **counted)
        for side in ("city", "cso"):
            seq = found.records.counted.get(f"witnessed_{side}")
            yield text(language, "verify", f"witness.{side}" if seq else f"witness.{side}.none", seq=seq)
    yield text(language, "report", "check.keys")
    for key in _people(found.keys):
        party = text(language, "report", "privacy.demo", party=key.title[language])
        yield f"  {party if key.demo else key.title[language]}: {spelled(key.id)}"
    yield text(language, "verify", "limits.truth")


def _again_good(again: Again, language: Language) -> Iterator[str]:
    yield text(language, "report", "again.good", tables=again.tables, numbers=f"{again.numbers:,}")
    key = "again.pages_other" if again.pages_different else "again.pages_same"
    yield text(language, "report", key, pages=", ".join(again.pages_different))
    yield text(language, "report", f"again.room.{again.room}")


def _again_wrong(again: Again, language: Language) -> Iterator[str]:
    for name in again.tables_different:
        yield text(language, "report", "again.table", name=name)
    for one in again.different[:MOST_NAMED]:
        facts = {"name": one.table, "row": one.row, "column": one.column}
        yield text(language, "report", "again.number", was=one.published, now=one.again, **facts)
    if len(again.different) > MOST_NAMED:
        yield text(language, "report", "again.more", count=len(again.different) - MOST_NAMED)


def _people(keys: list[Key]) -> list[Key]:
    """The keys that sign for a party, by side."""
    return sorted((k for k in keys if k.use == "sign" and k.party), key=lambda k: (k.side or "", k.id))


def _document(found: Findings, ran: Again | None, good: bool, language: Language) -> dict[str, Any]:
    document: dict[str, Any] = {
        "good": good,
        "files": found.files,
        "answers": found.answers,
        "policies": found.policies,
        "numbers": found.numbers,
        "approved_by": [key.id for key in found.approvers],
        "records": None if found.records is None else found.records.counted,
        "wrong": [[key, name] for key, name in found.wrong]
        + [[key, json.dumps(facts)] for key, facts in (found.records.wrong if found.records else ())],
        "messages": list(_wrong(found, language)),
    }
    if ran is not None:
        document["rerun"] = {
            "same_numbers": ran.same_numbers,
            "same_pages": not ran.pages_different,
            "room": ran.room,
            "tables": ran.tables,
            "numbers": ran.numbers,
            "different": [vars(one) for one in ran.different],
            "tables_different": ran.tables_different,
        }
    return document
