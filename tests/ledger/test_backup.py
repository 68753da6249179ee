"""Backups of the vault side: what is put back is the same ledger, as far as any head that was kept, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_access.audit.chain import Head, head
from data_access.compose import compose
from data_access.errors import (
    AuditBroken,
    BackupBehind,
    BackupInvalid,
    CivicError,
    VaultDamaged,
    VaultInUse,
    VaultKeyWrong,
)
from data_access.flows.backing_up import (
    MANIFEST,
    Places,
    back_up,
    check,
    check_may_replace,
    head_of,
    read_head,
    restore,
)
from data_access.parties import SigningKey
from tests.factories import ANN, BY_GU, PERIODS, Workspace, ZeroNoise, copy_workspace, make_settings, table
from tests.postgresql import Server

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse battery staple"
AUGUST = BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[0]}}


def quiet(_stage: str, _fraction: float) -> None:
    """Nobody watches."""


def places_of(home: Path, url: str) -> Places:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Places(home, url, ("127.0.0.1", port))


def backed_up(workspace: Workspace, folder: Path) -> Path:
    parts = workspace.parts
    places = places_of(workspace.home, parts.settings.database_url)
    return back_up(places, parts.database, parts.key, folder, PASSPHRASE, quiet)


def current(workspace: Workspace) -> Head:
    with workspace.parts.database.reading() as connection:
        return head(connection)


def put_back(workspace: Workspace, backup: Path, home: Path, server: Server | None) -> Workspace:
    """In a new place, with the head that was kept."""
    home.mkdir()
    url = server.create() if server else f"sqlite:///{home / 'db' / 'vault.sqlite'}"
    (home / "db").mkdir(mode=0o700)
    places = places_of(home, url)
    checked = check(backup, PASSPHRASE, quiet)
    check_may_replace(places, checked, current(workspace))
    assert restore(places, backup, checked, quiet) is None
    settings = make_settings(home, workspace.isolated, url)
    parts = compose(settings, clock=workspace.clock, noise=ZeroNoise())
    return Workspace(home, workspace.clock, workspace.keys, workspace.demo_keys, parts, workspace.isolated)


def test_what_is_put_back_has_every_charge_and_answer_and_goes_on_from_there(
    workspace: Workspace, tmp_path: Path, server: Server | None
) -> None:
    first = workspace.ask()
    backup = backed_up(workspace, tmp_path / "backups")
    again = put_back(workspace, backup, tmp_path / "elsewhere", server)
    try:
        assert current(again) == current(workspace) and again.spent() == workspace.spent() > 0
        repeated = again.ask()
        assert repeated.answer.document()["statement"] == first.answer.document()["statement"]
        assert again.spent() == workspace.spent(), "asked once, free for ever, also after a restore"
        assert table(again.ask(ANN, AUGUST, fresh=True)), "the data files open, and the chain goes on"
        assert again.spent() > workspace.spent()
    finally:
        again.parts.close()


def test_a_backup_is_closed_and_has_no_key_in_the_clear(workspace: Workspace, tmp_path: Path) -> None:
    backup = backed_up(workspace, tmp_path / "backups")
    keys = [path.read_bytes() for path in (workspace.home / "keys").iterdir()]
    whole = b"".join(path.read_bytes() for path in backup.rglob("*") if path.is_file())
    assert keys and not [key for key in keys if key in whole or key.hex().encode() in whole]
    assert b"PRIVATE KEY" not in whole and PASSPHRASE.encode() not in whole
    assert backup.stat().st_mode & 0o077 == 0
    assert all(p.stat().st_mode & 0o077 == 0 for p in backup.rglob("*") if p.is_file())
    before = {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()}
    check(backup, PASSPHRASE, quiet)
    assert {path: path.read_bytes() for path in backup.rglob("*") if path.is_file()} == before
    with pytest.raises(BackupInvalid) as refused:
        check(backup, "wrong horse battery staple", quiet)
    assert refused.value.facts == {"part": "keys.sealed"}


def test_a_backup_that_is_behind_a_kept_head_or_the_ledger_in_place_is_refused(
    workspace: Workspace, tmp_path: Path
) -> None:
    backup = backed_up(workspace, tmp_path / "backups")
    checked = check(backup, PASSPHRASE, quiet)
    then = current(workspace)
    places = places_of(workspace.home, workspace.parts.settings.database_url)
    assert check_may_replace(places, checked, then) == then
    workspace.ask()
    spent = workspace.spent()
    for kept in (then, current(workspace)):
        with pytest.raises(BackupBehind):
            check_may_replace(places, checked, kept)
    # Also where the ledger in place is lost, so that the kept head alone knows.
    nowhere = places_of(tmp_path, f"sqlite:///{tmp_path / 'none.sqlite'}")
    assert check_may_replace(nowhere, checked, then) is None
    with pytest.raises(BackupBehind) as refused:
        check_may_replace(nowhere, checked, current(workspace))
    assert refused.value.facts == {"has": then.seq, "kept": current(workspace).seq}
    # A head of another chain at a place that this one has.
    with pytest.raises(BackupBehind):
        check_may_replace(nowhere, checked, Head(then.seq, "0" * 64))
    assert workspace.spent() == spent


@pytest.fixture(scope="module")
def whole(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("whole")
    made = copy_workspace(template, folder / "home", server=server)
    yield backed_up(made, folder / "backups")
    made.parts.close()


def _edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edit(backup: Path) -> None:
        [path] = [path for path in backup.rglob("*") if path.is_file() and path.name.startswith(name)][:1]
        path.write_bytes(change(path.read_bytes()))

    return edit


def _sign_anew(backup: Path) -> None:
    """As somebody would who has the backup and not its passphrase: another head, signed with a key of his own."""
    signed = json.loads((backup / MANIFEST).read_text())
    signed["manifest"]["made_at"] += 1
    signed["signature"] = SigningKey.generate().sign(signed["manifest"]).ed25519
    (backup / MANIFEST).write_text(json.dumps(signed))


def _lead_out(backup: Path) -> None:
    signed = json.loads((backup / MANIFEST).read_text())
    signed["manifest"]["parts"]["../outside"] = "0" * 64
    (backup / MANIFEST).write_text(json.dumps(signed))


@pytest.mark.parametrize(
    "harm",
    [
        _edit("events.jsonl", lambda found: found.replace(b'"facts"', b'"fakts"', 1)),
        _edit("events.jsonl", lambda found: b"".join(found.splitlines(keepends=True)[:-1])),
        _edit("test-rides", lambda found: found[:-9] + b"x" * 9),
        _edit("keys.sealed", lambda found: found[:-9] + b"AAAAAAA" + found[-2:]),
        _edit("rides.yaml", lambda found: found + b"\n"),
        _edit(MANIFEST, lambda found: b"{}"),
        _sign_anew,
        _lead_out,
        lambda backup: next((backup / "vault").iterdir()).unlink(),
        lambda backup: (backup / "keys.sealed").unlink(),
    ],
)
def test_a_changed_backup_is_refused(whole: Path, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(whole, backup)
    harm(backup)
    with pytest.raises((BackupInvalid, AuditBroken, VaultDamaged, VaultKeyWrong)) as refused:
        check(backup, PASSPHRASE, quiet)
    assert isinstance(refused.value, CivicError) and str(tmp_path) not in str(refused.value.facts)


def test_nothing_is_put_in_the_place_of_a_vault_that_is_in_use(workspace: Workspace, tmp_path: Path) -> None:
    checked = check(backed_up(workspace, tmp_path / "backups"), PASSPHRASE, quiet)
    with socket.socket() as gateway:
        gateway.bind(("127.0.0.1", 0))
        gateway.listen()
        places = Places(workspace.home, workspace.parts.settings.database_url, gateway.getsockname())
        with pytest.raises(VaultInUse):
            check_may_replace(places, checked, current(workspace))


def test_a_data_file_that_is_not_what_the_ledger_says_is_not_backed_up(
    workspace: Workspace, tmp_path: Path
) -> None:
    file = next(path for path in (workspace.home / "vault").iterdir() if path.suffix == ".duckdb")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(VaultDamaged):
        backed_up(workspace, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


def test_heads_are_read_in_every_form_in_which_somebody_keeps_them(tmp_path: Path) -> None:
    kept = Head(7, "ab" * 32)
    plain, witness = tmp_path / "head.json", tmp_path / "kept.jsonl"
    plain.write_text(json.dumps({"seq": 7, "hash": "ab" * 32}))
    lines = [
        {"statement": {"seq": seq, "hash": f"{seq:x}b" * 32 if seq != 7 else "ab" * 32}} for seq in (3, 7)
    ]
    witness.write_text("\n".join(map(json.dumps, lines)) + "\n")
    for given in (f"7:{'AB' * 32}", str(plain), str(witness)):
        assert read_head(given) == kept
    for given in ("7", "7:short", str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(BackupInvalid):
            read_head(given)


def test_the_verbs_say_first_what_they_would_do_and_need_no_terminal(
    workspace: Workspace, tmp_path: Path, sqlite_only: None
) -> None:
    word = tmp_path / "passphrase"
    word.write_text(PASSPHRASE + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def civic(*words: object) -> tuple[int, str, str]:
        # As the entry point calls it, but staying who we are: civic-vault does not own this folder.
        code = "import data_access.cli as c; c.become_vault = lambda: None; from data_access.vault_cli import vault"
        code += "; vault()"
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "CIVIC_HOME": str(workspace.home),
            "LANG": "C",
        }
        env["CIVIC_GATEWAY_PORT"] = port
        command = [sys.executable, "-c", code, *map(str, words), "--passphrase-file", str(word)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    code, out, err = civic("backup", tmp_path / "backups", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert read_head(told["head"]) == head_of(Path(told["backup"])) == current(workspace)
    code, out, err = civic("restore", told["backup"], "--kept", told["head"])
    assert code == 0 and "--yes" in out
    code, out, err = civic("restore", told["backup"], "--kept", told["head"], "--yes", "--json")
    assert (code, json.loads(out)["state"]) == (0, "restored")
    assert list((workspace.home / "db").glob("replaced-*/vault.sqlite")), "what was there is moved, not lost"
    workspace.ask()
    code, out, err = civic("restore", told["backup"], "--kept", told["head"], "--yes")
    assert code == BackupBehind.exit_code and "Traceback" not in err
