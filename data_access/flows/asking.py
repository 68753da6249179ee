"""Which lane a question goes to: the dataset's policy says it, never the asker.

The lane is looked up here without any check, only to choose; each lane then verifies the policy itself and refuses a
dataset that is not its own.
"""

from __future__ import annotations

from typing import Any

from data_access.db import Database
from data_access.flows.answering import Answering
from data_access.flows.asked import Answered, Asker, PriceTag, Request
from data_access.flows.governing import Governing
from data_access.flows.open_lane import OpenAnswering, OpenPrice
from data_access.policy import Lane
from data_access.query.sql import named_dataset


class Asking:
    def __init__(
        self, database: Database, governing: Governing, private: Answering, open_lane: OpenAnswering
    ) -> None:
        self._database = database
        self._governing = governing
        self._private = private
        self._open = open_lane

    def price(self, asker: Asker, request: Request) -> PriceTag | OpenPrice:
        return self._lane(request).price(asker, request)

    def answer(self, asker: Asker, request: Request) -> Answered:
        return self._lane(request).answer(asker, request)

    def reopen(self, asker: Asker, answer_id: str) -> Answered:
        """The same bytes again, whichever lane they came from."""
        return self._private.reopen(asker, answer_id)

    def _lane(self, request: Request) -> Answering | OpenAnswering:
        name = named_dataset(request.sql) if request.sql is not None else _named(request.plan)
        with self._database.reading() as connection:
            lane = None if name is None else self._governing.lane(connection, name)
        # Whatever is not known to be open is the private lane's to refuse.
        return self._open if lane is Lane.OPEN else self._private


def _named(plan: Any) -> str | None:
    name = plan.get("dataset") if isinstance(plan, dict) else None
    # Anything else than a name of the catalog's would reach the database as a text that it may not take.
    return name if isinstance(name, str) and name.isidentifier() and name.isascii() else None
