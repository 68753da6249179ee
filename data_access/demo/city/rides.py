"""The rides: month by month, first as plain arrays, then as Arrow tables in the true layout.

`month_rides` draws, `ride_table` dresses; neither writes, and the accidents need only the arrays. A
month of 100 million rides a year is 11 million: it is drawn in blocks of riders, each from random
numbers of its own, kept in 27 bytes a ride, and dressed in runs of rows (`ride_tables`). So memory
follows the blocks and the busiest month, and the rides depend on neither threads nor runs.

All random numbers of a block are drawn for all of its rides, needed or not: what is then looked up
only where it is needed may change, and the rides stay the same.

What is not modelled: a bike may be in two places, and now and then so may a person whose drawn rides
overlap; nothing the workspace computes depends on it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

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
# mean and standard deviation of the hour of each kind, and last of a late errand
_HOURS: Final = np.array([(8.2, 0.65), (18.5, 0.95), (15.0, 3.6), (15.8, 3.0), (22.6, 1.6)])
_ERRAND_KM: Final = 0.9
_LEISURE_KM: Final = 2.8
_KMH: Final = (12.5, 11.5, 10.5, 8.5)
_LOST_RETURN: Final = 0.003
_NO_DISTANCE: Final = 0.03
_LONGEST: Final = 240
_DAY: Final = 86_400
_BLOCK: Final = 100_000
"""Riders drawn at a time. Part of what a city is, as the seed: another number makes other rides in a
city of more than 3 million (its months are one block up to there)."""
_ROWS: Final = 500_000
"""Rides dressed at a time: texts of so many stay far below the 2 GiB of Arrow's 32-bit offsets."""


@dataclass(frozen=True)
class MonthRides:
    """One month's n rides in order of their start; each array has shape (n,).

    `person`, `start`, `end` index People and Stations; `day` indexes Days; `second` is the start
    within that day; `length` the ride's seconds; `metres` a multiple of 10; `bike` a bike's index;
    `start_rack`, `end_rack` 0 (QR lock) or a rack's number; `returned` is false where the return was
    not recorded. Small types: two months of a large city are in memory at once.
    """

    month: str
    person: npt.NDArray[np.int32]
    start: npt.NDArray[np.int16]
    end: npt.NDArray[np.int16]
    day: npt.NDArray[np.int16]
    second: npt.NDArray[np.int32]
    length: npt.NDArray[np.int16]
    metres: npt.NDArray[np.int32]
    bike: npt.NDArray[np.int32]
    start_rack: npt.NDArray[np.int8]
    end_rack: npt.NDArray[np.int8]
    returned: npt.NDArray[np.bool_]

    def part(self, start: int, stop: int) -> MonthRides:
        """Give the rides from `start` up to `stop`, uncopied."""
        return MonthRides(self.month, **{name: getattr(self, name)[start:stop] for name in _ARRAYS})


_ARRAYS: Final = tuple(field.name for field in fields(MonthRides) if field.name != "month")
# what a ride is; the rest (bike, racks, return) is drawn after the rides are put in order
_MOVED: Final = ("person", "start", "end", "day", "second", "length", "metres")


