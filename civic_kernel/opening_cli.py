"""`civic seats open`: what a workshop's notebook will ask, its price, and buying it once for everybody.

Runs with the token of whoever calls it, who leads the workshop: what she buys is her team's, and each seat of the team
that asks the same gets the same answer for nothing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from civic_kernel.texts import speaker, text

if TYPE_CHECKING:
    from civic_kernel.client import Client
    from civic_kernel.rehearsing import Asked, Rehearsal
    from civic_kernel.wire import PriceBody

#: For `civic` and its subprocesses: the notebook stopped before its end.
EXIT_STOPPED = 9


@dataclass(frozen=True)
class Table:
    """One question and what it costs now."""

    asked: Asked
    price: PriceBody

    @property
    def months(self) -> list[str]:
        from civic_kernel.affordable import months_to_pay

        return months_to_pay(self.price)


@dataclass(frozen=True)
class Sum:
    """What all tables of one dataset cost the team in the month where it is tightest. Parts of 1."""

    dataset: str
    nano: int
    month: str
    of_cap: Decimal
    of_left: Decimal


@click.command("open")
@click.argument("notebook")
@click.option("--team", help="Whose budget pays. Default: CIVIC_TEAM.")
@click.option("--purpose", help="One of the policy's purposes. Default: CIVIC_PURPOSE.")
@click.option("--buy", is_flag=True, help="Pay for the tables. Without it they are only priced.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def open_(notebook: str, team: str | None, purpose: str | None, buy: bool, as_json: bool) -> None:
    """워크숍 공책이 물을 표를 미리 삽니다 · Price, and with --buy buy, the tables that a workshop's notebook asks.

    NOTEBOOK is a file, or - for standard input.
    The notebook runs on made-up rows first, and nothing is bought unless it runs to its end. Exit codes: 0, 9 it
    stopped, 5 the budget does not reach, 3 a question waits for a decision.
    """
    from civic_kernel.client import Client
    from civic_kernel.errors import TeamMissing
    from civic_kernel.rehearsing import code_cells, rehearse

    with closing(Client.from_settings()) as client:
        client.team, client.purpose = team or client.team, purpose or client.purpose
        if not client.team:
            raise TeamMissing.say(client.language)
        try:
            with click.open_file(notebook, encoding="utf-8") as file:
                cells = code_cells(file.read())
        except (OSError, ValueError):
            raise click.UsageError(text(client.language, "opening", "no_notebook")) from None
        folder = Path.cwd() if notebook == "-" else Path(notebook).absolute().parent
        rehearsal = rehearse(cells, folder, client)
        tables = price_tables(client, rehearsal.asked) if rehearsal.fault is None else []
        sums = add_up(client, tables)
        bought = [client.ask(t.asked.plan, t.asked.spend, purpose=t.asked.purpose) for t in tables if buy]
        if as_json:
            paid = {answer.answer_id: answer.charged for answer in bought}
            click.echo(json.dumps(_document(rehearsal, tables, sums, paid), ensure_ascii=False))
        else:
            _tell(client, rehearsal, tables, sums, len(bought))
    if rehearsal.fault is not None:
        raise SystemExit(EXIT_STOPPED)


def price_tables(client: Client, asked: Sequence[Asked]) -> list[Table]:
    """Each question with its price today, those with most cells first: a coarser table is often free from a finer."""
    found = [Table(one, client.price(one.plan, one.spend, purpose=one.purpose)) for one in asked]
    return sorted(found, key=lambda table: -(table.price.cells or 0))


def add_up(client: Client, tables: list[Table]) -> list[Sum]:
    """One line for each dataset. At most so much: what a bought table gives for free is known only afterwards."""
    costs: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for table in tables:
        for month in table.months:
            costs[str(table.price.plan["dataset"])][month] += table.price.rho
    sums = []
    for dataset, months in costs.items():
        detail = client.dataset(dataset)
        mine = next((each for each in detail.teams if each.team == client.team), None)
        if mine is None or not mine.cap:
            continue
        left, nano, month = min((mine.left.get(m, 0) - nano, nano, m) for m, nano in months.items())
        had = left + nano
        of_left = Decimal(nano) / had if had > 0 else Decimal(2)
        sums.append(Sum(dataset, nano, month, Decimal(nano) / mine.cap, of_left))
    return sums


def _document(
    rehearsal: Rehearsal, tables: list[Table], sums: list[Sum], paid: dict[str, int]
) -> dict[str, Any]:
    fault = rehearsal.fault
    return {
        "cells": rehearsal.cells,
        "stopped": None
        if fault is None
        else {"cell": fault.cell, "kind": fault.kind, "says": fault.sentence},
        "tables": [
            {
                "dataset": table.price.plan["dataset"],
                "plan": table.price.plan,
                "rho": table.price.rho,
                "to_pay": table.months,
                "waits": table.price.waits,
            }
            for table in tables
        ],
        "sums": [
            {
                "dataset": one.dataset,
                "rho": one.nano,
                "month": one.month,
                "of_cap": format(one.of_cap, "f"),
                "of_left": format(one.of_left, "f"),
            }
            for one in sums
        ],
        "bought": paid,
    }


def _tell(client: Client, rehearsal: Rehearsal, tables: list[Table], sums: list[Sum], bought: int) -> None:
    from civic_kernel.affordable import percent
    from civic_kernel.sql_text import sql_of

    say = speaker(client.language, "opening", "")
    if rehearsal.fault is not None:
        fault = rehearsal.fault
        click.echo(say("stopped", cell=fault.cell, kind=fault.kind, says=fault.sentence))
        return
    click.echo(say("ran", cells=rehearsal.cells, count=len(tables)))
    for number, table in enumerate(tables, 1):
        asked = sql_of(table.price.plan) or json.dumps(table.price.plan, ensure_ascii=False)
        cost = say("pays", months=len(table.months)) if table.months else say("has")
        click.echo(f"{number}. {asked}\n   {cost}")
    for one in sums:
        facts = {"of_cap": percent(one.of_cap), "of_left": percent(one.of_left), "month": one.month}
        click.echo(say("sum", dataset=one.dataset, team=client.team, **facts))
    if not sums:
        click.echo(say("free"))
    elif bought:
        click.echo(say("bought", count=bought, team=client.team))
    else:
        click.echo(say("to_buy"))


def main() -> None:
    """`python -m civic_kernel.opening_cli NOTEBOOK --json`, as the workspace runs it in a seat's place: a refusal is
    one JSON document too."""
    import sys

    from civic_kernel.errors import CivicError

    try:
        open_.main(standalone_mode=False)
    except CivicError as refused:
        click.echo(json.dumps(refused.as_dict(), ensure_ascii=False))
        sys.exit(refused.exit_code)


if __name__ == "__main__":
    main()
