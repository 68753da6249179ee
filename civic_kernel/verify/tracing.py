"""`civic trace verify PAGE [NUMBER]`, said to a person or as one JSON document."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from civic_kernel.errors import NotPublishable
from civic_kernel.texts import Language, text
from civic_kernel.verify.page import check_page
from civic_kernel.verify.trace import Found, find_number, trace_page


def tell_trace(page: Path, number: str | None, language: Language, *, as_json: bool) -> None:
    """Raises NotPublishable for a page that does not hold what was signed, or (with `number`) has no such figure."""
    if not check_page(page).good:
        # An altered table would be followed to an answer that never was its own.
        raise NotPublishable.say(language, reason=text(language, "report", "trace.altered"))
    figures = trace_page(page)
    found = figures if number is None else find_number(figures, number)
    if as_json:
        lines = [{**vars(one), "source": vars(one.source)} for one in found]
        click.echo(json.dumps({"figures": lines}, ensure_ascii=False))
    if not found:
        raise NotPublishable.say(language, reason=text(language, "report", "trace.none", number=number or ""))
    if as_json:
        return
    for one in found if number is not None else ():
        click.echo(_line(one, language))
    if number is None:
        kinds = Counter(one.source.kind for one in figures)
        counted = {kind: f"{kinds[kind]:,}" for kind in ("cell", "sum", "computed")}
        click.echo(text(language, "report", "trace.all", all=f"{len(figures):,}", **counted))


def _line(one: Found, language: Language) -> str:
    facts = {"table": one.table, "row": " ".join(one.row), "column": one.column, "value": one.value}
    answers = ", ".join(one.source.answers)
    where = text(language, "report", f"trace.{one.source.kind}", answers=answers, cells=one.source.cells)
    return text(language, "report", "trace.line", where=where, **facts)
