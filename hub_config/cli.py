"""`civic up`, `civic down`, `civic links`. Exit codes: the tree in hub_config.errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from hub_config.errors import WorkspaceError
from hub_config.settings import Settings, read_settings
from hub_config.texts import text

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


def _refusals(verb: Callable[..., None]) -> Callable[..., None]:
    """A refusal is one sentence on standard error (or JSON on standard output) and its exit code."""

    @wraps(verb)
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> None:
        settings: Settings | None = None
        try:
            settings = read_settings()
            verb(settings, *args, as_json=as_json, **kwargs)
        except WorkspaceError as refusal:
            sentence = refusal.sentence(settings.language if settings else "en")
            if as_json:
                click.echo(json.dumps({"code": refusal.code, "message": sentence}, ensure_ascii=False))
            else:
                click.echo(sentence, err=True)
            sys.exit(refusal.exit_code)

    return wrapped


def _addresses(settings: Settings, state: str) -> dict[str, str]:
    return {
        "state": state,
        "workspace": settings.workspace_url,
        "site": settings.site_url,
    }


@click.command()
@click.option(
    "--detach",
    is_flag=True,
    help="Return when the workspace answers, and leave it running.",
)
@json_option
@_refusals
def up(settings: Settings, detach: bool, as_json: bool) -> None:
    """Start the workspace: Hub, data gateway, citizen site.

    Stays in the foreground until Ctrl-C. Exit codes: 0 up (or already up), 2 a setting cannot be used,
    3 a port is taken or set-up is missing, 4 a part did not start.
    """
    import signal
    import threading

    from hub_config.starting.running import find_running, start

    def say(sentence: str) -> None:
        if not as_json:
            click.echo(sentence)

    def tell(state: str) -> None:
        if as_json:
            click.echo(json.dumps(_addresses(settings, state)))
        else:
            click.echo(text(settings.language, f"up.{state}"))
            click.echo(text(settings.language, "up.workspace", url=settings.workspace_url))
            click.echo(text(settings.language, "up.site", url=settings.site_url))
            if not settings.isolated:
                click.echo(text(settings.language, "banner.shared"))

    if find_running(settings):
        tell("already")
        return
    if detach:
        start(settings, say, detach=True)
        tell("ready")
        return
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _interrupt(asked))
    try:
        with start(settings, say) as workspace:
            tell("ready")
            say(text(settings.language, "up.until"))
            while workspace.is_running():
                asked.wait(0.5)
            if not asked.is_set():
                from hub_config.errors import StartFailed

                raise StartFailed(part="hub", log="hub.log")
    except KeyboardInterrupt:
        pass
    say(text(settings.language, "down.done"))


def _interrupt(asked: Any) -> None:
    if not asked.is_set():  # a second Ctrl-C must not break the orderly stop of the first
        asked.set()
        raise KeyboardInterrupt


@click.command()
@json_option
@_refusals
def down(settings: Settings, as_json: bool) -> None:
    """Stop the workspace of this CIVIC_HOME, and every process it started. Exit code 0 also if none runs."""
    from hub_config.starting.running import find_running

    workspace = find_running(settings)
    if workspace:
        workspace.stop()
    state = "done" if workspace else "none"
    click.echo(json.dumps({"state": state}) if as_json else text(settings.language, f"down.{state}"))


@click.command()
@json_option
@_refusals
def renew(settings: Settings, as_json: bool) -> None:
    """Replace Hub, gateway and template by what is installed now, while everybody works on.

    For an upgrade: seats and kernels that run keep the old code until they are closed, whoever starts next has the
    new.
    Exit codes: 0 also if none runs, 4 a part did not start.
    """
    from hub_config.starting.running import find_running

    workspace = find_running(settings)
    if workspace:
        workspace.renew()
    state = "done" if workspace else "none"
    key = "renew.done" if workspace else "down.none"
    click.echo(json.dumps({"state": state}) if as_json else text(settings.language, key))


@click.command()
@click.argument("names", nargs=-1)
@click.option("--days", type=click.FloatRange(min=0.01, max=366), default=1.0, show_default=True)
@click.option(
    "--revoke",
    is_flag=True,
    help="End the links of these people instead of making new ones.",
)
@json_option
@_refusals
def links(settings: Settings, names: tuple[str, ...], days: float, revoke: bool, as_json: bool) -> None:
    """Make a sign-in link for each person named (default: everyone). Links are secrets: shown here once.

    Exit codes: 0, 2 a setting cannot be used, 5 no such person.
    """
    from hub_config.client import make_link
    from hub_config.home import prepare
    from hub_config.members.people import open_people
    from hub_config.roles import is_seat

    prepare(settings)
    people = open_people(settings)
    try:
        chosen = list(names) or [name for name in people.names() if not is_seat(name)]
        accounts = [people.account(name) for name in chosen]  # all must exist before one link is made
        if revoke:
            ended = {name: people.revoke_links(name) for name in chosen}
            if as_json:
                click.echo(json.dumps({"revoked": ended}))
            for name, count in [] if as_json else ended.items():
                click.echo(text(settings.language, "links.revoked", name=name, count=count))
            return
        made = [
            {
                "name": account.name,
                "display": {"ko": account.display_ko, "en": account.display_en},
                "link": make_link(
                    settings.workspace_url,
                    people.add_link(account.name, lifetime_s=days * 86_400),
                ),
            }
            for account in accounts
        ]
    finally:
        people.close()
    if as_json:
        click.echo(json.dumps({"links": made}, ensure_ascii=False))
        return
    for account, entry in zip(accounts, made, strict=True):
        click.echo(f"{account.display(settings.language)}: {entry['link']}")
    if not made:
        click.echo(text(settings.language, "links.nobody"))
