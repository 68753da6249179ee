"""How much the row bound leaves out: published once for each period and bound, paid out of `load_rho`, never exact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from civic_kernel.verify.chain import Event, Findings
from civic_kernel.verify.loads import check_loads
from civic_kernel.verify.records import Records
from civic_kernel.verify.whole import check_all
from data_access.answers import lost_share_documents
from data_access.answers.lost import NUMBERS, lost_fraction, lost_mechanisms, make_lost_statement
from data_access.audit.chain import head, read_events
from data_access.flows.answering import Answered
from data_access.flows.loading import last_over, load
from data_access.ledger import LoadBook
from data_access.ledger.book import public_ledger
from data_access.policy import LOADS
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import DiscreteGaussianNoise, price
from tests.audit.conftest import make_watched
from tests.factories import (
    ACCIDENTS,
    ANN,
    BY_GU,
    NOW,
    PERIODS,
    RIDES,
    Workspace,
    ZeroNoise,
    entry_of,
    make_policy,
    write_csv,
)

CHECKOUT = Path(__file__).resolve().parents[2]
LOAD_RHO = 10_000_000
#: With the bound 2: of August m1 loses one ride of three, m2 two of four, and m3 two of its five (past 4, uncounted).
HEAVY = (
    *RIDES,
    *((f"{PERIODS[0]}-0{day} 09:00", member, "중구", "F") for member, days in (("m1", 2), ("m2", 3), ("m3", 4))
      for day in range(2, 2 + days)),
)  # fmt: skip


def loads_spent(workspace: Workspace) -> dict[str, int]:
    with workspace.parts.database.reading() as connection:
        found = public_ledger(connection)
    return {
        period["period"]: sum(c["nano"] for c in period["charges"] if c["team"] == LOADS) for period in found
    }


def published(workspace: Workspace) -> list[dict[str, Any]]:
    with workspace.parts.database.reading() as connection:
        return [each["statement"] for each in lost_share_documents(connection)]


def said(answered: Answered) -> Any:
    return answered.answer.document()["statement"]["truncated_share"]


def month(period: str) -> dict[str, Any]:
    return {**BY_GU, "where": {"column": "month", "op": "eq", "value": period}}


def test_each_period_is_published_once_and_charged_to_loads_alone(workspace: Workspace) -> None:
    workspace.load_rides(HEAVY)
    assert workspace.parts.lost.publish("rides") == PERIODS
    assert loads_spent(workspace) == dict.fromkeys(PERIODS, LOAD_RHO)
    found = {statement["period"]: statement for statement in published(workspace)}
    august = [found[PERIODS[0]]["numbers"][name][0] for name in NUMBERS]
    # Twelve members, three past the bound; 9 × 1 + 3 × 2 kept; 1 + 2 + 2 lost.
    assert august == [12, 3, 15, 5]
    assert [found[PERIODS[1]]["numbers"][name][0] for name in NUMBERS] == [12, 0, 12, 0]
    # The team's own part is what it was: what loads spend was kept for them all along.
    with workspace.parts.database.reading() as connection:
        policy = workspace.parts.governing.in_force(connection, "rides").policy
        assert workspace.parts.book.left(connection, policy, "bike", PERIODS)[PERIODS[0]].nano == 200_000_000
    # Neither a second start, a correction, nor a policy with the same bound draws or pays again.
    before = published(workspace)
    assert workspace.parts.lost.publish("rides") == ()
    workspace.load_rides()
    workspace.activate(make_policy(workspace.entry(), version=2, load_rho="0.02"))
    assert workspace.parts.lost.publish("rides") == ()
    assert published(workspace) == before
    assert loads_spent(workspace) == dict.fromkeys(PERIODS, LOAD_RHO)


def test_another_bound_is_published_only_from_what_load_rho_has_left(workspace: Workspace) -> None:
    workspace.parts.lost.publish("rides")
    workspace.activate(make_policy(workspace.entry(), version=2, row_bound=3))
    assert workspace.parts.lost.publish("rides") == ()
    assert said(workspace.ask()) is None
    workspace.activate(make_policy(workspace.entry(), version=3, row_bound=3, load_rho="0.014"))
    assert workspace.parts.lost.publish("rides") == PERIODS
    assert loads_spent(workspace) == dict.fromkeys(PERIODS, 14_000_000)
    assert {s["row_bound"] for s in published(workspace)} == {2, 3}
    # Lowered again, what is spent stays spent: the dataset's rest is what the period's budget still has.
    lowered = make_policy(
        workspace.entry(), version=4, row_bound=3, load_rho="0", budget="0.5",
        caps=[{"name": "bike", "teams": ["bike"], "rho": "0.5"}],
    )  # fmt: skip
    workspace.activate(lowered)
    with workspace.parts.database.reading() as connection:
        left = workspace.parts.book.left(connection, lowered, "bike", PERIODS[:1])[PERIODS[0]]
    assert (left.nano, left.whose) == (500_000_000 - 14_000_000 - 10_000_000, "dataset")


def test_a_policy_without_load_rho_publishes_nothing_and_answers_say_so(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry(), version=2, load_rho="0"))
    assert workspace.parts.lost.publish("rides") == ()
    assert (said(workspace.ask()), loads_spent(workspace)[PERIODS[0]]) == (None, 0)


def test_a_month_that_the_files_do_not_cover_whole_waits(workspace: Workspace) -> None:
    assert last_over(workspace.clock.now()) == "2026-10"
    with workspace.parts.database.reading() as connection:
        force = workspace.parts.governing.in_force(connection, "rides")
    path = write_csv(workspace.home / "incoming" / "part.csv", ("time", "member", "gu", "sex"), RIDES)
    load(
        workspace.parts.vault,
        force.entry,
        [path],
        lineage=force.policy.lineage,
        policy=force.policy,
        by="test",
        until=PERIODS[1],
    )
    assert workspace.parts.lost.publish("rides") == PERIODS[:2]
    # Of three months one lacks it, so nothing is said of all three together.
    assert said(workspace.ask()) is None
    assert said(workspace.ask(ANN, month(PERIODS[1])))["share"] == "0.00000"
    workspace.load_rides()
    assert workspace.parts.lost.publish("rides") == PERIODS[2:]
    assert len(said(workspace.ask(fresh=True))["lost_shares"]) == 3


def test_an_answer_over_several_periods_adds_up_their_numbers(workspace: Workspace) -> None:
    workspace.load_rides(HEAVY)
    workspace.parts.lost.publish("rides")
    alone, together = said(workspace.ask(ANN, month(PERIODS[0]))), said(workspace.ask())
    assert alone["share"] == "0.25000" and together["share"] == f"{5 / 44:.5f}"
    joined = workspace.ask(ANN, {**BY_GU, "by": ["gu", "month"]})
    assert said(joined) == together
    # So few rides are lost in the noise of the lost share itself, and the interval says so.
    assert (alone["low"], alone["high"]) == ("0.00000", "1.00000")
    assert len(alone["lost_shares"]) == 1 and len(together["lost_shares"]) == 3


def test_an_answer_signed_before_keeps_its_not_published(workspace: Workspace) -> None:
    first = workspace.ask()
    workspace.parts.lost.publish("rides")
    assert workspace.ask().answer.statement == first.answer.statement
    assert said(first) is None and said(workspace.ask(fresh=True)) is not None


def test_where_the_unit_is_a_row_nothing_is_lost_asked_or_charged(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry("accidents")))
    workspace.load("accidents", ("time", "gu"), ACCIDENTS)
    assert workspace.parts.lost.publish("accidents") == ()
    plan = {**BY_GU, "dataset": "accidents"}
    assert said(workspace.ask(ANN, plan)) == {
        **{"share": "0.00000", "low": "0.00000", "high": "0.00000", "lost_shares": []}
    }


def test_no_exact_number_is_stored_or_told(workspace: Workspace) -> None:
    """Everything that leaves the vault is drawn: with noise that adds 1000 no number of the files is left."""

    class Shifted(ZeroNoise):
        def add(self, values: Any, mechanism: Any) -> list[int]:
            return [int(v) + 1000 for v in values]

    workspace.reopen(noise=Shifted())
    workspace.load_rides(HEAVY)
    workspace.parts.lost.publish("rides")
    numbers = [value for s in published(workspace) for name in NUMBERS for value in s["numbers"][name][:1]]
    assert min(numbers) >= 1000
    with workspace.parts.database.reading() as connection:
        kinds = [
            json.loads(e.body)["facts"] for e in read_events(connection) if b"lost_share_published" in e.body
        ]
    assert len(kinds) == 3
    assert {name for facts in kinds for name in facts} == {
        *("lineage", "lost_share", "period", "policy", "reservation", "row_bound", "data_version")
    }


# --- crash between any two steps ---

STEPS = ("reserving", "after_reserve", "reading", "drawing", "storing")


class Crash(Exception):
    """Stands for a power cut in this process; the killed one below is real."""


def crash(workspace: Workspace, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> Any:
        raise Crash

    with monkeypatch.context() as patch:
        if step == "reserving":
            claim, seen = LoadBook.claim, list[str]()

            def second(*args: Any, **named: Any) -> Any:
                seen.append("")
                return stop() if len(seen) == 2 else claim(*args, **named)

            patch.setattr(LoadBook, "claim", second)
        elif step == "after_reserve":
            patch.setattr("data_access.flows.losing.check_hash", stop)
        elif step == "reading":
            patch.setattr("data_access.flows.losing.count_past_bound", stop)
        elif step == "drawing":
            patch.setattr(ZeroNoise, "add", stop)
        else:
            settle, settled = type(workspace.parts.book).settle, list[str]()

            def third(book: Any, tx: Any, reservation: str, outcome: Any) -> None:
                settled.append(reservation)
                if len(settled) == 3:
                    raise Crash
                settle(book, tx, reservation, outcome)

            patch.setattr(type(workspace.parts.book), "settle", third)
        with pytest.raises(Crash):
            workspace.parts.lost.publish("rides")


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_charges_once_and_the_next_start_publishes(
    workspace: Workspace, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(workspace, step, monkeypatch)
    charged = 0 if step == "reserving" else LOAD_RHO
    assert [workspace.spent(period=period) for period in PERIODS] == [charged] * len(PERIODS)
    assert published(workspace) == []
    # Two days later, after a question has closed what is stale: a load's reservation still stands.
    workspace.clock.elapsed += timedelta(days=2).total_seconds()
    workspace.ask(ANN, month(PERIODS[0]))
    workspace.reopen()
    workspace.parts.lost.publish_all()
    assert loads_spent(workspace) == dict.fromkeys(PERIODS, LOAD_RHO)
    assert len(published(workspace)) == len(PERIODS)


def test_killed_between_charge_and_publishing_it_is_neither_paid_nor_drawn_twice(
    workspace: Workspace,
) -> None:
    workspace.parts.close()
    script = (
        "import os, sys; from pathlib import Path; from data_access.compose import compose\n"
        "from tests.factories import FakeClock, ZeroNoise, make_settings\n"
        "class Killing(ZeroNoise):\n"
        "    def add(self, values, mechanism): os.kill(os.getpid(), 9)\n"
        "compose(make_settings(Path(sys.argv[1]), False, sys.argv[2]), clock=FakeClock(),\n"
        "        noise=Killing()).lost.publish('rides')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(workspace.home), workspace.database_url],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=False,
    )
    assert done.returncode == -9
    workspace.reopen()
    assert loads_spent(workspace) == dict.fromkeys(PERIODS, LOAD_RHO)
    assert published(workspace) == []
    assert workspace.parts.lost.publish("rides") == PERIODS
    assert loads_spent(workspace) == dict.fromkeys(PERIODS, LOAD_RHO)


# --- what anybody can verify ---


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    made = make_watched(tmp_path_factory.mktemp("lost") / "home")
    made.workspace.parts.lost.publish("rides")
    made.workspace.ask()
    parts = made.workspace.parts
    with parts.database.reading() as connection:
        last = head(connection)
        found = Records(
            head={"seq": last.seq, "hash": last.hash},
            events=[event.document() for event in read_events(connection)],
            ledger={
                "periods": public_ledger(connection),
                "head": {"seq": last.seq, "hash": last.hash},
            },
            parties=parts.governing.register_document(connection),
            policies=parts.governing.documents(connection),
            witnesses=parts.witnessing.document(connection),
        )
    parts.close()
    return found


def events_of(records: Records) -> list[Event]:
    bodies = [each["event"] for each in records.events]
    return [Event(body["seq"], body["at"], body["kind"], body["facts"]) for body in bodies]


def judged(records: Records, change: Callable[[list[Event]], list[Event]]) -> tuple[set[str], dict[str, int]]:
    """What is found where the gateway itself has written its events so: its signatures would hold."""
    found = Findings()
    policies = {line["hash"]: line["policy"] for line in records.policies}
    check_loads(change(events_of(records)), policies, found)
    return {key for key, _ in found.wrong}, found.counted


def test_anybody_verifies_that_loads_paid_once(records: Records) -> None:
    found = check_all(records)
    assert found.wrong == []
    assert (found.counted["lost_shares"], found.counted["charges"]) == (3, 6)


def test_a_second_draw_and_a_misused_charge_are_found(records: Records) -> None:
    def of(events: Sequence[Event], kind: str) -> Event:
        return next(e for e in events if e.kind == kind)

    assert judged(records, lambda events: events) == (set(), {"lost_shares": 3})
    twice, _ = judged(records, lambda events: [*events, of(events, "lost_share_published")])
    assert twice == {"lost_twice"}
    unpaid, _ = judged(records, lambda events: [e for e in events if e.kind != "charged"])
    assert unpaid == {"lost_unpaid"}
    charge = next(e for e in events_of(records) if e.kind == "charged")
    more, _ = judged(
        records, lambda events: [*events, replace(charge, facts={**charge.facts, "reservation": "rsv-x"})]
    )
    assert more == {"load_overspent"}
    misused, _ = judged(
        records,
        lambda events: [
            *events,
            replace(
                of(events, "answered"), facts={"answer": "ans-x", "reservation": charge.facts["reservation"]}
            ),
        ],
    )
    assert misused == {"load_misused"}


# --- the noise ---


@given(bound=st.integers(1, 100), nano=st.integers(4, 10**9))
@settings(max_examples=30, deadline=None)
def test_the_four_numbers_cost_no_more_than_the_load_paid(bound: int, nano: int) -> None:
    parts = lost_mechanisms(bound, Rho(nano)).values()
    assert sum(price(p.sensitivity_squared, p.scale) for p in parts) * 10**9 <= nano
    assert [p.sensitivity_squared for p in parts] == [1, 1, bound**2, bound**2]


@pytest.mark.parametrize(
    ("kept", "lost", "months"), [(163_700, 2_970, 1), (163_700, 2_970, 12), (900, 20, 1)],
    ids=["the demo's month", "its year", "a small month"],
)  # fmt: skip
def test_the_interval_holds_the_truth_in_at_least_93_per_cent_of_draws(
    kept: int, lost: int, months: int
) -> None:
    policy = make_policy(entry_of("rides"), row_bound=20)
    mechanisms = lost_mechanisms(20, Rho(LOAD_RHO))
    truth, draws, noise = lost / (kept + lost), 1_000, DiscreteGaussianNoise()
    drawn = {
        name: np.array(noise.add(np.full(draws * months, number), mechanisms[name])).reshape(draws, months)
        for name, number in zip(NUMBERS, (14_000, 300, kept, lost), strict=True)
    }
    template = json.loads(
        make_lost_statement(
            policy, PERIODS[0], dict.fromkeys(NUMBERS, 0), mechanisms,
            rho=Rho(LOAD_RHO), reservation="rsv-x", data_version=1, now=NOW,
        )
    )  # fmt: skip
    held = 0
    for draw in range(draws):
        found = lost_fraction(
            [template | {"numbers": {n: [int(drawn[n][draw, m])] for n in NUMBERS}} for m in range(months)]
        )
        held += float(str(found["low"])) <= truth <= float(str(found["high"]))
    print(f"held in {held / draws:.1%}")
    assert held >= 0.93 * draws
