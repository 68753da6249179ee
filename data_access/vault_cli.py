"""`civic vault backup|verify|restore`. As root they become civic-vault first, so FOLDER must be its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from data_access.cli import language, show_progress, verb, workspace
from data_access.texts import text

F = TypeVar("F", bound=Callable[..., Any])
_FOLDER = click.Path(path_type=Path, file_okay=False)
#: Short ones are found by trying; the seal is all that stands between a stolen backup and the keys.
LEAST_CHARACTERS = 12


def with_passphrase(function: F) -> F:
    option = click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A file with the passphrase of the keys; without it you are asked.",
    )
    return option(function)


def _passphrase(file: Path | None, *, new: bool) -> str:
    spoken = language()
    if file is None:
        given: str = click.prompt("passphrase", hide_input=True, confirmation_prompt=new, err=True)
    else:
        try:
            given = file.read_text("utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError):
            raise click.ClickException(text(spoken, "cli", "passphrase_unreadable")) from None
    if new and len(given) < LEAST_CHARACTERS:
        raise click.ClickException(text(spoken, "cli", "passphrase_short"))
    return given


def _places() -> Any:
    from data_access.compose import read_settings
    from data_access.flows.backing_up import Places

    settings = read_settings()
    return Places(settings.home, settings.database_url, (settings.bind, settings.gateway_port))


@click.group()
def vault() -> None:
    """Back the vault up, check a backup, put one back."""


@vault.command("backup")
@click.argument("folder", type=_FOLDER)
@with_passphrase
@verb
def backup(folder: Path, passphrase_file: Path | None) -> dict[str, Any]:
    """Make a backup in a new folder below FOLDER. Questions go on; a load waits for it."""
    from data_access.flows import backing_up

    passphrase = _passphrase(passphrase_file, new=True)
    with workspace() as parts:
        try:
            made = backing_up.back_up(_places(), parts.database, parts.key, folder, passphrase, show_progress)
        except OSError:
            raise click.ClickException(text(language(), "cli", "backup_not_written")) from None
    head = backing_up.head_of(made)
    kept = f"{head.seq}:{head.hash}"
    said = text(language(), "cli", "backed_up", place=str(made), seq=head.seq, head=kept)
    return {"backup": str(made), "head": kept, "say": said}


@vault.command("verify")
@click.argument("place", metavar="BACKUP", type=_FOLDER)
@with_passphrase
@verb
def verify(place: Path, passphrase_file: Path | None) -> dict[str, Any]:
    """Whether BACKUP could be put back today: everything is opened, nothing is changed."""
    from data_access.flows import backing_up

    checked = backing_up.check(place, _passphrase(passphrase_file, new=False), show_progress)
    kept = f"{checked.head.seq}:{checked.head.hash}"
    said = text(language(), "cli", "backup_whole", seq=checked.head.seq, head=kept)
    return {"head": kept, "say": said}


@vault.command("restore")
@click.argument("place", metavar="BACKUP", type=_FOLDER)
@click.option(
    "--kept",
    required=True,
    help="A head that was kept outside this machine: SEQ:HASH, a head.json, or a witness's file.",
)
@click.option("--yes", is_flag=True, help="Do it; without this only what it would replace is said.")
@with_passphrase
@verb
def restore(place: Path, kept: str, yes: bool, passphrase_file: Path | None) -> dict[str, Any]:
    """Put BACKUP back. The workspace must not run, and KEPT must stand in the backup's chain."""
    from data_access.flows import backing_up

    places = _places()
    checked = backing_up.check(place, _passphrase(passphrase_file, new=False), show_progress)
    here = backing_up.check_may_replace(places, checked, backing_up.read_head(kept))
    state = {"head": f"{checked.head.seq}:{checked.head.hash}", "replaces": here.seq if here else None}
    if not yes:
        said = text(language(), "cli", "restore_tried", here=here.seq if here else "–", seq=checked.head.seq)
        return {"state": "tried", **state, "say": said}
    try:
        backing_up.restore(places, place, checked, show_progress)
    except OSError:
        raise click.ClickException(text(language(), "cli", "backup_not_written")) from None
    return {"state": "restored", **state, "say": text(language(), "cli", "restored", seq=checked.head.seq)}
