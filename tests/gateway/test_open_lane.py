"""The open lane over HTTP: rows and cells as the file has them, signed, free, page by page, as JSON and as Arrow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from civic_kernel.wire import ARROW, document_from_arrow
from data_access.audit.chain import read_events
from data_access.canonical import canonical_bytes, content_id
from data_access.errors import PlanInvalid
from data_access.gateway.arrow import arrow_bytes
from data_access.gateway.replies import REPLIES
from data_access.gateway.workspace import workspace_app
from data_access.ledger.book import public_ledger
from data_access.parties import Signature, check_signature
from data_access.vault import find_version
from tests.factories import (
    ANN,
    BY_GU,
    SENSORS,
    FakeIdentity,
    Workspace,
    copy_workspace,
    make_caller,
    make_open_policy,
)
from tests.gateway.serving import served
from tests.postgresql import Server

PREFIX = "/services/data/v1"
ROWS: dict[str, Any] = {"dataset": "sensors", "rows": ["*"]}


@pytest.fixture(scope="module")
def made(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> Iterator[Workspace]:
    workspace = copy_workspace(template, tmp_path_factory.mktemp("open") / "home", server=server)
    workspace.load_sensors()
    yield workspace
    workspace.parts.close()


@pytest.fixture(scope="module")
def http(made: Workspace) -> Iterator[httpx.Client]:
    callers = {"ann-token": make_caller("ann", ["bike"], "ask", "read")}
    with served(workspace_app(made.parts, FakeIdentity(callers))) as address:
        headers = {"Authorization": "token ann-token", "Accept-Language": "en"}
        with httpx.Client(base_url=address + PREFIX, headers=headers, timeout=30) as client:
            yield client


def body(plan: Any = None, **more: Any) -> dict[str, Any]:
    asked = {"sql": more.pop("sql")} if "sql" in more else {"plan": plan}
    return asked | {"team": "bike", "purpose": "research"} | more


def ask(http: httpx.Client, plan: Any = None, **more: Any) -> dict[str, Any]:
    response = http.post("/answers", json=body(plan, **more))
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def refused(http: httpx.Client, plan: Any = None, **more: Any) -> str:
    response = http.post("/answers", json=body(plan, **more))
    assert 400 <= response.status_code < 500
    return str(response.json()["code"])


def as_asked(row: tuple[str, str, str, str]) -> list[Any]:
    """A line of the file, with every value as an answer writes it."""
    at, gu, pm10, no2 = row
    shown = {"0.027": "0.027", "0.03": "0.030", ".1": "0.100", "-0.001": "-0.001", "": None}[no2]
    return [f"{at}:00", gu or None, int(pm10) if pm10 else None, shown]


def test_the_catalog_and_the_description_say_that_it_is_open_and_what_may_be_read(http: httpx.Client) -> None:
    listed = {entry["id"]: entry for entry in http.get("/catalog").json()["datasets"]}
    assert (listed["sensors"]["lane"], listed["sensors"]["open"]) == ("open", True)
    about = http.get("/datasets/sensors").json()
    assert about["rows"] == {"columns": ["at", "gu", "pm10", "no2"], "most": 10_000}
    assert (about["unit"], about["minimum"], about["max_spend"], about["teams"]) == (None, None, 0, [])
    assert about["measures"] == ["count", "sum", "mean"]
    assert about["functions"] == ["hour", "weekday", "season"]
    holds = {column["name"]: (column.get("holds"), column.get("places")) for column in about["columns"]}
    assert holds["no2"] == ("decimal", 3) and holds["at"] == ("moment", None)
    assert {signer["side"] for signer in about["signers"]} == {"city", "cso"}
    assert http.get("/datasets/sensors/twin").json()["code"] == "not_offered"


def test_rows_come_as_the_file_has_them_signed_and_free(http: httpx.Client, made: Workspace) -> None:
    price = http.post("/price", json=body(ROWS)).json()
    assert (price["free"], price["rho"], price["cells"], price["left"]) == (True, 0, 40_000, {})
    answer = ask(http, ROWS)
    statement = answer["statement"]
    assert statement["table"]["rows"] == [as_asked(row) for row in SENSORS]
    assert [column["type"] for column in statement["table"]["columns"]] == [
        "moment",
        "text",
        "integer",
        "decimal",
    ]
    assert (statement["matching"], statement["next"]) == (len(SENSORS), None)
    assert (statement["lane"], statement["spend"], statement["unit"]) == ("open", {"rho": 0}, None)
    assert (answer["charged"], statement["data_version"]) == (0, 1)
    data = canonical_bytes(statement)
    assert answer["answer_id"] == content_id("ans", data)
    signature = Signature(answer["signature"]["key_id"], answer["signature"]["ed25519"])
    check_signature(made.parts.key.public, signature, data)
    # The same bytes again, in whatever way they are asked for.
    for again in (
        ask(http, ROWS, spend={"precision": "fine"}, fresh=True),
        ask(http, sql="SELECT at, gu, pm10, no2 FROM sensors LIMIT 10000"),
        http.get(f"/answers/{answer['answer_id']}").json(),
    ):
        assert again == answer
    assert http.post("/price", json=body(ROWS)).json()["stored"] == answer["answer_id"]
    assert http.get("/answers").json()[0]["dataset"] == "sensors"


def test_every_reply_is_the_documented_one(http: httpx.Client) -> None:
    """Closed, so that no field of the private lane is made up for it, and none leaves undocumented."""
    cells = {"dataset": "sensors", "by": ["month"], "measures": {"n": {"fn": "count"}}}
    for path, reply in (
        ("/datasets/{dataset}", http.get("/datasets/sensors")),
        ("/policies", http.get("/policies")),
    ):
        TypeAdapter(REPLIES["get", f"/v1{path}", "200"]).validate_json(reply.content)
    for path in ("/price", "/answers"):
        for plan in (ROWS, ROWS | {"limit": 1}, cells, BY_GU):
            reply = http.post(path, json=body(plan))
            TypeAdapter(REPLIES["post", f"/v1{path}", "200"]).validate_json(reply.content)


def test_pages_follow_one_another_and_make_up_the_table(http: httpx.Client) -> None:
    where = {"column": "pm10", "op": "not_null"}
    found: list[Any] = []
    after = None
    for _ in range(4):
        plan = {"dataset": "sensors", "rows": ["gu", "pm10"], "limit": 2, "where": where, "after": after}
        statement = ask(http, plan)["statement"]
        found += statement["table"]["rows"]
        assert statement["matching"] == 4
        after = statement["next"]
        if after is None:
            break
    assert found == [[gu or None, int(pm10)] for _, gu, pm10, _ in SENSORS if pm10]
    first = ask(http, {"dataset": "sensors", "rows": ["gu"], "limit": 2})["statement"]["next"]
    other = {"dataset": "sensors", "rows": ["gu"], "limit": 2, "where": where}
    assert refused(http, other | {"after": first}) == "plan_invalid", (
        "another question's place would skip rows"
    )


def test_a_later_load_is_answered_at_once_and_pages_of_the_old_one_stay_together(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> None:
    workspace = copy_workspace(template, tmp_path_factory.mktemp("later") / "home", server=server)
    workspace.load_sensors()
    plan = {"dataset": "sensors", "rows": ["pm10"], "limit": 3}
    old = workspace.ask(ANN, plan).answer.document()["statement"]
    workspace.load("sensors", ("time", "gu", "pm10", "no2"), [("2026-08-01 01:00", "중구", "99", "0.1")])
    with workspace.parts.database.reading() as connection:
        version = find_version(connection, "test-sensors")
        assert version is not None and version.number == 2
    new = workspace.ask(ANN, plan)
    assert new.answer.document()["statement"]["table"]["rows"] == [[99]] and not new.newer_data
    rest = workspace.ask(ANN, plan | {"after": old["next"]})
    assert rest.answer.document()["statement"]["table"]["rows"] == [[12], [7]] and rest.newer_data
    # A new policy has a view of the newest version only: the old pages are over, and say so.
    workspace.activate(
        make_open_policy(workspace.entry("sensors"), version=2, purposes=["research", "report"])
    )
    with pytest.raises(PlanInvalid):
        workspace.ask(ANN, plan | {"after": old["next"]})
    workspace.parts.close()


def test_cells_are_exact_and_sparse_and_a_missing_key_is_a_key(http: httpx.Client) -> None:
    plan = {
        "dataset": "sensors",
        "by": ["gu"],
        "measures": {
            "n": {"fn": "count"},
            "dust": {"fn": "sum", "column": "pm10"},
            "no2": {"fn": "mean", "column": "no2"},
        },
    }
    statement = ask(http, plan)["statement"]
    assert [column["name"] for column in statement["table"]["columns"]] == ["gu", "dust", "n", "no2"]
    assert statement["table"]["rows"] == [
        ["강동구", 7, 1, None],
        ["종로구", 40, 1, "0.100000"],
        ["중구", 31, 2, "0.028500"],
        [None, 12, 1, "-0.001000"],
    ]
    assert statement["mechanism"] == {
        "name": "none",
        "measures": {
            name: {"fn": fn, "rho": 0, "sensitivity_squared": None, "scale": None, "margin": None}
            for name, fn in (("n", "count"), ("dust", "sum"), ("no2", "mean"))
        },
    }
    by_month = ask(http, sql="SELECT month, hour(at), count(*) AS n FROM sensors GROUP BY month, hour(at)")
    assert by_month["statement"]["table"]["rows"] == [
        [1, "2026-08", 2], [2, "2026-08", 1], [13, "2026-09", 1], [14, "2026-09", 1],
    ]  # fmt: skip


def test_the_arrow_body_is_the_signed_document_for_answers_of_both_lanes(http: httpx.Client) -> None:
    for plan in (ROWS, BY_GU, {"dataset": "sensors", "by": ["gu"], "measures": {"n": {"fn": "count"}}}):
        document = ask(http, plan)
        for response in (
            http.post("/answers", json=body(plan), headers={"Accept": f"{ARROW}, application/json;q=0.5"}),
            http.get(f"/answers/{document['answer_id']}", headers={"Accept": ARROW}),
        ):
            assert response.headers["content-type"] == ARROW
            rebuilt = document_from_arrow(response.content)
            assert rebuilt["statement"] == document["statement"]
            assert rebuilt["signature"] == document["signature"]
        with pa.ipc.open_stream(response.content) as stream:
            names = stream.read_all().schema.names
        assert names == [column["name"] for column in document["statement"]["table"]["columns"]]
    wrong = http.post(
        "/answers", json=body({"dataset": "sensors", "rows": ["secret"]}), headers={"Accept": ARROW}
    )
    assert wrong.json()["code"] == "unknown_column", "a refusal is JSON, whatever was asked for"
    assert http.post("/answers", json=body(ROWS), headers={"Accept": "*/*"}).json()["charged"] == 0


def test_a_column_of_numbers_that_json_cannot_hold_comes_through_arrow_unharmed() -> None:
    rows = [[1, "a", True], ["90071992547409931", None, None], [None, "", False]]
    columns = [{"name": name} for name in ("n", "t", "b")]
    document = {"answer_id": "x", "statement": {"table": {"columns": columns, "rows": rows}}}
    assert document_from_arrow(arrow_bytes(document)) == document
    document["statement"]["table"]["rows"] = []
    assert document_from_arrow(arrow_bytes(document)) == document


@pytest.mark.parametrize(
    "content", [b"", b"no stream", arrow_bytes({"statement": {"table": {"columns": [], "rows": []}}})[:-9]]
)
def test_what_is_no_whole_stream_is_no_answer(content: bytes) -> None:
    with pytest.raises(ValueError, match="Arrow"):
        document_from_arrow(content)


def test_nothing_is_charged_and_every_answer_has_its_event(http: httpx.Client, made: Workspace) -> None:
    answer = ask(http, {"dataset": "sensors", "rows": ["gu"], "limit": 1})
    with made.parts.database.reading() as connection:
        told = [e.document()["event"] for e in read_events(connection)]
        assert all(period["lineage"] != "test-sensors" for period in public_ledger(connection))
    [event] = [e for e in told if e["facts"].get("answer") == answer["answer_id"]]
    assert event["kind"] == "answered_open"
    assert set(event["facts"]) == {"answer", "dataset", "plan", "policy", "purpose", "team", "data_version"}


def test_a_retry_key_stands_for_one_question(http: httpx.Client) -> None:
    plan = {"dataset": "sensors", "rows": ["no2"], "limit": 1}
    first = ask(http, plan, key="k1")
    assert ask(http, plan, key="k1") == first
    assert refused(http, plan | {"limit": 2}, key="k1") == "key_reused"
    assert refused(http, plan, key="one two") == "malformed_request"


def test_many_askers_of_one_question_get_the_same_bytes(http: httpx.Client) -> None:
    found: list[str] = []
    plan = {"dataset": "sensors", "rows": ["at"], "limit": 2}
    threads = [threading.Thread(target=lambda: found.append(ask(http, plan)["answer_id"])) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 and len(set(found)) == 1


@pytest.mark.parametrize(
    ("plan", "more", "code"),
    [
        ({"dataset": "sensors", "rows": ["member"]}, {}, "unknown_column"),
        ({"dataset": "rides", "rows": ["gu"]}, {}, "rows_refused"),
        (ROWS, {"team": "walk"}, "team_not_yours"),
        (ROWS, {"purpose": "curiosity"}, "unknown_purpose"),
        ({"dataset": "accidents", "rows": ["gu"]}, {}, "rows_refused"),
        ({"dataset": "nothing", "rows": ["gu"]}, {}, "rows_refused"),
        ({"dataset": "sensors", "measures": {"n": {"fn": "persons"}}}, {}, "measure_refused"),
        ({"dataset": "sensors", "measures": {"n": {"fn": "share"}}}, {}, "unknown_function"),
        ({"dataset": "\ud800", "rows": ["gu"]}, {}, "malformed_request"),
        (None, {"sql": "SELECT gu FROM rides"}, "sql_refused"),
        (None, {"sql": "SELECT gu FROM nothing"}, "sql_refused"),
        (None, {"sql": "SELECT secret FROM sensors"}, "unknown_column"),
    ],
)
def test_refusals_have_their_codes(http: httpx.Client, plan: Any, more: dict[str, Any], code: str) -> None:
    if plan and plan["dataset"] == "\ud800":
        raw = b'{"plan": {"dataset": "\\ud800", "rows": ["gu"]}, "team": "bike", "purpose": "research"}'
        response = http.post("/answers", content=raw, headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 404)
        return
    assert refused(http, plan, **more) == code


def test_a_page_of_long_texts_ends_early_and_goes_on(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    server: Server | None,
) -> None:  # fmt: skip
    monkeypatch.setattr("data_access.answers.opened.MAX_CHARACTERS", 25)
    workspace = copy_workspace(template, tmp_path_factory.mktemp("long") / "home", server=server)
    workspace.load_sensors([("2026-08-01 01:00", "가" * 10, str(n), "") for n in range(5)])
    pages, after = [], None
    while True:
        statement = workspace.ask(ANN, {"dataset": "sensors", "rows": ["gu", "pm10"], "after": after}).answer
        document = statement.document()["statement"]
        pages.append(document["table"]["rows"])
        after = document["next"]
        if after is None:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [row[1] for page in pages for row in page] == list(range(5))
    workspace.parts.close()


def test_the_order_is_the_files_order_over_several_files_and_threads(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> None:
    """More rows than one of DuckDB's row groups, so that several threads write them."""
    workspace = copy_workspace(template, tmp_path_factory.mktemp("order") / "home", server=server)
    rows = [("2026-08-01 01:00", "중구", str(n * 7919 % 130_003), "") for n in range(130_003)]
    workspace.load_sensors(rows)
    plan = {"dataset": "sensors", "rows": ["pm10"], "limit": 10_000, "after": None}
    found: list[int] = []
    for _ in range(3):
        statement = workspace.ask(ANN, plan).answer.document()["statement"]
        found += [value for (value,) in statement["table"]["rows"]]
        plan["after"] = statement["next"]
    assert found == [int(row[2]) for row in rows[:30_000]]
    total = workspace.ask(ANN, {"dataset": "sensors", "measures": {"s": {"fn": "sum", "column": "pm10"}}})
    [[found_sum]] = total.answer.document()["statement"]["table"]["rows"]
    assert found_sum == sum(range(130_003))
    workspace.parts.close()
