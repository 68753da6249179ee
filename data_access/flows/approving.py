"""Questions that wait for a person: asked, shown in words with their price, decided on, and asked again.

Two causes, one way. A seat's question that passes its allowance is decided by somebody who leads the team; a
room's question by any member in person, since a room's token belongs to nobody in particular. While an allowance
is in force, only somebody who leads decides on the room's questions too: else a seat would ask in the room what
passes its share, and approve it itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from data_access.answers import Cause, Hold, Holds, State, measure_document
from data_access.audit import Chain, EventKind
from data_access.canonical import Json
from data_access.db import Database
from data_access.errors import ApprovalEnded, ApprovalNotYours, CivicError, Phrase, UnknownApproval
from data_access.flows.answering import Answering
from data_access.flows.asked import Answered, Asker, MustWait, Request
from data_access.flows.gate import Gate, question_of
from data_access.flows.governing import Governing
from data_access.flows.releasing import SERVICE
from data_access.ledger import Book
from data_access.policy import Policy
from data_access.policy.words import question_words
from data_access.pricing import share_of
from data_access.privacy.budget import Rho
from data_access.texts import LANGUAGES

Decision = Literal["approve", "refuse"]
#: A state that nobody writes down: another policy is in force than the one that its price is of, or none.
VOID = "void"
_DECIDED: dict[Decision, Literal["approved", "refused"]] = {"approve": "approved", "refuse": "refused"}


@dataclass(frozen=True)
class Approving:
    database: Database
    governing: Governing
    answering: Answering
    book: Book
    holds: Holds
    gate: Gate
    chain: Chain

    def answer(self, asker: Asker, request: Request) -> Answered | Hold:
        """As `Answering.answer`; a question that has to wait is kept, and comes back as what waits.

        Raises also WaitingFull.
        """
        try:
            return self.answering.answer(asker, request)
        except MustWait as wait:
            return self._keep(wait)

    def list(self, who: Asker) -> list[dict[str, Any]]:
        """What waits in the asker's teams and what became of it, newest first."""
        self._expire()
        with self.database.reading() as connection:
            found = self.holds.of_teams(connection, who.teams)
            policies = {dataset: self._policy(connection, dataset) for dataset in {h.dataset for h in found}}
            return [self._document(connection, hold, who, policies[hold.dataset]) for hold in found]

    def get(self, who: Asker, approval: str) -> dict[str, Any]:
        """Raises UnknownApproval, also for one of another team: refused and absent look alike."""
        self._expire()
        with self.database.reading() as connection:
            return self.document(connection, self._of_team(connection, who, approval), who)

    def decide(self, who: Asker, approval: str, decision: Decision) -> dict[str, Any]:
        """Let it be asked once, or not. The same word of the same person again changes nothing.

        Raises UnknownApproval, ApprovalNotYours, ApprovalEnded, or what closes the dataset.
        """
        # In a transaction of its own: what is over stays written down when the decision is refused.
        self._expire()
        wanted = _DECIDED[decision]
        with self.database.transaction() as tx:
            hold = self._of_team(tx.connection, who, approval)
            if not self._may_decide(tx.connection, hold, who):
                raise ApprovalNotYours()
            if hold.state.value == wanted and hold.person == who.name:
                return self.document(tx.connection, hold, who)
            if hold.state is not State.WAITING:
                raise _ended(hold.state.value)
            if decision == "approve":
                policy = self.governing.in_force(tx.connection, hold.dataset).policy
                if policy.hash() != hold.policy_hash:
                    # Her word would be for a price that is no longer asked.
                    raise _ended(VOID)
            decided = self.holds.decide(tx, hold, wanted, who.name)
            self.chain.append(
                tx,
                EventKind.APPROVAL_DECIDED,
                {
                    "approval": hold.id,
                    "by": self.gate.public_name(who.name),
                    "cause": hold.cause.value,
                    "decision": wanted,
                    "nano": hold.nano,
                    "periods": list(hold.periods),
                    "plan": hold.plan_id,
                    "policy": hold.policy_hash,
                    "team": hold.team,
                },
            )
            return self.document(tx.connection, decided, who)

    def document(self, connection: Connection, hold: Hold, who: Asker) -> dict[str, Any]:
        """What is shown of it: the question in words, its price as a share of what is left now, and its state."""
        return self._document(connection, hold, who, self._policy(connection, hold.dataset))

    def _document(
        self, connection: Connection, hold: Hold, who: Asker, policy: Policy | None
    ) -> dict[str, Any]:
        shown, state = hold.document, hold.state.value
        is_open = hold.state in (State.WAITING, State.APPROVED)
        if is_open and (policy is None or policy.hash() != hold.policy_hash):
            is_open, state = False, VOID
        return {
            "approval_id": hold.id,
            "state": state,
            "cause": hold.cause.value,
            "team": hold.team,
            "asker": hold.asker,
            "dataset": hold.dataset,
            "dataset_title": shown["dataset_title"],
            "purpose": shown["purpose"],
            "fresh": shown["fresh"],
            "question": shown["question"],
            "plan": shown["plan"],
            "price": {
                "rho": hold.nano,
                "periods": list(hold.periods),
                "measures": shown["measures"],
                **self._left(connection, hold, policy if is_open else None),
            },
            "asked_at": hold.asked_at,
            "expires_at": hold.expires_at,
            "decided_by": hold.person,
            "decided_at": hold.decided_at,
            "answer_id": hold.answer,
            "mine": hold.asker == who.name,
            "can_decide": state == State.WAITING.value and self._may_decide(connection, hold, who),
        }

    def _keep(self, wait: MustWait) -> Hold:
        decided, quote, request = wait.decided, wait.decided.quote, wait.decided.request
        entry = decided.force.entry
        document: dict[str, Json] = {
            "dataset_title": entry.title.model_dump(),
            "fresh": request.fresh,
            "measures": {
                name: {"fn": told["fn"], "margin": told["margin"]}
                for name, _ in quote.bound.plan.measures
                if (told := measure_document(quote, name))
            },
            "periods": sorted(wait.costs),
            "plan": quote.bound.document,
            "purpose": request.purpose,
            # In the words of the labels that stood in the catalog when it was asked.
            "question": {spoken: question_words(quote.bound.plan, entry, spoken) for spoken in LANGUAGES},
        }
        with self.database.transaction() as tx:
            return self.holds.add(
                tx,
                question=question_of(decided),
                cause=wait.cause,
                team=request.team,
                asker=decided.asker.name,
                dataset=decided.policy.dataset,
                policy_hash=decided.policy.hash(),
                plan_id=quote.bound.id,
                nano=max(wait.costs.values()),
                document=document,
            )

    def _of_team(self, connection: Connection, who: Asker, approval: str) -> Hold:
        hold = self.holds.get(connection, approval)
        if hold.team not in who.teams:
            raise UnknownApproval()
        return hold

    def _may_decide(self, connection: Connection, hold: Hold, who: Asker) -> bool:
        if who.is_room or who.name.startswith(SERVICE) or hold.team not in who.teams:
            return False
        if who.leads:
            return True
        if hold.cause is not Cause.ROOM or not who.asks:
            return False
        return self.gate.allowances.in_force(connection, hold.team, hold.dataset) is None

    def _policy(self, connection: Connection, dataset: str) -> Policy | None:
        """The policy in force; None where the dataset is closed."""
        try:
            return self.governing.in_force(connection, dataset).policy
        except CivicError:
            return None

    def _left(self, connection: Connection, hold: Hold, policy: Policy | None) -> dict[str, Any]:
        if policy is None:
            return {"share_of_left": None, "more_such": None}
        left = self.book.left(connection, policy, hold.team, hold.periods)
        least = min(rest.nano for rest in left.values())
        return {
            "share_of_left": f"{share_of(Rho(hold.nano), least):.4f}",
            "more_such": max(0, least // hold.nano),
        }

    def _expire(self) -> None:
        with self.database.reading() as connection:
            due = self.holds.is_due(connection)
        if due:
            with self.database.transaction() as tx:
                self.holds.expire(tx)


def _ended(state: str) -> ApprovalEnded:
    return ApprovalEnded(state=Phrase("words", f"ended.{state}"))
