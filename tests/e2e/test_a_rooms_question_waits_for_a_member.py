"""What is asked in the team's room waits there, until a member lets it through from her own seat."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.hub.seat import Seat

pytestmark = pytest.mark.hub

ASK = """
import civic_kernel as civic
rides = civic.dataset("bike_rides")
frame = rides.where(rides.month == "2026-09").by(rides.rain).agg(rides=civic.count()).ask("rough")
print(frame.attrs["civic"]["answer_id"])
"""
WAITING = "import civic_kernel as civic; print(civic.waiting().to_json(orient='records'))"


def test_one_member_approves_from_her_own_seat_and_the_rooms_kernel_goes_on(demonstration):
    room = Seat(demonstration.url, demonstration.secrets["analyst"], owner="room-01")
    seat = Seat(demonstration.url, demonstration.secrets["expert"])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(room.run, ASK)
        until = time.monotonic() + 60
        while not (waiting := json.loads(seat.run(WAITING))):
            assert not asked.done() and time.monotonic() < until
        (line,) = waiting
        assert line["question"].endswith("in 2026-09, by rain: count") and line["asker"] == "room-01"
        approve = f"import civic_kernel as civic; print(civic.approve({line['approval_id']!r}).body.state)"
        # In a second kernel of the room: its first is waiting.
        other = Seat(demonstration.url, demonstration.secrets["analyst"], owner="room-01")
        assert other.run(approve) == "ApprovalNotYours"
        assert seat.run(approve) == "approved"
        answer = asked.result(60)
    assert answer.startswith("ans-")
    assert seat.run(f"print(civic.answer({answer!r}).attrs['civic']['answer_id'])") == answer
