"""A run's notebook put into a team's room to be read: the room can neither change nor replace what is in `results/`.

Two writers of one notebook is how shared hubs lose work: a run that wrote into a notebook which the room has open would
overwrite the room, and the room a second later the run. So a result is a copy that belongs to root, each under a name
of its own, in a folder that belongs to root. (The room may rename that folder, which stands in its own; then it is no
longer used.)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from hub_config.errors import PersonRefused
from hub_config.home import make_home
from hub_config.members.people import Account
from hub_config.settings import Settings

FOLDER = "results"
#: Bytes; the largest notebook of which earlier contents are kept.
LARGEST = 64_000_000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def give(settings: Settings, room: Account, notebook: Path) -> str:
    """Copies `notebook` into the room's `results/`; its path there. Raises PersonRefused: no notebook, too large, or
    `results` in the room is somebody else's (a folder or link of the room's own)."""
    if notebook.suffix != ".ipynb" or not notebook.is_file() or notebook.stat().st_size > LARGEST:
        raise PersonRefused(name=notebook.name[:40], reason="no_result")
    home = make_home(settings, room.name, room.uid, is_room=True)
    with contextlib.ExitStack() as stack:
        # By descriptors and never by a path: what lies in between is the room's to replace by a link.
        outer = _opened(stack, str(home), None)
        with contextlib.suppress(FileExistsError):
            os.mkdir(FOLDER, 0o755, dir_fd=outer)
        try:
            inner = _opened(stack, FOLDER, outer)
        except OSError:
            raise PersonRefused(name=room.name, reason="results_taken") from None
        if os.fstat(inner).st_uid != os.geteuid():
            raise PersonRefused(name=room.name, reason="results_taken")
        os.fchmod(inner, 0o755)
        passing = f".{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(passing, flags, 0o600, dir_fd=inner), "wb") as copy, notebook.open("rb") as source:
            shutil.copyfileobj(source, copy)
            os.fchmod(copy.fileno(), 0o444)
        name = _free_name(inner, notebook)
        os.rename(passing, name, src_dir_fd=inner, dst_dir_fd=inner)
    return f"{FOLDER}/{name}"


def _opened(stack: contextlib.ExitStack, name: str, within: int | None) -> int:
    descriptor = os.open(name, _DIRECTORY, dir_fd=within)
    stack.callback(os.close, descriptor)
    return descriptor


def _free_name(folder: int, notebook: Path) -> str:
    """`bike.ipynb`, `bike-2.ipynb` and so on: what was read once stays what it was."""
    taken = set(os.listdir(folder))
    name, number = notebook.name, 1
    while name in taken:
        number += 1
        name = f"{notebook.stem}-{number}.ipynb"
    return name