class RideMaker:
    """Draws the rides of one city; holds what all its months share. May be used by several threads."""

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
        self._words = Words.of(stations, [f"SPB-{number:05d}" for number in numbers.tolist()])
        self._bike_kinds = (random.random(fleet) < 0.05).astype(np.int32)

    def month_rides(self, month: int) -> MonthRides:
        """Draw the rides that start in month `month` (index into MONTHS)."""
        who, often = riders_of_month(self._people, month, self._rides, self._seed)
        blocks = []
        for number, first in enumerate(range(0, len(who), _BLOCK)):
            own = slice(first, first + _BLOCK)
            # the first block's stream has no number: cities of one block a month are older than blocks
            random = stream(self._seed, "rides", MONTHS[month], *([number] if number else []))
            blocks.append(self._block(month, who[own], often[own], random))
        drawn = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
        del blocks
        order = _order(drawn["day"], drawn["second"])
        for name in _MOVED:
            drawn[name] = drawn[name][order]
        return MonthRides(MONTHS[month], **drawn)

    def _block(
        self,
        month: int,
        who: npt.NDArray[np.int64],
        often: npt.NDArray[np.int64],
        random: np.random.Generator,
    ) -> dict[str, npt.NDArray[Any]]:
        """Draw all rides of the month of the people `who` (r,), who ride `often` (r,), unordered."""
        person = np.repeat(who, often)
        n = len(person)
        kind = self._kinds(person, random)
        day = self._days_of(month, kind, often, random)
        second = _seconds(kind, random)
        start, end = self._stations_of(person, kind, random)
        metres, length = self._lengths(start, end, kind, random)
        locked = np.flatnonzero(random.random((2, n)).ravel() >= 0.7)
        u = random.random((2, n)).ravel()
        racks = np.zeros(2 * n, dtype=np.int8)
        racks[locked] = 1 + (u[locked] ** 1.6 * 12).astype(np.int8)
        return {
            "person": person.astype(np.int32),
            "start": start,
            "end": end,
            "day": day,
            "second": second,
            "length": length,
            "metres": metres,
            "bike": random.integers(0, len(self._bike_kinds), n).astype(np.int32),
            "start_rack": racks[:n],
            "end_rack": racks[n:],
            "returned": random.random(n) >= _LOST_RETURN,
        }

    def _kinds(self, person: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int8]:
        """Draw what each ride is for, shape (n,)."""
        commuter = self._people.commuter[person]
        u = random.random(len(person))
        kind = np.zeros(len(person), dtype=np.int8)
        for own, other in zip(np.cumsum(_KINDS[True])[:3], np.cumsum(_KINDS[False])[:3], strict=True):
            kind += u >= np.where(commuter, own, other)
        return kind

    def _days_of(
        self,
        month: int,
        kind: npt.NDArray[np.int8],
        often: npt.NDArray[np.int64],
        random: np.random.Generator,
    ) -> npt.NDArray[np.int16]:
        """Draw the day of each ride, shape (n,).

        A person's rides are strewn over the month (one in each nth of it, counted in the weight of
        days) rather than drawn apart: nobody goes to work three times on one day.
        """
        own = np.flatnonzero(self._days.month == month).astype(np.int16)
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
        u = ((rank * 7) % share + turn + 0.25 * random.random(len(kind))) / share
        u -= np.floor(u)
        day = np.empty(len(kind), dtype=np.int16)
        for this in range(4):
            mine = np.flatnonzero(kind == this)
            day[mine] = own[_pick(weights[this], u[mine])]
        return day

    def _stations_of(
        self, person: npt.NDArray[np.int64], kind: npt.NDArray[np.int8], random: np.random.Generator
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
        """Draw where each ride starts and ends, both shape (n,)."""
        people, stations = self._people, self._stations
        n = len(person)
        home, home_dong = people.home_station[person], people.home[person]
        work, work_dong = people.work_station[person], people.work[person]
        # now and then the usual station is empty or full
        elsewhere = random.random((2, n)) < 0.15
        for usual, dong, here in ((home, home_dong, elsewhere[0]), (work, work_dong, elsewhere[1])):
            u, full = random.random(n), np.flatnonzero(here)
            usual[full] = stations.use(dong[full], u[full])
        # errands begin at home or, for a third of a commuter's, at work; half of them go back there
        near_work = people.commuter[person] & (random.random(n) < 0.33)
        u = random.random((4, n))
        back = random.random(n)
        start, end = home.copy(), home.copy()
        for this, usual in ((_MORNING, end), (_EVENING, start)):
            commute = np.flatnonzero(kind == this)
            usual[commute] = work[commute]

        errand = np.flatnonzero(kind == _ERRAND)
        by_work = near_work[errand]
        base = np.where(by_work, work[errand], home[errand])
        base_dong = np.where(by_work, work_dong[errand], home_dong[errand])
        shop = stations.use(self._errands.draw(base_dong, u[0, errand]), u[1, errand])
        out = back[errand] < 0.5
        start[errand], end[errand] = np.where(out, base, shop), np.where(out, shop, base)

        leisure = np.flatnonzero(kind == _LEISURE)
        park = stations.use(self._leisure.draw(home_dong[leisure], u[2, leisure]), u[3, leisure])
        # back in [0.4, 0.7): a round trip by the water, brought back where it was taken
        start[leisure] = np.where(back[leisure] < 0.4, home[leisure], park)
        end[leisure] = np.where(back[leisure] < 0.7, park, home[leisure])
        return start, end

    def _lengths(
        self,
        start: npt.NDArray[np.int16],
        end: npt.NDArray[np.int16],
        kind: npt.NDArray[np.int8],
        random: np.random.Generator,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]]:
        """Draw metres ridden (multiples of 10) and seconds taken, both shape (n,)."""
        stations = self._stations
        straight = np.hypot(stations.x[start] - stations.x[end], stations.y[start] - stations.y[end])
        n = len(start)
        tour = np.where(kind == _LEISURE, 1.5 + random.gamma(2.0, 2.0, n), 0.4 + random.gamma(1.5, 0.6, n))
        ridden = straight * 1.25 * random.lognormal(0.0, 0.15, n) + 0.05
        km = np.where(start == end, tour, ridden)
        hours = km / (np.array(_KMH)[kind] * random.lognormal(0.0, 0.18, n))
        seconds = hours * 3600 + random.gamma(2.0, 45.0, n)
        length = np.clip(seconds, 60, _LONGEST * 60).astype(np.int16)
        metres = (km * 100).astype(np.int32) * np.int32(10)
        # the real counters fail now and then and report nothing ridden
        metres[random.random(n) < _NO_DISTANCE] = 0
        return metres, length

    def ride_tables(self, rides: MonthRides) -> Iterator[pa.Table]:
        """Dress one month's rides run by run, in order; see `ride_table` for the columns."""
        for start in range(0, len(rides.person), _ROWS):
            yield self.ride_table(rides.part(start, start + _ROWS))

    def ride_table(self, rides: MonthRides) -> pa.Table:
        """Dress rides as a table: the 17 public columns and the member number.

        Types: texts as dictionary<int32, string>, but the member number as string; times as
        timestamp[s] in local time without zone, racks, minutes and birth year int32, `이용거리(M)`
        float64 metres (in files `480.00`). Missing values are null (in files `\\N`).
        """
        people, words = self._people, self._words
        gone = ~rides.returned
        begin = self._days.date.astype("datetime64[s]")[rides.day] + rides.second
        columns = [
            _texts(rides.bike, words.bikes),
            pa.array(begin),
            _texts(rides.start, words.numbers),
            _texts(words.called[rides.start], words.names),
            pa.array(rides.start_rack.astype(np.int32)),
            pa.array(begin + rides.length, mask=gone),
            _texts(rides.end, words.numbers, gone),
            _texts(words.called[rides.end], words.names, gone),
            pa.array(rides.end_rack.astype(np.int32), mask=gone),
            pa.array((rides.length // 60).astype(np.int32)),
            pa.array(rides.metres.astype(np.float64)),
            pa.array(people.birth[rides.person].astype(np.int32), mask=~people.birth_known[rides.person]),
            _texts(people.sex[rides.person], words.sexes, ~people.sex_known[rides.person]),
            _texts(people.kind[rides.person], words.users),
            _texts(rides.start, words.codes),
            _texts(rides.end, words.codes, gone),
            _texts(self._bike_kinds[rides.bike], words.bike_kinds),
            _members(people.member[rides.person]),
        ]
        return pa.table(columns, names=[*PUBLIC_COLUMNS, MEMBER_COLUMN])


@dataclass(frozen=True)
class Words:
    """The texts that rides repeat, each column's distinct ones; `called` (S,) indexes `names`."""

    bikes: pa.Array
    numbers: pa.Array
    names: pa.Array
    called: npt.NDArray[np.int32]
    codes: pa.Array
    sexes: pa.Array
    users: pa.Array
    bike_kinds: pa.Array

    @classmethod
    def of(cls, stations: Stations, bikes: list[str]) -> Words:
        """Collect the words of `stations` and of the fleet."""
        # dong of one name exist in several gu, and a dictionary with a word twice breaks pandas
        names, called = np.unique(np.array(stations.name), return_inverse=True)
        return cls(
            bikes=pa.array(bikes),
            numbers=pa.array([f"{number:05d}" for number in stations.number.tolist()]),
            names=pa.array(names.tolist()),
            called=called.astype(np.int32),
            codes=pa.array(stations.code),
            sexes=pa.array(SEXES),
            users=pa.array(USER_KINDS),
            bike_kinds=pa.array(BIKE_KINDS),
        )


def _order(day: npt.NDArray[np.int16], second: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Give the order by start; of two rides in one second the one drawn first comes first.

    The place stands in the key's low bits, so that sorting the keys is already the answer: numpy
    sorts whole numbers many times faster than it finds their order.
    """
    places = len(day).bit_length()
    moment = day.astype(np.int64) * _DAY + second
    key = moment << places | np.arange(len(day))
    key.sort()
    return key & ((1 << places) - 1)


def _texts(
    index: npt.NDArray[Any], words: pa.Array, missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Make a dictionary array of `words` at `index` (n,), null where `missing` (n,)."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32, copy=False), mask=missing), words)


def _members(number: npt.NDArray[np.int64]) -> pa.Array:
    """Write member numbers (n,) below 10⁹ as `M012345678`, shape (n,)."""
    high, low = np.divmod(number, 100_000)
    text = np.empty(len(number), dtype=[("letter", "S1"), ("high", "S4"), ("low", "S5")])
    text["letter"], text["high"], text["low"] = b"M", _digits(4)[high], _digits(5)[low]
    ends = np.arange(0, 10 * len(number) + 1, 10, dtype=np.int32)
    return pa.StringArray.from_buffers(len(number), pa.py_buffer(ends), pa.py_buffer(text))


@functools.cache
def _digits(width: int) -> npt.NDArray[np.bytes_]:
    """Give all numbers of `width` digits as text, shape (10 ** width,)."""
    return np.array([f"{number:0{width}d}" for number in range(10**width)], dtype=f"S{width}")


def _pick(weights: npt.NDArray[np.float64], u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Turn `u` (n,) in [0, 1) into indices of `weights` (w,) in proportion to them, shape (n,)."""
    shares = np.cumsum(weights)
    index = np.searchsorted(shares / shares[-1], u, side="right")
    return np.minimum(index, len(weights) - 1)


def _seconds(kind: npt.NDArray[np.int8], random: np.random.Generator) -> npt.NDArray[np.int32]:
    """Draw the second of the day (0 to 86,399) at which each ride starts, shape (n,)."""
    n = len(kind)
    normal, u = random.standard_normal(n), random.random(n)
    when = np.where((kind == _ERRAND) & (u < 0.22), len(_KINDS[True]), kind)
    hour = _HOURS[when, 0] + _HOURS[when, 1] * normal
    # a late errand may pass midnight: it then counts as the small hours of its own day
    second: npt.NDArray[np.int32] = (hour * 3600).astype(np.int32) % np.int32(_DAY)
    return second
