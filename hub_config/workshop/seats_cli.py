"""`civic seats …`: workshops and their cards, for whoever has the machine. A facilitator does the same on her page."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hub_config.cli import _refusals as refusals
from hub_config.cli import json_option
from hub_config.errors import WorkshopRefused
from hub_config.settings import Settings
from hub_config.texts import text

if TYPE_CHECKING:
    from hub_config.workshop.cards import Cards
    from hub_config.workshop.workshops import Workshop, Workshops

#: Whom the table of changes names for what was done here.
BY = "(console)"
EXIT_RED = 9


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Workshops, Cards]]:
    from hub_config.home import prepare
    from hub_config.workshop.cards import open_cards
    from hub_config.workshop.workshops import open_workshops

    prepare(settings)
    workshops, cards = open_workshops(settings), open_cards(settings)
    try:
        yield workshops, cards
    finally:
        workshops.close()
        cards.close()


@click.group()
def seats() -> None:
    """워크숍과 카드 · Workshops, their seats and cards."""


@seats.command("print")
@click.option(
    "--workshop", "title", required=True, help="Its name. An open one of the team: its cards again."
)
@click.option("--team", required=True, help="Whose budget pays.")
@click.option("--seats", "count", type=int, default=30, show_default=True, help="New seats.")
@click.option(
    "--until", default="tomorrow", show_default=True, help="A day (to its end), or 2026-11-24T18:00."
)
@click.option("--keep", help="The day until which homes stay. Default: 30 days after the end.")
@click.option("--notebook", default="", help="The notebook to begin with: one that we ship, or a file.")
@click.option("--name", "slug", help="A short name for addresses. Default: made from the workshop's name.")
@click.option(
    "--language", type=click.Choice(["ko", "en"]), help="Of cards and seats. Default: CIVIC_LANGUAGE."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: cards-NAME.html here.")
@json_option
@refusals
def print_(
    settings: Settings,
    title: str,
    team: str,
    count: int,
    until: str,
    keep: str | None,
    notebook: str,
    slug: str | None,
    language: Any,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make a workshop and the sheet of its cards; of one that is open, the sheet again.

    The sheet is an HTML file for A4 that only you can read: a card lets its bearer in. Exit codes: 0, 2, 5 refused.
    """
    from hub_config.workshop.card_sheet import cards_of, render_sheet
    from hub_config.workshop.workshops import read_day

    spoken = language or settings.language
    with _opened(settings) as (workshops, cards):
        now = time.time()
        found = next(
            (
                one
                for one in workshops.of_teams([team])
                if one.is_open(now) and title in (one.title, one.slug)
            ),
            None,
        )
        if found is None:
            file = _notebook_file(notebook)
            found = workshops.make(
                title=title,
                team=team,
                seats=count,
                ends_at=read_day(until, now),
                homes_until=read_day(keep, now) if keep else None,
                notebook=file.name if file else notebook,
                slug=slug,
                language=spoken,
                by=BY,
            )
            if file is not None:
                keep_notebook(settings, found, file)
            made = True
        else:
            made = False
        places = workshops.seats(found.slug)
        sheet = render_sheet(settings, found, places, cards_of(cards, found, places), spoken)
    written = _write_closed(out or Path(f"cards-{found.slug}.html"), sheet)
    if as_json:
        document = {"workshop": found.slug, "made": made, "seats": len(places), "sheet": str(written)}
        click.echo(json.dumps(document, ensure_ascii=False))
        return
    say = "seats.made" if made else "seats.again"
    click.echo(text(settings.language, say, name=found.slug, count=len(places)))
    click.echo(text(settings.language, "seats.sheet", path=written))
    if settings.address == settings.workspace_url and settings.bind in ("127.0.0.1", "::1", "0.0.0.0", "::"):
        click.echo(text(settings.language, "check.address.bad", address=settings.address), err=True)
    click.echo(text(settings.language, "seats.next", name=found.slug))


def _notebook_file(notebook: str) -> Path | None:
    """The file that `notebook` names; None for one that we ship, or none. Raises WorkshopRefused."""
    from hub_config.home import shipped_notebooks

    file = Path(notebook)
    if not notebook or (file.name == notebook and notebook in shipped_notebooks()):
        return None
    if not file.is_file() or file.suffix != ".ipynb":
        raise WorkshopRefused(reason="notebook_missing")
    return file


def keep_notebook(settings: Settings, workshop: Workshop, file: Path) -> None:
    """The facilitator's own notebook, where every seat finds it."""
    folder = settings.home / "workshops" / workshop.slug
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    kept = folder / file.name
    shutil.copyfile(file, kept)
    kept.chmod(0o644)


