"""Small notebooks with their declarations, and a gateway over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from civic_kernel.settings import Settings, Token
from tests.reports import standin

Write = Callable[..., Path]


@pytest.fixture
def gateway() -> standin.Gateway:
    return standin.Gateway(standin.RIDES, standin.ACCIDENTS)


@pytest.fixture
def settings(gateway: standin.Gateway) -> Iterator[Settings]:
    with standin.serving(gateway) as url:
        yield Settings(url, "site", "safety", "en", Token(standin.TOKEN))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("print(1)", …)`: a notebook of these cells that declares one parameter, `year`."""

    def make(*sources: str) -> Path:
        cells = [nbformat.v4.new_code_cell("year = 2026", metadata={"tags": ["parameters"]})]
        for number, source in enumerate(sources, start=1):
            title = {"ko": f"{number}째 일", "en": f"step {number}"}
            cells.append(nbformat.v4.new_code_cell(source, metadata={"civic": {"title": title}}))
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path = tmp_path / "small.ipynb"
        path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel)), "utf-8")
        words = {"ko": "해", "en": "Year"}
        year = {"type": "integer", "minimum": 2000, "default": 2026, "label": words, "help": words}
        schema = {
            "title": "small",
            "version": 1,
            "label": {"ko": "작은 보고서", "en": "A small report"},
            "type": "object",
            "additionalProperties": False,
            "properties": {"year": year},
        }
        path.with_suffix(".schema.json").write_text(json.dumps(schema), "utf-8")
        return path

    return make
