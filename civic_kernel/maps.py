"""Maps of the gu: folium's layers, Leaflet inlined, everything around them ours, and no request ever.

Flows and points are drawn without either, in `outline_maps`.

folium brings the GeoJson layer with its tooltip and popup. Its Map would also load jQuery, Bootstrap, Font
Awesome and tiles from five hosts; those lists are emptied, and the document's policy (`default-src 'none'`)
makes zero requests true by construction instead of by care. Legend, buttons and keyboard are
`templates/report/map.js`, since Leaflet's own controls have no words in Korean and no pan buttons.
"""

from __future__ import annotations

import html
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civic_kernel.errors import VendorMissing
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
from civic_kernel.frames import KEY
from civic_kernel.map_parts import BUTTONS, Map, class_edges, class_of, legend, map_words
from civic_kernel.outline_maps import flows, points
from civic_kernel.places import gu_shapes, place_name
from civic_kernel.texts import Language, templates_root, text

if TYPE_CHECKING:
    import pandas as pd

#: Where set-up puts Leaflet. An argument everywhere, so that tests and other layouts need no setting.
VENDOR = Path(sys.prefix) / "share" / "civic" / "vendor"


def choropleth(
    frame: pd.DataFrame,
    value: str,
    by: str,
    *,
    title: str,
    alt: str | None = None,
    mark: str | None = None,
    unit: str = "",
    digits: int = 0,
    language: Language | None = None,
    vendor: Path = VENDOR,
) -> Map:
    """The gu coloured by `value`, one row for each in `frame`; the interval is in every tooltip.

    Withheld gu are hatched, gu without a row are blank, and `other` has no place and is left to the table.
    `mark` names a boolean column of gu that stand out: a thick dashed outline and a word. `unit` stands after
    numbers (`건`, `rides`). Raises FrameUnsuitable, and VendorMissing where Leaflet is not installed.
    """
    spoken: Language = language or frame.attrs.get(KEY, {}).get("language", "ko")
    drawn = [p for p in read_points(frame, by, value, mark, spoken) if p.key != "other"]
    by_key = {p.key: p for p in drawn}
    edges = class_edges([p.value for p in drawn if p.value is not None], digits)
    features = [
        _feature(shape, by_key.get(str(shape["id"])), edges, digits, unit, spoken) for shape in gu_shapes()
    ]
    described = alt or summary(drawn, spoken, digits)
    lost = " · ".join(lost_note(frame, spoken))
    ident = content_id(
        title, described, lost, spoken, unit, json.dumps(features, ensure_ascii=False, sort_keys=True)
    )
    header, body, script = _folium_parts(features, ident)
    document = template("map.html.j2").render(
        lang=spoken,
        title=title,
        description=described,
        origin=origin_note(frame, spoken),
        lost=lost,
        id=ident,
        header=header,
        body=body,
        script=script,
        leaflet_js=vendor_text("leaflet.js", vendor, spoken),
        leaflet_css=vendor_text("leaflet.css", vendor, spoken),
        map_css=(templates_root() / "report" / "map.css").read_text(encoding="utf-8"),
        map_js=(templates_root() / "report" / "map.js").read_text(encoding="utf-8"),
        legend=legend(edges, digits, unit, spoken),
        any_withheld=any(not p.shown and not p.exact for p in drawn),
        any_marked=any(p.marked for p in drawn),
        any_missing=len(by_key) < len(features) or any(not p.shown and p.exact for p in drawn),
        say=map_words(spoken, "touch", "choose", "missing", "close"),
        withheld=text(spoken, "kernel", "figure.withheld_why"),
        highlight=text(spoken, "kernel", "figure.highlight"),
        buttons=BUTTONS,
    )
    return Map(document, title, alt)


