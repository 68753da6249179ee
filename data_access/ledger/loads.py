"""What a load publishes is paid out of `load_rho`, which no team can spend: once for each question, for ever."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, insert, select

from data_access.canonical import document_hash, random_id
from data_access.clock import Clock, timestamp
from data_access.db import Transaction
from data_access.db.ledger import charges, periods, reservations, settlements
from data_access.ledger.book import Book, Reservation
from data_access.policy import LOADS, Policy
from data_access.privacy.budget import Rho


@dataclass(frozen=True)
class LoadQuestion:
    """What is asked of one period of a lineage; `id` is the plan's in the public ledger."""

    id: str
    lineage: str
    period: str

    @property
    def hash(self) -> str:
        return document_hash({"lineage": self.lineage, "period": self.period, "plan": self.id})


@dataclass(frozen=True)
class LoadBook:
    book: Book
    clock: Clock

    def claim(
        self, tx: Transaction, question: LoadQuestion, policy: Policy, least: Rho
    ) -> tuple[Reservation, Rho] | None:
        """The reservation of an earlier try that left no bytes, at no second charge; else a new one, which charges
        what is left of `load_rho` in the period. None where that is under `least`, or where the question is settled.

        One question has one reservation, whatever became of it: the table's own constraint says so too.
        """
        row = tx.connection.execute(
            select(reservations.c.id, reservations.c.edition, reservations.c.policy_hash, charges.c.nano)
            .add_columns(settlements.c.outcome)
            .join(charges, charges.c.reservation == reservations.c.id)
            .outerjoin(settlements, settlements.c.reservation == reservations.c.id)
            .where(reservations.c.question == question.hash)
        ).first()
        if row is not None:
            again = Reservation(row.id, row.edition, row.policy_hash)
            return None if row.outcome else (again, Rho(int(row.nano)))
        left = self._left(tx, question, policy)
        if left < least.nano:
            return None
        reservation = Reservation(random_id("rsv"), 1, policy.hash())
        tx.connection.execute(
            insert(reservations).values(
                id=reservation.id,
                question=question.hash,
                edition=reservation.edition,
                team=LOADS,
                asker=LOADS,
                cap="load_rho",
                plan_id=question.id,
                policy_hash=reservation.policy_hash,
                reserved_at=timestamp(self.clock.now()),
            )
        )
        self.book.charge(
            tx, reservation, policy, (question.period,), LOADS, "load_rho", left, plan_id=question.id
        )
        return reservation, Rho(left)

    def _left(self, tx: Transaction, question: LoadQuestion, policy: Policy) -> int:
        """nano-ρ: the lesser of what `load_rho` and what the period's own budget still have."""
        own = (charges.c.lineage == question.lineage, charges.c.period == question.period)
        spent = tx.connection.scalar(select(func.sum(charges.c.nano)).where(*own)) or 0
        by_loads = (
            tx.connection.scalar(select(func.sum(charges.c.nano)).where(*own, charges.c.team == LOADS)) or 0
        )
        opened = tx.connection.scalar(
            select(periods.c.budget).where(
                periods.c.lineage == question.lineage, periods.c.period == question.period
            )
        )
        budget = Rho.parse(policy.budget).nano if opened is None else opened
        return min(Rho.parse(policy.load_rho).nano - int(by_loads), budget - int(spent))
