"""The rides: month by month, first as plain arrays, then as an Arrow table in the true layout.

`month_rides` draws, `ride_table` dresses; neither writes. The loader's benchmark takes the tables
as they are, and the accidents need only the arrays.

What is not modelled: a bike may be in two places, and now and then so may a person whose drawn rides
overlap; nothing the workspace computes depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .geography import Geography
from .people import SEXES, USER_KINDS, People, RowSampler, riders_of_month
from .stations import Stations
from .truth import MONTHS, stream
from .weather import Days

PUBLIC_COLUMNS: Final = (
    "자전거번호",
    "대여일시",
    "대여 대여소번호",
    "대여 대여소명",
    "대여거치대",
    "반납일시",
    "반납대여소번호",
    "반납대여소명",
    "반납거치대",
    "이용시간(분)",
    "이용거리(M)",
    "생년",
    "성별",
    "이용자종류",
    "대여대여소ID",
    "반납대여소ID",
    "자전거구분",
)
"""The 17 columns of the public files (Seoul open data OA-15182)."""
MEMBER_COLUMN: Final = "회원번호"
"""The operator's own 18th column, never in a public file."""
BIKE_KINDS: Final = ("일반자전거", "새싹자전거")

_MORNING, _EVENING, _ERRAND, _LEISURE = range(4)
# the share of each kind among a commuter's rides and among everyone else's
_KINDS: Final = {True: (0.29, 0.31, 0.26, 0.14), False: (0.0, 0.0, 0.66, 0.34)}
_ERRAND_KM: Final = 0.9
_LEISURE_KM: Final = 2.8
_KMH: Final = (12.5, 11.5, 10.5, 8.5)
_LOST_RETURN: Final = 0.003
_NO_DISTANCE: Final = 0.03
_LONGEST: Final = 240
_DAY: Final = 86_400


@dataclass(frozen=True)
class MonthRides:
    """One month's n rides in order of their start; each array has shape (n,).

    `person`, `start`, `end` index People and Stations; `day` indexes Days; `second` is the start
    within that day; `length` the ride's seconds; `metres` a multiple of 10; `bike` a bike's index;
    `start_rack`, `end_rack` 0 (QR lock) or a rack's number; `returned` is false where the return was
    not recorded.
    """

    month: str
    person: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    metres: npt.NDArray[np.int64]
    bike: npt.NDArray[np.int64]
    start_rack: npt.NDArray[np.int64]
    end_rack: npt.NDArray[np.int64]
    returned: npt.NDArray[np.bool_]


