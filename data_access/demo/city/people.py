"""The people: who they are, where they live and work, and in which months they ride."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .geography import Geography
from .stations import Stations
from .truth import (
    HEAVY_MEAN,
    HEAVY_SD,
    HEAVY_SHARE,
    LIGHT_MEAN,
    MONTHS,
    RIDERS_PER_RIDE,
    SEASON,
    stream,
    whole_numbers,
)

USER_KINDS: Final = ("내국인", "외국인", "비회원")
SEXES: Final = ("M", "F")
_WORK_KM: Final = 2.0
"""Commutes by bike are short: a job's pull falls by e every 2 km."""


class RowSampler:
    """Draws columns of a table of weights, one row of it for each draw.

    The rows' cumulated shares are laid end to end on one axis (row r covers r to r + 1), so that one
    binary search serves all rows at once.
    """

    def __init__(self, weights: npt.NDArray[np.float64]) -> None:
        """Take `weights` (R, C), not negative, each row with something in it."""
        shares = np.cumsum(weights, axis=1)
        shares /= shares[:, -1:]
        self._columns = weights.shape[1]
        self._axis = (shares + np.arange(len(weights))[:, None]).ravel()

    def draw(self, rows: npt.NDArray[np.int16], u: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
        """Draw a column for each of `rows` (n,) by a random `u` (n,) in [0, 1), shape (n,)."""
        place = np.searchsorted(self._axis, rows + u, side="right")
        column = np.clip(place - rows.astype(np.int64) * self._columns, 0, self._columns - 1)
        return np.asarray(column, dtype=np.int16)


@dataclass(frozen=True)
class People:
    """P people; each array has shape (P,).

    `member` is the number behind `회원번호`; `birth` the true year of birth, `birth_known` and
    `sex_known` whether it stands in the rides; `sex` indexes SEXES, `kind` USER_KINDS; `home`,
    `work` are dong indices and `home_station`, `work_station` the stations used there; `heavy`
    marks the few who ride almost daily; `keen` orders people by how readily they ride in a month.
    Small types: 100 million rides a year need 7 million people.
    """

    member: npt.NDArray[np.int64]
    birth: npt.NDArray[np.int16]
    birth_known: npt.NDArray[np.bool_]
    sex: npt.NDArray[np.int8]
    sex_known: npt.NDArray[np.bool_]
    kind: npt.NDArray[np.int8]
    home: npt.NDArray[np.int16]
    work: npt.NDArray[np.int16]
    home_station: npt.NDArray[np.int16]
    work_station: npt.NDArray[np.int16]
    commuter: npt.NDArray[np.bool_]
    heavy: npt.NDArray[np.bool_]
    keen: npt.NDArray[np.float64]


def monthly_rides(rides: int) -> npt.NDArray[np.int64]:
    """Rides that start in each month, shape (12,); they sum to `rides` exactly."""
    return whole_numbers(np.array(SEASON), rides)


def monthly_riders(rides: int) -> npt.NDArray[np.int64]:
    """People who ride in each month, shape (12,): it is their number that follows the season."""
    return whole_numbers(np.array(SEASON), round(rides * RIDERS_PER_RIDE))


def make_people(geography: Geography, stations: Stations, rides: int, seed: int) -> People:
    """Make as many people as a city of `rides` rides needs: about twice the busiest month's riders."""
    most = int(monthly_riders(rides).max())
    heavies = round(most * HEAVY_SHARE * 1.15) + 1
    total = heavies + round(most * 2.1)
    random = stream(seed, "people")
    heavy = np.zeros(total, dtype=np.bool_)
    heavy[random.choice(total, heavies, replace=False)] = True

    living = geography.residents * geography.cycling
    home = random.choice(len(living), total, p=living / living.sum()).astype(np.int16)
    km = geography.kilometres()
    jobs = RowSampler(geography.jobs * geography.cycling * np.exp(-km / _WORK_KM))
    work = jobs.draw(home, random.random(total))

    age = np.clip(15 + random.gamma(2.6, 8.2, total), 13, 88).astype(np.int16)
    working = (age >= 19) & (age <= 66)
    commuter = heavy | (working & (random.random(total) < 0.72))
    kind = (random.random(total) < 0.025).astype(np.int8)
    # day passes need no membership, and the files then know neither age nor sex
    passing = ~heavy & (random.random(total) < 0.07)
    kind[passing] = 2
    return People(
        member=random.choice(1_000_000_000, total, replace=False),
        birth=2026 - age,
        birth_known=~passing & (random.random(total) >= 0.02),
        sex=(random.random(total) < 0.38).astype(np.int8),
        sex_known=~passing & (random.random(total) >= 0.04),
        kind=kind,
        home=home,
        work=work,
        home_station=stations.use(home, random.random(total)),
        work_station=stations.use(work, random.random(total)),
        commuter=commuter,
        heavy=heavy,
        keen=random.normal(0.0, 1.0, total),
    )


def riders_of_month(
    people: People, month: int, rides: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Choose who rides in month `month` (index into MONTHS) and how often.

    Returns (people's indices in rising order, rides of each), both of the month's number of riders;
    the second sums to the month's rides exactly, each at least 1. The same people tend to ride again
    in the next month, as real ones do: a year's budget of privacy must face that.
    """
    random = stream(seed, "riders", MONTHS[month])
    riders = int(monthly_riders(rides)[month])
    target = int(monthly_rides(rides)[month])
    mood = people.keen + random.normal(0.0, 1.0, len(people.keen))
    heavies = max(1, round(riders * HEAVY_SHARE))
    order = np.argpartition(np.where(people.heavy, -mood, np.inf), heavies - 1)[:heavies]
    others = np.argpartition(np.where(people.heavy, np.inf, -mood), riders - heavies - 1)[: riders - heavies]
    who = np.sort(np.concatenate([order, others]))
    heavy = people.heavy[who]

    often = np.clip(np.round(random.normal(HEAVY_MEAN, HEAVY_SD, riders)), 8, 60).astype(np.int64)
    spread = 1.4
    seldom = 1 + random.negative_binomial(spread, spread / (spread + LIGHT_MEAN - 1.0), riders)
    count = np.where(heavy, often, np.minimum(seldom, 30))
    # the draws miss the month's total by a little: seldom riders ride one more, or one less
    while (gap := target - int(count.sum())) != 0:
        step = 1 if gap > 0 else -1
        able = np.flatnonzero(~heavy & (count > 1 if step < 0 else count < 15))
        changed = random.choice(able, min(abs(gap), len(able)), replace=False)
        count[changed] += step
    return who, count
