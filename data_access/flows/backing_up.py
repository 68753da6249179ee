"""Backups of the vault side: ledger and chain as of one moment, the encrypted files that they name, catalog, policies,
and the keys, sealed with a passphrase.

A ledger that is put back must not be an older one: what was charged since would be given a second time. So a restore
asks for a head that somebody kept, and refuses a backup in which that head does not stand; and a backup that is behind
the ledger which it would replace. There is no switch for it.

The manifest names every file's hash and is signed with the gateway's key. Whoever keeps a backup without its
passphrase cannot change a charge in it: the signature is checked with the public part of the key that the seal gives.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import Connection, select

from data_access.audit.chain import Event, Head, check_chain, head, read_events
from data_access.canonical import canonical_bytes
from data_access.db import Database
from data_access.db.copying import put_back, snapshot
from data_access.db.vault import versions, views
from data_access.errors import AuditBroken, BackupBehind, BackupInvalid, LedgerUnavailable, VaultInUse
from data_access.parties import Signature, SigningKey, check_signature
from data_access.vault import KeyStore, VaultStore
from data_access.vault.duck import attach, open_connection
from data_access.vault.store import check_hash

FORMAT = "civic-vault-backup-1"
MANIFEST, EVENTS, SEALED = "manifest.json", "events.jsonl", "keys.sealed"
#: Folders of signed papers, copied as they are.
PAPERS = ("catalog", "policies")
#: scrypt: 128 MB and a quarter of a second for each guess at a passphrase.
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Places:
    """Where the vault side keeps what: folders of CIVIC_HOME, and the ledger's address."""

    home: Path
    database_url: str
    gateway: tuple[str, int]

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


@dataclass(frozen=True)
class Checked:
    """A backup that is whole: its head, its events, and the keys out of the seal, by file name."""

    head: Head
    hashes: tuple[str, ...]
    tables: str
    keys: Mapping[str, bytes]

    def contains(self, kept: Head) -> bool:
        """Whether `kept` stands in this chain; the empty chain's head stands in every one."""
        return kept.seq == 0 or (kept.seq <= self.head.seq and self.hashes[kept.seq - 1] == kept.hash)


