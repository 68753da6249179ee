"""Reserve, settle, balance. Nothing here knows what an answer says, so nothing here can refund by it.

A charge exists from the moment of its reservation and is never taken back: a crash costs budget, never
privacy.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select

from data_access.audit import Chain, EventKind
from data_access.canonical import document_hash, random_id
from data_access.clock import Clock, timestamp
from data_access.db import Transaction
from data_access.db.ledger import charges, periods, reservations, retry_keys, settlements
from data_access.errors import BudgetExhausted, KeyReused
from data_access.policy import LOADS, OpenPolicy, Policy
from data_access.pricing import Quote
from data_access.privacy.budget import Rho
from data_access.query.open_binding import OpenBound

#: After this long a reservation without stored bytes is closed as spent.
STALE_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Reservation:
    id: str
    edition: int
    policy_hash: str


@dataclass(frozen=True)
class RetryKey:
    """Makes a retry safe: bound to asker, team and body."""

    key: str
    body: str


def question_hash(quote: Quote) -> str:
    """One question is one plan at one price."""
    return document_hash(
        {"dataset": quote.bound.plan.dataset, "plan": quote.bound.id, "nano": quote.rho.nano}
    )


class Book:
    def __init__(self, chain: Chain, clock: Clock) -> None:
        self._chain = chain
        self._clock = clock
        self._none_stale_before = ""

    def reserve(
        self, tx: Transaction, quote: Quote, policy: Policy, team: str, asker: str, retry: RetryKey | None
    ) -> Reservation:
        """Charge `quote.rho` to every period of the plan. Raises BudgetExhausted, and then charges nothing."""
        cap = policy.cap_of(team)
        if cap is None:
            raise BudgetExhausted(
                period=quote.periods[0], requested=str(quote.rho), remaining="0", whose="team"
            )
        for period, left in self.left(tx.connection, policy, team, quote.periods).items():
            if left.nano < quote.rho.nano:
                raise BudgetExhausted(
                    period=period,
                    requested=str(quote.rho),
                    remaining=str(Rho(max(0, left.nano))),
                    whose=left.whose,
                )
        reservation = self.note(tx, quote, policy, team, asker, retry)
        self.charge(
            tx, reservation, policy, quote.periods, team, cap.name, quote.rho.nano, plan_id=quote.bound.id
        )
        return reservation

    def charge(
        self,
        tx: Transaction,
        reservation: Reservation,
        policy: Policy,
        wanted: tuple[str, ...],
        team: str,
        cap: str,
        nano: int,
        *,
        plan_id: str,
    ) -> None:
        """Write `nano` to each of the periods, opening those that are new, with the event. Whether it is there to be
        spent is for the caller to have looked up, in this transaction.
        """
        self._open_periods(tx, wanted, policy, timestamp(self._clock.now()))
        # Counted here and not by a sequence, which leaves a gap wherever a transaction was rolled back: in the
        # public ledger a gap means a charge that is missing.
        last = tx.connection.scalar(select(func.max(charges.c.seq))) or 0
        tx.connection.execute(
            insert(charges),
            [
                {
                    "seq": seq,
                    "reservation": reservation.id,
                    "lineage": policy.lineage,
                    "period": period,
                    "team": team,
                    "cap": cap,
                    "nano": nano,
                }
                for seq, period in enumerate(wanted, last + 1)
            ],
        )
        self._chain.append(
            tx,
            EventKind.CHARGED,
            {
                "lineage": policy.lineage,
                "periods": list(wanted),
                "team": team,
                "nano": nano,
                "plan": plan_id,
                "policy": reservation.policy_hash,
                "reservation": reservation.id,
            },
        )

    def note(
        self, tx: Transaction, quote: Quote, policy: Policy, team: str, asker: str, retry: RetryKey | None
    ) -> Reservation:
        """A reservation that charges nothing: for an answer that is joined from others."""
        cap = policy.cap_of(team)
        return self._enter(
            tx,
            question_hash(quote),
            quote.bound.id,
            policy.hash(),
            team,
            asker,
            cap.name if cap else "",
            retry,
        )

    def note_open(
        self,
        tx: Transaction,
        bound: OpenBound,
        policy: OpenPolicy,
        team: str,
        asker: str,
        retry: RetryKey | None,
    ) -> Reservation:
        """The same for an answer of the open lane, which has no budget. Its end is written with its bytes."""
        question = document_hash({"dataset": bound.plan.dataset, "plan": bound.id, "nano": 0})
        return self._enter(tx, question, bound.id, policy.hash(), team, asker, "", retry)

    def _enter(
        self,
        tx: Transaction,
        question: str,
        plan_id: str,
        policy_hash: str,
        team: str,
        asker: str,
        cap: str,
        retry: RetryKey | None,
    ) -> Reservation:
        edition = 1 + (
            tx.connection.scalar(
                select(func.max(reservations.c.edition)).where(reservations.c.question == question)
            )
            or 0
        )
        reservation = Reservation(random_id("rsv"), edition, policy_hash)
        tx.connection.execute(
            insert(reservations).values(
                id=reservation.id,
                question=question,
                edition=edition,
                team=team,
                asker=asker,
                cap=cap,
                plan_id=plan_id,
                policy_hash=policy_hash,
                reserved_at=timestamp(self._clock.now()),
            )
        )
        if retry is not None:
            self.bind_key(tx, asker, retry, reservation.id)
        return reservation

    def unsettled(self, connection: Connection, quote: Quote, policy: Policy) -> Reservation | None:
        """The newest reservation of this very question that has neither bytes nor an end: it may run again, free."""
        row = connection.execute(
            select(reservations.c.id, reservations.c.edition, reservations.c.policy_hash)
            .outerjoin(settlements, settlements.c.reservation == reservations.c.id)
            .where(
                reservations.c.question == question_hash(quote),
                reservations.c.policy_hash == policy.hash(),
                settlements.c.reservation.is_(None),
            )
            .order_by(reservations.c.edition.desc())
            .limit(1)
        ).first()
        return Reservation(row.id, row.edition, row.policy_hash) if row else None

    def unsettled_of(self, connection: Connection, reservation: str, policy: Policy) -> Reservation | None:
        """That reservation, if it has no end and was charged under this policy: it may run again, free."""
        row = connection.execute(
            select(reservations.c.id, reservations.c.edition, reservations.c.policy_hash)
            .outerjoin(settlements, settlements.c.reservation == reservations.c.id)
            .where(
                reservations.c.id == reservation,
                reservations.c.policy_hash == policy.hash(),
                settlements.c.reservation.is_(None),
            )
        ).first()
        return Reservation(row.id, row.edition, row.policy_hash) if row else None

    def settle(self, tx: Transaction, reservation: str, outcome: Literal["answered", "closed"]) -> None:
        tx.connection.execute(
            insert(settlements).values(
                reservation=reservation, outcome=outcome, settled_at=timestamp(self._clock.now())
            )
        )

    def close_stale(self, tx: Transaction) -> int:
        """Close reservations older than a day as spent; how many."""
        before = timestamp(self._clock.now() - STALE_AFTER)
        stale = tx.connection.execute(
            select(
                reservations.c.id,
                select(charges.c.seq)
                .where(charges.c.reservation == reservations.c.id)
                .exists()
                .label("charged"),
            )
            .outerjoin(settlements, settlements.c.reservation == reservations.c.id)
            .where(
                settlements.c.reservation.is_(None),
                reservations.c.reserved_at < before,
                # Found in order earlier: else every question would go through all that were ever asked.
                reservations.c.reserved_at >= self._none_stale_before,
                # A load's own question waits for the next load or start, since it can never be charged again.
                reservations.c.team != LOADS,
            )
        ).all()
        for reservation, charged in stale:
            self.settle(tx, reservation, "closed")
            if charged:
                self._chain.append(tx, EventKind.RESERVATION_CLOSED, {"reservation": reservation})
        if not stale:
            # Only then: what was closed just now may yet be rolled back.
            self._none_stale_before = before
        return len(stale)

    def left(
        self, connection: Connection, policy: Policy, team: str, wanted: tuple[str, ...]
    ) -> dict[str, Left]:
        """What `team` may still spend in each period: the lesser of its cap's rest and the dataset's.

        Earlier charges count for the cap that the policy in force gives to their team, so that a cap under
        another name buys no more; what is kept for loads and held back is nobody's to spend.
        """
        cap = policy.cap_of(team)
        ceiling = Rho.parse(policy.budget).nano
        held_back, for_loads = Rho.parse(policy.held_back).nano, Rho.parse(policy.load_rho).nano
        opened: dict[str, int] = {
            row.period: row.budget
            for row in connection.execute(
                select(periods.c.period, periods.c.budget).where(periods.c.lineage == policy.lineage)
            )
        }
        spent: Counter[str] = Counter()
        spent_by_cap: Counter[str] = Counter()
        by_loads: Counter[str] = Counter()
        for row in connection.execute(
            select(charges.c.period, charges.c.team, func.sum(charges.c.nano).label("nano"))
            .where(charges.c.lineage == policy.lineage, charges.c.period.in_(wanted))
            .group_by(charges.c.period, charges.c.team)
        ):
            if row.team == LOADS:
                by_loads[row.period] = int(row.nano)
                continue
            spent[row.period] += int(row.nano)
            if policy.cap_of(row.team) == cap:
                spent_by_cap[row.period] += int(row.nano)
        found: dict[str, Left] = {}
        for period in wanted:
            # What loads have spent is out of what was kept for them, unless a policy has lowered that since.
            kept = held_back + max(for_loads, by_loads[period])
            whole = opened.get(period, ceiling) - kept - spent[period]
            own = Rho.parse(cap.rho).nano - spent_by_cap[period] if cap else 0
            found[period] = Left(own, "team") if own <= whole else Left(whole, "dataset")
        return found

    def check_retry(self, connection: Connection, asker: str, retry: RetryKey) -> str | None:
        """The reservation that this key already stands for. Raises KeyReused if the body was another."""
        row = connection.execute(
            select(retry_keys.c.body, retry_keys.c.reservation).where(
                retry_keys.c.asker == asker, retry_keys.c.key == retry.key
            )
        ).first()
        if row is None:
            return None
        if row.body != retry.body:
            raise KeyReused()
        return str(row.reservation)

    def bind_key(self, tx: Transaction, asker: str, retry: RetryKey, reservation: str) -> None:
        """From now on this asker's key stands for this body and this reservation."""
        tx.connection.execute(
            insert(retry_keys).values(asker=asker, key=retry.key, body=retry.body, reservation=reservation)
        )

    def _open_periods(self, tx: Transaction, wanted: tuple[str, ...], policy: Policy, now: str) -> None:
        known = set(
            tx.connection.scalars(select(periods.c.period).where(periods.c.lineage == policy.lineage))
        )
        for period in wanted:
            if period in known:
                continue
            budget = Rho.parse(policy.budget).nano
            tx.connection.execute(
                insert(periods).values(
                    lineage=policy.lineage,
                    period=period,
                    budget=budget,
                    policy_hash=policy.hash(),
                    opened_at=now,
                )
            )
            self._chain.append(
                tx,
                EventKind.PERIOD_OPENED,
                {"lineage": policy.lineage, "period": period, "nano": budget, "policy": policy.hash()},
            )


