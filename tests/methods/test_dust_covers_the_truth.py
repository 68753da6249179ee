"""The promise of `methods.dust`: about nineteen of twenty ranges hold the truth, and what is known is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from civic_kernel.frames import KEY
from civic_kernel.methods import dust
from tests.methods.conftest import Draws

EXCESS, SPREAD, SAME, NEXT, WIND = 4.0, 1.5, 1.2, 0.5, -2.0
GU, ROADS = [f"{n}구" for n in range(25)], [f"{n}로" for n in range(15)]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """What `dust.panel` gives for half a year of 40 stations, some days missing, without its level."""
    rng = np.random.default_rng(1)
    days = pd.date_range("2026-01-01", periods=180)
    # As in the city's table: each weekday of each month has one value.
    slot = rng.normal(0, 0.7, (6, 7))[days.month - 1, days.day_of_week]
    facts = pd.DataFrame({"more": slot, "more_before": np.r_[slot[:1], slot[:-1]]}, index=days)
    facts["wind"], facts["temperature"] = rng.gamma(6, 0.4, 180) - 2.4, rng.normal(0, 4, 180)
    out = pd.MultiIndex.from_product([days, [*GU, *ROADS]], names=["day", "station"]).to_frame(index=False)
    out = out[rng.random(len(out)) > 0.03].join(facts, on="day").reset_index(drop=True)
    out["road"] = out["station"].str.endswith("로").astype(float)
    iso = out["day"].dt.isocalendar()
    out["week"] = iso["year"].astype(int) * 100 + iso["week"].astype(int)
    out.attrs[KEY] = {"answer_id": "ans-air", "language": "ko", "lane": "open", "measures": {}, "keys": []}
    return out


def draw(rows: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.Series[float]]:
    """Levels with spells of weather over the city and of each station, and each station's own part."""
    days, stations = pd.Index(rows["day"].unique()), [*GU, *ROADS]
    road = np.array([name.endswith("로") for name in stations])
    own = np.where(road, rng.normal(EXCESS, SPREAD, 40), rng.normal(0, 1.5, 40))
    city, local = np.zeros(len(days)), np.zeros((len(days), 40))
    for d in range(1, len(days)):
        city[d] = 0.6 * city[d - 1] + rng.normal(0, 6)
        local[d] = 0.4 * local[d - 1] + rng.normal(0, 2.5, 40)
    place = days.get_indexer(rows["day"]), pd.Index(stations).get_indexer(rows["station"])
    level = 40 + city[place[0]] + local[place] + own[place[1]] + WIND * rows["wind"].to_numpy()
    more = SAME * rows["more"] + NEXT * rows["more_before"]
    out = rows.assign(level=level + rows["road"].to_numpy() * more.to_numpy())
    out.attrs = rows.attrs
    return out, pd.Series(own, index=stations)


def test_ranges_hold_the_truth(rows: pd.DataFrame, draws: Draws) -> None:
    held: dict[str, list[float]] = {name: [] for name in ("roadside", "traffic", "station", "wind")}
    rng = np.random.default_rng(2)

    def inside(table: pd.DataFrame, true: object) -> float:
        return float(((table["value_low"] <= true) & (true <= table["value_high"])).mean())  # type: ignore[operator]

    traffic = rows.drop_duplicates("day")[["more", "more_before"]].mean()
    # The mean day of these months is not quite the city's mean day.
    excess = EXCESS + SAME * traffic["more"] + NEXT * traffic["more_before"]
    for _ in range(draws.count):
        seen, own = draw(rows, rng)
        held["roadside"].append(inside(dust.roadside(seen), excess))
        held["traffic"].append(inside(dust.traffic_effect(seen), np.array([SAME, NEXT, SAME + NEXT])))
        held["wind"].append(inside(dust.weather_effects(seen).iloc[:1], WIND))
        if len(held["station"]) < draws.count // 4:  # forty ranges each
            by = dust.by_station(seen).set_index("station")
            away = own[GU]
            moved = np.where(own.index.isin(GU), 0, excess - EXCESS)
            true = [own[s] - (away.drop(s) if s in away else away).mean() for s in own.index]
            held["station"].append(inside(by, (pd.Series(true, own.index) + moved).reindex(by.index)))
    for name, found in held.items():
        draws.check(name, np.array(found))


def test_taking_every_row_for_independent_would_break_the_promise(rows: pd.DataFrame) -> None:
    """The positive control: without clusters the roadside's range holds the truth far too seldom."""
    from civic_kernel.methods.panel import fixed_effects

    rng, held = np.random.default_rng(3), []
    for _ in range(60):
        seen, _ = draw(rows, rng)
        fit = fixed_effects(
            seen["level"].to_numpy(), seen[["road"]].to_numpy(), effects=[seen["day"].to_numpy()]
        )
        held.append(bool(fit.low[0] <= EXCESS <= fit.high[0]))
    assert np.mean(held) < 0.6


def test_a_station_is_what_its_name_says() -> None:
    kinds = {
        name: dust.station_kind(name) for name in ("강남구", "강남대로", "종로", "관악산", "서울숲", "궁동")
    }
    assert kinds == {
        "강남구": "background", "강남대로": "roadside", "종로": "roadside",
        "관악산": None, "서울숲": None, "궁동": None,
    }  # fmt: skip


def test_a_road_that_lacks_a_month_is_left_out_of_the_sum() -> None:
    slots = [(m, d) for m in (1, 2) for d in dust.WEEKDAYS]
    lines = [(2026, m, "가", 100.0, d) for m, d in slots]
    lines += [(2026, m, "나", 1000.0, d) for m, d in slots[:7]]
    table = pd.DataFrame(lines, columns=["year", "month_of_year", "line", "vehicles", "weekday_name"])
    assert dust.whole_lines(table) == ["가"]
    found = dust.daily_traffic(table, pd.DatetimeIndex(["2026-01-05", "2026-02-28", "2026-03-01"]))
    assert found.tolist()[:2] == [100.0, 100.0] and np.isnan(found.iloc[2])
