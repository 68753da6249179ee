"""Time, as a constructor argument.

No setting, file or environment variable reaches it: a clock that an operator could move would reopen an
expired policy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Protocol
from zoneinfo import ZoneInfo

SEOUL = ZoneInfo("Asia/Seoul")


class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards; for deadlines."""

    def sleep(self, seconds: float) -> None:
        """Block for `seconds`."""


@dataclass(frozen=True)
class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SteadyClock:
    """`clock`, that never tells an earlier moment than it has told before, nor one before `since`.

    A machine's clock is set back by hand, by a dead battery, by a snapshot that is restored: a policy that had
    expired would open again, and the chain would tell of a later event at an earlier time. What is past stays past.
    """

    def __init__(self, clock: Clock, since: datetime | None = None) -> None:
        self._clock = clock
        self._last = since or datetime.min.replace(tzinfo=UTC)
        self._guard = Lock()

    def now(self) -> datetime:
        with self._guard:
            self._last = max(self._last, self._clock.now())
            return self._last

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)


def timestamp(moment: datetime) -> str:
    """`2026-11-23T04:05:06Z`: the one written form of a moment, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
