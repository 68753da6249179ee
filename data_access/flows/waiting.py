"""Equal questions wait for one another, so that the second finds the first one's answer."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


class QuestionLocks:
    """One lock for each question under way in this process, forgotten when nobody holds it.

    Only for speed: what keeps two processes from charging twice is the ledger.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = defaultdict(lambda: (threading.Lock(), 0))

    @contextmanager
    def hold(self, *questions: str) -> Iterator[None]:
        """Hold all of `questions`. Always in one order: two askers could else wait for each other for ever."""
        with ExitStack() as held:
            for question in sorted(set(questions)):
                held.enter_context(self._hold(question))
            yield

    @contextmanager
    def _hold(self, question: str) -> Iterator[None]:
        with self._guard:
            lock, waiting = self._locks[question]
            self._locks[question] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._locks[question]
                if waiting == 1:
                    del self._locks[question]
                else:
                    self._locks[question] = (lock, waiting - 1)
