"""Rows of an open dataset: `gu.rows("gu", "area_km2").where(gu.residents >= 300000).ask()`.

They come as the file has them, signed, page by page; a dataset with people in it has none to give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from civic_kernel.errors import PlanInvalid, RowsRefused, UnknownColumn
from civic_kernel.texts import speaker

if TYPE_CHECKING:
    from civic_kernel.frames import AnswerFrame
    from civic_kernel.queries import Dataset, Filter


@dataclass(frozen=True)
class RowsQuestion:
    """Rows that have not been fetched. Each method gives a new question."""

    dataset: Dataset
    columns: tuple[str, ...]
    conditions: tuple[Filter, ...] = ()
    #: None is as many as a page holds.
    most: int | None = None

    def where(self, *conditions: Filter) -> RowsQuestion:
        """Only rows that meet all `conditions`. A comparison with a missing value is not met, as in SQL."""
        self.dataset.where(*conditions)  # judges what was typed
        return replace(self, conditions=(*self.conditions, *conditions))

    def limit(self, most: int) -> RowsQuestion:
        """At most so many rows, the first in the order of the file."""
        offered = self.dataset.detail.rows
        if type(most) is not int or most < 1 or offered is None or most > offered.most:
            say = speaker(self.dataset._client.language, "kernel", "query.row_limit")
            facts = {"most": f"{offered.most:,}" if offered else "0"}
            raise PlanInvalid(say("", **facts), say(".remedy", **facts))
        return replace(self, most=most)

    @property
    def plan(self) -> dict[str, Any]:
        """The contract's plan of the first page."""
        nodes = [condition.node for condition in self.conditions]
        return {
            "dataset": self.dataset.detail.id,
            "where": None if not nodes else nodes[0] if len(nodes) == 1 else {"and": nodes},
            "rows": list(self.columns),
            "limit": self.most,
        }

    def ask(self, *, team: str | None = None, purpose: str | None = None) -> AnswerFrame:
        """One page, free. Its first line says where there are more rows than it holds."""
        from civic_kernel.frames import labelled_frame

        client = self.dataset._client
        answer = client.rows(self.plan, team=team, purpose=purpose)
        return labelled_frame(answer, self.dataset.detail, client.language)

    def pages(self, *, team: str | None = None, purpose: str | None = None) -> Iterator[AnswerFrame]:
        """All pages, one after the other, all of one version of the data; each is a signed answer of its own."""
        from civic_kernel.frames import labelled_frame

        client, after = self.dataset._client, None
        while True:
            answer = client.rows({**self.plan, "after": after}, team=team, purpose=purpose)
            yield labelled_frame(answer, self.dataset.detail, client.language)
            after = answer.statement.next
            if after is None:
                return

    def ask_all(self, *, team: str | None = None, purpose: str | None = None) -> AnswerFrame:
        """Every row in one table, which stands on the answers of all its pages."""
        import pandas as pd

        from civic_kernel.frames import KEY, AnswerFrame, Origin

        found = list(self.pages(team=team, purpose=purpose))
        origins = [frame.attrs[KEY] for frame in found]
        for frame in found:
            # pandas keeps `attrs` only where all parts agree, and warns of nothing.
            frame.attrs = {}
        whole = AnswerFrame(pd.concat(found, ignore_index=True))
        whole.attrs[KEY] = Origin(
            origins[0],
            answer_id=", ".join(origin["answer_id"] for origin in origins),
            noise_of=[origin["answer_id"] for origin in origins],
            rows=len(whole),
            next=None,
        )
        return whole


def make_rows(dataset: Dataset, columns: tuple[str, ...]) -> RowsQuestion:
    """Raises RowsRefused where rows stay in the vault, UnknownColumn, or PlanInvalid for what is no name."""
    offered = dataset.detail.rows
    if offered is None:
        raise RowsRefused.say(dataset._client.language)
    for name in columns:
        if not isinstance(name, str):
            say = speaker(dataset._client.language, "kernel", "query.rows")
            raise PlanInvalid(say(""), say(".remedy"))
        if name not in offered.columns:
            known = ", ".join(offered.columns)
            raise UnknownColumn.say(
                dataset._client.language, column=name, dataset=dataset.detail.id, known=known
            )
    return RowsQuestion(dataset, columns or tuple(offered.columns))
