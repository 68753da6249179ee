"""The contract as a client sees it: real HTTP, every endpoint, every failure in one envelope."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from data_access.canonical import canonical_bytes, content_id, sha256_hex
from data_access.gateway.bodies import MAX_BODY_BYTES
from data_access.gateway.public import public_app
from data_access.gateway.workspace import ANSWERS_AT_ONCE, workspace_app
from data_access.parties import Signature, check_signature
from tests.factories import (
    BY_GU,
    PERIODS,
    FakeIdentity,
    Workspace,
    copy_workspace,
    make_caller,
)
from tests.gateway.serving import served
from tests.postgresql import Server
from tests.query.test_sql import REFUSED
from tests.query.test_sql import rows as hostile_rows

PREFIX = "/services/data/v1"
BODY: dict[str, Any] = {"plan": BY_GU, "team": "bike", "purpose": "research"}
UNLIMITED = httpx.Limits(max_connections=None)
CALLERS = {
    "ann-token": make_caller("ann", ["bike"], "ask", "read", "release", "approve:city"),
    "ben-token": make_caller("ben", ["walk"], "ask", "read"),
    "reader-token": make_caller("reader", ["bike"], "read"),
    "nobody-token": make_caller("nobody", []),
}


@pytest.fixture(scope="module")
def made(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> Iterator[Workspace]:
    workspace = copy_workspace(template, tmp_path_factory.mktemp("http") / "home", server=server)
    yield workspace
    workspace.parts.close()


@pytest.fixture(scope="module")
def address(made: Workspace) -> Iterator[str]:
    with served(workspace_app(made.parts, FakeIdentity(CALLERS))) as found:
        yield found


@pytest.fixture
def http(address: str) -> Iterator[httpx.Client]:
    """Ann's client, speaking English."""
    headers = {"Authorization": "token ann-token", "Accept-Language": "en"}
    with httpx.Client(base_url=address + PREFIX, headers=headers, timeout=30) as client:
        yield client


def assert_envelope(response: httpx.Response, status: int, code: str) -> None:
    document = response.json()
    assert (response.status_code, document["code"]) == (status, code), document
    assert set(document) == {"code", "message", "remedy", "request_id"}
    assert document["message"].endswith(".") and document["remedy"].endswith(".")
    assert document["request_id"].startswith("req-")
    for word in ("Traceback", "data_access", ".py", "/tmp", "token ", "{", "}"):
        assert word not in document["message"] + document["remedy"].replace('{"precision": "normal"}', "")


def test_the_catalog_says_what_exists_and_what_is_open(http: httpx.Client) -> None:
    _sensors, rides, accidents = sorted(
        http.get("/catalog").json()["datasets"], key=lambda d: str(d["id"]), reverse=True
    )
    assert set(rides) == {"id", "title", "description", "lane", "synthetic", "open", "closed_code"}
    assert (rides["id"], rides["open"], rides["closed_code"], rides["lane"]) == (
        "rides",
        True,
        None,
        "private",
    )
    assert (accidents["open"], accidents["closed_code"]) == (False, "policy_missing")


def test_a_dataset_says_what_may_be_asked_at_what_price_and_who_signed(
    http: httpx.Client, made: Workspace
) -> None:
    document = http.get("/datasets/rides").json()
    assert document["unit"] == {"kind": "person", "period": "month"}
    assert document["periods"] == list(PERIODS)
    assert document["precisions"] == {"rough": 5_000_000, "normal": 10_000_000, "fine": 20_000_000}
    assert [column["type"] for column in document["columns"]] == ["period", "time", "key", "key"]
    assert {signer["side"] for signer in document["signers"]} == {"city", "cso"}
    assert [team["team"] for team in document["teams"]] == ["bike"]
    assert document["teams"][0]["cap"] == 200_000_000


