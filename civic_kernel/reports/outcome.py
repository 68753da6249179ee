"""What every way of running a notebook tells and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

#: Told before each code cell: what its author says of it (`metadata.civic`).
Began = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Outcome:
    """`failed` has `ename` and `evalue` where a cell raised: the notebook then ends with that cell's outputs."""

    executed: nbformat.NotebookNode
    failed: Mapping[str, str] | None = None
