"""`civic ask`: one question as SQL or from a file, for scripts and for those who like a terminal."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from civic_kernel.errors import PlanUnreadable
from civic_kernel.texts import text

if TYPE_CHECKING:
    from civic_kernel.client import Client
    from civic_kernel.wire import PriceBody, Statement


@click.command()
@click.argument("sql", required=False)
@click.option("--plan", "source", help="A JSON file with the question, or - for standard input.")
@click.option(
    "--spend",
    help='rough, normal, fine, "±50 rides", "±5% rides", or a ρ such as 0.01. Default: the policy\'s.',
)
@click.option(
    "--cell",
    help='How large a cell is, for margins like "±5% rides" or of a mean: a number, or a stored answer\'s id.',
)
@click.option("--team", help="Whose budget pays. Default: CIVIC_TEAM.")
@click.option("--purpose", help="One of the policy's purposes. Default: CIVIC_PURPOSE.")
@click.option("--fresh", is_flag=True, help="Pay again although the same question is stored.")
@click.option("--price", "only_price", is_flag=True, help="Say what it would cost, and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output: the whole body.")
def ask(
    sql: str | None,
    source: str | None,
    spend: str | None,
    cell: str | None,
    team: str | None,
    purpose: str | None,
    fresh: bool,
    only_price: bool,
    as_json: bool,
) -> None:
    """질문 하나를 묻습니다 · Ask one question, "SELECT …" or --plan FILE; prints its table as CSV."""
    from civic_kernel.client import Client

    with closing(Client.from_settings()) as client:
        if (sql is None) is (source is None):
            raise click.UsageError(text(client.language, "kernel", "cli.ask_one"))
        question = sql if sql is not None else _read_plan(str(source), client)
        wanted = _spend(spend, cell, client)
        if only_price:
            offer = client.price(question, wanted, team=team, purpose=purpose, fresh=fresh)
            click.echo(offer.model_dump_json() if as_json else _price_line(client, offer))
            return
        answer = client.ask(question, wanted, team=team, purpose=purpose, fresh=fresh)
        if as_json:
            click.echo(json.dumps(client.answers[-1], ensure_ascii=False))
            return
    click.echo(answer.answer_id, err=True)
    _write_csv(answer.statement)


def _read_plan(source: str, client: Client) -> dict[str, Any]:
    try:
        with click.open_file(source, encoding="utf-8") as file:
            plan = json.load(file)
    except (OSError, ValueError):
        raise PlanUnreadable.say(client.language) from None
    if not isinstance(plan, dict):
        raise PlanUnreadable.say(client.language)
    return plan


def _spend(given: str | None, cell: str | None, client: Client) -> dict[str, Any] | None:
    from civic_kernel.queries import PRECISIONS, spend_document

    size = int(cell) if cell and cell.isascii() and cell.isdigit() else cell
    return spend_document(given, PRECISIONS.values(), client.language, size)


def _price_line(client: Client, offer: PriceBody) -> str:
    from civic_kernel.price_card import Price

    return str(Price(offer, client.dataset(str(offer.plan["dataset"])), client.language))


def _write_csv(statement: Statement) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout)
    writer.writerow([column.name for column in statement.table.columns])
    writer.writerows(statement.table.rows)
