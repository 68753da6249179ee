"""Which notebooks a person worked on last: names and times, read from her home without opening a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from urllib.parse import quote
from zoneinfo import ZoneInfo

from hub_config.members.people import Account
from hub_config.settings import Settings

#: What the page shows, and how many entries of a folder are looked at: the Hub has one thread for everybody.
SHOWN, LOOKED_AT = 6, 500


@dataclass(frozen=True)
class Notebook:
    """`path` is relative to the home; `changed` seconds since 1970."""

    path: str
    changed: float

    @property
    def url(self) -> str:
        """After the address of a server: the notebook in JupyterLab."""
        return f"lab/tree/{quote(self.path)}"

    @property
    def name(self) -> str:
        return self.path.removesuffix(".ipynb")

    @property
    def when(self) -> str:
        """`2026-11-23 15:20`, in Seoul."""
        return datetime.fromtimestamp(self.changed, ZoneInfo("Asia/Seoul")).strftime("%Y-%m-%d %H:%M")


def recent_notebooks(settings: Settings, account: Account) -> list[Notebook]:
    """The newest first: those in the home itself and in the folders right under it. Empty without a home.

    The Hub may read everything and the home is the person's to arrange, so no link is followed anywhere: not of a
    folder, not of a file, and not one that is put there between two looks (each folder is opened by its descriptor).
    """
    parent = settings.home / ("rooms" if account.is_room else "homes")
    found: list[Notebook] = []
    try:
        home = os.open(parent / account.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return []
    try:
        for folder in _look(home, "", found):
            try:
                inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=home)
            except OSError:
                continue
            try:
                _look(inner, f"{folder}/", found)
            finally:
                os.close(inner)
    finally:
        os.close(home)
    return sorted(found, key=lambda notebook: -notebook.changed)[:SHOWN]


def _look(folder: int, prefix: str, found: list[Notebook]) -> list[str]:
    """Adds the notebooks of an open folder to `found`; returns the names of the folders in it."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in islice(entries, LOOKED_AT):
            # A name that is no text (surrogates) cannot be in an address.
            if entry.name.startswith(".") or not entry.name.isprintable():
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.name.endswith(".ipynb") and entry.is_file(follow_symlinks=False):
                    found.append(Notebook(prefix + entry.name, entry.stat(follow_symlinks=False).st_mtime))
            except OSError:
                continue  # gone meanwhile
    return folders
