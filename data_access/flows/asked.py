"""A question on its way: what was asked, what was decided about it, what was reserved for it, what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from data_access.answers import Cause, RollUp, StoredAnswer
from data_access.canonical import Json
from data_access.errors import MalformedRequest, TeamNotYours, UnknownPurpose
from data_access.flows.governing import InForce
from data_access.ledger import Reservation
from data_access.ledger.book import Left
from data_access.policy import Policy
from data_access.pricing import Quote, Size, share_of
from data_access.vault import View


@dataclass(frozen=True)
class Asker:
    """Who asks, as the Hub says: user or service name, and the teams it may spend for."""

    name: str
    teams: frozenset[str]
    #: A team's room: whoever sits in it asks with its token, so nobody in particular does.
    is_room: bool = False
    #: The token may ask; and it has the facilitator's right.
    asks: bool = False
    leads: bool = False


@dataclass(frozen=True)
class Request:
    """The body of price and answers, decoded from JSON but not yet believed. Either a plan or SQL."""

    plan: Any
    spend: Any
    team: str
    purpose: str
    fresh: bool = False
    key: str | None = None
    sql: str | None = None


#: Printable ASCII: a lone surrogate would reach the database's driver as text that it cannot store.
_RETRY_KEY = re.compile(r"[!-~]{1,64}")


def check_request(asker: Asker, request: Request, purposes: tuple[str, ...]) -> None:
    """Whether she may ask for this team and purpose. Raises TeamNotYours, UnknownPurpose, MalformedRequest."""
    if request.team not in asker.teams:
        raise TeamNotYours()
    if request.purpose not in purposes:
        raise UnknownPurpose(known=", ".join(purposes))
    if request.key is not None and not _RETRY_KEY.fullmatch(request.key):
        raise MalformedRequest(where="key")


@dataclass(frozen=True)
class PriceTag:
    quote: Quote
    left: dict[str, Left]
    stored: StoredAnswer | None
    #: What the measures whose error depends on it are told for.
    size: Size | None
    #: Answers that are there already for some of the periods, which then cost nothing.
    joins: dict[str, StoredAnswer]
    #: What can be added up from finer answers, free, whether or not it is as precise as was asked for.
    offers: tuple[RollUp, ...]
    #: What the answer will say of the rows past the bound.
    truncated: Json
    #: Why it would wait for a person if it were asked now.
    waits: Cause | None = None

    @property
    def to_pay(self) -> tuple[str, ...]:
        if self.stored:
            return ()
        free = {*self.joins, *(p for o in self.offers if o.suffices(self.quote) for p in o.quote.periods)}
        return tuple(period for period in self.quote.periods if period not in free)

    @property
    def tightest(self) -> Left:
        """Of the periods that are still to be paid for; of all where there are none."""
        return min((self.left[p] for p in self.to_pay or self.left), key=lambda left: left.nano)

    @property
    def share_of_left(self) -> Decimal:
        return share_of(self.quote.rho, self.tightest.nano)

    @property
    def more_such(self) -> int:
        """How many such questions the tightest period still buys."""
        return max(0, self.tightest.nano // self.quote.rho.nano)


@dataclass(frozen=True)
class Answered:
    answer: StoredAnswer
    charged: int
    newer_data: bool
    newer_policy: bool


@dataclass(frozen=True)
class Decided:
    """A question that this asker may ask of this policy, with its price."""

    asker: Asker
    request: Request
    force: InForce
    quote: Quote
    #: One question for each period, where it is keyed by the period; else it is its own one part.
    parts: tuple[Quote, ...]
    #: The policies whose answers may be joined or added up: a table has one meaning, so parts from before the
    #: row bound changed, say, are bought anew.
    alike: frozenset[str]
    size: Size | None

    @property
    def policy(self) -> Policy:
        return self.force.policy

    @property
    def is_joined(self) -> bool:
        return self.parts != (self.quote,)


@dataclass
class Reserved:
    """What a question gets: parts that are stored, and parts to run for on `view` under their reservations."""

    view: View
    #: What was charged just now: 0 where an earlier try was charged and left no bytes.
    paid: list[tuple[Quote, Reservation]] = field(default_factory=list)
    #: The joined answer's own; None where the question is its own one part.
    whole: Reservation | None = None
    stored: dict[str, StoredAnswer] = field(default_factory=dict)
    runs: list[tuple[Quote, Reservation]] = field(default_factory=list)

    @property
    def charged(self) -> int:
        return sum(part.rho.nano * len(part.periods) for part, _ in self.paid)

    @property
    def costs(self) -> dict[str, int]:
        """What was charged just now, by period."""
        found: Counter[str] = Counter()
        for part, _ in self.paid:
            for period in part.periods:
                found[period] += part.rho.nano
        return dict(found)


class MustWait(Exception):
    """Raised inside the transaction that would charge, so that nothing of it is kept. Not a refusal: flows/approving.py
    turns it into a question that waits.
    """

    def __init__(self, decided: Decided, cause: Cause, costs: Mapping[str, int]) -> None:
        self.decided, self.cause, self.costs = decided, cause, costs
        super().__init__(cause.value)
