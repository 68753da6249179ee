"""`civic accounts …`: standing accounts, by an administrator on the machine. Exit codes: the tree in
hub_config.errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from hub_config.cli import _refusals as refusals
from hub_config.cli import json_option
from hub_config.members.people import People
from hub_config.settings import Settings
from hub_config.signing_in.accounts import Accounts
from hub_config.texts import LANGUAGES, text


@contextmanager
def _open(settings: Settings) -> Iterator[tuple[People, Accounts]]:
    from hub_config import db
    from hub_config.home import prepare

    prepare(settings)
    engine = db.open_database(settings)
    try:
        yield People(engine, settings), Accounts(engine)
    finally:
        engine.dispose()


def _tell(settings: Settings, as_json: bool, key: str, **facts: object) -> None:
    if as_json:
        click.echo(json.dumps({"done": key, **facts}, ensure_ascii=False))
    else:
        click.echo(text(settings.language, f"accounts.{key}", **facts))


@click.group()
def accounts() -> None:
    """계정 · Standing accounts: passwords, and accounts elsewhere to sign in with."""


@accounts.command()
@click.argument("name")
@click.option("--ko", required=True, help="Her name as others read it in Korean.")
@click.option("--en", required=True, help="The same in English.")
@click.option("--language", type=click.Choice(LANGUAGES), default="ko", show_default=True)
@click.option("--role", "roles", multiple=True, help="May be given several times; docs/roles.md lists them.")
@click.option("--team", "teams", multiple=True, help="May be given several times.")
@json_option
@refusals
def add(
    settings: Settings,
    name: str,
    ko: str,
    en: str,
    language: str,
    roles: tuple[str, ...],
    teams: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add a person, who cannot sign in yet: give her a password, a link, or an account elsewhere."""
    with _open(settings) as (people, _):
        people.add_person(
            name,
            display_ko=ko,
            display_en=en,
            language="en" if language == "en" else "ko",
            roles=roles,
            teams=teams,
        )
    _tell(settings, as_json, "added", name=name)


@accounts.command()
@click.argument("name")
@click.option("--stdin", is_flag=True, help="Read the password from standard input, its first line.")
@click.option("--remove", is_flag=True, help="Take her password away instead.")
@json_option
@refusals
def password(settings: Settings, name: str, stdin: bool, remove: bool, as_json: bool) -> None:
    """Set a person's password: asked for twice and shown nowhere, never an argument, which others could read."""
    with _open(settings) as (people, kept):
        people.account(name)
        if remove:
            kept.remove_password(name)
            _tell(settings, as_json, "password_removed", name=name)
            return
        if stdin:
            given = sys.stdin.readline().rstrip("\r\n")
        else:
            given = click.prompt(
                text(settings.language, "accounts.ask", name=name),
                hide_input=True,
                confirmation_prompt=text(settings.language, "accounts.ask_again"),
                err=True,
            )
        kept.set_password(name, given)
    _tell(settings, as_json, "password_set", name=name)


@accounts.command()
@click.argument("name")
@click.argument("subject", required=False)
@click.option("--issuer", help="The provider's address; default: CIVIC_OIDC_ISSUER.")
@click.option("--remove", is_flag=True, help="Unlink every account of hers instead.")
@json_option
@refusals
def link(
    settings: Settings, name: str, subject: str | None, issuer: str | None, remove: bool, as_json: bool
) -> None:
    """Let whom the provider calls SUBJECT sign in as NAME. The provider's sign-in shows her that number."""
    with _open(settings) as (people, kept):
        people.account(name)
        if remove:
            _tell(settings, as_json, "unlinked", name=name, count=kept.remove_identities(name))
            return
        kept.add_identity(name, issuer or settings.oidc_issuer, subject or "")
    _tell(settings, as_json, "linked", name=name)


@accounts.command("list")
@json_option
@refusals
def list_(settings: Settings, as_json: bool) -> None:
    """Who has a password or an account elsewhere."""
    with _open(settings) as (_, kept):
        ways = kept.ways()
    if as_json:
        shown = [{"name": name, "password": having, "linked": linked} for name, having, linked in ways]
        click.echo(json.dumps({"accounts": shown}))
        return
    click.echo(text(settings.language, "accounts.list_head"))
    for name, having, linked in ways:
        click.echo(f"{name}\t{text(settings.language, _YES[having])}\t{linked}")


_YES = {True: "accounts.list_yes", False: "accounts.list_no"}


@accounts.command()
@click.argument("name")
@json_option
@refusals
def close(settings: Settings, name: str, as_json: bool) -> None:
    """End every way in which a person can sign in. Her files and what she published stay."""
    with _open(settings) as (people, kept):
        kept.remove_password(name)
        kept.remove_identities(name)
        people.revoke_links(name)
    _tell(settings, as_json, "closed", name=name)
