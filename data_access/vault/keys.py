"""The keys of each lineage: one for its files, one for its pseudonyms.

Two, since they end at different times: a file key may be rotated, while a new pseudonym key would make every
person a stranger to her own earlier rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from data_access.errors import VaultKeyWrong

KEY_BYTES = 32
_PSEUDONYM_BYTES = 16


@dataclass(frozen=True)
class LineageKeys:
    """Never printed: the fields stay out of `repr`, and nothing here formats them into a message."""

    pseudonym: bytes = field(repr=False)
    file: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that recognise the pseudonym key and tell nothing about it; part of data files'
        names.
        """
        return self._derived(b"civic vault key id")[:8].hex()

    @property
    def rank(self) -> bytes:
        """The key of the ranking hash, apart from the pseudonyms', so that neither is ever an oracle for the
        other.
        """
        return self._derived(b"civic vault rank")

    @property
    def file_hex(self) -> str:
        """As DuckDB takes it. Hex, since a quote or a semicolon in a key would end the statement that carries
        it.
        """
        return self.file.hex()

    def pseudonyms(self, persons: Iterable[str]) -> list[str]:
        """32 hex digits each: HMAC-SHA256 (RFC 2104) cut to 128 bits."""
        key = self.pseudonym
        return [hmac.digest(key, text.encode("utf-8"), "sha256")[:_PSEUDONYM_BYTES].hex() for text in persons]

    def _derived(self, label: bytes) -> bytes:
        # Keyed apart from the pseudonyms: no person's number can be chosen to come out as one of these.
        return hmac.digest(hashlib.sha256(self.pseudonym + b"derive").digest(), label, "sha256")


class KeyStore:
    """`keys/`, 0700, with two files of 32 random bytes for each lineage, 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, lineage: str) -> LineageKeys:
        """The lineage's keys, made where they are missing. Only for a lineage that has no data yet."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(self._folder, 0o700)
        for purpose in ("pseudonym", "file"):
            path = self._path(lineage, purpose)
            if not path.exists():
                _create(path, secrets.token_bytes(KEY_BYTES))
        return self.get(lineage)

    def get(self, lineage: str) -> LineageKeys:
        """Raises VaultKeyWrong where a key is missing or no key: a new one would open nothing that is
        there.
        """
        return LineageKeys(self._read(lineage, "pseudonym"), self._read(lineage, "file"))

    def _read(self, lineage: str, purpose: str) -> bytes:
        try:
            key = self._path(lineage, purpose).read_bytes()
        except OSError:
            key = b""
        if len(key) != KEY_BYTES:
            raise VaultKeyWrong()
        return key

    def _path(self, lineage: str, purpose: str) -> Path:
        return self._folder / f"{lineage}.{purpose}.key"


def _create(path: Path, content: bytes) -> None:
    """Whole or absent, and never over another: written aside (O_EXCL), flushed, then linked to its name."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Where another process made the key in the same moment, its key is the key.
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or a link in `folder` outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
