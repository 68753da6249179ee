"""Stands in for the service `reports` where its own runs are not what is tested: the contract's shapes over real HTTP.

A price is made from what is asked, a run advances when the test says so, and what the contract refuses is refused. It
draws no report: a page of it is a few lines that try what a hostile notebook would.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PRICE = 10_000_000
#: What a hostile page would do with its reader's seat.
PAGE = """<!doctype html><html lang="ko"><title>보고서</title><h1>자전거</h1><p id="found"></p><script>
let told = [];
try { told.push("cookie " + document.cookie); } catch (refused) { told.push("no cookie"); }
fetch("/civic/buttons").then((a) => a.json()).then(() => told.push("reached"), () => told.push("not reached"))
  .then(() => { document.getElementById("found").textContent = told.join(", "); });
</script>"""


def offered(name: str) -> dict[str, Any]:
    schema = json.loads((NOTEBOOKS / f"{name}.schema.json").read_text("utf-8"))
    return {"name": name, "label": schema["label"], "schema": schema}


@dataclass
class Service:
    """`token`: of whom it takes orders. `seen` has the bodies of what was ordered and priced."""

    token: str
    reports: list[dict[str, Any]] = field(default_factory=lambda: [offered("bike_routes")])
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, Any]] = field(default_factory=list)
    price: int = PRICE

    def finish(self, order: str, number: int = 0, **changes: Any) -> None:
        page = {"page": f"pages/{number + 1}/ko/index.html"}
        self.orders[order]["runs"][number].update({"state": "done", "done": 20} | page | changes)
        states = {run["state"] for run in self.orders[order]["runs"]}
        if states <= {"done", "failed"}:
            self.orders[order]["state"] = "done" if states == {"done"} else "partly"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = json.loads(await request.body() or b"null")
        path = request.url.path.removeprefix("/services/reports/v1/")
        self.seen.append((f"{request.method} {path}", body))
        await self._answer(request, path.split("/"), body)(scope, receive, send)

    def _answer(self, request: Request, path: list[str], body: Any) -> Response:
        if request.headers.get("authorization") != f"token {self.token}":
            return refusal(401, "not_signed_in", "로그인이 필요합니다.")
        match request.method, path:
            case "GET", ["reports"]:
                return JSONResponse({"reports": self.reports})
            case "POST", ["runs", "price"]:
                return JSONResponse(self._priced(body))
            case "POST", ["runs"]:
                return self._start(body)
            case "GET", ["runs"]:
                lines = [
                    one | {"runs": len(one["runs"]), "done": sum(r["state"] == "done" for r in one["runs"])}
                    for one in self.orders.values()
                ]
                return JSONResponse({"runs": lines})
            case "GET", ["runs", order] if order in self.orders:
                return JSONResponse(self.orders[order])
            case "DELETE", ["runs", order] if order in self.orders:
                self._turn(order, {"waiting": "cancelled", "running": "cancelled"}, "cancelled")
                return JSONResponse(self.orders[order])
            case "POST", ["runs", order, "resume"] if order in self.orders:
                self._turn(order, {"cancelled": "waiting", "failed": "waiting"}, "running")
                return JSONResponse(self.orders[order], status_code=202)
            case "GET", ["runs", order, "pages", _, "ko", "index.html"] if order in self.orders:
                return Response(PAGE, media_type="text/html")
        return refusal(404, "not_found", "그런 것이 없습니다.")

    def _priced(self, body: Any) -> dict[str, Any]:
        question = {
            "words": "자전거 이용, 출발 구로: rides", "rho": self.price, "charged": self.price,
            "precision": "rides ±277", "waits": None,
        }  # fmt: skip
        return {
            "rho": self.price,
            "share_of_left": "0.05",
            "questions": [question],
            "runs": len(next(iter((body.get("each") or {"": [""]}).values()))),
            "whole": True,
        }

    def _start(self, body: Any) -> Response:
        if self.price > body["pay"]:
            return refusal(409, "price_above", "값이 올랐습니다.", "값을 다시 보고 누르세요.")
        if body["key"] not in self.keys:
            order = f"run-{len(self.orders) + 1:026d}"
            each = body.get("each") or {}
            places = [{name: value} for name, values in each.items() for value in values] or [{}]
            runs = [
                {"n": n, "parameters": body["parameters"] | place, "state": "waiting", "done": 0, "total": 20,
                 "cell": None}
                for n, place in enumerate(places, 1)
            ]  # fmt: skip
            title = next(one["label"] for one in self.reports if one["name"] == body["report"])
            self.orders[order] = {
                "id": order, "report": body["report"], "title": title, "state": "running", "place": 0,
                "runs": runs,
            }  # fmt: skip
            self.keys[body["key"]] = order
        return JSONResponse(self.orders[self.keys[body["key"]]], status_code=202)

    def _turn(self, order: str, states: dict[str, str], whole: str) -> None:
        for run in self.orders[order]["runs"]:
            run["state"] = states.get(run["state"], run["state"])
        self.orders[order]["state"] = whole


def refusal(status: int, code: str, message: str, remedy: str = "") -> Response:
    body = {"code": code, "message": message, "remedy": remedy, "request_id": "req-1"}
    return JSONResponse(body, status_code=status)
