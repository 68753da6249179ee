"""Charged before it reads, once, and never given back."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from numpy.typing import NDArray
from sqlalchemy import inspect

from data_access.errors import (
    BudgetExhausted,
    CivicError,
    InternalFault,
    KeyReused,
    LedgerUnavailable,
    UnknownAnswer,
    VaultDamaged,
)
from data_access.privacy.mechanisms import Gaussian
from tests.factories import ANN, BEN, BY_GU, PERIODS, Workspace, make_policy, request, table

RHO = 10_000_000
AUGUST: dict[str, Any] = BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[0]}}


class BreakingNoise:
    """Fails as often as told, after the data were read."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.calls = 0

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        self.calls += 1
        if self.calls <= self.times:
            raise InternalFault()
        return [int(v) for v in values]


def test_a_question_is_charged_to_every_period_that_it_may_read(workspace: Workspace) -> None:
    answered = workspace.ask()
    assert answered.charged == 3 * RHO
    assert [workspace.spent(period=period) for period in PERIODS] == [RHO] * 3
    assert workspace.ask(ANN, AUGUST, fresh=True).charged == RHO
    assert [workspace.spent(period=period) for period in PERIODS] == [2 * RHO, RHO, RHO]


def test_a_fault_after_the_charge_keeps_the_charge_and_running_again_is_free(workspace: Workspace) -> None:
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask()
    assert workspace.spent() == RHO
    answered = workspace.ask()
    assert (answered.charged, workspace.spent()) == (0, RHO)


def test_a_view_that_cannot_be_read_is_charged_before_it_is_opened(workspace: Workspace) -> None:
    with workspace.parts.database.reading() as connection:
        (name,) = connection.exec_driver_sql("SELECT file FROM views").one()
    path = workspace.home / "vault" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(VaultDamaged):
        workspace.ask()
    assert workspace.spent() == RHO
    path.write_bytes(whole)
    assert workspace.ask().charged == 0


def test_asked_once_is_free_for_another_team_and_the_same_bytes(workspace: Workspace) -> None:
    first = workspace.ask(ANN)
    second = workspace.ask(BEN, None, team="walk")
    assert second.charged == 0
    assert second.answer.statement == first.answer.statement
    assert second.answer.signature == first.answer.signature
    assert workspace.spent() == RHO


def test_the_same_question_in_other_words_is_the_same_question(workspace: Workspace) -> None:
    first = workspace.ask(ANN, BY_GU | {"where": {"column": "sex", "op": "in", "values": ["F", "other"]}})
    second = workspace.ask(ANN, BY_GU | {"where": {"not": {"column": "sex", "op": "eq", "value": "M"}}})
    assert (second.charged, second.answer.id) == (0, first.answer.id)


def test_a_wish_for_less_precision_gets_the_stored_answer_and_for_more_pays(workspace: Workspace) -> None:
    stored = workspace.ask(spend={"rho": "0.01"})
    assert workspace.ask(spend={"precision": "대략"}).answer.id == stored.answer.id
    finer = workspace.ask(spend={"rho": "0.02"})
    assert finer.charged == 3 * 2 * RHO
    assert workspace.ask(spend={"rho": "0.01"}).answer.id == finer.answer.id


def test_fresh_pays_and_two_fresh_answers_of_one_second_are_two(workspace: Workspace) -> None:
    first, second = (workspace.ask(fresh=True) for _ in range(2))
    assert first.answer.id != second.answer.id
    assert first.charged == second.charged == 3 * RHO
    assert workspace.ask().answer.id == second.answer.id


def test_a_team_spends_its_cap_and_no_more_and_the_message_says_whose_limit_it_was(
    workspace: Workspace,
) -> None:
    for _ in range(2):
        workspace.ask(spend={"rho": "0.1"}, fresh=True)
    with pytest.raises(BudgetExhausted) as refused:
        workspace.ask(spend={"rho": "0.000000001"}, fresh=True)
    assert refused.value.facts == {
        "period": PERIODS[0],
        "requested": "0.000000001",
        "remaining": "0",
        "whose": "team",
    }
    assert workspace.ask(BEN, None, team="walk", spend={"rho": "0.1"}, fresh=True).charged
    with pytest.raises(BudgetExhausted):
        workspace.ask(BEN, AUGUST, team="walk", fresh=True)
    assert workspace.spent() == 30 * RHO


