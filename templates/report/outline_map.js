/* Buttons, keys and words for a map of lines or dots. Without this script all is drawn; only the choosing is gone. */
(() => {
  "use strict";
  const svg = document.querySelector(".cv-map svg");
  const readout = document.querySelector(".cv-readout");
  const features = [...svg.querySelectorAll(".cv-feature")];
  // Dots are drawn with the largest on top; the keyboard begins with it all the same.
  if (svg.querySelector(".cv-dot-one")) features.reverse();
  const hint = readout.textContent;
  let chosen = null;
  const say = (feature) => { readout.textContent = feature ? feature.getAttribute("aria-label") : hint; };
  const choose = (feature) => {
    chosen = chosen === feature ? null : feature;
    features.forEach((one) => one.setAttribute("aria-pressed", String(one === chosen)));
    say(chosen);
  };
  // The features are one stop in the tab order; arrows go from one to the next, the largest first.
  const go = (to) => {
    const at = (to + features.length) % features.length;
    features.forEach((one, i) => one.setAttribute("tabindex", i === at ? "0" : "-1"));
    features[at].focus();
  };
  features.forEach((feature, i) => {
    feature.addEventListener("pointerenter", () => say(feature));
    feature.addEventListener("pointerleave", () => say(chosen));
    feature.addEventListener("focus", () => say(feature));
    feature.addEventListener("blur", () => say(chosen));
    feature.addEventListener("click", () => choose(feature));
    feature.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (by) go(i + by);
      else if (event.key === "Enter" || event.key === " ") choose(feature);
      else if (event.key === "Escape" && chosen) choose(chosen);
      else return;
      event.preventDefault();
    });
  });

  const { width, height } = svg.viewBox.baseVal;
  let view = { x: 0, y: 0, zoom: 1 };
  const show = () => {
    const wide = width / view.zoom, high = height / view.zoom;
    // Never past the city: whoever moved too far would see nothing and no way back.
    view.x = Math.min(Math.max(view.x, 0), width - wide);
    view.y = Math.min(Math.max(view.y, 0), height - high);
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${wide} ${high}`);
    // Dots and words keep their size on the screen, so that those who hide each other come apart.
    svg.style.setProperty("--cv-zoom", view.zoom);
    document.documentElement.classList.toggle("cv-close", view.zoom > 1.5);
  };
  const zoom = (by) => {
    const before = view.zoom;
    view.zoom = Math.min(Math.max(before * by, 1), 6);
    view.x += width / 2 * (1 / before - 1 / view.zoom);
    view.y += height / 2 * (1 / before - 1 / view.zoom);
  };
  const pan = (x, y) => { view.x += x * width / view.zoom / 4; view.y += y * height / view.zoom / 4; };
  const moves = {
    in: () => zoom(1.5), out: () => zoom(1 / 1.5), reset: () => { view = { x: 0, y: 0, zoom: 1 }; },
    left: () => pan(-1, 0), right: () => pan(1, 0), up: () => pan(0, -1), down: () => pan(0, 1),
  };
  document.querySelectorAll("[data-move]").forEach((button) => {
    button.addEventListener("click", () => { moves[button.dataset.move](); show(); });
  });
  // On paper the whole city.
  addEventListener("beforeprint", () => { moves.reset(); show(); });
})();
