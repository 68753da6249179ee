"""What all maps share: the drawn document, classes of colour and their legend."""

from __future__ import annotations

import html
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from civic_kernel.figures import short, with_unit
from civic_kernel.texts import Language, text

#: Classes of colour. Five, because more cannot be told apart beside each other (Brewer & Pickle 2002).
CLASSES = 5
#: A frame cannot fit itself to its content: high enough for Seoul and its legend, on a phone as on a desk.
_HEIGHT = "clamp(430px,75vw,540px)"

#: key of the text -> (what the map's script does, sign on the button), in tab order.
BUTTONS = {
    "zoom_in": ("in", "+"),
    "zoom_out": ("out", "−"),
    "pan_left": ("left", "←"),
    "pan_up": ("up", "↑"),
    "pan_down": ("down", "↓"),
    "pan_right": ("right", "→"),
    "reset": ("reset", "⟲"),
}


def map_words(language: Language, *keys: str) -> dict[str, str]:
    """What a map's buttons and legend say, and the sentences `keys`."""
    return {key: text(language, "kernel", f"map.{key}") for key in (*BUTTONS, "controls", "legend", *keys)}


@dataclass(frozen=True)
class Map:
    """One drawn map: `document` is a whole HTML page for an `<iframe sandbox="allow-scripts" srcdoc=…>`."""

    document: str
    title: str
    alt: str | None

    def iframe(self) -> str:
        """The frame as it goes into a page. Scripts run, but without the page's origin."""
        return (
            f'<iframe sandbox="allow-scripts" title="{html.escape(self.title)}" '
            f'style="width:100%;height:{_HEIGHT};border:0" '
            f'srcdoc="{html.escape(self.document)}"></iframe>'
        )

    def _repr_html_(self) -> str:
        return self.iframe()


def class_edges(values: list[float], digits: int) -> list[float]:
    """Upper-exclusive borders of at most five classes of one round width.

    Equal widths rather than equal numbers of gu: with 22 gu alike and three at twice their value, equal numbers
    put a gu of 141 into one colour with one of 290 and another of 139 into the next.
    """
    if not values or max(values) <= min(values):
        return []
    low, high = min(values), max(values)
    step = float(np.ceil((high - low) / (CLASSES - 1) * 10**digits) / 10**digits)
    size = 10 ** np.floor(np.log10(step))
    width = float(next(size * part for part in (1, 2, 2.5, 5, 10) if size * part >= step))
    width = max(width, 10.0**-digits)
    first = np.floor(low / width) + 1
    return [float(np.round(n * width, 6)) for n in np.arange(first, np.ceil(high / width))]


def class_of(value: float, edges: list[float]) -> int:
    """0 to 4; where there are fewer classes the palest are used first, the darkest last."""
    step = sum(value >= edge for edge in edges)
    return round(step * (CLASSES - 1) / max(len(edges), 1))


def legend(edges: list[float], digits: int, unit: str, language: Language) -> list[tuple[int, str]]:
    """(class, words), lowest first."""
    if not edges:
        return []
    said = [short(edge, digits, language) for edge in edges]
    words = [f"< {with_unit(said[0], unit)}"]
    words += [
        with_unit(text(language, "kernel", "map.range", low=a, high=b), unit) for a, b in pairwise(said)
    ]
    words.append(f"≥ {with_unit(said[-1], unit)}")
    return [(round(i * (CLASSES - 1) / len(edges)), w) for i, w in enumerate(words)]
