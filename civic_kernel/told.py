"""What a process was told besides its answers, kept so that anybody can run the same notebook again without a gateway.

A question and the plan that was signed differ in spelling (the gateway sorts, joins and leaves out), so which answer
a question got is noted when it is got. A second implementation of the gateway's spelling was rejected: where it
disagreed, a page could not be made again, and nobody could tell whether the page or that code was wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Of a data set's description, what says how it stands today: it differs from one run to the next and is on no page.
_TODAY = ("data_version", "signers", "teams")


@dataclass
class Told:
    """Descriptions of data sets by id, and questions with the id of the answer that each got."""

    datasets: dict[str, Any] = field(default_factory=dict)
    _asked: dict[str, dict[str, Any]] = field(default_factory=dict)

    def note(self, body: Mapping[str, Any], answer_id: str) -> None:
        """`body` is the question as it was sent (`plan` or `sql`, and `spend`)."""
        line = {**question_of(body), "answer_id": answer_id}
        self._asked[question_key(body)] = line

    def document(self, statements: Mapping[str, Mapping[str, Any]], language: str) -> dict[str, Any]:
        """`{"kind","language","asked":[{"plan"|"sql","spend","answer_id"}],"datasets":{id: description}}`.

        `statements` are the run's answers by id. A description is as it was for these answers, and not as of today, so
        that the same answers are the same document: the months are those that they are of, the rules theirs.
        """
        return {
            "kind": "civic-told",
            "language": language,
            "asked": [line for line in self._asked.values() if line["answer_id"] in statements],
            "datasets": {
                name: _as_then(detail, [s for s in statements.values() if s["dataset"] == name])
                for name, detail in sorted(self.datasets.items())
            },
        }


def question_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of a sent body makes it this question: not who asks, what for, and under which retry key."""
    return {name: body[name] for name in ("plan", "sql", "spend") if name in body}


def question_key(body: Mapping[str, Any]) -> str:
    return json.dumps(question_of(body), ensure_ascii=False, sort_keys=True)


def _as_then(detail: Mapping[str, Any], statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    kept = {name: value for name, value in detail.items() if name not in _TODAY} | {"data_version": None}
    for statement in statements:
        kept |= {name: statement[name] for name in ("policy_hash", "policy_version")}
    months = sorted({month for statement in statements for month in statement["periods"]})
    if months:
        kept["periods"] = months
        kept["columns"] = [
            {**column, "values": months} if column["type"] == "period" and column.get("values") else column
            for column in detail["columns"]
        ]
    return kept
