"""What goes wrong under a question: the policy changes, the clock jumps back, the ledger fills up, locks, vanishes.

Always the same promise: no answer without a stored charge, no charge twice, nothing that is over comes back.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from numpy.typing import NDArray
from sqlalchemy import event

from data_access.audit import check_chain
from data_access.audit.chain import read_events
from data_access.db import engine
from data_access.errors import CivicError, InternalFault, KeyReused, LedgerUnavailable, PolicyExpired
from data_access.privacy.mechanisms import Gaussian
from tests.factories import ANN, BY_GU, PERIODS, Workspace, make_policy, request, table
from tests.ledger.test_charging import RHO, BreakingNoise

AUGUST: dict[str, Any] = BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[0]}}
#: As many cells as need new pages in a database.
BROAD: dict[str, Any] = AUGUST | {"by": ["gu", "sex", {"fn": "hour", "column": "started_at"}]}


class MeanwhileNoise:
    """Does something after the data were read, once."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self.what: Callable[[], Any] | None = what
        self.calls = 0

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        self.calls += 1
        what, self.what = self.what, None
        if what is not None:
            what()
        return [int(value) for value in values]


def records(workspace: Workspace) -> tuple[int, int]:
    """How many questions were charged, how many answers are stored."""
    with workspace.parts.database.reading() as connection:
        charged = connection.exec_driver_sql("SELECT count(DISTINCT reservation) FROM charges").scalar()
        return int(charged or 0), int(
            connection.exec_driver_sql("SELECT count(*) FROM answers").scalar() or 0
        )


# --- a policy that changes between price and ask, and later ---


def test_what_was_priced_under_one_policy_is_charged_once_at_the_price_of_the_next(
    workspace: Workspace,
) -> None:
    answering, margin = workspace.parts.answering, {"margin": {"rides": 30}}
    before = answering.price(ANN, request(AUGUST, spend=margin)).quote.rho
    newer = workspace.activate(make_policy(workspace.entry(), version=2, row_bound=1))
    now = answering.price(ANN, request(AUGUST, spend=margin)).quote.rho
    # One ride a month instead of two: the same margin costs a quarter.
    assert before.nano // now.nano in (3, 4)
    answered = workspace.ask(ANN, AUGUST, spend=margin, key="once")
    assert (answered.charged, workspace.spent(), answered.newer_policy) == (now.nano, now.nano, False)
    assert answered.answer.policy_hash == newer.hash()
    assert workspace.ask(ANN, AUGUST, spend=margin, key="once").charged == 0
    assert workspace.spent() == now.nano


def test_a_policy_that_takes_effect_while_data_are_read_leaves_one_charge_and_one_answer_of_the_old(
    workspace: Workspace,
) -> None:
    newer = make_policy(workspace.entry(), version=2, minimum=9)
    workspace.reopen(noise=MeanwhileNoise(lambda: workspace.activate(newer)))
    first = workspace.ask(ANN, AUGUST)
    again = workspace.ask(ANN, AUGUST)
    assert (first.charged, again.charged, workspace.spent()) == (RHO, 0, RHO)
    assert again.answer == first.answer and again.newer_policy
    assert first.answer.policy_hash != newer.hash()


def test_what_was_charged_under_the_old_policy_and_left_no_answer_is_not_charged_again_under_its_key(
    workspace: Workspace,
) -> None:
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask(ANN, AUGUST, key="once")
    workspace.activate(make_policy(workspace.entry(), version=2, row_bound=1))
    with pytest.raises(KeyReused):
        workspace.ask(ANN, AUGUST, key="once")
    assert workspace.spent() == RHO
    # Without the key it is a new question, of other meaning, and says so by its price.
    assert workspace.ask(ANN, AUGUST).charged == RHO


# --- a clock that jumps back ---


def test_a_policy_that_has_expired_does_not_open_again_when_the_clock_is_set_back(
    workspace: Workspace,
) -> None:
    workspace.activate(make_policy(workspace.entry(), version=2, expires="2026-12-31"))
    workspace.ask(ANN, AUGUST)
    workspace.clock.moment += timedelta(days=60)
    with pytest.raises(PolicyExpired):
        workspace.ask(ANN, AUGUST)
    workspace.clock.moment -= timedelta(days=60)
    with pytest.raises(PolicyExpired):
        workspace.ask(ANN, AUGUST)


def test_a_restart_does_not_forget_what_the_ledger_knows_of_the_time(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry(), version=2, expires="2026-12-31"))
    workspace.clock.moment += timedelta(days=60)
    # Any event will do.
    workspace.activate(make_policy(workspace.entry("accidents")))
    workspace.clock.moment -= timedelta(days=400)
    workspace.reopen()
    with pytest.raises(PolicyExpired):
        workspace.ask(ANN, AUGUST)


def test_no_event_is_earlier_than_the_one_before_it_and_no_wait_is_negative(workspace: Workspace) -> None:
    for days in (0, -1, -400, 3, -3650):
        workspace.clock.moment += timedelta(days=days)
        workspace.ask(ANN, AUGUST, fresh=True)
    workspace.clock.moment -= timedelta(days=1)
    workspace.reopen()
    workspace.ask(ANN, AUGUST, fresh=True)
    with workspace.parts.database.reading() as connection:
        found = read_events(connection)
        reserved = connection.exec_driver_sql(
            "SELECT reserved_at FROM reservations JOIN charges ON reservation = id ORDER BY seq"
        ).scalars()
        assert all(a <= b for a, b in pairwise(reserved.all()))
    check_chain(found, workspace.parts.key.public)
    told = [json.loads(each.body)["at"] for each in found]
    assert told == sorted(told)
    assert workspace.clock.slept and min(workspace.clock.slept) > 0


