"""Ed25519 over canonical JSON (RFC 8032, RFC 8785).

Every document that is signed names its `kind` inside, so a signature over one kind can never be shown as one
over another.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from data_access.canonical import canonical_bytes, content_id


@dataclass(frozen=True)
class Signature:
    """A detached signature: who, and the 64 bytes in base64."""

    key_id: str
    ed25519: str

    def document(self) -> dict[str, str]:
        return {"key_id": self.key_id, "ed25519": self.ed25519}


def key_id(public: bytes) -> str:
    """`key-` and 26 characters of the SHA-256 of the 32 public bytes."""
    return content_id("key", public)


@dataclass(frozen=True, repr=False)
class SigningKey:
    """A private key in memory. Its repr shows the id alone."""

    private: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path, passphrase: str | None = None) -> SigningKey:
        """Raises ValueError for a wrong passphrase or a file that is no Ed25519 key; the text names neither."""
        try:
            key = load_pem_private_key(path.read_bytes(), passphrase.encode() if passphrase else None)
        except (ValueError, TypeError):
            raise ValueError("not a key, or the passphrase is wrong") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not a key, or the passphrase is wrong")
        return cls(key)

    def write(self, path: Path, passphrase: str | None = None) -> None:
        """Create `path` with mode 0600, never overwriting a key that is there."""
        encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
        data = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def id(self) -> str:
        return key_id(self.public)

    def pseudonym(self, person: str) -> str:
        """`person-` and 26 characters: a person's name in public files. The same person, the same word; without
        this key nobody can go back to the name, not even by trying all of them."""
        raw = self.private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        secret = HKDF(SHA256(), length=32, salt=None, info=b"civic pseudonyms of persons").derive(raw)
        return content_id("person", hmac.digest(secret, person.encode("utf-8"), "sha256"))

    def sign(self, document: Any) -> Signature:
        return self.sign_bytes(canonical_bytes(document))

    def sign_bytes(self, data: bytes) -> Signature:
        return Signature(self.id, base64.b64encode(self.private.sign(data)).decode("ascii"))

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"


def check_signature(public: bytes, signature: Signature, data: bytes) -> None:
    """Raises ValueError unless `signature` is `public`'s over exactly `data`."""
    try:
        raw = base64.b64decode(signature.ed25519, validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(raw, data)
    except (InvalidSignature, binascii.Error, ValueError):
        raise ValueError("the signature does not verify") from None


@lru_cache(maxsize=256)
def check_signature_once(public: bytes, signature: Signature, data: bytes) -> None:
    """As `check_signature`, without computing again what came out well for these very bytes. For the few documents
    that every decision proves anew: which of them hold, until when and by whose keys is decided each time.
    """
    # What fails is not remembered: an exception is no result.
    check_signature(public, signature, data)


def signatures_path(path: Path) -> Path:
    """`bike_rides.yaml` → `bike_rides.sigs.json`."""
    return path.with_suffix(".sigs.json")


def read_signatures(path: Path) -> tuple[Signature, ...]:
    """The signatures of `NAME.sigs.json`; none if the file is not there. Raises ValueError if it is not that."""
    if not path.exists():
        return ()
    try:
        return parse_signatures(json.loads(path.read_text("utf-8"))["signatures"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ValueError("not a signatures file") from None


def parse_signatures(entries: Any) -> tuple[Signature, ...]:
    """Raises ValueError, KeyError or TypeError for anything that is not a list of {key_id, ed25519}."""
    found = tuple(Signature(str(entry["key_id"]), str(entry["ed25519"])) for entry in entries)
    if len({s.key_id for s in found}) != len(found):
        raise ValueError("one key signs once")
    return found


def write_signatures(path: Path, signatures: tuple[Signature, ...]) -> None:
    """Replace the file whole, so that a crash leaves the old one."""
    text = json.dumps({"signatures": [s.document() for s in signatures]}, indent=1)
    staged = path.with_name(f".{path.name}.new")
    staged.write_text(text + "\n", "utf-8")
    os.replace(staged, path)
