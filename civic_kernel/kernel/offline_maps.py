"""folium's own maps without the internet: what their documents would load from five hosts stands in them instead.

Leaflet is the one that set-up installed; what folium uses of jQuery, Awesome Markers and d3 are some dozen lines of
ours (templates/lab/folium.js); tiles, which nobody here can deliver, become the borders of the gu. What else a plugin
would load is left out, and the map says so: in a seat the browser would refuse the request anyway.
"""

from __future__ import annotations

import html
import json
import re
import sys
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from civic_kernel.texts import Language, templates_root, text

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_SCRIPT = re.compile(r"<script\b[^>]*\bsrc\s*=\s*[\"']([^\"']+)[\"'][^>]*>\s*</script>", re.IGNORECASE)
_STYLE = re.compile(r"<link\b[^>]*\bhref\s*=\s*[\"']([^\"']+)[\"'][^>]*/?>", re.IGNORECASE)
#: The picture on the layers' button lies with Leaflet's own.
_STYLES = """
html { font-family: sans-serif; }
.leaflet-control-layers-toggle::before { content: "☰"; display: block; text-align: center; line-height: 36px; }
.leaflet-touch .leaflet-control-layers-toggle::before { line-height: 44px; }
"""
#: Scripts whose work ours does; by the beginning of the file's name.
_OURS = ("leaflet.js", "jquery", "bootstrap", "leaflet.awesome-markers", "d3.")


def make_offline(document: str, language: Language) -> str:
    """The HTML document of a map, asking nobody for anything."""
    lacking: list[str] = []

    def script(found: re.Match[str]) -> str:
        name = found[1].rstrip("/").rpartition("/")[2]
        if name == "leaflet.js":
            return f"<script>{_leaflet()}</script>"
        if not name.startswith(_OURS):
            lacking.append(name)
        return ""

    def style(found: re.Match[str]) -> str:
        return f"<style>{_leaflet_css()}</style>" if found[1].endswith("/leaflet.css") else ""

    made = _STYLE.sub(style, _SCRIPT.sub(script, document))
    if not lacking:
        return made
    said = text(language, "lab", "map.lacking", names=", ".join(sorted(set(lacking))))
    note = f'<p style="position:relative;z-index:1000;margin:0;padding:8px;background:#fff3db">{html.escape(said)}</p>'
    return re.sub(r"(<body[^>]*>)", lambda found: found[1] + note, made, count=1)


@cache
def _leaflet() -> str:
    from civic_kernel.maps import vendor_text
    from civic_kernel.places import gu_shapes

    borders = [
        {"type": "Feature", "properties": {}, "geometry": _rounded(shape["geometry"])}
        for shape in gu_shapes()
    ]
    ours = (templates_root() / "lab" / "folium.js").read_text("utf-8")
    return f"{vendor_text('leaflet.js')}\n{ours}\ncivicMaps({json.dumps(borders, separators=(',', ':'))});"


@cache
def _leaflet_css() -> str:
    from civic_kernel.maps import vendor_text

    return vendor_text("leaflet.css") + _STYLES


def _rounded(geometry: dict[str, Any]) -> dict[str, Any]:
    """To ten metres: a background."""

    def shorter(part: Any) -> Any:
        return [shorter(one) for one in part] if isinstance(part, list | tuple) else round(part, 4)

    return {"type": geometry["type"], "coordinates": shorter(geometry["coordinates"])}


#: A colour scale's legend. branca's needs d3.
_LEGEND = """
{% macro script(this, kwargs) %}
    civicLegend({{ this._parent.get_name() }}, {{ this.caption | tojson }},
        {{ this.color_range[::5] | list | tojson }}, {{ this.color_domain[0] }}, {{ this.color_domain[-1] }},
        {{ this.tick_labels | list | tojson }});
{% endmacro %}
"""


@cache
def legend() -> Any:
    """Compiled once: the warm template does it for all kernels."""
    import jinja2

    return jinja2.Template(_LEGEND)


def patch_folium(language: Language) -> None:
    """From now on each figure of folium and branca renders without links, and shows in a frame without an origin."""
    from branca.colormap import ColorMap
    from branca.element import Figure

    if hasattr(Figure.render, "__wrapped__"):
        return
    render = Figure.render

    @wraps(render)
    def offline(self: Any, **kwargs: Any) -> str:
        return make_offline(render(self, **kwargs), language)

    def framed(self: Any, **kwargs: Any) -> str:
        title = html.escape(text(language, "lab", "map.title"))
        height = f"height:{self.height}" if self.height else f"aspect-ratio:100/{self.ratio.rstrip('%')}"
        document = html.escape(self.render(**kwargs))
        return (
            f'<iframe sandbox="allow-scripts" title="{title}" '
            f'style="width:{self.width};{height};border:0" srcdoc="{document}"></iframe>'
        )

    patched: Any = Figure
    patched.render, patched._repr_html_ = offline, framed
    ColorMap._template = legend()


def use_offline_maps(shell: InteractiveShell, language: Language) -> None:
    """Patch folium before the first cell that could use it, or before its first map is shown, without importing it."""

    def before(info: Any) -> None:
        if "branca.element" in sys.modules or "folium" in info.raw_cell:
            shell.events.unregister("pre_run_cell", before)
            patch_folium(language)

    def show(element: Any) -> Any:
        patch_folium(language)
        return element._repr_html_() if hasattr(element, "_repr_html_") else None

    shell.events.register("pre_run_cell", before)
    formatters: Any = shell.display_formatter
    formatters.formatters["text/html"].for_type_by_name("branca.element", "Element", show)
