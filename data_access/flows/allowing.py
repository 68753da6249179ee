"""An allowance for each seat of a workshop, out of the team's cap: tried out, set, and read by whom it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from data_access.audit import Chain, EventKind
from data_access.clock import Clock
from data_access.db import Database
from data_access.errors import AllowanceTooLarge, MalformedRequest, NotOffered, TeamNotYours
from data_access.flows.asked import Asker
from data_access.flows.gate import Gate
from data_access.flows.governing import Governing
from data_access.ledger import Allowance, Book
from data_access.policy import Lane, Policy
from data_access.pricing import share_of
from data_access.privacy.budget import Rho


@dataclass(frozen=True)
class Wish:
    """What somebody who leads wants each seat to have: `nano` for each period. None: from now on, until another."""

    team: str
    dataset: str
    seats: int
    nano: int
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True)
class Allowing:
    database: Database
    governing: Governing
    book: Book
    gate: Gate
    chain: Chain
    clock: Clock

    def set(self, who: Asker, wish: Wish, *, dry_run: bool) -> dict[str, Any]:
        """Set it, or with `dry_run` only say what it would mean.

        Raises TeamNotYours, MalformedRequest, NotOffered, AllowanceTooLarge, or what closes the dataset.
        """
        if wish.team not in who.teams or not who.leads:
            raise TeamNotYours()
        if wish.starts_at and wish.ends_at and wish.ends_at < wish.starts_at:
            raise MalformedRequest(where="until")
        with self.database.transaction() as tx:
            policy = self.governing.in_force(tx.connection, wish.dataset).policy
            if policy.lane is not Lane.PRIVATE:
                raise NotOffered(feature=policy.lane.value)
            meaning = self._meaning(tx.connection, policy, wish)
            if dry_run:
                return {"dry_run": True, "allowance": None, **meaning}
            made = self.gate.allowances.set(
                tx,
                team=wish.team,
                dataset=wish.dataset,
                seats=wish.seats,
                nano=wish.nano,
                starts_at=wish.starts_at,
                ends_at=wish.ends_at,
                by=who.name,
            )
            self.chain.append(
                tx,
                EventKind.ALLOWANCE_SET,
                {
                    "allowance": made.id,
                    "by": self.gate.public_name(who.name),
                    "dataset": made.dataset,
                    "lineage": policy.lineage,
                    "nano": made.nano,
                    "seats": made.seats,
                    "starts_at": made.starts_at,
                    "ends_at": made.ends_at,
                    "team": made.team,
                },
            )
            return {"dry_run": False, "allowance": self._document(tx.connection, made, who), **meaning}

    def list(self, who: Asker) -> list[dict[str, Any]]:
        """The allowances of the asker's teams that are in force or still to begin, and what she has left of each."""
        with self.database.reading() as connection:
            found = self.gate.allowances.of_teams(connection, who.teams)
            return [self._document(connection, each, who) for each in found]

    def _meaning(self, connection: Connection, policy: Policy, wish: Wish) -> dict[str, Any]:
        """All seats together against what the team has left in each period. Raises AllowanceTooLarge where that is
        more than in any of them: months that are spent already may be short, and are named.
        """
        left = self.book.left(connection, policy, wish.team, policy.periods())
        whole = wish.seats * wish.nano
        most = max(0, *(rest.nano for rest in left.values()))
        if whole > most:
            raise AllowanceTooLarge(asked=str(Rho(min(whole, 2**62 - 1))), left=str(Rho(most)))
        return {
            "seats": wish.seats,
            "rho": wish.nano,
            "all_seats": whole,
            "share_of_left": f"{share_of(Rho(whole), most):.4f}",
            #: How many questions of each precision a seat can ask of one period.
            "questions": {
                name: wish.nano // Rho.parse(amount).nano for name, amount in policy.precisions.items()
            },
            "short": [period for period, rest in left.items() if rest.nano < whole],
        }

    def _document(self, connection: Connection, allowance: Allowance, who: Asker) -> dict[str, Any]:
        spent = self.gate.allowances.spent(connection, allowance, who.name)
        taken = self.gate.allowances.askers(connection, allowance)
        return {
            "allowance_id": allowance.id,
            "team": allowance.team,
            "dataset": allowance.dataset,
            "seats": allowance.seats,
            "rho": allowance.nano,
            "from": allowance.starts_at,
            "until": allowance.ends_at,
            "set_by": allowance.set_by,
            "set_at": allowance.set_at,
            "in_force": allowance.has_begun(self.clock.now()),
            "taken": len(taken),
            # A person who leads spends the team's cap, not a seat's share.
            "mine": {
                "has_share": who.name in taken or len(taken) < allowance.seats,
                "spent": spent,
            },
        }


def parse_moment(text: str | None, where: str) -> datetime | None:
    """`2026-11-23T04:05:06Z`, or with another offset. Raises MalformedRequest, also where it names no offset."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        # Without an offset it would be read in the machine's own zone. Other years have no four digits to compare.
        if moment.tzinfo is None or not 2000 <= moment.astimezone(UTC).year < 3000:
            raise ValueError
    except (ValueError, OverflowError):
        raise MalformedRequest(where=where) from None
    return moment
