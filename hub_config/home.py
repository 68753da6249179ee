"""The folders of CIVIC_HOME: who owns which, with which mode (docs/design.md, "Places and identities").

A folder that holds secrets is closed to all but its one user; a folder that leads to other people's folders
(`homes/`, CIVIC_HOME itself) may be passed through but not listed: 0711.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hub_config.errors import PartMissing
from hub_config.settings import PYTHON, Settings
from hub_config.texts import LANGUAGES, shared_folder

VAULT_USER, REPORTS_USER, SITE_USER = "civic-vault", "civic-reports", "civic-site"

#: folder → (owner as root, mode)
FOLDERS: dict[str, tuple[str, int]] = {
    "vault": (VAULT_USER, 0o700),
    "db": (VAULT_USER, 0o700),
    "keys": (VAULT_USER, 0o700),
    "catalog": (VAULT_USER, 0o755),
    "policies": (VAULT_USER, 0o755),
    "city": (VAULT_USER, 0o700),
    "demo": (VAULT_USER, 0o700),
    "hub": ("root", 0o700),
    "logs": ("root", 0o700),
    "homes": ("root", 0o711),
    "rooms": ("root", 0o711),
    "workshops": ("root", 0o755),
    "runs": (REPORTS_USER, 0o711),
    "site": (SITE_USER, 0o755),
    "public": (SITE_USER, 0o755),
    "lab": ("root", 0o755),
    "warm": ("root", 0o711),
    "gateway": (VAULT_USER, 0o711),
}

#: JupyterLab's locale for a language of ours; its own default is English.
LOCALES = {"ko": "ko_KR", "en": "default"}

#: Seconds between two saves of a notebook that is being edited.
AUTOSAVE = 30


def warm_socket(settings: Settings) -> Path:
    """Where the warm template listens; short, since a socket's path has 108 bytes at most."""
    return settings.home / "warm" / "s"


def gateway_socket(settings: Settings) -> Path:
    """Where the gateway listens for report runs, which have no network. The gateway has the same rule for itself."""
    return settings.home / "gateway" / "s"


def user_ids(user: str) -> tuple[int, int]:
    """(uid, gid) of a system user. Raises PartMissing if set-up has not made it."""
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise PartMissing(part=user) from None
    return entry.pw_uid, entry.pw_gid


def prepare(settings: Settings) -> None:
    """Makes or mends every folder's owner and mode, the tokens, and JupyterLab's settings. May run again.

    Raises PartMissing as root if a system user is not there: a gateway that fell back to root would have no
    boundary around it."""
    settings.home.mkdir(mode=0o711, parents=True, exist_ok=True)
    if settings.is_root:
        os.chown(settings.home, 0, 0)
    os.chmod(settings.home, 0o711)
    for name, (owner, mode) in FOLDERS.items():
        folder = settings.home / name
        folder.mkdir(mode=0o700, exist_ok=True)
        if settings.is_root:
            os.chown(folder, *user_ids(owner))
        os.chmod(folder, mode)
    reports = user_ids(REPORTS_USER) if settings.is_root else None
    _keep_token(settings.home / "hub" / "proxy.token", None)
    _keep_token(settings.home / "hub" / "cards.key", None)
    _keep_token(settings.home / "hub" / "monitor.token", None)
    # Lies outside hub/, which is root's: the reports service must reach its own token and nothing else there.
    _keep_token(settings.home / "reports.token", reports)
    write_lab_settings(settings.home / "lab")


def read_token(settings: Settings, name: str) -> str:
    """A token that `prepare` made: `proxy`, `monitor` or `reports`."""
    folder = settings.home if name == "reports" else settings.home / "hub"
    return (folder / f"{name}.token").read_text("ascii").strip()


def read_card_key(settings: Settings) -> bytes:
    """What the workshops' cards are signed with, made by `prepare`. With another one no card opens anything."""
    return bytes.fromhex((settings.home / "hub" / "cards.key").read_text("ascii"))


