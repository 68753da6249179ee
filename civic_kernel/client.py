"""The one place that speaks HTTP with the gateway.

A retry is safe because every paid question carries a key: the gateway gives the same key, asker, team and
body the same answer and charges once. So a lost connection, a proxy that is restarting and a question that
another process is just computing are all simply asked again for a while, and nothing else is.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from civic_kernel import wire
from civic_kernel.errors import (
    AnswerInProgress,
    BadAnswer,
    CivicError,
    GatewayUnreachable,
    NotSignedIn,
    PurposeMissing,
    QuestionWaits,
    SettingInvalid,
    TeamMissing,
    error_from_envelope,
)
from civic_kernel.held import WAIT_SECONDS, wait_for
from civic_kernel.settings import Settings, Token, read_settings
from civic_kernel.texts import Language
from civic_kernel.told import Told

if TYPE_CHECKING:
    import httpx

#: Seconds. An answer leaves at a deadline fixed by the policy's size class, which may be a minute.
CONNECT_SECONDS, READ_SECONDS = 5.0, 180.0
RETRY_SECONDS = 20.0
#: A question that was decided on and waits again (its policy changed meanwhile) is no loop to stay in.
MOST_WAITS = 5


class Client:
    """Asks the gateway as one person, for one team and one purpose.

    `answers` keeps the full body of every answer, in the order of asking, each once: a report run publishes
    them beside its figures, and anyone can run the notebook again from them and from what it was `told` besides.

    `http` is for tests and for a run whose only way out is a socket: any `httpx.Client`, whose base URL and
    headers are then its owner's affair.
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
        self.team = team
        self.purpose = purpose
        self.language = language
        self.answers: list[dict[str, Any]] = []
        self.told = Told()
        self._gateway_keys: dict[str, str] = {}
        self._token = token if isinstance(token, Token) else Token(token)
        self._retry_seconds = retry_seconds
        self._wait_seconds = wait_seconds
        if http is None:
            if not base_url:
                raise SettingInvalid.say(language, setting="CIVIC_GATEWAY_URL")
            if not self._token:
                raise NotSignedIn.say(language)
            import httpx

            # trust_env=False: a proxy from the environment would be handed the token.
            http = httpx.Client(
                base_url=base_url,
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                trust_env=False,
            )
        self._http = http

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Client:
        """The client that the environment describes. Raises SettingInvalid or NotSignedIn."""
        s = settings or read_settings()
        return cls(s.gateway_url, s.token, s.team, s.purpose, s.language)

    def __repr__(self) -> str:
        return f"<civic client, team {self.team}, purpose {self.purpose}>"

    def close(self) -> None:
        self._http.close()

    # --- reading ---

    def catalog(self) -> wire.Catalog:
        return wire.parse(wire.Catalog, self._call("GET", "/v1/catalog"), self.language)

    def dataset(self, dataset: str) -> wire.DatasetDetail:
        body = self._call("GET", f"/v1/datasets/{_segment(dataset)}")
        detail = wire.parse(wire.DatasetDetail, body, self.language)
        self.told.datasets[detail.id] = body
        return detail

    def team_answers(self) -> list[wire.AnswerLine]:
        """What the asker's teams have asked so far; each can be fetched again without charge."""
        body = self._call("GET", "/v1/answers")
        # The list stands bare in the contract; wrapped here, so that one parser judges every shape.
        return wire.parse(wire.AnswerList, {"answers": body}, self.language).answers

    def answer(self, answer_id: str) -> wire.AnswerBody:
        return self._keep(self._call("GET", f"/v1/answers/{_segment(answer_id)}"))

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
        body = self._call("GET", f"/v1/approvals/{_segment(approval_id)}")
        return wire.parse(wire.Held, body, self.language)

    def decide(self, approval_id: str, decision: Literal["approve", "refuse"]) -> wire.Held:
        """Raises ApprovalNotYours, ApprovalEnded or UnknownApproval."""
        body = self._call("POST", f"/v1/approvals/{_segment(approval_id)}", {"decision": decision})
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

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, accept: str = "application/json"
    ) -> Any:
        import tenacity

        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type((GatewayUnreachable, AnswerInProgress)),
            stop=tenacity.stop_after_delay(self._retry_seconds),
            wait=tenacity.wait_exponential(multiplier=0.1, max=2.0),
            reraise=True,
        )
        return again(self._call_once, method, path, body, accept)

    def _call_once(self, method: str, path: str, body: dict[str, Any] | None, accept: str) -> Any:
        import httpx

        headers = {
            "Authorization": f"token {self._token.reveal()}",
            "Accept-Language": self.language,
            "Accept": accept,
        }
        # `from None` throughout: httpx keeps the request, and with it the token, on its exceptions.
        try:
            response = self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            raise GatewayUnreachable.say(self.language) from None
        try:
            is_arrow = response.headers.get("content-type", "").startswith(wire.ARROW)
            document = wire.document_from_arrow(response.content) if is_arrow else response.json()
        except ValueError:
            document = None
        if response.status_code in (200, 201, 202):
            if document is None:
                raise BadAnswer.say(self.language)
            return document
        raise self._failure(response.status_code, document)

    def _failure(self, status: int, document: Any) -> CivicError:
        """The gateway's own failure, or what a proxy or Hub that spoke in its place must mean."""
        named = error_from_envelope(document)
        if named is not None:
            return named
        if status in (401, 403):
            return NotSignedIn.say(self.language)
        if status in (502, 503, 504):
            return GatewayUnreachable.say(self.language)
        return BadAnswer.say(self.language)


def _segment(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")
