"""The twin: made of signed metadata alone, the same every time, asked like the data, free, and never published."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from starlette.testclient import TestClient

import civic_kernel as civic
from civic_kernel import charts, maps, practice
from civic_kernel.client import Client
from civic_kernel.errors import (
    BadAnswer,
    CivicError,
    MeasureRefused,
    PlanInvalid,
    ScreenRefused,
    UnknownColumn,
)
from civic_kernel.frames import KEY, headline
from civic_kernel.methods.combine import total as totals_of
from civic_kernel.publish import blocks
from civic_kernel.publish.screen import Known, check_notebook
from civic_kernel.twins import Twin
from data_access.canonical import document_hash
from data_access.catalog.entry import parse_entry
from data_access.compose import Parts, compose
from data_access.demo.prepare import HERE, install_catalog
from data_access.errors import PolicyMalformed
from data_access.flows.governing import read_policy
from data_access.gateway.workspace import workspace_app
from data_access.policy import schema_of
from data_access.policy.twin import BLOCK, twin_rows
from data_access.settings import read_settings
from tests.factories import CATALOG, FakeIdentity, make_caller, make_keys, make_policy, make_register


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """The demonstration's policies signed and in force; nothing was ever loaded."""
    settings = read_settings({"CIVIC_HOME": str(tmp_path_factory.mktemp("home"))})
    install_catalog(settings.catalog_folder)
    made = compose(settings, create=True)
    keys = make_keys(demo=True)
    register = make_register(keys)
    # The demonstration's policies ask for parties of these names.
    document = json.loads(
        json.dumps(register.document())
        .replace('"city"', '"demo-city"')
        .replace('"cso"', '"demo-cso"')
        .replace('"side": "demo-city"', '"side": "city"')
        .replace('"side": "demo-cso"', '"side": "cso"')
    )
    register = type(register).model_validate(document, strict=False)
    made.governing.accept_register(register, tuple(k.sign(document) for k in (keys.city, keys.cso)))
    for name in ("bike_rides", "accidents"):
        path = settings.policies_folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        wanted = yaml.safe_load((HERE / "policies" / f"{name}.yaml").read_text("utf-8"))
        wanted["catalog"] = made.governing.catalog[name].hash()
        path.write_text(yaml.safe_dump(wanted, allow_unicode=True), "utf-8")
        policy, _ = read_policy(path)
        made.governing.activate(policy, tuple(k.sign(policy.document()) for k in (keys.city, keys.cso)))
    # There is no record to read, and nowhere to read one from.
    shutil.rmtree(settings.vault_folder)
    yield made
    made.close()


@pytest.fixture
def http(parts: Parts) -> TestClient:
    identity = FakeIdentity({"token": make_caller("ann", ["bike"], "read", "ask")})
    return TestClient(workspace_app(parts, identity, prefix=""), raise_server_exceptions=False)


@pytest.fixture
def client(http: TestClient) -> Client:
    return Client("", "token", language="en", http=http)


@pytest.fixture
def rides(client: Client) -> Twin:
    civic.connect(client)
    return civic.twin("bike_rides", rows=30_000, seed=7)


def document(http: TestClient, dataset: str = "bike_rides", **asked: int) -> Any:
    return http.get(
        f"/v1/datasets/{dataset}/twin", params=asked, headers={"Authorization": "token token"}
    ).json()


# --- the rows ---


def test_rows_come_from_signed_metadata_with_nothing_loaded_and_say_that_they_are_made_up(
    http: TestClient, parts: Parts
) -> None:
    with parts.database.reading() as connection:
        policy = parts.governing.in_force(connection, "bike_rides").policy
    found = document(http, rows=5_000)
    assert found["made_up"] is True and found["policy_hash"] == policy.hash()
    assert "지어낸" in found["notice"]["ko"] and "Made up" in found["notice"]["en"]
    rows = pd.DataFrame(found["rows"], columns=found["columns"])
    assert list(rows) == ["unit", "month", "started_at", *sorted(policy.keys), "minutes"]
    assert set(rows["month"]) == set(policy.periods())
    assert set(rows["start_gu"]) <= {*policy.keys["start_gu"].values, "other"}
    assert rows["minutes"].between(0, 60).all()
    assert (rows["started_at"].str[:7] == rows["month"]).all()
    assert rows["unit"].str.startswith("made-up-").all()
    pd.to_datetime(rows["started_at"])


