"""A workspace with canaries in its data, its folder and its tokens, served over HTTP by both apps.

`--fuzz N` draws N times as many examples, others each time (`make fuzz`); without it they are few and always the
same, so that a change is judged by itself.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import text

from data_access.canonical import canonical_bytes
from data_access.gateway.public import public_app
from data_access.gateway.workspace import workspace_app
from data_access.parties import Key, Register, SigningKey
from data_access.privacy.mechanisms import DiscreteGaussianNoise
from tests.factories import FakeIdentity, Workspace, make_caller, make_policy, make_register, make_workspace
from tests.gateway.serving import served
from tests.postgresql import Server
from tests.query.strategies import GU, PERIODS, SCHEMA, SEX

#: Stands in the data, in the workspace's path and in the token; may stand in no reply and no line of a log.
CANARY = "canary7f3a"
#: A value far outside its clip, which shows nowhere either.
NUMBER = 918_273
PREFIX = "/services/data"
TOKEN = f"{CANARY}-token"
#: Of a room, whose questions wait for a person.
ROOM = f"{CANARY}-room"
RIGHTS = ("facilitate", "ask", "read", "release", "approve:city", "approve:cso")
#: The dataset of tests/query/strategies.py, so that the plans that are drawn there can be asked here.
CATALOG = """
id: rides
title: {ko: 대여, en: Rides}
description: {ko: 시험용 대여, en: Rides for tests}
encodings: [utf-8]
missing: '\\N'
time_column: at
columns:
  at: {source: time, type: timestamp, required: true, formats: ["%Y-%m-%d %H:%M"], label: {ko: 때, en: When}}
  member: {source: member, type: person, label: {ko: 회원, en: Member}}
  gu: {source: gu, type: text, label: {ko: 구, en: Gu}}
  sex: {source: sex, type: text, label: {ko: 성별, en: Sex}}
  minutes: {source: minutes, type: integer, label: {ko: 분, en: Minutes}}
  change: {source: change, type: integer, label: {ko: 변화, en: Change}}
"""
ROWS = [
    (f"{month}-{day:02d} 08:30", f"{CANARY}-{who}", *rest)
    for month in PERIODS
    for day in (1, 28)
    for who in range(6)
    for rest in (
        (GU[0], "F", "7", "-2"),
        (f"{CANARY}-gu", f"{CANARY}-sex", str(NUMBER), str(-NUMBER)),
        (GU[2], "M", "\\N", "1"),
    )
]


@dataclass(frozen=True)
class World:
    workspace: Workspace
    witness: SigningKey
    address: str
    public: str
    http: httpx.Client
    #: Known ids by the name of their path parameter.
    ids: dict[str, str] = field(default_factory=dict)

    def recorded(self) -> tuple[int, ...]:
        """Charges, what they add up to, reservations, answers, events: what a refusal may not change."""
        with self.workspace.parts.database.reading() as connection:
            row = connection.execute(
                text(
                    "SELECT (SELECT count(*) FROM charges), (SELECT coalesce(sum(nano), 0) FROM charges), "
                    "(SELECT count(*) FROM reservations), (SELECT count(*) FROM answers), "
                    "(SELECT max(seq) FROM events)"
                )
            ).one()
        return tuple(int(each) for each in row)


def _register(workspace: Workspace, witness: SigningKey) -> Register:
    plain = make_register(workspace.keys, workspace.demo_keys).document()
    key = Key(
        id=witness.id,
        public=base64.b64encode(witness.public).decode("ascii"),
        party="city",
        person=None,
        use="witness",
        demo=False,
        valid_from="2026-01-01",
        valid_until="2030-12-31",
    )
    return Register.model_validate(
        {**plain, "keys": [*plain["keys"], key.model_dump(mode="json")]}, strict=False
    )


@pytest.fixture(scope="session")
def _world(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> Iterator[World]:
    workspace = make_workspace(
        tmp_path_factory.mktemp(CANARY) / "home",
        catalog={"rides": CATALOG},
        governed=False,
        noise=DiscreteGaussianNoise(),
        server=server,
    )
    witness = SigningKey.generate()
    workspace.accept(_register(workspace, witness))
    workspace.activate(
        make_policy(
            workspace.entry(),
            # Enough for whatever is drawn: what is refused shall be refused for itself.
            budget="1000",
            caps=[{"name": "all", "teams": "others", "rho": "900"}],
            first_period=PERIODS[0],
            last_period=PERIODS[-1],
            keys={"gu": {"values": list(GU)}, "sex": {"values": list(SEX)}},
            clips={
                name: {"low": c.low, "high": c.high, "unit": "min"}
                | ({"bins": list(c.edges)} if c.edges else {})
                for name, c in SCHEMA.measures.items()
            },
        )
    )
    workspace.load("rides", ("time", "member", "gu", "sex", "minutes", "change"), ROWS)
    workspace.parts.lost.publish("rides")
    room = make_caller("room-1", ["bike"], "ask", "read")
    room = replace(room, asker=replace(room.asker, is_room=True))
    identity = FakeIdentity({TOKEN: make_caller("ann", ["bike"], *RIGHTS), ROOM: room})
    headers = {"Authorization": f"token {TOKEN}", "Accept-Language": "en"}
    with (
        served(workspace_app(workspace.parts, identity)) as address,
        served(public_app(workspace.parts)) as public,
        httpx.Client(base_url=address + PREFIX, headers=headers, timeout=30) as http,
    ):
        yield World(workspace, witness, address + PREFIX, public, http)
    workspace.parts.close()


@pytest.fixture
def world(_world: World, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    """As earlier tests left it; nothing may be logged while nothing is wrong with the gateway."""
    with caplog.at_level(logging.INFO):
        yield _world
    ours = ("civic", "uvicorn", "fastapi", "starlette", "asyncio", "sqlalchemy", "sqlglot")
    assert [r.name for r in caplog.records if r.name.split(".")[0] in ours] == []


@pytest.fixture(scope="session")
def drawing(request: pytest.FixtureRequest) -> Callable[[int], settings]:
    """Settings for a number of examples."""
    times = int(request.config.getoption("--fuzz"))

    def chosen(examples: int) -> settings:
        return settings(
            max_examples=examples * max(times, 1),
            derandomize=not times,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.filter_too_much,
                HealthCheck.data_too_large,
            ],
        )

    return chosen


def signed(key: SigningKey, document: Any) -> dict[str, str]:
    return key.sign_bytes(canonical_bytes(document)).document()
