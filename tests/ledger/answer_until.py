"""`python -m tests.ledger.answer_until HOME DATABASE STEP [monthly] [http]`: answer one question, and stop at STEP
for ever.

The killed process of test_kill.py and test_askers.py. Prints STEP when it is there. The question has three months:
one charge and one answer; or, `monthly`, three charges, three answers and one that joins them. With `http` it is a
server that prints its address first, and answers whatever question comes.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from data_access.audit import Chain
from data_access.compose import compose
from data_access.gateway.workspace import workspace_app
from tests.factories import (
    ANN,
    BY_GU,
    FakeClock,
    FakeIdentity,
    ZeroNoise,
    make_caller,
    make_settings,
    request,
)
from tests.gateway.serving import served

STEPS = ("inside_reserve", "after_reserve", "after_run", "inside_commit", "after_commit")
MONTHLY = BY_GU | {"by": ["gu", "month"]}
#: Step → the event that has just been written, and how many of its kind there are by then.
EVENTS = {
    "inside_reserve": ("charged", 1),
    "inside_commit": ("answered", 1),
    "second_charge": ("charged", 2),
    "third_answer": ("answered", 3),
    "inside_join": ("answer_derived", 1),
}
MONTHLY_STEPS = (*STEPS, "second_charge", "third_answer", "inside_join")


def stop(step: str) -> None:
    print(step, flush=True)
    while True:
        time.sleep(60)


class StoppingNoise(ZeroNoise):
    def add(self, values: Any, mechanism: Any) -> list[int]:
        stop("after_run")
        return []


class StoppingClock(FakeClock):
    def sleep(self, seconds: float) -> None:
        stop("after_commit")


def main(home: Path, database: str, step: str, how: str = "", http: str = "") -> None:
    noise = StoppingNoise() if step == "after_run" else ZeroNoise()
    clock = StoppingClock() if step == "after_commit" else FakeClock()
    parts = compose(make_settings(home, False, database), clock=clock, noise=noise)
    if step == "after_reserve":
        parts.engine.reader = lambda view: stop(step)  # type: ignore[assignment, method-assign]
    append = Chain.append
    seen: Counter[str] = Counter()

    def stopping(chain: Chain, tx: Any, kind: Any, facts: Any) -> Any:
        """Written, and not committed."""
        event = append(chain, tx, kind, facts)
        seen[kind.value] += 1
        if EVENTS.get(step) == (kind.value, seen[kind.value]):
            stop(step)
        return event

    Chain.append = stopping  # type: ignore[method-assign]
    if not http:
        parts.answering.answer(ANN, request(MONTHLY if how == "monthly" else None))
        return
    identity = FakeIdentity({"t": make_caller("ann", ["bike"], "ask")})
    with served(workspace_app(parts, identity, prefix="")) as address:
        print(address, flush=True)
        time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