def test_the_same_seed_is_the_same_rows_in_any_slices_and_another_is_not(http: TestClient) -> None:
    whole = document(http, rows=3 * BLOCK, seed=5)["rows"]
    parts = [
        document(http, rows=r, after=a, seed=5)["rows"] for a, r in ((0, 700), (700, 1_500), (2_200, 800))
    ]
    assert [row for part in parts for row in part] == whole
    assert document(http, rows=3 * BLOCK, seed=6)["rows"] != whole


def test_any_size_a_far_slice_costs_no_more_than_a_near_one(http: TestClient) -> None:
    far = document(http, rows=3, after=10**12, seed=5)
    assert len(far["rows"]) == 3
    for wrong in ({"rows": 0}, {"rows": 20_001}, {"after": -1}, {"seed": 2**40}):
        assert document(http, **wrong)["code"] == "malformed_request"


def test_declared_shapes_show(http: TestClient) -> None:
    found = document(http, rows=20_000)
    rows = pd.DataFrame(found["rows"], columns=found["columns"])
    assert 0.58 < (rows["start_gu"] == rows["end_gu"]).mean() < 0.72
    hours = rows["started_at"].str[11:13].astype(int).value_counts()
    assert hours[18] > 5 * hours[3]
    assert rows["start_gu"].value_counts()["송파구"] > 2 * rows["start_gu"].value_counts()["도봉구"]
    assert 3 < len(rows) / rows["unit"].nunique() < 6
    assert 0.005 < (rows["start_gu"] == "other").mean() < 0.015


def test_an_entry_without_shapes_keeps_its_hash_and_has_an_even_twin() -> None:
    entry = parse_entry(CATALOG["rides"], "rides.yaml")
    document = entry.model_dump(mode="json")
    assert document.pop("twin") is None and document.pop("sizes") == []
    assert entry.hash() == document_hash(document)
    rows = twin_rows(make_policy(entry), entry, seed=0, after=0, rows=BLOCK)
    counts = pd.Series([row[3] for row in rows]).value_counts()
    assert set(counts.index) == {"종로구", "중구", "강동구", "other"} and counts["종로구"] > 250


@pytest.mark.parametrize(
    "shape",
    [
        "{weights: {color: {red: 1}}}",
        "{hours: [1, 2]}",
        "{weekdays: [1, 1, 1, 1, 1, 1, 0]}",
        "{weights: {gu: {종로구: 0.5}}}",
        "{weights: {gu: {종로구: -1}}}",
        "{spreads: {gu: {low: 3, mode: 1, high: 9}}}",
        "{joints: [{column: gu, of: sex, percent: 101}]}",
        "{from: data}",
    ],
)
def test_a_shape_that_cannot_be_meant_is_refused(shape: str) -> None:
    with pytest.raises(PolicyMalformed):
        parse_entry(CATALOG["rides"] + f"twin: {shape}\n", "rides.yaml")


def test_a_closed_dataset_has_no_twin_and_nobody_gets_one_without_the_right(http: TestClient) -> None:
    assert document(http, "nothing")["code"] == "unknown_dataset"
    assert http.get("/v1/datasets/bike_rides/twin").json()["code"] == "not_signed_in"


# --- asking it ---


def test_it_is_asked_like_the_data_free_and_without_a_team(rides: Twin, parts: Parts) -> None:
    question = (
        rides.where(rides.month == "2026-09").by(rides.start_gu).agg(rides=civic.count(), n=civic.persons())
    )
    price = question.price()
    assert "free" in str(price)
    frame = question.ask(quiet=True)
    names = ["start_gu", *(f"{m}{end}" for m in ("n", "rides") for end in ("", "_low", "_high")), "withheld"]
    assert list(frame.columns) == names and len(frame) == 26
    assert frame["rides"].dtype == "Int64" and frame["withheld"].dtype == bool
    mine = rides.table[(rides.table["month"] == "2026-09")]
    shown = frame[~frame["withheld"]]
    assert len(shown) > 0
    for row in shown.to_dict("records"):
        there = mine[mine["start_gu"] == row["start_gu"]]
        assert row["rides"] == len(there) and row["n"] == there["unit"].nunique()
    with parts.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM charges").scalar() == 0


