"""Time in the Hub's tests: a clock that stands until it is set, and waiting for what somebody else brings about."""

import time


class Clock:
    def __init__(self, now=1_800_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


def wait_for(found, within=30):
    """The first value of `found()` that is true; fails after `within` seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError("not in time")
