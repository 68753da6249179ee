"""`civic backup make|check|restore`: the workspace's side. The vault's is `civic vault`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import click

from hub_config.cli import _refusals as refusals
from hub_config.cli import json_option
from hub_config.settings import Settings
from hub_config.texts import text

_BACKUP = click.Path(path_type=Path, file_okay=False)


def _show(settings: Settings, as_json: bool, step: str, number: int, count: int) -> None:
    """One line, redrawn, at a terminal; nothing where a program reads."""
    if not as_json and sys.stderr.isatty():
        end = "\n" if number == count else ""
        step = text(settings.language, f"backup.step.{step}", number=number, count=count)
        click.echo(f"\r{step}{end}", nl=False, err=True)


@click.group()
def backup() -> None:
    """Back the workspace's side up, check a backup, put one back."""


@backup.command("make")
@click.argument("folder", type=_BACKUP)
@json_option
@refusals
def make(settings: Settings, folder: Path, as_json: bool) -> None:
    """Make a backup in a new folder below FOLDER. People may go on working.

    Whoever has it can read everybody's notebooks and sign in as anybody: keep it closed, and encrypt what leaves the
    machine. Exit codes: 0, 2 a setting cannot be used, 10 it could not be made.
    """
    from hub_config.operations import backup as backups

    made = backups.make(settings, folder, lambda *step: _show(settings, as_json, *step))
    manifest = backups.read(made)
    homes = sum(len(manifest.of(top)) for top in backups.OWNED)
    size = sum(part.size for part in manifest.parts)
    if as_json:
        click.echo(json.dumps({"backup": str(made), "homes": homes, "bytes": size}))
    else:
        megabytes = f"{size / 1e6:,.1f}"
        said = text(settings.language, "backup.made", place=str(made), homes=homes, megabytes=megabytes)
        click.echo(said)


@backup.command("check")
@click.argument("place", metavar="BACKUP", type=_BACKUP)
@json_option
@refusals
def check(settings: Settings, place: Path, as_json: bool) -> None:
    """Whether every file of BACKUP is whole. Exit codes: 0, 10 it is not."""
    from hub_config.operations import backup as backups

    manifest = backups.check(place, lambda *step: _show(settings, as_json, *step))
    homes = sum(len(manifest.of(top)) for top in backups.OWNED)
    if as_json:
        click.echo(json.dumps({"state": "whole", "made_at": manifest.made_at, "homes": homes}))
    else:
        click.echo(text(settings.language, "backup.whole", homes=homes, files=len(manifest.parts)))


@backup.command("restore")
@click.argument("place", metavar="BACKUP", type=_BACKUP)
@click.option("--yes", is_flag=True, help="Do it; without this only what it would replace is said.")
@json_option
@refusals
def restore(settings: Settings, place: Path, yes: bool, as_json: bool) -> None:
    """Put BACKUP back where the workspace's state is. The workspace must not run.

    What it replaces is moved to a folder of its own, but for tables in PostgreSQL. Exit codes: 0, 10 refused.
    """
    from hub_config.errors import BackupRefused
    from hub_config.home import prepare
    from hub_config.operations import backup as backups
    from hub_config.starting.running import find_running

    def show(step: str, number: int, count: int) -> None:
        _show(settings, as_json, step, number, count)

    if find_running(settings):
        raise BackupRefused(reason="running")
    replaced = backups.replaced(settings, backups.check(place, show))
    kinds = Counter(name.split("/")[0] if name.startswith(backups.OWNED) else "other" for name in replaced)
    facts = {
        "homes": kinds["homes"],
        "rooms": kinds["rooms"],
        "others": ", ".join(name for name in replaced if not name.startswith(backups.OWNED)) or "–",
    }
    if not yes:
        state, aside = "tried", None
    else:
        prepare(settings)
        state, aside = "restored", backups.restore(settings, place, show)
    if as_json:
        document = {"state": state, "replaces": replaced, "moved_to": str(aside) if aside else None}
        click.echo(json.dumps(document))
    elif yes:
        click.echo(text(settings.language, "backup.restored"))
        if aside:
            click.echo(text(settings.language, "backup.aside", place=str(aside)))
    else:
        click.echo(text(settings.language, "backup.tried", **facts))
