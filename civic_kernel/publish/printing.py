"""A release on paper and in a link's preview: a tagged PDF and a picture of each language's page.

They are files of the release as all others: approved by their fingerprints, made once. The same page, browser and
fonts give the same bytes; another version of the browser gives a release of its own.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from civic_kernel.publish.browser import Browser, NoBrowser
from civic_kernel.texts import Language

#: What social networks ask for.
CARD: Final = (1200, 630)

#: On paper nothing can be pressed, and the files beside the page are not there; where they lay while it was printed is
#: this machine's business.
_LOOSE: Final = """for (const link of document.querySelectorAll("a[href]")) {
  if (!/^(#|https?:)/.test(link.getAttribute("href"))) link.removeAttribute("href");
}
for (const button of document.querySelectorAll("th button")) button.replaceWith(...button.childNodes);"""

#: A map's frame gives way to its picture: what a frame draws while the page is printed, and whether it is tagged,
#: changes from time to time. Its title, the hand-written alternative, becomes the picture's.
_STILL: Final = """Promise.all([...document.querySelectorAll(".drawing.map iframe")].map((frame, place) => {
  const still = new Image();
  still.alt = frame.title;
  still.src = "data:image/png;base64," + %s[place];
  still.style.width = "100%%";
  frame.replaceWith(still);
  return still.decode();
}))"""
_FRAME: Final = re.compile(r"""\ssrcdoc=(?:'[^']*'|"[^"]*")""")
#: A4 without the margins of page.css, in CSS pixels; and a map in it.
_SHEET: Final = (680, 1009)
_MAP: Final = (640, 420)

_STREAM: Final = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_MAP_PART: Final = re.compile(rb"beginbf(char|range)(.*?)endbf", re.DOTALL)
_HEX: Final = re.compile(rb"<([0-9A-Fa-f]+)>")
_ELEMENT: Final = re.compile(rb"node\d{8}(?=\))")
_DATE: Final = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}[^)]*\)")


class Unprintable(Exception):
    """This machine lacks something; `reason` is `browser` or `font`."""

    def __init__(self, reason: Literal["browser", "font"]) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Sheet:
    """What is printed of one language: its page, the documents of the maps in it, the preview, and words that a reader
    must be able to read in the PDF."""

    page: str
    maps: Sequence[str]
    card: str
    words: str


class Paper:
    """Prints releases. `lacking` afterwards: why the last one has no PDF and no picture, or None."""

    def __init__(self, browser: Callable[[], Browser] = Browser) -> None:
        self._browser = browser
        self.lacking: str | None = None

    def print(self, sheets: Mapping[Language, Sheet], moment: str) -> dict[str, bytes]:
        """Path → bytes of `report.pdf` and `card.png` of each language. Raises Unprintable.

        `moment` (2026-11-23T13:40:00Z) is the PDF's date, where the browser puts the present one.
        """
        made: dict[str, bytes] = {}
        self.lacking = None
        try:
            with self._browser() as browser:
                for language in sorted(sheets):
                    made[f"{language}/report.pdf"] = _settled(_pdf(browser, sheets[language]), moment)
                    browser.open(sheets[language].card, *CARD)
                    made[f"{language}/card.png"] = browser.picture()
        except NoBrowser:
            self.lacking = "browser"
            raise Unprintable("browser") from None
        except Unprintable as fault:
            self.lacking = fault.reason
            raise
        return made


def _pdf(browser: Browser, sheet: Sheet) -> bytes:
    stills = []
    for document in sheet.maps:
        browser.open(document, *_MAP, media="print", scale=2)
        stills.append(base64.b64encode(browser.picture()).decode("ascii"))
    browser.open(_FRAME.sub("", sheet.page), *_SHEET, media="print")
    browser.run(_STILL % json.dumps(stills))
    browser.run(_LOOSE)
    printed = browser.pdf()
    # A browser without a font for Hangul prints empty boxes and says nothing.
    if not set("".join(sheet.words.split())) <= readable_letters(printed):
        raise Unprintable("font")
    if b"file:" in printed:  # a folder of this machine, in a form that _LOOSE does not know
        raise Unprintable("browser")
    return printed


def readable_letters(pdf: bytes) -> set[str]:
    """The letters that the fonts in a PDF of Chromium's draw, by its own tables from shapes to letters.

    A shape that stands for "no such letter" is in no table (PDF 32000-1, 9.10.3).
    """
    letters: set[str] = set()
    for stream in _STREAM.finditer(pdf):
        try:
            plain = zlib.decompress(stream[1])
        except zlib.error:
            continue  # a picture, or not compressed
        for kind, part in _MAP_PART.findall(plain):
            codes = [bytes.fromhex(code.decode()) for code in _HEX.findall(part)]
            if kind == b"char":
                for spelled in codes[1::2]:
                    letters.update(spelled.decode("utf-16-be", "replace"))
            else:
                for first, last, start in zip(codes[0::3], codes[1::3], codes[2::3], strict=False):
                    many = int.from_bytes(last, "big") - int.from_bytes(first, "big")
                    begin = int.from_bytes(start, "big")
                    letters.update(chr(begin + step) for step in range(many + 1))
    return letters


def _settled(pdf: bytes, moment: str) -> bytes:
    """Without what differs from one printing to the next: the moment, and the numbers of the tagged elements, which
    the browser counts through all that it ever showed. With as many bytes: a PDF's own table counts them.
    """
    plain = re.sub(r"\D", "", moment).encode()

    def spell(found: re.Match[bytes]) -> bytes:
        spelled = b"/%s (D:%s+00'00')" % (found[1], plain)
        if len(spelled) != len(found[0]):
            raise Unprintable("browser")
        return spelled

    # In the same order as before, since the PDF's list of them is sorted.
    numbers = {old: b"node%08d" % place for place, old in enumerate(sorted(set(_ELEMENT.findall(pdf))), 1)}
    return _ELEMENT.sub(lambda found: numbers[found[0]], _DATE.sub(spell, pdf))
