"""Questions that wait for a person: beyond a seat's allowance, or asked in a team's room. Charged once, by her word."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect

from data_access.answers import Cause, Hold
from data_access.answers.holds import MOST_WAITING
from data_access.audit.chain import check_chain, read_events
from data_access.errors import (
    AllowanceTooLarge,
    ApprovalEnded,
    ApprovalNotYours,
    BudgetExhausted,
    CivicError,
    LedgerUnavailable,
    MalformedRequest,
    TeamNotYours,
    UnknownApproval,
    WaitingFull,
)
from data_access.flows.allowing import Wish
from data_access.flows.answering import Answered
from data_access.flows.asked import Asker, MustWait
from tests.factories import (
    ANN,
    BEN,
    BY_GU,
    LEA,
    PERIODS,
    ROOM,
    Workspace,
    ZeroNoise,
    make_policy,
    request,
)

RHO = 10_000_000
AUGUST: dict[str, Any] = BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[0]}}
MONTHLY: dict[str, Any] = BY_GU | {"by": ["gu", "month"]}
EVE = replace(ANN, name="eve")
ROOM_MATE = replace(ANN, name="bea")


def give(workspace: Workspace, seats: int = 2, nano: int = RHO, **changes: Any) -> dict[str, Any]:
    """An allowance for team bike: `nano` for each seat and month."""
    wish = Wish("bike", "rides", seats, nano, None, None)
    return workspace.parts.allowing.set(LEA, replace(wish, **changes), dry_run=False)


def ask(workspace: Workspace, asker: Asker = ANN, plan: Any = AUGUST, /, **changes: Any) -> Answered | Hold:
    return workspace.parts.approving.answer(asker, request(plan, **changes))


def wait(workspace: Workspace, asker: Asker = ANN, plan: Any = AUGUST, /, **changes: Any) -> str:
    """Ask what has to wait; the approval's id."""
    held = ask(workspace, asker, plan, **changes)
    assert isinstance(held, Hold)
    return held.id


def charge(workspace: Workspace, asker: Asker = ANN, plan: Any = AUGUST, /, **changes: Any) -> int:
    """Ask what does not wait; what it cost."""
    answered = ask(workspace, asker, plan, **changes)
    assert isinstance(answered, Answered)
    return answered.charged


def events(workspace: Workspace, kind: str) -> list[dict[str, Any]]:
    with workspace.parts.database.reading() as connection:
        found = read_events(connection)
    check_chain(found, workspace.parts.key.public)
    bodies = [json.loads(event.body) for event in found]
    return [body["facts"] for body in bodies if body["kind"] == kind]


# --- allowances ---


def test_a_seat_spends_its_share_and_then_waits_and_the_others_have_theirs(workspace: Workspace) -> None:
    give(workspace)
    assert charge(workspace, fresh=True) == RHO
    held = ask(workspace, fresh=True)
    assert isinstance(held, Hold) and held.cause is Cause.ALLOWANCE
    assert charge(workspace, EVE, fresh=True) == RHO
    assert workspace.spent() == 2 * RHO
    # Months are counted one by one, as caps are.
    september = {"column": "month", "op": "eq", "value": PERIODS[1]}
    assert charge(workspace, ANN, BY_GU | {"where": september}) == RHO
    assert isinstance(ask(workspace, ANN, BY_GU, fresh=True), Hold)


def test_nothing_waits_that_is_stored_or_that_nobody_limited(workspace: Workspace) -> None:
    first = ask(workspace)
    give(workspace, nano=0)
    again = ask(workspace)
    assert isinstance(first, Answered) and isinstance(again, Answered)
    assert (again.answer, again.charged) == (first.answer, 0)
    assert charge(workspace, BEN, AUGUST, team="walk", fresh=True) == RHO
    assert charge(workspace, LEA, fresh=True) == RHO, "whoever leads spends the team's cap"
    assert isinstance(ask(workspace, fresh=True), Hold)


