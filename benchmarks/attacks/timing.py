"""How long an answer takes, and whether that says anything about who is in the data."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from scipy.stats import mannwhitneyu

from benchmarks.attacks.town import (
    HOUR,
    IN_MONTH,
    ROW_BOUND,
    Plan,
    WatchedEngine,
    count,
    rebuilt,
    town,
    townspeople,
    visits_of_target,
)
from benchmarks.attacks.verdict import Verdict, counted
from benchmarks.workspace import Workspace
from data_access.errors import InternalFault
from data_access.flows.answering import Answering
from data_access.policy import Policy

#: Below this the attacker calls two samples different: the level of table C.
_LEVEL = 1e-4
#: The engine's work for each row, beside its real work on a small table: as if there were a few thousand times
#: as many.
_SECONDS_PER_ROW = 1e-3


@dataclass
class CompressedClock:
    """Time in which this process works, as long as that takes; waiting is skipped, and counted all the same.

    Not the wall clock: what else the machine does would hide a leak from this attacker, who is to be the best.
    """

    skipped: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.process_time() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.skipped += seconds


class UnpaddedAnswering(Answering):
    """Weak on purpose: answers leave when they are ready."""

    def _wait_for_beat(self, policy: Policy, began: float) -> None:
        """Return at once."""


def timing(draws: int) -> Verdict:
    """`draws` rounds of interleaved calls: people and nearly nobody, answered and failing half-way.

    A success is a pair of arms whose times Mann and Whitney's test tells apart. (Whether a call failed is in its
    status; that data decide how long a failure takes is what must not be.)
    """
    clock = CompressedClock()
    full, nearly_empty = [*townspeople(), *visits_of_target(200)], visits_of_target(ROW_BOUND)
    # The class of a dataset is signed such that no question of it comes near its beat.
    policy = {"size_class": "large"}
    with (
        town(full, clock=clock, policy=policy) as one,
        town(nearly_empty, clock=clock, policy=policy) as other,
    ):

        def told_apart(many: int, kind: type[Answering], *failing: bool) -> int:
            arms = [
                (_slowed(made, clock, rows, kind, fails), fails)
                for fails in failing
                for made, rows in ((one, len(full)), (other, len(nearly_empty)))
            ]
            seconds: list[list[float]] = [[] for _ in arms]
            for turn in range(many + 1):
                for (made, fails), found in zip(arms, seconds, strict=True):
                    taken = _seconds(made, clock, fails)
                    # The first call opens files and fills caches.
                    if turn:
                        found.append(taken)
            pairs = zip(seconds[::2], seconds[1::2], strict=True)
            return sum(float(mannwhitneyu(a, b).pvalue) < _LEVEL for a, b in pairs)

        ours = told_apart(draws, Answering, False, True)
        control = told_apart(min(draws, 20), UnpaddedAnswering, False)
    name = f"timing of answers and failures, {4 * draws} interleaved calls"
    return counted(name, "Jin arXiv:2112.05307; Haeberlen 2011", ours, control)


def _slowed(
    made: Workspace, clock: CompressedClock, rows: int, kind: type[Answering], fails: bool
) -> Workspace:
    def work(_: str) -> None:
        clock.sleep(rows * _SECONDS_PER_ROW)
        if fails:
            raise InternalFault()

    return rebuilt(made, kind=kind, engine=WatchedEngine(made, work))


_PLAN: Plan = count(IN_MONTH, ["gu", HOUR])


def _seconds(made: Workspace, clock: CompressedClock, fails: bool) -> float:
    began = clock.monotonic()
    try:
        made.ask(_PLAN, "0.0001", fresh=True)
    except InternalFault:
        if not fails:
            raise
    else:
        if fails:
            raise AssertionError("the fault was not met")
    return clock.monotonic() - began
