"""The numbers by which the synthetic city is made, and the truth hidden in it.

Everything a reader might want to check against the data stands here as a named constant, and
`Truth.document` writes all of it into `truth.json`. The generator modules read these constants and
keep none of their own that a question could be about.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

VERSION: Final = 5
"""Raise it whenever the same seed and size would give other bytes: a finished folder of another
version is built anew."""

MONTHS: Final = (
    "2025-10",
    "2025-11",
    "2025-12",
    "2026-01",
    "2026-02",
    "2026-03",
    "2026-04",
    "2026-05",
    "2026-06",
    "2026-07",
    "2026-08",
    "2026-09",
)
SEASON: Final = (1.20, 1.00, 0.70, 0.58, 0.62, 0.92, 1.16, 1.26, 1.17, 0.94, 0.98, 1.26)
"""Relative number of riders (and so of rides) per month. Winter is kept milder than in the real
city (some 0.45), so that twelve monthly questions about 25 gu stay worth asking at 2 million rides."""

HOLIDAYS: Final = (
    "2025-10-03",
    "2025-10-06",
    "2025-10-07",
    "2025-10-08",
    "2025-10-09",
    "2025-12-25",
    "2026-01-01",
    "2026-02-16",
    "2026-02-17",
    "2026-02-18",
    "2026-03-02",
    "2026-05-05",
    "2026-05-25",
    "2026-06-03",
    "2026-08-17",
    "2026-09-24",
    "2026-09-25",
)
"""Days off that fall on weekdays: nobody commutes."""

DEFAULT_RIDES: Final = 2_000_000
LEAST_RIDES: Final = 2_000
"""Below this a month has too few riders for the heavy ones to exist at all."""

MOST_RIDES: Final = 100_000_000
"""Twice the real city's year. Above it, numbers of members and days' keys would outgrow their types."""

RIDERS_PER_RIDE: Final = 46_000 * 12 / DEFAULT_RIDES
"""Rider-months per ride: 46,000 riders in an average month of the default city."""
HEAVY_SHARE: Final = 0.015
HEAVY_MEAN: Final = 24.0
HEAVY_SD: Final = 4.0
LIGHT_MEAN: Final = (1 / RIDERS_PER_RIDE - HEAVY_SHARE * HEAVY_MEAN) / (1 - HEAVY_SHARE)
"""Mean rides a month of all other riders, about 3.3."""
ROW_BOUND: Final = 20
"""The demo policy's bound; the share of rides past it is written down and tested, not enforced."""

STATIONS: Final = 2_700
CITY_RESIDENTS: Final = 9_400_000
CITY_JOBS: Final = 5_200_000

UNSAFE_RATIO: Final = 2.0
UNSAFE_GU: Final = 3
BARE_DONG: Final = 2
LANE_KM: Final = 900.0
"""Bike lanes of the whole city."""
LANE_POOR_GU: Final = 2
LANE_POOR: Final = 0.3
"""What these gu have of the lanes that their riding asks for."""
ACCIDENTS_AT_DEFAULT: Final = 3_000
LEAST_ACCIDENTS: Final = 1_200
RAIN_RISK: Final = 1.6
"""A ride on a rainy day (1 mm or more) has this many times a dry day's accident weight."""
RAINY_MM: Final = 1.0
HOUR_RISK: Final = (
    *(1.7, 1.8, 1.8, 1.7, 1.4, 1.1),
    *(0.9, 1.0, 1.2, 1.0, 0.8, 0.8),
    *(0.9, 0.9, 0.9, 1.0, 1.0, 1.1),
    *(1.3, 1.3, 1.3, 1.3, 1.4, 1.6),
)
"""Relative accident weight by the hour in which the ride starts (0 to 23)."""

RAIN_DAMPING_MM: Final = 5.0
"""A day with r mm of rain has 1 / (1 + r / 5) of a dry day's rides, at least RAIN_FLOOR."""
RAIN_FLOOR: Final = 0.12
LEISURE_WEEKEND: Final = 3.0
"""Leisure rides on a day off, as a multiple of those on a working day."""

