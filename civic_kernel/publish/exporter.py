"""Notebook → HTML with templates of our own: code is absent from the report page, present on the method page.

nbconvert's stock template was not restyled but replaced: it links require.js, MathJax, mermaid and the widget
manager from other people's servers, hides code instead of leaving it out, and gives images without a text
alternative a sentence that satisfies a checker and no reader.
"""

from __future__ import annotations

import html
import re
from functools import partial
from typing import Any, Literal

import nbformat
from nbconvert.exporters import HTMLExporter, TemplateExporter
from traitlets.config import Config

from civic_kernel.publish import checking, layout, look
from civic_kernel.texts import Language, templates_root, text

Kind = Literal["index", "method", "unreviewed"]


class ReportExporter(HTMLExporter):
    """`from_notebook_node(notebook, resources)` whose templates get `page` and `nb`."""

    def __init__(self, language: Language, kind: Kind) -> None:
        self._language = language
        root = templates_root()
        super().__init__(
            config=Config(
                HTMLExporter={
                    "template_name": "report",
                    "template_file": f"{kind}.html.j2",
                    "extra_template_basedirs": [str(root)],
                    "extra_template_paths": [str(root / "report"), str(root / "citizen")],
                    "language_code": language,
                    "embed_images": False,
                    # None of nbconvert's changes a word of a page of ours, and each has the whole notebook validated.
                    "default_preprocessors": [],
                }
            )
        )

    def default_filters(self) -> Any:
        yield from super().default_filters()
        yield "prose", prose

    def _create_environment(self) -> Any:
        environment = super()._create_environment()
        # nbconvert leaves escaping off; here only `| safe` may pass, on drawings that the screen has read.
        environment.autoescape = True
        environment.trim_blocks = True
        environment.bytecode_cache = layout.COMPILED
        environment.globals["t"] = partial(text, self._language, "report")
        return environment

    def render(self, notebook: nbformat.NotebookNode, page: dict[str, Any], scripts: list[str]) -> str:
        """The page as text. `scripts` are those of the frames in it; the page's own is added here."""
        own, beside = "", []
        if self.template_file == "index.html.j2":
            own = look.script()
        elif self.template_file == "method.html.j2":
            # `file:` is what a browser calls the page's own folder once the page lies on a disk.
            own, beside = checking.script(), ["'self'", "file:"]
        context = {
            "page": page,
            "language": self._language,
            "styles": look.styles(),
            "script": own,
            "policy": look.content_policy([*([own] if own else []), *scripts], beside),
        }
        self.environment.globals.update(context)
        # Cells alone: the drawings in their outputs come with `page`, and nbconvert copies a notebook four times.
        # Not by HTMLExporter's own, which puts the page through a parser to give nameless pictures a sentence.
        cells = [cell | {"outputs": []} if "outputs" in cell else cell for cell in notebook.cells]
        body, _ = TemplateExporter.from_notebook_node(self, nbformat.from_dict({**notebook, "cells": cells}))
        # Not tidied afterwards: a script without its blank lines has not the hash that the policy names.
        return str(body).strip() + "\n"


def render(
    notebook: nbformat.NotebookNode,
    language: Language,
    kind: Kind,
    page: dict[str, Any],
    scripts: list[str] | None = None,
) -> str:
    return ReportExporter(language, kind).render(notebook, page, scripts or [])


def prepare() -> None:
    """For processes that are forked: each would compile templates and schema and read styles and scripts anew."""
    exporter = ReportExporter("ko", "index")
    for name in ("index", "method"):
        exporter.environment.get_template(f"{name}.html.j2")
    for relaxed in (False, True):  # as nbformat reads, and as nbconvert asks
        nbformat.validate(nbformat.v4.new_notebook(), relax_add_props=relaxed)
    look.styles(), look.script(), look.vendor_texts(), checking.script(), prose("")


def prose(markdown: str, level: int = 3) -> str:
    """A markdown cell as HTML, without any HTML of its own, each heading of this level: under the page's h2, or h1."""
    import nh3
    from markdown_it import MarkdownIt

    rendered = MarkdownIt("commonmark", {"html": False}).render(markdown)
    lowered = re.sub(r"<(/?)h[1-6]>", rf"<\1h{level}>", rendered)
    return nh3.clean(
        lowered,
        tags={"p", f"h{level}", "ul", "ol", "li", "em", "strong", "code", "pre", "blockquote", "br"},
        attributes={},
    )


def literals(notebook: nbformat.NotebookNode) -> list[str]:
    """Numbers that stand in the code, in order, each once: what did not come from an answer.

    Found in the syntax tree, not by a pattern, so that a number hidden in `1_000` or `-0.5` is seen too; and
    in texts, where a sentence could claim what no answer says. 0, 1 and 2 stay out: they only count.
    """
    import ast

    found: dict[str, None] = {}
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and type(node.value) in (int, float)
                and node.value not in (0, 1, 2)
            ):
                found[repr(node.value)] = None
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                for part in re.findall(r"(?<![\w.{:-])\d[\d,]*(?:\.\d+)?(?![\w}-])", node.value):
                    found[part] = None
    return [html.unescape(part) for part in found]
