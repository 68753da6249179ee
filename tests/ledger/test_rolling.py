"""A coarser question is added up from finer answers, free, where that is as precise as was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data_access.answers import rolling
from data_access.audit import check_chain
from data_access.audit.chain import read_events
from data_access.flows import answering
from data_access.gateway.shapes import price_document
from tests.factories import ANN, BEN, BY_GU, PERIODS, ShiftedNoise, Workspace, make_policy, request, table
from tests.ledger.test_periods import RHO, months

AUGUST: dict[str, Any] = {"column": "month", "op": "eq", "value": PERIODS[0]}
FINE: dict[str, Any] = BY_GU | {"by": ["gu", "sex"], "where": AUGUST}
COARSE: dict[str, Any] = BY_GU | {"where": AUGUST}


def test_a_coarser_question_is_free_where_the_sum_is_as_precise_as_was_asked_for(
    workspace: Workspace,
) -> None:
    workspace.reopen(noise=ShiftedNoise(by=100))
    finer = workspace.ask(ANN, FINE, spend={"rho": "0.06"})
    # Three sexes (with other): three times the variance, so as good as a third of the price.
    tag = workspace.parts.answering.price(BEN, request(COARSE, team="walk", spend={"rho": "0.02"}))
    assert (tag.to_pay, [o.sources[0]["answer_id"] for o in tag.offers]) == ((), [finer.answer.id])
    rolled = workspace.ask(BEN, COARSE, team="walk", spend={"rho": "0.02"})
    assert (rolled.charged, workspace.spent()) == (0, 6 * RHO)
    found = rolled.answer.document()["statement"]
    assert found["rolled_up"][0] | {"policy_hash": ""} == {
        "period": PERIODS[0], "answer_id": finer.answer.id, "rho": 6 * RHO, "data_version": 1,
        "policy_hash": "", "cells": 3,
    }  # fmt: skip
    measure = found["mechanism"]["measures"]["rides"]
    fine = finer.answer.document()["statement"]["mechanism"]["measures"]["rides"]
    assert float(measure["scale"]) == pytest.approx(float(fine["scale"]) * 3**0.5)
    assert (found["mechanism"]["name"], found["spend"]["rho"], measure["rho"]) == (
        "sum-of-discrete-gaussians",
        0,
        0,
    )
    # 7 rides, and the noise of three cells.
    assert table(rolled)[("종로구",)]["rides"] == 307
    assert workspace.ask(ANN, COARSE, spend={"rho": "0.01"}).answer == rolled.answer
    with workspace.parts.database.reading() as connection:
        check_chain(read_events(connection), workspace.parts.key.public)


def test_a_narrower_interval_is_offered_what_there_is_and_paid_for(workspace: Workspace) -> None:
    workspace.ask(ANN, FINE)
    tag = workspace.parts.answering.price(ANN, request(COARSE))
    assert tag.to_pay == PERIODS[:1]
    [offer] = price_document(tag, "bike")["offers"]
    assert (offer["periods"], offer["margins"]["rides"] > 28) == ([PERIODS[0]], True)
    assert workspace.ask(ANN, COARSE).charged == RHO
    # Who asks for no more than the offer says has it free; fresh pays in any case.
    by_sex = FINE | {"by": ["sex"]}
    margin = workspace.parts.answering.price(ANN, request(by_sex)).offers[0].quote.draws[0].mechanism.margin
    assert workspace.ask(ANN, by_sex, spend={"margin": {"rides": margin}}).charged == 0
    assert workspace.ask(ANN, by_sex, spend={"margin": {"rides": margin}}, fresh=True).charged > 0


def test_withheld_cells_are_in_the_sum_and_it_is_withheld_by_its_own_size(workspace: Workspace) -> None:
    by_hour = BY_GU | {"by": ["gu", {"fn": "weekday", "column": "started_at"}], "where": AUGUST}
    shown = table(workspace.ask(ANN, by_hour, spend={"rho": "0.1"}))
    assert {row["withheld"] for (gu, _), row in shown.items() if gu == "other"} == {True}
    total = workspace.ask(ANN, by_hour | {"by": []}, spend={"rho": "0.001"})
    assert (total.charged, table(total)[()]["rides"]) == (0, 12)
    rolled = table(workspace.ask(ANN, COARSE, spend={"rho": "0.001"}))
    assert rolled[("other",)] == {"rides": None, "rides_low": None, "rides_high": None, "withheld": True}


def test_only_whole_cells_are_chosen(workspace: Workspace) -> None:
    workspace.ask(ANN, FINE, spend={"rho": "0.1"})
    cheap = {"rho": "0.01"}
    women = BY_GU | {"where": {"and": [AUGUST, {"column": "sex", "op": "eq", "value": "F"}]}}
    answered = workspace.ask(ANN, women, spend=cheap)
    assert answered.charged == 0
    jongno = {"column": "gu", "op": "in", "values": ["종로구"]}
    chosen = table(workspace.ask(ANN, BY_GU | {"where": {"and": [AUGUST, jongno]}}, spend=cheap))
    assert (chosen[("종로구",)]["rides"], chosen[("중구",)]["withheld"]) == (7, True)
    hours = {"column": {"fn": "hour", "column": "started_at"}, "op": "in", "values": [8]}
    assert workspace.ask(ANN, BY_GU | {"where": {"and": [AUGUST, hours]}}, spend=cheap).charged == RHO
    either = {"or": [{"column": "sex", "op": "eq", "value": "F"}, jongno]}
    assert workspace.ask(ANN, BY_GU | {"where": {"and": [AUGUST, either]}}, spend=cheap).charged == RHO
    # The finer one has fewer rows than are asked for: its filter is not ours.
    assert workspace.ask(ANN, BY_GU | {"by": ["sex"], "where": AUGUST}, spend=cheap).charged == 0
    narrow = BY_GU | {"by": ["gu", "sex"], "where": {"and": [AUGUST, hours]}}
    workspace.ask(ANN, narrow, spend={"rho": "0.05"})
    assert workspace.ask(ANN, BY_GU | {"by": [], "where": AUGUST}, spend={"rho": "0.02"}).charged == 2 * RHO


def test_months_are_added_up_too_and_fill_a_joined_answer(workspace: Workspace) -> None:
    monthly = months(*PERIODS, by=["gu", "sex", "month"])
    workspace.ask(ANN, monthly, spend={"rho": "0.1"})
    whole = workspace.ask(ANN, BY_GU, spend={"rho": "0.01"})
    assert (whole.charged, table(whole)[("종로구",)]["rides"]) == (0, 21)
    found = whole.answer.document()["statement"]
    assert [source["period"] for source in found["rolled_up"]] == list(PERIODS)
    joined = workspace.ask(ANN, months(*PERIODS), spend={"rho": "0.01"})
    assert joined.charged == 0
    assert [workspace.spent(period=period) for period in PERIODS] == [10 * RHO] * 3


def test_persons_are_never_added_up_nor_answers_of_another_meaning(workspace: Workspace) -> None:
    plan = FINE | {"measures": {"rides": {"fn": "count"}, "riders": {"fn": "persons"}}}
    workspace.ask(ANN, plan, spend={"rho": "0.1"})
    riders = COARSE | {"measures": {"riders": {"fn": "persons"}}}
    assert workspace.ask(ANN, riders, spend={"rho": "0.001"}).charged == RHO // 10
    # The count of that same answer is.
    assert workspace.ask(ANN, COARSE, spend={"rho": "0.001"}).charged == 0
    workspace.activate(make_policy(workspace.entry(), version=2, row_bound=1))
    assert workspace.ask(ANN, FINE | {"by": ["sex"]}, spend={"rho": "0.001"}).charged == RHO // 10


def test_the_interval_of_a_sum_of_real_noise_holds_as_often_as_it_says() -> None:
    from decimal import Decimal

    from data_access.privacy.budget import Rho
    from data_access.privacy.mechanisms import DiscreteGaussianNoise, gaussian, margin95

    mechanism = gaussian(4, Rho.parse("0.1"))
    many, trials = 9, 2000
    drawn = np.array(DiscreteGaussianNoise().add(np.zeros(many * trials, dtype=np.int64), mechanism))
    sums = drawn.reshape(trials, many).sum(axis=1)
    held = (abs(sums) <= margin95(Decimal(mechanism.scale) * 3)).mean()
    # Seven standard errors under 95 %.
    assert held > 0.95 - 7 * (0.05 * 0.95 / trials) ** 0.5


def test_the_search_is_bounded_and_cheap_questions_hide_no_precise_answer(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    precise = workspace.ask(ANN, FINE, spend={"rho": "0.1"})
    for rho in ("0.000001", "0.000002", "0.000003"):
        workspace.ask(
            ANN, FINE | {"by": ["gu", "sex", {"fn": "hour", "column": "started_at"}]}, spend={"rho": rho}
        )
    monkeypatch.setattr(rolling, "MOST_SEARCHED", 2)
    with workspace.parts.database.reading() as connection:
        alike = workspace.parts.governing.alike(connection, make_policy(workspace.entry()))
        assert len(rolling._candidates(connection, "rides", list(PERIODS), alike)) == 2
    rolled = workspace.ask(ANN, COARSE, spend={"rho": "0.001"})
    assert rolled.charged == 0
    assert rolled.answer.document()["statement"]["rolled_up"][0]["answer_id"] == precise.answer.id


def test_nobody_waits_for_the_search(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.ask(ANN, FINE, spend={"rho": "0.1"})
    searched = []

    def search(*arguments: Any) -> Any:
        # Somebody else writes meanwhile: it would wait for ten seconds and be refused.
        with workspace.parts.database.transaction():
            searched.append(arguments)
        return rolling.roll_up(*arguments)

    monkeypatch.setattr(answering, "roll_up", search)
    assert workspace.ask(ANN, COARSE, spend={"rho": "0.001"}).charged == 0
    assert len(searched) == 1
