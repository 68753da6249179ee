"""What a person takes home: her notebook, and a page of it that opens without internet, both marked as unreviewed.

No release: nobody checked or signed it. The screen looks all the same, since a file that is at home is out: an output
in which it finds something is left out and said to be; a key or token in the code itself is refused, because only its
author can say what the line means without it.
"""

from __future__ import annotations

import copy
import html
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import nbformat
import nh3

from civic_kernel.publish import look, screen
from civic_kernel.publish.exporter import render
from civic_kernel.texts import Language, text

#: A drawing or a map inside an output. Both are whole documents of their own, which a cleaner of tables would ruin.
_DRAWN = re.compile(
    r"<iframe\b[^>]*?\bsrcdoc=(?P<quote>[\"'])(?P<frame>.*?)(?P=quote)[^>]*>.*?</iframe>|<svg\b.*?</svg>",
    re.DOTALL | re.IGNORECASE,
)
#: folium's own random ids, which look like tokens.
_RANDOM_ID = re.compile(r"_[0-9a-f]{32}\b")
_PICTURES = ("image/png", "image/jpeg")
_TAGS = frozenset(
    """
    p br hr div span strong b em i u s sub sup small code pre blockquote ul ol li dl dt dd h3 h4 h5 h6
    table caption thead tbody tfoot tr th td figure figcaption
    """.split()  # noqa: SIM905
)
#: Of a notebook's date, so that the same notebook gives the same file.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass
class Page:
    """What the page shows: `cells` are lists of parts, `{"kind": …, …}`; `left_out` counts outputs."""

    title: str
    cells: list[list[dict[str, Any]]] = field(default_factory=list)
    left_out: int = 0
    made_up: bool = False
    scripts: list[str] = field(default_factory=list)


def make_bundle(raw: Mapping[str, Any], name: str, language: Language, known: screen.Known) -> bytes:
    """A ZIP with `NAME.ipynb` and `NAME.html`. Raises ScreenRefused for a key or token in a cell's own text."""
    notebook = nbformat.from_dict(copy.deepcopy(dict(raw)))
    page = Page(name)
    for number, cell in enumerate(notebook.cells, start=1):
        if screen.reason_in_text(cell.source, known) == "token":
            screen.refuse("token", text(language, "report", "screen.cell", number=number), language)
        page.cells.append(_parts(cell, page, language, known))
    notebook.metadata.pop("widgets", None)
    mark = nbformat.v4.new_markdown_cell(text(language, "report", "unreviewed.mark"), id="civic-unreviewed")
    # Taken home twice it is marked once.
    notebook.cells = [mark, *(cell for cell in notebook.cells if cell.get("id") != mark["id"])]
    document = render(notebook, language, "unreviewed", {"page": page, "title": name}, page.scripts)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for suffix, content in (
            ("html", document),
            ("ipynb", json.dumps(notebook, ensure_ascii=False, indent=1)),
        ):
            bundle.writestr(zipfile.ZipInfo(f"{name}.{suffix}", _NO_DATE), content.encode())
    return packed.getvalue()


def _parts(cell: Any, page: Page, language: Language, known: screen.Known) -> list[dict[str, Any]]:
    """What the page shows of `cell`; takes outputs out of it that may not go home."""
    if cell.cell_type != "code":
        return [{"kind": "prose", "words": cell.source}] if cell.cell_type == "markdown" else []
    parts: list[dict[str, Any]] = [{"kind": "code", "words": cell.source}] if cell.source.strip() else []
    kept = []
    for output in cell.outputs:
        if output.output_type == "error":
            # Its traceback names folders of the workspace; that there was an error is part of the work.
            parts.append({"kind": "error", "words": f"{output.ename}"})
            continue
        if any(screen.reason_in_text(_readable(words), known) for words in _texts(output)):
            page.left_out += 1
            parts.append({"kind": "left_out"})
            continue
        kept.append(output)
        shown = list(_shown(output, page))
        parts += shown
        page.made_up = page.made_up or any(
            text(spoken, "kernel", "frame.made_up") in words
            for spoken in ("ko", "en")
            for words in _texts(output)
        )
    cell.outputs = kept
    return parts


def _texts(output: Any) -> Iterator[str]:
    if output.output_type == "stream":
        yield _joined(output.text)
        return
    for kind, content in output.get("data", {}).items():
        if not kind.startswith("image/") or kind == "image/svg+xml":
            yield _joined(content) if isinstance(content, str | list) else json.dumps(content)


def _readable(words: str) -> str:
    """What the screen looks at: markup of frames read as their browser reads it, without what is known."""
    return _RANDOM_ID.sub("", screen.without_vendor(html.unescape(words)))


def _shown(output: Any, page: Page) -> Iterator[dict[str, Any]]:
    """The best of an output's forms that a page without network can show."""
    if output.output_type == "stream":
        yield {"kind": "text", "words": _joined(output.text)}
        return
    data = output.data
    picture = next((kind for kind in _PICTURES if kind in data), None)
    if "text/html" in data:
        yield from _html_parts(_joined(data["text/html"]), page)
    elif picture:
        yield {
            "kind": "picture",
            "address": f"data:{picture};base64,{''.join(_joined(data[picture]).split())}",
        }
    elif "image/svg+xml" in data:
        yield from _html_parts(_joined(data["image/svg+xml"]), page)
    elif "text/markdown" in data:
        yield {"kind": "prose", "words": _joined(data["text/markdown"])}
    elif "text/plain" in data:
        yield {"kind": "text", "words": _joined(data["text/plain"])}


def _html_parts(markup: str, page: Page) -> Iterator[dict[str, Any]]:
    """Tables and words cleaned; drawings as they are, maps in frames without an origin and under the page's policy."""
    at = 0
    for found in _DRAWN.finditer(markup):
        yield from _clean(markup[at : found.start()])
        at = found.end()
        if found["frame"] is not None:
            document = html.unescape(found["frame"])
            page.scripts += look.inline_scripts(document)
            yield {"kind": "map", "document": document}
        elif screen.reason_in_drawing(found[0], "chart") is None:
            yield {"kind": "drawing", "markup": found[0]}
    yield from _clean(markup[at:])


def _clean(markup: str) -> Iterator[dict[str, Any]]:
    cleaned = nh3.clean(
        markup, tags=set(_TAGS), attributes={"th": {"colspan", "rowspan", "scope"}, "td": {"colspan"}}
    )
    # pandas leaves the corner over its index a heading without words, which a screen reader would read out.
    cleaned = re.sub(r"<th[^>]*>\s*</th>", "<td></td>", cleaned)
    if cleaned.strip():
        yield {"kind": "html", "markup": cleaned, "is_table": "<table" in cleaned}


def _joined(content: Any) -> str:
    return content if isinstance(content, str) else "".join(content)
