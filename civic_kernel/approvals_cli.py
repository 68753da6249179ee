"""`civic approvals` and `civic allowance`: deciding on questions that wait, and what seats may spend without asking.

Both take the token of whoever calls them. The one inside a seat decides on a room's questions; leading a workshop
takes a token with the facilitator's right, which no seat has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

import click

from civic_kernel.texts import speaker, text

if TYPE_CHECKING:
    from civic_kernel.client import Client
    from civic_kernel.wire import AllowanceMeaning

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
_team = click.option("--team", help="Default: CIVIC_TEAM.")


@contextmanager
def _connected() -> Iterator[Client]:
    from civic_kernel.client import Client

    with closing(Client.from_settings()) as client:
        yield client


@click.group()
def approvals() -> None:
    """승인을 기다리는 질문 · Questions that wait for a person."""


@approvals.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are decided and over.")
@_json
def list_(everything: bool, as_json: bool) -> None:
    """What waits in your teams, in words and with its price."""
    from civic_kernel.held import OPEN, Waiting

    with _connected() as client:
        found = [line for line in client.approvals() if everything or line.state in OPEN]
        if as_json:
            click.echo(json.dumps([line.model_dump() for line in found], ensure_ascii=False))
            return
        for line in found:
            click.echo(str(Waiting(line, client.language)))
        if not found:
            click.echo(text(client.language, "kernel", "waiting.none"))


@approvals.command()
@click.argument("approval")
@_json
def approve(approval: str, as_json: bool) -> None:
    """Let this question be asked once; the team pays."""
    _decide(approval, "approve", as_json)


@approvals.command()
@click.argument("approval")
@_json
def refuse(approval: str, as_json: bool) -> None:
    """Turn this question down."""
    _decide(approval, "refuse", as_json)


def _decide(approval: str, decision: Literal["approve", "refuse"], as_json: bool) -> None:
    from civic_kernel.held import Waiting

    with _connected() as client:
        decided = client.decide(approval, decision)
        click.echo(decided.model_dump_json() if as_json else str(Waiting(decided, client.language)))


@click.group()
def allowance() -> None:
    """자리마다의 한도 · What each seat of a workshop may spend without asking."""


@allowance.command("set")
@click.option("--dataset", required=True, help="The dataset whose budget it is a part of.")
@click.option("--seats", required=True, type=click.IntRange(1), help="How many seats have a share each.")
@click.option(
    "--each", required=True, help='A ρ for each seat and month, or "3 normal": so many such questions.'
)
@click.option("--from", "from_", help="2026-11-24T09:00:00+09:00; default: from now on.")
@click.option("--until", help="2026-11-24T18:00:00+09:00; default: until another is set.")
@_team
@click.option("--try", "dry_run", is_flag=True, help="Only say what it would mean.")
@_json
def set_(
    dataset: str,
    seats: int,
    each: str,
    from_: str | None,
    until: str | None,
    team: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give each seat its share of what the team has left; what passes it waits for you."""
    from civic_kernel.errors import TeamMissing

    with _connected() as client:
        payer = team or client.team
        if not payer:
            raise TeamMissing.say(client.language)
        wanted: dict[str, Any] = {
            "team": payer,
            "dataset": dataset,
            "seats": seats,
            "rho": _nano(each, dataset, client),
            "from": from_,
            "until": until,
            "dry_run": dry_run,
        }
        meaning = client.allow(wanted)
        if as_json:
            click.echo(meaning.model_dump_json(by_alias=True))
        else:
            _tell(meaning, client)


@allowance.command()
@_json
def show(as_json: bool) -> None:
    """What is set in your teams, and what you have spent of it."""
    with _connected() as client:
        found = client.allowances()
        if as_json:
            click.echo(json.dumps([line.model_dump(by_alias=True) for line in found], ensure_ascii=False))
            return
        for line in found:
            facts = {"team": line.team, "dataset": line.dataset, "seats": line.seats, "taken": line.taken}
            click.echo(text(client.language, "kernel", "allowance.line", rho=_rho(line.rho), **facts))
        if not found:
            click.echo(text(client.language, "kernel", "allowance.none"))


def _nano(each: str, dataset: str, client: Client) -> int:
    """`0.01`, or `3 normal` (3 보통). Raises click.UsageError."""
    from civic_kernel.queries import PRECISIONS

    count, _, name = each.strip().partition(" ")
    try:
        if name:
            precisions = client.dataset(dataset).precisions
            return int(count) * precisions[PRECISIONS.get(name.strip(), name.strip())]
        nano = Decimal(count).scaleb(9)
        if not nano.is_finite() or nano < 0 or nano != nano.to_integral_value():
            raise ValueError
        return int(nano)
    except (ValueError, KeyError, InvalidOperation):
        raise click.UsageError(text(client.language, "kernel", "cli.each")) from None


def _tell(meaning: AllowanceMeaning, client: Client) -> None:
    from civic_kernel.affordable import percent

    say = speaker(client.language, "kernel", "allowance.")
    facts = {"seats": meaning.seats, "rho": _rho(meaning.rho)}
    click.echo(say("would", **facts) if meaning.dry_run else say("set", **facts))
    click.echo(say("share", percent=percent(meaning.share_of_left)))
    counts = [
        f"{text(client.language, 'kernel', f'choice.{name}')} {number}"
        for name, number in sorted(meaning.questions.items(), key=lambda one: one[1])
    ]
    click.echo(say("questions", counts=", ".join(counts)))
    if meaning.short:
        click.echo(say("short", months=", ".join(meaning.short)))


def _rho(nano: int) -> str:
    return format(Decimal(nano).scaleb(-9).normalize(), "f")
