"""A small real HTTP server with the contract's shapes, so that the client is tested over a real socket.

It draws no noise and keeps no ledger: those belong to the gateway's own tests. `gateway.fail` makes the next
requests fail in a chosen way.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import rfc8785
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from civic_kernel.client import Client

TOKEN = "a-token-that-must-never-be-shown"
GU = ["종로구", "중구", "용산구", "성동구", "광진구", "동대문구", "중랑구", "성북구", "강북구", "도봉구"]
GU += ["노원구", "은평구", "서대문구", "마포구", "양천구", "강서구", "구로구", "금천구", "영등포구", "동작구"]
GU += ["관악구", "서초구", "강남구", "송파구", "강동구"]
MONTHS = [f"2026-{m:02d}" for m in range(1, 13)]


BY_HOUR: dict[str, Any] = {
    "dataset": "bike_rides",
    "where": {"column": "month", "op": "in", "values": ["2026-09"]},
    "by": [{"fn": "hour", "column": "started_at"}],
    "measures": {"rides": {"fn": "count"}},
}
WEIGHTED = BY_HOUR | {"measures": {"rides": {"fn": "count", "weight": 2}, "riders": {"fn": "persons"}}}


def label(word: str) -> dict[str, str]:
    return {"ko": word, "en": word}


DETAIL: dict[str, Any] = {
    "id": "bike_rides",
    "title": {"ko": "따릉이 이용", "en": "Bike rides"},
    "description": label("…"),
    "lane": "private",
    "synthetic": True,
    "policy_hash": "ab" * 32,
    "policy_version": 1,
    "data_version": 1,
    "unit": {"kind": "person", "period": "month"},
    "row_bound": 20,
    "minimum": 10,
    "delta": "0.000001",
    "purposes": ["city-planning"],
    "periods": MONTHS,
    "time_column": "started_at",
    "columns": [
        {"name": "start_gu", "type": "key", "label": {"ko": "출발 구", "en": "Start gu"}, "values": GU,
         "other": True, "geography": "gu"},
        {"name": "sex", "type": "key", "label": label("성별"), "values": ["F", "M"], "other": True,
         "geography": None},
        {"name": "month", "type": "period", "label": label("달"), "values": MONTHS, "other": False,
         "geography": None},
        {"name": "started_at", "type": "time", "label": label("시각"), "values": None, "other": False,
         "geography": None},
    ],
    "functions": ["hour", "weekday"],
    "measures": ["count", "persons"],
    "precisions": {"rough": 2500000, "normal": 10000000, "fine": 40000000},
    "default_spend": 10000000,
    "max_spend": 125000000,
    "signers": [],
    "teams": [{"team": "site", "left": {m: 130000000 for m in MONTHS}, "cap": 140000000}],
}  # fmt: skip


def measure() -> dict[str, Any]:
    return {"fn": "count", "rho": 10000000, "sensitivity_squared": 400, "scale": "141.4213562", "margin": 277}


@dataclass
class Gateway:
    url: str = ""
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    seen: list[tuple[str, str, Any, str]] = field(default_factory=list)
    #: What the next requests get instead of an answer, in order.
    fail: list[Response] = field(default_factory=list)
    tamper: bool = False

    def statement(self, body: dict[str, Any]) -> dict[str, Any]:
        by = [k if isinstance(k, str) else k["fn"] for k in body["plan"]["by"]]
        columns: list[dict[str, Any]] = [{"name": k, "role": "key", "measure": None} for k in by]
        for m in body["plan"]["measures"]:
            columns += [
                {"name": m, "role": "measure", "measure": m},
                {"name": f"{m}_low", "role": "low", "measure": m},
                {"name": f"{m}_high", "role": "high", "measure": m},
            ]
        columns.append({"name": "withheld", "role": "flag", "measure": None})
        rows: list[list[Any]] = []
        if by == ["start_gu", "month"]:
            for i, gu in enumerate(GU):
                for j, month in enumerate(MONTHS):
                    n = 1000 * (i + 1) + 100 * j
                    rows.append([gu, month, n, n - 277, n + 277, False])
            rows.append(["other", "2026-01", None, None, None, True])
        elif by == ["hour"]:
            rows = [[h, 100 * h, 100 * h - 277, 100 * h + 277, False] for h in range(24)]
        else:
            rows = [[-3, -280, 274, False]]
        return {
            "kind": "civic-answer", "dataset": "bike_rides", "dataset_title": DETAIL["title"],
            "data_version": 1, "policy_hash": "ab" * 32, "policy_version": 1, "synthetic": True,
            "lane": "private", "unit": DETAIL["unit"], "row_bound": 20, "minimum": 10, "delta": "0.000001",
            "plan": body["plan"], "spend": {"rho": 10000000}, "team": body["team"],
            "purpose": body["purpose"], "periods": MONTHS,
            "mechanism": {"name": "discrete-gaussian",
                          "measures": {m: measure() for m in body["plan"]["measures"]}},
            "truncated_share": None, "issued_at": "2026-11-01T09:00:00+09:00",
            "table": {"columns": columns, "rows": rows},
        }  # fmt: skip

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        statement = self.statement(body)
        signed = rfc8785.dumps(statement)
        if self.tamper:
            statement["table"]["rows"][0][-2] = 99
        digest = base64.b32encode(hashlib.sha256(signed).digest()).decode().lower()[:26]
        return {
            "answer_id": f"ans-{digest}",
            "signature": {"key_id": "key-g", "ed25519": base64.b64encode(self.key.sign(signed)).decode()},
            "newer_data": False, "newer_policy": False, "charged": 10000000, "statement": statement,
        }  # fmt: skip

    async def handle(self, request: Request) -> Response:
        body = json.loads(await request.body() or b"null")
        path = request.url.path
        self.seen.append((request.method, path, body, request.headers.get("accept-language", "")))
        if body and "sql" in body:
            # Reading SQL is the gateway's part and tested there; here every text stands for one plan.
            body = {**body, "plan": BY_HOUR}
        if self.fail:
            return self.fail.pop(0)
        if request.headers.get("authorization") != f"token {TOKEN}":
            return refusal(401, "not_signed_in")
        match request.method, path:
            case "GET", "/v1/catalog":
                row = {k: DETAIL[k] for k in ("id", "title", "description", "lane", "synthetic")}
                return JSONResponse({"datasets": [row | {"open": True, "closed_code": None}]})
            case "GET", "/v1/datasets/bike_rides":
                return JSONResponse(DETAIL)
            case "GET", "/v1/parties":
                raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
                key = {"id": "key-g", "public": base64.b64encode(raw).decode(), "use": "gateway"}
                return JSONResponse({"register": {"keys": [key]}, "signatures": []})
            case "GET", "/v1/answers":
                return JSONResponse([
                    {"answer_id": f"ans-{name}", "plan": plan, "rho": 10000000, "team": "site",
                     "purpose": "city-planning", "issued_at": "2026-11-01T09:00:00+09:00",
                     "dataset": "bike_rides", "synthetic": True}
                    for name, plan in (("hour", BY_HOUR), ("weighted", WEIGHTED))
                ])  # fmt: skip
            case "GET", "/v1/answers/ans-hour":
                return JSONResponse(
                    self.answer({"plan": BY_HOUR, "team": "site", "purpose": "city-planning"})
                )
            case "POST", "/v1/price":
                return JSONResponse({
                    "plan": body["plan"], "plan_id": "pln-1", "rho": 10000000, "periods": MONTHS,
                    "cells": 312,
                    "measures": {m: measure() for m in body["plan"]["measures"]}, "team": body["team"],
                    "left": {m: 130000000 for m in MONTHS}, "share_of_left": "0.0769", "more_such": 13,
                    "stored": None, "free": False,
                })  # fmt: skip
            case "POST", "/v1/answers":
                return JSONResponse(self.answer(body))
        return refusal(404, "unknown_dataset")


def refusal(status: int, code: str) -> Response:
    return JSONResponse(
        {"code": code, "message": "관문의 말.", "remedy": "할 일.", "request_id": "req-1"}, status_code=status
    )


@pytest.fixture(scope="session")
def _served() -> Iterator[Gateway]:
    gateway = Gateway()
    app = Starlette(routes=[Route("/{path:path}", gateway.handle, methods=["GET", "POST"])])
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    gateway.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    yield gateway
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def gateway(_served: Gateway) -> Gateway:
    _served.seen.clear()
    _served.fail.clear()
    _served.tamper = False
    return _served


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Client]:
    made = Client(gateway.url, TOKEN, "site", "city-planning", "ko", retry_seconds=2)
    yield made
    made.close()
