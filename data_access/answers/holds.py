"""Questions that wait for a person, and what became of them.

A hold is approved for one asker, one question, one price and one policy, once, within a day. It is no mechanism
of privacy: what was approved still meets cap and budget like any other question.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, insert, select

from data_access.canonical import Json, canonical_bytes, random_id
from data_access.clock import Clock, timestamp
from data_access.db import Transaction
from data_access.db.answers import answers
from data_access.db.approvals import hold_decisions, hold_ends, holds
from data_access.errors import UnknownApproval, WaitingFull

#: A question that nobody decided on by then, or that was approved and not asked again, has to be asked anew.
HOLDS_FOR = timedelta(days=1)
#: A clock may be set back a little; a hold from further in the future says that it jumped, and is over.
_SET_BACK = timedelta(minutes=5)
#: Of one asker: a loop in a notebook must not bury what somebody else waits for.
MOST_WAITING = 20
#: Lines of a team's list.
MOST_LISTED = 200


class Cause(StrEnum):
    """Why a question waits: it passes its seat's allowance, or was asked in a room, which is nobody in particular."""

    ALLOWANCE = "allowance"
    ROOM = "room"


class State(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    USED = "used"


@dataclass(frozen=True)
class Hold:
    """`document` is what the one who decides is shown; `nano` is the price in each of its `periods`."""

    id: str
    question: str
    cause: Cause
    team: str
    asker: str
    dataset: str
    policy_hash: str
    plan_id: str
    nano: int
    document: Mapping[str, Any]
    asked_at: str
    state: State
    person: str | None
    decided_at: str | None
    answer: str | None

    @property
    def periods(self) -> tuple[str, ...]:
        return tuple(self.document["periods"])

    @property
    def expires_at(self) -> str:
        return timestamp(datetime.fromisoformat(self.asked_at) + HOLDS_FOR)


class Holds:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def add(
        self,
        tx: Transaction,
        *,
        question: str,
        cause: Cause,
        team: str,
        asker: str,
        dataset: str,
        policy_hash: str,
        plan_id: str,
        nano: int,
        document: Mapping[str, Json],
    ) -> Hold:
        """A new one, or the asker's own that waits for the same already. Raises WaitingFull."""
        self.expire(tx)
        waiting = self._all(tx.connection, and_(holds.c.asker == asker, _IS_OPEN, _IS_UNDECIDED))
        for one in waiting:
            if one.question == question and one.periods == tuple(document["periods"]):  # type: ignore[arg-type]
                return one
        if len(waiting) >= MOST_WAITING:
            raise WaitingFull(most=MOST_WAITING)
        last = tx.connection.scalar(select(func.max(holds.c.seq))) or 0
        made = random_id("apr")
        tx.connection.execute(
            insert(holds).values(
                id=made,
                seq=last + 1,
                question=question,
                cause=cause.value,
                team=team,
                asker=asker,
                dataset=dataset,
                policy_hash=policy_hash,
                plan_id=plan_id,
                nano=nano,
                document=canonical_bytes(document),
                asked_at=timestamp(self._clock.now()),
            )
        )
        return self.get(tx.connection, made)

    def get(self, connection: Connection, hold: str) -> Hold:
        """Raises UnknownApproval."""
        # PostgreSQL takes no NUL in a text and would call that a fault of the ledger.
        found = self._all(connection, holds.c.id == hold) if hold.isprintable() else []
        if not found:
            raise UnknownApproval()
        return found[0]

    def of_teams(self, connection: Connection, teams: Collection[str]) -> list[Hold]:
        """Newest first."""
        return self._all(connection, holds.c.team.in_(teams))

    def approved(self, connection: Connection, asker: str, question: str) -> list[Hold]:
        """What `asker` may ask once: approved, not used, not expired."""
        mine = and_(holds.c.asker == asker, holds.c.question == question, _IS_OPEN)
        return [hold for hold in self._all(connection, mine) if hold.state is State.APPROVED]

    def decide(
        self, tx: Transaction, hold: Hold, decision: Literal["approved", "refused"], person: str
    ) -> Hold:
        tx.connection.execute(
            insert(hold_decisions).values(
                hold=hold.id, decision=decision, person=person, decided_at=timestamp(self._clock.now())
            )
        )
        return self.get(tx.connection, hold.id)

    def use(self, tx: Transaction, hold: Hold, reservation: str) -> None:
        """It was asked again and charged. The primary key sees to it that this happens once."""
        tx.connection.execute(
            insert(hold_ends).values(
                hold=hold.id,
                outcome=State.USED.value,
                reservation=reservation,
                ended_at=timestamp(self._clock.now()),
            )
        )

    def is_due(self, connection: Connection) -> bool:
        """Whether `expire` would write anything."""
        return connection.execute(self._overdue().limit(1)).first() is not None

    def expire(self, tx: Transaction) -> None:
        """Write down what is over, so that it stays over."""
        due = tx.connection.scalars(self._overdue()).all()
        if due:
            now = timestamp(self._clock.now())
            tx.connection.execute(
                insert(hold_ends),
                [{"hold": hold, "outcome": State.EXPIRED.value, "ended_at": now} for hold in due],
            )

    def _overdue(self) -> Select[str]:
        now = self._clock.now()
        return (
            select(holds.c.id)
            .outerjoin(hold_decisions, hold_decisions.c.hold == holds.c.id)
            .outerjoin(hold_ends, hold_ends.c.hold == holds.c.id)
            .where(
                _IS_OPEN,
                (holds.c.asked_at <= timestamp(now - HOLDS_FOR))
                | (holds.c.asked_at > timestamp(now + _SET_BACK)),
            )
        )

    def _is_over(self, asked_at: str) -> bool:
        now = self._clock.now()
        return not timestamp(now - HOLDS_FOR) < asked_at <= timestamp(now + _SET_BACK)

    def _all(self, connection: Connection, condition: ColumnElement[bool]) -> list[Hold]:
        rows = connection.execute(
            select(
                holds,
                hold_decisions.c.decision,
                hold_decisions.c.person,
                hold_decisions.c.decided_at,
                hold_ends.c.outcome,
                answers.c.id.label("answer"),
            )
            .outerjoin(hold_decisions, hold_decisions.c.hold == holds.c.id)
            .outerjoin(hold_ends, hold_ends.c.hold == holds.c.id)
            .outerjoin(answers, answers.c.reservation == hold_ends.c.reservation)
            .where(condition)
            .order_by(holds.c.seq.desc())
            .limit(MOST_LISTED)
        )
        return [self._hold(row) for row in rows]

    def _hold(self, row: Row[Any]) -> Hold:
        state = State(row.outcome or row.decision or State.WAITING)
        if row.outcome is None and state is not State.REFUSED and self._is_over(row.asked_at):
            state = State.EXPIRED
        return Hold(
            id=row.id,
            question=row.question,
            cause=Cause(row.cause),
            team=row.team,
            asker=row.asker,
            dataset=row.dataset,
            policy_hash=row.policy_hash,
            plan_id=row.plan_id,
            nano=row.nano,
            document=json.loads(row.document),
            asked_at=row.asked_at,
            state=state,
            person=row.person,
            decided_at=row.decided_at,
            answer=row.answer,
        )


_IS_UNDECIDED = hold_decisions.c.hold.is_(None)
#: Neither used nor expired nor refused.
_IS_OPEN = and_(
    hold_ends.c.hold.is_(None), _IS_UNDECIDED | (hold_decisions.c.decision == State.APPROVED.value)
)
