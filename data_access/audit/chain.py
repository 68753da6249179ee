"""Each event names the hash of the one before it and is signed by the gateway's key.

A chain proves order and completeness up to a head that somebody else kept: the gateway's own key can rewrite
everything that nobody has witnessed, which is why heads are published and signed by both sides.
Facts are public words and hashes: no data values, no row counts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select

from data_access.canonical import Json, canonical_bytes, sha256_hex
from data_access.clock import Clock, timestamp
from data_access.db import Transaction
from data_access.db.audit import events
from data_access.errors import AuditBroken
from data_access.parties import Signature, SigningKey, check_signature

GENESIS = "0" * 64


class EventKind(StrEnum):
    REGISTER_ACCEPTED = "register_accepted"
    POLICY_ACTIVATED = "policy_activated"
    DATA_LOADED = "data_loaded"
    VIEW_MADE = "view_made"
    #: How much of one period lies past the row bound: noisy, signed, paid out of `load_rho`.
    LOST_SHARE_PUBLISHED = "lost_share_published"
    PERIOD_OPENED = "period_opened"
    CHARGED = "charged"
    ANSWERED = "answered"
    #: Nothing was read and nothing charged: its sources were.
    ANSWER_DERIVED = "answer_derived"
    #: Of the open lane: no person's data were read, and nothing charged.
    ANSWERED_OPEN = "answered_open"
    RESERVATION_CLOSED = "reservation_closed"
    ALLOWANCE_SET = "allowance_set"
    #: A person approved or refused a question that waited for her.
    APPROVAL_DECIDED = "approval_decided"
    #: What she approved was charged, once.
    APPROVAL_USED = "approval_used"
    RELEASE_SUBMITTED = "release_submitted"
    RELEASE_APPROVED = "release_approved"
    HEAD_WITNESSED = "head_witnessed"


@dataclass(frozen=True)
class Event:
    """`body` is the canonical JSON of {at, facts, kind, previous, seq}; `hash` its SHA-256."""

    seq: int
    hash: str
    body: bytes
    signature: bytes

    def document(self) -> dict[str, Any]:
        """Body, hash and signature as one JSON document: the public form. Raises AuditBroken for a damaged body."""
        return {
            "event": _read(self.body),
            "hash": self.hash,
            "ed25519": base64.b64encode(self.signature).decode("ascii"),
        }


@dataclass(frozen=True)
class Head:
    seq: int
    hash: str


class Chain:
    """Appends; never reads facts back into a decision."""

    def __init__(self, key: SigningKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def append(self, tx: Transaction, kind: EventKind, facts: Mapping[str, Json]) -> Event:
        """Add one event inside the transaction of what it records."""
        previous = head(tx.connection)
        seq = previous.seq + 1
        body = canonical_bytes(
            {
                "seq": seq,
                "at": timestamp(self._clock.now()),
                "kind": kind.value,
                "facts": facts,
                "previous": previous.hash,
            }
        )
        signature = base64.b64decode(self._key.sign_bytes(body).ed25519)
        event = Event(seq, sha256_hex(body), body, signature)
        tx.connection.execute(
            insert(events).values(seq=event.seq, hash=event.hash, body=event.body, signature=event.signature)
        )
        return event


def _read(body: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(body))
    except (ValueError, TypeError):
        raise AuditBroken() from None


def last_moment(connection: Connection) -> datetime | None:
    """When the last event was written, None before the first. Raises AuditBroken."""
    body = connection.scalar(select(events.c.body).order_by(events.c.seq.desc()).limit(1))
    if body is None:
        return None
    try:
        return datetime.fromisoformat(_read(body)["at"])
    except (ValueError, KeyError, TypeError):
        raise AuditBroken() from None


def head(connection: Connection) -> Head:
    """The last event's place and hash; (0, zeros) before the first."""
    row = connection.execute(
        select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
    ).first()
    return Head(row.seq, row.hash) if row else Head(0, GENESIS)


def read_events(connection: Connection, after: int = 0, limit: int | None = None) -> list[Event]:
    rows = connection.execute(select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit))
    return [Event(row.seq, row.hash, row.body, row.signature) for row in rows]


def check_chain(chain: Iterable[Event], public: bytes, start: Head | None = None) -> Head:
    """Re-check order, hashes and signatures from `start` (or the beginning); the new head. Raises AuditBroken."""
    current = start or Head(0, GENESIS)
    for event in chain:
        signature = Signature("", base64.b64encode(event.signature).decode("ascii"))
        try:
            check_signature(public, signature, event.body)
        except ValueError:
            raise AuditBroken() from None
        # Only now: bytes that the gateway signed are JSON of its own making.
        body = json.loads(event.body)
        continues = body["seq"] == event.seq == current.seq + 1 and body["previous"] == current.hash
        if not continues or sha256_hex(event.body) != event.hash:
            raise AuditBroken()
        current = Head(event.seq, event.hash)
    return current
