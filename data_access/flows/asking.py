"""Which lane a question goes to: the dataset's policy says it, never the asker.

The lane is looked up here without any check, only to choose; each lane then verifies the policy itself and refuses a
dataset that is not its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_access.answers import Hold
from data_access.db import Database
from data_access.flows.answering import Answering
from data_access.flows.approving import Approving
from data_access.flows.asked import Answered, Asker, PriceTag, Request
from data_access.flows.governing import Governing
from data_access.flows.open_lane import OpenAnswering, OpenPrice
from data_access.policy import Lane
from data_access.query.sql import named_dataset


@dataclass(frozen=True)
class Asking:
    """`answering` prices and reopens; `approving` is what answers where a person may have to decide first."""

    database: Database
    governing: Governing
    answering: Answering
    approving: Approving
    open_lane: OpenAnswering

    def price(self, asker: Asker, request: Request) -> PriceTag | OpenPrice:
        return (self.open_lane if self._is_open(request) else self.answering).price(asker, request)

    def answer(self, asker: Asker, request: Request) -> Answered | Hold:
        """A question to an open dataset never waits: it takes nothing from anybody."""
        return (self.open_lane if self._is_open(request) else self.approving).answer(asker, request)

    def reopen(self, asker: Asker, answer_id: str) -> Answered:
        """The same bytes again, whichever lane they came from."""
        return self.answering.reopen(asker, answer_id)

    def _is_open(self, request: Request) -> bool:
        name = named_dataset(request.sql) if request.sql is not None else _named(request.plan)
        if name is None:
            # Whatever is not known to be open is the private lane's to refuse.
            return False
        with self.database.reading() as connection:
            return self.governing.lane(connection, name) is Lane.OPEN


def _named(plan: Any) -> str | None:
    name = plan.get("dataset") if isinstance(plan, dict) else None
    # Anything else than a name of the catalog's would reach the database as a text that it may not take.
    return name if isinstance(name, str) and name.isidentifier() and name.isascii() else None