def test_price_then_answer_then_the_same_bytes_again(http: httpx.Client, made: Workspace) -> None:
    price = http.post("/price", json=BODY).json()
    assert (price["cells"], price["free"], price["rho"]) == (4, False, 10_000_000)
    first = http.post("/answers", json=BODY).json()
    assert first["charged"] == 30_000_000
    data = canonical_bytes(first["statement"])
    assert first["answer_id"] == content_id("ans", data)
    check_signature(
        made.parts.key.public, Signature(first["signature"]["key_id"], first["signature"]["ed25519"]), data
    )
    second = http.post("/answers", json=BODY).json()
    third = http.get(f"/answers/{first['answer_id']}").json()
    for again in (second, third):
        assert again["charged"] == 0
        assert again["statement"] == first["statement"] and again["signature"] == first["signature"]
    assert http.post("/price", json=BODY).json()["stored"] == first["answer_id"]
    listed = http.get("/answers").json()
    assert listed[0]["answer_id"] == first["answer_id"] and listed[0]["purpose"] == "research"


def test_a_question_in_sql_is_the_same_question_and_free_once_it_was_asked(http: httpx.Client) -> None:
    where = {"column": "month", "op": "in", "values": list(PERIODS[:2])}
    asked = BODY | {"spend": {"rho": "0.002"}, "plan": BY_GU | {"by": ["sex"], "where": where}}
    price = http.post("/price", json=asked).json()
    sql = f"SELECT sex, count(*) AS rides FROM rides WHERE month < '{PERIODS[2]}' GROUP BY sex"
    same = {name: value for name, value in asked.items() if name != "plan"} | {"sql": sql}
    assert http.post("/price", json=same).json() == price
    first = http.post("/answers", json=same).json()
    assert (first["charged"], http.post("/answers", json=asked).json()["charged"]) == (4_000_000, 0)
    assert "sql" not in json.dumps(first["statement"])


def test_hostile_sql_is_refused_with_two_sentences_and_charges_nothing(
    http: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    before = http.get("/ledger").json()
    with caplog.at_level(logging.DEBUG):
        for text, _ in hostile_rows(REFUSED):
            sql = text.replace("…", "SELECT count(*) AS n FROM rides")
            response = http.post("/answers", json={"sql": sql, "team": "bike", "purpose": "research"})
            document = response.json()
            assert (response.status_code, document["code"]) == (400, "sql_refused"), sql
            assert document["message"].endswith(".") and document["remedy"].endswith(".")
    assert http.get("/ledger").json() == before
    assert "passwd" not in caplog.text and "FROM rides" not in caplog.text


def test_another_team_gets_the_answer_by_asking_and_never_by_its_id(http: httpx.Client) -> None:
    answer = http.post("/answers", json=BODY).json()["answer_id"]
    ben = {"Authorization": "token ben-token"}
    assert http.post("/answers", json=BODY | {"team": "walk"}, headers=ben).json()["answer_id"] == answer
    for name in (answer, "ans-" + "a" * 26, "x"):
        assert_envelope(http.get(f"/answers/{name}", headers=ben), 404, "unknown_answer")
    assert http.get("/answers", headers=ben).json() == []


def test_public_records_need_no_token_and_agree_on_both_apps(address: str, made: Workspace) -> None:
    with served(public_app(made.parts)) as public, httpx.Client() as client:
        for path in ("ledger", "audit/head", "audit/events", "policies", "parties", "releases"):
            inside, outside = client.get(f"{address}{PREFIX}/{path}"), client.get(f"{public}/v1/{path}")
            assert inside.status_code == outside.status_code == 200
            assert inside.json() == outside.json()
            assert "set-cookie" not in outside.headers
        register = client.get(f"{public}/v1/parties").json()
        assert sha256_hex(canonical_bytes(register["register"])) == register["hash"]
        (policy,) = client.get(f"{public}/v1/policies").json()
        assert policy["in_force"] and sha256_hex(canonical_bytes(policy["policy"])) == policy["hash"]
        events = client.get(f"{public}/v1/audit/events", params={"after": 3}).json()["events"]
        assert events[0]["event"]["seq"] == 4
        for method, path in (
            ("POST", "answers"),
            ("POST", "price"),
            ("GET", "catalog"),
            ("POST", "releases"),
        ):
            response = client.request(
                method, f"{public}/v1/{path}", json=BODY, headers={"Accept-Language": "en"}
            )
            assert_envelope(response, 404, "not_found")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Authorization": ""}, 401, "not_signed_in"),
        ({"Authorization": "token"}, 401, "not_signed_in"),
        ({"Authorization": "token foreign"}, 401, "not_signed_in"),
        ({"Authorization": "Basic YTpi"}, 401, "not_signed_in"),
        ({"Authorization": "token caf\u00e9".encode("latin-1")}, 401, "not_signed_in"),
        ({"Authorization": "token nobody-token"}, 403, "not_allowed"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/catalog"),
        ("GET", "/datasets/rides"),
        ("GET", "/answers"),
        ("GET", "/answers/ans-x"),
        ("POST", "/price"),
        ("POST", "/answers"),
        ("POST", "/releases"),
        ("POST", "/releases/rel-x/approvals"),
    ],
    ids=str,
)
def test_every_closed_endpoint_refuses_who_may_not(
    http: httpx.Client, method: str, path: str, headers: dict[str, Any], status: int, code: str
) -> None:
    body = {"POST": {"json": {"record": {}} if path == "/releases" else BODY}}.get(method, {})
    if path.endswith("approvals"):
        body = {"json": {"key_id": "key-x", "ed25519": "x"}}
    assert_envelope(http.request(method, path, headers=headers, **body), status, code)