def back_up(
    places: Places, database: Database, key: SigningKey, folder: Path, passphrase: str, progress: Progress
) -> Path:
    """A new backup below `folder`, made while questions are asked; a load waits for it. Its path.

    Raises LedgerUnavailable, VaultDamaged (a file is not what the ledger says), OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = folder / time.strftime("vault-%Y%m%d-%H%M%S", time.gmtime())
    new = folder / f".{made.name}.new"
    new.mkdir(mode=0o700)
    try:
        # No file may come or go between the ledger's copy and the files' own.
        with VaultStore(places.home / "vault").exclusive():
            with snapshot(database, places.database_url, new / _table_file(places)) as connection:
                here = head(connection)
                _write_events(new / EVENTS, connection)
                files = _named_files(connection)
            (new / "vault").mkdir(mode=0o700)
            for number, (file, (_, sha256)) in enumerate(files.items()):
                progress("vault", number / len(files))
                check_hash(places.home / "vault" / file, sha256)
                _copy(places.home / "vault" / file, new / "vault" / file)
        for name in PAPERS:
            for path in sorted((places.home / name).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    _copy(path, new / path.relative_to(places.home))
        keys = {
            path.name: path.read_bytes()
            for path in sorted((places.home / "keys").iterdir())
            if path.is_file()
        }
        _create(new / SEALED, _seal(keys, passphrase))
        document = {
            "format": FORMAT,
            "made_at": int(time.time()),
            "tables": "sqlite" if places.is_sqlite else "postgresql",
            "head": {"seq": here.seq, "hash": here.hash},
            "data": {file: lineage for file, (lineage, _) in files.items()},
            "parts": {path.relative_to(new).as_posix(): _digest(path) for path in sorted(_files(new))},
        }
        signed = {"manifest": document, "signature": key.sign(document).ed25519}
        _create(new / MANIFEST, json.dumps(signed, indent=1).encode() + b"\n")
        new.rename(made)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    progress("vault", 1.0)
    return made


def check(backup: Path, passphrase: str, progress: Progress) -> Checked:
    """Opens the seal, proves manifest, every file and the chain, and opens every data file with its key.

    Raises BackupInvalid (facts: the `part`), AuditBroken, VaultKeyWrong, VaultDamaged."""
    signed = _json(backup / MANIFEST)
    try:
        document, signature = signed["manifest"], Signature("", signed["signature"])
        parts, data = dict(document["parts"]), dict(document["data"])
        tables, end = (
            str(document["tables"]),
            Head(int(document["head"]["seq"]), str(document["head"]["hash"])),
        )
        if document["format"] != FORMAT or any(_leads_out(name) for name in parts) or SEALED not in parts:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BackupInvalid(part=MANIFEST) from None
    for number, (name, sha256) in enumerate(parts.items()):
        progress("files", number / len(parts))
        if not (backup / name).is_file() or _digest(backup / name) != sha256:
            raise BackupInvalid(part=name)
    keys = _unseal(backup / SEALED, passphrase)
    with _as_files(keys) as folder:
        try:
            gateway = SigningKey.read(folder / "gateway.pem")
            check_signature(gateway.public, signature, canonical_bytes(document))
        except (OSError, ValueError):
            raise BackupInvalid(part=MANIFEST) from None
        events = _read_events(backup / EVENTS)
        if check_chain(events, gateway.public) != end:
            raise AuditBroken()
        _open_data(backup / "vault", data, KeyStore(folder))
    progress("files", 1.0)
    return Checked(end, tuple(event.hash for event in events), tables, keys)


def check_may_replace(places: Places, checked: Checked, kept: Head) -> Head | None:
    """Raises VaultInUse while the gateway runs, and BackupBehind where the backup is older than `kept` or than the
    ledger that stands here, whose head is returned (None: there is none that can be read)."""
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex(places.gateway) == 0:
            raise VaultInUse()
    if checked.tables != ("sqlite" if places.is_sqlite else "postgresql"):
        raise BackupInvalid(part="tables")
    here: Head | None = None
    with suppress(LedgerUnavailable):
        database = Database(places.database_url, create=False)
        try:
            with database.reading() as connection:
                here = head(connection)
        finally:
            database.close()
    for known in (kept, here):
        if known is not None and not checked.contains(known):
            raise BackupBehind(has=checked.head.seq, kept=known.seq)
    return here


def restore(places: Places, backup: Path, checked: Checked, progress: Progress) -> Path | None:
    """Puts a checked backup in place of what stands here, which is moved to a folder below `db`; that folder.

    The ledger comes last: until it is there the gateway does not start. Raises LedgerUnavailable, OSError."""
    aside = places.home / "db" / time.strftime("replaced-%Y%m%d-%H%M%S", time.gmtime())
    tables = _table_file(places)
    moved = False
    for name in ("vault", "keys", *PAPERS):
        folder = places.home / name
        folder.mkdir(mode=0o755 if name in PAPERS else 0o700, exist_ok=True)
        for path in [path for path in sorted(folder.iterdir()) if path.name != ".lock"]:
            (aside / name).mkdir(mode=0o700, parents=True, exist_ok=True)
            path.rename(aside / name / path.name)
            moved = True
    if places.is_sqlite:
        for path in sorted((places.home / "db").glob("vault.sqlite*")):
            aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.rename(aside / path.name)
            moved = True
    for name, content in checked.keys.items():
        _create(places.home / "keys" / name, content)
    copied = [path for path in _files(backup) if path.relative_to(backup).parts[0] in ("vault", *PAPERS)]
    for number, path in enumerate(copied):
        progress("vault", number / len(copied))
        _copy(path, places.home / path.relative_to(backup))
    put_back(places.database_url, backup / tables)
    database = Database(places.database_url, create=False)
    try:
        with database.reading() as connection:
            if head(connection) != checked.head:
                raise AuditBroken()
    finally:
        database.close()
    progress("vault", 1.0)
    return aside if moved else None


def head_of(backup: Path) -> Head:
    """What a backup says of itself: for one that was just made, or just checked."""
    found = _json(backup / MANIFEST)["manifest"]["head"]
    return Head(int(found["seq"]), str(found["hash"]))


def read_head(given: str) -> Head:
    """A kept head: `SEQ:HASH`, a `head.json`, or a witness's file of kept heads (its last). Raises BackupInvalid."""
    seq, _, hashed = given.partition(":")
    if seq.isdigit() and len(hashed) == 64:
        return Head(int(seq), hashed.lower())
    try:
        text = Path(given).read_text("utf-8")
        try:
            found = json.loads(text)
        except ValueError:
            found = json.loads(text.strip().splitlines()[-1])
        found = found.get("statement", found)
        return Head(int(found["seq"]), str(found["hash"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise BackupInvalid(part="head") from None


def _table_file(places: Places) -> str:
    return "vault.sqlite" if places.is_sqlite else "tables.dump"


def _named_files(connection: Connection) -> dict[str, tuple[str, str]]:
    """File → (lineage, hash) of everything that the ledger names."""
    return {
        str(row.file): (str(row.lineage), str(row.sha256))
        for table in (versions, views)
        for row in connection.execute(select(table.c.file, table.c.lineage, table.c.sha256))
    }


def _open_data(folder: Path, data: Mapping[str, str], keys: KeyStore) -> None:
    """Every data file opens with the key of its lineage."""
    connection = open_connection(threads=1, memory="512MB", scratch=None)
    try:
        for file, lineage in sorted(data.items()):
            attach(connection, folder / file, "opened", keys.get(lineage).file_hex, read_only=True)
            connection.execute("DETACH opened")
    finally:
        connection.close()


def _write_events(to: Path, connection: Connection) -> None:
    after = 0
    with open(to, "xb", opener=_private) as file:
        while found := read_events(connection, after, limit=1000):
            for event in found:
                file.write(json.dumps(event.document(), ensure_ascii=False).encode() + b"\n")
            after = found[-1].seq


def _read_events(path: Path) -> list[Event]:
    try:
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        return [
            Event(
                int(line["event"]["seq"]),
                str(line["hash"]),
                canonical_bytes(line["event"]),
                base64.b64decode(line["ed25519"]),
            )
            for line in lines
        ]
    except (ValueError, KeyError, TypeError):
        raise BackupInvalid(part=EVENTS) from None


def _seal(keys: Mapping[str, bytes], passphrase: str) -> bytes:
    plain = json.dumps({name: base64.b64encode(key).decode("ascii") for name, key in keys.items()}).encode()
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    box = AESGCM(_derived(passphrase, salt)).encrypt(nonce, plain, FORMAT.encode())
    words = {"salt": salt, "nonce": nonce, "box": box}
    return json.dumps({name: base64.b64encode(word).decode("ascii") for name, word in words.items()}).encode()


def _unseal(path: Path, passphrase: str) -> dict[str, bytes]:
    """Raises BackupInvalid; a wrong passphrase and a damaged seal look alike."""
    try:
        words = {name: base64.b64decode(word) for name, word in _json(path).items()}
        plain = AESGCM(_derived(passphrase, words["salt"])).decrypt(
            words["nonce"], words["box"], FORMAT.encode()
        )
        keys = {name: base64.b64decode(key) for name, key in json.loads(plain).items()}
    except (KeyError, TypeError, ValueError, InvalidTag):
        raise BackupInvalid(part=SEALED) from None
    if any("/" in name or name.startswith(".") for name in keys):
        raise BackupInvalid(part=SEALED)
    return keys


def _derived(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, **_SCRYPT).derive(passphrase.encode("utf-8"))


@contextmanager
def _as_files(keys: Mapping[str, bytes]) -> Iterator[Path]:
    """The keys as the key store reads them, in memory where the machine has such a folder, for a moment."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        for name, content in keys.items():
            _create(Path(folder) / name, content)
        yield Path(folder)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise BackupInvalid(part=path.name) from None


def _leads_out(name: str) -> bool:
    return Path(name).is_absolute() or ".." in Path(name).parts


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with open(source, "rb") as read_from, open(to, "xb", opener=_private) as write_to:
        shutil.copyfileobj(read_from, write_to, 2**20)


def _create(path: Path, content: bytes) -> None:
    with open(path, "xb", opener=_private) as file:
        file.write(content)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