def test_what_waits_is_neither_charged_nor_read_and_a_price_says_so_before(workspace: Workspace) -> None:
    give(workspace, nano=RHO - 1)
    noise = ZeroNoise()
    workspace.reopen(noise=noise)
    assert workspace.parts.answering.price(ANN, request(AUGUST)).waits is Cause.ALLOWANCE
    before = events(workspace, "charged")
    slept = list(workspace.clock.slept)
    wait(workspace)
    wait(workspace, ANN, MONTHLY)
    assert (noise.mechanisms, events(workspace, "charged"), workspace.spent()) == ([], before, 0)
    assert workspace.clock.slept == slept, "a wait depends on nothing that was read, and leaves at once"
    with workspace.parts.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM reservations").scalar() == 0
    assert workspace.parts.answering.price(LEA, request(AUGUST)).waits is None


def test_more_accounts_than_seats_spend_no_more_than_the_seats_shares(workspace: Workspace) -> None:
    give(workspace, seats=2)
    askers = [replace(ANN, name=f"seat-{n}") for n in range(5)]
    charged = [isinstance(ask(workspace, asker, fresh=True), Answered) for asker in askers]
    assert charged == [True, True, False, False, False]
    assert workspace.spent() == 2 * RHO


def test_eight_questions_of_one_seat_at_once_spend_its_share_once(workspace: Workspace) -> None:
    give(workspace)
    results = at_once(8, lambda n: ask(workspace, fresh=True))
    assert sum(isinstance(result, Answered) for result in results) == 1
    assert workspace.spent() == RHO


def test_all_seats_together_may_not_have_more_than_the_team_has_left(workspace: Workspace) -> None:
    with pytest.raises(AllowanceTooLarge) as refused:
        give(workspace, seats=21)
    assert refused.value.facts == {"asked": "0.21", "left": "0.2"}
    charge(workspace, LEA, spend={"rho": "0.05"})
    tried = workspace.parts.allowing.set(LEA, Wish("bike", "rides", 16, RHO, None, None), dry_run=True)
    assert tried["short"] == [PERIODS[0]], (
        "a month that is spent already is named, and does not stop the others"
    )
    assert (tried["share_of_left"], tried["all_seats"], tried["allowance"]) == ("0.8000", 160_000_000, None)
    assert tried["questions"] == {"rough": 2, "normal": 1, "fine": 0}
    assert workspace.parts.allowing.list(LEA) == [] and events(workspace, "allowance_set") == []


def test_an_allowance_is_set_only_by_somebody_who_leads_that_team(workspace: Workspace) -> None:
    wish = Wish("bike", "rides", 1, RHO, None, None)
    for who in (ANN, BEN, ROOM, replace(LEA, teams=frozenset({"walk"}))):
        with pytest.raises(TeamNotYours):
            workspace.parts.allowing.set(who, wish, dry_run=False)
    with pytest.raises(CivicError) as refused:
        workspace.parts.allowing.set(LEA, replace(wish, dataset="accidents"), dry_run=False)
    assert refused.value.code == "policy_missing"
    now = workspace.clock.now()
    with pytest.raises(MalformedRequest):
        give(workspace, starts_at=now, ends_at=now - timedelta(hours=1))


def test_a_newer_allowance_takes_the_place_of_the_older_from_its_beginning_on(workspace: Workspace) -> None:
    now = workspace.clock.now()
    give(workspace)
    give(workspace, nano=2 * RHO, starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2))
    assert charge(workspace, fresh=True) == RHO
    assert isinstance(ask(workspace, fresh=True), Hold)
    workspace.clock.moment += timedelta(hours=1)
    assert [charge(workspace, fresh=True) for _ in range(2)] == [RHO, RHO]
    assert isinstance(ask(workspace, fresh=True), Hold)
    workspace.clock.moment += timedelta(hours=1)
    assert charge(workspace, fresh=True) == RHO, "it has ended, and the older one does not come back"
    # What was set to hold from now on holds, whatever the clock does afterwards.
    give(workspace, nano=0)
    workspace.clock.moment -= timedelta(days=30)
    assert isinstance(ask(workspace, fresh=True), Hold)