def test_a_cap_under_another_name_buys_no_more(workspace: Workspace) -> None:
    for _ in range(2):
        workspace.ask(spend={"rho": "0.1"}, fresh=True)
    renamed = [
        {"name": "cycling", "teams": ["bike"], "rho": "0.2"},
        {"name": "others", "teams": "others", "rho": "0.1"},
    ]
    workspace.activate(make_policy(workspace.entry(), version=2, caps=renamed))
    with pytest.raises(BudgetExhausted):
        workspace.ask(ANN, AUGUST, fresh=True)


def test_a_new_policy_never_refills_a_period_and_what_is_held_back_is_not_spent(workspace: Workspace) -> None:
    workspace.ask(spend={"rho": "0.1"})
    caps = [{"name": "bike", "teams": ["bike"], "rho": "100"}]
    workspace.activate(
        make_policy(workspace.entry(), version=2, budget="200", held_back="0.3", caps=caps, max_spend="100")
    )
    # Of the 0.5 given when August first opened: 0.1 spent, 0.01 for loads, 0.3 held back.
    with pytest.raises(BudgetExhausted) as refused:
        workspace.ask(ANN, AUGUST, spend={"rho": "0.2"}, fresh=True)
    assert (refused.value.facts["whose"], refused.value.facts["remaining"]) == ("dataset", "0.09")


def _at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Results of `count` calls that start together; a refusal stands as its code."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        try:
            return call(number)
        except CivicError as refusal:
            return refusal.code

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_a_retry_key_brings_the_same_answer_of_a_fresh_question_at_no_second_charge(
    workspace: Workspace,
) -> None:
    first = workspace.ask(fresh=True, key="once")
    again = workspace.ask(fresh=True, key="once")
    assert (again.charged, again.answer.id) == (0, first.answer.id)
    assert workspace.spent() == RHO


def test_a_retry_after_a_fault_runs_again_under_its_key_also_when_fresh(workspace: Workspace) -> None:
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask(fresh=True, key="once")
    answered = workspace.ask(fresh=True, key="once")
    assert (answered.charged, workspace.spent()) == (0, RHO)


@pytest.mark.parametrize(
    "other",
    [{"plan": AUGUST}, {"spend": {"rho": "0.02"}}, {"fresh": True}],
    ids=["plan", "spend", "fresh"],
)
def test_a_retry_key_is_refused_with_another_body(workspace: Workspace, other: dict[str, Any]) -> None:
    workspace.ask(key="once")
    changed = dict(other)
    with pytest.raises(KeyReused):
        workspace.ask(ANN, changed.pop("plan", None), key="once", **changed)
    assert workspace.spent() == RHO


def test_two_bodies_under_one_key_at_the_same_time_are_one_charge_and_one_refusal(
    workspace: Workspace,
) -> None:
    results = _at_once(8, lambda n: workspace.ask(ANN, AUGUST if n % 2 else None, key="once").answer.id)
    codes = Counter(result for result in results if result == "key_reused")
    assert codes["key_reused"] == 4
    assert len(set(results)) == 2


def test_a_key_belongs_to_its_asker(workspace: Workspace) -> None:
    workspace.ask(ANN, key="once")
    assert workspace.ask(BEN, AUGUST, team="walk", key="once").charged == RHO


def test_a_reservation_without_an_answer_is_closed_as_spent_after_a_day(workspace: Workspace) -> None:
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask(key="once", fresh=True)
    workspace.clock.moment += timedelta(days=1, seconds=2)
    # Its key charges nothing a second time, and without the key the question is charged anew.
    with pytest.raises(KeyReused):
        workspace.ask(key="once", fresh=True)
    assert workspace.ask().charged == 3 * RHO
    with workspace.parts.database.reading() as connection:
        outcomes = (
            connection.exec_driver_sql("SELECT outcome FROM settlements ORDER BY outcome").scalars().all()
        )
    assert outcomes == ["answered", "closed"]
    assert workspace.spent() == 2 * RHO


def test_what_was_not_yet_stale_when_others_were_looked_for_is_closed_later(workspace: Workspace) -> None:
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask(fresh=True)
    for hours in (23, 2):
        workspace.clock.moment += timedelta(hours=hours)
        workspace.ask(ANN, AUGUST, fresh=True)
        with workspace.parts.database.reading() as connection:
            closed = connection.exec_driver_sql("SELECT count(*) FROM settlements WHERE outcome = 'closed'")
            assert closed.scalar_one() == (hours == 2)


