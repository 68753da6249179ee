"""What was asked of each dataset, by whom, for what, at what cost, and what is left: read from ledger and answers.

Nothing here decides or writes. Amounts are nano-ρ.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, func, select

from data_access.db.answers import answers
from data_access.db.governance import lineages, policies
from data_access.db.ledger import charges, periods, reservations, settlements
from data_access.documents import Labels
from data_access.errors import CivicError, PlanInvalid
from data_access.flows.gate import Gate
from data_access.flows.governing import Governing
from data_access.ledger import Book
from data_access.policy import LOADS, Policy
from data_access.policy.words import question_words, rows_words
from data_access.privacy.budget import Rho
from data_access.query.codec import decode_open
from data_access.query.nodes import Rows
from data_access.texts import LANGUAGES, Language

#: Statements never change, so what was read out of one is kept; past so many, all of it is let go.
_MOST_KEPT = 20_000


@dataclass(frozen=True)
class Month:
    """One month's budget, in parts that add up to it. `free` is under 0 where a policy has lowered the budget since."""

    period: str
    budget: int
    spent: Mapping[str, int]
    by_loads: int
    kept_for_loads: int
    held_back: int
    #: What each team may still spend; empty where the dataset is closed.
    left: Mapping[str, int]

    @property
    def free(self) -> int:
        return self.budget - sum(self.spent.values()) - self.by_loads - self.kept_for_loads - self.held_back


@dataclass(frozen=True)
class DatasetBudget:
    dataset: str
    title: Labels
    is_open: bool
    months: tuple[Month, ...]


@dataclass(frozen=True)
class Asked:
    """One question that came to the ledger. `nano` was charged to each of `paid`; nothing where it was put together
    from answers that were paid for.
    """

    at: str
    team: str
    person: str
    dataset: str
    title: Labels
    purpose: str | None
    #: None: no answer was stored, or its column is in no catalog any more.
    words: Mapping[Language, str] | None
    periods: tuple[str, ...]
    paid: tuple[str, ...]
    nano: int
    #: `nano` as a part of the month's budget, at most of each of `paid`.
    share: Decimal
    answer: str | None

    @property
    def total(self) -> int:
        return self.nano * len(self.paid)


@dataclass(frozen=True)
class Wanted:
    """A reader's filter. `teams` None: of all; a month is one whose budget paid."""

    teams: frozenset[str] | None
    dataset: str | None = None
    month: str | None = None

    def narrowed(self, team: str | None) -> Wanted:
        """To one team, if that is within what she may see."""
        if team is None or (self.teams is not None and team not in self.teams):
            return self
        return Wanted(frozenset({team}), self.dataset, self.month)


@dataclass(frozen=True)
class _Told:
    purpose: str
    periods: tuple[str, ...]
    words: Mapping[Language, str] | None


