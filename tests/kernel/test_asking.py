"""From a typed question to a frame, over a real socket."""

from __future__ import annotations

import json
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.responses import PlainTextResponse

import civic_kernel as civic
from civic_kernel import errors
from civic_kernel.client import Client
from civic_kernel.frames import KEY
from civic_kernel.price_card import Price
from civic_kernel.queries import Dataset
from data_access.query import decode_plan

from .conftest import TOKEN, Gateway, refusal


@pytest.fixture
def rides(client: Client) -> Dataset:
    return Dataset(client.dataset("bike_rides"), client)


def test_a_typed_question_becomes_the_contract_s_plan(rides: Dataset) -> None:
    question = (
        rides.where(rides.month.isin(["2026-09"]) & ~(rides.sex == "F"), civic.hour(rides.started_at) >= 18)
        .by(rides.start_gu, "month", civic.hour(rides.started_at))
        .agg(rides=civic.count(), riders=civic.persons())
    )
    assert question.plan == {
        "dataset": "bike_rides",
        "where": {
            "and": [
                {
                    "and": [
                        {"column": "month", "op": "in", "values": ["2026-09"]},
                        {"not": {"column": "sex", "op": "eq", "value": "F"}},
                    ]
                },
                {"column": {"fn": "hour", "column": "started_at"}, "op": "ge", "value": 18},
            ]
        },
        "by": ["start_gu", "month", {"fn": "hour", "column": "started_at"}],
        "measures": {"rides": {"fn": "count"}, "riders": {"fn": "persons"}},
    }


def test_the_vault_side_reads_what_the_analyst_side_writes(rides: Dataset) -> None:
    question = rides.where((rides.sex == "F") | (rides.sex != "M")).by(civic.weekday(rides.started_at))
    decode_plan(question.agg(n=civic.count()).plan)


def test_an_answer_is_a_frame_that_knows_where_it_came_from(rides: Dataset, client: Client) -> None:
    frame = rides.by(rides.start_gu, rides.month).agg(rides=civic.count()).ask(spend="보통", quiet=True)
    assert list(frame.columns) == ["start_gu", "month", "rides", "rides_low", "rides_high", "withheld"]
    assert frame["rides"].dtype == "Int64" and frame["withheld"].dtype == bool
    gone = frame[frame["withheld"]]
    assert len(gone) == 1 and gone["rides"].isna().all()
    assert frame.attrs[KEY]["geography"] == {"start_gu": "gu"}
    first = frame._repr_html_().split("</p>")[0]
    assert "합성" in first and "±277" in first and frame.attrs[KEY]["answer_id"] in first
    # What a person does next keeps it; what joins two answers does not.
    assert KEY in frame[frame["month"] == "2026-02"].sort_values("rides").head().attrs
    assert [body["answer_id"] for body in client.answers] == [frame.attrs[KEY]["answer_id"]]