POLLUTANTS: Final = ("pm10", "pm25")
ROADSIDE_EXCESS: Final = (6.0, 3.0)
"""How much more µg/m³ of each pollutant the mean roadside station has than the mean background one on the same day,
where traffic is that of the mean day."""
ROADSIDE_SPREAD: Final = (1.5, 0.8)
"""Standard deviation of the roadside stations' own excess around it."""
TRAFFIC_EFFECT: Final = (1.5, 1.0)
TRAFFIC_EFFECT_NEXT_DAY: Final = (0.6, 0.4)
"""µg/m³ that 10 % more vehicles on the city's expressways add at the roadside: on the same day, and on the next."""
WIND_EFFECT: Final = (-3.0, -2.0)
"""µg/m³ everywhere for each m/s of wind."""
RAIN_EFFECT: Final = (-6.0, -4.0)
"""µg/m³ everywhere on a day of RAINY_MM or more."""

MEAL_CHILDREN: Final = 4_000
MEAL_USES_A_MONTH: Final = 2.0
"""Of a child's meal card, on average; the same in every size of the city."""
MEAL_DESERTS: Final = 4
"""Dong with many such children and no proper meal within FAR_KM."""
FAR_KM: Final = 1.0
MEAL_CONVENIENCE: Final = (0.40, 0.70)
"""Part of the uses that is at a convenience store: of children within FAR_KM of a proper meal, and of others."""
MEAL_LATE_HOURS: Final = 1.8
"""From 18 o'clock on, uses at a convenience store are this many times as frequent as elsewhere."""

GIFT_DONORS: Final = 9_000
"""People who gave to the non-profit before the first month; the same in every size of the city."""
GIFT_FIRST_A_MONTH: Final = 900
"""First gifts in a month like any other."""
GIFT_FIRST_SEASON: Final = (1.0, 1.6, 2.4, 0.8, 0.8, 1.0, 1.0, 1.1, 0.9, 0.8, 0.8, 1.1)
GIFT_YEAR_END_MONTHS: Final = ("2025-11", "2025-12")
"""The year-end campaign, in the whole city: what these months have above 1 it brought."""
GIFT_STREET_MONTHS: Final = ("2026-04", "2026-05")
GIFT_STREET_GU: Final = 8
GIFT_STREET: Final = 1.8
"""First gifts of the gu in which the street campaign was, in its months, as a multiple of what they would have been."""
GIFT_STAYING: Final = (0.35, 0.30, 0.15)
"""Part of the new donors that give every month from the next on: who came by themselves, for the year's end, from the
street."""
GIFT_MONTHLY_CHANCE: Final = 0.96
"""That the bank pays a monthly gift."""
GIFT_GENEROUS_GU: Final = 3
GIFT_GENEROUS: Final = 1.7
"""Donors for each resident there, as a multiple of the other gu."""

