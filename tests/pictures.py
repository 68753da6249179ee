"""Looking at a page: what every page of ours must be at both widths, and its picture for `docs/pictures`.

`make pictures` runs the tests that take a `Look` with `--pictures`; an ordinary run checks the same and keeps nothing.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page

FOLDER = Path(__file__).resolve().parents[1] / "docs/pictures"
WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
#: WCAG 2.2 AA.
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


@dataclass(frozen=True)
class Look:
    """Fixture `look`; call it when a page shows what a person would see."""

    keep: bool

    def __call__(self, page: Page, name: str, *, ours: bool = True, whole: bool = True) -> None:
        """At desk and phone width: no sideways scrolling, axe finds nothing; a picture of each as `name-desk.png`.

        `ours` False: somebody else's page (JupyterLab), which is only pictured, at the width that it has.
        """
        before = page.viewport_size
        for width, (wide, high) in WIDTHS.items() if ours else [("desk", WIDTHS["desk"])]:
            page.set_viewport_size({"width": wide, "height": high})
            if ours:
                over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                assert over <= 0, f"{name} scrolls sideways by {over} px at {width} width"
                found = Axe().run(page, options=RULES).response["violations"]
                assert not found, [(v["id"], [n["target"] for n in v["nodes"]]) for v in found]
            if self.keep:
                self._save(
                    page.screenshot(full_page=ours and whole, animations="disabled"), f"{name}-{width}.png"
                )
        if before:
            page.set_viewport_size(before)

    def _save(self, png: bytes, name: str) -> None:
        FOLDER.mkdir(exist_ok=True)
        # 64 colours are all that such a page has; a third of the bytes.
        small = Image.open(io.BytesIO(png)).convert("RGB").quantize(64)
        small.save(FOLDER / name, optimize=True)
