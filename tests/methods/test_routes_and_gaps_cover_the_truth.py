"""The promises of `methods.routes` and `methods.gaps`, over privacy noise as the gateway draws it, counted before
anything is withheld."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from civic_kernel.errors import FrameUnsuitable
from civic_kernel.frames import KEY
from civic_kernel.methods import combine, gaps, routes
from civic_kernel.places import dong_ground, dong_table, gu_shapes
from tests.methods.conftest import Draws

#: Row bound 20: rides by gu and month at ρ 0.01, between gu at ρ 0.04.
MONTH_SD, FLOW_SD = 20 / 0.02**0.5, 20 / 0.08**0.5
GU = [str(shape["id"]) for shape in gu_shapes()]
MONTHS = [f"2026-{n:02d}" for n in range(1, 13)]
OPEN = {"language": "ko", "lane": "open", "measures": {}, "keys": [], "lost": {}, "answer_id": "ans-open"}


def answer(table: pd.DataFrame, keys: list[str], sd: float, name: str) -> pd.DataFrame:
    table["withheld"] = False
    table.attrs[KEY] = {
        "answer_id": f"ans-{name}", "noise_of": [f"ans-{name}"], "language": "ko", "lane": "private",
        "keys": keys, "measures": {"rides": {"fn": "count", "scale": str(sd)}}, "lost": {},
    }  # fmt: skip
    return table


def flow_answer(values: np.ndarray, sd: float = FLOW_SD) -> pd.DataFrame:
    """`values` (25, 25) by start and end."""
    rows = [(a, b, float(values[i, j])) for i, a in enumerate(GU) for j, b in enumerate(GU)]
    return answer(
        pd.DataFrame(rows, columns=["start_gu", "end_gu", "rides"]), ["start_gu", "end_gu"], sd, "flow"
    )


def month_answer(values: np.ndarray) -> pd.DataFrame:
    """`values` (25, 12) by start and month."""
    rows = [(a, m, float(values[i, n])) for i, a in enumerate(GU) for n, m in enumerate(MONTHS)]
    return answer(
        pd.DataFrame(rows, columns=["start_gu", "month", "rides"]), ["start_gu", "month"], MONTH_SD, "month"
    )


@pytest.fixture(scope="module")
def riding() -> tuple[np.ndarray, np.ndarray]:
    """True rides between gu (25, 25), most inside one, and by gu and month (25, 12), which add up to the same."""
    rng = np.random.default_rng(11)
    between = rng.gamma(0.7, 900, (25, 25)).round()
    np.fill_diagonal(between, rng.uniform(20_000, 90_000, 25).round())
    shares = rng.dirichlet(np.full(12, 20), 25)
    months = np.floor(between.sum(axis=1)[:, None] * shares)
    months[:, 0] += between.sum(axis=1) - months.sum(axis=1)
    return between, months


def open_rows(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Lanes, stations and people, none of which carries noise."""
    lanes = pd.DataFrame(rng.uniform(1, 20, (25, 3)), columns=list(gaps.LANES)).assign(gu=GU)
    ground = dong_ground()[0]
    spots = ground[rng.integers(0, len(ground), 1_500)] / np.array(gaps.KM_PER_DEGREE)
    stations = pd.DataFrame(spots, columns=["lon", "lat"])
    codes = [row[0] for row in dong_table()]
    people = rng.integers(100, 60_000, (len(codes), 2))
    dongs = pd.DataFrame(people, columns=["residents", "jobs"]).assign(dong_code=codes)
    for frame in (lanes, stations, dongs):
        frame.attrs[KEY] = OPEN
    return lanes, stations, dongs


