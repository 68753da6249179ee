"""Maps of flows between gu and of points in the city: our own SVG over the gu's outlines, in a frame of its own.

Not Leaflet: of a line or a dot over outlines nobody needs tiles, and Leaflet's script alone is 150 kB, with which a
page of three maps weighs more than it may. Looks, legend, buttons and keys are those of `maps.choropleth`
(`templates/report/map.css`, `outline_map.js`).

Size says how many, in five classes of width or area; colour says nothing, so that no eye and no printer loses it. What
is withheld is drawn hatched: a dashed line, a hatched dot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import hypot
from typing import TYPE_CHECKING, Any

import numpy as np

from civic_kernel.errors import FrameUnsuitable
from civic_kernel.figures import (
    Point,
    content_id,
    interval,
    lost_note,
    number,
    origin_note,
    summary,
    template,
    with_unit,
)
from civic_kernel.figures import points as read_points
from civic_kernel.frames import KEY, check_columns
from civic_kernel.map_parts import BUTTONS, CLASSES, Map, class_edges, class_of, legend, map_words
from civic_kernel.places import KM_PER_DEGREE, gu_shapes, place_name
from civic_kernel.texts import Language, templates_root, text

if TYPE_CHECKING:
    import pandas as pd

#: Units of the drawing for a kilometre: whole units are then 30 m, finer than the outlines.
_UNITS = 32.0
_MARGIN = 14.0
#: Width of a line and radius of a dot by class, in units.
_WIDTHS = (5, 9, 14, 21, 30)
_RADII = (13, 17, 22, 28, 35)
#: How far from the middle of a gu an arrow begins and ends.
_GAP = 24.0


@dataclass(frozen=True)
class _Ground:
    """The outlines as SVG paths, and how degrees become units."""

    paths: tuple[str, ...]
    middles: dict[str, tuple[float, float]]
    west: float
    north: float
    width: int
    height: int

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        x = (lon - self.west) * KM_PER_DEGREE[0] * _UNITS + _MARGIN
        y = (self.north - lat) * KM_PER_DEGREE[1] * _UNITS + _MARGIN
        return round(x, 1), round(y, 1)


def flows(
    frame: pd.DataFrame,
    value: str,
    start: str,
    end: str,
    *,
    title: str,
    alt: str | None = None,
    mark: str | None = None,
    unit: str = "",
    digits: int = 0,
    directed: bool = False,
    language: Language | None = None,
) -> Map:
    """A line between the gu `start` and `end` of each row of `frame`, as wide as `value`; `directed` bends it to the
    right and gives it a head.

    Withheld flows are dashed. Rows of an unknown place, and within one gu, have no line and are left to the table.
    `mark` names a boolean column of lines that stand out: in another colour, edged, and with a word. Raises
    FrameUnsuitable.
    """
    spoken = language or _language(frame)
    check_columns(frame, start, end, value)
    ground = _ground()
    between = " → " if directed else " ↔ "
    ends = list(zip(frame[start].astype(str), frame[end].astype(str), strict=True))
    pairs = {f"{a}{between}{b}": (a, b) for a, b in ends}
    # An array of its own type: an empty list would choose columns, and so lose them.
    drawable = np.array([a != b and {a, b} <= ground.middles.keys() for a, b in ends], dtype=bool)
    keyed = frame.assign(_flow=[f"{a}{between}{b}" for a, b in ends])[drawable]
    keyed.attrs = frame.attrs
    drawn = [
        replace(p, label=between.join(place_name(gu, spoken) for gu in pairs[p.key]))
        for p in read_points(keyed, "_flow", value, mark, spoken)
    ]

    def shape(point: Point, size: int) -> dict[str, Any]:
        a, b = (ground.middles[gu] for gu in pairs[point.key])
        width = _WIDTHS[size] if point.shown else 4
        return _arrow(a, b, width) if directed else _straight(a, b, width)

    return _map(frame, drawn, shape, "line", title, alt, unit, digits, spoken)


def points(
    frame: pd.DataFrame,
    value: str,
    by: str,
    *,
    title: str,
    name: Sequence[str] = (),
    lat: str = "lat",
    lon: str = "lon",
    backdrop: pd.DataFrame | None = None,
    backdrop_label: str = "",
    alt: str | None = None,
    mark: str | None = None,
    unit: str = "",
    digits: int = 0,
    language: Language | None = None,
) -> Map:
    """A dot at `lat`, `lon` (WGS84 degrees) for each row of `frame`, its area by `value`, with its key `by` inside.

    `name` are columns that say what stands there. `backdrop` are places without a value (`lat`, `lon`), drawn as
    specks and called `backdrop_label` in the legend. Withheld dots are hatched. Raises FrameUnsuitable, also for a
    place that is not in Seoul's frame: latitude and longitude are swapped more often than anybody leaves the city.
    """
    spoken = language or _language(frame)
    check_columns(frame, by, value, lat, lon, *name)
    ground = _ground()
    drawn = read_points(frame, by, value, mark, spoken)
    spots = [ground.at(x, y) for x, y in zip(frame[lon].astype(float), frame[lat].astype(float), strict=True)]
    if not all(0 <= x <= ground.width and 0 <= y <= ground.height for x, y in spots):
        raise FrameUnsuitable.say(spoken, column=f"{lat}, {lon}", known=", ".join(map(str, frame.columns)))
    if name:
        said = [
            " ".join(place_name(str(word), spoken) for word in row) for row in frame[list(name)].to_numpy()
        ]
        drawn = [replace(p, label=f"{p.label}. {words}") for p, words in zip(drawn, said, strict=True)]
    place = {p.key: spot for p, spot in zip(drawn, spots, strict=True)}

    def shape(point: Point, size: int) -> dict[str, Any]:
        x, y = place[point.key]
        inside = point.key if len(point.key) <= 2 else ""
        return {
            "x": x,
            "y": y,
            "r": max(_RADII[size] if point.shown else 0, 22 if inside else 13),
            "inside": inside,
        }

    specks = ""
    if backdrop is not None:
        check_columns(backdrop, lat, lon)
        known = backdrop[[lon, lat]].astype(float).dropna().to_numpy()
        # A line of no length with round ends is a dot: one path of 9 bytes for each.
        specks = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in (ground.at(*spot) for spot in known))
    return _map(frame, drawn, shape, "dot", title, alt, unit, digits, spoken, specks, backdrop_label)


def _map(
    frame: pd.DataFrame,
    drawn: list[Point],
    shape: Any,
    form: str,
    title: str,
    alt: str | None,
    unit: str,
    digits: int,
    language: Language,
    specks: str = "",
    speck_label: str = "",
) -> Map:
    edges = class_edges([p.value for p in drawn if p.value is not None], digits)
    # The largest first: the others, drawn after them, stay in sight, and the keyboard meets what matters most.
    drawn = sorted(drawn, key=lambda p: (p.value is None, -(p.value or 0.0)))
    features = []
    for point in drawn:
        size = class_of(point.value, edges) if point.value is not None else 0
        look = "cv-withheld" if not point.shown else "cv-marked" if point.marked else ""
        features.append(shape(point, size) | {"look": look, "label": _label(point, unit, digits, language)})
    ground, described = _ground(), alt or summary(drawn, language, digits)
    lost = " · ".join(lost_note(frame, language))
    sizes = legend(edges, digits, unit, language) or [
        (CLASSES - 1, said) for said in _only(drawn, unit, digits)
    ]
    document = template("outline_map.html.j2").render(
        lang=language,
        title=title,
        description=described,
        origin=origin_note(frame, language),
        lost=lost,
        id=content_id(title, described, lost, language, unit, specks, repr(features)),
        form=form,
        ground=ground,
        names=[(place_name(gu, language), x, y) for gu, (x, y) in ground.middles.items()],
        features=features,
        specks=specks,
        speck_label=speck_label,
        legend=[(_WIDTHS[step] if form == "line" else _RADII[step], words) for step, words in sizes],
        any_withheld=any(not p.shown for p in drawn),
        any_marked=any(p.marked for p in drawn),
        map_css=(templates_root() / "report" / "map.css").read_text(encoding="utf-8"),
        outline_css=(templates_root() / "report" / "outline_map.css").read_text(encoding="utf-8"),
        script=(templates_root() / "report" / "outline_map.js").read_text(encoding="utf-8"),
        say=map_words(language, f"choose_{form}"),
        withheld=text(language, "kernel", "figure.withheld_why"),
        highlight=text(language, "kernel", "figure.highlight"),
        buttons=BUTTONS,
    )
    return Map(document, title, alt)


def _label(point: Point, unit: str, digits: int, language: Language) -> str:
    """`마포구 ↔ 영등포구: 17,200번, 17,060에서 17,340 사이`"""
    sure = interval(point, language, digits)
    if point.value is None:
        return f"{point.label}: {sure}"
    said = f"{point.label}: {with_unit(number(point.value, digits), unit)}, {sure}"
    return said + (f" · {text(language, 'kernel', 'figure.highlight')}" if point.marked else "")


def _only(drawn: list[Point], unit: str, digits: int) -> list[str]:
    """The legend's one line where all values are alike."""
    values = {p.value for p in drawn if p.value is not None}
    return [with_unit(number(value, digits), unit) for value in values]