def _keep_token(path: Path, owner: tuple[int, int] | None) -> None:
    if not path.exists():
        # Never readable by others, not even between creation and chmod.
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
            "w",
            encoding="ascii",
        ) as file:
            file.write(secrets.token_hex(32) + "\n")
    if owner:
        os.chown(path, *owner)
    os.chmod(path, 0o600)


def write_lab_settings(parent: Path) -> None:
    """JupyterLab's settings, a folder below `parent` for each language; where the image is made, too."""
    for language in LANGUAGES:
        _write_lab_settings(parent / language, LOCALES[language])


def _write_lab_settings(folder: Path, locale: str) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    os.chmod(folder, 0o755)
    overrides = {
        "@jupyterlab/translation-extension:plugin": {"locale": locale},
        # A workspace's browser calls no server but the workspace's.
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
        # What the browser alone has is lost with its tab; saved, each content can be had back.
        "@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": AUTOSAVE},
    }
    path = folder / "overrides.json"
    path.write_text(json.dumps(overrides, ensure_ascii=False, indent=1) + "\n", "utf-8")
    os.chmod(path, 0o644)


def home_folder(settings: Settings, name: str, *, is_room: bool) -> Path:
    """Where the home of a person or room is, or will be."""
    return settings.home / ("rooms" if is_room else "homes") / name


def make_home(settings: Settings, name: str, uid: int, *, is_room: bool) -> Path:
    """The folder of a person or room, made with the example notebooks the first time; 0700, the account's
    own.

    Built under another name and renamed when complete, so that root never writes into a folder that a person
    already owns and could have filled with links."""
    home = home_folder(settings, name, is_room=is_room)
    parent = home.parent
    if home.is_dir() and not home.is_symlink():
        return home
    new = parent / f".{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    (new / ".tmp").mkdir(mode=0o700)
    notebooks = shared_folder("notebooks")
    if notebooks.is_dir():
        ignore = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(notebooks, new / "examples", ignore=ignore, copy_function=shutil.copyfile)
    if settings.is_root:
        for folder, _, files in os.walk(new):
            for path in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(path, uid, uid, follow_symlinks=False)
    new.rename(home)
    return home


def shipped_notebooks() -> list[str]:
    """Names of the notebooks that every home is made with."""
    return sorted(path.name for path in shared_folder("notebooks").glob("*.ipynb"))


def set_home_aside(settings: Settings, name: str, now: float) -> None:
    """The next start makes a new home; the former stays beside it until the seat's homes are cleared. The server
    must not run. `homes/` is root's, so nobody can put a link in the way."""
    home = settings.home / "homes" / name
    if home.is_dir() and not home.is_symlink():
        home.rename(home.with_name(f".{name}.{int(now)}"))


def workshop_notebook(settings: Settings, slug: str, notebook: str) -> Path | None:
    """The file that a workshop's seats start from: the facilitator's own, else one that we ship."""
    own = settings.home / "workshops" / slug / notebook
    shipped = shared_folder("notebooks") / notebook
    return next((path for path in (own, shipped) if path.is_file()), None)


def add_example(settings: Settings, home: Path, uid: int, slug: str, notebook: str) -> None:
    """The workshop's notebook in `examples`, where no file of that name is; done as the person whose folder it is.

    A home may be older than its workshop. Root itself never writes into a folder that a person owns; the check
    before only saves a process, and may be told anything by links."""
    if (home / "examples" / notebook).is_file():
        return
    source = workshop_notebook(settings, slug, notebook)
    if source is None:
        return
    identity: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []} if settings.is_root else {}
    with source.open("rb") as content:
        subprocess.run(
            [PYTHON, "-P", "-I", "-c", _ADD, str(home), notebook],
            stdin=content,
            cwd="/",
            env={},
            check=False,  # a home without room keeps its person from one file, not from her seat
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **identity,
        )


#: O_EXCL follows no link and overwrites nothing.
_ADD = """
import os, sys
home, name = sys.argv[1:]
folder = os.path.join(home, "examples")
os.makedirs(folder, mode=0o700, exist_ok=True)
content = sys.stdin.buffer.read()
with open(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
    file.write(content)
"""