@dataclass(frozen=True)
class Overview:
    governing: Governing
    book: Book
    gate: Gate
    _told: dict[str, _Told] = field(default_factory=dict)

    def budgets(self, connection: Connection, teams: Collection[str]) -> list[DatasetBudget]:
        """Of every dataset that has a budget, the months with what `teams` may still spend."""
        known: dict[str, str] = {
            row.dataset: row.lineage
            for row in connection.execute(select(lineages.c.dataset, lineages.c.lineage))
        }
        found = [
            self._budget(connection, dataset, known[dataset], teams)
            for dataset in self.governing.catalog
            if dataset in known
        ]
        # An open dataset has no budget.
        return [each for each in found if each.months]

    def teams(self, connection: Connection) -> frozenset[str]:
        """Every team that a policy in force names or that has asked."""
        found = {str(team) for team in connection.scalars(select(reservations.c.team).distinct())}
        for dataset in self.governing.catalog:
            policy = self._policy(connection, dataset)
            for cap in policy.caps if policy else ():
                found |= set() if cap.teams == "others" else set(cap.teams)
        return frozenset(found - {LOADS})

    def asked(
        self, connection: Connection, wanted: Wanted, *, most: int, after: int = 0
    ) -> tuple[list[Asked], int]:
        """Newest first, `most` lines after the first `after`; and how many there are in all."""
        chosen = self._chosen(wanted)
        count = int(connection.scalar(select(func.count()).select_from(chosen.subquery())) or 0)
        rows = connection.execute(
            chosen.order_by(reservations.c.reserved_at.desc(), reservations.c.id).limit(most).offset(after)
        ).all()
        paid = self._paid(connection, [row.id for row in rows])
        told = self._tell(connection, {row.answer: row.dataset for row in rows if row.answer})
        return [self._asked(row, paid[row.id], told.get(row.answer)) for row in rows], count

    def _chosen(self, wanted: Wanted) -> Select[Any]:
        chosen = (
            select(
                reservations.c.id,
                reservations.c.team,
                reservations.c.asker,
                reservations.c.reserved_at,
                settlements.c.outcome,
                policies.c.dataset,
                answers.c.id.label("answer"),
            )
            .join(policies, policies.c.hash == reservations.c.policy_hash)
            .outerjoin(settlements, settlements.c.reservation == reservations.c.id)
            .outerjoin(answers, answers.c.reservation == reservations.c.id)
            # What a load publishes nobody asked for; the months show what it paid.
            .where(reservations.c.team != LOADS)
        )
        if wanted.teams is not None:
            chosen = chosen.where(reservations.c.team.in_(wanted.teams))
        if wanted.dataset is not None:
            chosen = chosen.where(policies.c.dataset == wanted.dataset)
        if wanted.month is not None:
            chosen = chosen.where(
                select(charges.c.seq)
                .where(charges.c.reservation == reservations.c.id, charges.c.period == wanted.month)
                .exists()
            )
        return chosen

    def _paid(self, connection: Connection, ids: Sequence[str]) -> dict[str, list[tuple[str, int, int]]]:
        """Of each reservation its (month, nano, the month's budget)."""
        found: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for row in connection.execute(
            select(charges.c.reservation, charges.c.period, charges.c.nano, periods.c.budget)
            .join(periods, (periods.c.lineage == charges.c.lineage) & (periods.c.period == charges.c.period))
            .where(charges.c.reservation.in_(ids))
            .order_by(charges.c.period)
        ):
            found[row.reservation].append((row.period, int(row.nano), int(row.budget)))
        return found

    def _asked(self, row: Any, paid: list[tuple[str, int, int]], told: _Told | None) -> Asked:
        months = tuple(period for period, _, _ in paid)
        return Asked(
            at=row.reserved_at,
            team=row.team,
            person=self.gate.public_name(row.asker),
            dataset=row.dataset,
            title=self.governing.catalog[row.dataset].title,
            purpose=told.purpose if told else None,
            words=told.words if told else None,
            periods=told.periods if told else months,
            paid=months,
            nano=max((nano for _, nano, _ in paid), default=0),
            share=max((Decimal(nano) / budget for _, nano, budget in paid if budget), default=Decimal(0)),
            answer=row.answer,
        )

    def _tell(self, connection: Connection, wanted: Mapping[str, str]) -> dict[str, _Told]:
        """What the statements of these answers (id → dataset) say of their questions."""
        missing = [answer for answer in wanted if answer not in self._told]
        if len(self._told) + len(missing) > _MOST_KEPT:
            self._told.clear()
            missing = list(wanted)
        found = {answer: self._told[answer] for answer in wanted if answer not in missing}
        # One at a time: a statement of 100,000 cells has megabytes.
        for answer in missing:
            statement = json.loads(
                connection.scalar(select(answers.c.statement).where(answers.c.id == answer)) or b"{}"
            )
            found[answer] = self._told[answer] = _Told(
                str(statement["purpose"]),
                tuple(statement["periods"]),
                self._words(statement["plan"], wanted[answer]),
            )
        return found

    def _words(self, plan: Any, dataset: str) -> dict[Language, str] | None:
        try:
            decoded = decode_open(plan)
        except PlanInvalid:
            # Signed under a grammar that is gone.
            return None
        entry = self.governing.catalog[dataset]
        if isinstance(decoded, Rows):
            return {spoken: rows_words(decoded, entry, spoken) for spoken in LANGUAGES}
        return {spoken: question_words(decoded, entry, spoken) for spoken in LANGUAGES}

    def _budget(
        self, connection: Connection, dataset: str, lineage: str, teams: Collection[str]
    ) -> DatasetBudget:
        policy = self._policy(connection, dataset)
        opened: dict[str, int] = {
            row.period: int(row.budget)
            for row in connection.execute(
                select(periods.c.period, periods.c.budget).where(periods.c.lineage == lineage)
            )
        }
        spent: dict[str, dict[str, int]] = defaultdict(dict)
        for row in connection.execute(
            select(charges.c.period, charges.c.team, func.sum(charges.c.nano).label("nano"))
            .where(charges.c.lineage == lineage)
            .group_by(charges.c.period, charges.c.team)
        ):
            spent[row.period][row.team] = int(row.nano)
        ceiling = Rho.parse(policy.budget).nano if policy else 0
        for_loads = Rho.parse(policy.load_rho).nano if policy else 0
        held_back = Rho.parse(policy.held_back).nano if policy else 0
        named = sorted({*opened, *(policy.periods() if policy else ())}, reverse=True)
        left = (
            {team: self.book.left(connection, policy, team, tuple(named)) for team in sorted(teams)}
            if policy
            else {}
        )
        months = []
        for period in named:
            by_loads = spent[period].pop(LOADS, 0)
            months.append(
                Month(
                    period=period,
                    budget=opened.get(period, ceiling),
                    spent=spent[period],
                    by_loads=by_loads,
                    kept_for_loads=max(0, for_loads - by_loads),
                    held_back=held_back,
                    left={team: max(0, rest[period].nano) for team, rest in left.items()},
                )
            )
        title = self.governing.catalog[dataset].title
        return DatasetBudget(dataset, title, policy is not None, tuple(months))

    def _policy(self, connection: Connection, dataset: str) -> Policy | None:
        """The policy in force; None where the dataset is closed."""
        try:
            return self.governing.in_force(connection, dataset).policy
        except CivicError:
            return None
