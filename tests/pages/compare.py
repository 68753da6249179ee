"""What a change did to the pages: how many numbers and how many pictures of each are not what they were.

What they were stands in `docs/pages`: for each page the tree that a screen reader gets (`make pictures` writes it), in
which every number of the page, its tables and its maps has a place, and a fingerprint of each drawing.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Frame

from civic_kernel.publish.blocks import BLOCK_MIME
from civic_kernel.reports.record import Run
from civic_kernel.texts import Language
from civic_kernel.verify.documents import sha256_hex

FOLDER = Path(__file__).resolve().parents[2] / "docs/pages"
_NUMBER = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Page:
    """One language's page: the trees of its frames under their titles, and its drawings' fingerprints by figure."""

    tree: str
    drawings: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    numbers: int
    pictures: int
    words: int

    def __bool__(self) -> bool:
        return bool(self.numbers or self.pictures or self.words)


def tree(frames: list[Frame]) -> str:
    parts = [frames[0].locator("body").aria_snapshot()]
    for frame in frames[1:]:
        title = frame.frame_element().get_attribute("title")
        parts.append(f"# frame: {title}\n{frame.locator('body').aria_snapshot()}")
    return "\n".join(parts) + "\n"


def drawings(run: Run, language: Language) -> dict[str, str]:
    found = {}
    for cell in run.executed.cells:
        for output in cell.get("outputs", []):
            block = output.get("data", {}).get(BLOCK_MIME, {})
            if block.get("drawing"):
                found[block["name"]] = sha256_hex(block["drawing"][language].encode())[:16]
    return found


def changed(before: Page, now: Page) -> Change:
    """A number or a line of words that came, went or became another counts as one, and so does a drawing."""
    names = before.drawings.keys() | now.drawings.keys()
    return Change(
        numbers=_differing(_numbers(before.tree), _numbers(now.tree)),
        pictures=sum(before.drawings.get(name) != now.drawings.get(name) for name in names),
        words=_differing(_worded(before.tree), _worded(now.tree)),
    )


def _numbers(spelled: str) -> list[str]:
    # A row's name is its cells' words over again.
    return _NUMBER.findall(re.sub(r'(?m)^(\s*- )(["\']?)row ".*?"(?=\2:|$)', r"\1row", spelled))


def _worded(spelled: str) -> list[str]:
    return [_NUMBER.sub("#", line) for line in spelled.splitlines()]


def _differing(before: list[str], now: list[str]) -> int:
    steps = difflib.SequenceMatcher(None, before, now, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in steps if kind != "equal")


def read(name: str, language: str) -> Page:
    """As it was. A page that was never kept has nothing in it, so all of it is new."""
    try:
        fingerprints = json.loads((FOLDER / "drawings.json").read_text("utf-8"))
        return Page(
            (FOLDER / f"{name}.{language}.yaml").read_text("utf-8"), fingerprints[f"{name}.{language}"]
        )
    except (OSError, KeyError):
        return Page("", {})


def keep(pages: Mapping[str, Page]) -> None:
    """`pages` by `report.language`: all that there are, and nothing of those that are no more."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.yaml"):
        path.unlink()
    for name, page in pages.items():
        (FOLDER / f"{name}.yaml").write_text(page.tree, "utf-8")
    fingerprints = {name: dict(sorted(page.drawings.items())) for name, page in sorted(pages.items())}
    (FOLDER / "drawings.json").write_text(json.dumps(fingerprints, indent=1) + "\n", "utf-8")