def _write_closed(path: Path, sheet: str) -> Path:
    """Only its owner can read it, from its first byte on."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(sheet)
    return path.absolute()


@seats.command("list")
@json_option
@refusals
def list_(settings: Settings, as_json: bool) -> None:
    """All workshops, newest first, with their seats."""
    from hub_config.members.people import open_people
    from hub_config.workshop.card_sheet import moment

    people = open_people(settings)
    try:
        teams = people.teams()
    finally:
        people.close()
    with _opened(settings) as (workshops, _):
        now = time.time()
        rows = [(one, one.is_open(now), workshops.seats(one.slug)) for one in workshops.of_teams(teams)]
    if as_json:
        found = [
            {
                "workshop": one.slug,
                "title": one.title,
                "team": one.team,
                "open": is_open,
                "ends_at": one.ends_at,
                "homes_until": one.homes_until,
                "notebook": one.notebook,
                "seats": [place.name for place in places],
            }
            for one, is_open, places in rows
        ]
        click.echo(json.dumps({"workshops": found}, ensure_ascii=False))
        return
    language = settings.language
    for one, is_open, places in rows:
        key = "seats.line" if is_open else "seats.line_over"
        until = moment(one.ends_at, language)
        click.echo(
            text(language, key, name=one.slug, title=one.title, team=one.team, count=len(places), until=until)
        )
    if not rows:
        click.echo(text(language, "seats.none"))


@seats.command()
@click.argument("name")
@json_option
@refusals
def end(settings: Settings, name: str, as_json: bool) -> None:
    """End a workshop: its seats close within a minute, its homes stay. NAME as `civic seats list` has it."""
    with _opened(settings) as (workshops, _):
        workshop = workshops.end(name, by=BY)
    _tell(settings, "seats.ended", workshop, as_json)


@seats.command()
@click.argument("name")
@click.option("--until", required=True, help="A day (to its end), or 2026-11-24T18:00.")
@json_option
@refusals
def extend(settings: Settings, name: str, until: str, as_json: bool) -> None:
    """Let an open workshop end at another time."""
    from hub_config.workshop.workshops import read_day

    with _opened(settings) as (workshops, _):
        workshop = workshops.extend(name, ends_at=read_day(until, time.time()), by=BY)
    _tell(settings, "seats.extended", workshop, as_json)


def _tell(settings: Settings, key: str, workshop: Workshop, as_json: bool) -> None:
    from hub_config.workshop.card_sheet import day, moment

    if as_json:
        document = {
            "workshop": workshop.slug,
            "ends_at": workshop.ended_at or workshop.ends_at,
            "homes_until": workshop.homes_until,
        }
        click.echo(json.dumps(document))
        return
    language = settings.language
    until, kept = moment(workshop.ends_at, language), day(workshop.homes_until, language)
    click.echo(text(language, key, title=workshop.title, until=until, kept=kept))


@seats.command()
@click.argument("seat")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: cards-SEAT.html here.")
@json_option
@refusals
def card(settings: Settings, seat: str, out: Path | None, as_json: bool) -> None:
    """A new card for a lost one. The earlier card opens nothing any more, and whoever it let in is out in a minute."""
    from hub_config.workshop.card_sheet import render_sheet

    with _opened(settings) as (workshops, cards):
        workshop, place = workshops.workshop_of(seat), workshops.seat(seat)
        if workshop is None or place is None:
            raise WorkshopRefused(reason="no_seat")
        cards.revoke(seat)
        cards.forget_browsers(seat)
        made = cards.make(seat, expires_at=workshop.homes_until)
        workshops.note("seat_card", seat, by=BY)
    sheet = render_sheet(settings, workshop, [place], [made], settings.language)
    written = _write_closed(out or Path(f"cards-{seat}.html"), sheet)
    if as_json:
        click.echo(json.dumps({"seat": seat, "sheet": str(written)}, ensure_ascii=False))
    else:
        click.echo(text(settings.language, "seats.sheet", path=written))


@seats.command()
@click.argument("name")
@json_option
@refusals
def check(settings: Settings, name: str, as_json: bool) -> None:
    """Whether all is ready for a workshop: cards, disk, memory, address, a seat, its notebook, the team's budget.

    Needs the running workspace. Exit codes: 0 all is green, 9 something is red, 5 there is no such workshop.
    """
    from hub_config.members.people import open_people
    from hub_config.workshop import checking

    language = settings.language
    lines: list[checking.Finding] = []

    def tell(line: checking.Finding) -> None:
        lines.append(line)
        if not as_json:
            mark = click.style(text(language, "check.good"), fg="green") if line.good else None
            mark = mark or click.style(text(language, "check.bad"), fg="red", bold=True)
            click.echo(f"{mark}  {line.sentence(language)}")

    with _opened(settings) as (workshops, cards):
        people = open_people(settings)
        try:
            good = checking.check(settings, people, workshops, cards, workshops.get(name), tell)
        finally:
            people.close()
    if as_json:
        found = [{"what": one.what, "good": one.good, "says": one.sentence(language)} for one in lines]
        click.echo(json.dumps({"good": good, "findings": found}, ensure_ascii=False))
    if not good:
        raise SystemExit(EXIT_RED)


@seats.command()
@click.option("--yes", is_flag=True, help="Remove them; without it they are only named.")
@json_option
@refusals
def clear(settings: Settings, yes: bool, as_json: bool) -> None:
    """Remove homes of seats that were promised for no longer. Without --yes nothing is removed."""
    with _opened(settings) as (workshops, _):
        found = [home for seat in workshops.past() for home in homes_of(settings, seat)]
    if yes:
        for home in found:
            shutil.rmtree(home)
    if as_json:
        click.echo(json.dumps({"homes": [home.name for home in found], "removed": yes}))
        return
    for home in found:
        click.echo(home.name)
    key = "seats.cleared" if yes else "seats.would_clear"
    click.echo(text(settings.language, key if found else "seats.nothing_to_clear", count=len(found)))


def homes_of(settings: Settings, seat: str) -> list[Path]:
    """A seat's home and what was put aside when it was begun afresh."""
    folder = settings.home / "homes"
    found = [folder / seat, *sorted(folder.glob(f".{seat}.*"))]
    return [home for home in found if home.is_dir() and not home.is_symlink()]
