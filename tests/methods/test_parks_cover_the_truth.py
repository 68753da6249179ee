"""The promise of `methods.parks`: ranges hold the truth, and a drift before the opening is seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from civic_kernel.frames import KEY
from civic_kernel.methods import parks
from tests.methods.conftest import Draws

QUARTERS = [year * 10 + quarter for year in (2023, 2024, 2025) for quarter in (1, 2, 3, 4)]
EFFECT = 0.08
ORIGIN = {"language": "ko", "lane": "open", "measures": {}, "keys": [], "lost": {}}


def labelled(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    frame.attrs[KEY] = ORIGIN | {"answer_id": f"ans-{name}"}
    return frame


def city(
    rng: np.random.Generator, drift: float = 0.0, effect: float = EFFECT
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Five openings at three moments, thirty areas around each; shocks of an area last from quarter to quarter."""
    centres = np.arange(5)[:, None] * np.array([6000.0, 0.0])
    opened = [20241, 20243, 20241, 20242, 20243]
    where = np.repeat(np.arange(5), 30)
    metres, angle = np.sqrt(rng.uniform(50**2, 1150**2, 150)), rng.uniform(0, 2 * np.pi, 150)
    xy = centres[where] + metres[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shock = np.zeros((150, len(QUARTERS)))
    for q in range(len(QUARTERS)):
        shock[:, q] = (0.6 * shock[:, q - 1] if q else 0) + rng.normal(0, 0.08, 150)
    since = np.arange(len(QUARTERS)) - np.array([QUARTERS.index(o) for o in opened])[where][:, None]
    near = (metres < parks.NEAR)[:, None]
    level = 18 + rng.normal(0, 0.8, (150, 1)) + rng.normal(0, 0.05, len(QUARTERS)) + shock
    level = level + near * (effect * (since >= 0) + drift * since)
    ids = [f"a{n}" for n in range(150)]
    sales = pd.DataFrame(
        [(a, q, np.exp(level[i, j])) for i, a in enumerate(ids) for j, q in enumerate(QUARTERS)],
        columns=["area", "quarter", "sales"],
    )
    areas = pd.DataFrame({"area": ids, "x": xy[:, 0], "y": xy[:, 1]})
    openings = pd.DataFrame(
        {"park": [f"p{n}" for n in range(5)], "x": centres[:, 0], "y": centres[:, 1], "opened": opened}
    )
    return labelled(sales, "sales"), labelled(areas, "areas"), labelled(openings, "parks")


def test_ranges_hold_the_truth(draws: Draws) -> None:
    rng = np.random.default_rng(11)
    held: dict[str, list[float]] = {name: [] for name in ("opening", "quarters")}
    alarms = []
    for _ in range(draws.count):
        rows = parks.stack(*city(rng))
        one, each = parks.opening_effect(rows), parks.event_study(rows)
        # What all others are compared with is 0 and no estimate.
        each = each[each["since"] != -1]
        true = 100 * np.expm1(EFFECT * (each["since"] >= 0))
        held["opening"].append(
            float(one["value_low"].iloc[0] <= 100 * np.expm1(EFFECT) <= one["value_high"].iloc[0])
        )
        held["quarters"].append(float(((each["value_low"] <= true) & (true <= each["value_high"])).mean()))
        alarms.append(parks.pre_trend(rows).p < 0.05)
    for name, found in held.items():
        draws.check(name, np.array(found))
    assert np.mean(alarms) <= 0.05 + 3 * (0.05 / draws.count) ** 0.5


def test_ranges_of_a_years_change_hold_the_truth(draws: Draws) -> None:
    """Of few areas, which near a park vary twice as much as further away."""
    rng = np.random.default_rng(12)
    gu = [f"{n}구" for n in range(25)]
    many = rng.integers(parks.LEAST, 12, (25, 2))
    true = rng.normal(0.04, 0.03, (25, 2))
    where = np.repeat(np.arange(50), many.ravel())
    metres = np.where(where % 2 == 0, 100.0, 900.0)
    found_in = labelled(pd.DataFrame({"gu": [gu[w // 2] for w in where], "metres": metres}), "rows")
    held: dict[str, list[float]] = {name: [] for name in ("near", "far", "value", "band")}
    for _ in range(draws.count):
        noise = rng.normal(0, 1, len(where)) * np.where(where % 2 == 0, 0.1, 0.05)
        found_in["change"], found_in["sales"] = true.ravel()[where] + noise, 1e9
        table = parks.change_by_gu(found_in, gu)
        for name, logs in (("near", true[:, 0]), ("far", true[:, 1]), ("value", true[:, 0] - true[:, 1])):
            value = 100 * np.expm1(logs)
            inside = (table[f"{name}_low"] <= value) & (value <= table[f"{name}_high"])
            held[name].append(float(inside.mean()))
        bands = parks.change_by_band(found_in, [0, 400])
        means = [np.repeat(true[:, side], many[:, side]).mean() for side in (0, 1)]
        value = 100 * np.expm1(np.array(means))
        held["band"].append(float(((bands["value_low"] <= value) & (value <= bands["value_high"])).mean()))
    for name, values in held.items():
        draws.check(name, np.array(values))


def test_a_gu_with_two_areas_near_a_park_has_no_figure() -> None:
    rows = pd.DataFrame({"gu": "중구", "metres": [50, 60, 800, 900, 1000], "change": 0.1, "sales": 1e9})
    (row,) = parks.change_by_gu(labelled(rows, "rows"), ["중구"]).to_dict("records")
    assert np.isnan(row["near"]) and np.isnan(row["value"]) and not row["above"]
    assert round(row["far"], 6) == round(100 * np.expm1(0.1), 6) and row["areas"] == 2


def test_a_year_of_an_area_is_its_own_and_a_park_that_opens_later_is_not_there_yet() -> None:
    quarters = [20251, 20252, 20253, 20254, 20261, 20262, 20263, 20264]
    sold = [("a", q, 100 if q < 20261 else 110) for q in quarters] + [("b", q, 50) for q in quarters[1:]]
    sales = labelled(pd.DataFrame(sold, columns=["area", "quarter", "sales"]), "sales")
    areas = labelled(
        pd.DataFrame({"area": ["a", "b"], "gu": "중구", "x": [2e5, 2e5 + 1], "y": 4.5e5}), "areas"
    )
    dates = ["2027.1.3", "1971.8.6", ""]
    east = ["200010.0", "200700.0", "200900.0"]
    known = labelled(pd.DataFrame({"x": east, "y": "450000", "opened": dates}), "parks")
    (row,) = parks.yearly(sales, areas, known).to_dict("records")
    assert row["area"] == "a" and row["metres"] == 700.0 and round(row["change"], 6) == round(np.log(1.1), 6)


def test_where_nothing_opened_nothing_can_be_compared() -> None:
    sales, areas, openings = city(np.random.default_rng(6))
    rows = parks.stack(sales, areas, labelled(openings.iloc[:0], "parks"))
    assert len(rows) == 0 and not parks.can_compare(rows)
    two = openings.assign(x=openings["x"] + 1150)
    assert not parks.can_compare(parks.stack(sales, areas.iloc[:3], labelled(two, "parks")))


def test_each_trade_is_compared_in_the_areas_that_have_it() -> None:
    sales, areas, openings = city(np.random.default_rng(7), effect=0.3)
    rare = sales[sales["area"] == "a0"].assign(trade="rare")
    both = labelled(pd.concat([sales.assign(trade="cafe"), rare], ignore_index=True), "sales")
    cafe, one = parks.by_trade(both, areas, openings).to_dict("records")
    assert cafe["trade"] == "cafe" and cafe["value_low"] > 15 and cafe["areas"] > 10
    assert one["trade"] == "rare" and np.isnan(one["value"])


def test_two_parks_of_one_name_are_two_events() -> None:
    sales, areas, openings = city(np.random.default_rng(8))
    alike = labelled(openings.assign(park="가상공원"), "parks")
    assert parks.stack(sales, areas, alike)["event"].nunique() == len(openings)


@pytest.mark.parametrize(
    ("typed", "quarter"),
    [
        *(("2005.6.18", 20052), ("2005.6.18 ", 20052), ("1940. 03. 12", 19401), ("1971.8 6", 19713)),
        *(("2002.3", 20021), ("2002", None), ("", None), (None, None), ("2002.13.1", None), (2002.3, None)),
    ],
)
def test_a_date_as_it_was_typed_names_its_quarter_or_none(typed: object, quarter: int | None) -> None:
    assert parks.quarter_of(typed) == quarter


def test_openings_have_a_year_before_and_after_them() -> None:
    dates = ["2023.12.31", "2024.1.1", "2024.12.1 ", "2025.1.1", "2010"]
    known = pd.DataFrame(
        {"park": list("abcde"), "gu": "중구", "x": "2e5", "y": "450000.12345", "opened": dates}
    )
    found = parks.openings(labelled(known, "parks"), QUARTERS)
    assert list(found["park"]) == ["b", "c", "d"] and list(found["opened"]) == [20241, 20244, 20251]


@pytest.mark.parametrize(
    ("x", "y"), [("127.076482", "37.627077"), ("114264.46", "3712093.4"), ("", "450000"), (None, None)]
)
def test_what_is_typed_as_a_place_and_is_none_on_the_grid_is_no_opening(x: str | None, y: str | None) -> None:
    known = pd.DataFrame({"park": ["a"], "gu": "중구", "x": [x], "y": [y], "opened": "2024.1.1"})
    assert len(parks.openings(labelled(known, "parks"), QUARTERS)) == 0


def test_a_drift_before_the_opening_is_seen() -> None:
    rows = parks.stack(*city(np.random.default_rng(3), drift=0.06))
    assert parks.pre_trend(rows).p < 0.01
    before = parks.event_study(rows).set_index("since").loc[-4]
    assert before["value_high"] < 0


def test_nearer_bands_are_told_from_further_ones() -> None:
    bands = parks.by_distance(parks.stack(*city(np.random.default_rng(4), effect=0.3)), [0, 400, 800])
    assert list(bands["band"]) == ["0–400", "400–800"]
    near, further = bands.to_dict("records")
    assert near["value_low"] > 0 and further["value_low"] < 0 < further["value_high"]


def test_an_area_near_another_opening_is_no_comparison() -> None:
    sales, areas, openings = city(np.random.default_rng(5))
    second = openings.iloc[:1].assign(park="p9", x=1000.0, opened=20242)
    both = labelled(pd.concat([openings, second], ignore_index=True), "parks")
    alone, beside = parks.stack(sales, areas, openings), parks.stack(sales, areas, both)
    kept = beside.loc[beside["event"] == 0, "area"].nunique()
    assert 0 < kept < alone.loc[alone["event"] == 0, "area"].nunique()


@pytest.mark.parametrize("code", [2024, "20245", 20240])
def test_what_is_no_quarter_is_refused(code: int | str) -> None:
    with pytest.raises(ValueError, match="quarter"):
        parks.quarter_number(code)