def _straight(a: tuple[float, float], b: tuple[float, float], width: float) -> dict[str, Any]:
    return {"d": f"M{a[0]:g} {a[1]:g}L{b[0]:g} {b[1]:g}", "width": width, "head": ""}


def _arrow(a: tuple[float, float], b: tuple[float, float], width: float) -> dict[str, Any]:
    """A bow from `a` to `b`, bent to the right of whoever goes, and the corners of its head."""
    (ax, ay), (bx, by) = a, b
    far = hypot(bx - ax, by - ay)
    ux, uy = (bx - ax) / far, (by - ay) / far
    # On a screen y goes down, so that the right hand of (ux, uy) is (−uy, ux).
    cx, cy = (ax + bx) / 2 - uy * far * 0.16, (ay + by) / 2 + ux * far * 0.16
    ax, ay = ax + ux * _GAP, ay + uy * _GAP
    tx, ty = bx - cx, by - cy
    away = hypot(tx, ty)
    tx, ty = tx / away, ty / away
    head = max(15.0, 1.1 * width)
    bx, by = bx - tx * _GAP, by - ty * _GAP
    ex, ey = bx - tx * head * 1.4, by - ty * head * 1.4
    corners = ((bx, by), (ex - ty * head, ey + tx * head), (ex + ty * head, ey - tx * head))
    return {
        "d": f"M{ax:.0f} {ay:.0f}Q{cx:.0f} {cy:.0f} {ex:.0f} {ey:.0f}",
        "width": width,
        "head": " ".join(f"{x:.0f},{y:.0f}" for x, y in corners),
    }