def test_a_missing_scope_is_named(http: httpx.Client) -> None:
    response = http.post("/answers", json=BODY, headers={"Authorization": "token reader-token"})
    assert_envelope(response, 403, "not_allowed")
    assert "custom:civic:ask" in response.json()["message"]


def test_a_token_in_the_address_or_a_cookie_is_no_token(address: str) -> None:
    with httpx.Client(base_url=address + PREFIX, cookies={"token": "ann-token"}) as client:
        response = client.get("/catalog", params={"token": "ann-token"}, headers={"Accept-Language": "en"})
        assert_envelope(response, 401, "not_signed_in")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"plan": BY_GU | {"dataset": "nothing"}}, 404, "unknown_dataset"),
        ({"plan": BY_GU | {"dataset": "accidents"}}, 423, "policy_missing"),
        ({"plan": BY_GU | {"by": ["secret"]}}, 400, "unknown_column"),
        ({"plan": BY_GU | {"measures": {"n": {"fn": "median"}}}}, 400, "unknown_function"),
        (
            {"plan": BY_GU | {"where": {"column": "gu", "op": "eq", "value": "서울"}}},
            400,
            "value_outside_domain",
        ),
        (
            {"plan": BY_GU | {"where": {"column": "gu", "op": "eq", "value": "\ud800"}}},
            400,
            "malformed_request",
        ),
        ({"plan": BY_GU | {"where": {"and": []}}}, 400, "plan_invalid"),
        ({"plan": None}, 400, "malformed_request"),
        ({"plan": []}, 400, "malformed_request"),
        ({"plan": BY_GU, "surprise": 1}, 400, "malformed_request"),
        ({"sql": "SELECT 1"}, 400, "malformed_request"),
        ({"plan": None, "sql": "SELECT 1"}, 400, "sql_refused"),
        (
            {"plan": None, "sql": "SELECT count(*) FROM rides WHERE gu = '\ud800'"},
            400,
            "malformed_request",
        ),
        ({"plan": None, "sql": "x" * 20_001}, 400, "malformed_request"),
        ({"team": "walk"}, 403, "team_not_yours"),
        ({"team": "site"}, 403, "team_not_yours"),
        ({"purpose": "gossip"}, 400, "unknown_purpose"),
        ({"spend": {"rho": "x"}}, 400, "spend_invalid"),
        ({"spend": {"rho": "0.2"}}, 400, "spend_over_maximum"),
        ({"key": ""}, 400, "malformed_request"),
        ({"key": "\ud800"}, 400, "malformed_request"),
        ({"key": "a b"}, 400, "malformed_request"),
        ({"key": "k" * 65}, 400, "malformed_request"),
        ({"fresh": "yes"}, 400, "malformed_request"),
        ({"team": 7}, 400, "malformed_request"),
    ],
    ids=lambda value: json.dumps(value, ensure_ascii=True)[:70],
)
@pytest.mark.parametrize("path", ["/price", "/answers"])
def test_each_fault_of_a_question_has_its_envelope(
    http: httpx.Client, path: str, changes: dict[str, Any], status: int, code: str
) -> None:
    # As ASCII, since a lone surrogate has no UTF-8.
    content = json.dumps(BODY | changes)
    response = http.post(path, content=content, headers={"Content-Type": "application/json"})
    assert_envelope(response, status, code)


