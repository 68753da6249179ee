"""Speaks with the gateway as one person.

A retry is safe because every paid question carries a key: the gateway gives the same key, asker, team and
body the same answer and charges once.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from civic_kernel import wire
from civic_kernel.calling import RETRY_SECONDS, Caller, segment
from civic_kernel.errors import BadAnswer, PurposeMissing, QuestionWaits, TeamMissing
from civic_kernel.held import WAIT_SECONDS, wait_for
from civic_kernel.settings import Settings, Token, read_settings
from civic_kernel.texts import Language
from civic_kernel.told import Told

if TYPE_CHECKING:
    import httpx

#: A question that was decided on and waits again (its policy changed meanwhile) is no loop to stay in.
MOST_WAITS = 5


class Client(Caller):
    """Asks the gateway as one person, for one team and one purpose.

    `answers` keeps the full body of every answer, in the order of asking, each once: a report run publishes
    them beside its figures, and anyone can run the notebook again from them and from what it was `told` besides.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Token,
        team: str | None = None,
        purpose: str | None = None,
        language: Language = "ko",
        http: httpx.Client | None = None,
        retry_seconds: float = RETRY_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        super().__init__(base_url, token, language, http, retry_seconds)
        self.team = team
        self.purpose = purpose
        self.answers: list[dict[str, Any]] = []
        self.told = Told()
        self._gateway_keys: dict[str, str] = {}
        self._wait_seconds = wait_seconds

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Client:
        """The client that the environment describes. Raises SettingInvalid or NotSignedIn."""
        s = settings or read_settings()
        return cls(s.gateway_url, s.token, s.team, s.purpose, s.language)

    def __repr__(self) -> str:
        return f"<civic client, team {self.team}, purpose {self.purpose}>"

    # --- reading ---

    def catalog(self) -> wire.Catalog:
        return wire.parse(wire.Catalog, self._call("GET", "/v1/catalog"), self.language)

    def dataset(self, dataset: str) -> wire.DatasetDetail:
        body = self._call("GET", f"/v1/datasets/{segment(dataset)}")
        detail = wire.parse(wire.DatasetDetail, body, self.language)
        self.told.datasets[detail.id] = body
        return detail

    def team_answers(self) -> list[wire.AnswerLine]:
        """What the asker's teams have asked so far; each can be fetched again without charge."""
        body = self._call("GET", "/v1/answers")
        # The list stands bare in the contract; wrapped here, so that one parser judges every shape.
        return wire.parse(wire.AnswerList, {"answers": body}, self.language).answers

    def answer(self, answer_id: str) -> wire.AnswerBody:
        return self._keep(self._call("GET", f"/v1/answers/{segment(answer_id)}"))

    # --- asking ---

    def price(
        self,
        question: dict[str, Any] | str,
        spend: dict[str, Any] | None = None,
        *,
        team: str | None = None,
        purpose: str | None = None,
        fresh: bool = False,
    ) -> wire.PriceBody:
        """What the question (a plan, or one SELECT) would cost, without asking it. Touches no data, costs nothing."""
        body = self._question(question, spend, team, purpose, fresh)
        return wire.parse(wire.PriceBody, self._call("POST", "/v1/price", body), self.language)

    def ask(
        self,
        question: dict[str, Any] | str,
        spend: dict[str, Any] | None = None,
        *,
        team: str | None = None,
        purpose: str | None = None,
        fresh: bool = False,
    ) -> wire.AnswerBody:
        """The signed answer, paid for by the team (nothing, where it is stored).

        Where a person has to decide first, waits for her and shows that it does. Raises then QuestionRefused,
        QuestionWaits or WaitingStopped.
        """
        body = self._question(question, spend, team, purpose, fresh)
        body["key"] = secrets.token_urlsafe(24)
        for _ in range(MOST_WAITS):
            found = self._call("POST", "/v1/answers", body)
            if not isinstance(found, dict) or "approval_id" not in found:
                return self._answered(body, found)
            held = wire.parse(wire.Held, found, self.language)
            wait_for(held, partial(self.approval, held.approval_id), self.language, self._wait_seconds)
        raise QuestionWaits.say(self.language, approval=held.approval_id)

    # --- what waits for a person ---

    def approvals(self) -> list[wire.Held]:
        """What waits in the asker's teams, and what became of it; newest first."""
        body = self._call("GET", "/v1/approvals")
        return wire.parse(wire.HeldList, {"approvals": body}, self.language).approvals

    def approval(self, approval_id: str) -> wire.Held:
        body = self._call("GET", f"/v1/approvals/{segment(approval_id)}")
        return wire.parse(wire.Held, body, self.language)

    def decide(self, approval_id: str, decision: Literal["approve", "refuse"]) -> wire.Held:
        """Raises ApprovalNotYours, ApprovalEnded or UnknownApproval."""
        body = self._call("POST", f"/v1/approvals/{segment(approval_id)}", {"decision": decision})
        return wire.parse(wire.Held, body, self.language)

    def allowances(self) -> list[wire.AllowanceLine]:
        """What each seat of the asker's teams may spend without asking."""
        body = self._call("GET", "/v1/allowances")
        return wire.parse(wire.AllowanceList, {"allowances": body}, self.language).allowances

    def allow(self, wanted: dict[str, Any]) -> wire.AllowanceMeaning:
        """Set an allowance: `{"team", "dataset", "seats", "rho", "from", "until", "dry_run"}`, `rho` in nano-ρ."""
        return wire.parse(wire.AllowanceMeaning, self._call("POST", "/v1/allowances", wanted), self.language)

    def rows(
        self, plan: dict[str, Any], *, team: str | None = None, purpose: str | None = None
    ) -> wire.AnswerBody:
        """One page of rows of an open dataset: free, and fetched as an Arrow stream, since it may be a long one."""
        body = self._question(plan, None, team, purpose, fresh=False)
        return self._answered(body, self._call("POST", "/v1/answers", body, accept=wire.ARROW))

    def release(self, record: dict[str, Any]) -> dict[str, Any]:
        """Hand in a release record: `{"release_id", "state"}`. The same record twice is one release."""
        body = self._call("POST", "/v1/releases", {"record": record})
        if not isinstance(body, dict) or not isinstance(body.get("release_id"), str):
            raise BadAnswer.say(self.language)
        return body

    def get(self, path: str) -> Any:
        """A public or own document as the gateway gives it (`/v1/ledger`, `/v1/policies`, `/v1/parties`)."""
        return self._call("GET", path)

    def _question(
        self,
        question: dict[str, Any] | str,
        spend: dict[str, Any] | None,
        team: str | None,
        purpose: str | None,
        fresh: bool,
    ) -> dict[str, Any]:
        team, purpose = team or self.team, purpose or self.purpose
        if not team:
            raise TeamMissing.say(self.language)
        if not purpose:
            raise PurposeMissing.say(self.language)
        asked = {"sql": question} if isinstance(question, str) else {"plan": question}
        return {**asked, "spend": spend, "team": team, "purpose": purpose, "fresh": fresh}

    def _answered(self, question: dict[str, Any], body: Any) -> wire.AnswerBody:
        answer = self._keep(body)
        self.told.note(question, answer.answer_id)
        return answer

    def _keep(self, body: Any) -> wire.AnswerBody:
        answer = wire.parse_answer(body, self._keys_for(body), self.language)
        if all(kept["answer_id"] != answer.answer_id for kept in self.answers):
            self.answers.append(body)
        return answer

    def _keys_for(self, body: Any) -> dict[str, str]:
        """The gateway's public keys; fetched once, and again where an answer names a key made since."""
        named = body.get("signature") if isinstance(body, dict) else None
        key_id = named.get("key_id") if isinstance(named, dict) else None
        if key_id not in self._gateway_keys:
            parties = wire.parse(wire.Parties, self._call("GET", "/v1/parties"), self.language)
            self._gateway_keys = {k.id: k.public for k in parties.register_.keys if k.use == "gateway"}
        return self._gateway_keys
