"""Questions written as SQL, and questions that were asked before: found again, reopened, cited."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from civic_kernel.client import Client
from civic_kernel.frames import labelled_frame, origin_of
from civic_kernel.price_card import Price, show
from civic_kernel.queries import PRECISIONS, Cell, Spend, spend_document
from civic_kernel.sql_text import sql_of
from civic_kernel.texts import Language, text

if TYPE_CHECKING:
    import pandas as pd

    from civic_kernel.frames import AnswerFrame
    from civic_kernel.wire import AnswerBody


@dataclass(frozen=True)
class SqlQuestion:
    """A question as one SELECT. The gateway reads it as a plan and never runs it; docs/sql.md has the language."""

    text: str
    client: Client = field(repr=False)

    def price(
        self,
        spend: Spend = None,
        *,
        cell: Cell = None,
        team: str | None = None,
        purpose: str | None = None,
    ) -> Price:
        """What it would cost and how exact it would be. Costs nothing. Raises SqlRefused, which says what to write."""
        return self._price(self._spend(spend, cell), team, purpose, fresh=False)

    def ask(
        self,
        spend: Spend = None,
        *,
        cell: Cell = None,
        team: str | None = None,
        purpose: str | None = None,
        fresh: bool = False,
        quiet: bool = False,
    ) -> AnswerFrame:
        """Ask, pay, and get the frame; as `Question.ask`."""
        sent = self._spend(spend, cell)
        if not quiet:
            show(self._price(sent, team, purpose, fresh))
        return _frame(self.client, self.client.ask(self.text, sent, team=team, purpose=purpose, fresh=fresh))

    def _price(
        self, sent: dict[str, Any] | None, team: str | None, purpose: str | None, fresh: bool
    ) -> Price:
        body = self.client.price(self.text, sent, team=team, purpose=purpose, fresh=fresh)
        return Price(body, self.client.dataset(str(body.plan["dataset"])), self.client.language)

    def _spend(self, spend: Spend, cell: Cell) -> dict[str, Any] | None:
        # Which dataset is asked stands in the text, which only the gateway reads: it also judges the precision.
        return spend_document(spend, PRECISIONS.values(), self.client.language, cell)


def team_questions(client: Client, containing: str = "") -> pd.DataFrame:
    """What the asker's teams have asked, newest first: one row for each answer, with its question as SQL.

    Columns: `answer_id`, `dataset`, `question`, `rho` (zCDP, for each month it reads), `team`, `purpose`,
    `issued_at`. A question that SQL cannot say stands there as JSON. `containing` keeps the questions with
    these words in them.
    """
    import pandas as pd

    columns = ["answer_id", "dataset", "question", "rho", "team", "purpose", "issued_at"]
    rows = [
        (
            line.answer_id,
            line.plan["dataset"],
            sql_of(line.plan) or json.dumps(line.plan, ensure_ascii=False),
            line.rho / 1e9,
            line.team,
            line.purpose,
            line.issued_at,
        )
        for line in client.team_answers()
    ]
    found = pd.DataFrame([row for row in rows if containing.lower() in str(row[2]).lower()], columns=columns)
    return found


def reopened(client: Client, answer_id: str) -> AnswerFrame:
    """The same signed answer again, free. Raises UnknownAnswer for one that no team of the asker's has asked."""
    return _frame(client, client.answer(answer_id))


def cite(frame: pd.DataFrame, language: Language | None = None) -> str:
    """One line to put under a table or into a text: what it is, which answer it stands on, and of when.

    Raises FrameUnsuitable for a table that has lost its provenance.
    """
    origin = origin_of(frame)
    spoken: Language = language or origin["language"]
    said = text(
        spoken,
        "kernel",
        "cite.answer",
        title=origin["title"][spoken],
        answer_id=origin["answer_id"],
        data=origin["data_version"],
        policy=origin["policy_version"],
        team=origin["team"],
        day=str(origin["issued_at"])[:10],
    )
    return f"{said} {text(spoken, 'kernel', 'cite.synthetic')}" if origin["synthetic"] else said


def _frame(client: Client, answer: AnswerBody) -> AnswerFrame:
    return labelled_frame(answer, client.dataset(answer.statement.dataset), client.language)
