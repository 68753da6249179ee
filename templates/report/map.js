/* What Leaflet lacks for a page that everyone can use: words, buttons, keyboard, a finger that scrolls. */
(() => {
  "use strict";
  const stage = document.querySelector(".cv-stage");
  const box = stage.querySelector(".leaflet-container");
  const map = window[box.id];

  box.setAttribute("role", "region");
  box.setAttribute("aria-label", stage.dataset.label);
  box.setAttribute("aria-describedby", stage.dataset.description);

  // One finger scrolls the page, two move the map: Leaflet's pinch pans too, and without its drag handler its
  // own style sheet leaves `touch-action: pan-x pan-y`. A mouse may drag.
  // Asked again when the answer changes: a tablet may be taken off its keyboard after the map was drawn.
  const coarse = matchMedia("(any-pointer: coarse)");
  const heed = () => {
    const fingers = navigator.maxTouchPoints > 0 || coarse.matches;
    map.dragging[fingers ? "disable" : "enable"]();
    document.documentElement.classList.toggle("cv-fingers", fingers);
  };
  coarse.addEventListener("change", heed);
  heed();

  const layers = [];
  map.eachLayer((layer) => { if (layer.feature && layer.getElement) layers.push(layer); });
  const home = L.featureGroup(layers).getBounds();
  let moved = false;
  const whole = () => {
    map.invalidateSize({ animate: false });
    // A frame that is not laid out yet has no size, and Leaflet would divide by it.
    if (map.getSize().x && map.getSize().y) map.fitBounds(home, { padding: [8, 8], animate: false });
    moved = false;
  };
  whole();
  const step = 120;
  const moves = {
    in: () => map.zoomIn(), out: () => map.zoomOut(), reset: whole,
    left: () => map.panBy([-step, 0], { animate: false }), right: () => map.panBy([step, 0], { animate: false }),
    up: () => map.panBy([0, -step], { animate: false }), down: () => map.panBy([0, step], { animate: false }),
  };
  stage.querySelectorAll("[data-move]").forEach((button) => {
    // Not Leaflet's: a click here must neither drag nor close a popup.
    L.DomEvent.disableClickPropagation(button);
    button.addEventListener("click", () => { moved = button.dataset.move !== "reset"; moves[button.dataset.move](); });
  });
  map.on("dragend", () => { moved = true; });
  // A turned phone or a printed page: show the whole city again, unless the reader chose a part of it.
  addEventListener("resize", () => { if (!moved) whole(); });
  addEventListener("beforeprint", whole);

  // The gu are one stop in the tab order; arrows go from one to the next, Enter opens what a click opens.
  const paths = layers.map((layer) => layer.getElement());
  const go = (to) => {
    const at = (to + paths.length) % paths.length;
    paths.forEach((path, i) => path.setAttribute("tabindex", i === at ? "0" : "-1"));
    paths[at].focus();
  };
  // folium binds popup and tooltip to the whole layer group, which listens to what its members fire.
  const open = (layer) => {
    layer.fire("mouseout", {}, true);
    layer.fire("click", { latlng: layer.getCenter() }, true);
  };
  layers.forEach((layer, i) => {
    const path = paths[i];
    path.setAttribute("tabindex", i === 0 ? "0" : "-1");
    path.setAttribute("role", "button");
    path.setAttribute("aria-label", layer.feature.properties.label);
    // Leaflet itself shows the tooltip on focus.
    path.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (by) go(i + by);
      else if (event.key === "Enter" || event.key === " ") open(layer);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  });
  // A thick outline is cut off by neighbours that are drawn later.
  layers.forEach((layer) => { if (layer.feature.properties.look.includes("cv-marked")) layer.bringToFront(); });

  // Leaflet listens for Escape only while the map itself has the focus.
  stage.addEventListener("keydown", (event) => { if (event.key === "Escape") map.closePopup(); });
  map.on("popupopen", (event) => {
    const close = event.popup.getElement().querySelector(".leaflet-popup-close-button");
    close?.setAttribute("aria-label", stage.dataset.close);
  });
  map.on("popupclose", (event) => {
    if (box.contains(document.activeElement)) event.popup._source?.getElement()?.focus();
  });
})();