def test_intervals_are_as_wide_as_the_real_answers(rides: Twin, client: Client) -> None:
    client.team, client.purpose = "bike", "workshop"
    for keys in ((rides.start_gu,), (rides.sex, civic.hour(rides.started_at))):
        question = rides.by(*keys).agg(rides=civic.count(), people=civic.persons())
        for spend, sent in (("normal", {"precision": "normal"}), ("0.05", {"rho": "0.05"})):
            real = client.price(question.plan, sent)
            dummy = question.price(spend).body
            assert dummy.cells == real.cells
            for name, measure in real.measures.items():
                assert abs(dummy.measures[name].margin - measure.margin) <= 1, name


def test_filters_mean_what_they_mean_on_the_data(rides: Twin) -> None:
    rows = rides.table
    hour = rows["started_at"].str[11:13].astype(int)
    day = pd.to_datetime(rows["started_at"]).dt.day_of_week
    cases = {
        len(rows[hour >= 18]): civic.hour(rides.started_at) >= 18,
        len(rows[(day < 5) & (rows["sex"] == "F")]): (civic.weekday(rides.started_at) < 5)
        & (rides.sex == "F"),
        len(rows[~rows["start_gu"].isin(["중구", "강남구"])]): ~rides.start_gu.isin(["중구", "강남구"]),
        len(rows[(rows["month"] >= "2026-02") & (rows["month"] <= "2026-04")]): rides.month.between(
            "2026-02", "2026-04"
        ),
        len(rows[(rows["sex"] == "M") | (hour == 8)]): (rides.sex == "M")
        | (civic.hour(rides.started_at) == 8),
        len(rows[rows["sex"] != "other"]): rides.sex != "other",
    }
    for expected, condition in cases.items():
        [found] = rides.where(condition).agg(n=civic.count()).ask(quiet=True)["n"]
        assert found == expected


def test_a_plan_as_json_is_the_same_question(rides: Twin) -> None:
    typed = rides.by(rides.sex, rides.month).agg(n=civic.count())
    pd.testing.assert_frame_equal(rides.answer(typed.plan), typed.ask(quiet=True))


def test_what_makes_no_sense_is_refused_in_words(rides: Twin) -> None:
    plan = {"dataset": "bike_rides", "where": None, "by": [], "measures": {"n": {"fn": "count"}}}
    with pytest.raises(UnknownColumn):
        rides.answer({**plan, "by": ["member"]})
    with pytest.raises(MeasureRefused):
        rides.answer({**plan, "measures": {"n": {"fn": "median"}, "m": {"fn": "count"}}})
    for wrong in (
        {},
        {"by": [{"fn": "moon"}]},
        {"where": {"op": "eq"}},
        {"by": 3},
        {"where": {"column": "sex"}},
    ):
        with pytest.raises(PlanInvalid):
            rides.answer({**plan, **wrong} if wrong else {})


def test_methods_charts_and_maps_run_on_it_and_say_made_up_first(rides: Twin) -> None:
    frame = rides.by(rides.start_gu, rides.month).agg(rides=civic.count()).ask("fine", quiet=True)
    for one in (frame, frame.head(3), frame.sort_values("rides")):
        assert (headline(one) or "").startswith("Made up")
        assert (
            "Made up" in repr(one).splitlines()[0] and "Made up" in (one._repr_html_() or "").split("</p>")[0]
        )
    totals = totals_of(frame, "rides", by="start_gu")
    assert totals.attrs[KEY]["made_up"] is True
    for drawn in (
        charts.dots(totals, "rides", "start_gu", title="t").svg,
        charts.line(totals_of(frame, "rides", by="month"), "rides", "month", title="t").svg,
        maps.choropleth(totals, "rides", "start_gu", title="t").document,
    ):
        assert "Made-up figures" in drawn


def test_the_rows_themselves_are_marked_and_a_copy(rides: Twin) -> None:
    assert rides.table["made_up"].all()
    mine = rides.table
    mine["sex"] = "X"
    assert set(rides.table["sex"]) == {"F", "M", "other"}


