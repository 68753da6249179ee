"""What every way of running a notebook is told and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

import nbformat

from civic_kernel import errors
from civic_kernel.errors import CivicError

#: Told before each code cell: what its author says of it (`metadata.civic`).
Began = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Bounds:
    """What one run may take: seconds of the wall, bytes of memory; and `stop`, which another thread sets to end it."""

    seconds: int = 600
    #: A report with a map of all gu takes a fifth.
    memory: int = 700 * 2**20
    stop: Event | None = None

    def is_stopped(self) -> bool:
        return self.stop is not None and self.stop.is_set()


@dataclass(frozen=True)
class Outcome:
    """`executed` has the outputs of the cells that ran: all of them, unless there is `failed` or `fault`.

    `failed` has `ename` and `evalue` where a cell raised, `fault` says why the run itself ended; `executed` is None
    where not even its beginning arrived. `seconds` is the cells' own time, as the run tells it: for figures, not for
    decisions.
    """

    executed: nbformat.NotebookNode | None
    failed: Mapping[str, str] | None = None
    fault: CivicError | None = None
    seconds: float = 0.0


def refusal_named(ename: str) -> type[CivicError] | None:
    """The class of ours that a cell's exception is one of: its text is a sentence for people."""
    known = getattr(errors, ename, None)
    return known if isinstance(known, type) and issubclass(known, CivicError) else None


def without_traces(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """`notebook`, whose errors keep their kind alone: the rest of an exception may hold a value or a path. Changed in
    place."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.traceback = []
                if refusal_named(output.ename) is None:
                    output.evalue = ""
    return notebook