def test_the_price_comes_first_and_nobody_must_read_rho(
    rides: Dataset, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    rides.by(rides.start_gu, rides.month).agg(rides=civic.count()).ask()
    posts = [path for method, path, _, _ in gateway.seen if method == "POST"]
    assert posts == ["/v1/price", "/v1/answers"]
    shown = capsys.readouterr().err
    assert "7.7 %" in shown and "±277" in shown and "13번" in shown and "site" in shown


def test_a_price_card_is_text_and_html_in_both_languages(rides: Dataset) -> None:
    price = rides.agg(rides=civic.count()).price(spend=0.01)
    english = Price(price.body, price.dataset, "en")
    assert "7.7 % of what team site has left" in str(english) and "13 more" in str(english)
    assert "93 %" in str(english)
    assert "<dl" in (price._repr_html_()) and "script" not in price._repr_html_()


@pytest.mark.parametrize(
    ("make", "error", "hint"),
    [
        (lambda d: d.start_guu, errors.UnknownColumn, "start_gu"),
        (lambda d: d.by("mont"), errors.UnknownColumn, "month"),
        (lambda d: d.sex == "X", errors.ValueOutsideDomain, "F, M"),
        (lambda d: d.month.isin(["2026-13"]), errors.ValueOutsideDomain, "2026-1"),
        (lambda d: civic.hour(d.started_at) == 24, errors.ValueOutsideDomain, "0, 1"),
        (lambda d: d.agg(n=civic.count()).price(spend="quite"), errors.SpendInvalid, "rough"),
        (lambda d: d.agg(n=civic.count()).price(spend=-1), errors.SpendInvalid, "rough"),
        (lambda d: (d.sex == "F") and (d.sex == "M"), errors.PlanInvalid, "&"),
        (lambda d: d.by(d.sex).plan, errors.PlanInvalid, "agg"),
        (lambda d: d.where("sex = F"), errors.PlanInvalid, "where"),
        (lambda d: d.agg(withheld=civic.count()), errors.PlanInvalid, "withheld"),
    ],
)
def test_a_slip_is_refused_before_anything_is_sent(
    rides: Dataset, gateway: Gateway, make: Any, error: type[errors.CivicError], hint: str
) -> None:
    gateway.seen.clear()
    with pytest.raises(error) as caught:
        make(rides)
    assert hint in str(caught.value) and gateway.seen == []


def test_hasattr_and_display_hooks_still_work(rides: Dataset) -> None:
    assert not hasattr(rides, "nothing") and not hasattr(rides, "_ipython_display_")
    assert "start_gu" in dir(rides)


def test_the_gateway_s_refusals_arrive_as_their_classes(client: Client, gateway: Gateway) -> None:
    gateway.fail = [refusal(409, "budget_exhausted")]
    with pytest.raises(errors.BudgetExhausted) as caught:
        client.catalog()
    assert str(caught.value) == "관문의 말. 할 일." and caught.value.request_id == "req-1"
    gateway.fail = [refusal(418, "code_of_next_year")]
    with pytest.raises(errors.CivicError) as newer:
        client.catalog()
    assert newer.value.code == "code_of_next_year" and type(newer.value) is errors.CivicError


def test_every_class_survives_pickling_with_its_words() -> None:
    for cls in errors.REGISTRY.values():
        again = pickle.loads(pickle.dumps(cls("a", "b", "r")))
        assert type(again) is cls and (again.message, again.remedy, again.request_id) == ("a", "b", "r")


def test_a_lost_connection_is_tried_again_with_the_same_key(rides: Dataset, gateway: Gateway) -> None:
    question = rides.agg(rides=civic.count())
    gateway.fail = [PlainTextResponse("Bad Gateway", 502), refusal(409, "answer_in_progress")]
    question.ask(quiet=True)
    keys = [body["key"] for method, path, body, _ in gateway.seen if path == "/v1/answers"]
    assert len(keys) == 3 and len(set(keys)) == 1


def test_nobody_there_is_said_plainly_and_without_the_token() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", TOKEN, "site", "p", "en", retry_seconds=0.2)
    with pytest.raises(errors.GatewayUnreachable) as caught:
        client.catalog()
    chain = [caught.value, caught.value.__cause__]
    assert TOKEN not in repr(client) + "".join(map(str, chain)) and str(port) not in str(caught.value)
    assert caught.value.__suppress_context__


def test_changed_bytes_are_dropped(rides: Dataset, gateway: Gateway, client: Client) -> None:
    gateway.tamper = True
    with pytest.raises(errors.BadAnswer):
        rides.agg(rides=civic.count()).ask(quiet=True)
    assert client.answers == []


def test_a_signature_by_another_key_is_dropped(rides: Dataset, gateway: Gateway, client: Client) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    rides.agg(first=civic.count()).ask(quiet=True)
    right, gateway.key = gateway.key, Ed25519PrivateKey.generate()
    try:
        with pytest.raises(errors.BadAnswer):
            rides.agg(second=civic.count()).ask(quiet=True)
    finally:
        gateway.key = right


def test_a_notebook_shows_two_sentences_and_no_traceback() -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell()
    with capture_output() as shown:
        shell.run_cell("from civic_kernel.errors import TeamMissing; raise TeamMissing.say('en')")
    said = shown.stdout + shown.stderr
    assert "No team was named" in said and "Traceback" not in said and "line 1" not in said


def run_cli(args: list[str], gateway: Gateway, stdin: str = "") -> Any:
    from civic_kernel.ask_cli import ask

    env = {"CIVIC_GATEWAY_URL": gateway.url, "JUPYTERHUB_API_TOKEN": TOKEN, "CIVIC_TEAM": "site",
           "CIVIC_PURPOSE": "city-planning", "CIVIC_LANGUAGE": "en"}  # fmt: skip
    return CliRunner(env=env).invoke(ask, args, input=stdin)


def test_civic_ask_prints_one_json_document_or_a_table(gateway: Gateway, tmp_path: Path) -> None:
    plan = {"dataset": "bike_rides", "where": None, "by": ["hour"], "measures": {"rides": {"fn": "count"}}}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan), encoding="utf-8")
    whole = run_cli(["--plan", str(file), "--json", "--spend", "0.01"], gateway)
    assert json.loads(whole.stdout)["statement"]["plan"] == plan
    assert run_cli(["--plan", "-"], gateway, json.dumps(plan)).stdout.startswith("hour,rides,rides_low")
    price = run_cli(["--plan", "-", "--price"], gateway, json.dumps(plan)).stdout
    assert "7.7 % of what team site has left" in price
    assert isinstance(run_cli(["--plan", "-"], gateway, "{").exception, errors.PlanUnreadable)


def test_the_command_line_suggests_and_shows_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "civic_kernel.cli", "akk", "--json"],
        capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "CIVIC_LANGUAGE": "en"},
    )  # fmt: skip
    assert done.returncode == 2 and "no command akk" in json.loads(done.stdout)["message"]
    assert "Traceback" not in done.stderr
