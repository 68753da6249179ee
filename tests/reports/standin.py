"""A small gateway over real HTTP for tests of reports: fixed figures, real signatures, no privacy whatsoever.

It speaks the contract of DESIGN.md section 3 as far as a report needs it. Tests that need the real gateway's
behaviour belong in tests/way; these are about what happens after an answer has come.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from civic_kernel.verify.documents import canonical_bytes, content_id, sha256_hex
from tests.reports.chained import AT, BUDGET, Chain

TOKEN = "4be1c0ffee4be1c0ffee4be1c0ffee99"
_SCHEMA = Path(__file__).resolve().parents[2] / "notebooks" / "bike_routes.schema.json"
GU: list[str] = json.loads(_SCHEMA.read_text("utf-8"))["properties"]["gu"]["enum"][1:]
UNSAFE = ("성동구", "노원구", "구로구")
MONTHS = [*(f"2025-{m}" for m in (10, 11, 12)), *(f"2026-{m:02d}" for m in range(1, 10))]


class Signer:
    """An Ed25519 key from a name: the same in every run of the tests."""

    def __init__(self, name: str) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sha256_hex(name.encode())))
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = content_id("key", self.public)

    def sign(self, document: Any) -> dict[str, str]:
        raw = self.private.sign(canonical_bytes(document))
        return {"key_id": self.id, "ed25519": base64.b64encode(raw).decode()}

    def line(self, use: str, party: str | None, person: str | None = None) -> dict[str, Any]:
        return {
            "id": self.id,
            "public": base64.b64encode(self.public).decode(),
            "party": party,
            "person": person,
            "use": use,
            "demo": party is not None,
            "valid_from": "2026-01-01",
            "valid_until": "2036-01-01",
        }


GATEWAY, CITY, CSO = Signer("gateway"), Signer("city"), Signer("cso")


def parties() -> dict[str, Any]:
    register = {
        "kind": "civic-register",
        "version": 1,
        "parties": [
            {"id": "seoul", "side": "city", "title": {"ko": "서울시(시연)", "en": "City of Seoul (demo)"}},
            {"id": "bikes", "side": "cso", "title": {"ko": "두바퀴모임(시연)", "en": "Two Wheels (demo)"}},
        ],
        "keys": [
            GATEWAY.line("gateway", None),
            CITY.line("sign", "seoul", "steward-city"),
            CSO.line("sign", "bikes", "steward-cso"),
        ],
    }
    signatures = [CITY.sign(register), CSO.sign(register)]
    return {"register": register, "signatures": signatures, "accepted_at": AT, "earlier": []}


class Data:
    """What one dataset answers."""

    def __init__(
        self, name: str, ko: str, en: str, unit: str, keys: tuple[str, ...], measure: str, minimum: int
    ) -> None:
        self.name, self.unit, self.keys, self.minimum = name, unit, keys, minimum
        self.title = {"ko": ko, "en": en}
        self.policy: dict[str, Any] = {
            "kind": "civic-policy",
            "lane": "private",
            "dataset": name,
            "version": 1,
            "synthetic": True,
            "title": self.title,
            "unit": {"kind": unit, "period": "month"},
            "lineage": name,
            "budget": str(BUDGET // 10**9),
            "signers": [{"side": "city", "party": "seoul"}, {"side": "cso", "party": "bikes"}],
        }
        self.hash = sha256_hex(canonical_bytes(self.policy))
        self.measure = measure

    def published(self) -> dict[str, Any]:
        signatures = [CITY.sign(self.policy), CSO.sign(self.policy)]
        return {
            "policy": self.policy,
            "hash": self.hash,
            "signatures": signatures,
            "in_force": True,
            "activated_at": AT,
        }

    def detail(self) -> dict[str, Any]:
        def column(
            name: str, kind: str, ko: str, en: str, values: list[str] | None, geo: str | None
        ) -> dict[str, Any]:
            return {
                "name": name,
                "type": kind,
                "label": {"ko": ko, "en": en},
                "values": values,
                "other": geo is not None,
                "geography": geo,
            }

        return {
            "id": self.name,
            "title": self.title,
            "lane": "private",
            "description": self.title,
            "synthetic": True,
            "policy_hash": self.hash,
            "policy_version": 1,
            "data_version": 1,
            "unit": {"kind": self.unit, "period": "month"},
            "row_bound": 20 if self.unit == "person" else 1,
            "minimum": self.minimum,
            "delta": "1e-6",
            "purposes": ["safety"],
            "periods": MONTHS,
            "time_column": "started_at",
            "columns": [
                *(column(key, "key", "자치구", "District", GU, "gu") for key in self.keys),
                column("month", "period", "달", "Month", MONTHS, None),
            ],
            "functions": ["hour", "weekday"],
            "measures": ["count", "persons"],
            "precisions": {"rough": 2_500_000, "normal": 10_000_000, "fine": 50_000_000},
            "default_spend": 2_500_000,
            "max_spend": 125_000_000,
            "signers": [],
            "teams": [{"team": "site", "left": dict.fromkeys(MONTHS, 140_000_000), "cap": 140_000_000}],
        }

    def truth(self, gu: str, month: str) -> int:
        place, season = GU.index(gu), (12, 10, 7, 6, 6, 9, 12, 13, 12, 9, 10, 13)[MONTHS.index(month)]
        rides = (300 + 37 * (place * 7 % 25)) * season
        if self.unit == "person":
            return rides
        return round(rides * (3.0e-3 if gu in UNSAFE else 1.4e-3))

    def answer(self, plan: dict[str, Any], rho: int, body: dict[str, Any]) -> dict[str, Any]:
        scale = (20 if self.unit == "person" else 1) / (2 * rho / 1e9) ** 0.5
        margin = round(1.96 * scale)
        draw = random.Random(sha256_hex(canonical_bytes(plan)))
        where = plan.get("where") or {}
        months = [part["values"] for part in where.get("and", [where]) if part.get("column") == "month"]
        wanted = months[0] if months else MONTHS
        by = [key if isinstance(key, str) else key["fn"] for key in plan["by"]]
        domains = {**{key: [*GU, "other"] for key in self.keys}, "month": list(wanted)}
        name = next(iter(plan["measures"]))
        rows: list[list[Any]] = []
        for cell in product(*(domains[key] for key in by)):
            at = dict(zip(by, cell, strict=True))
            places = [at[key] for key in self.keys if key in at]
            over = [(g, m) for g in places[:1] or GU for m in ([at["month"]] if "month" in at else wanted)]
            value = sum(self.truth(g, m) for g, m in over if g != "other")
            if len(places) == 2:
                # Half stays; the rest goes to whoever stands beside, and no farther than four.
                far = abs(GU.index(places[0]) - GU.index(places[1])) if "other" not in places else 5
                value = round(value * (0.5, 0.125, 0.06, 0.04, 0.025, 0)[min(far, 5)])
            value += round(draw.gauss(0, scale))
            gone = value < self.minimum
            rows.append([*cell, *([None] * 3 if gone else [value, value - margin, value + margin]), gone])
        measure = {
            "fn": "count",
            "rho": rho,
            "sensitivity_squared": 400 if self.unit == "person" else 1,
            "scale": f"{scale:.6f}",
            "margin": margin,
        }
        columns = [{"name": key, "role": "key", "measure": None} for key in by]
        columns += [{"name": name, "role": "measure", "measure": name}]
        columns += [{"name": f"{name}_{role}", "role": role, "measure": name} for role in ("low", "high")]
        columns += [{"name": "withheld", "role": "flag", "measure": None}]
        statement = {
            "kind": "civic-answer",
            "dataset": self.name,
            "dataset_title": self.title,
            "data_version": 1,
            "policy_hash": self.hash,
            "policy_version": 1,
            "synthetic": True,
            "lane": "private",
            "unit": {"kind": self.unit, "period": "month"},
            "row_bound": 20 if self.unit == "person" else 1,
            "minimum": self.minimum,
            "delta": "1e-6",
            "plan": plan,
            "plan_id": content_id("pln", canonical_bytes(plan)),
            "reservation": content_id("rsv", canonical_bytes([plan, rho])),
            "spend": {"rho": rho},
            "team": body["team"],
            "purpose": body["purpose"],
            "periods": list(wanted),
            "mechanism": {"name": "discrete-gaussian", "measures": {name: measure}},
            "truncated_share": None,
            "issued_at": "2026-11-23T00:00:00Z",
            "table": {"columns": columns, "rows": rows},
        }
        return {
            "answer_id": content_id("ans", canonical_bytes(statement)),
            "signature": GATEWAY.sign(statement),
            "newer_data": False,
            "newer_policy": False,
            "charged": rho,
            "statement": statement,
        }


RIDES = Data(
    "bike_rides",
    "공공자전거 이용(합성)",
    "Public bike rides (synthetic)",
    "person",
    ("start_gu", "end_gu"),
    "rides",
    10,
)
ACCIDENTS = Data(
    "accidents", "자전거 사고(합성)", "Bike accidents (synthetic)", "row", ("gu",), "accidents", 3
)


class Gateway:
    """The app, and what a test may turn: `datasets`, `refuse` (a failure for every question), `asked`."""

    def __init__(self, *datasets: Data) -> None:
        self.datasets = {data.name: data for data in datasets}
        self.tokens = {TOKEN}
        #: Tokens whose questions are not answered for now.
        self.held: set[str] = set()
        self.asked: list[dict[str, Any]] = []
        self.releases: dict[str, dict[str, Any]] = {}
        self.chain = Chain(GATEWAY.sign)
        self.chain.append(
            "register_accepted", {"hash": sha256_hex(canonical_bytes(parties()["register"])), "version": 1}
        )
        for data in datasets:
            named = {"dataset": data.name, "lineage": data.name, "hash": data.hash, "version": 1}
            self.chain.append("policy_activated", {**named, "signed_by": [CITY.id, CSO.id]})
        self.refuse: tuple[int, dict[str, Any]] | None = None
        self.app = Starlette(
            routes=[
                Route("/v1/me", self.me),
                Route("/v1/catalog", self.catalog),
                Route("/v1/datasets/{name}", self.dataset),
                Route("/v1/datasets/{name}/twin", self.twin),
                Route("/v1/price", self.price, methods=["POST"]),
                Route("/v1/answers", self.answers, methods=["POST"]),
                Route("/v1/policies", self.policies),
                Route("/v1/parties", self.parties),
                Route("/v1/ledger", self.ledger),
                Route("/v1/audit/{name}", self.audit),
                Route("/v1/releases", self.release_list, methods=["GET", "POST"]),
                Route("/v1/releases/{name}", self.release),
            ]
        )

    async def me(self, request: Request) -> Response:
        return JSONResponse({"name": "reports", "public_name": "reports", "teams": ["site"]})

    async def catalog(self, request: Request) -> Response:
        rows = [
            {
                "id": d.name,
                "title": d.title,
                "description": d.title,
                "lane": "private",
                "synthetic": True,
                "open": True,
                "closed_code": None,
            }
            for d in self.datasets.values()
        ]
        return JSONResponse({"datasets": rows})

    async def dataset(self, request: Request) -> Response:
        return JSONResponse(self.datasets[request.path_params["name"]].detail())

    async def twin(self, request: Request) -> Response:
        data, wanted = self.datasets[request.path_params["name"]], request.query_params
        first, many = int(wanted["after"]), int(wanted["rows"])
        rows = [
            [GU[n % len(GU)], month := MONTHS[n // len(GU) % len(MONTHS)], f"{month}-05T08:00:00", n]
            for n in range(first, first + many)
        ]
        columns = [data.keys[0], "month", "started_at", "unit"]
        return JSONResponse({"made_up": True, "columns": columns, "rows": rows, "clips": {}})

    async def price(self, request: Request) -> Response:
        body = await request.json()
        data = self.datasets[body["plan"]["dataset"]]
        rho = _rho(body)
        answer = data.answer(body["plan"], rho, body)["statement"]
        return JSONResponse(
            {
                "plan": body["plan"],
                "plan_id": content_id("pln", canonical_bytes(body["plan"])),
                "rho": rho,
                "periods": answer["periods"],
                "cells": len(answer["table"]["rows"]),
                "measures": answer["mechanism"]["measures"],
                "team": body["team"],
                "left": dict.fromkeys(MONTHS, 140_000_000),
                "share_of_left": "0.0714",
                "more_such": 13,
                "stored": None,
                "free": False,
            }
        )

    async def answers(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("token ")
        if token not in self.tokens:
            return JSONResponse(
                {"code": "not_signed_in", "message": "?", "remedy": "?", "request_id": "r"}, 401
            )
        body = await request.json()
        while token in self.held:
            await asyncio.sleep(0.02)
        self.asked.append(body)
        if self.refuse is not None:
            return JSONResponse(self.refuse[1], self.refuse[0])
        data = self.datasets[body["plan"]["dataset"]]
        answer = data.answer(body["plan"], _rho(body), body)
        self.chain.answered(answer, data.name)
        return JSONResponse(answer)

    async def policies(self, request: Request) -> Response:
        return JSONResponse([data.published() for data in self.datasets.values()])

    async def parties(self, request: Request) -> Response:
        return JSONResponse(parties())

    async def ledger(self, request: Request) -> Response:
        return JSONResponse(self.chain.ledger())

    async def audit(self, request: Request) -> Response:
        after = int(request.query_params.get("after", 0))
        known: dict[str, dict[str, Any]] = {
            "head": self.chain.head,
            "events": {"events": self.chain.events[after:]},
            "witnesses": {"witnesses": [], "sides": []},
        }
        return JSONResponse(known[request.path_params["name"]])

    async def release_list(self, request: Request) -> Response:
        if request.method == "GET":
            return JSONResponse(list(self.releases.values()))
        record = (await request.json())["record"]
        identity = content_id("rel", canonical_bytes(record))
        if identity not in self.releases:
            self.chain.append("release_submitted", {"release": identity, "answers": record["answers"]})
        self.releases[identity] = {
            "release_id": identity,
            "state": "waiting",
            "record": record,
            "approvals": [],
        }
        return JSONResponse({"release_id": identity, "state": "waiting"})

    async def release(self, request: Request) -> Response:
        return JSONResponse(self.releases[request.path_params["name"]])

    def approve(self, identity: str, *signers: Signer) -> None:
        release = self.releases[identity]
        for signer in signers:
            side, party = ("city", "seoul") if signer is CITY else ("cso", "bikes")
            told = {"release": identity, "side": side, "party": party, "key": signer.id}
            self.chain.append("release_approved", told)
        release["approvals"] = [signer.sign(release["record"]) for signer in signers]
        release["state"] = "approved"


def _rho(body: dict[str, Any]) -> int:
    spend = body.get("spend") or {"rho": "0.0025"}
    return round(float(spend.get("rho", "0.01")) * 1e9)


@contextmanager
def serving(gateway: Gateway, path: Path | None = None) -> Iterator[str]:
    """The gateway on a free port, and on the socket `path` where one is given; yields its address."""
    with socket.socket() as listener, socket.socket(socket.AF_UNIX) as beside:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        port = listener.getsockname()[1]
        sockets = [listener]
        if path is not None:
            beside.bind(str(path))
            path.chmod(0o666)
            beside.listen(64)
            sockets.append(beside)
        server = uvicorn.Server(uvicorn.Config(gateway.app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": sockets}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)
