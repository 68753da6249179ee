"""Backups of the workspace's side: of a real one that runs, put back into another, which then starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub_config.client import Session
from hub_config.errors import BackupRefused
from hub_config.home import make_home, prepare
from hub_config.members.people import open_people
from hub_config.operations import backup
from hub_config.starting import running
from tests.hub.conftest import add_people, make_settings, temporary_folder, write_config

ROOT = Path(__file__).resolve().parents[2]
#: As the entry point `civic backup` calls it.
VERB = "from hub_config.operations.backup_cli import backup; backup()"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners are only told apart as root")


@pytest.fixture
def workspace(settings):
    """One that does not run: people, a home with a notebook, a published page."""
    add_people(settings)
    people = open_people(settings)
    account = people.account("expert-han")
    people.close()
    home = make_home(settings, account.name, account.uid, is_room=False)
    (home / "mine.ipynb").write_text('{"cells": []}')
    (settings.home / "public" / "index.html").write_text("<p>page</p>")
    (settings.home / "hub" / "cookie_secret").write_text("0" * 64)
    return settings, account, home


def civic(settings, *words):
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        **settings.environment(),
        "CIVIC_LANGUAGE": "en",
    }
    command = [sys.executable, "-c", VERB, *map(str, words)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.hub
@pytest.mark.root
@as_root
def test_a_backup_of_a_running_workspace_starts_elsewhere_with_its_people_and_their_files(hub, server):
    if server:
        pytest.skip("tables of PostgreSQL have a test of their own")
    session = Session(hub.url, hub.secrets["expert-han"])
    people = open_people(hub.settings)
    account = people.account("expert-han")
    people.close()
    home = make_home(hub.settings, account.name, account.uid, is_room=False)
    note = home / "kept.txt"
    note.write_text("kept")
    os.chown(note, account.uid, account.uid)
    with temporary_folder() as folder:
        made = backup.make(hub.settings, folder / "backups")
        assert (folder / "backups").stat().st_mode & 0o777 == made.stat().st_mode & 0o777 == 0o700
        assert all(p.stat().st_mode & 0o077 == 0 for p in made.rglob("*") if p.name != backup.MANIFEST)
        other = make_settings(folder / "home")
        assert other.uid_base != hub.settings.uid_base
        prepare(other)
        backup.restore(other, made)
        found = other.home / "homes" / "expert-han" / "kept.txt"
        assert found.read_text() == "kept"
        assert found.stat().st_uid - other.uid_base == account.uid - hub.settings.uid_base
        with running.start(other, print, config=write_config(folder)) as started:
            again = Session(started.settings.workspace_url, hub.secrets["expert-han"])
            assert again.api("GET", "user")["groups"] == session.api("GET", "user")["groups"]
    note.unlink()


@pytest.mark.root
@as_root
def test_a_link_in_a_home_leads_no_backup_out_of_it(workspace, folder):
    settings, _, home = workspace
    secret = folder / "secret"
    secret.write_text("root's own")
    secret.chmod(0o600)
    (home / "link").symlink_to(secret)
    (home / "folder").symlink_to(folder)
    (home / "shut").write_text("not hers to read")
    (home / "shut").chmod(0o600)  # root's: she could have made it a hard link to anything
    os.mkfifo(home / "pipe")
    made = backup.make(settings, folder / "backups")
    archive = made / "homes" / "expert-han.tar.gz"
    listed = subprocess.run(["tar", "-tvzf", archive], capture_output=True, text=True, check=True).stdout
    assert "link -> " in listed and "./mine.ipynb" in listed
    assert "./folder/" not in listed and "shut" not in listed
    unpacked = subprocess.run(["tar", "-xzOf", archive], capture_output=True, check=True).stdout
    assert b"root's own" not in unpacked and b"not hers to read" not in unpacked
    backup.check(made)


def test_what_is_remade_or_would_do_harm_stays_out(workspace, folder):
    settings, account, home = workspace
    for name in (
        ".tmp/x",
        ".collaboration/ystore.db",
        ".local/share/jupyter/runtime/kernel.json",
        ".server.log",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", str(account.uid), home], check=True)
    made = backup.make(settings, folder / "backups")
    archive = made / "homes" / "expert-han.tar.gz"
    listed = subprocess.run(["tar", "-tzf", archive], capture_output=True, text=True, check=True).stdout
    assert "./mine.ipynb" in listed and "./examples/" in listed
    assert not [
        line for line in listed.splitlines() if "ystore" in line or "kernel.json" in line or ".log" in line
    ]


def test_a_restore_first_says_what_it_replaces_and_moves_that_aside(workspace, folder):
    settings, account, home = workspace
    code, out, _ = civic(settings, "make", folder / "backups", "--json")
    made = json.loads(out)["backup"]
    assert code == 0 and civic(settings, "check", made)[0] == 0
    (home / "mine.ipynb").write_text("newer")
    code, out, _ = civic(settings, "restore", made)
    assert code == 0 and "--yes" in out and "1 homes" in out and "hub/workspace.sqlite" in out
    assert (home / "mine.ipynb").read_text() == "newer"
    code, out, _ = civic(settings, "restore", made, "--yes", "--json")
    told = json.loads(out)
    assert code == 0 and told["state"] == "restored"
    assert (home / "mine.ipynb").read_text() == '{"cells": []}'
    assert (home.stat().st_mode & 0o777, (home / "examples").is_dir()) == (0o700, True)
    aside = Path(told["moved_to"])
    assert (aside / "homes" / "expert-han" / "mine.ipynb").read_text() == "newer"
    assert (aside / "hub" / "workspace.sqlite").exists() and (aside / "public" / "index.html").exists()
    people = open_people(settings)
    assert people.account("expert-han") == account
    people.close()


@pytest.mark.parametrize("harm", ["change", "remove", "cut", "manifest", "outside"])
def test_a_damaged_backup_is_refused_and_changes_nothing(workspace, folder, harm):
    settings, _, home = workspace
    made = backup.make(settings, folder / "backups")
    victim = made / "homes" / "expert-han.tar.gz"
    if harm == "change":
        victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    elif harm == "remove":
        victim.unlink()
    elif harm == "cut":
        table = next((made / "tables").iterdir())
        table.write_bytes(table.read_bytes()[:4096])
    elif harm == "manifest":
        (made / backup.MANIFEST).write_text("{}")
    else:
        document = json.loads((made / backup.MANIFEST).read_text())
        document["parts"][0]["file"] = "../../outside"
        (made / backup.MANIFEST).write_text(json.dumps(document))
    (home / "mine.ipynb").write_text("newer")
    code, out, err = civic(settings, "restore", made, "--yes")
    assert code == BackupRefused.exit_code and str(made) not in out + err and "Traceback" not in err
    assert (home / "mine.ipynb").read_text() == "newer"


def test_nothing_is_restored_into_a_workspace_that_runs(workspace, folder, monkeypatch):
    settings, *_ = workspace
    made = backup.make(settings, folder / "backups")
    import psutil

    (settings.home / "run.pid").write_text(f"{os.getpid()} {psutil.Process().create_time()}\n")
    code, _, err = civic(settings, "restore", made, "--yes")
    assert code == BackupRefused.exit_code and "running" in err


def test_a_backup_that_fails_leaves_nothing_behind(workspace, folder):
    settings, *_ = workspace
    (settings.home / "hub" / "workspace.sqlite").write_bytes(b"no table" * 1000)
    with pytest.raises(BackupRefused):
        backup.make(settings, folder / "backups")
    assert list((folder / "backups").iterdir()) == []


@pytest.mark.postgresql
def test_tables_of_postgresql_come_back_as_they_were(folder, postgresql):
    settings = make_settings(folder / "home", CIVIC_HUB_DATABASE_URL=postgresql.create())
    add_people(settings)
    made = backup.make(settings, folder / "backups")
    assert [part.file for part in backup.read(made).of("tables")] == ["tables/tables.dump"]
    people = open_people(settings)
    people.add_team("later", "나중", "Later")
    people.close()
    assert backup.replaced(settings, backup.check(made))[-1] == "database"
    backup.restore(settings, made)
    people = open_people(settings)
    assert people.names() and not people.rooms(["later"])
    people.add_team("later", "나중", "Later")
    people.close()
    elsewhere = make_settings(folder / "other", CIVIC_HUB_DATABASE_URL="")
    prepare(elsewhere)
    with pytest.raises(BackupRefused) as refused:
        backup.restore(elsewhere, made)
    assert refused.value.facts["reason"] == "other_database"
