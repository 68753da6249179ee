"""A chain of events and a ledger for the stand-in gateway: what it answers is recorded, and a page can be checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from civic_kernel.verify.documents import canonical_bytes, sha256_hex

AT = "2026-11-23T00:00:00Z"
#: nano-ρ of a month; far more than any test spends.
BUDGET = 500 * 10**9


class Chain:
    """`sign` makes `{"key_id", "ed25519"}` over a document with the gateway's key."""

    def __init__(self, sign: Callable[[Any], dict[str, str]]) -> None:
        self._sign = sign
        self.events: list[dict[str, Any]] = []
        self._periods: dict[tuple[str, str], dict[str, Any]] = {}
        self._answers: set[str] = set()

    @property
    def head(self) -> dict[str, Any]:
        return {"seq": len(self.events), "hash": self.events[-1]["hash"] if self.events else "0" * 64}

    def ledger(self) -> dict[str, Any]:
        return {"periods": list(self._periods.values()), "head": self.head}

    def append(self, kind: str, facts: dict[str, Any]) -> None:
        event = {
            "seq": len(self.events) + 1,
            "at": AT,
            "kind": kind,
            "facts": facts,
            "previous": self.head["hash"],
        }
        signature = self._sign(event)["ed25519"]
        self.events.append({"event": event, "hash": sha256_hex(canonical_bytes(event)), "ed25519": signature})

    def answered(self, body: dict[str, Any], lineage: str) -> None:
        """Charge and answer, once for each answer."""
        statement, identity = body["statement"], body["answer_id"]
        if identity in self._answers:
            return
        self._answers.add(identity)
        nano, reservation, policy = (
            statement["spend"]["rho"],
            statement["reservation"],
            statement["policy_hash"],
        )
        for period in statement["periods"]:
            if (lineage, period) not in self._periods:
                entry = {"lineage": lineage, "period": period, "budget": BUDGET, "policy_hash": policy}
                self._periods[lineage, period] = {**entry, "charges": []}
                self.append(
                    "period_opened",
                    {"lineage": lineage, "period": period, "nano": BUDGET, "policy": policy},
                )
        common = {"team": statement["team"], "plan": statement["plan_id"], "policy": policy}
        paid = {"lineage": lineage, "periods": statement["periods"], "nano": nano, "reservation": reservation}
        self.append("charged", {**common, **paid})
        for period in statement["periods"]:
            charges = self._periods[lineage, period]["charges"]
            charges.append(
                {
                    "seq": len(self.events),
                    "team": statement["team"],
                    "cap": statement["team"],
                    "nano": nano,
                    "plan_id": statement["plan_id"],
                    "reservation": reservation,
                    "at": AT,
                    "state": "answered",
                }
            )
        about = {"dataset": statement["dataset"], "purpose": statement["purpose"], "data_version": 1}
        self.append("answered", {**common, **about, "answer": identity, "reservation": reservation})
