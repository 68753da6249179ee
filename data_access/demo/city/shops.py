"""Parks that open, and what the shops around them sell, in the layouts of their three public files.

Sales are the city's estimates for each shopping area, trade and quarter (55 columns, `기준_년분기_코드` to
`연령대_60_이상_매출_건수`), areas the file of their middles (EPSG:5181), parks the list of main parks with all its
columns quoted and its dates of opening as people typed them.

The truth: shops within `PARK_REACH_M` of a park sell more from its opening on, by trade, and hairdressers nothing. Two
things lie in the way of whoever looks for it. Sales grow everywhere, so before and after alone say too much; and where
parks open, near and far, they grow faster than elsewhere, so the rest of the city is no comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from .geography import KM_PER_LAT, KM_PER_LON, Geography
from .truth import PARK_EFFECT, PARK_NEAR_PART, PARK_REACH_M, PARKS_OPENED, SALES_QUARTERS, stream

AREA_COLUMNS: Final = (
    "상권_구분_코드",
    "상권_구분_코드_명",
    "상권_코드",
    "상권_코드_명",
    "엑스좌표_값",
    "와이좌표_값",
    "자치구_코드",
    "자치구_코드_명",
    "행정동_코드",
    "행정동_코드_명",
    "영역_면적",
)
_WEEK: Final = ("월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일")
_HOURS: Final = ("00~06", "06~11", "11~14", "14~17", "17~21", "21~24")
_PEOPLE: Final = ("남성", "여성"), tuple(f"연령대_{age}" for age in ("10", "20", "30", "40", "50", "60_이상"))
#: Into what a quarter's sales are divided, in the order of the file: names, and the usual part of each.
_PARTS: Final = (
    (("주중", "주말"), (0.68, 0.32)),
    (_WEEK, (0.13, 0.13, 0.135, 0.135, 0.15, 0.17, 0.15)),
    (tuple(f"시간대_{hours}" for hours in _HOURS), (0.02, 0.12, 0.26, 0.2, 0.3, 0.1)),
    (_PEOPLE[0], (0.5, 0.5)),
    (_PEOPLE[1], (0.01, 0.15, 0.22, 0.23, 0.22, 0.17)),
)


def _count_name(name: str) -> str:
    """The file names its columns of hours otherwise where it counts: `시간대_건수~06`."""
    return f"시간대_건수~{name[-2:]}" if name.startswith("시간대") else name


SALES_COLUMNS: Final = (
    *("기준_년분기_코드", "상권_구분_코드", "상권_구분_코드_명", "상권_코드", "상권_코드_명"),
    *("서비스_업종_코드", "서비스_업종_코드_명", "당월_매출_금액", "당월_매출_건수"),
    *(f"{name}_매출_금액" for names, _ in _PARTS for name in names),
    *(f"{_count_name(name)}_매출_건수" for names, _ in _PARTS for name in names),
)
PARK_COLUMNS: Final = (
    *("공원번호", "공원명", "공원개요", "면적", "개원일", "주요시설", "주요식물", "안내도", "오시는길"),
    *("이용시참고사항", "이미지", "지역", "공원주소", "관리부서", "전화번호"),
    *("X좌표(GRS80TM)", "Y좌표(GRS80TM)", "X좌표(WGS84)", "Y좌표(WGS84)", "바로가기"),
)
#: Name of a trade → its code, part of the areas that have one, log of a quarter's sales there, won a sale.
_TRADES: Final = {
    "한식음식점": ("CS100001", 1.0, 19.6, 28_000),
    "커피-음료": ("CS100010", 0.6, 18.8, 9_000),
    "미용실": ("CS200028", 0.4, 18.3, 35_000),
    "편의점": ("CS300002", 0.5, 19.2, 8_000),
}
_KIND: Final = ("A", "골목상권")
#: Areas around each park that opens, and around each that was there; metres from its middle.
_AREAS: Final = (15, 5)
_FROM_TO_M: Final = (60.0, 1150.0)
_OLD_PARKS: Final = 2
#: How parks' dates are typed, from the true file.
_DATES: Final = ("{y}.{m}.{d}", "{y}.{m}.{d} ", "{y}. {m:02d}. {d:02d}", "{y}.{m}", "{y}", "")
#: Logs. What lasts of an area's shock from quarter to quarter, and its size; of one trade in one quarter.
_KEEP, _SHOCK_SD, _TRADE_SD = 0.6, 0.06, 0.08
_GROWTH, _GROWTH_WHERE_PARKS_OPEN = 0.015, 0.008
_SEASON: Final = (-0.04, 0.02, 0.0, 0.05)


@dataclass(frozen=True)
class Shops:
    """P parks with `park_xy` (P, 2) and `opened` (P,), the place of the quarter in SALES_QUARTERS, −1 where it was
    there before; A areas with `xy` (A, 2), `around` (A,) their park, `gu` (A,). Metres of EPSG:5181, on a flat map.

    `sales` (A, trades, quarters) are won, 0 where an area lacks the trade; `without` is the same as if none had opened.
    """

    park_xy: npt.NDArray[np.float64]
    park_dong: npt.NDArray[np.int64]
    opened: npt.NDArray[np.int64]
    xy: npt.NDArray[np.float64]
    around: npt.NDArray[np.int64]
    gu: npt.NDArray[np.int64]
    sales: npt.NDArray[np.int64]
    without: npt.NDArray[np.float64]


def _metres(x_km: npt.NDArray[np.float64], y_km: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """East and north of the grid's false origin, from the city's flat kilometres; (n, 2)."""
    return np.stack(
        [200_000 + 1000 * (x_km - 127 * KM_PER_LON), 500_000 + 1000 * (y_km - 38 * KM_PER_LAT)], axis=1
    )


def make_shops(geography: Geography, seed: int) -> Shops:
    """Make parks, areas and sales; the same for every size of the city."""
    random = stream(seed, "shops")
    dong, opened = _choose_parks(geography, random)
    park_xy = _metres(geography.x[dong], geography.y[dong])
    around, xy, gu = _place_areas(geography, park_xy, opened, random)
    metres = np.hypot(*(xy[:, None] - park_xy[None]).transpose(2, 0, 1))
    trades, quarters = len(_TRADES), len(SALES_QUARTERS)
    shape = (len(xy), trades, quarters)
    place = np.arange(quarters)
    level = np.array([level for _, _, level, _ in _TRADES.values()])[None, :, None]
    level = level + random.normal(0.0, 0.6, (len(xy), 1, 1)) + random.normal(0.0, 0.3, (len(xy), trades, 1))
    level = (
        level + np.tile(_SEASON, 3)[None, None, :quarters] + random.normal(0.0, 0.03, (1, trades, quarters))
    )
    growth = _GROWTH + _GROWTH_WHERE_PARKS_OPEN * (opened[around] >= 0)
    level = level + growth[:, None, None] * place
    shock = np.zeros((len(xy), quarters))
    for q in range(quarters):
        shock[:, q] = (_KEEP * shock[:, q - 1] if q else 0.0) + random.normal(0.0, _SHOCK_SD, len(xy))
    level = level + shock[:, None, :] + random.normal(0.0, _TRADE_SD, shape)
    has = random.random((len(xy), trades)) < np.array([part for _, part, _, _ in _TRADES.values()])
    without = np.exp(level) * has[:, :, None]
    since = (opened[None, :, None] >= 0) & (place >= opened[None, :, None])
    reach = (metres < PARK_REACH_M[0]) + PARK_NEAR_PART * (
        (metres >= PARK_REACH_M[0]) & (metres < PARK_REACH_M[1])
    )
    gain = (reach[:, :, None] * since).sum(axis=1)
    effect = np.array([PARK_EFFECT[name] for name in _TRADES])
    sales = np.round(without * np.exp(effect[None, :, None] * gain[:, None, :])).astype(np.int64)
    return Shops(park_xy, dong, opened, xy, around, gu, sales, without)


def _choose_parks(
    geography: Geography, random: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Dong of the parks and when each opened: some in every gu long ago, PARKS_OPENED newer ones in gu of their own."""
    km = geography.kilometres()
    old = [
        int(d)
        for g in range(len(geography.gu_names))
        for d in random.choice(np.flatnonzero(geography.gu_of == g), _OLD_PARKS, replace=False)
    ]
    new: list[int] = []
    fit = (geography.residents >= np.quantile(geography.residents, 0.5)) & ~np.isin(np.arange(len(km)), old)
    for d in random.permutation(np.flatnonzero(fit)).tolist():
        # Further apart than a comparison reaches, so that no area has two openings.
        if all(km[d, o] > 3.0 and geography.gu_of[d] != geography.gu_of[o] for o in new):
            new.append(d)
        if len(new) == PARKS_OPENED:
            break
    # A year of quarters stands before the first opening and after the last one.
    opened = 4 + np.arange(len(new)) % (len(SALES_QUARTERS) - 7)
    return np.array(old + new), np.concatenate([np.full(len(old), -1), opened])


