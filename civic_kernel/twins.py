"""The twin: dummy rows of a dataset, and all ways of asking on them, here and free.

    rides = civic.twin("bike_rides")
    rides.by(rides.start_gu).agg(rides=civic.count()).ask()

The rows are made from signed metadata alone, so nothing computed from them says anything about anybody. Tables have
the shape of real answers: the same columns and cells, intervals as wide as a real answer's at that spend, cells
withheld by the same rule. Their figures carry no noise. Each frame says "made up" first, and the screen lets none
of them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from civic_kernel import wire
from civic_kernel.client import Client
from civic_kernel.errors import BadAnswer
from civic_kernel.queries import Dataset
from civic_kernel.twin_table import TwinTable
from civic_kernel.verify.documents import canonical_bytes, content_id

if TYPE_CHECKING:
    import pandas as pd

#: The gateway's most for one request.
_PAGE = 20_000


class Twin(Dataset):
    """A dataset of made-up rows. Columns, `where`, `by`, `agg` are the dataset's; `table` has the rows."""

    def __init__(self, detail: wire.DatasetDetail, client: TwinClient) -> None:
        super().__init__(detail, client)
        self._twin = client

    @property
    def table(self) -> pd.DataFrame:
        """The dummy rows, a copy; `made_up` is true in each."""
        return self._twin.made.assign(made_up=True)

    def sql(self, question: str) -> pd.DataFrame:
        """One SELECT, translated by the gateway as ever (which costs nothing), answered from these rows."""
        return self._twin.frame(self._twin.translated(question), self._detail)

    def answer(self, plan: dict[str, Any]) -> pd.DataFrame:
        """A plan as JSON, answered from these rows."""
        return self._twin.frame(plan, self._detail)


def make_twin(client: Client, dataset: str, rows: int, seed: int) -> Dataset:
    """Fetch `rows` dummy rows; for an open dataset nothing is made up, since its own rows are free. Raises
    UnknownDataset, or the code of what closes the dataset.
    """
    detail = client.dataset(dataset)
    if detail.is_open:
        return Dataset(detail, client)
    table, clips = twin_rows(client, dataset, rows, seed)
    return Twin(detail, TwinClient(client, detail, table, clips))


def twin_rows(
    client: Client, dataset: str, rows: int, seed: int
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """The table, and the clips of its measure columns. Raises BadAnswer for rows that are not marked as made up."""
    import pandas as pd

    from civic_kernel.calling import segment

    found: list[list[Any]] = []
    columns: list[str] = []
    clips: dict[str, dict[str, Any]] = {}
    while len(found) < rows:
        wanted = min(rows - len(found), _PAGE)
        place = f"/v1/datasets/{segment(dataset)}/twin?rows={wanted}&after={len(found)}&seed={seed}"
        body = client.get(place)
        good = isinstance(body, dict) and body.get("made_up") is True and len(body.get("rows", ())) == wanted
        if not good:
            raise BadAnswer.say(client.language)
        found += body["rows"]
        columns, clips = body["columns"], body["clips"]
    return pd.DataFrame(found, columns=columns), clips


class TwinClient(Client):
    """Stands where the client stands, and asks the rows instead of the gateway. Keeps no answers: none is one."""

    def __init__(
        self,
        client: Client,
        detail: wire.DatasetDetail,
        rows: pd.DataFrame,
        clips: Mapping[str, Mapping[str, Any]],
    ) -> None:
        # Not Client.__init__: this one has no token and no connection of its own.
        self.team, self.purpose, self.language = client.team, client.purpose, client.language
        self.answers = []
        self.made = rows
        self._real, self._detail = client, detail
        self._table = TwinTable(detail, rows, clips, client.language)

    def __repr__(self) -> str:
        return f"<twin of {self._detail.id}, {len(self.made)} made-up rows>"

    def close(self) -> None:
        """Nothing of its own is open."""

    def translated(self, question: str) -> dict[str, Any]:
        """The plan of one SELECT, as the gateway reads it. Names team and purpose as a real question does."""
        return self._real.price(question).plan

    def price(
        self,
        question: Any,
        spend: dict[str, Any] | None = None,
        *,
        team: str | None = None,
        purpose: str | None = None,
        fresh: bool = False,
    ) -> wire.PriceBody:
        """What is sure of it: that it is free, and how wide a real answer's intervals would be."""
        plan = self.translated(question) if isinstance(question, str) else question
        statement = self._table.statement(plan, spend, team or self.team, purpose or self.purpose)
        return wire.parse(
            wire.PriceBody,
            {
                "plan": statement["plan"],
                "plan_id": "twin",
                "rho": statement["spend"]["rho"],
                "periods": statement["periods"],
                "cells": len(statement["table"]["rows"]),
                "measures": statement["mechanism"]["measures"],
                "team": statement["team"],
                "left": {},
                "share_of_left": None,
                "more_such": None,
                "stored": None,
                "free": True,
                "made_up": True,
            },
            self.language,
        )

    def ask(
        self,
        question: Any,
        spend: dict[str, Any] | None = None,
        *,
        team: str | None = None,
        purpose: str | None = None,
        fresh: bool = False,
    ) -> wire.AnswerBody:
        """A table of the real answer's shape, from made-up rows. Costs nothing and is signed by nobody."""
        plan = self.translated(question) if isinstance(question, str) else question
        statement = self._table.statement(plan, spend, team or self.team, purpose or self.purpose)
        body = {
            "answer_id": content_id("twin", canonical_bytes(statement)),
            "signature": {"key_id": "", "ed25519": ""},
            "newer_data": False,
            "newer_policy": False,
            "charged": 0,
            "statement": statement,
        }
        return wire.parse(wire.AnswerBody, body, self.language)

    def frame(self, plan: dict[str, Any], detail: wire.DatasetDetail) -> pd.DataFrame:
        from civic_kernel.frames import frame_from_answer

        labels = {c.name: c.label.model_dump() for c in detail.columns}
        geography = {c.name: c.geography for c in detail.columns if c.geography}
        return frame_from_answer(self.ask(plan), self.language, labels, geography)