def test_everybody_sees_her_own_share_and_the_chain_names_who_set_it(workspace: Workspace) -> None:
    made = give(workspace)["allowance"]
    charge(workspace)
    (shown,) = workspace.parts.allowing.list(ANN)
    assert (shown["allowance_id"], shown["taken"], shown["set_by"]) == (made["allowance_id"], 1, "lea")
    assert shown["mine"] == {"has_share": True, "spent": {PERIODS[0]: RHO}}
    assert workspace.parts.allowing.list(BEN) == []
    (told,) = events(workspace, "allowance_set")
    assert (told["seats"], told["nano"], told["team"]) == (2, RHO, "bike")
    assert told["by"] == workspace.parts.releasing.public_name("lea") != "lea"


# --- approvals ---


def test_an_approved_question_goes_through_once_and_is_the_teams_charge(workspace: Workspace) -> None:
    give(workspace)
    charge(workspace)
    approval = wait(workspace, fresh=True)
    assert wait(workspace, fresh=True) == approval, "asked again meanwhile, it is the same wait"
    workspace.parts.approving.decide(LEA, approval, "approve")
    answered = ask(workspace, fresh=True)
    assert isinstance(answered, Answered) and answered.charged == RHO
    shown = workspace.parts.approving.get(ANN, approval)
    assert (shown["state"], shown["answer_id"], shown["decided_by"]) == ("used", answered.answer.id, "lea")
    assert wait(workspace, fresh=True) != approval
    # It was beyond her share, so it took nothing from what she has in other months or of it.
    (mine,) = workspace.parts.allowing.list(ANN)
    assert mine["mine"]["spent"] == {PERIODS[0]: RHO}


def test_the_chain_tells_who_decided_and_what_was_charged_on_her_word(workspace: Workspace) -> None:
    approval = wait(workspace, ROOM)
    workspace.parts.approving.decide(ROOM_MATE, approval, "approve")
    charge(workspace, ROOM)
    name = workspace.parts.releasing.public_name("bea")
    (decided,), (used,) = events(workspace, "approval_decided"), events(workspace, "approval_used")
    assert (decided["by"], decided["decision"], decided["cause"]) == (name, "approved", "room")
    assert (decided["nano"], decided["periods"], decided["team"]) == (RHO, [PERIODS[0]], "bike")
    charged = [event["reservation"] for event in events(workspace, "charged")]
    assert (used["approval"], used["by"], used["reservations"]) == (approval, name, charged)
    assert "bea" not in json.dumps([decided, used]) and "room-01" not in json.dumps([decided, used])


def test_eight_replays_of_one_approval_are_one_charge(workspace: Workspace) -> None:
    approval = wait(workspace, ROOM, fresh=True)
    workspace.parts.approving.decide(ROOM_MATE, approval, "approve")
    results = at_once(8, lambda n: ask(workspace, ROOM, fresh=True))
    assert sum(isinstance(result, Answered) for result in results) == 1
    waiting = {result.id for result in results if isinstance(result, Hold)}
    assert len(waiting) == 1 and approval not in waiting
    assert workspace.spent() == RHO


def test_a_room_always_waits_for_what_it_would_pay_and_a_member_decides_in_person(
    workspace: Workspace,
) -> None:
    assert workspace.parts.answering.price(ROOM, request(AUGUST)).waits is Cause.ROOM
    approval = wait(workspace, ROOM)
    stranger = replace(BEN, leads=True)
    for who, refusal in (
        (ROOM, ApprovalNotYours),
        (replace(ROOM, leads=True), ApprovalNotYours),
        (replace(ANN, name="service-reports"), ApprovalNotYours),
        (replace(ANN, asks=False), ApprovalNotYours),
        (stranger, UnknownApproval),
        (replace(ANN, teams=frozenset()), UnknownApproval),
    ):
        with pytest.raises(refusal):
            workspace.parts.approving.decide(who, approval, "approve")
    assert not workspace.parts.approving.get(ROOM, approval)["can_decide"]
    assert workspace.parts.approving.get(ANN, approval)["can_decide"]
    with pytest.raises(UnknownApproval):
        workspace.parts.approving.get(stranger, approval)
    assert workspace.parts.approving.list(stranger) == []
    workspace.parts.approving.decide(ANN, approval, "approve")
    assert workspace.parts.answering.price(ROOM, request(AUGUST)).waits is None
    assert charge(workspace, ROOM) == RHO
    assert charge(workspace, ROOM) == 0