def test_rows_of_the_record_tables_are_never_changed_or_removed(workspace: Workspace) -> None:
    workspace.ask(key="once")
    workspace.ask(ANN, AUGUST)
    tables = (
        *("events", "periods", "reservations", "charges", "settlements", "retry_keys"),
        *("answers", "cells", "policies", "lineages", "lineage_sources", "registers"),
    )
    for name in tables:
        with workspace.parts.database.reading() as connection:
            column = inspect(connection).get_columns(name)[0]["name"]
            before = connection.exec_driver_sql(f"SELECT * FROM {name}").all()
        assert before
        for statement in (f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"):
            with pytest.raises(LedgerUnavailable), workspace.parts.database.transaction() as tx:
                tx.connection.exec_driver_sql(statement)
        with workspace.parts.database.reading() as connection:
            assert connection.exec_driver_sql(f"SELECT * FROM {name}").all() == before


@pytest.mark.usefixtures("sqlite_only")
def test_nothing_is_asked_while_another_process_moved_the_ledger_away(workspace: Workspace) -> None:
    ledger = workspace.home / "db" / "vault.sqlite"
    ledger.rename(ledger.with_suffix(".away"))
    with pytest.raises(LedgerUnavailable):
        workspace.ask()
    assert not ledger.exists(), "an empty ledger in its place would give every budget a second time"
    with pytest.raises(LedgerUnavailable):
        workspace.reopen()
    ledger.with_suffix(".away").rename(ledger)
    workspace.reopen()
    assert workspace.ask().charged == 3 * RHO


@pytest.mark.usefixtures("sqlite_only")
def test_nothing_is_asked_of_a_ledger_that_cannot_be_read(workspace: Workspace) -> None:
    noise = BreakingNoise(0)
    workspace.reopen(noise=noise)
    (workspace.home / "db" / "vault.sqlite").write_bytes(b"no database at all, but sixteen bytes and more")
    for name in os.listdir(workspace.home / "db"):
        if name.endswith(("-wal", "-shm")):
            (workspace.home / "db" / name).unlink()
    with pytest.raises(LedgerUnavailable):
        workspace.ask()
    assert noise.calls == 0


def test_a_plan_that_cannot_pass_any_month_is_refused_before_it_is_charged(workspace: Workspace) -> None:
    nothing = {"and": [{"column": "sex", "op": "eq", "value": s} for s in ("F", "M")]}
    with pytest.raises(CivicError) as refused:
        workspace.ask(ANN, BY_GU | {"where": nothing})
    assert refused.value.code == "plan_invalid"
    assert workspace.spent() == 0


def test_a_price_changes_nothing_and_says_what_is_left(workspace: Workspace) -> None:
    workspace.ask(ANN, AUGUST, spend={"rho": "0.1"})
    tag = workspace.parts.answering.price(ANN, request(spend={"rho": "0.04"}))
    assert tag.tightest.nano == 100_000_000
    assert (tag.more_such, f"{tag.share_of_left:.2f}", tag.stored) == (2, "0.40", None)
    assert [workspace.spent(period=period) for period in PERIODS] == [100_000_000, 0, 0]


def test_a_stored_answer_is_opened_again_by_its_team_alone(workspace: Workspace) -> None:
    answered = workspace.ask()
    assert workspace.parts.answering.reopen(ANN, answered.answer.id).answer == answered.answer
    with pytest.raises(UnknownAnswer):
        workspace.parts.answering.reopen(BEN, answered.answer.id)


def test_a_newer_load_leaves_stored_answers_and_says_so(workspace: Workspace) -> None:
    first = workspace.ask()
    assert not first.newer_data
    workspace.load_rides([("2026-08-01 08:30", "m1", "중구", "F")] * 2)
    again = workspace.ask()
    assert (again.answer.id, again.newer_data, again.charged) == (first.answer.id, True, 0)
    assert table(workspace.ask(fresh=True))[("중구",)]["rides"] is None


def test_the_team_is_not_believed(workspace: Workspace) -> None:
    with pytest.raises(CivicError) as refused:
        workspace.ask(ANN, None, team="walk")
    assert refused.value.code == "team_not_yours"
