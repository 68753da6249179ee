"""`python -m tests.ledger.answer_until HOME STEP`: answer one question, and stop at STEP for ever.

The killed process of test_kill.py. Prints STEP when it is there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from data_access.audit import Chain
from data_access.compose import compose
from tests.factories import ANN, FakeClock, ZeroNoise, make_settings, request

STEPS = ("inside_reserve", "after_reserve", "after_run", "inside_commit", "after_commit")


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


def main(home: Path, step: str) -> None:
    noise = StoppingNoise() if step == "after_run" else ZeroNoise()
    clock = StoppingClock() if step == "after_commit" else FakeClock()
    parts = compose(make_settings(home, False), clock=clock, noise=noise)
    if step == "after_reserve":
        parts.engine.reader = lambda view: stop(step)  # type: ignore[assignment, method-assign]
    append = Chain.append

    def stopping(chain: Chain, tx: Any, kind: Any, facts: Any) -> Any:
        """The event is the last row of its transaction: written, and not committed."""
        event = append(chain, tx, kind, facts)
        if (step, kind.value) in (("inside_reserve", "charged"), ("inside_commit", "answered")):
            stop(step)
        return event

    Chain.append = stopping  # type: ignore[method-assign]
    parts.answering.answer(ANN, request())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
