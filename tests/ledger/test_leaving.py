"""When an answer leaves, and what its table shows: both are functions of public facts and of noisy numbers."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from numpy.typing import NDArray

from data_access.clock import SystemClock
from data_access.errors import BudgetExhausted, InternalFault, UnknownColumn
from data_access.privacy.mechanisms import Gaussian
from tests.factories import (
    ANN,
    BY_GU,
    PERIODS,
    FakeClock,
    ShiftedNoise,
    Workspace,
    make_policy,
    table,
)


class SlowNoise:
    """Takes `seconds` of the fake clock, then fails or not."""

    def __init__(self, clock: FakeClock, seconds: float, fault: bool) -> None:
        self.clock, self.seconds, self.fault = clock, seconds, fault

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        self.clock.elapsed += self.seconds
        if self.fault:
            raise InternalFault()
        return [int(v) for v in values]


@pytest.mark.parametrize("fault", [False, True], ids=["success", "fault"])
@pytest.mark.parametrize(("work", "leaves"), [(0.01, 0.25), (0.25, 0.5), (0.3, 0.5), (0.9, 1.0), (1.2, 2.0)])
def test_success_and_fault_leave_on_the_same_beat(
    workspace: Workspace, fault: bool, work: float, leaves: float
) -> None:
    workspace.reopen(noise=SlowNoise(workspace.clock, work, fault))
    if fault:
        with pytest.raises(InternalFault):
            workspace.ask()
    else:
        workspace.ask()
    assert workspace.clock.elapsed == pytest.approx(leaves)


@dataclass
class RealClock:
    """The machine's own; keeps what its monotonic half told, and when each sleep ended."""

    told: list[float] = field(default_factory=list)
    woke: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return SystemClock().now()

    def monotonic(self) -> float:
        self.told.append(SystemClock().monotonic())
        return self.told[-1]

    def sleep(self, seconds: float) -> None:
        SystemClock().sleep(seconds)
        self.woke.append(SystemClock().monotonic())


@pytest.mark.parametrize("fault", [False, True], ids=["success", "fault"])
def test_on_the_machines_own_clock_success_and_fault_leave_on_the_beat(
    workspace: Workspace, fault: bool
) -> None:
    late = []
    for _ in range(3):
        clock = RealClock()
        workspace.reopen(noise=SlowNoise(FakeClock(), 0, fault), clock=clock)
        with pytest.raises(InternalFault) if fault else nullcontext():
            workspace.ask(ANN, BY_GU, fresh=True)
        taken = clock.woke[0] - clock.told[0]
        beat = max(b for b in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0) if b <= taken)
        assert beat > 0, "left before its beat"
        late.append(taken - beat)
    # The least: a busy machine wakes late now and then.
    assert min(late) < 0.05


@pytest.mark.parametrize(("size", "beat"), [("small", 0.25), ("medium", 0.5), ("large", 1.0)])
def test_the_beat_is_the_signed_size_class_and_no_measurement(
    workspace: Workspace, size: str, beat: float
) -> None:
    workspace.activate(make_policy(workspace.entry(), version=2, size_class=size))
    workspace.ask()
    assert workspace.clock.slept == [beat]


def test_refusals_before_reading_and_re_asks_leave_at_once(workspace: Workspace) -> None:
    workspace.ask(spend={"rho": "0.1"})
    workspace.clock.slept.clear()
    workspace.ask()
    with pytest.raises(UnknownColumn):
        workspace.ask(ANN, BY_GU | {"by": ["secret"]})
    workspace.ask(spend={"rho": "0.1"}, fresh=True)
    workspace.clock.slept.clear()
    with pytest.raises(BudgetExhausted):
        workspace.ask(fresh=True)
    assert workspace.clock.slept == []


def test_cells_that_nobody_is_in_are_there_and_get_noise_too(workspace: Workspace) -> None:
    workspace.reopen(noise=ShiftedNoise(by=100))
    rows = table(workspace.ask(ANN, BY_GU | {"by": ["gu", "month"]}))
    assert set(rows) == {(gu, m) for gu in ("종로구", "중구", "강동구", "other") for m in PERIODS}
    assert rows["강동구", PERIODS[0]] == {
        "rides": 100,
        "rides_low": 72,
        "rides_high": 128,
        "withheld": False,
    }


def test_a_value_outside_its_domain_is_the_key_other_and_never_dropped(workspace: Workspace) -> None:
    workspace.reopen(noise=ShiftedNoise(by=100))
    rows = table(workspace.ask(ANN, BY_GU | {"by": ["gu"]}))
    assert rows[("other",)]["rides"] == 100 + len(PERIODS)
    assert sum(row["rides"] - 100 for row in rows.values()) == 36


def test_a_noisy_count_below_minimum_times_bound_is_withheld_in_all_its_columns(workspace: Workspace) -> None:
    # Minimum 2, bound 2: a cell needs a noisy count of 4. 중구 has 12, other 3.
    rows = table(workspace.ask())
    assert rows[("중구",)] == {"rides": 12, "rides_low": -16, "rides_high": 40, "withheld": False}
    assert rows[("other",)] == {"rides": None, "rides_low": None, "rides_high": None, "withheld": True}


def test_where_persons_are_asked_their_noisy_number_decides(workspace: Workspace) -> None:
    # 중구 has four members with three rides each: 4 persons are enough, although the bound is 2.
    plan = BY_GU | {"measures": {"rides": {"fn": "count"}, "riders": {"fn": "persons"}}}
    rows = table(workspace.ask(ANN, plan))
    assert (rows[("중구",)]["riders"], rows[("중구",)]["withheld"]) == (4, False)
    assert (rows[("other",)]["rides"], rows[("other",)]["withheld"]) == (None, True)


def test_negative_counts_are_kept(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry(), version=2, minimum=0, row_bound=2))
    workspace.reopen(noise=ShiftedNoise(by=-1))
    rows = table(workspace.ask())
    # Below a minimum of 0 a cell is withheld; above, nothing is cut at zero.
    assert rows[("종로구",)]["rides_low"] < 0
    assert rows[("강동구",)]["withheld"]


def test_the_statement_says_what_is_needed_to_know_what_it_means(workspace: Workspace) -> None:
    statement = workspace.ask(spend={"margin": {"rides": 10}}).answer.document()["statement"]
    assert statement["kind"] == "civic-answer"
    assert statement["unit"] == {"kind": "person", "period": "month"}
    assert statement["mechanism"]["measures"]["rides"] | {"scale": None} == {
        "fn": "count",
        "rho": statement["spend"]["rho"],
        "sensitivity_squared": 4,
        "scale": None,
        "margin": 10,
    }
    assert statement["periods"] == list(PERIODS)
    assert statement["truncated_share"] is None
