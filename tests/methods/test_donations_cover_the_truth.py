"""The promise of `methods.donations`, over privacy noise as the gateway draws it, before anything is withheld."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from civic_kernel.frames import KEY
from civic_kernel.methods import donations
from tests.methods.conftest import Draws

#: Row bound 3: gifts at ρ 0.01; persons of which a donor moves at most three cells, and of which one or two are asked.
COUNT_SD = 3 / 0.02**0.5
DONORS_SD = 3**0.5 / 0.04**0.5
ROUGH_SD = 3**0.5 / 0.02**0.5
WON_SD = 3 * 200_000 / 0.02**0.5
GU = [f"{n}구" for n in range(25)]
THERE = GU[:8]
MONTHS = [f"2025-{n:02d}" for n in range(10, 13)] + [f"2026-{n:02d}" for n in range(1, 10)]
BASE, DURING = MONTHS[:6], MONTHS[6:8]
OPEN = {"language": "ko", "lane": "open", "measures": {}, "keys": [], "lost": {}}


def answer(
    keys: dict[str, Sequence[Any]],
    measure: str,
    numbers: np.ndarray,
    sd: float,
    name: str,
    fn: str = "persons",
) -> pd.DataFrame:
    """A frame as an answer gives it, nothing withheld."""
    frame = pd.DataFrame({**keys, measure: numbers.astype(float), "withheld": False})
    frame.attrs[KEY] = {
        "answer_id": f"ans-{name}", "noise_of": [f"ans-{name}"], "language": "ko", "lane": "private",
        "keys": list(keys), "measures": {measure: {"fn": fn, "scale": str(sd)}}, "lost": {},
    }  # fmt: skip
    return frame


def facts(residents: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame({"gu": GU, "residents": residents})
    frame.attrs[KEY] = OPEN | {"answer_id": "ans-gu"}
    return frame


def holds(found: pd.DataFrame, name: str, true: np.ndarray | float) -> float:
    return float(((found[f"{name}_low"] <= true) & (true <= found[f"{name}_high"])).mean())


def noisy(rng: np.random.Generator, numbers: np.ndarray, sd: float) -> np.ndarray:
    return np.asarray(np.round(numbers + rng.normal(0, sd, numbers.shape)))


def test_ranges_of_what_is_counted_hold_it(draws: Draws) -> None:
    rng = np.random.default_rng(11)
    residents = rng.integers(120_000, 650_000, 25)
    donors = rng.integers(150, 2_500, 25)
    first, later = rng.integers(600, 2_200, 12), rng.integers(5_500, 7_500, 12)
    won = rng.integers(20, 90, 4) * 10**6
    came, gave = np.array([10_000, 1_900, 520]), np.array([5_200, 560, 75])
    held: dict[str, list[float]] = {n: [] for n in ("rate", "first gifts", "their part", "purposes", "stay")}
    turns = {"month": MONTHS * 2, "turn": ["첫기부"] * 12 + ["다시기부"] * 12}
    for _ in range(draws.count):
        seen = answer({"home_gu": GU}, "donors", noisy(rng, donors, DONORS_SD), DONORS_SD, "gu")
        rate = donations.per_residents(seen, facts(residents))
        held["rate"].append(holds(rate, "rate", 10_000 * donors / residents))
        gifts = noisy(rng, np.concatenate([first, later]), COUNT_SD)
        monthly = answer(turns, "gifts", gifts, COUNT_SD, "month", "count")
        held["first gifts"].append(holds(donations.year(monthly, "첫기부"), "gifts", first))
        part = donations.part_of(monthly, "첫기부", "month")
        held["their part"].append(holds(part, "share", 100 * first / (first + later)))
        kinds = answer({"purpose": list("abcd")}, "won", noisy(rng, won, WON_SD), WON_SD, "won", "sum")
        held["purposes"].append(
            holds(donations.parts(kinds, "purpose", "won"), "share", 100 * won / won.sum())
        )
        cohorts = [
            answer({"way": list("abc")}, "donors", noisy(rng, n, ROUGH_SD), ROUGH_SD, f"{i}")
            for i, n in enumerate((came, gave))
        ]
        stay = donations.staying(*cohorts)
        held["stay"].append(holds(stay, "share", 100 * gave / came))
    for name, values in held.items():
        draws.check(name, np.array(values))


@pytest.mark.parametrize("unlike", [0.0, 0.15], ids=["chance alone", "gu with ups and downs of their own"])
def test_ranges_of_what_a_campaign_changed_hold_it(draws: Draws, unlike: float) -> None:
    """Noise, chance, and where gu differ that too: the truth is the factor itself, not what came of it."""
    rng = np.random.default_rng(12)
    usual = rng.uniform(14, 75, 25)
    season = np.array([1.0, 1.6, 2.4, 0.8, 0.8, 1.0, 1.0, 1.1, 0.9, 0.8, 0.8, 1.1])
    inside, during = np.isin(GU, THERE), np.isin(MONTHS, DURING)
    effect = np.where(inside[:, None] & during, 1.8, 1.0)
    held: dict[str, list[float]] = {"during": [], "after": [], "by month": []}
    for _ in range(draws.count):
        own = rng.gamma(1 / unlike**2, unlike**2, (25, 12)) if unlike else np.ones((25, 12))
        came = rng.poisson(usual[:, None] * season * effect * own)
        spans = [came[:, :6].sum(axis=1), came[:, 6:8].sum(axis=1), came[:, 8:].sum(axis=1)]
        before, meanwhile, after = (
            answer({"home_gu": GU}, "donors", noisy(rng, n, DONORS_SD), DONORS_SD, f"{i}")
            for i, n in enumerate(spans)
        )
        for name, later, true in (("during", meanwhile, 80.0), ("after", after, 0.0)):
            found = donations.campaign_effect(before, later, THERE, name)
            held[name].append(holds(found, "value", true))
        groups = np.stack([came[inside].sum(axis=0), came[~inside].sum(axis=0)], axis=1)
        keys = {"month": np.repeat(MONTHS, 2), "street": ["있음", "없음"] * 12}
        seen = answer(keys, "donors", noisy(rng, groups.ravel(), DONORS_SD), DONORS_SD, "m")
        spread = donations.dispersion(before, meanwhile, THERE)
        months = donations.month_by_month(seen, BASE, spread).set_index("month").loc[MONTHS]
        held["by month"].append(holds(months, "value", np.where(during, 80.0, 0.0)))
    for name, values in held.items():
        draws.check(name, np.array(values))


def test_a_gu_that_is_withheld_before_or_later_is_compared_in_neither() -> None:
    numbers = np.full(25, 100.0)
    before = answer({"home_gu": GU}, "donors", numbers, 1.0, "a")
    later = answer({"home_gu": GU}, "donors", np.where(np.isin(GU, THERE), 150.0, 100.0), 1.0, "b")
    whole = donations.campaign_effect(before, later, THERE, "during").iloc[0]
    assert whole["value"] == pytest.approx(50) and whole["gu"] == 8
    # What it held elsewhere must not count there either: 900 gifts that nobody may see again.
    before.loc[0, "donors"], later.loc[0, "donors"] = 900.0, np.nan
    part = donations.campaign_effect(before, later, THERE, "during").iloc[0]
    assert part["value"] == pytest.approx(50) and part["gu"] == 7


@pytest.mark.parametrize("shown", [0, 3])
def test_of_too_few_gu_nothing_is_said(shown: int) -> None:
    before, later = (answer({"home_gu": GU}, "donors", np.full(25, 100.0), 1.0, name) for name in "ab")
    later.loc[later.index[shown:8], "donors"] = np.nan
    found = donations.campaign_effect(before, later, THERE, "during").iloc[0]
    assert found["withheld"] and np.isnan(found["value_low"])


def test_a_month_that_is_withheld_is_a_gap_and_a_base_without_months_says_nothing() -> None:
    keys = {"month": np.repeat(MONTHS, 2), "street": ["있음", "없음"] * 12}
    seen = answer(keys, "donors", np.full(24, 400.0), DONORS_SD, "m")
    seen.loc[20, "donors"] = np.nan
    found = donations.month_by_month(seen, BASE).set_index("month")
    assert list(found.index[found["withheld"]]) == [MONTHS[10]]
    assert donations.month_by_month(seen, [])["withheld"].all()
    seen.loc[0, "donors"] = np.nan
    # A base that lacks a month would be another one in either group.
    assert donations.month_by_month(seen, BASE)["withheld"].all()


def test_gu_that_differ_by_more_than_chance_widen_the_months() -> None:
    rng = np.random.default_rng(3)
    usual = np.full(25, 400.0)
    alike = [answer({"home_gu": GU}, "donors", rng.poisson(usual), 1e-9, f"{i}") for i in range(2)]
    apart = [
        answer({"home_gu": GU}, "donors", rng.poisson(usual * rng.gamma(25, 1 / 25, 25)), 1e-9, f"{i}")
        for i in range(2)
    ]
    assert donations.dispersion(*alike, THERE) < 2 < 8 < donations.dispersion(*apart, THERE)