def test_messages_come_in_korean_and_in_english(http: httpx.Client) -> None:
    body = BODY | {"purpose": "gossip"}
    english = http.post("/price", json=body).json()
    korean = http.post("/price", json=body, headers={"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"}).json()
    nothing = http.post("/price", json=body, headers={"Accept-Language": "fr"}).json()
    assert "purpose" in english["message"]
    assert any("가" <= letter <= "힣" for letter in korean["message"])
    assert nothing["message"] == korean["message"]
    assert english["code"] == korean["code"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"plan": NaN}',
        b"\xff\xfe",
        b'{"plan":' * 5000,
        b"[" * 100_000,
        b'{"plan": ' + b"9" * 10_000 + b"}",
        json.dumps(BODY | {"plan": {f"k{n}": n for n in range(10_000)}}).encode(),
        json.dumps(
            BODY | {"plan": BY_GU | {"where": {"column": "gu", "op": "eq", "value": float("nan")}}}
        ).encode(),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_bytes_that_are_no_question_are_refused(http: httpx.Client, content: bytes) -> None:
    response = http.post("/answers", content=content, headers={"Content-Type": "application/json"})
    assert response.json()["code"] in ("malformed_request", "plan_invalid")
    assert_envelope(response, 400, response.json()["code"])


def test_a_body_longer_than_any_question_is_refused_by_its_size(http: httpx.Client) -> None:
    for content in (b"x" * (MAX_BODY_BYTES + 1), (b"x" * 50_000 for _ in range(100))):
        response = http.post("/answers", content=content, headers={"Content-Type": "application/json"})
        assert_envelope(response, 413, "request_too_large")
        assert str(MAX_BODY_BYTES) in response.json()["message"]
    assert http.get("/catalog").status_code == 200


def test_an_unknown_address_and_method_are_refused_in_the_envelope(http: httpx.Client) -> None:
    assert_envelope(http.get("/nothing"), 404, "not_found")
    assert_envelope(http.delete("/answers"), 404, "not_found")
    assert_envelope(http.get("/answers/"), 404, "not_found")
    assert_envelope(http.get("/datasets/nothing"), 404, "unknown_dataset")
    assert_envelope(http.get("/releases/rel-nothing"), 404, "unknown_release")
    # A NUL is no text to PostgreSQL; it must not look like a broken ledger.
    assert_envelope(http.get("/answers/ans-%00"), 404, "unknown_answer")
    assert_envelope(http.get("/releases/rel-%00"), 404, "unknown_release")


