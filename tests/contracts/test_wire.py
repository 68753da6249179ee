"""Both ends of the wire at once: the analyst's client reads what the gateway really writes.

The only test that holds both sides in one process; everything between them is real but the Hub.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from civic_kernel import errors as kernel_errors
from civic_kernel.client import Client
from civic_kernel.errors import BudgetExhausted, CivicError, TeamNotYours, UnknownColumn, UnknownDataset
from civic_kernel.measures import count, histogram, mean, persons, quantiles, share, sum_of
from civic_kernel.price_card import Price
from civic_kernel.queries import Dataset, band, season
from data_access.compose import Parts, compose
from data_access.demo.prepare import DATASETS, install_catalog
from data_access.flows.answering import Asker
from data_access.gateway.identity import ASK, FACILITATE, READ, Caller
from data_access.gateway.openapi import openapi_document
from data_access.gateway.workspace import workspace_app
from data_access.settings import read_settings
from tests.factories import copy_city

MONTH = "2026-09"


class Hub:
    """Everybody is in the workshop's team and may ask; `site` is another's. One leads the workshop, one is its room."""

    def caller(self, token: str) -> Caller:
        asker = Asker("someone", frozenset({"bike"}), asks=True)
        match token:
            case "room":
                return Caller(replace(asker, name="room-01", is_room=True), frozenset({ASK, READ}))
            case "leader":
                rights = frozenset({ASK, READ, FACILITATE})
                return Caller(replace(asker, name="leader", leads=True), rights)
            case _:
                return Caller(asker, frozenset({ASK, READ}))


DOCUMENTED = {
    (method, re.compile(re.sub(r"{\w+}", "[^/]+", path)))
    for path, methods in openapi_document()["paths"].items()
    for method in methods
}


class ByTheBook(TestClient):
    """Carries only calls that docs/openapi.json describes."""

    def request(self, method: str, url: Any, **options: Any) -> Any:
        assert any(method.lower() == m and path.fullmatch(str(url)) for m, path in DOCUMENTED), (method, url)
        return super().request(method, url, **options)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, small_city: Path) -> Iterator[Parts]:
    parts = copy_city(small_city, tmp_path_factory.mktemp("wire") / "home")
    yield parts
    parts.close()


@pytest.fixture
def client(parts: Parts) -> Client:
    return connected(parts, "token")


def connected(parts: Parts, token: str) -> Client:
    http = ByTheBook(workspace_app(parts, Hub(), prefix=""), raise_server_exceptions=False)
    return Client("", token, team="bike", purpose="workshop", language="en", http=http)


@pytest.fixture
def rides(client: Client) -> Dataset:
    return Dataset(client.dataset("bike_rides"), client)


def test_the_catalog_is_understood_with_every_dataset_open(client: Client) -> None:
    assert {row.id: row.open for row in client.catalog().datasets} == dict.fromkeys(DATASETS, True)


def test_a_closed_dataset_is_understood_too(tmp_path: Path) -> None:
    settings = read_settings({"CIVIC_HOME": str(tmp_path)})
    install_catalog(settings.catalog_folder)
    parts = compose(settings, create=True)
    try:
        client = Client("", "token", http=ByTheBook(workspace_app(parts, Hub(), prefix="")))
        closed = {row.id: row.closed_code for row in client.catalog().datasets}
        assert set(closed.values()) <= kernel_errors.REGISTRY.keys()
        assert None not in closed.values()
    finally:
        parts.close()


def test_a_question_is_priced_asked_and_answered_again(client: Client, rides: Dataset) -> None:
    question = rides.by(rides.start_gu).where(rides.month == MONTH).agg(rides=count(), people=persons())
    price = client.price(question.plan, {"precision": "normal"})
    assert price.periods == [MONTH] and not price.free
    frame = question.ask("normal")
    assert len(frame) == 26  # 25 gu and `other`
    [body] = client.answers
    again = client.answer(body["answer_id"])
    assert again.statement.periods == [MONTH] and again.charged == 0
    assert client.price(question.plan, {"precision": "normal"}).free


def test_every_measure_and_key_is_asked_priced_and_framed(client: Client, rides: Dataset) -> None:
    detail = rides.detail
    assert set(detail.measures) == {"count", "persons", "share", "sum", "mean", "histogram", "quantiles"}
    assert set(detail.functions) == {"hour", "weekday", "season", "band"}
    minutes = next(c for c in detail.columns if c.name == "minutes")
    assert minutes.type == "measure" and minutes.bins and minutes.clip and minutes.clip.high == 60
    question = (
        rides.by(season(rides.month), band(rides.minutes))
        .where(rides.month == "2025-11", rides.minutes.notna(), band(rides.minutes) != "other")
        .agg(
            rides=count(),
            total=sum_of(rides.minutes),
            average=mean(rides.minutes),
            women=share(rides.sex == "F"),
            part=share(within=[season(rides.month)]),
            spread=histogram(rides.minutes),
            middle=quantiles(rides.minutes, [50]),
        )
    )
    price = client.price(question.plan, {"rho": "0.1", "cell": 1000})
    assert price.measures["total"].margin and price.measures["total"].expected is None
    for name in ("average", "women", "part", "middle"):
        offered = price.measures[name]
        assert offered.margin is None and offered.expected and offered.expected.cell == 1000
    assert "1,000" in str(Price(price, detail, "en"))
    frame = question.ask("0.1")
    assert len(frame) == 4 * 9
    assert list(frame.columns[:2]) == ["minutes_band", "season"]
    assert {"spread_bin1", "spread_bin8_high", "middle_q50", "average_low"} <= set(frame.columns)
    kept = frame[~frame["withheld"]]
    for name in ("average", "women", "part", "middle_q50"):
        assert str(frame[name].dtype) == "Float64"
        assert ((kept[f"{name}_low"] <= kept[name]) & (kept[name] <= kept[f"{name}_high"])).all()
    assert str(frame["total"].dtype) == "Int64"
    assert frame.attrs["civic"]["figures"]["spread_bin1"]["bin"] == [0, 4]
    assert "average" in repr(frame).splitlines()[0]


def test_rain_and_the_size_of_a_gu_come_from_public_tables(client: Client, rides: Dataset) -> None:
    columns = {c.name: c.values for c in rides.detail.columns}
    assert columns["rain"] == ["dry", "light", "heavy"]
    question = rides.by(rides.rain, rides.start_gu_size).where(rides.month == "2025-12").agg(rides=count())
    # Each key's classes and `other`; which row falls where is tests/vault/test_public_tables_are_joined_at_load.py.
    assert len(question.ask("0.01")) == 4 * 4


def test_a_margin_that_needs_a_size_is_refused_and_given_with_one(client: Client, rides: Dataset) -> None:
    question = rides.by(rides.rain).where(rides.month == MONTH).agg(m=mean(rides.minutes))
    with pytest.raises(kernel_errors.MarginRefused):
        client.price(question.plan, {"margin": {"m": 2}})
    priced = client.price(question.plan, {"margin": {"m": "20.5"}, "cell": 1000})
    expected = priced.measures["m"].expected
    assert expected and float(expected.margin) <= 20.5 * 1.001
    assert priced.measures["count"].margin, "the count that cells are withheld by is priced and shown"
    assert (priced.cell, priced.cell_from) == (1000, "asker")


def test_a_size_that_the_catalog_declares_or_an_answer_shows_is_named_in_the_price(rides: Dataset) -> None:
    by_sex = rides.by(rides.sex).where(rides.month == MONTH)
    declared = by_sex.agg(m=mean(rides.minutes)).price("±2 m")
    assert (declared.body.cell, declared.body.cell_from) == (75_000, "catalog")
    frame = rides.by(rides.sex).agg(n=count()).ask("0.04", quiet=True)
    # The made-up city has only 2,000 rides here, which an answer shows and a yearbook does not.
    shown = by_sex.agg(m=mean(rides.minutes)).price("0.01", cell=frame)
    assert shown.body.cell_from == f"answer:{frame.attrs['civic']['answer_id']}"
    assert shown.body.cell is not None and shown.body.cell < 2_000
    assert "the middle cell of answer" in str(Price(shown.body, shown.dataset, "en"))


def test_what_an_answer_leaves_out_arrives_with_price_and_frame(client: Client, rides: Dataset) -> None:
    question = rides.by(rides.end_gu).where(rides.month == MONTH).agg(n=count())
    price = question.price()
    assert price.body.truncated_share is not None
    [document] = [
        each["statement"]
        for each in client.get("/v1/lost-shares")
        if each["id"] in price.body.truncated_share.lost_shares
    ]
    assert (document["period"], document["row_bound"]) == (MONTH, 20)
    frame = question.ask(quiet=True)
    assert frame.attrs["civic"]["truncated_share"] == price.body.truncated_share.model_dump()
    assert price.body.to_pay == [MONTH] and question.price().body.to_pay == []


def test_open_facts_come_row_by_row_and_add_up_without_noise(client: Client, parts: Parts) -> None:
    facts, days = (Dataset(client.dataset(name), client) for name in ("gu_facts", "weather_days"))
    files = parts.settings.home / "city" / "files"
    with (files / "gu.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    frame = facts.rows("gu", "residents", "area_km2").ask()
    assert frame["gu"].tolist() == [line["자치구"] for line in lines] and len(frame) == 25
    assert frame["residents"].tolist() == [int(line["거주자수"]) for line in lines]
    assert client.answers[-1]["statement"]["table"]["rows"][0][2] == lines[0]["면적(km2)"]
    assert frame.attrs["civic"]["geography"] == {"gu": "gu"} and "month" not in dir(facts)
    wet = days.by(days.month).where(days.rain > 0.5).agg(days=count(), rain=sum_of(days.rain))
    assert client.price(wet.plan).free
    with (files / "weather.csv").open(encoding="utf-8-sig", newline="") as file:
        rain = [Decimal(line["일강수량(mm)"]) for line in csv.DictReader(file)]
    by_month = wet.ask(quiet=True)
    assert by_month["days"].sum() == sum(mm > Decimal("0.5") for mm in rain)
    assert by_month["rain"].sum() == pytest.approx(float(sum(mm for mm in rain if mm > Decimal("0.5"))))
    assert days.rows("day").where(days.day == "2025-12-25").ask()["day"].tolist() == ["2025-12-25"]


def test_the_teams_earlier_answers_are_understood(client: Client, rides: Dataset) -> None:
    rides.by(rides.sex).where(rides.month == MONTH).agg(rides=count()).ask("rough")
    assert client.team_answers()


def test_a_rooms_question_waits_for_a_member_and_goes_on_when_she_approved(
    parts: Parts, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("civic_kernel.held.FIRST_PAUSE", 0.02)
    room = connected(parts, "room")
    rides = Dataset(room.dataset("bike_rides"), room)
    question = rides.by(rides.rain).where(rides.month == "2025-11").agg(rides=count())
    assert question.price("rough").body.waits == "room"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(question.ask, "rough", quiet=True)
        while not (waiting := [line for line in client.approvals() if line.can_decide]):
            assert not asked.done()
        assert waiting[0].question.en.endswith("in 2025-11, by rain: count")
        assert client.decide(waiting[0].approval_id, "approve").state == "approved"
        frame = asked.result(30)
    assert client.approval(waiting[0].approval_id).answer_id == frame.attrs["civic"]["answer_id"]


def test_an_allowance_is_tried_set_and_read(parts: Parts, client: Client) -> None:
    leader = connected(parts, "leader")
    wanted = {"team": "bike", "dataset": "accidents", "seats": 2, "rho": 1_000_000}
    assert leader.allow({**wanted, "dry_run": True}).allowance is None
    assert client.allowances() == []
    made = leader.allow({**wanted, "until": "2999-01-01T00:00:00+09:00"}).allowance
    assert made is not None and [line.allowance_id for line in client.allowances()] == [made.allowance_id]
    with pytest.raises(kernel_errors.NotAllowed):
        client.allow(wanted)


def refusals(client: Client) -> list[tuple[type[CivicError], dict[str, Any]]]:
    """What goes wrong -> what goes over the wire."""
    plan = {
        "dataset": "bike_rides",
        "where": None,
        "by": ["start_gu"],
        "measures": {"rides": {"fn": "count"}},
    }
    ask = {"plan": plan, "spend": None, "team": "bike", "purpose": "workshop"}
    return [
        (UnknownDataset, {**ask, "plan": {**plan, "dataset": "nothing"}}),
        (UnknownColumn, {**ask, "plan": {**plan, "by": ["member"]}}),
        (TeamNotYours, {**ask, "team": "site"}),
        (kernel_errors.UnknownPurpose, {**ask, "purpose": "curiosity"}),
        (kernel_errors.SpendInvalid, {**ask, "spend": {"precision": "wonderful"}}),
        (kernel_errors.SpendOverMaximum, {**ask, "spend": {"rho": "0.4"}}),
        (kernel_errors.PlanInvalid, {**ask, "plan": {**plan, "measures": {}}}),
        (kernel_errors.SqlRefused, {"plan": None, "sql": "select 1", "team": "bike", "purpose": "workshop"}),
        (kernel_errors.MalformedRequest, {**ask, "surprise": 1}),
    ]


def test_each_refusal_arrives_as_the_class_of_its_code_in_both_languages(client: Client) -> None:
    for cls, body in refusals(client):
        said = []
        for language in ("ko", "en"):
            client.language = language
            with pytest.raises(cls) as caught:
                client._call("POST", "/v1/price", body)
            assert caught.value.request_id and caught.value.remedy
            said.append(caught.value.message)
        assert said[0] != said[1]


def test_a_budget_that_is_spent_refuses_by_name_and_charges_nothing(client: Client, rides: Dataset) -> None:
    question = rides.by(rides.end_gu).where(rides.month == "2026-01").agg(rides=count())
    question.ask("0.12")
    left = client.price(question.plan, {"rho": "0.11"}).left
    with pytest.raises(BudgetExhausted):
        rides.by(rides.start_gu).where(rides.month == "2026-01").agg(rides=count()).ask("0.1")
    assert client.price(question.plan, {"rho": "0.11"}).left == left
