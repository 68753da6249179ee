/* What folium's scripts use of libraries that are not here, and what stands in for tiles from the internet. */
function civicMaps(borders) {
  "use strict";
  // jQuery: folium makes elements from text, and waits for the document.
  window.$ = window.jQuery = function (what) {
    if (what === document) {
      return { ready: function (act) { document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", act) : act(); } };
    }
    var made = document.createElement("template");
    made.innerHTML = String(what).trim();
    return Array.prototype.slice.call(made.content.children);
  };

  // Markers: a drawn pin; the pictures of Leaflet's own and of Awesome Markers lie on other people's servers.
  var COLOURS = {
    lightred: "#ff8e7f", darkgreen: "#728224", lightgreen: "#bbf970", cadetblue: "#436978", lightblue: "#8adaff",
    darkpurple: "#5b396b", beige: "#ffcb92", lightgray: "#a3a3a3"
  };
  function pin(colour) {
    var fill = COLOURS[colour] || colour || "#256ef4";
    return L.divIcon({
      className: "", iconSize: [26, 36], iconAnchor: [13, 35], popupAnchor: [0, -32], tooltipAnchor: [10, -22],
      html: '<svg width="26" height="36" viewBox="0 0 26 36" aria-hidden="true"><path d="M13 1C6 1 1 6 1 13c0 8 12 22 12 22s12-14 12-22C25 6 20 1 13 1z" stroke="#1e2124"/><circle cx="13" cy="13" r="4.5" fill="#fff"/></svg>'
        .replace("<path", '<path fill="' + String(fill).replace(/[^\w#(),.% -]/g, "") + '"')
    });
  }
  L.Marker.prototype.options.icon = pin();
  L.AwesomeMarkers = { icon: function (options) { return pin(options.markerColor); } };

  // Tiles: the borders of the gu. One layer for each tile layer that was wished for, so that layer controls work.
  function background() {
    var layer = L.geoJSON({ type: "FeatureCollection", features: borders }, {
      interactive: false, pane: "tilePane", style: { color: "#8a949e", weight: 1, fillColor: "#f4f5f6", fillOpacity: 1 }
    });
    layer.setUrl = layer.setParams = function () { return layer; };
    return layer;
  }
  L.tileLayer = background;
  L.tileLayer.wms = background;
}

/* The legend of a colour scale: `colours` from `low` to `high`, words at those ticks that are numbers. */
function civicLegend(map, caption, colours, low, high, ticks) {
  "use strict";
  var control = L.control({ position: "topright" });
  control.onAdd = function () {
    var box = L.DomUtil.create("div", "legend");
    box.style.cssText = "background:#fff;color:#1e2124;padding:6px 14px;width:min(360px,70vw);border-radius:4px";
    var bar = L.DomUtil.create("div", "", box);
    var stops = colours.map(function (colour, i) {
      return colour + " " + (100 * i / colours.length) + "% " + (100 * (i + 1) / colours.length) + "%";
    });
    bar.style.cssText = "height:12px;background:linear-gradient(to right," + stops.join(",") + ")";
    var scale = L.DomUtil.create("div", "", box);
    scale.style.cssText = "position:relative;height:18px;font-size:12px";
    ticks.filter(function (tick) { return tick !== "" && isFinite(tick); }).forEach(function (tick) {
      var word = L.DomUtil.create("span", "", scale);
      word.textContent = Number(tick).toLocaleString();
      word.style.cssText = "position:absolute;transform:translateX(-50%);left:" + (100 * (tick - low) / ((high - low) || 1)) + "%";
    });
    L.DomUtil.create("div", "", box).textContent = caption || "";
    return box;
  };
  // A scale may stand in a map or in a layer that has been added to one.
  control.addTo(map.addControl ? map : map._map);
}