class RideMaker:
    """Draws the rides of one city; holds what all its months share."""

    def __init__(
        self, geography: Geography, stations: Stations, people: People, days: Days, *, rides: int, seed: int
    ) -> None:
        """Prepare the destinations and the fleet (about one bike for 45 rides a year)."""
        self._stations, self._people, self._days = stations, people, days
        self._rides, self._seed = rides, seed
        km = geography.kilometres()
        lively = (geography.residents + geography.jobs + 2_000).astype(np.float64)
        self._errands = RowSampler(lively * np.exp(-km / _ERRAND_KM))
        self._leisure = RowSampler(geography.appeal * np.exp(-km / _LEISURE_KM))
        random = stream(seed, "bikes")
        fleet = min(60_000, max(300, rides // 45))
        numbers = random.choice(np.arange(1, 100_000), fleet, replace=False)
        self._bikes = pa.array([f"SPB-{number:05d}" for number in numbers.tolist()])
        self._bike_kinds = (random.random(fleet) < 0.05).astype(np.int64)

    def month_rides(self, month: int) -> MonthRides:
        """Draw the rides that start in month `month` (index into MONTHS)."""
        random = stream(self._seed, "rides", MONTHS[month])
        who, often = riders_of_month(self._people, month, self._rides, self._seed)
        person = np.repeat(who, often)
        n = len(person)
        kind = self._kinds(person, random)
        day = self._days_of(month, kind, often, random)
        second = _seconds(kind, random)
        start, end = self._stations_of(person, kind, random)
        metres, length = self._lengths(start, end, kind, random)
        order = np.argsort(day * _DAY + second, kind="stable")
        qr = random.random((2, n)) < 0.7
        racks = np.where(qr, 0, 1 + (random.random((2, n)) ** 1.6 * 12).astype(np.int64))
        return MonthRides(
            month=MONTHS[month],
            person=person[order],
            start=start[order],
            end=end[order],
            day=day[order],
            second=second[order],
            length=length[order],
            metres=metres[order],
            bike=random.integers(0, len(self._bikes), n),
            start_rack=racks[0],
            end_rack=racks[1],
            returned=random.random(n) >= _LOST_RETURN,
        )

    def _kinds(self, person: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw what each ride is for, shape (n,)."""
        table = np.array([np.cumsum(_KINDS[False]), np.cumsum(_KINDS[True])])
        steps = table[self._people.commuter[person].astype(np.int64)]
        u = random.random(len(person))
        return np.asarray((u[:, None] >= steps[:, :3]).sum(axis=1), dtype=np.int64)

    def _days_of(
        self,
        month: int,
        kind: npt.NDArray[np.int64],
        often: npt.NDArray[np.int64],
        random: np.random.Generator,
    ) -> npt.NDArray[np.int64]:
        """Draw the day of each ride, shape (n,).

        A person's rides are strewn over the month (one in each nth of it, counted in the weight of
        days) rather than drawn apart: nobody goes to work three times on one day.
        """
        own = np.flatnonzero(self._days.month == month)
        weights = (
            self._days.commuting[own],
            self._days.commuting[own],
            self._days.errands[own],
            self._days.leisure[own],
        )
        rank = np.arange(len(kind)) - np.repeat(np.cumsum(often) - often, often)
        turn = np.repeat(random.random(len(often)), often)
        share = np.repeat(often, often)
        # the step of 7 (prime to most counts) parts a person's first rides instead of queuing them
        u = ((rank * 7) % share + turn + 0.25 * random.random(len(kind))) / share % 1.0
        day = np.empty(len(kind), dtype=np.int64)
        for this in range(4):
            mine = kind == this
            day[mine] = own[_pick(weights[this], u[mine])]
        return day

    def _stations_of(
        self, person: npt.NDArray[np.int64], kind: npt.NDArray[np.int64], random: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Draw where each ride starts and ends, both shape (n,)."""
        people, stations = self._people, self._stations
        n = len(person)
        home, home_dong = people.home_station[person], people.home[person]
        work, work_dong = people.work_station[person], people.work[person]
        # now and then the usual station is empty or full
        elsewhere = random.random((2, n)) < 0.15
        home = np.where(elsewhere[0], stations.use(home_dong, random), home)
        work = np.where(elsewhere[1], stations.use(work_dong, random), work)
        # errands begin at home or, for a third of a commuter's, at work; half of them go back there
        near_work = people.commuter[person] & (random.random(n) < 0.33)
        base = np.where(near_work, work, home)
        base_dong = np.where(near_work, work_dong, home_dong)
        shop = stations.use(self._errands.draw(base_dong, random), random)
        park = stations.use(self._leisure.draw(home_dong, random), random)
        back = random.random(n)
        commute = (kind == _MORNING, kind == _EVENING)
        errand, leisure = kind == _ERRAND, kind == _LEISURE
        start = np.select(
            [commute[0], commute[1], errand & (back < 0.5), errand, leisure & (back < 0.4), leisure],
            [home, work, base, shop, home, park],
        )
        end = np.select(
            [commute[0], commute[1], errand & (back < 0.5), errand, leisure & (back < 0.7)],
            [work, home, shop, base, park],
            default=home,
        )
        # back in [0.4, 0.7): a round trip by the water, brought back where it was taken
        return start, end

    def _lengths(
        self,
        start: npt.NDArray[np.int64],
        end: npt.NDArray[np.int64],
        kind: npt.NDArray[np.int64],
        random: np.random.Generator,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Draw metres ridden (multiples of 10) and seconds taken, both shape (n,)."""
        stations = self._stations
        straight = np.hypot(stations.x[start] - stations.x[end], stations.y[start] - stations.y[end])
        n = len(start)
        tour = np.where(kind == _LEISURE, 1.5 + random.gamma(2.0, 2.0, n), 0.4 + random.gamma(1.5, 0.6, n))
        ridden = straight * 1.25 * random.lognormal(0.0, 0.15, n) + 0.05
        km = np.where(start == end, tour, ridden)
        hours = km / (np.array(_KMH)[kind] * random.lognormal(0.0, 0.18, n))
        seconds = hours * 3600 + random.gamma(2.0, 45.0, n)
        length = np.clip(seconds, 60, _LONGEST * 60).astype(np.int64)
        metres = (km * 100).astype(np.int64) * 10
        # the real counters fail now and then and report nothing ridden
        return np.where(random.random(n) < _NO_DISTANCE, 0, metres), length

    def ride_table(self, rides: MonthRides) -> pa.Table:
        """Dress one month's rides as a table: the 17 public columns and the member number.

        Types: texts as dictionary<int32, string>, times as timestamp[s] in local time without zone,
        racks, minutes and birth year int32, `이용거리(M)` float64 metres (in files `480.00`).
        Missing values are null (in files `\\N`).
        """
        stations, people = self._stations, self._people
        gone = ~rides.returned
        begin = self._days.date[rides.day].astype("datetime64[s]") + rides.second
        padded = pa.array([f"{number:05d}" for number in stations.number.tolist()])
        codes = pa.array(stations.code)
        # dong of one name exist in several gu, and a dictionary with a word twice breaks pandas
        words, called = np.unique(np.array(stations.name), return_inverse=True)
        names, called = pa.array(words.tolist()), called.astype(np.int64)
        birth = people.birth[rides.person]
        columns = [
            _texts(rides.bike, self._bikes),
            pa.array(begin),
            _texts(rides.start, padded),
            _texts(called[rides.start], names),
            pa.array(rides.start_rack.astype(np.int32)),
            pa.array(begin + rides.length, mask=gone),
            _texts(rides.end, padded, gone),
            _texts(called[rides.end], names, gone),
            pa.array(rides.end_rack.astype(np.int32), mask=gone),
            pa.array((rides.length // 60).astype(np.int32)),
            pa.array(rides.metres.astype(np.float64)),
            pa.array(birth.astype(np.int32), mask=~people.birth_known[rides.person]),
            _texts(people.sex[rides.person], pa.array(SEXES), ~people.sex_known[rides.person]),
            _texts(people.kind[rides.person], pa.array(USER_KINDS)),
            _texts(rides.start, codes),
            _texts(rides.end, codes, gone),
            _texts(self._bike_kinds[rides.bike], pa.array(BIKE_KINDS)),
            _members(rides.person, people.member),
        ]
        return pa.table(columns, names=[*PUBLIC_COLUMNS, MEMBER_COLUMN])


def _texts(
    index: npt.NDArray[np.int64], words: pa.Array, missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Make a dictionary array of `words` at `index` (n,), null where `missing` (n,)."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32), mask=missing), words)


def _members(person: npt.NDArray[np.int64], member: npt.NDArray[np.int64]) -> pa.Array:
    """Make the column of member numbers; its dictionary holds this month's riders only."""
    who, index = np.unique(person, return_inverse=True)
    return _texts(index.astype(np.int64), pa.array([f"M{number:09d}" for number in member[who].tolist()]))


def _pick(weights: npt.NDArray[np.float64], u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Turn `u` (n,) in [0, 1) into indices of `weights` (w,) in proportion to them, shape (n,)."""
    shares = np.cumsum(weights)
    index = np.searchsorted(shares / shares[-1], u, side="right")
    return np.minimum(index, len(weights) - 1)


def _seconds(kind: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw the second of the day (0 to 86,399) at which each ride starts, shape (n,)."""
    n = len(kind)
    normal, u = random.standard_normal(n), random.random(n)
    late = u < 0.22
    hour = np.select(
        [kind == _MORNING, kind == _EVENING, (kind == _ERRAND) & late, kind == _ERRAND],
        [8.2 + 0.65 * normal, 18.5 + 0.95 * normal, 22.6 + 1.6 * normal, 15.0 + 3.6 * normal],
        default=15.8 + 3.0 * normal,
    )
    # a late errand may pass midnight: it then counts as the small hours of its own day
    second: npt.NDArray[np.int64] = (hour * 3600).astype(np.int64) % _DAY
    return second