def _place_areas(
    geography: Geography,
    park_xy: npt.NDArray[np.float64],
    opened: npt.NDArray[np.int64],
    random: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Park, place and gu of each area. One that falls outside of the city is drawn again."""
    flat = [
        shapely.transform(shape, lambda lonlat: _metres(lonlat[:, 0] * KM_PER_LON, lonlat[:, 1] * KM_PER_LAT))
        for shape in geography.gu_shapes
    ]
    around = np.repeat(np.arange(len(opened)), np.where(opened >= 0, *_AREAS))
    xy, gu = np.zeros((len(around), 2)), np.full(len(around), -1)
    while (left := np.flatnonzero(gu < 0)).size:
        metres, angle = random.uniform(*_FROM_TO_M, left.size), random.uniform(0, 2 * np.pi, left.size)
        xy[left] = park_xy[around[left]] + metres[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        for g, shape in enumerate(flat):
            gu[left[shapely.contains_xy(shape, *xy[left].T)]] = g
    return around, xy, gu


def _code(area: int) -> str:
    return str(3_110_001 + area)


def _name(shops: Shops, geography: Geography, area: int) -> str:
    return f"{geography.dong_names[shops.park_dong[shops.around[area]]]} 가상골목 {area + 1}"


def area_rows(shops: Shops, geography: Geography) -> Iterator[tuple[str, ...]]:
    """Write the areas; the dong is the one that the area is named after."""
    for area, (x, y) in enumerate(np.round(shops.xy).astype(int).tolist()):
        gu, dong = int(shops.gu[area]), int(shops.park_dong[shops.around[area]])
        code = geography.gu_codes[gu]
        where = code, geography.gu_names[gu], geography.dong_codes[dong][:8], geography.dong_names[dong]
        size = str(30_000 + 211 * (area * 37 % 500))
        yield *_KIND, _code(area), _name(shops, geography, area), str(x), str(y), *where, size


def sales_rows(shops: Shops, geography: Geography, seed: int) -> Iterator[tuple[str, ...]]:
    """Write quarter after quarter, area by area; all parts of a row's sales add up to it, as in the true file."""
    names, codes = list(_TRADES), [code for code, *_ in _TRADES.values()]
    price = np.array([won for *_, won in _TRADES.values()])
    places = [(*_KIND, _code(a), _name(shops, geography, a)) for a in range(len(shops.xy))]
    trades = list(zip(codes, names, strict=True))
    for q, quarter in enumerate(SALES_QUARTERS):
        random = stream(seed, "sales", quarter)
        area, trade = np.nonzero(shops.sales[:, :, q])
        won = shops.sales[area, trade, q]
        count = np.maximum(won // price[trade], 1)
        shares = [random.dirichlet(400 * np.array(usual), len(won)) for _, usual in _PARTS]
        split = [_divided(whole, part) for whole in (won, count) for part in shares]
        numbers = np.hstack([won[:, None], count[:, None], *split]).astype(str).tolist()
        for a, t, written in zip(area.tolist(), trade.tolist(), numbers, strict=True):
            yield str(quarter), *places[a], *trades[t], *written


def _divided(whole: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Whole numbers (n, k) that add up to `whole` (n,)."""
    ends = np.floor(whole[:, None] * np.cumsum(shares, axis=1)).astype(np.int64)
    ends[:, -1] = whole
    return np.diff(ends, axis=1, prepend=0)


def park_name(shops: Shops, geography: Geography, park: int) -> str:
    """`상계동 새 공원` for one that opened within the years of the sales."""
    kind = "새 공원" if shops.opened[park] >= 0 else f"공원 {park % _OLD_PARKS + 1}호"
    return f"{geography.dong_names[shops.park_dong[park]]} 가상 {kind}"


def park_rows(shops: Shops, geography: Geography, seed: int) -> Iterator[tuple[str, ...]]:
    """Write the parks, every cell quoted; of old ones the day, and sometimes even the year, was not written down."""
    random = stream(seed, "parks")
    for park, (x, y) in enumerate(shops.park_xy.tolist()):
        gu = geography.gu_names[geography.gu_of[shops.park_dong[park]]]
        year, month, day = (
            int(random.integers(1960, 2016)),
            int(random.integers(1, 13)),
            int(random.integers(1, 29)),
        )
        form = _DATES[int(random.integers(len(_DATES)))]
        if (place := int(shops.opened[park])) >= 0:
            # In the first week of its quarter, so that the whole of it is after the opening.
            year, quarter = divmod(SALES_QUARTERS[place], 10)
            month, day, form = 3 * quarter - 2, day % 7 + 1, _DATES[park % 3]
        lon, lat = 127 + (x - 200_000) / 1000 / KM_PER_LON, 38 + (y - 500_000) / 1000 / KM_PER_LAT
        size = f"{int(random.integers(8, 90)) * 1000}㎡"
        cells: tuple[str, ...] = (
            *(str(park + 1), park_name(shops, geography, park), "가상 도시의 공원입니다.", size),
            *(
                form.format(y=year, m=month, d=day),
                "",
                "",
                "",
                "",
                "",
                "",
                gu,
                f"서울특별시 {gu} 가상로 {park + 1}",
            ),
            *(f"{gu} 공원녹지과", "02-000-0000", f"{x:.3f}", f"{y:.3f}", f"{lon:.7f}", f"{lat:.7f}", ""),
        )
        yield tuple(f'"{cell}"' for cell in cells)


def openings_found(shops: Shops, geography: Geography) -> dict[str, Any]:
    """What came out, for the written truth: the openings, and per cent that sales of areas near one rose by on average,
    from the opening on, for all trades together and each alone.
    """
    new = np.flatnonzero(shops.opened >= 0)
    metres = np.hypot(*(shops.xy[:, None] - shops.park_xy[None]).transpose(2, 0, 1))
    pairs = [(a, p) for p in new for a in np.flatnonzero(metres[:, p] < PARK_REACH_M[1])]

    def risen(near: float, far: float, trade: slice) -> float:
        logs = []
        for area, park in pairs:
            after = slice(int(shops.opened[park]), None)
            sold = shops.sales[area, trade, after].sum(axis=0)
            if near <= metres[area, park] < far and sold.all():
                logs.append(np.log(sold / shops.without[area, trade, after].sum(axis=0)).mean())
        return round(100 * float(np.expm1(np.mean(logs))), 2)

    near, far = PARK_REACH_M
    return {
        "parks": [
            {
                "park": park_name(shops, geography, p),
                "gu": geography.gu_names[geography.gu_of[shops.park_dong[p]]],
                "opened": SALES_QUARTERS[int(shops.opened[p])],
                "areas_near": int((metres[:, p] < far).sum()),
            }
            for p in new.tolist()
        ],
        "per_cent": risen(0, far, slice(None)),
        "per_cent_by_metres": {
            f"0-{near:.0f}": risen(0, near, slice(None)),
            f"{near:.0f}-{far:.0f}": risen(near, far, slice(None)),
        },
        "per_cent_by_trade": {name: risen(0, far, slice(t, t + 1)) for t, name in enumerate(_TRADES)},
    }