def test_a_seat_can_neither_approve_its_own_question_nor_go_round_by_the_room(workspace: Workspace) -> None:
    give(workspace, nano=0)
    for approval in (wait(workspace, ANN), wait(workspace, ROOM)):
        for who in (ANN, EVE):
            with pytest.raises(ApprovalNotYours):
                workspace.parts.approving.decide(who, approval, "approve")
        workspace.parts.approving.decide(LEA, approval, "approve")


@pytest.mark.parametrize(
    "other",
    [
        {"plan": BY_GU},
        {"spend": {"rho": "0.011"}},
        {"spend": {"rho": "0.009"}},
        {"fresh": True},
        {"purpose": "teaching"},
        {"team": "run"},
        {"asker": replace(ANN, name="eve", teams=frozenset({"bike", "run"}))},
    ],
    ids=lambda other: "-".join(other),
)
def test_another_body_than_the_approved_one_waits_anew(workspace: Workspace, other: dict[str, Any]) -> None:
    caps = [
        {"name": "bike", "teams": ["bike"], "rho": "0.2"},
        {"name": "others", "teams": "others", "rho": "0.1"},
    ]
    workspace.activate(
        make_policy(workspace.entry(), version=2, purposes=["research", "teaching"], caps=caps)
    )
    asker = replace(ROOM, teams=frozenset({"bike", "run"}))
    approval = wait(workspace, asker)
    workspace.parts.approving.decide(ANN, approval, "approve")
    changed = dict(other)
    other_asker = changed.pop("asker", asker)
    if other_asker is not asker:
        give(workspace, nano=0)
    assert wait(workspace, other_asker, changed.pop("plan", AUGUST), **changed) != approval
    assert workspace.spent() == 0


def test_a_policy_that_changed_makes_an_approval_void(workspace: Workspace) -> None:
    waiting, approved = wait(workspace, ROOM), wait(workspace, ROOM, fresh=True)
    workspace.parts.approving.decide(ANN, approved, "approve")
    workspace.activate(make_policy(workspace.entry(), version=2, minimum=3))
    with pytest.raises(ApprovalEnded):
        workspace.parts.approving.decide(ANN, waiting, "approve")
    assert workspace.parts.approving.get(ANN, approved)["state"] == "void"
    wait_id = wait(workspace, ROOM, fresh=True)
    assert wait_id != approved and workspace.spent() == 0
    # A dataset that closes decides nothing: what waits can still be turned down.
    workspace.execute("UPDATE policies SET document = '{}'")
    with pytest.raises(CivicError) as closed:
        workspace.parts.approving.decide(ANN, wait_id, "approve")
    assert closed.value.code == "policy_edited"
    assert workspace.parts.approving.decide(ANN, waiting, "refuse")["state"] == "refused"


def test_more_months_than_were_approved_are_another_price(workspace: Workspace) -> None:
    """September was charged and its answer lost, so it would have run again for nothing; a day later it is spent."""

    class Breaking(ZeroNoise):
        def add(self, values: Any, mechanism: Any) -> list[int]:
            raise RuntimeError

    workspace.reopen(noise=Breaking())
    september = {"column": "month", "op": "eq", "value": PERIODS[1]}
    with pytest.raises(RuntimeError):
        ask(workspace, ANN, MONTHLY | {"where": september})
    workspace.reopen()
    workspace.clock.moment += timedelta(hours=23)
    held = ask(workspace, ROOM, MONTHLY)
    assert isinstance(held, Hold) and held.periods == (PERIODS[0], PERIODS[2])
    workspace.parts.approving.decide(ANN, held.id, "approve")
    workspace.clock.moment += timedelta(hours=2)
    again = ask(workspace, ROOM, MONTHLY)
    assert isinstance(again, Hold) and again.periods == PERIODS and again.id != held.id


