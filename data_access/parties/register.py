"""`parties.json`: parties, persons and keys, itself signed by both sides.

The first register is trusted because both of its sides signed it and each prints its fingerprint elsewhere;
every later one must be signed by one key of each side that the register before it names.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from data_access.canonical import canonical_bytes, document_hash
from data_access.documents import Closed, Day, Labels
from data_access.errors import RegisterInvalid
from data_access.parties.keys import (
    Signature,
    check_signature_once,
    key_id,
    read_signatures,
    signatures_path,
)

Side = Literal["city", "cso"]
SIDES: tuple[Side, Side] = ("city", "cso")


def _public_key(text: str) -> str:
    if len(base64.b64decode(text, validate=True)) != 32:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return text


class Party(Closed):
    """`prints`: in words, where outside of any server of the workspace it prints its keys' fingerprints."""

    id: str
    side: Side
    title: Labels
    prints: Labels | None = None


class Key(Closed):
    """One public key and what it is good for. `person` is a user name of the workspace, or None for a machine."""

    id: str
    public: Annotated[str, AfterValidator(_public_key)]
    party: str | None
    person: str | None
    use: Literal["sign", "gateway", "witness"]
    demo: bool
    valid_from: Day
    valid_until: Day

    @model_validator(mode="after")
    def _id_is_the_hash(self) -> Key:
        if self.id != key_id(self.public_bytes):
            raise ValueError("a key's id is the hash of its bytes")
        return self

    @property
    def public_bytes(self) -> bytes:
        return base64.b64decode(self.public)

    def is_valid(self, now: datetime) -> bool:
        return self.valid_from <= now.astimezone(UTC).strftime("%Y-%m-%d") <= self.valid_until


class Register(Closed):
    kind: Literal["civic-register"]
    version: int = Field(ge=1)
    parties: tuple[Party, ...]
    keys: tuple[Key, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Register:
        parties = {p.id for p in self.parties}
        if len(parties) != len(self.parties) or len({k.id for k in self.keys}) != len(self.keys):
            raise ValueError("ids are distinct")
        for key in self.keys:
            if (key.use == "gateway") != (key.party is None) or (key.party and key.party not in parties):
                raise ValueError("a key belongs to a listed party, the gateway's to none")
        sides = {(k.person, self.party(k.party).side) for k in self.keys if k.person and k.party}
        if len({person for person, _ in sides}) != len(sides):
            # Else one person could give both sides' approvals.
            raise ValueError("a person stands on one side")
        return self

    def hash(self) -> str:
        return document_hash(self.document())

    def document(self) -> dict[str, Any]:
        """What is signed. A place that nobody named is left out: registers signed before there was one stay signed."""
        found = self.model_dump(mode="json")
        for party in found["parties"]:
            if party["prints"] is None:
                del party["prints"]
        return found

    def key(self, key_id: str) -> Key | None:
        return next((k for k in self.keys if k.id == key_id), None)

    def party(self, party_id: str) -> Party:
        return next(p for p in self.parties if p.id == party_id)

    def valid_key(self, key_id: str, now: datetime) -> Key | None:
        """The signing key of that id, if it is listed and valid today."""
        key = self.key(key_id)
        return key if key is not None and key.use == "sign" and key.is_valid(now) else None

    def signer(self, signature: Signature, data: bytes, now: datetime) -> tuple[Key, Party]:
        """Whose valid signing key made `signature` over `data`. Raises ValueError."""
        key = self.valid_key(signature.key_id, now)
        if key is None or key.party is None:
            raise ValueError("not a valid signing key of this register")
        check_signature_once(key.public_bytes, signature, data)
        return key, self.party(key.party)


def parse_register(source: str) -> Register:
    try:
        return Register.model_validate(json.loads(source), strict=False)
    except (ValueError, ValidationError):
        raise RegisterInvalid(dataset="parties.json") from None


def read_register(path: Path) -> tuple[Register, tuple[Signature, ...]]:
    """A register's file and its detached signatures. Raises RegisterInvalid, also where a file is not there."""
    try:
        return parse_register(path.read_text("utf-8")), read_signatures(signatures_path(path))
    except (OSError, ValueError):
        raise RegisterInvalid(dataset="parties.json") from None


def check_register(
    register: Register, signatures: tuple[Signature, ...], previous: Register | None, now: datetime
) -> None:
    """Raises RegisterInvalid unless one city and one CSO key signed it: keys of `previous`, where there is one."""
    if previous is not None and register.version <= previous.version:
        raise RegisterInvalid(dataset="parties.json")
    sides: set[Side] = set()
    data = canonical_bytes(register.document())
    for signature in signatures:
        try:
            _, party = (previous or register).signer(signature, data, now)
        except ValueError:
            continue
        sides.add(party.side)
    if sides != set(SIDES):
        raise RegisterInvalid(dataset="parties.json")