def test_rows_that_do_not_say_that_they_are_made_up_are_not_taken(client: Client, monkeypatch: Any) -> None:
    real = client.get
    monkeypatch.setattr(client, "get", lambda path: {**real(path), "made_up": False})
    civic.connect(client)
    with pytest.raises(BadAnswer):
        civic.twin("bike_rides", rows=10)


def test_a_gateway_cannot_pass_a_twin_off_as_an_answer(rides: Twin) -> None:
    from civic_kernel.wire import parse_answer

    plan = rides.agg(n=civic.count()).plan
    body = rides._client.ask(plan).model_dump()
    with pytest.raises(BadAnswer):
        parse_answer(body, {}, "en")


def test_every_measure_has_the_columns_of_a_real_answer(rides: Twin, client: Client, parts: Parts) -> None:
    from data_access.query import bind, decode_plan
    from data_access.query.measures import figures

    client.team, client.purpose = "bike", "workshop"
    question = rides.by(rides.sex, civic.band(rides.minutes)).agg(
        n=civic.count(),
        people=civic.persons(),
        total=civic.sum(rides.minutes),
        each=civic.mean(rides.minutes),
    )
    spread = rides.by(rides.sex, civic.season(rides.month)).agg(
        bins=civic.histogram(rides.minutes),
        at=civic.quantiles(rides.minutes, at=(25, 50)),
        long=civic.share(rides.sex == "F"),
        part=civic.share(),
    )
    with parts.database.reading() as connection:
        force = parts.governing.in_force(connection, "bike_rides")
    for asked in (question, spread):
        frame = asked.ask("fine", quiet=True)
        bound = bind(decode_plan(asked.plan), schema_of(force.policy, force.entry))
        names = [f.name for name, m in bound.plan.measures for f in figures(name, m, bound.schema)]
        real = [name + end for name in names for end in ("", "_low", "_high")]
        assert list(frame.columns[2:]) == [*real, "withheld"] and len(frame) == bound.cells
        price = client.price(asked.plan, {"precision": "fine"})
        for name, measure in price.measures.items():
            dummy = frame.attrs[KEY]["measures"][name]
            assert (dummy["margin"] is None) == (measure.margin is None), name
            if measure.margin is not None:
                assert abs(dummy["margin"] - measure.margin) <= 1, name
    shown = frame[~frame["withheld"]]
    assert len(shown) > 0 and shown["long"].between(0, 1).all()
    assert (shown["at_q25_low"] <= shown["at_q25"]).all() and (shown["at_q50"] <= shown["at_q50_high"]).all()
    rows = rides.table
    [found] = rides.agg(total=civic.sum(rides.minutes)).ask(quiet=True)["total"]
    assert found == rows["minutes"].sum()


# --- publishing it ---


def notebook(block: blocks.Block) -> dict[str, Any]:
    output = {"output_type": "display_data", "data": {blocks.BLOCK_MIME: block.data, "text/plain": "x"}}
    return {"metadata": {}, "cells": [{"outputs": [output]}]}


BOTH = {"ko": "말", "en": "words"}
ALT = {
    "ko": "구마다 대여가 얼마나 있었는지 보이는 그림입니다",
    "en": "A drawing of how many rides there were in each gu",
}


def figure(table: pd.DataFrame, draw: Any = None, sources: Any = ()) -> blocks.Block:
    return blocks.figure(
        draw, name="rides", title=BOTH, subtitle=BOTH, alt=ALT, table=table, sources=sources,
        columns={"start_gu": BOTH, "rides": BOTH}, uncertainty=BOTH,
    )  # fmt: skip


def test_the_screen_lets_no_frame_table_or_drawing_of_a_twin_out(rides: Twin) -> None:
    frame = rides.by(rides.start_gu).agg(rides=civic.count()).ask("fine", quiet=True)
    real = frame.copy()
    real.attrs = {KEY: {**frame.attrs[KEY], "made_up": False, "answer_id": "ans-a"}}

    def drawn(language: Any) -> Any:
        return charts.dots(frame, "rides", "start_gu", title="t", language=language)

    made_up = {
        "its frame": figure(frame),
        "totals of it": figure(totals_of(frame, "rides", by="start_gu")),
        "its table with real sources": figure(frame, sources=[real]),
        "a real table with it among the sources": figure(real, sources=[real, frame]),
        "a drawing of it beside a real table": figure(real, drawn),
    }
    for what, block in made_up.items():
        with pytest.raises(ScreenRefused, match=r"made.up|지어낸|twin|쌍둥이|dummy"):
            check_notebook(notebook(block), Known(), "en")
            pytest.fail(what)
    check_notebook(notebook(figure(real)), Known(), "en")


