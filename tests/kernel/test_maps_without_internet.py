"""folium's own maps, as anybody writes them, drawn in a browser that may fetch nothing at all."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import branca.colormap
import folium
import pandas as pd
import pytest
from branca.element import Figure
from folium.plugins import MarkerCluster
from playwright.sync_api import Browser

from civic_kernel.kernel.offline_maps import patch_folium
from civic_kernel.places import gu_shapes
from civic_kernel.texts import LANGUAGES, text
from tests.pictures import Look


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    before = Figure.render, Figure._repr_html_, branca.colormap.ColorMap._template
    patch_folium("en")
    yield
    Figure.render, Figure._repr_html_, branca.colormap.ColorMap._template = before


def everyday_map() -> Any:
    """Tiles, markers of both kinds, popup, tooltip, choropleth with its legend, circle, layer control."""
    chart = folium.Map([37.55, 126.99], zoom_start=11)
    counts = pd.DataFrame({"gu": [s["id"] for s in gu_shapes()], "n": range(len(gu_shapes()))})
    folium.Choropleth(
        {"type": "FeatureCollection", "features": gu_shapes()},
        data=counts, columns=["gu", "n"], key_on="feature.id", legend_name="Rides", name="gu",
    ).add_to(chart)  # fmt: skip
    folium.Marker([37.56, 126.97], popup="<b>City hall</b>", tooltip="here").add_to(chart)
    folium.Marker([37.52, 127.02], icon=folium.Icon(color="red", icon="info-sign")).add_to(chart)
    folium.CircleMarker([37.58, 127.0], radius=8).add_to(chart)
    folium.LayerControl().add_to(chart)
    return chart


def document_of(chart: Any) -> str:
    return html.unescape(re.search(r'srcdoc="(.*?)"></iframe>', chart._repr_html_(), re.DOTALL)[1])  # type: ignore[index]


def test_a_map_and_a_saved_map_name_no_other_host_to_load_from(tmp_path: Path) -> None:
    chart = everyday_map()
    chart.save(tmp_path / "map.html")
    for document in (document_of(chart), (tmp_path / "map.html").read_text("utf-8")):
        assert not re.search(r"""<(?:script|link|img)[^>]*(?:src|href)\s*=""", document)
        assert "L.AwesomeMarkers" in document


def test_what_a_plugin_lacks_is_said_on_the_map() -> None:
    chart = folium.Map([37.55, 126.99])
    MarkerCluster().add_to(chart)
    # In the language of whichever kernel of this process patched folium first.
    said = [text(language, "lab", "map.lacking", names="leaflet.markercluster.js") for language in LANGUAGES]
    assert any(sentence in document_of(chart) for sentence in said)
    plain = [sentence.partition("leaflet")[0] for sentence in said if not sentence.startswith("leaflet")]
    assert plain and not any(start in document_of(everyday_map()) for start in plain)


@pytest.mark.browser
def test_everything_that_is_common_on_a_map_is_drawn(chromium: Browser, look: Look) -> None:
    page = chromium.new_page(viewport={"width": 900, "height": 620})
    asked: list[str] = []
    said: list[str] = []

    def refuse(route: Any) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*", refuse)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_content(everyday_map()._repr_html_())
    frame = page.frame_locator("iframe")
    frame.locator("path.leaflet-interactive").nth(25).wait_for(state="attached")
    assert frame.locator(".leaflet-tile-pane path").count() == 25
    assert frame.locator(".leaflet-marker-icon svg").count() == 2
    assert "Rides" in frame.locator(".legend").inner_text()
    frame.locator(".leaflet-marker-icon").first.click()
    frame.get_by_text("City hall").wait_for()
    assert asked == [] and said == []
    look(page, "map-offline", ours=False)
    page.close()