def _feature(
    shape: dict[str, Any], point: Point | None, edges: list[float], digits: int, unit: str, language: Language
) -> dict[str, Any]:
    name = place_name(str(shape["id"]), language)
    if point is None:
        look, said, sure = "cv-missing", text(language, "kernel", "map.missing"), ""
    elif point.value is None:
        look = "cv-missing" if point.exact else "cv-withheld"
        said, sure = interval(point, language, digits), ""
    else:
        look = f"cv-c{class_of(point.value, edges)}"
        said = with_unit(number(point.value, digits), unit)
        sure = interval(point, language, digits)
        if point.marked:
            look += " cv-marked"
            sure += f" · {text(language, 'kernel', 'figure.highlight')}"
    # folium writes these with innerHTML, and a key's name comes from a policy, not from us.
    words = {"name": html.escape(name), "said": html.escape(said), "sure": html.escape(sure)}
    label = f"{name}: {said}" + (f", {sure}" if sure else "")
    return {
        "type": "Feature",
        "id": shape["id"],
        "properties": {**words, "look": look, "label": label},
        "geometry": shape["geometry"],
    }


def _folium_parts(features: list[dict[str, Any]], ident: str) -> tuple[str, str, str]:
    """folium's header styles, map container and script, with its random ids made content's own."""
    import folium

    lats, lons = zip(*((lat, lon) for f in features for lon, lat in _positions(f["geometry"])), strict=True)
    chart = folium.Map(
        location=[(min(lats) + max(lats)) / 2, (min(lons) + max(lons)) / 2],
        tiles=None,
        zoom_control=False,
        attribution_control=False,
        scroll_wheel_zoom=False,
        zoom_snap=0.25,
        zoom_delta=0.5,
        # No animation: a keyboard user would wait, and who asked for less motion would not be heard.
        zoom_animation=False,
        fade_animation=False,
        inertia=False,
    )
    chart.default_js, chart.default_css = [], []
    layer = folium.GeoJson(
        {"type": "FeatureCollection", "features": features},
        # Colours are classes of map.css, which knows the reader's theme; Leaflet sets only the class.
        style_function=lambda feature: {
            "className": feature["properties"]["look"],
            "fillOpacity": 1,
            "weight": 1,
        },
        tooltip=folium.GeoJsonTooltip(
            ["name", "said", "sure"], labels=False, sticky=False, class_name="cv-tip"
        ),
        popup=folium.GeoJsonPopup(["name", "said", "sure"], labels=False, class_name="cv-tip"),
        smooth_factor=0,
    )
    layer.add_to(chart)
    figure: Any = chart.get_root()  # a Figure, which branca types as Element
    figure.render()
    parts = [part.render() for part in (figure.header, figure.html, figure.script)]
    ids = [element._id for element in _tree(figure)]
    for position, random_id in enumerate(ids):
        parts = [part.replace(random_id, f"{ident}_{position}") for part in parts]
    header, body, script = parts
    # Only styles and switches: folium's viewport forbids zooming, which low vision needs.
    header = "\n".join(re.findall(r"<(?:style|script)>.*?</(?:style|script)>", header, flags=re.DOTALL))
    if re.search(r"""(?:src|href)\s*=|https?://(?!www\.w3\.org)""", header + body):
        raise AssertionError("folium added a link: a new version needs a look before it is used")
    return header, body, script


def _tree(element: Any) -> list[Any]:
    """The element and all below it, in the order of their making."""
    found = [element]
    for child in element._children.values():
        found.extend(_tree(child))
    for part in ("header", "html", "script"):
        if hasattr(element, part) and element.__class__.__name__ == "Figure":
            found.extend(_tree(getattr(element, part)))
    return list({id(e): e for e in found}.values())


def _positions(geometry: dict[str, Any]) -> list[list[float]]:
    rings = geometry["coordinates"]
    if geometry["type"] == "MultiPolygon":
        rings = [ring for polygon in rings for ring in polygon]
    return [position for ring in rings for position in ring]


@cache
def vendor_text(name: str, folder: Path = VENDOR, language: Language = "ko") -> str:
    """`leaflet.js` or `leaflet.css` as it can stand in a document that fetches nothing. Raises VendorMissing."""
    try:
        source = (folder / name).read_text(encoding="utf-8")
    except OSError:
        raise VendorMissing.say(language, file=name) from None
    # Images of controls that are not used, and a debugger's map: each would be a request that the policy
    # refuses with a line in the reader's console.
    source = re.sub(r"url\(\s*[\"']?images/[^)]*\)", "none", source)
    return re.sub(r"//# sourceMappingURL=\S+", "", source).strip()


__all__ = ["VENDOR", "Map", "choropleth", "flows", "points", "vendor_text"]
