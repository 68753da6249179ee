"""A question that waits for a person, as somebody at a kernel or a terminal meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.responses import JSONResponse, Response

import civic_kernel as civic
from civic_kernel import errors
from civic_kernel.client import Client
from civic_kernel.held import Waiting, WaitingStopped
from civic_kernel.queries import Dataset

from .conftest import DETAIL, TOKEN, Gateway, refusal

HELD: dict[str, Any] = {
    "approval_id": "apr-one", "state": "waiting", "cause": "room", "team": "site", "asker": "room-01",
    "dataset": "bike_rides", "dataset_title": {"ko": "따릉이", "en": "Rides"}, "purpose": "city-planning",
    "fresh": False,
    "question": {"ko": "2026년 9월의 따릉이를, <b>구</b>별로, 건수", "en": "Rides in 2026-09, by gu: count"},
    "plan": {}, "asked_at": "2026-11-01T09:00:00Z", "expires_at": "2026-11-02T09:00:00Z", "decided_by": None,
    "decided_at": None, "answer_id": None, "mine": True, "can_decide": False,
    "price": {"rho": 10_000_000, "periods": ["2026-09"], "measures": {}, "share_of_left": "0.0500", "more_such": 20},
}  # fmt: skip


def held(status: int = 200, **changes: Any) -> Response:
    return JSONResponse(HELD | changes, status_code=status)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("civic_kernel.held.FIRST_PAUSE", 0.01)


@pytest.fixture
def rides(client: Client) -> Dataset:
    return Dataset(client.dataset("bike_rides"), client)


def test_it_waits_says_so_in_words_and_goes_on_by_itself_when_approved(
    rides: Dataset, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.seen.clear()
    gateway.fail = [held(202), held(), held(), held(state="approved", decided_by="bea")]
    frame = rides.by(rides.start_gu, rides.month).agg(rides=civic.count()).ask(quiet=True)
    assert len(frame)
    posts = [body for method, path, body, _ in gateway.seen if (method, path) == ("POST", "/v1/answers")]
    looks = [path for _, path, _, _ in gateway.seen if path == "/v1/approvals/apr-one"]
    # The same body under the same key: a lost connection after the approval still charges once.
    assert len(posts) == 2 and posts[0] == posts[1] and len(looks) == 3
    shown = capsys.readouterr().err
    for words in (
        "승인을 기다립니다",
        "2026년 9월의 따릉이",
        "5.0 %",
        "팀원 누구나",
        "커널을 멈추고",
        "apr-one",
        "bea 님이 승인",
    ):
        assert words in shown
    assert shown.count("\n") == 2, "said once when it begins and once when it ends"


@pytest.mark.parametrize(
    ("then", "error"),
    [({"state": "refused", "decided_by": "bea"}, errors.QuestionRefused), ({}, errors.QuestionWaits)],
    ids=["refused", "nobody decides"],
)
def test_a_no_and_a_silence_are_each_two_sentences(
    gateway: Gateway, then: dict[str, Any], error: type[errors.CivicError]
) -> None:
    client = Client(gateway.url, TOKEN, "site", "p", "en", retry_seconds=2, wait_seconds=0.05)
    gateway.fail = [held(202)] + [held(**then) for _ in range(20)]
    with pytest.raises(error) as caught:
        client.ask({"dataset": "bike_rides", "measures": {}})
    client.close()
    assert caught.value.message and caught.value.remedy and client.answers == []


@pytest.mark.parametrize("state", ["expired", "void"])
def test_what_is_over_is_asked_anew_but_not_for_ever(gateway: Gateway, client: Client, state: str) -> None:
    gateway.fail = [held(202) if n % 2 == 0 else held(state=state) for n in range(40)]
    with pytest.raises(errors.QuestionWaits):
        client.ask({"dataset": "bike_rides", "measures": {}})
    assert len(gateway.fail) == 30


def test_interrupting_shows_two_sentences_and_stops_a_loop_of_questions(
    gateway: Gateway, client: Client
) -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    gateway.fail = [held(202)]
    client.approval = stop  # type: ignore[method-assign]
    asked = []

    def ask() -> None:
        asked.append(1)
        client.ask({"dataset": "bike_rides", "measures": {}})

    shell = InteractiveShell()
    shell.user_ns["ask"] = ask
    with capture_output() as shown:
        shell.run_cell("for _ in range(3):\n    try:\n        ask()\n    except Exception:\n        pass")
    said = shown.stdout + shown.stderr
    assert "기다리기를 멈췄습니다" in said and "apr-one" in said and "다시 물으면" in said
    assert "Traceback" not in said and "line " not in said and len(asked) == 1
    assert issubclass(WaitingStopped, KeyboardInterrupt)


def test_ctrl_c_at_a_terminal_ends_with_its_code_and_one_line(gateway: Gateway) -> None:
    gateway.fail = [held(202)] + [held() for _ in range(50)]
    command = [sys.executable, "-m", "civic_kernel.cli", "ask", "SELECT 1"]
    env = environment(gateway) | {"PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    gateway.fail.clear()
    assert process.returncode == 130
    assert "waiting for approval" in first and "goes on waiting" in rest and "Traceback" not in rest


def test_the_list_shows_what_is_open_and_everything_when_asked_for(gateway: Gateway, client: Client) -> None:
    civic.connect(client)
    lines = [HELD, HELD | {"approval_id": "apr-two", "state": "used", "decided_by": "bea"}]
    gateway.fail = [JSONResponse(lines), JSONResponse(lines), held(state="approved", decided_by="me")]
    frame = civic.waiting()
    assert list(frame["approval_id"]) == ["apr-one"] and frame["share"][0] == 0.05
    assert list(civic.waiting(everything=True)["state"]) == ["waiting", "used"]
    assert "me 님이 승인했습니다" in str(civic.approve("apr-one"))
    assert gateway.seen[-1][1:3] == ("/v1/approvals/apr-one", {"decision": "approve"})
    gateway.fail = [refusal(403, "approval_not_yours")]
    with pytest.raises(errors.ApprovalNotYours):
        civic.refuse("apr-one")


def test_a_card_is_text_and_html_in_both_languages_and_its_words_cannot_act(client: Client) -> None:
    gateway_words = Waiting(client_held(), "ko")._repr_html_()
    assert (
        "&lt;b&gt;구&lt;/b&gt;" in gateway_words
        and "<b>" not in gateway_words
        and 'role="status"' in gateway_words
    )
    for state in ("waiting", "approved", "refused", "expired", "used", "void"):
        for cause in ("room", "allowance"):
            for language in ("ko", "en"):
                card = Waiting(client_held(state=state, cause=cause), language)  # type: ignore[arg-type]
                assert "apr-one" in str(card)
    nothing = client_held(price=HELD["price"] | {"share_of_left": None, "more_such": None})
    assert "%" not in str(Waiting(nothing, "en"))


def client_held(**changes: Any) -> Any:
    from civic_kernel import wire

    return wire.parse(wire.Held, HELD | changes, "en")


def test_a_price_says_that_it_would_wait_and_for_whom(rides: Dataset) -> None:
    price = rides.agg(rides=civic.count()).price()
    assert "진행자" not in str(price)
    body = price.body.model_copy(update={"waits": "allowance"})
    assert "진행자" in str(type(price)(body, price.dataset, "ko"))


def environment(gateway: Gateway) -> dict[str, str]:
    return {"CIVIC_GATEWAY_URL": gateway.url, "JUPYTERHUB_API_TOKEN": TOKEN, "CIVIC_TEAM": "site",
            "CIVIC_PURPOSE": "city-planning", "CIVIC_LANGUAGE": "en"}  # fmt: skip


def run(gateway: Gateway, *words: str) -> Any:
    from civic_kernel.approvals_cli import allowance, approvals

    group = approvals if words[0] in ("list", "approve", "refuse") else allowance
    return CliRunner(env=environment(gateway)).invoke(group, list(words))


def test_the_commands_list_decide_and_print_one_json_document(gateway: Gateway) -> None:
    gateway.fail = [JSONResponse([HELD]), JSONResponse([HELD]), JSONResponse([])]
    assert "Rides in 2026-09, by gu: count" in run(gateway, "list").stdout
    assert json.loads(run(gateway, "list", "--json").stdout)[0]["approval_id"] == "apr-one"
    assert run(gateway, "list").stdout == "Nothing is waiting.\n"
    gateway.fail = [held(state="approved", decided_by="me"), held(state="refused", decided_by="me")]
    assert "approved by me" in run(gateway, "approve", "apr-one").stdout
    assert json.loads(run(gateway, "refuse", "apr-one", "--json").stdout)["state"] == "refused"
    assert gateway.seen[-1][2] == {"decision": "refuse"}


LINE = {
    "allowance_id": "alw-one", "team": "site", "dataset": "bike_rides", "seats": 30, "rho": 5_000_000, "from": None,
    "until": None, "set_by": "lea", "set_at": "2026-11-01T09:00:00Z", "in_force": True, "taken": 2,
    "mine": {"has_share": True, "spent": {}},
}  # fmt: skip
MEANING = {
    "dry_run": True, "allowance": None, "seats": 30, "rho": 7_500_000, "all_seats": 225_000_000,
    "share_of_left": "0.7500", "questions": {"rough": 12, "normal": 3, "fine": 0}, "short": ["2026-08"],
}  # fmt: skip


def test_an_allowance_is_named_in_questions_and_tried_before_it_is_set(gateway: Gateway) -> None:
    normal = 10_000_000
    tried = ["set", "--dataset", "bike_rides", "--seats", "30", "--each"]
    for each, nano in (("0.0075", 7_500_000), ("3 normal", 3 * normal), ("3 보통", 3 * normal)):
        # What a precision costs is the dataset's to say.
        gateway.fail = [*([JSONResponse(DETAIL)] if " " in each else []), JSONResponse(MEANING)]
        said = run(gateway, *tried, each, "--try").stdout
        assert "75 %" in said and "normal 3" in said and "2026-08" in said
        sent = gateway.seen[-1][2]
        assert (sent["rho"], sent["seats"], sent["team"], sent["dry_run"]) == (nano, 30, "site", True)
    for each in ("much", "0.0000000001", "-1", "NaN", "3 wonderful", "x normal"):
        assert run(gateway, *tried, each).exit_code == 2
    gateway.fail = [JSONResponse(MEANING | {"dry_run": False, "allowance": LINE})]
    assert json.loads(run(gateway, *tried, "0.005", "--json").stdout)["allowance"]["seats"] == 30
    gateway.fail = [JSONResponse([LINE]), JSONResponse([LINE]), JSONResponse([])]
    assert "ρ 0.005 for each of 30 seats (2 in use)" in run(gateway, "show").stdout
    assert json.loads(run(gateway, "show", "--json").stdout)[0]["from"] is None
    assert run(gateway, "show").stdout == "No allowance is set.\n"
