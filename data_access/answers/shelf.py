"""Where signed bytes lie. They are stored before the first of them leaves."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from data_access.canonical import content_id
from data_access.clock import Clock, timestamp
from data_access.db import Transaction
from data_access.db.answers import answers
from data_access.errors import AuditBroken, UnknownAnswer
from data_access.parties import Signature, SigningKey
from data_access.pricing import Quote
from data_access.query import BoundPlan
from data_access.query.open_binding import OpenBound


@dataclass(frozen=True)
class StoredAnswer:
    """`statement` holds the canonical bytes that `signature` is over; `id` is taken from their SHA-256."""

    id: str
    dataset: str
    team: str
    policy_hash: str
    data_version: int
    #: What a question of this precision costs in each period: this answer serves every wish up to it.
    nano: int
    statement: bytes
    signature: Signature

    def document(self) -> dict[str, Any]:
        return {
            "answer_id": self.id,
            "signature": self.signature.document(),
            "statement": json.loads(self.statement),
        }


class Shelf:
    def __init__(self, key: SigningKey, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def find(
        self, connection: Connection, quote: Quote, policies: frozenset[str] | None = None
    ) -> StoredAnswer | None:
        """The newest answer to the same plan with at least the precision that is asked for; with `policies`
        (hashes) only one that was given under one of them. Raises AuditBroken, as all that follow.
        """
        wanted = (
            select(answers)
            .where(
                answers.c.dataset == quote.bound.plan.dataset,
                answers.c.plan_id == quote.bound.id,
                answers.c.nano >= quote.rho.nano,
            )
            .order_by(answers.c.nano.desc(), answers.c.edition.desc())
            .limit(1)
        )
        if policies is not None:
            wanted = wanted.where(answers.c.policy_hash.in_(policies))
        row = connection.execute(wanted).first()
        return _answer(row) if row else None

    def find_open(
        self, connection: Connection, bound: OpenBound, policy_hash: str, data_version: int
    ) -> StoredAnswer | None:
        """The answer to this very question about these very data. Asking anew costs nothing in the open lane, so
        nobody is given an older one.
        """
        row = connection.execute(
            select(answers)
            .where(
                answers.c.dataset == bound.plan.dataset,
                answers.c.plan_id == bound.id,
                answers.c.policy_hash == policy_hash,
                answers.c.data_version == data_version,
            )
            .order_by(answers.c.edition)
            .limit(1)
        ).first()
        return _answer(row) if row else None

    def of_reservation(self, connection: Connection, reservation: str) -> StoredAnswer | None:
        row = connection.execute(select(answers).where(answers.c.reservation == reservation)).first()
        return _answer(row) if row else None

    def get(self, connection: Connection, answer_id: str) -> StoredAnswer:
        """Raises UnknownAnswer."""
        # PostgreSQL takes no NUL in a text and would call that a fault of the ledger.
        known = answer_id.isprintable()
        row = connection.execute(select(answers).where(answers.c.id == answer_id)).first() if known else None
        if row is None:
            raise UnknownAnswer()
        return _answer(row)

    def of_teams(self, connection: Connection, teams: frozenset[str]) -> list[StoredAnswer]:
        """Newest first."""
        rows = connection.execute(
            select(answers)
            .where(answers.c.team.in_(teams))
            .order_by(answers.c.stored_at.desc(), answers.c.id)
        )
        return [_answer(row) for row in rows]

    def put(
        self,
        tx: Transaction,
        bound: BoundPlan | OpenBound,
        statement: bytes,
        *,
        nano: int,
        reservation: str,
        edition: int,
        policy_hash: str,
        team: str,
        data_version: int,
    ) -> StoredAnswer:
        """Sign `statement` and store it under its reservation."""
        answer = StoredAnswer(
            id=content_id("ans", statement),
            dataset=bound.plan.dataset,
            team=team,
            policy_hash=policy_hash,
            data_version=data_version,
            nano=nano,
            statement=statement,
            signature=self._key.sign_bytes(statement),
        )
        tx.connection.execute(
            insert(answers).values(
                id=answer.id,
                dataset=answer.dataset,
                plan_id=bound.id,
                nano=nano,
                edition=edition,
                reservation=reservation,
                team=team,
                policy_hash=answer.policy_hash,
                data_version=data_version,
                key_id=answer.signature.key_id,
                statement=statement,
                signature=base64.b64decode(answer.signature.ed25519),
                stored_at=timestamp(self._clock.now()),
            )
        )
        return answer


def _answer(row: Row[Any]) -> StoredAnswer:
    """Raises AuditBroken for bytes that are not those which were signed: nothing damaged is handed on."""
    if content_id("ans", row.statement) != row.id or len(row.signature) != 64:
        raise AuditBroken()
    return StoredAnswer(
        id=row.id,
        dataset=row.dataset,
        team=row.team,
        policy_hash=row.policy_hash,
        data_version=row.data_version,
        nano=row.nano,
        statement=row.statement,
        signature=Signature(row.key_id, base64.b64encode(row.signature).decode("ascii")),
    )