def test_ranges_hold_the_truth(draws: Draws, riding: tuple[np.ndarray, np.ndarray]) -> None:
    rng = np.random.default_rng(7)
    between, months = riding
    lanes, stations, dongs = open_rows(rng)
    year = months.sum(axis=1)
    true_links = {
        tuple(sorted((a, b))): between[i, j] + between[j, i]
        for i, a in enumerate(GU)
        for j, b in enumerate(GU)
    }
    at = {name: n for n, name in enumerate(GU)}
    true_streams = {
        name: sum(between[at[a], at[b]] + between[at[b], at[a]] for a, b in pairwise(row))
        for name, row in routes.CORRIDORS.items()
    }
    km = lanes[list(gaps.LANES)].sum(axis=1).to_numpy()
    truth = {
        "per": gaps.PER * km / year,
        "missing": year * km.sum() / year.sum() - km,
        "staying": 100 * np.diag(between) / year,
    }
    names = np.unique(GU)
    spots = stations[["lon", "lat"]].to_numpy() * np.array(gaps.KM_PER_DEGREE)
    away = np.array([np.hypot(*(spots - point).T).min() for point in dong_ground()[0]])
    held: dict[str, list[float]] = {name: [] for name in ("links", "streams", *truth, "new stations")}

    def keep(name: str, out: pd.DataFrame, column: str, true: np.ndarray) -> None:
        inside = (out[f"{column}_low"].to_numpy() <= true) & (true <= out[f"{column}_high"].to_numpy())
        held[name].append(float(inside.mean()))

    for draw in range(draws.count):
        flows = flow_answer(between + np.round(rng.normal(0, FLOW_SD, (25, 25))))
        rides = month_answer(months + np.round(rng.normal(0, MONTH_SD, (25, 12))))
        by_gu = combine.complete(combine.total(rides, "rides", "start_gu"), "rides")
        links, streams = routes.links(flows), routes.corridors(flows)
        pairs = zip(links["a"], links["b"], strict=True)
        keep("links", links, "rides", np.array([true_links[tuple(sorted(p))] for p in pairs]))
        keep("streams", streams, "rides", np.array([true_streams[name] for name in streams["corridor"]]))
        keep("staying", routes.staying(flows, rides), "share", truth["staying"])
        short = gaps.lanes_missing(lanes, by_gu)
        keep("per", short, "per", truth["per"])
        keep("missing", short, "missing", truth["missing"])
        if draw < max(4, draws.count // 20):  # a quarter of a second each
            places = gaps.new_stations(stations, dongs, by_gu, count=5)
            # What those places would spare, had the rides been counted without noise.
            exact = by_gu.set_index("start_gu").loc[names].reset_index()
            exact["rides"] = year[[at[name] for name in names]]
            exact.attrs = by_gu.attrs
            keep("new stations", places, "spared", _spared_at(places, away, dongs, exact))
    for name, values in held.items():
        draws.check(name, np.array(values))


def _spared_at(
    places: pd.DataFrame, away: np.ndarray, dongs: pd.DataFrame, rides: pd.DataFrame
) -> np.ndarray:
    """The same figure by the definition, place by place; `away` is the way to a station from each point."""
    scale = np.array(gaps.KM_PER_DEGREE)
    ground, own = dong_ground()
    table = dong_table()
    people = dict(zip(dongs["dong_code"], dongs["residents"] + dongs["jobs"], strict=True))
    whole: dict[str, float] = {}
    for code, gu, *_ in table:
        whole[gu] = whole.get(gu, 0.0) + people[code]
    by_gu = dict(zip(rides["start_gu"], rides["rides"], strict=True))
    points = np.bincount(own)
    demand = np.array(
        [by_gu[gu] * people[code] / whole[gu] / points[n] for n, (code, gu, *_) in enumerate(table)]
    )[own]
    found = []
    for spot in places[["lon", "lat"]].to_numpy() * scale:
        way = np.hypot(*(ground - spot).T)
        found.append(float((demand * np.maximum(away - way, 0)).sum()))
        away = np.minimum(away, way)
    return np.array(found)


def test_a_sum_that_lacks_a_withheld_cell_is_withheld_as_a_whole(
    riding: tuple[np.ndarray, np.ndarray],
) -> None:
    flows = flow_answer(riding[0].copy())
    gone = (flows["start_gu"] == "강남구") & (flows["end_gu"] == "송파구")
    flows.loc[gone, "rides"], flows.loc[gone, "withheld"] = np.nan, True
    links, streams = routes.links(flows), routes.corridors(flows).set_index("corridor")
    assert len(links) == 300 and list(links.loc[links["withheld"], ["a", "b"]].iloc[0]) == [
        "강남구",
        "송파구",
    ]
    assert set(streams.index[streams["withheld"]]) == {"han-south", "tan"}
    assert links["rides"].iloc[:-1].is_monotonic_decreasing and bool(links["withheld"].iloc[-1])


def test_flows_by_month_too_are_refused_since_a_cell_would_be_whichever_month_came_last(
    riding: tuple[np.ndarray, np.ndarray],
) -> None:
    flows = flow_answer(riding[0])
    twice = pd.concat([flows, flows])
    twice.attrs = flows.attrs
    with pytest.raises(FrameUnsuitable):
        routes.links(twice)


def test_who_has_half_the_lanes_of_all_others_is_clearly_short_and_nobody_else() -> None:
    months = np.full((25, 12), 5_000.0)
    lanes = pd.DataFrame(np.full((25, 3), 10.0), columns=list(gaps.LANES)).assign(gu=GU)
    lanes.loc[7, list(gaps.LANES)] = 4.0
    lanes.attrs[KEY] = OPEN
    by_gu = combine.complete(combine.total(month_answer(months), "rides", "start_gu"), "rides")
    found = gaps.lanes_missing(lanes, by_gu)
    assert list(found.loc[found["short"], "gu"]) == [GU[7]]
    by_gu.loc[3, "withheld"] = True
    again = gaps.lanes_missing(lanes[lanes["gu"] != GU[5]].reset_index(drop=True), by_gu)
    assert set(again.loc[again["withheld"], "gu"]) == {GU[3], GU[5]} and again["missing"].isna().sum() == 2
