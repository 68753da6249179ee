"""Bytes, ids and signatures of public documents, checked without the gateway and without its code.

Rules that both sides must agree on: RFC 8785 canonical JSON without floats; Ed25519 over those bytes (RFC
8032); an id is a prefix and the first 26 base32 characters of the SHA-256, in lower case. All failures are
ValueError with words about the document's kind, never its content; callers turn them into sentences.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Side = Literal["city", "cso"]


def canonical_bytes(document: Any) -> bytes:
    """Raises ValueError, also for a float: RFC 8785 would spell it, and no side of ours ever signed one."""
    _refuse_floats(document)
    try:
        return bytes(rfc8785.dumps(document))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        raise ValueError("not a canonical document") from None


def _refuse_floats(document: Any) -> None:
    left = [document]
    while left:
        match left.pop():
            case float():
                raise ValueError("a canonical document holds no floats")
            case dict() as members:
                left.extend(members.values())
            case list() | tuple() as items:
                left.extend(items)


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def content_id(prefix: str, data: bytes) -> str:
    digest = hashlib.sha256(data).digest()
    return f"{prefix}-{base64.b32encode(digest).decode('ascii').lower()[:26]}"


@dataclass(frozen=True)
class Key:
    """One line of the register: what a public key is good for, and whose it is."""

    id: str
    public: bytes
    use: str
    demo: bool
    party: str | None
    person: str | None
    side: Side | None
    title: Mapping[str, str]
    valid_from: str
    valid_until: str
    #: Where outside of any server of ours its party prints this fingerprint, by language; empty where it does not say.
    prints: Mapping[str, str] = field(default_factory=dict)

    def is_valid(self, on: date) -> bool:
        return self.valid_from <= on.isoformat() <= self.valid_until


def read_register(published: Mapping[str, Any], on: date) -> dict[str, Key]:
    """Keys by id from `{"register", "signatures"}`. Raises ValueError unless one key of each side signed it.

    This says that the register is whole, not that its parties are who they say: the fingerprints that each
    party prints outside the site say that.
    """
    try:
        document, signatures = published["register"], list(published["signatures"])
    except (KeyError, TypeError):
        raise ValueError("the register is malformed") from None
    keys = read_keys(document)
    signed = {key.side for key in valid_signers(document, signatures, keys, on)}
    if signed != {"city", "cso"}:
        raise ValueError("the register lacks a signature")
    return keys


def read_keys(document: Mapping[str, Any]) -> dict[str, Key]:
    """The keys that a register lists, by id, whoever signed it. Raises ValueError."""
    try:
        parties = {party["id"]: party for party in document["parties"]}
        return {key.id: key for key in (_key(line, parties) for line in document["keys"])}
    except (KeyError, TypeError, AttributeError, binascii.Error):
        raise ValueError("the register is malformed") from None


def _key(line: Mapping[str, Any], parties: Mapping[str, Any]) -> Key:
    public = base64.b64decode(line["public"], validate=True)
    if line["id"] != content_id("key", public):
        raise ValueError("a key's id is not the hash of its bytes")
    party = parties[line["party"]] if line["party"] else {"side": None, "title": {}}
    return Key(
        id=line["id"],
        public=public,
        use=line["use"],
        demo=bool(line["demo"]),
        party=line["party"],
        person=line["person"],
        side=party["side"],
        title=party["title"],
        valid_from=line["valid_from"],
        valid_until=line["valid_until"],
        prints=party.get("prints") or {},
    )


def spelled(key_id: str) -> str:
    """A key's fingerprint as two people read it to each other: `y56m ucdl lovi …`. It is the id without `key-`."""
    bare = key_id.removeprefix("key-")
    return " ".join(bare[place : place + 4] for place in range(0, len(bare), 4))


def verify(key: Key, signature: Mapping[str, Any], data: bytes) -> None:
    """Raises ValueError unless `signature` is `key`'s over exactly `data`."""
    try:
        raw = base64.b64decode(signature["ed25519"], validate=True)
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw, data)
    except (InvalidSignature, binascii.Error, ValueError, KeyError, TypeError):
        raise ValueError("a signature does not verify") from None


def valid_signers(
    document: Any, signatures: Iterable[Mapping[str, Any]], keys: Mapping[str, Key], on: date
) -> list[Key]:
    """The signing keys, valid on that day, whose signature over `document` verifies; others pass by."""
    data = canonical_bytes(document)
    found: dict[str, Key] = {}
    for signature in signatures:
        key = keys.get(str(signature.get("key_id")))
        if key is None or key.use != "sign" or key.party is None or not key.is_valid(on):
            continue
        try:
            verify(key, signature, data)
        except ValueError:
            continue
        found[key.id] = key
    return list(found.values())


def check_answer(body: Mapping[str, Any], keys: Mapping[str, Key]) -> None:
    """Raises ValueError unless the id is the statement's hash and the gateway's key signed it."""
    try:
        data = canonical_bytes(body["statement"])
        if body["answer_id"] != content_id("ans", data):
            raise ValueError("an answer's id is not the hash of its statement")
        key = keys.get(body["signature"]["key_id"])
        if key is None or key.use != "gateway":
            raise ValueError("an answer is signed by no gateway of the register")
        verify(key, body["signature"], data)
    except (KeyError, TypeError):
        raise ValueError("an answer is malformed") from None


def check_policy(published: Mapping[str, Any], identity: str, keys: Mapping[str, Key], on: date) -> list[Key]:
    """Who signed a policy. Raises ValueError unless it is what its id says and everyone whom it asks to sign has.

    That a city and a CSO key signed is not enough: of two organisations, one owns the data and the other does not.
    """
    policy = published["policy"]
    if sha256_hex(canonical_bytes(policy)) != identity:
        raise ValueError("a policy's id is not its hash")
    signers = [
        key
        for key in valid_signers(policy, published["signatures"], keys, on)
        if policy["synthetic"] is True or not key.demo
    ]
    asked = {(signer["side"], signer["party"]) for signer in policy["signers"]}
    if {side for side, _ in asked} != {"city", "cso"} or asked - {(key.side, key.party) for key in signers}:
        raise ValueError("a policy lacks a signature")
    return sorted(signers, key=lambda key: (key.side or "", key.id))


def check_approvals(
    record: Mapping[str, Any],
    approvals: Iterable[Mapping[str, Any]],
    keys: Mapping[str, Key],
    on: date,
    policies: Iterable[Mapping[str, Any]] = (),
) -> list[Key]:
    """The approvers of a release. Raises ValueError unless a city and a CSO key signed it, not the author's, each of a
    party that every private one of `policies`, the release's own, asks to sign.

    A demo key approves a demonstration and nothing else.
    """
    signers = [
        key
        for key in valid_signers(record, approvals, keys, on)
        if (key.person is None or key.person != record.get("author"))
        and (not key.demo or record.get("demonstration") is True)
    ]
    if {key.side for key in signers} != {"city", "cso"}:
        raise ValueError("a release lacks an approval")
    for policy in policies:
        owners = {(signer["side"], signer["party"]) for signer in policy["signers"]}
        if policy["lane"] == "private" and any((key.side, key.party) not in owners for key in signers):
            raise ValueError("a release is approved by somebody who did not sign for its data")
    return sorted(signers, key=lambda key: (key.side or "", key.id))


def nano_of(rho: Any) -> int | None:
    """ρ as a policy writes it (decimal text) → nano-ρ; None for anything else."""
    try:
        amount = Decimal(rho) * 10**9 if isinstance(rho, str) else None
    except InvalidOperation:
        return None
    return int(amount) if amount is not None and amount == amount.to_integral_value() else None
