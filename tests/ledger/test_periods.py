"""A question that is keyed by the month is charged and stored month by month, and joined from what is there."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from data_access.audit import check_chain
from data_access.audit.chain import read_events
from data_access.errors import BudgetExhausted, InternalFault, KeyReused
from data_access.ledger.book import public_ledger
from data_access.query import bind, by_period, decode_plan
from tests.factories import ANN, BEN, BY_GU, PERIODS, ShiftedNoise, Workspace, make_policy, request, table
from tests.ledger.test_charging import BreakingNoise

RHO = 10_000_000
MONTHLY: dict[str, Any] = BY_GU | {"by": ["gu", "month"]}


def months(*wanted: str, **plan: Any) -> dict[str, Any]:
    return MONTHLY | plan | {"where": {"column": "month", "op": "in", "values": list(wanted)}}


def statement(workspace: Workspace, plan: dict[str, Any], **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = workspace.ask(ANN, plan, **changes).answer.document()["statement"]
    return found


def test_only_the_months_that_nobody_has_asked_are_paid_for(workspace: Workspace) -> None:
    assert workspace.ask(ANN, months(*PERIODS[:2])).charged == 2 * RHO
    tag = workspace.parts.answering.price(BEN, request(MONTHLY, team="walk"))
    assert (tag.to_pay, sorted(tag.joins), tag.stored) == (PERIODS[2:], list(PERIODS[:2]), None)
    joined = workspace.ask(BEN, MONTHLY, team="walk")
    assert joined.charged == RHO
    assert [workspace.spent(period=period) for period in PERIODS] == [RHO] * 3
    found = joined.answer.document()["statement"]
    assert [source["period"] for source in found["joined"]] == list(PERIODS)
    assert [source["answer_id"] for source in found["joined"][:2]] == [a.id for a in tag.joins.values()]
    assert workspace.ask(ANN, MONTHLY).answer == joined.answer


def test_a_month_asked_alone_without_the_key_is_the_same_question(workspace: Workspace) -> None:
    one = workspace.ask(ANN, BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[1]}})
    joined = statement(workspace, MONTHLY)
    assert joined["joined"][1]["answer_id"] == one.answer.id
    assert workspace.spent(period=PERIODS[1]) == RHO
    assert (
        workspace.ask(ANN, BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[0]}}).charged
        == 0
    )


def test_every_row_is_copied_from_its_source_and_excluded_months_have_none(workspace: Workspace) -> None:
    found = statement(workspace, months(PERIODS[0], PERIODS[2], by=["month", "gu", "sex"]))
    with workspace.parts.database.reading() as connection:
        sources = {
            source["period"]: json.loads(workspace.parts.shelf.get(connection, source["answer_id"]).statement)
            for source in found["joined"]
        }
    assert [column["name"] for column in found["table"]["columns"]][:3] == ["gu", "month", "sex"]
    assert len(found["table"]["rows"]) == 2 * 4 * 3
    for gu, month, *rest in found["table"]["rows"]:
        assert [gu, *rest] in sources[month]["table"]["rows"]
    assert all(source["periods"] == [period] for period, source in sources.items())


def test_a_month_that_was_bought_dearer_keeps_its_narrower_interval(workspace: Workspace) -> None:
    workspace.reopen(noise=ShiftedNoise(by=100))
    workspace.ask(ANN, months(PERIODS[0]), spend={"rho": "0.04"})
    answered = workspace.ask(ANN, MONTHLY)
    assert answered.charged == 2 * RHO
    widths = {
        month: row["rides_high"] - row["rides"]
        for (gu, month), row in table(answered).items()
        if gu == "중구"
    }
    assert widths == {PERIODS[0]: 14, PERIODS[1]: 28, PERIODS[2]: 28}
    found = answered.answer.document()["statement"]
    # Whoever computes on with one σ for all cells gets the wider one.
    assert (found["spend"]["rho"], found["mechanism"]["measures"]["rides"]["margin"]) == (RHO, 28)
    assert [source["rho"] for source in found["joined"]] == [4 * RHO, RHO, RHO]


def test_persons_of_a_month_need_noise_for_one_months_cells_only(workspace: Workspace) -> None:
    plan = {"dataset": "rides", "by": ["month"], "measures": {"riders": {"fn": "persons"}}}
    found = statement(workspace, plan)
    assert found["mechanism"]["measures"]["riders"]["sensitivity_squared"] == 1
    assert [row[1] for row in found["table"]["rows"]] == [12] * 3


def test_months_of_other_meaning_are_bought_anew_and_of_another_term_are_not(workspace: Workspace) -> None:
    workspace.ask(ANN, months(PERIODS[0]))
    workspace.activate(make_policy(workspace.entry(), version=2, expires="2028-12-31"))
    assert workspace.ask(ANN, months(*PERIODS[:2])).charged == RHO
    workspace.activate(make_policy(workspace.entry(), version=3, row_bound=1))
    assert workspace.ask(ANN, MONTHLY).charged == 3 * RHO
    # What was asked whole stays free for ever.
    assert workspace.ask(ANN, months(*PERIODS[:2])).charged == 0


def test_a_month_that_was_loaded_later_joins_and_the_oldest_data_are_named(workspace: Workspace) -> None:
    workspace.ask(ANN, months(PERIODS[0]))
    workspace.load_rides()
    answered = workspace.ask(ANN, MONTHLY)
    assert (answered.charged, answered.newer_data) == (2 * RHO, True)
    assert [s["data_version"] for s in answered.answer.document()["statement"]["joined"]] == [1, 2, 2]


def test_where_one_months_budget_is_exhausted_no_month_is_charged(workspace: Workspace) -> None:
    for _ in range(2):
        workspace.ask(ANN, months(PERIODS[1]), spend={"rho": "0.1"}, fresh=True)
    with pytest.raises(BudgetExhausted) as refused:
        workspace.ask(ANN, MONTHLY, fresh=True)
    assert refused.value.facts["period"] == PERIODS[1]
    assert [workspace.spent(period=period) for period in PERIODS] == [0, 20 * RHO, 0]
    # The exhausted month is answered already, at least as precisely.
    assert workspace.ask(ANN, MONTHLY).charged == 2 * RHO


def test_fresh_pays_for_every_month_again(workspace: Workspace) -> None:
    first = workspace.ask(ANN, MONTHLY)
    second = workspace.ask(ANN, MONTHLY, fresh=True, key="again")
    assert second.charged == 3 * RHO
    assert second.answer.id != first.answer.id
    assert workspace.ask(ANN, MONTHLY, fresh=True, key="again").answer == second.answer
    assert [workspace.spent(period=period) for period in PERIODS] == [2 * RHO] * 3


@pytest.mark.parametrize("fresh", [False, True])
def test_after_a_fault_the_months_that_were_charged_run_again_free(workspace: Workspace, fresh: bool) -> None:
    workspace.ask(ANN, months(PERIODS[0]))
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask(ANN, MONTHLY, key="once", fresh=fresh)
    spent = [workspace.spent(period=period) for period in PERIODS]
    assert spent == [2 * RHO if fresh else RHO, RHO, RHO]
    # Also a question for one of its months is not charged again.
    assert workspace.ask(ANN, months(PERIODS[2])).charged == 0
    assert workspace.ask(ANN, MONTHLY, key="once", fresh=fresh).charged == 0
    assert [workspace.spent(period=period) for period in PERIODS] == spent


def test_a_key_whose_months_were_closed_is_never_charged_again(workspace: Workspace) -> None:
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask(ANN, MONTHLY, key="once", fresh=True)
    workspace.clock.moment += timedelta(days=1, seconds=2)
    with pytest.raises(KeyReused):
        workspace.ask(ANN, MONTHLY, key="once", fresh=True)
    assert workspace.ask(ANN, MONTHLY).charged == 3 * RHO
    with workspace.parts.database.reading() as connection:
        events = read_events(connection)
        closed = [e for e in events if json.loads(e.body)["kind"] == "reservation_closed"]
        states = {line["state"] for p in public_ledger(connection) for line in p["charges"]}  # type: ignore[attr-defined]
    # The joined answer's own reservation was never charged, so there is nothing to tell of its end.
    assert len(closed) == 3
    assert states == {"closed", "answered"}


def test_sixty_four_askers_of_overlapping_months_pay_once_for_each(workspace: Workspace) -> None:
    chosen = [PERIODS[:2], PERIODS[1:], PERIODS, PERIODS[:1]]
    barrier = threading.Barrier(64)

    def ask(number: int) -> Any:
        barrier.wait()
        return (
            workspace.ask(ANN, months(*chosen[number % 4]))
            if number % 4 != 2
            else workspace.ask(ANN, MONTHLY)
        )

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, range(64)))
    assert sum(answered.charged for answered in answers) == 3 * RHO
    assert len({answered.answer.id for answered in answers}) == 4
    assert [workspace.spent(period=period) for period in PERIODS] == [RHO] * 3
    with workspace.parts.database.reading() as connection:
        check_chain(read_events(connection), workspace.parts.key.public)


def test_the_parts_of_a_question_are_the_same_whatever_it_says_of_other_months(workspace: Workspace) -> None:
    schema = bind(decode_plan(MONTHLY), _schema(workspace)).schema

    def parts(where: Any) -> list[str]:
        return [part.id for part in by_period.split(bind(decode_plan(MONTHLY | {"where": where}), schema))]

    female = {"column": "sex", "op": "eq", "value": "F"}
    august, later = ({"column": "month", "op": op, "value": PERIODS[0]} for op in ("eq", "gt"))
    either = {"or": [{"and": [august, female]}, later]}
    assert parts(either) == [parts(female)[0], *parts(None)[1:]]
    assert by_period.split(bind(decode_plan(BY_GU), schema)) == ()


def _schema(workspace: Workspace) -> Any:
    from data_access.policy import schema_of

    with workspace.parts.database.reading() as connection:
        force = workspace.parts.governing.in_force(connection, "rides")
    return schema_of(force.policy, force.entry)
