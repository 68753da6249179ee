"""How often anybody may try to sign in: token buckets, in the Hub's memory.

Secrets of cards and links have 60 and 130 random bits, so for them this is about load and noise; for passwords it is
what stands between a guesser and a weak one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

#: Tries at once, and tries a second afterwards: generous enough for a workshop of 30 behind one address who all
#: mistype.
PER_ADDRESS = (60.0, 0.5)
OVERALL = (600.0, 20.0)
#: Passwords of one name, from whatever address: 30, then 180 an hour. A lock after few tries was rejected: with it
#: anybody who knows a steward's name could keep her out.
PER_NAME = (30.0, 0.05)
MAX_BUCKETS = 10_000


class TokenBucket:
    """Allows `burst` takes at once and `rate` a second afterwards. `now` is a monotonic clock in seconds."""

    def __init__(self, burst: float, rate: float, now: Callable[[], float]) -> None:
        self._burst, self._rate, self._now = burst, rate, now
        self._left, self._at = burst, now()

    def take(self) -> bool:
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        self._left = min(self._burst, self._left + 1)


class SignInLimit:
    """A bucket for each address, one for each name, and one for all. Beyond MAX_BUCKETS the oldest is pushed out, so
    that a flood from many addresses fills no memory; the overall bucket then still holds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._overall = TokenBucket(*OVERALL, now)
        self._addresses: OrderedDict[str, TokenBucket] = OrderedDict()
        self._names: OrderedDict[str, TokenBucket] = OrderedDict()

    def can_try(self, address: str) -> bool:
        """Counts one try; False means: refuse without looking."""
        # The address first: one noisy address must not empty the bucket of all the others.
        return self._take(self._addresses, address, PER_ADDRESS) and self._overall.take()

    def forgive(self, address: str) -> None:
        """The try succeeded: a hall full of people who sign in is no flood."""
        if bucket := self._addresses.get(address):
            bucket.give_back()
        self._overall.give_back()

    def can_try_password(self, name: str) -> bool:
        """Counts one password for `name`, whether or not there is such a person: after `can_try`."""
        return self._take(self._names, name, PER_NAME)

    def _take(self, kept: OrderedDict[str, TokenBucket], key: str, size: tuple[float, float]) -> bool:
        bucket = kept.pop(key, None) or TokenBucket(*size, self._now)
        kept[key] = bucket
        while len(kept) > MAX_BUCKETS:
            kept.popitem(last=False)
        return bucket.take()