def test_months_that_are_stored_are_not_in_the_price_that_waits(workspace: Workspace) -> None:
    charge(workspace, ANN, MONTHLY | {"where": AUGUST["where"]})
    held = ask(workspace, ROOM, MONTHLY)
    assert isinstance(held, Hold) and held.periods == PERIODS[1:]
    workspace.parts.approving.decide(ANN, held.id, "approve")
    answered = ask(workspace, ROOM, MONTHLY)
    assert isinstance(answered, Answered) and answered.charged == 2 * RHO
    shown = workspace.parts.approving.get(ANN, held.id)
    assert shown["answer_id"] == answered.answer.id and shown["price"]["periods"] == list(PERIODS[1:])


def test_fewer_months_than_were_approved_are_within_the_word(workspace: Workspace) -> None:
    held = ask(workspace, ROOM, MONTHLY)
    assert isinstance(held, Hold) and held.periods == PERIODS
    workspace.parts.approving.decide(ANN, held.id, "approve")
    charge(workspace, ANN, MONTHLY | {"where": AUGUST["where"]})
    assert charge(workspace, ROOM, MONTHLY) == 2 * RHO


def test_the_caps_of_the_policy_still_bind_what_was_approved(workspace: Workspace) -> None:
    approval = wait(workspace, ROOM, spend={"rho": "0.1"})
    workspace.parts.approving.decide(ANN, approval, "approve")
    charge(workspace, LEA, fresh=True, spend={"rho": "0.1"})
    charge(workspace, LEA, fresh=True, spend={"rho": "0.05"})
    with pytest.raises(BudgetExhausted):
        ask(workspace, ROOM, fresh=True, spend={"rho": "0.1"})
    assert workspace.parts.approving.get(ANN, approval)["state"] == "approved"


def test_a_wait_ends_after_a_day_and_a_clock_that_jumps_back_revives_nothing(workspace: Workspace) -> None:
    waiting, approved = wait(workspace, ROOM), wait(workspace, ROOM, fresh=True)
    workspace.parts.approving.decide(ANN, approved, "approve")
    start = workspace.clock.moment
    workspace.clock.moment = start + timedelta(days=1)
    states = {line["approval_id"]: line["state"] for line in workspace.parts.approving.list(ANN)}
    assert states == {waiting: "expired", approved: "expired"}
    workspace.clock.moment = start + timedelta(hours=1)
    with pytest.raises(ApprovalEnded) as ended:
        workspace.parts.approving.decide(ANN, waiting, "approve")
    assert ended.value.code == "approval_ended"
    assert wait(workspace, ROOM, fresh=True) != approved
    # One from the future is of no known age: a gateway that starts with a clock that was set back.
    later = wait(workspace, ROOM, BY_GU)
    workspace.clock.moment = start - timedelta(hours=1)
    workspace.reopen()
    assert workspace.parts.approving.get(ANN, later)["state"] == "expired"
    workspace.clock.moment = start + timedelta(hours=2)
    assert workspace.parts.approving.get(ANN, later)["state"] == "expired"
    assert workspace.spent() == 0


def test_a_decision_is_made_once_and_the_same_word_again_changes_nothing(workspace: Workspace) -> None:
    approval = wait(workspace, ROOM)
    for _ in range(2):
        assert workspace.parts.approving.decide(ANN, approval, "refuse")["state"] == "refused"
    for who, decision in ((ANN, "approve"), (ROOM_MATE, "refuse"), (ROOM_MATE, "approve")):
        with pytest.raises(ApprovalEnded):
            workspace.parts.approving.decide(who, approval, decision)  # type: ignore[arg-type]
    assert len(events(workspace, "approval_decided")) == 1
    assert wait(workspace, ROOM) != approval


def test_eight_members_who_decide_at_once_are_one_decision(workspace: Workspace) -> None:
    approval = wait(workspace, ROOM)

    def decide(n: int) -> str:
        try:
            member = replace(ANN, name=f"member-{n}")
            word: Any = "approve" if n % 2 else "refuse"
            return str(workspace.parts.approving.decide(member, approval, word)["decided_by"])
        except ApprovalEnded as ended:
            return ended.code

    results = at_once(8, decide)
    assert results.count("approval_ended") == 7 and len(events(workspace, "approval_decided")) == 1