@dataclass(frozen=True)
class Left:
    """nano-ρ that are left, and whose limit comes first. Negative after a policy lowered a cap."""

    nano: int
    whose: Literal["team", "dataset"]


def public_ledger(connection: Connection) -> list[dict[str, object]]:
    """Every period with its budget, every charge with its end: the public export, in order."""
    rows = connection.execute(
        select(
            charges.c.seq,
            charges.c.lineage,
            charges.c.period,
            charges.c.team,
            charges.c.cap,
            charges.c.nano,
            reservations.c.id,
            reservations.c.plan_id,
            reservations.c.reserved_at,
            settlements.c.outcome,
        )
        .join(reservations, reservations.c.id == charges.c.reservation)
        .outerjoin(settlements, settlements.c.reservation == reservations.c.id)
        .order_by(charges.c.seq)
    ).all()
    opened = connection.execute(select(periods).order_by(periods.c.lineage, periods.c.period)).all()
    charged: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for row in rows:
        charged[row.lineage, row.period].append(row)
    return [
        {
            "lineage": entry.lineage,
            "period": entry.period,
            "budget": entry.budget,
            "policy_hash": entry.policy_hash,
            "charges": [
                {
                    "seq": row.seq,
                    "team": row.team,
                    "cap": row.cap,
                    "nano": row.nano,
                    "plan_id": row.plan_id,
                    "reservation": row.id,
                    "at": row.reserved_at,
                    "state": row.outcome or "reserved",
                }
                for row in charged[entry.lineage, entry.period]
            ],
        }
        for entry in opened
    ]
