"""Time, as a constructor argument.

No setting, file or environment variable reaches it: a clock that an operator could move would reopen an
expired policy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
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


def timestamp(moment: datetime) -> str:
    """`2026-11-23T04:05:06Z`: the one written form of a moment, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