# --- the command ---


def test_the_command_writes_csv_in_which_each_line_is_marked(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Client, "from_settings", classmethod(lambda cls: client))
    monkeypatch.setattr(client, "close", lambda: None)
    from civic_kernel.twin_cli import twin

    done = CliRunner().invoke(twin, ["bike_rides", "--rows", "5"])
    lines = done.output.splitlines()
    assert lines[0].endswith(",made_up") and len(lines) == 6
    assert all(line.endswith(",True") for line in lines[1:])
    told = CliRunner().invoke(twin, ["bike_rides", "--rows", "5", "--json"])
    assert json.loads(told.stdout)["made_up"] is True and len(json.loads(told.stdout)["data"]) == 5
    CliRunner().invoke(twin, ["bike_rides", "--rows", "5", "--out", str(tmp_path / "t.csv")])
    assert (tmp_path / "t.csv").read_text("utf-8").splitlines() == lines


def test_the_command_stands_beside_the_vaults_verbs_in_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    from civic_kernel.cli import GROUP, Commands
    from civic_kernel.cli import civic as command

    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
    places = project["project"]["entry-points"][GROUP]
    points = {name: EntryPoint(name, place, GROUP) for name, place in places.items()}
    monkeypatch.setattr(Commands, "_points", lambda self: points)
    told = CliRunner().invoke(command, ["data", "--help"])
    assert told.exit_code == 0 and "  load " in told.output and "  twin " in told.output
    listed = CliRunner().invoke(command, ["--help"]).output
    assert "data," in listed and "data.twin" not in listed
    assert CliRunner().invoke(command, ["data.twin"]).exit_code == 2


# --- practising ---


@pytest.fixture
def practising(client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    """A kernel of a seat that starts on made-up rows."""
    monkeypatch.setenv("CIVIC_START_ON", "twin")
    monkeypatch.setenv("CIVIC_LANGUAGE", "en")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(practice, "_chosen", None)
    monkeypatch.setattr(practice, "ROWS", 3_000)
    client.team, client.purpose = "bike", "exploration"
    civic.connect(client)
    yield client


def test_a_workshops_seat_starts_on_made_up_rows_and_one_line_switches_to_the_data(
    practising: Client,
) -> None:
    made_up = civic.dataset("bike_rides")
    assert isinstance(made_up, Twin) and civic.dataset("bike_rides") is made_up
    assert "Practice" in str(civic.use())
    frame = made_up.by(made_up.start_gu).agg(rides=civic.count()).ask(quiet=True)
    assert frame.attrs[KEY]["made_up"] and len(frame) == 26
    assert "Real data" in str(civic.use("real"))
    assert not isinstance(civic.dataset("bike_rides"), Twin)
    assert "Practice" in str(civic.use("twin"))


def test_a_question_in_sql_is_answered_from_made_up_rows_too_while_practising(practising: Client) -> None:
    frame = civic.sql("SELECT sex, COUNT(*) AS rides FROM bike_rides GROUP BY sex").ask(quiet=True)
    assert frame.attrs[KEY]["made_up"]
    civic.use("real")
    # Positive control: nothing was ever loaded here, which only a question to the data can find out.
    with pytest.raises(CivicError):
        civic.sql("SELECT sex, COUNT(*) AS rides FROM bike_rides GROUP BY sex").ask(quiet=True)


def test_the_buttons_choice_holds_for_kernels_that_start_later(practising: Client) -> None:
    assert json.loads(repr(practice.ForButton("real", whole=True)))["words"].startswith("Real data")
    assert practice.in_use() == "twin"  # asked about, not chosen
    practice.choice_file().parent.mkdir()
    practice.choice_file().write_text("real")
    assert practice.in_use() == "real"
    practice.choice_file().write_text("anything else")
    assert json.loads(repr(practice.ForButton())) == {"data": "twin"}
    with pytest.raises(ValueError):
        civic.use("reel")  # type: ignore[arg-type]
