"""Stands where the gateway stood, and knows nothing but the signed answers of one page.

The client judges what comes from here as it judges a gateway: the answers' signatures are checked with the keys of the
page's own register, and a question without an answer fails. There is no socket and no thread: it is a transport of
httpx inside the process that runs the notebook, so the network may be gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx

from civic_kernel.told import question_key


@dataclass(frozen=True)
class Evidence:
    """`answers` by id (`answer_id`, `signature`, `statement`), the register as published, and what the run was told."""

    answers: Mapping[str, Mapping[str, Any]]
    parties: Mapping[str, Any]
    told: Mapping[str, Any]


class Replay(httpx.BaseTransport):
    """The routes of a gateway that a notebook may use: catalog, descriptions, register, prices and answers."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._asked = {question_key(line): str(line["answer_id"]) for line in evidence.told["asked"]}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = unquote(request.url.path)
        _, _, rest = path.partition("/v1/")
        kind, _, name = rest.partition("/")
        found: Any = None
        match request.method, kind, bool(name):
            case "GET", "catalog", False:
                found = {"datasets": [_row(detail) for detail in self._evidence.told["datasets"].values()]}
            case "GET", "datasets", True:
                found = self._evidence.told["datasets"].get(name)
            case "GET", "parties", False:
                found = self._evidence.parties
            case "GET", "answers", True:
                found = self._answer(name)
            case "POST", "answers" | "price", False:
                body = json.loads(request.content)
                answer = self._answer(self._asked.get(question_key(body), ""))
                if answer and not is_about(answer["statement"], body):
                    answer = None
                found = _price(answer) if answer and kind == "price" else answer
        if found is None:
            # The code of a question that the contract does not know: no message of ours could say more than where.
            envelope = {"code": "unknown_answer", "message": rest[:80], "remedy": "", "request_id": ""}
            return httpx.Response(404, json=envelope)
        return httpx.Response(200, json=found)

    def _answer(self, identity: str) -> dict[str, Any] | None:
        body = self._evidence.answers.get(identity)
        if body is None:
            return None
        # Nothing newer is known here, and nothing is paid.
        return {**body, "newer_data": False, "newer_policy": False, "charged": 0}


def is_about(statement: Mapping[str, Any], question: Mapping[str, Any]) -> bool:
    """Whether the signed plan asks what was asked, as far as both spell it alike: the data set, what is counted and by
    what, the columns of rows. Which answer a question got is the run's own word; without this a list that lies could
    put one question's figures under another's. Filters are spelled anew by the gateway and SQL is read by it alone:
    there the signed plan on the method page is what counts."""
    plan, asked = statement["plan"], question.get("plan")
    if asked is None:
        return True
    if plan["dataset"] != asked.get("dataset") or ("rows" in plan) != ("rows" in asked):
        return False
    if "rows" in plan:
        return bool(plan["rows"] == asked["rows"])
    # The gateway adds a count where cells could not be withheld without one.
    return _spelled(plan["by"]) == _spelled(asked["by"]) and all(
        name in plan["measures"] and plan["measures"][name]["fn"] == measure["fn"]
        for name, measure in asked["measures"].items()
    )


def _spelled(keys: list[Any]) -> list[str]:
    return sorted(json.dumps(key, sort_keys=True) for key in keys)


def _row(detail: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: detail[name] for name in ("id", "title", "description", "lane", "synthetic")}
    return {**kept, "open": True, "closed_code": None}


def _price(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What asking it again costs: nothing, since it is there."""
    statement = answer["statement"]
    return {
        "plan": statement["plan"],
        "plan_id": answer["answer_id"],
        "rho": statement["spend"]["rho"],
        "periods": statement["periods"],
        "cells": len(statement["table"]["rows"]),
        "measures": statement["mechanism"]["measures"],
        "team": statement["team"],
        "left": {},
        "share_of_left": None,
        "more_such": None,
        "stored": answer["answer_id"],
        "free": True,
    }