def test_exhausted_budget_reused_keys_and_closed_data_have_their_status(
    template: Workspace, tmp_path: Path, server: Server | None
) -> None:
    made = copy_workspace(template, tmp_path / "home", server=server)
    with (
        served(workspace_app(made.parts, FakeIdentity(CALLERS))) as address,
        httpx.Client(
            base_url=address + PREFIX, headers={"Authorization": "token ann-token", "Accept-Language": "en"}
        ) as http,
    ):
        body = BODY | {"spend": {"rho": "0.1"}, "fresh": True}
        assert [http.post("/answers", json=body).status_code for _ in range(2)] == [200, 200]
        assert_envelope(http.post("/answers", json=body), 409, "budget_exhausted")
        assert_envelope(http.post("/price", json=BODY | {"spend": {"rho": "0.3"}}), 400, "spend_over_maximum")
        made.execute("UPDATE policies SET document = '{}'")
        assert_envelope(http.post("/answers", json=BODY), 423, "policy_edited")
        assert http.get("/catalog").json()["datasets"][1]["closed_code"] == "policy_edited"
        if server is None:
            (made.home / "db" / "vault.sqlite").unlink()
        else:
            server.rename(made.database_url, "moved_away")
        for method, path in (
            ("POST", "/answers"),
            ("POST", "/price"),
            ("GET", "/catalog"),
            ("GET", "/ledger"),
        ):
            assert_envelope(http.request(method, path, json=BODY), 503, "ledger_unavailable")
    made.parts.close()


def test_an_unforeseen_fault_shows_and_logs_its_place_and_never_its_text(
    made: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaking(FakeIdentity):
        def caller(self, token: str) -> Any:
            raise RuntimeError(f"SECRET {token}")

    app = workspace_app(made.parts, Breaking({}))
    with caplog.at_level(logging.DEBUG), served(app) as address:
        headers = {"Authorization": "token hidden-token", "Accept-Language": "en"}
        response = httpx.get(f"{address}{PREFIX}/catalog", headers=headers)
    assert_envelope(response, 500, "internal_fault")
    logged = "\n".join(
        f"{record.getMessage()} {record.exc_text or ''} {record.exc_info or ''}" for record in caplog.records
    )
    assert "SECRET" not in logged + response.text and "hidden-token" not in logged + response.text
    assert "RuntimeError at test_http.py" in logged
    assert response.json()["request_id"] in logged


def test_a_signature_of_an_answer_is_64_bytes(http: httpx.Client) -> None:
    answer = http.post("/answers", json=BODY).json()
    assert len(base64.b64decode(answer["signature"]["ed25519"], validate=True)) == 64


def test_a_workshop_that_asks_at_once_delays_nobodys_price(
    template: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server | None
) -> None:
    """Fifty new answers wait for the beat, more than there are threads for them; a price is given meanwhile."""
    made = copy_workspace(template, tmp_path / "home", server=server)
    waiting, beat = threading.Semaphore(0), threading.Event()

    def sleep(_: float) -> None:
        waiting.release()
        assert beat.wait(60)

    monkeypatch.setattr(made.clock, "sleep", sleep)
    headers = {"Authorization": "token ann-token"}
    with (
        served(workspace_app(made.parts, FakeIdentity(CALLERS))) as address,
        httpx.Client(base_url=address + PREFIX, headers=headers, timeout=60, limits=UNLIMITED) as http,
        ThreadPoolExecutor(50) as askers,
    ):

        def ask(number: int) -> int:
            # Equal questions would wait for one another, each at another price is another question.
            body = BODY | {"spend": {"rho": f"0.000{100 + number}"}, "fresh": True}
            return http.post("/answers", json=body).status_code

        try:
            asked = [askers.submit(ask, number) for number in range(50)]
            for _ in range(ANSWERS_AT_ONCE):
                assert waiting.acquire(timeout=60)
            assert http.post("/price", json=BODY, timeout=20).status_code == 200
        finally:
            beat.set()
        assert [each.result() for each in asked] == [200] * 50
    made.parts.close()