@cache
def _ground() -> _Ground:
    """Seoul on paper. A flat map is right within 0.2 % anywhere in it."""
    import shapely

    shapes = [(str(s["id"]), shapely.make_valid(shapely.geometry.shape(s["geometry"]))) for s in gu_shapes()]
    west, south, east, north = shapely.total_bounds([shape for _, shape in shapes])
    ground = _Ground((), {}, west, north, 0, 0)
    x, y = ground.at(east, south)
    middles = {gu: shapely.point_on_surface(shape) for gu, shape in shapes}
    return replace(
        ground,
        paths=tuple(_path(s["geometry"], ground) for s in gu_shapes()),
        middles={gu: ground.at(point.x, point.y) for gu, point in middles.items()},
        width=round(x + _MARGIN),
        height=round(y + _MARGIN),
    )


def _path(geometry: dict[str, Any], ground: _Ground) -> str:
    """Rings as one path of whole units, each step from the last: a third of the bytes of degrees."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    out = []
    for ring in (ring for polygon in polygons for ring in polygon):
        spots = [tuple(round(part) for part in ground.at(lon, lat)) for lon, lat in ring]
        out.append(f"M{spots[0][0]} {spots[0][1]}l")
        last = spots[0]
        for spot in spots[1:-1]:
            if spot != last:
                out.append(f"{spot[0] - last[0]} {spot[1] - last[1]} ")
                last = spot
        out.append("z")
    return "".join(out).replace(" -", "-").replace(" z", "z")


def _language(frame: pd.DataFrame) -> Language:
    language: Language = frame.attrs.get(KEY, {}).get("language", "ko")
    return language
