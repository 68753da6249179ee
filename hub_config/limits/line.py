"""The line in front of the seats: a few start at once, the others wait in the order in which they came.

JupyterHub can only refuse whoever is one too many and have her press again, by luck before or after the others. Here
nobody is refused for coming together with the rest of a workshop; she sees her place and about how long it takes.
What is limited is starting, which is processor time until the server answers: thirty at once would all come last.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress

#: Seconds that a start is taken to need before any was seen.
FIRST_GUESS_S = 3.0


class Line:
    """`at_once` may start together. One event loop; `now` is a monotonic clock in seconds."""

    def __init__(self, at_once: int, now: Callable[[], float] = time.monotonic) -> None:
        self._at_once, self._now = at_once, now
        self._starting: dict[object, float] = {}
        self._waiting: dict[object, asyncio.Event] = {}
        self._needs_s = FIRST_GUESS_S

    async def enter(self, who: object) -> None:
        """Returns when it is the turn of `who`, which lasts until `leave`. Cancelled, it is as if she had not come."""
        if len(self._starting) >= self._at_once or self._waiting:
            turn = self._waiting[who] = asyncio.Event()
            try:
                await turn.wait()
            except BaseException:
                self._waiting.pop(who, None)
                self.leave(who)
                raise
        else:
            self._starting[who] = self._now()

    def leave(self, who: object) -> None:
        """`who` has started, or has given up. Who is next may start. Without effect for somebody who is not there."""
        began = self._starting.pop(who, None)
        if began is not None:
            # Half of it what was last seen: a machine grows slower while thirty start.
            self._needs_s = (self._needs_s + self._now() - began) / 2
        while self._waiting and len(self._starting) < self._at_once:
            following = next(iter(self._waiting))
            self._starting[following] = self._now()
            self._waiting.pop(following).set()

    def place(self, who: object) -> int | None:
        """1 for whoever is next; None for somebody who does not wait."""
        with suppress(ValueError):
            return list(self._waiting).index(who) + 1
        return None

    def seconds(self, place: int) -> int:
        """About how long somebody at this place still waits before her seat answers."""
        return math.ceil(self._needs_s * (place / self._at_once + 1))
