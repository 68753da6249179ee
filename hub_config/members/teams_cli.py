"""`civic team …`: what the stewards' page does, for whoever runs the machine. The running Hub follows by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hub_config import db
from hub_config.cli import _refusals as refusals
from hub_config.cli import json_option
from hub_config.errors import PersonRefused
from hub_config.home import prepare
from hub_config.members.people import People
from hub_config.members.teams import CONSOLE, Kind, Teams
from hub_config.settings import Settings
from hub_config.texts import text

korean = click.option("--ko", "title_ko", required=True, help="Its name in Korean.")
english = click.option("--en", "title_en", required=True, help="Its name in English.")
sure = click.option(
    "--yes", "is_sure", is_flag=True, help="Do it; without, only say what it would take away."
)


@click.group()
def team() -> None:
    """팀과 방 · Teams and their rooms: who works in which, who only looks."""


@contextmanager
def _tables(settings: Settings) -> Iterator[tuple[Teams, People]]:
    prepare(settings)
    engine = db.open_database(settings)
    try:
        yield Teams(engine, settings), People(engine, settings)
    finally:
        engine.dispose()


def _say(settings: Settings, as_json: bool, key: str, **facts: Any) -> None:
    if as_json:
        click.echo(json.dumps({"done": key, **facts}, ensure_ascii=False))
    else:
        click.echo(text(settings.language, f"teams.cli.{key}", **facts))


@team.command()
@click.argument("slug")
@korean
@english
@json_option
@refusals
def add(settings: Settings, slug: str, title_ko: str, title_en: str, as_json: bool) -> None:
    """Make a team and give it a room. SLUG is its short name, for good.

    Exit codes: 0, 2 a setting cannot be used, 5 a name that cannot be, or no room left.
    """
    with _tables(settings) as (teams, _):
        room = teams.make(slug, title_ko, title_en, by=CONSOLE)
    _say(settings, as_json, "made", team=slug, room=room)


@team.command()
@click.argument("slug")
@korean
@english
@json_option
@refusals
def rename(settings: Settings, slug: str, title_ko: str, title_en: str, as_json: bool) -> None:
    """Give a team another name; its short name, room, budget and answers stay."""
    with _tables(settings) as (teams, _):
        teams.rename(slug, title_ko, title_en, by=CONSOLE)
    _say(settings, as_json, "renamed", team=slug)


@team.command()
@click.argument("slug")
@click.argument("person")
@json_option
@refusals
def member(settings: Settings, slug: str, person: str, as_json: bool) -> None:
    """Make PERSON a member: works in the team's room, asks from its budget."""
    _put(settings, slug, person, "member", as_json)


@team.command()
@click.argument("slug")
@click.argument("person")
@sure
@json_option
@refusals
def observer(settings: Settings, slug: str, person: str, is_sure: bool, as_json: bool) -> None:
    """Make PERSON an observer: looks at the room's notebooks and changes nothing."""
    _put(settings, slug, person, "observer", as_json, is_sure=is_sure)


def _put(
    settings: Settings, slug: str, person: str, kind: Kind, as_json: bool, *, is_sure: bool = True
) -> None:
    with _tables(settings) as (teams, people):
        if not is_sure and teams.find(slug).kind_of(person) == "member":
            _warn(settings, as_json, teams, people, slug, person, "observer")
            return
        changed = teams.put(slug, person, kind, by=CONSOLE)
    _say(settings, as_json, kind if changed else "already", team=slug, person=person)


@team.command()
@click.argument("slug")
@click.argument("person")
@sure
@json_option
@refusals
def remove(settings: Settings, slug: str, person: str, is_sure: bool, as_json: bool) -> None:
    """Take PERSON out of the team; the room, its notebooks and the team's answers stay."""
    with _tables(settings) as (teams, people):
        if not is_sure:
            _warn(settings, as_json, teams, people, slug, person, "remove")
            return
        teams.remove(slug, person, by=CONSOLE)
    _say(settings, as_json, "removed", team=slug, person=person)


def _warn(
    settings: Settings, as_json: bool, teams: Teams, people: People, slug: str, person: str, what: str
) -> None:
    language = settings.language
    facts = {
        "person": people.account(person).display(language),
        "team": teams.find(slug).title(language),
    }
    sentence = text(language, f"teams.sure_{what}", **facts)
    if as_json:
        click.echo(json.dumps({"done": "nothing", "would": sentence}, ensure_ascii=False))
        return
    click.echo(sentence)
    click.echo(text(language, "teams.cli.sure"))


@team.command()
@click.argument("slug")
@click.argument("notebook", type=click.Path(path_type=Path))
@json_option
@refusals
def give(settings: Settings, slug: str, notebook: Path, as_json: bool) -> None:
    """Put NOTEBOOK, which a run has written, into the team's room to be read; nobody there can change it."""
    from hub_config.rooms.results import give as put

    with _tables(settings) as (teams, people):
        rooms = teams.find(slug).rooms
        if not rooms:
            raise PersonRefused(name=slug, reason="no_room")
        place = put(settings, people.account(rooms[0]), notebook)
    _say(settings, as_json, "given", team=slug, place=place)


@team.command("list")
@json_option
@refusals
def show(settings: Settings, as_json: bool) -> None:
    """Every team with its room and its people."""
    with _tables(settings) as (teams, _):
        found = teams.all()
    if as_json:
        click.echo(json.dumps({"teams": [asdict(each) for each in found]}, ensure_ascii=False))
        return
    language = settings.language
    for each in found:
        facts = {"team": each.title(language), "slug": each.slug, "rooms": ", ".join(each.rooms)}
        click.echo(text(language, "teams.cli.team", **facts))
        for kind, them in (("member", each.members), ("observer", each.observers)):
            for one in them:
                line = text(language, f"teams.cli.one_{kind}", person=one.display(language), name=one.name)
                click.echo(line)
    if not found:
        click.echo(text(language, "teams.cli.none"))
