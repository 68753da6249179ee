"""Heads of the chain that a party's own computer has checked and signed.

Whoever hands one in needs no login: the signature of a witness key of the register is the authority, and it is good
for heads only. A day without one shows publicly and closes nothing, since otherwise one side could stop all
asking by switching its computer off.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from pydantic import Field, ValidationError
from sqlalchemy import Connection, func, insert, select

from data_access.audit import Chain, EventKind
from data_access.canonical import canonical_bytes
from data_access.clock import SEOUL, Clock, timestamp
from data_access.db import Database
from data_access.db.audit import events, witnesses
from data_access.documents import Closed
from data_access.errors import WitnessInvalid, WitnessTooOften
from data_access.flows.governing import Governing
from data_access.parties import Key, Register, Signature, check_signature
from data_access.parties.register import SIDES, Side

#: Heads of one key in 24 hours. Daily and at each release is the duty; every head adds an event for ever.
MOST_A_DAY = 24
#: For how many days back a missed one is listed.
SHOWN_DAYS = 90
#: How far a witness's own clock may go before ours.
_AHEAD = timedelta(minutes=10)


class WitnessStatement(Closed):
    """What a witness signs: the last event that she has checked, and when by her own clock."""

    kind: Literal["civic-witness"]
    seq: int = Field(ge=1, lt=2**31)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


@dataclass(frozen=True)
class Witnessing:
    database: Database
    governing: Governing
    chain: Chain
    clock: Clock

    def add(self, document: Any, signature: Signature) -> dict[str, Any]:
        """Store a signed head; the same head of the same key again changes nothing.

        Raises WitnessInvalid (no valid witness key, a signature that does not fit, an event that is not in the
        chain) or WitnessTooOften.
        """
        statement, data = _parse(document)
        with self.database.transaction() as tx:
            register = self.governing.register(tx.connection)
            key = register.key(signature.key_id) if register else None
            now = self.clock.now()
            if register is None or key is None or not _may_witness(key, now) or key.party is None:
                raise WitnessInvalid()
            try:
                check_signature(key.public_bytes, signature, data)
            except ValueError:
                raise WitnessInvalid() from None
            there = tx.connection.scalar(select(events.c.hash).where(events.c.seq == statement.seq))
            if there != statement.hash or datetime.fromisoformat(statement.at) > now + _AHEAD:
                raise WitnessInvalid()
            known = tx.connection.scalar(
                select(witnesses.c.seq).where(witnesses.c.key_id == key.id, witnesses.c.seq == statement.seq)
            )
            if known is None:
                self._check_rate(tx.connection, key, now)
                party = register.party(key.party)
                tx.connection.execute(
                    insert(witnesses).values(
                        key_id=key.id,
                        seq=statement.seq,
                        party=party.id,
                        side=party.side,
                        statement=data,
                        signature=base64.b64decode(signature.ed25519),
                        stored_at=timestamp(now),
                    )
                )
                self.chain.append(
                    tx,
                    EventKind.HEAD_WITNESSED,
                    {
                        "seq": statement.seq,
                        "hash": statement.hash,
                        "side": party.side,
                        "party": party.id,
                        "key": key.id,
                    },
                )
        return {"seq": statement.seq, "hash": statement.hash, "key_id": key.id}

    def document(self, connection: Connection) -> dict[str, Any]:
        """Every signed head in order, and for each side its last day and the days that it missed."""
        rows = connection.execute(
            select(witnesses).order_by(witnesses.c.seq, witnesses.c.stored_at, witnesses.c.key_id)
        ).all()
        registers = self.governing.accepted_registers(connection)
        today = _day(self.clock.now())
        seen: dict[Side, set[date]] = {
            side: {_day(datetime.fromisoformat(row.stored_at)) for row in rows if row.side == side}
            for side in SIDES
        }
        return {
            "witnesses": [
                {
                    "statement": json.loads(row.statement),
                    "key_id": row.key_id,
                    "ed25519": base64.b64encode(row.signature).decode("ascii"),
                    "party": row.party,
                    "side": row.side,
                    "stored_at": row.stored_at,
                }
                for row in rows
            ],
            "sides": [_side(side, _since(side, registers), seen[side], today) for side in SIDES],
        }

    def _check_rate(self, connection: Connection, key: Key, now: datetime) -> None:
        lately = connection.scalar(
            select(func.count())
            .select_from(witnesses)
            .where(witnesses.c.key_id == key.id, witnesses.c.stored_at > timestamp(now - timedelta(days=1)))
        )
        if (lately or 0) >= MOST_A_DAY:
            raise WitnessTooOften()


def _may_witness(key: Key, now: datetime) -> bool:
    return key.use == "witness" and key.is_valid(now)


def _parse(document: Any) -> tuple[WitnessStatement, bytes]:
    """Strict: the bytes that are checked are those that were understood."""
    try:
        data = canonical_bytes(document)
        statement = WitnessStatement.model_validate_json(data)
        datetime.fromisoformat(statement.at)
    except (TypeError, ValueError, ValidationError, RecursionError):
        raise WitnessInvalid() from None
    return statement, data


def _since(side: Side, registers: list[tuple[Register, datetime]]) -> date | None:
    """The day from which this side has a witness key, None if it has none."""
    for register, accepted in registers:
        for key in register.keys:
            if key.use == "witness" and key.party and register.party(key.party).side == side:
                return _day(accepted)
    return None


def _side(side: Side, since: date | None, seen: set[date], today: date) -> dict[str, Any]:
    missed: list[str] = []
    if since is not None:
        # Today is not over yet.
        day = max(since, today - timedelta(days=SHOWN_DAYS))
        while day < today:
            if day not in seen:
                missed.append(day.isoformat())
            day += timedelta(days=1)
    return {
        "side": side,
        "since": since.isoformat() if since else None,
        "last": max(seen).isoformat() if seen else None,
        "missed": missed,
    }


def _day(moment: datetime) -> date:
    return moment.astimezone(SEOUL).date()
