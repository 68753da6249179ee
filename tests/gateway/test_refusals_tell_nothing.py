"""A refusal, a price and a description are functions of question, policy and ledger: the same bytes whatever the data.

Two workspaces with one policy and different records; every refusal is provoked on both and compared byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from data_access.errors import REGISTRY
from data_access.gateway.workspace import workspace_app
from tests.factories import (
    BY_GU,
    PERIODS,
    RIDES,
    FakeIdentity,
    Workspace,
    copy_workspace,
    make_caller,
    make_policy,
)
from tests.postgresql import Server

#: A neighbour, in whose data one person is missing, and data of which nothing is the same.
OTHERS = {
    "one person less": [ride for ride in RIDES if ride[1] != "m3"],
    "another city": [(f"{month}-28 23:59", f"k{n}", "어딘가", "X") for month in PERIODS for n in range(40)],
}
CALLERS = {
    "ann": make_caller("ann", ["bike"], "ask", "read", "release"),
    "ben": make_caller("ben", ["walk"], "ask", "read"),
    "reader": make_caller("reader", ["bike"], "read"),
    "nobody": make_caller("nobody", []),
}
ASK: dict[str, Any] = {"plan": BY_GU, "team": "bike", "purpose": "research"}


def where(column: Any, op: str, value: Any) -> dict[str, Any]:
    key = "values" if isinstance(value, list) else "value"
    return ASK | {"plan": BY_GU | {"where": {"column": column, "op": op, key: value}}}


SHARE = ASK | {"plan": BY_GU | {"measures": {"part": {"fn": "share"}}}}
HOUR = {"fn": "hour", "column": "started_at"}
#: The code and what provokes it, as (who, method, path, body). `{answer}` is an answer of ann's team.
REFUSED: list[tuple[str, tuple[str, str, str, Any]]] = [
    ("malformed_request", ("ann", "POST", "answers", ASK | {"more": 1})),
    ("request_too_large", ("ann", "POST", "answers", "x" * 1_000_001)),
    ("plan_invalid", ("ann", "POST", "answers", ASK | {"plan": {}})),
    # No month passes, and no row that there is.
    ("plan_invalid", ("ann", "POST", "answers", where("month", "lt", PERIODS[0]))),
    ("unknown_column", ("ann", "POST", "answers", ASK | {"plan": BY_GU | {"by": ["member"]}})),
    (
        "unknown_function",
        ("ann", "POST", "answers", ASK | {"plan": BY_GU | {"measures": {"n": {"fn": "max"}}}}),
    ),
    # In some of the files, and in none of them.
    ("value_outside_domain", ("ann", "POST", "answers", where("gu", "eq", "어딘가"))),
    ("value_outside_domain", ("ann", "POST", "answers", where("gu", "eq", "아무데도"))),
    ("value_outside_domain", ("ann", "POST", "answers", where(HOUR, "in", [24]))),
    ("spend_invalid", ("ann", "POST", "answers", ASK | {"spend": {"rho": "NaN"}})),
    ("margin_refused", ("ann", "POST", "answers", SHARE | {"spend": {"margin": {"part": "0.1"}}})),
    ("spend_over_maximum", ("ann", "POST", "answers", ASK | {"spend": {"rho": "0.2"}})),
    ("unknown_purpose", ("ann", "POST", "answers", ASK | {"purpose": "gossip"})),
    ("not_offered", ("ann", "POST", "answers", ASK | {"plan": BY_GU | {"grid": 100}})),
    ("rows_refused", ("ann", "POST", "answers", ASK | {"plan": {"dataset": "rides", "rows": ["gu"]}})),
    ("sql_refused", ("ann", "POST", "answers", {**ASK, "plan": None, "sql": "SELECT * FROM rides"})),
    ("not_signed_in", ("stranger", "POST", "answers", ASK)),
    ("not_allowed", ("reader", "POST", "answers", ASK)),
    ("team_not_yours", ("ann", "POST", "answers", ASK | {"team": "walk"})),
    ("unknown_dataset", ("ann", "POST", "answers", ASK | {"plan": BY_GU | {"dataset": "people"}})),
    ("unknown_answer", ("ann", "GET", "answers/ans-none", None)),
    ("unknown_release", ("ann", "GET", "releases/rel-none", None)),
    ("not_found", ("ann", "GET", "rows", None)),
    ("policy_missing", ("ann", "POST", "answers", ASK | {"plan": BY_GU | {"dataset": "accidents"}})),
    ("key_reused", ("ann", "POST", "answers", where("sex", "eq", "F") | {"key": "once"})),
    ("budget_exhausted", ("ann", "POST", "answers", ASK | {"spend": {"rho": "0.1"}, "fresh": True})),
    ("witness_invalid", ("ann", "POST", "audit/witnesses", {"statement": {}, "key_id": "k", "ed25519": "x"})),
]
#: Answered without looking at a record.
FREE = [
    ("ann", "POST", "price", ASK | {"fresh": True}),
    ("ann", "POST", "price", where("sex", "eq", "other") | {"spend": {"margin": {"rides": 60}}}),
    ("ann", "GET", "catalog", None),
    ("ann", "GET", "datasets/rides", None),
    ("ann", "GET", "datasets/rides/twin?rows=50", None),
    ("ann", "GET", "policies", None),
]


def client_of(
    template: Workspace, home: Any, rows: Any, server: Server | None
) -> tuple[Workspace, TestClient]:
    made = copy_workspace(template, home, server=server)
    if rows is not None:
        made.load_rides(rows)
    else:
        # As many versions as the other has: the ledger is the same.
        made.load_rides()
    client = TestClient(workspace_app(made.parts, FakeIdentity(CALLERS), prefix=""))
    client.headers["Accept-Language"] = "en"
    # Two answers, and the cap of team bike is used up but for a little.
    for more in ({"key": "once"}, {"spend": {"rho": "0.1"}}):
        assert client.post("/v1/answers", json=ASK | more, headers=token("ann")).status_code == 200
    return made, client


def token(who: str) -> dict[str, str]:
    return {"Authorization": f"token {who}"}


def reply(client: TestClient, asked: tuple[str, str, str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body but for what is drawn anew for each request."""
    who, method, path, body = asked
    content = body if isinstance(body, str) else None if body is None else json.dumps(body)
    headers = token(who) | {"Content-Type": "application/json"}
    found = client.request(method, f"/v1/{path}", content=content, headers=headers)
    document = found.json()
    if isinstance(document, dict) and (drawn := document.get("request_id")):
        return found.status_code, dict(found.headers), found.content.replace(drawn.encode(), b"")
    return found.status_code, dict(found.headers), found.content


