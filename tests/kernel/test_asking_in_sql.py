"""SQL, prices that say what else could be bought, and questions found again, over a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from starlette.responses import JSONResponse

import civic_kernel as civic
from civic_kernel import errors
from civic_kernel.client import Client
from civic_kernel.frames import KEY
from civic_kernel.price_card import Price
from civic_kernel.queries import Dataset

from .conftest import DETAIL, MONTHS, Gateway, refusal
from .test_asking import run_cli

SQL = "SELECT hour(started_at), count(*) AS rides FROM bike_rides WHERE month IN ('2026-09') GROUP BY 1"


@pytest.fixture(autouse=True)
def connected(client: Client) -> Iterator[None]:
    before = civic._client
    civic.connect(client)
    yield
    civic._client = before


def price_of(left: int, language: Any = "en", **changes: Any) -> Price:
    """A price of 0.01 where the tightest month has `left` nano-ρ."""
    from civic_kernel.wire import DatasetDetail, PriceBody

    body = {
        "plan": {}, "plan_id": "pln-1", "rho": 10000000, "periods": MONTHS, "cells": 1,
        "measures": {"rides": {"fn": "count", "rho": 10000000, "sensitivity_squared": 400,
                               "scale": "141.42", "margin": 277}},
        "team": "site", "left": {m: 130000000 for m in MONTHS[1:]} | {MONTHS[0]: left},
        "share_of_left": "0.5", "more_such": left // 10000000, "stored": None, "free": False,
    }  # fmt: skip
    signers = [
        {"key_id": "k", "side": side, "party": side, "title": {"ko": ko, "en": en}, "demo": True}
        for side, ko, en in (("city", "서울시", "City of Seoul"), ("cso", "시민연대", "Citizens' League"))
    ]
    return Price(
        PriceBody.model_validate(body | changes), DatasetDetail.model_validate(DETAIL | {"signers": signers}), language
    )  # fmt: skip


def test_sql_is_priced_first_and_its_answer_is_a_labelled_frame(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = civic.sql(SQL).ask("보통")
    posts = [(path, body) for method, path, body, _ in gateway.seen if method == "POST"]
    assert [path for path, _ in posts] == ["/v1/price", "/v1/answers"]
    assert all(body["sql"] == SQL and "plan" not in body for _, body in posts)
    assert posts[0][1]["spend"] == {"precision": "normal"}
    assert list(frame.columns) == ["hour", "rides", "rides_low", "rides_high", "withheld"]
    assert frame.attrs[KEY]["geography"] == {"start_gu": "gu"}
    assert "7.7 %" in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["±50 rides", "+-50 rides", "+/- 50 rides", " ±50  rides"])
def test_a_wanted_margin_is_written_as_people_write_it(gateway: Gateway, typed: str) -> None:
    civic.sql(SQL).price(typed)
    assert gateway.seen[0][2]["spend"] == {"margin": {"rides": 50}}


@pytest.mark.parametrize(
    ("typed", "cell", "sent"),
    [
        ("±5% rides", None, {"margin": {"rides": "5%"}}),
        ("±5 % rides", 5000, {"margin": {"rides": "5%"}, "cell": 5000}),
        ("±2.5% rides", "ans-hour", {"margin": {"rides": "2.5%"}, "cell": "ans-hour"}),
        ("±0.5 minutes", None, {"margin": {"minutes": "0.5"}}),
        (None, 5000, {"cell": 5000}),
        ("보통", 5000, {"precision": "normal", "cell": 5000}),
    ],
)
def test_a_part_of_a_size_is_written_as_people_write_it(
    gateway: Gateway, typed: str | None, cell: Any, sent: dict[str, Any]
) -> None:
    civic.sql(SQL).price(typed, cell=cell)
    assert gateway.seen[0][2]["spend"] == sent


def test_an_answers_frame_stands_for_its_size(gateway: Gateway) -> None:
    frame = civic.sql(SQL).ask(quiet=True)
    gateway.seen.clear()
    civic.sql(SQL).price("±5% rides", cell=frame)
    assert gateway.seen[0][2]["spend"]["cell"] == frame.attrs[KEY]["answer_id"]


@pytest.mark.parametrize(
    "typed", ["±50", "±50.5.5 rides", "±5%% rides", "±x rides", "± rides", "quite", "-1", "±٣ rides"]
)
def test_a_spend_that_means_nothing_is_not_sent(gateway: Gateway, typed: str) -> None:
    with pytest.raises(errors.SpendInvalid):
        civic.sql(SQL).price(typed)
    assert gateway.seen == []


def test_a_refusal_of_the_text_arrives_as_its_class(gateway: Gateway) -> None:
    gateway.fail = [refusal(400, "sql_refused")]
    with pytest.raises(errors.SqlRefused) as caught:
        civic.sql("SELECT *").price()
    assert caught.value.exit_code == 2


def test_a_cell_that_begins_with_civic_shows_the_price_and_keeps_the_frame(gateway: Gateway) -> None:
    shell = InteractiveShell()
    with capture_output() as shown:
        shell.run_cell("%load_ext civic_kernel")
        found = shell.run_cell(f"%%civic --spend '±50 rides' --as frame --team bike\n{SQL}")
    assert "±277" in shown.stdout + shown.stderr + str(shown.outputs)
    assert shell.user_ns["frame"] is found.result and len(found.result) == 24
    posts = [body for method, _, body, _ in gateway.seen if method == "POST"]
    assert [body["team"] for body in posts] == ["bike", "bike"]
    assert posts[0]["spend"] == {"margin": {"rides": 50}} and posts[0]["sql"].strip() == SQL
    gateway.seen.clear()
    with capture_output():
        only = shell.run_cell(f"%%civic --price\n{SQL}")
    assert isinstance(only.result, Price)
    assert [path for method, path, _, _ in gateway.seen if method == "POST"] == ["/v1/price"]


def test_a_refused_cell_shows_two_sentences_and_no_traceback(gateway: Gateway) -> None:
    shell = InteractiveShell()
    shell.run_cell("%load_ext civic_kernel")
    gateway.fail = [refusal(400, "sql_refused")]
    with capture_output() as shown:
        shell.run_cell("%%civic\nSELECT *")
    assert "관문의 말." in shown.stdout and "Traceback" not in shown.stdout + shown.stderr


def test_civic_ask_takes_sql_or_a_plan_and_not_both(gateway: Gateway) -> None:
    assert run_cli([SQL], gateway).stdout.startswith("hour,rides,rides_low")
    assert "±277" in run_cli([SQL, "--price", "--spend", "±50 rides"], gateway).stdout
    whole = json.loads(run_cli([SQL, "--json"], gateway).stdout)
    assert whole["statement"]["plan"]["by"] == [{"fn": "hour", "column": "started_at"}]
    for arguments in ([], [SQL, "--plan", "-"]):
        wrong = run_cli(arguments, gateway, "{}")
        assert wrong.exit_code == 2 and "one of the two" in wrong.output
    assert isinstance(run_cli([SQL, "--spend", "quite"], gateway).exception, errors.SpendInvalid)


def test_the_teams_questions_are_found_again_as_sql_reopened_and_cited() -> None:
    found = civic.questions()
    assert found["answer_id"].tolist() == ["ans-hour", "ans-weighted"]
    assert found["question"][0] == SQL.replace("GROUP BY 1", "GROUP BY hour(started_at)")
    assert json.loads(found["question"][1])["measures"]["rides"]["weight"] == 2
    assert civic.questions("PERSONS")["answer_id"].tolist() == ["ans-weighted"]
    assert list(civic.questions("nothing").columns) == list(found.columns)
    frame = civic.answer("ans-hour")
    answer_id = frame.attrs[KEY]["answer_id"]
    assert civic.cite(frame, "en") == (
        f"Bike rides, answer {answer_id} (data version 1, policy version 1, team site, 2026-11-01). "
        "Made-up data (synthetic demonstration)."
    )
    assert "따릉이 이용" in civic.cite(frame) and "지어낸" in civic.cite(frame)
    frame.attrs.clear()
    with pytest.raises(errors.FrameUnsuitable):
        civic.cite(frame)


def test_a_price_shows_what_each_precision_would_give_and_take() -> None:
    card = price_of(130000000)._repr_html_()
    for words in (
        "rough",
        "rides ±554",
        "1.9 % of what is left",
        "52 times",
        "fine",
        "rides ±139",
        "3 times",
    ):
        assert words in card
    assert "Still possible" not in card and "rough" not in str(price_of(130000000))
    assert "대략" in price_of(130000000, "ko")._repr_html_()


def test_a_measure_whose_error_depends_on_the_cell_promises_none() -> None:
    mean = {"fn": "mean", "rho": 10000000, "sensitivity_squared": None, "scale": None, "margin": None}
    card = price_of(130000000, measures={"minutes": mean})._repr_html_()
    assert ">1.9 % of what is left · 52 times<" in card


def test_a_low_budget_says_what_still_fits_and_who_decides() -> None:
    said = str(price_of(9000000))
    assert "Still possible: rough (3 times)" in said
    assert "City of Seoul, Citizens' League" in said and "civic.questions()" in said
    assert "서울시, 시민연대" in str(price_of(9000000, "ko"))
    assert "nothing in 2026-01" in str(price_of(100))
    assert "more than is left" in price_of(9000000)._repr_html_()
    assert "Still possible" not in str(price_of(0, stored="ans-x", free=True))


def test_a_price_with_nothing_left_at_all_is_still_a_price(gateway: Gateway) -> None:
    assert "nothing in 2026-01" in str(price_of(0)) and "<dl" in price_of(0)._repr_html_()


def test_a_typed_question_takes_a_margin_too(client: Client, gateway: Gateway) -> None:
    rides = Dataset(client.dataset("bike_rides"), client)
    gateway.fail = []
    rides.agg(rides=civic.count()).price("±50 rides")
    assert gateway.seen[-1][2]["spend"] == {"margin": {"rides": 50}}


def test_an_answer_that_lacks_its_dataset_is_no_list(gateway: Gateway) -> None:
    gateway.fail = [JSONResponse([{"answer_id": "x"}])]
    with pytest.raises(errors.BadAnswer):
        civic.questions()


# --- what the gateway knows before anything is paid, shown ---

OFFER = {"periods": ["2026-01", "2026-02"], "answers": ["ans-a", "ans-b"], "margins": {"rides": 1385}}


def test_a_price_says_which_months_are_paid_for_and_measures_what_is_left_by_those() -> None:
    some = price_of(9000000, to_pay=["2026-02", "2026-03"], joins={"2026-01": "ans-a"}, more_such=13)
    said = dict(some.lines())
    paid = "of 12 months 2026-02, 2026-03. The other 10 are answered already and free"
    assert said["Months to pay"] == paid
    # January has the least, and nobody pays for January.
    assert said["Left"] == "93 % of the share for 2026-02 (as much or more in 1 other months)"
    assert "Months to pay" not in str(price_of(9000000))
    many = price_of(130000000, to_pay=MONTHS[1:9])
    assert "2026-02 … 2026-09 (8)" in str(many)


def test_a_price_says_what_is_free_and_at_which_margin() -> None:
    wider = str(price_of(130000000, offers=[OFFER], to_pay=MONTHS))
    assert "2026-01, 2026-02: rides ±1,385, added up" in wider and "free if you ask for that margin" in wider
    exact = str(price_of(130000000, offers=[OFFER], to_pay=MONTHS[2:]))
    assert "as exact as you asked" in exact
    # Equal offers of several months are one line.
    each = [OFFER | {"periods": [month]} for month in MONTHS]
    assert str(price_of(130000000, offers=each, to_pay=MONTHS)).count("To be had free") == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("asker", "6,000, as named in the question"),
        ("catalog", "6,000, as the dataset's description declares"),
        ("answer:ans-x", "6,000, the middle cell of answer ans-x"),
    ],
)
def test_a_price_tells_its_margin_as_a_part_of_a_size_and_whose_size_it_is(source: str, said: str) -> None:
    lines = dict(price_of(130000000, cell=6000, cell_from=source).lines())
    assert lines["Error of rides"] == "±277 in each cell (95 %); 4.6 % of a cell of 6,000"
    assert lines["Size of a cell"] == said


def test_a_low_budget_says_how_large_cells_must_be_for_the_rest() -> None:
    said = dict(price_of(2500000).lines())
    # A quarter of the price is left: twice the margin, and ten of those make a cell that is known to a tenth.
    assert "±554 in each cell" in said["With larger cells"] and "5,540 or more" in said["With larger cells"]
    assert list(said)[-1] == "For more" and "sums of its cells are free" in said["Without paying"]
    assert "With larger cells" not in str(price_of(130000000)) + str(price_of(0))


def test_the_command_line_says_and_gives_all_that_a_price_knows(gateway: Gateway) -> None:
    done = run_cli([SQL, "--price", "--spend", "±5% rides", "--cell", "6000"], gateway)
    assert done.exit_code == 0 and len(done.stdout.splitlines()) >= 5
    assert gateway.seen[0][2]["spend"] == {"margin": {"rides": "5%"}, "cell": 6000}
    body = json.loads(run_cli([SQL, "--price", "--json"], gateway).stdout)
    assert {"to_pay", "joins", "offers", "cell", "cell_from", "share_of_left", "more_such"} <= set(body)


def test_a_twins_price_says_nothing_of_records_that_are_left_out() -> None:
    assert "Left out" in str(price_of(130000000))
    assert "Left out" not in str(price_of(130000000, made_up=True))