SALES_QUARTERS: Final = tuple(10 * year + q for year in (2024, 2025, 2026) for q in (1, 2, 3, 4))[:-1]
"""As the sales file writes them: the first quarter of 2024 to the third of 2026."""
PARKS_OPENED: Final = 10
PARK_REACH_M: Final = (200.0, 400.0)
PARK_EFFECT: Final = {"한식음식점": 0.10, "커피-음료": 0.18, "미용실": 0.0, "편의점": 0.08}
"""By how much the log of a shop's sales rises within the first of these distances of a park, from its opening on."""
PARK_NEAR_PART: Final = 0.5
"""The part of it between the two distances; further away there is none."""


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Give the random numbers of one part of the city.

    Each part draws from a stream of its own, so that a change to one part (or to the city's size)
    leaves the others' numbers as they were.
    """
    keys = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.default_rng([seed, *keys])


def expected_accidents(rides: int) -> float:
    """Accidents a year that a city of `rides` rides has on average.

    3,000 at the default size and in proportion above 800,000 rides; below, 1,200: with fewer, chance
    hides the three unsafe gu. A small city's file of rides is thus a sample of all cycling, and its
    rates per ride are higher; ratios between gu are unaffected.
    """
    return max(float(LEAST_ACCIDENTS), ACCIDENTS_AT_DEFAULT * rides / DEFAULT_RIDES)


def whole_numbers(weights: npt.NDArray[np.float64], total: int) -> npt.NDArray[np.int64]:
    """Share `total` out by `weights` (n,) in whole numbers that sum to it exactly (largest remainder)."""
    exact = weights / weights.sum() * total
    shares: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
    short = total - int(shares.sum())
    first = np.argsort(-(exact - shares), kind="stable")[:short]
    shares[first] += 1
    return shares


@dataclass(frozen=True)
class Truth:
    """What an analyst of this city ought to find.

    `unsafe_gu`, `lane_poor_gu` and `bare_dong` are indices into `Geography`'s gu and dong.
    """

    seed: int
    rides: int
    unsafe_gu: tuple[int, ...]
    bare_dong: tuple[int, ...]
    lane_poor_gu: tuple[int, ...]

    def risk(self, gu_count: int) -> npt.NDArray[np.float64]:
        """Accident rate per ride of each gu relative to an ordinary one, shape (gu_count,)."""
        risk = np.ones(gu_count)
        risk[list(self.unsafe_gu)] = UNSAFE_RATIO
        return risk

    def document(
        self,
        gu: list[dict[str, str]],
        lane_poor: list[dict[str, str]],
        dong: list[dict[str, Any]],
        measured: dict[str, Any],
    ) -> dict[str, Any]:
        """Make the content of `truth.json`; `gu` (the unsafe ones), `lane_poor` and `dong` name the places, `measured`
        what came out.
        """
        return {
            "note": "invented city; no row describes a real person, ride or accident",
            "version": VERSION,
            "seed": self.seed,
            "rides": self.rides,
            "unsafe_gu": gu,
            "unsafe_ratio": UNSAFE_RATIO,
            "dong_without_station": dong,
            "lanes": {"km": LANE_KM, "poor_gu": lane_poor, "poor_has": LANE_POOR},
            "accidents": {
                "expected": expected_accidents(self.rides),
                "hour_weight": list(HOUR_RISK),
                "rain_weight": RAIN_RISK,
                "rainy_from_mm": RAINY_MM,
            },
            "riders": {
                "per_average_month": RIDERS_PER_RIDE * self.rides / len(MONTHS),
                "heavy_share": HEAVY_SHARE,
                "heavy_rides_a_month": {"mean": HEAVY_MEAN, "sd": HEAVY_SD},
                "other_rides_a_month": {"mean": round(LIGHT_MEAN, 4)},
                "row_bound": ROW_BOUND,
            },
            "season": dict(zip(MONTHS, SEASON, strict=True)),
            "weather": {
                "rain_damping_mm": RAIN_DAMPING_MM,
                "rain_floor": RAIN_FLOOR,
                "leisure_on_days_off": LEISURE_WEEKEND,
            },
            "air": {
                name: {
                    "roadside_excess": ROADSIDE_EXCESS[p],
                    "roadside_spread": ROADSIDE_SPREAD[p],
                    "ten_per_cent_more_traffic": [TRAFFIC_EFFECT[p], TRAFFIC_EFFECT_NEXT_DAY[p]],
                    "wind_m_s": WIND_EFFECT[p],
                    "rainy_day": RAIN_EFFECT[p],
                }
                for p, name in enumerate(POLLUTANTS)
            },
            "meals": {
                "children": MEAL_CHILDREN,
                "uses_a_month": MEAL_USES_A_MONTH,
                "far_km": FAR_KM,
                "convenience_share": dict(zip(("near", "far"), MEAL_CONVENIENCE, strict=True)),
                "late_hours": MEAL_LATE_HOURS,
            },
            "gifts": {
                "donors_before": GIFT_DONORS,
                "first_a_month": GIFT_FIRST_A_MONTH,
                "first_season": dict(zip(MONTHS, GIFT_FIRST_SEASON, strict=True)),
                "street_months": list(GIFT_STREET_MONTHS),
                "street_effect": GIFT_STREET,
                "staying": dict(zip(("own", "year_end", "street"), GIFT_STAYING, strict=True)),
                "monthly_chance": GIFT_MONTHLY_CHANCE,
                "generous": GIFT_GENEROUS,
            },
            "parks": {
                "opened": PARKS_OPENED,
                "reach_m": list(PARK_REACH_M),
                "log_sales_within": dict(PARK_EFFECT),
                "part_between": PARK_NEAR_PART,
            },
            "measured": measured,
        }
