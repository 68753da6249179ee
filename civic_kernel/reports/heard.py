"""What a run tells of itself, put together again by whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nbformat

from civic_kernel.errors import CivicError
from civic_kernel.reports.outcome import Began, Outcome


class Heard:
    """The notebook as its run tells it. Its cells come first, before any of them has run and could change a word of
    them; then outputs, cell by cell, in order."""

    def __init__(self, began: Began) -> None:
        self._began = began
        self._notebook: nbformat.NotebookNode | None = None
        self._at = -1
        self._failed: Mapping[str, str] | None = None
        self._seconds = 0.0

    def hear(self, told: dict[str, Any]) -> bool:
        """Whether that was the last. Raises ValueError and its kin for what is not in the form."""
        if self._notebook is None:
            self._notebook = nbformat.reads(told["notebook"], as_version=4)
        elif "begins" in told:
            cell = self._cell(told["begins"])
            if told["begins"] <= self._at:
                raise ValueError("a cell ran twice")
            self._at = told["begins"]
            self._began(cell.metadata.get("civic", {}))
        elif "ended" in told:
            if told["ended"] != self._at:
                raise ValueError("a cell ended that did not run")
            cell = self._cell(self._at)
            cell.outputs = [nbformat.from_dict(output) for output in told["outputs"]]
            cell.execution_count = int(told["count"])
            self._seconds += float(told["seconds"])
        else:
            failed = told["failed"]
            self._failed = (
                None if failed is None else {"ename": str(failed["ename"]), "evalue": str(failed["evalue"])}
            )
            nbformat.validate(self._notebook)
            return True
        return False

    def outcome(self, fault: CivicError | None) -> Outcome:
        notebook = self._notebook
        if fault is not None and notebook is not None:
            try:
                nbformat.validate(notebook)
            except nbformat.ValidationError:
                notebook = None
        return Outcome(notebook, self._failed, fault, self._seconds)

    def _cell(self, index: int) -> nbformat.NotebookNode:
        assert self._notebook is not None
        cell = self._notebook.cells[index]
        if index < 0 or cell.cell_type != "code":
            raise ValueError("no cell that runs")
        return cell
