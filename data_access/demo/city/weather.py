"""The days of the year: weather, days off, and how many rides of each kind a day draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from .truth import HOLIDAYS, LEISURE_WEEKEND, MONTHS, RAIN_DAMPING_MM, RAIN_FLOOR, stream

# chance of a rainy day and mean millimetres on one, January to December: dry winters, a monsoon
_RAIN_CHANCE: Final = (0.16, 0.16, 0.20, 0.24, 0.24, 0.30, 0.48, 0.42, 0.26, 0.18, 0.24, 0.20)
_RAIN_MM: Final = (2.5, 3.5, 5.0, 8.0, 10.0, 13.0, 22.0, 20.0, 14.0, 8.0, 6.0, 3.0)


@dataclass(frozen=True)
class Days:
    """The N days of the city's twelve months in order.

    `date` (N,) datetime64[D]; `month` (N,) index into MONTHS; `off` (N,) weekend or holiday; `temp`
    daily mean in °C and `wind` in m/s, one decimal; `rain` in mm, one decimal, 0.0 on dry days.
    """

    date: npt.NDArray[np.datetime64]
    month: npt.NDArray[np.int64]
    off: npt.NDArray[np.bool_]
    temp: npt.NDArray[np.float64]
    rain: npt.NDArray[np.float64]
    wind: npt.NDArray[np.float64]

    @property
    def comfort(self) -> npt.NDArray[np.float64]:
        """How willingly people ride on each day compared with a fine one, shape (N,), in (0, 1]."""
        dry = np.maximum(1.0 / (1.0 + self.rain / RAIN_DAMPING_MM), RAIN_FLOOR)
        return dry * np.exp(-(((self.temp - 19.0) / 28.0) ** 2))

    @property
    def commuting(self) -> npt.NDArray[np.float64]:
        """Relative number of commuting rides on each day, shape (N,): none on days off."""
        return np.where(self.off, 0.0, np.sqrt(self.comfort) * self.comfort**0.3)

    @property
    def errands(self) -> npt.NDArray[np.float64]:
        """Relative number of everyday rides on each day, shape (N,)."""
        return self.comfort * np.where(self.off, 0.9, 1.0)

    @property
    def leisure(self) -> npt.NDArray[np.float64]:
        """Relative number of leisure rides on each day, shape (N,): days off, and never in the rain."""
        return self.comfort**1.5 * np.where(self.off, LEISURE_WEEKEND, 1.0)


def make_days(seed: int) -> Days:
    """Make the year's days; the same for every size of the city."""
    start = np.datetime64(MONTHS[0], "D")
    stop = (np.datetime64(MONTHS[-1], "M") + 1).astype("datetime64[D]")
    date = np.arange(start, stop)
    months = date.astype("datetime64[M]")
    random = stream(seed, "weather")
    calendar = months.astype(np.int64) % 12
    day_of_year = (date - date.astype("datetime64[Y]")).astype(np.int64)
    drift = np.empty(len(date))
    level = 0.0
    for day, shock in enumerate(random.normal(0.0, 1.9, len(date))):
        level = 0.7 * level + float(shock)  # warm and cold spells last for some days
        drift[day] = level
    temp = 12.8 - 14.6 * np.cos(2 * np.pi * (day_of_year - 22) / 365.25) + drift
    wet = random.random(len(date)) < np.array(_RAIN_CHANCE)[calendar]
    amount = random.gamma(0.7, np.array(_RAIN_MM)[calendar] / 0.7)
    weekday = (date.astype(np.int64) + 3) % 7  # 0 = Monday: day 0 of the epoch was a Thursday
    return Days(
        date=date,
        month=(months - months[0]).astype(np.int64),
        off=(weekday >= 5) | np.isin(date, np.array(HOLIDAYS, dtype="datetime64[D]")),
        temp=np.round(temp, 1),
        rain=np.round(np.maximum(amount, 0.1) * wet, 1),
        wind=np.round(random.gamma(6.0, 0.4, len(date)), 1),
    )