def test_a_reservation_that_was_closed_as_spent_does_not_run_again_when_the_clock_is_set_back(
    workspace: Workspace,
) -> None:
    workspace.reopen(noise=BreakingNoise(1))
    with pytest.raises(InternalFault):
        workspace.ask(ANN, AUGUST, key="once", fresh=True)
    workspace.clock.moment += timedelta(days=2)
    workspace.ask(ANN, AUGUST, fresh=True)
    workspace.clock.moment -= timedelta(days=2)
    for _ in range(2):
        with pytest.raises(KeyReused):
            workspace.ask(ANN, AUGUST, key="once", fresh=True)
    assert workspace.spent() == 2 * RHO


# --- a ledger that does not take what must be written ---


@contextmanager
def pragma(workspace: Workspace, *statements: str) -> Iterator[None]:
    """Every connection of the workspace's database begins with these, from entering on."""
    target = workspace.parts.database._engine

    def set_up(connection: Any, _record: object) -> None:
        for statement in statements:
            connection.execute(f"PRAGMA {statement}")

    event.listen(target, "connect", set_up)
    try:
        yield
    finally:
        event.remove(target, "connect", set_up)


@pytest.mark.usefixtures("sqlite_only")
def test_nothing_is_read_for_a_ledger_that_takes_no_charge(workspace: Workspace) -> None:
    noise = MeanwhileNoise(lambda: None)
    workspace.reopen(noise=noise)
    with pragma(workspace, "query_only=ON"), pytest.raises(LedgerUnavailable):
        workspace.ask(ANN, AUGUST)
    assert (noise.calls, records(workspace)) == (0, (0, 0))
    assert workspace.ask(ANN, AUGUST).charged == RHO


@pytest.mark.usefixtures("sqlite_only")
def test_nothing_leaves_for_a_ledger_that_takes_the_charge_and_no_answer(workspace: Workspace) -> None:
    """Full, read-only or gone after the charge: the bytes are dropped, the charge stays, and runs again free."""
    with ExitStack() as since_then:
        full = pragma(workspace, "max_page_count=1")
        workspace.reopen(noise=MeanwhileNoise(lambda: since_then.enter_context(full)))
        with pytest.raises(LedgerUnavailable):
            workspace.ask(ANN, BROAD)
    assert records(workspace) == (1, 0)
    answered = workspace.ask(ANN, BROAD)
    assert (answered.charged, workspace.spent(), records(workspace)) == (0, RHO, (1, 1))


@pytest.mark.usefixtures("sqlite_only")
def test_a_disk_that_fills_up_at_any_step_leaves_no_answer_without_a_charge(workspace: Workspace) -> None:
    noise = MeanwhileNoise(lambda: None)
    workspace.reopen(noise=noise)
    refused = 0
    with pragma(workspace, "max_page_count=1"):
        # No page may be added: some of what is written still fits, until nothing does.
        for _ in range(8):
            try:
                workspace.ask(ANN, AUGUST, fresh=True)
            except LedgerUnavailable:
                refused += 1
            charged, answered = records(workspace)
            assert answered <= charged <= noise.calls
    assert refused
    charged, _ = records(workspace)
    assert workspace.spent() == charged * RHO
    assert workspace.ask(ANN, AUGUST, fresh=True).charged == RHO


@pytest.mark.usefixtures("sqlite_only")
def test_a_ledger_that_another_program_holds_is_waited_for_and_then_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BUSY_MILLISECONDS", 150)
    other = sqlite3.connect(workspace.home / "db" / "vault.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable):
        workspace.ask(ANN, AUGUST)
    # A price, and what is stored, need no turn.
    assert workspace.parts.answering.price(ANN, request(AUGUST)).stored is None
    other.execute("ROLLBACK")
    other.close()
    assert workspace.ask(ANN, AUGUST).charged == RHO


@pytest.mark.usefixtures("sqlite_only")
def test_a_ledger_that_is_deleted_while_data_are_read_gives_no_answer_and_is_not_replaced(
    workspace: Workspace,
) -> None:
    ledger = workspace.home / "db" / "vault.sqlite"
    workspace.reopen(noise=MeanwhileNoise(ledger.unlink))
    with pytest.raises(LedgerUnavailable):
        workspace.ask(ANN, AUGUST)
    assert not ledger.exists()
    with pytest.raises(LedgerUnavailable):
        workspace.ask(ANN, AUGUST)


@pytest.mark.usefixtures("sqlite_only")
def test_a_ledger_with_a_page_of_rubbish_refuses_or_answers_and_charges_as_ever(
    workspace: Workspace, request: pytest.FixtureRequest
) -> None:
    ledger = workspace.home / "db" / "vault.sqlite"
    known = workspace.ask(ANN, AUGUST).answer
    workspace.parts.close()
    raw = sqlite3.connect(ledger)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size, pages = (raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count"))
    raw.close()
    whole, rubbish = ledger.read_bytes(), random.Random(7).randbytes(size)
    step = 1 if request.config.getoption("--fuzz") else 7
    codes = set()
    for page in range(0, pages, step):
        for rest in ledger.parent.glob("vault.sqlite-*"):
            rest.unlink()
        ledger.write_bytes(whole[: page * size] + rubbish + whole[(page + 1) * size :])
        for fresh in (False, True):
            try:
                answered = workspace.ask(ANN, AUGUST, fresh=fresh)
            except CivicError as refusal:
                codes.add(refusal.code)
            else:
                assert answered.answer == known if not fresh else answered.charged == RHO
                assert table(answered)[("종로구",)]["rides"] == 7
    assert "ledger_unavailable" in codes
    assert codes <= {
        "ledger_unavailable",
        "audit_broken",
        "policy_missing",
        "register_invalid",
        "policy_edited",
    }