@pytest.fixture(scope="module")
def pair(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> Iterator[dict[str, TestClient]]:
    folder = tmp_path_factory.mktemp("pair")
    made = {
        name: client_of(template, folder / str(number), rows, server)
        for number, (name, rows) in enumerate({"as it is": None, **OTHERS}.items())
    }
    yield {name: client for name, (_, client) in made.items()}
    for workspace, _ in made.values():
        workspace.parts.close()


@pytest.mark.parametrize(
    ("code", "asked"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_refusal_is_the_same_bytes_whatever_the_data(
    pair: dict[str, TestClient], code: str, asked: tuple[str, str, str, Any]
) -> None:
    found = {name: reply(client, asked) for name, client in pair.items()}
    status, _, content = found["as it is"]
    assert (json.loads(content)["code"], status) == (code, REGISTRY[code].status)
    assert all(each == found["as it is"] for each in found.values())


@pytest.mark.parametrize("asked", FREE, ids=lambda asked: asked[2])
def test_what_is_told_without_a_charge_is_the_same_bytes_whatever_the_data(
    pair: dict[str, TestClient], asked: tuple[str, str, str, Any]
) -> None:
    found = [reply(client, asked) for client in pair.values()]
    assert found[0][0] == 200
    assert all(each == found[0] for each in found)


def test_the_ledger_tells_of_charges_and_not_of_what_was_answered(pair: dict[str, TestClient]) -> None:
    def told(client: TestClient) -> list[Any]:
        periods = client.get("/v1/ledger").json()["periods"]
        for entry in periods:
            for charge in entry["charges"]:
                charge.pop("reservation")
        return list(periods)

    found = [told(client) for client in pair.values()]
    assert found[0] and all(each == found[0] for each in found)


def test_absent_and_forbidden_look_alike_to_somebody_with_no_right(pair: dict[str, TestClient]) -> None:
    client = pair["as it is"]
    [answer, *_] = [line["answer_id"] for line in client.get("/v1/answers", headers=token("ann")).json()]
    absent = "ans-" + "a" * 26
    alike = [
        # Another team's answer, and none.
        [("ben", "GET", f"answers/{answer}", None), ("ben", "GET", f"answers/{absent}", None)],
        # A team that there is, and one that there is not.
        [
            ("ann", "POST", "answers", ASK | {"team": team})
            for team in ("walk", "no-such-team", "site", "loads")
        ],
        # Without the right: a dataset that is open, one that is closed, one that there is not.
        [("nobody", "GET", f"datasets/{name}", None) for name in ("rides", "accidents", "people")],
        [("nobody", "GET", f"answers/{name}", None) for name in (answer, absent)],
        [("stranger", "GET", f"answers/{name}", None) for name in (answer, absent)],
        [("reader", "POST", "price", where("gu", "eq", name)) for name in ("종로구", "어딘가")],
        # Of a team that is not hers: a dataset's columns are no news either.
        [
            ("ann", "POST", "price", ASK | {"team": "walk", "plan": BY_GU | {"by": [column]}})
            for column in ("gu", "member", "none")
        ],
    ]
    for group in alike:
        found = [reply(client, asked) for asked in group]
        assert found[0][0] in (401, 403, 404)
        assert all(each == found[0] for each in found), group
    assert client.get(f"/v1/answers/{answer}", headers=token("ann")).status_code == 200


def test_a_closed_dataset_says_why_and_nothing_of_its_data(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> None:
    found = []
    for rows in (None, OTHERS["another city"]):
        made, client = client_of(template, tmp_path_factory.mktemp("closed") / "home", rows, server)
        made.activate(make_policy(made.entry(), version=2, expires="2026-11-23"))
        made.clock.elapsed += 2 * 86_400
        found.append([reply(client, ("ann", "POST", path, ASK)) for path in ("price", "answers")])
        found[-1].append(reply(client, ("ann", "GET", "datasets/rides", None)))
        made.parts.close()
    assert [status for status, _, _ in found[0]] == [423] * 3
    assert found[0] == found[1]
