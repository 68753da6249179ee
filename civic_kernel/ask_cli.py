"""`civic ask`: one question from a file, for scripts and for those who like a terminal."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from civic_kernel.errors import PlanUnreadable

if TYPE_CHECKING:
    from civic_kernel.client import Client
    from civic_kernel.wire import Statement


@click.command()
@click.option(
    "--plan", "source", required=True, help="A JSON file with the question, or - for standard input."
)
@click.option("--spend", help="rough, normal, fine, or a ρ such as 0.01. Without it, the policy's default.")
@click.option("--team", help="Whose budget pays. Default: CIVIC_TEAM.")
@click.option("--purpose", help="One of the policy's purposes. Default: CIVIC_PURPOSE.")
@click.option("--fresh", is_flag=True, help="Pay again although the same question is stored.")
@click.option("--price", "only_price", is_flag=True, help="Say what it would cost, and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output: the whole body.")
def ask(
    source: str,
    spend: str | None,
    team: str | None,
    purpose: str | None,
    fresh: bool,
    only_price: bool,
    as_json: bool,
) -> None:
    """질문 하나를 묻습니다 · Ask one question; prints its table as CSV."""
    from civic_kernel.client import Client

    with closing(Client.from_settings()) as client:
        plan = _read_plan(source, client)
        wanted = _spend(spend)
        if only_price:
            offer = client.price(plan, wanted, team=team, purpose=purpose, fresh=fresh)
            click.echo(offer.model_dump_json() if as_json else _price_line(client, plan, offer))
            return
        answer = client.ask(plan, wanted, team=team, purpose=purpose, fresh=fresh)
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


def _spend(given: str | None) -> dict[str, Any] | None:
    if given is None:
        return None
    from civic_kernel.queries import PRECISIONS

    return {"rho": given} if given[:1].isdigit() else {"precision": PRECISIONS.get(given, given)}


def _price_line(client: Client, plan: dict[str, Any], offer: Any) -> str:
    from civic_kernel.queries import Price

    return str(Price(offer, client.dataset(str(plan.get("dataset", ""))), client.language))


def _write_csv(statement: Statement) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout)
    writer.writerow([column.name for column in statement.table.columns])
    writer.writerows(statement.table.rows)
