"""What would be charged passes here last, inside the transaction that charges it.

Whoever asks by whichever way: a seat spends its own allowance, a room's question needs a member's word, and what
neither covers waits (`MustWait`), unless a person has approved just this. Stored and free answers never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from data_access.answers import Cause, Hold, Holds
from data_access.audit import Chain, EventKind
from data_access.canonical import document_hash
from data_access.db import Transaction
from data_access.flows.asked import Decided, MustWait, Reserved
from data_access.ledger import Allowance, Allowances


@dataclass(frozen=True)
class Gate:
    allowances: Allowances
    holds: Holds
    chain: Chain
    #: Under which name a person stands in public records.
    public_name: Callable[[str], str]

    def reason(self, connection: Connection, decided: Decided, costs: Mapping[str, int]) -> Cause | None:
        """Why a question that would cost this (nano-ρ by period) would wait; None where it would not."""
        cause, _ = self._cause(connection, decided, costs)
        return None if cause and self._approval(connection, decided, costs) else cause

    def check(self, tx: Transaction, decided: Decided, reserved: Reserved) -> None:
        """Let pass what was charged just now, and write down on whose word. Raises MustWait."""
        costs = reserved.costs
        cause, allowance = self._cause(tx.connection, decided, costs)
        made = [reservation.id for _, reservation in reserved.paid]
        if cause is None:
            if allowance is not None:
                self.allowances.charge(tx, allowance, made)
            return
        hold = self._approval(tx.connection, decided, costs)
        if hold is None:
            raise MustWait(decided, cause, costs)
        self.holds.use(tx, hold, reserved.whole.id if reserved.whole else made[0])
        self.chain.append(
            tx,
            EventKind.APPROVAL_USED,
            {
                "approval": hold.id,
                "by": self.public_name(hold.person or ""),
                "cause": hold.cause.value,
                "plan": hold.plan_id,
                "reservations": made,
                "team": hold.team,
            },
        )

    def _cause(
        self, connection: Connection, decided: Decided, costs: Mapping[str, int]
    ) -> tuple[Cause | None, Allowance | None]:
        """Why it waits, or what covers it; neither where nobody said anything."""
        asker = decided.asker
        if not costs:
            return None, None
        if asker.is_room:
            return Cause.ROOM, None
        if asker.leads:
            return None, None
        allowance = self.allowances.in_force(connection, decided.request.team, decided.policy.dataset)
        if allowance is None:
            return None, None
        covers = self.allowances.covers(connection, allowance, asker.name, costs)
        return (None if covers else Cause.ALLOWANCE), allowance

    def _approval(self, connection: Connection, decided: Decided, costs: Mapping[str, int]) -> Hold | None:
        """A person's word for this asker, question, price and policy. More months than she saw are another price."""
        for hold in self.holds.approved(connection, decided.asker.name, question_of(decided)):
            if all(period in hold.periods and cost <= hold.nano for period, cost in costs.items()):
                return hold
        return None


def question_of(decided: Decided) -> str:
    """Hash of all that is approved with a question: another body, price or policy is another question."""
    request = decided.request
    return document_hash(
        {
            "dataset": decided.policy.dataset,
            "plan": decided.quote.bound.id,
            "nano": decided.quote.rho.nano,
            "team": request.team,
            "purpose": request.purpose,
            "fresh": request.fresh,
            "policy": decided.policy.hash(),
        }
    )