def test_a_loop_cannot_bury_what_others_wait_for(workspace: Workspace) -> None:
    for number in range(MOST_WAITING):
        wait(workspace, ROOM, AUGUST, spend={"rho": f"0.00{number + 10}"})
    with pytest.raises(WaitingFull):
        ask(workspace, ROOM)
    assert len(workspace.parts.approving.list(ANN)) == MOST_WAITING


def test_a_crash_after_the_charge_needs_no_second_word_and_no_second_charge(workspace: Workspace) -> None:
    class Breaking(ZeroNoise):
        def add(self, values: Any, mechanism: Any) -> list[int]:
            raise RuntimeError

    approval = wait(workspace, ROOM)
    workspace.parts.approving.decide(ANN, approval, "approve")
    workspace.reopen(noise=Breaking())
    with pytest.raises(RuntimeError):
        ask(workspace, ROOM)
    workspace.reopen()
    assert (charge(workspace, ROOM), workspace.spent()) == (0, RHO)
    assert workspace.parts.approving.get(ANN, approval)["answer_id"] is not None


def test_a_retry_under_one_key_is_one_charge_and_one_word(workspace: Workspace) -> None:
    approval = wait(workspace, ROOM, fresh=True, key="once")
    workspace.parts.approving.decide(ANN, approval, "approve")
    first, second = (ask(workspace, ROOM, fresh=True, key="once") for _ in range(2))
    assert isinstance(first, Answered) and isinstance(second, Answered)
    assert first.answer == second.answer and workspace.spent() == RHO


def test_asking_past_the_gate_is_no_way_round(workspace: Workspace) -> None:
    """Whoever calls the flow of answers itself gets an exception, and never an answer."""
    with pytest.raises(MustWait):
        workspace.ask(ROOM, AUGUST)
    assert workspace.spent() == 0


def test_what_is_shown_says_the_question_in_words_and_its_price_of_what_is_left(workspace: Workspace) -> None:
    charge(workspace, ANN, AUGUST, spend={"rho": "0.1"}, fresh=True)
    where = {"column": "sex", "op": "eq", "value": "F"}
    approval = wait(workspace, ROOM, BY_GU | {"where": {"and": [AUGUST["where"], where]}})
    shown = workspace.parts.approving.get(ANN, approval)
    assert shown["question"] == {
        "ko": "2026년 8월의 대여를, 성별 F인 것만, 구별로, 건수",
        "en": "Rides in 2026-08, only sex F, by gu: count",
    }
    assert shown["price"]["rho"] == RHO and shown["price"]["periods"] == [PERIODS[0]]
    assert (shown["price"]["share_of_left"], shown["price"]["more_such"]) == ("0.1000", 10)
    assert shown["price"]["measures"]["rides"]["margin"] > 0
    assert (shown["asker"], shown["team"], shown["purpose"]) == ("room-01", "bike", "research")
    asked = datetime.fromisoformat(shown["asked_at"])
    assert datetime.fromisoformat(shown["expires_at"]) - asked == timedelta(days=1)


def test_what_was_allowed_and_decided_is_never_changed_or_removed(workspace: Workspace) -> None:
    give(workspace)
    charge(workspace)
    used = wait(workspace, ROOM, fresh=True)
    workspace.parts.approving.decide(LEA, used, "approve")
    charge(workspace, ROOM, fresh=True)
    for name in ("allowances", "allowance_charges", "holds", "hold_decisions", "hold_ends"):
        with workspace.parts.database.reading() as connection:
            column = inspect(connection).get_columns(name)[0]["name"]
            assert connection.exec_driver_sql(f"SELECT * FROM {name}").all()
        for statement in (f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"):
            with pytest.raises(LedgerUnavailable), workspace.parts.database.transaction() as tx:
                tx.connection.exec_driver_sql(statement)


def at_once(number: int, act: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(act, range(number)))
