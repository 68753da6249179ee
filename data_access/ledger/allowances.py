"""What each seat of a team may spend without asking anybody: a part of the team's cap, never beside it.

An allowance only says what need not wait; every charge still meets cap and budget (book.py). The first `seats`
people who spend within it have a share each, and who comes later has none: a second account buys nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from data_access.canonical import random_id
from data_access.clock import Clock, timestamp
from data_access.db import Transaction
from data_access.db.approvals import allowance_charges, allowances
from data_access.db.ledger import charges, reservations


@dataclass(frozen=True)
class Allowance:
    """`nano` for each seat and each period. `starts_at` None: from the moment that it was set."""

    id: str
    team: str
    dataset: str
    seats: int
    nano: int
    starts_at: str | None
    ends_at: str | None
    set_by: str
    set_at: str

    def has_begun(self, now: datetime) -> bool:
        return self.starts_at is None or self.starts_at <= timestamp(now)

    def has_ended(self, now: datetime) -> bool:
        return self.ends_at is not None and self.ends_at <= timestamp(now)


class Allowances:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def set(
        self,
        tx: Transaction,
        *,
        team: str,
        dataset: str,
        seats: int,
        nano: int,
        starts_at: datetime | None,
        ends_at: datetime | None,
        by: str,
    ) -> Allowance:
        """A newer allowance takes the place of the older ones from its beginning on; what was spent counts anew."""
        made = Allowance(
            id=random_id("alw"),
            team=team,
            dataset=dataset,
            seats=seats,
            nano=nano,
            starts_at=timestamp(starts_at) if starts_at else None,
            ends_at=timestamp(ends_at) if ends_at else None,
            set_by=by,
            set_at=timestamp(self._clock.now()),
        )
        last = tx.connection.scalar(select(func.max(allowances.c.seq))) or 0
        tx.connection.execute(insert(allowances).values(seq=last + 1, **vars(made)))
        return made

    def in_force(self, connection: Connection, team: str, dataset: str) -> Allowance | None:
        """The newest that has begun, unless it has ended."""
        now = self._clock.now()
        begun = (a for a in self._of(connection, [team]) if a.dataset == dataset and a.has_begun(now))
        newest = next(begun, None)
        return None if newest is None or newest.has_ended(now) else newest

    def of_teams(self, connection: Connection, teams: Collection[str]) -> list[Allowance]:
        """Those in force and those still to begin, newest first."""
        now = self._clock.now()
        found: list[Allowance] = []
        begun: set[tuple[str, str]] = set()
        for each in self._of(connection, teams):
            if each.has_begun(now):
                if (each.team, each.dataset) in begun:
                    continue
                begun.add((each.team, each.dataset))
            if not each.has_ended(now):
                found.append(each)
        return found

    def spent(self, connection: Connection, allowance: Allowance, asker: str) -> dict[str, int]:
        """nano-ρ that `asker` has spent of it, by period."""
        rows = connection.execute(
            select(charges.c.period, func.sum(charges.c.nano))
            .select_from(allowance_charges)
            .join(reservations, reservations.c.id == allowance_charges.c.reservation)
            .join(charges, charges.c.reservation == reservations.c.id)
            .where(allowance_charges.c.allowance == allowance.id, reservations.c.asker == asker)
            .group_by(charges.c.period)
        )
        return {period: int(nano) for period, nano in rows}

    def askers(self, connection: Connection, allowance: Allowance) -> frozenset[str]:
        """Who has spent of it: whoever did has a seat's share."""
        return frozenset(
            connection.scalars(
                select(reservations.c.asker)
                .distinct()
                .select_from(allowance_charges)
                .join(reservations, reservations.c.id == allowance_charges.c.reservation)
                .where(allowance_charges.c.allowance == allowance.id)
            )
        )

    def covers(
        self, connection: Connection, allowance: Allowance, asker: str, costs: Mapping[str, int]
    ) -> bool:
        """Whether `asker` may spend `costs` (nano-ρ by period) of it."""
        known = self.askers(connection, allowance)
        if asker not in known and len(known) >= allowance.seats:
            return False
        spent = self.spent(connection, allowance, asker)
        return all(spent.get(period, 0) + cost <= allowance.nano for period, cost in costs.items())

    def charge(self, tx: Transaction, allowance: Allowance, made: Iterable[str]) -> None:
        """These reservations were charged within it."""
        rows = [{"reservation": reservation, "allowance": allowance.id} for reservation in made]
        tx.connection.execute(insert(allowance_charges), rows)

    def _of(self, connection: Connection, teams: Collection[str]) -> Iterable[Allowance]:
        rows = connection.execute(
            select(allowances).where(allowances.c.team.in_(teams)).order_by(allowances.c.seq.desc())
        )
        return map(_allowance, rows)


def _allowance(row: Row[Any]) -> Allowance:
    return Allowance(**{name: getattr(row, name) for name in Allowance.__dataclass_fields__})
