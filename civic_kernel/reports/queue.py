"""Who runs next: a queue for all, fair among persons, with so many at once as the machine bears.

Two persons with twenty-five reports each take turns: next is the one with the fewest that run, and of those the one who
has waited longest. A queue in order of arrival was rejected: the second would wait for all of the first.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

#: A run takes up to 100 MB beside what it shares with the template: eight keep all together under 1.5 GB.
MOST_AT_ONCE = 8


def width_here() -> int:
    """One run more than there are cores: each waits now and then, for the gateway or to be forked (docs/figures.md)."""
    return min(len(os.sched_getaffinity(0)) + 1, MOST_AT_ONCE)


@dataclass(eq=False)
class Job:
    """`work` is called once, in a thread of the queue's, and returns when `stop` is set. It raises nothing."""

    owner: str
    batch: str
    number: int
    work: Callable[[threading.Event], None]
    stop: threading.Event = field(default_factory=threading.Event)


class Queue:
    """Runs jobs in `width` threads."""

    def __init__(self, width: int) -> None:
        self._guard = threading.Condition()
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"run-{number}", daemon=True) for number in range(width)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, jobs: list[Job]) -> None:
        with self._guard:
            self._waiting += jobs
            self._guard.notify_all()

    def count(self, owner: str) -> int:
        """How many of this person's wait or run."""
        with self._guard:
            return sum(job.owner == owner for job in (*self._waiting, *self._running))

    def ahead(self, batch: str) -> int:
        """How many jobs begin before the first of this batch that waits, if none is added; 0 where none waits."""
        with self._guard:
            waiting = list(self._waiting)
            running = Counter(job.owner for job in self._running)
        ahead = 0
        while any(job.batch == batch for job in waiting):
            job = _next(waiting, running)
            if job.batch == batch:
                return ahead
            waiting.remove(job)
            running[job.owner] += 1
            ahead += 1
        return 0

    def take_back(self, batch: str) -> list[int]:
        """Removes the batch's jobs that wait and stops those that run; the numbers of the removed."""
        with self._guard:
            removed = [job for job in self._waiting if job.batch == batch]
            self._waiting = [job for job in self._waiting if job.batch != batch]
            for job in self._running:
                if job.batch == batch:
                    job.stop.set()
            return [job.number for job in removed]

    def wait(self, timeout: float) -> bool:
        """Whether nothing waits and nothing runs, within `timeout` seconds."""
        with self._guard:
            return self._guard.wait_for(lambda: not self._waiting and not self._running, timeout)

    def close(self) -> None:
        """Stops everything and returns when it has stopped."""
        with self._guard:
            self._closed = True
            self._waiting.clear()
            for job in self._running:
                job.stop.set()
            self._guard.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while True:
            with self._guard:
                self._guard.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = _next(self._waiting, Counter(job.owner for job in self._running))
                self._waiting.remove(job)
                self._running.append(job)
            try:
                job.work(job.stop)
            finally:
                with self._guard:
                    self._running.remove(job)
                    self._guard.notify_all()


def _next(waiting: list[Job], running: Counter[str]) -> Job:
    return min(waiting, key=lambda job: running[job.owner])
