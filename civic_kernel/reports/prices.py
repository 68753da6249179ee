"""What a batch will cost, before any of it runs: its notebook is run through on made-up rows, what it asks is priced.

Questions that many of its runs ask are asked, and paid for, once; so a batch of all gu costs what one gu costs, where
the notebook asks one table for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civic_kernel.errors import RunsClosed
from civic_kernel.reports.outcome import Bounds
from civic_kernel.reports.parameters import Parameters
from civic_kernel.reports.runner import spoken_in
from civic_kernel.settings import Settings, warm_socket
from civic_kernel.texts import Language, text
from civic_kernel.wire import OPEN

if TYPE_CHECKING:
    from civic_kernel.client import Client
    from civic_kernel.opening_cli import Table
    from civic_kernel.rehearsing import Asked

#: A filter's values that are named; of more, how many.
MOST_VALUES = 3
#: A rehearsal of many runs, in seconds for each.
SECONDS_EACH = 60


@dataclass(frozen=True)
class Asking:
    """What all runs of a batch ask together, each question once. `is_whole` is False where a cell that asks could not
    run on made-up rows: then there may be more."""

    asked: tuple[Asked, ...]
    is_whole: bool


def find_questions(
    notebook: Path, parameters: Sequence[Parameters], settings: Settings, *, only_forked: bool = False
) -> Asking:
    """Runs the notebook through for each of `parameters`, touching no data and paying nothing.

    In a process forked from the template; without one in this process, unless `only_forked`: then RunsClosed. Raises
    KernelDied, RunTimeout, RunMemory.
    """
    from civic_kernel import warm
    from civic_kernel.rehearsing import Asked
    from civic_kernel.reports import forked

    source = notebook.read_text("utf-8")
    template = warm_socket()
    told = None
    if template is not None:
        spoken = spoken_in(parameters[0], settings.language)
        bounds = Bounds(SECONDS_EACH * len(parameters))
        try:
            told = forked.rehearse(template, source, parameters, settings, spoken, bounds)
        except warm.NoTemplate:
            pass
        except warm.Refused as refused:
            if not forked.is_for_others(refused):
                raise RunsClosed.say(settings.language) from None
    if told is None:
        if only_forked:
            raise RunsClosed.say(settings.language)
        told = _rehearse_here(source, parameters, settings)
    found: dict[str, Asked] = {}
    for run in told:
        for one in run["asked"]:
            found.setdefault(repr(sorted(one.items())), Asked(one["plan"], one["spend"], one["purpose"]))
    return Asking(tuple(found.values()), not any(fault["asks"] for run in told for fault in run["stopped"]))


def _rehearse_here(source: str, parameters: Sequence[Parameters], settings: Settings) -> list[dict[str, Any]]:
    from contextlib import closing

    from civic_kernel.client import Client
    from civic_kernel.reports.inside import rehearse_each

    with closing(Client.from_settings(settings)) as client:
        return list(rehearse_each(source, parameters, client))


def price(asking: Asking, client: Client, runs: int) -> dict[str, Any]:
    """`{"rho", "share_of_left", "questions": [{"words", "rho", "charged", "precision", "waits"}], "runs", "whole"}`.

    `rho` and `charged` are nano-ρ over all months that are still to be paid; `rho` of a question is for each of its
    months. `share_of_left` is the largest part, of 1, of what the team has left in any month and dataset, as decimal
    text, "0" where nothing is to be paid. Touches no data. Raises the gateway's refusals.
    """
    from civic_kernel.opening_cli import add_up, price_tables

    tables: dict[str, Table] = {}
    for table in price_tables(client, asking.asked):
        tables.setdefault(f"{table.price.plan_id} {table.price.rho}", table)
    questions = [_line(table, client) for table in tables.values()]
    sums = add_up(client, list(tables.values()))
    return {
        "rho": sum(line["charged"] for line in questions),
        "share_of_left": format(max((one.of_left for one in sums), default=0), "f"),
        "questions": questions,
        "runs": runs,
        "whole": asking.is_whole,
    }


def _line(table: Table, client: Client) -> dict[str, Any]:
    from civic_kernel.affordable import errors_at

    body = table.price
    dataset = client.dataset(str(body.plan["dataset"]))
    exact = dataset.lane == OPEN
    return {
        "words": words_of(body.plan, dataset, client.language),
        "rho": body.rho,
        "charged": 0 if exact else body.rho * len(table.months),
        "precision": "" if exact else errors_at(body, body.rho, client.language),
        "waits": body.waits,
    }


def words_of(plan: Mapping[str, Any], dataset: Any, language: Language) -> str:
    """A question in a line: which data, by what, measuring what, and of which rows alone."""
    labels = {column.name: column.label.get(language) for column in dataset.columns}

    def named(key: Any) -> str:
        name = key if isinstance(key, str) else key["column"]
        told = labels.get(name, name)
        return told if isinstance(key, str) else f"{told} ({key['fn']})"

    title = dataset.title.get(language)
    keys = ", ".join(named(key) for key in plan.get("by", ()))
    measures = ", ".join(plan.get("measures", ()))
    words = text(
        language,
        "report",
        "batch.words" if keys else "batch.words_whole",
        title=title,
        keys=keys,
        measures=measures,
    )
    rows = "; ".join(_condition(part, named, language) for part in _parts(plan.get("where")))
    return f"{words} · {rows}" if rows else words


def _parts(node: Mapping[str, Any] | None) -> Sequence[Mapping[str, Any]]:
    """What all has to hold."""
    return () if node is None else node.get("and", (node,))


def _condition(node: Mapping[str, Any], named: Callable[[Any], str], language: Language) -> str:
    """`First gift or later: first`. A report that asks for more than one of some values is rare, and said to do so."""
    from civic_kernel.affordable import months_in_words
    from civic_kernel.publish.words import value_words

    match node:
        case {"column": column, "op": "in", "values": values}:
            pass
        case {"column": column, "op": "eq", "value": value}:
            values = [value]
        case _:
            return text(language, "report", "batch.words_other")
    if column == "month":
        return f"{named(column)}: {months_in_words(values, language)}"
    said = [value_words(str(column), value, language) for value in values[:MOST_VALUES]]
    more = f" +{len(values) - len(said)}" if len(values) > len(said) else ""
    return f"{named(column)}: {', '.join(said)}{more}"
