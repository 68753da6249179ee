"""Canonical bytes, hashes and ids.

RFC 8785 makes equal documents equal bytes, so a hash or a signature is over a meaning, not over a
spelling. Floats are refused: `0.1` has many spellings elsewhere, so money-like values travel as integers
(nano-ρ) or decimal strings.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785

#: What a canonical document may hold. `float` is left out on purpose.
Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

_ID_LENGTH = 26


def canonical_bytes(document: Any) -> bytes:
    """RFC 8785 bytes of `document`. Raises TypeError for a float, ValueError for anything not JSON."""
    _refuse_floats(document)
    try:
        return rfc8785.dumps(document)
    except rfc8785.CanonicalizationError as fault:
        raise ValueError("not a canonical JSON document") from fault


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("a canonical document holds no floats")
    if isinstance(value, dict):
        for child in value.values():
            _refuse_floats(child)
    elif isinstance(value, list | tuple):
        for child in value:
            _refuse_floats(child)


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def document_hash(document: Any) -> str:
    """Hex SHA-256 over the canonical bytes."""
    return sha256_hex(canonical_bytes(document))


def content_id(prefix: str, data: bytes) -> str:
    """`prefix-` and 26 characters of the SHA-256 of `data`: the same bytes, the same id."""
    return f"{prefix}-{_base32(hashlib.sha256(data).digest())}"


def random_id(prefix: str) -> str:
    """`prefix-` and 26 random characters (130 bits)."""
    return f"{prefix}-{_base32(secrets.token_bytes(20))}"


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").lower()[:_ID_LENGTH]
