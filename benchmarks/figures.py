"""Figures with their bars, as a table for people and as a file for machines."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Figure:
    """One number. `bar` is what it should reach, in words; None where it is only told."""

    figure: str
    value: float
    unit: str
    bar: str | None = None
    met: bool | None = None


def at_most(figure: str, value: float, unit: str, bar: float, *, size: str = "") -> Figure:
    """`size` names what the bar was set for; `met` is said of this run, whatever its size."""
    return Figure(figure, value, unit, f"≤ {bar:g} {size}".rstrip(), value <= bar)


def at_least(figure: str, value: float, unit: str, bar: float, *, size: str = "") -> Figure:
    return Figure(figure, value, unit, f"≥ {_number(bar)} {size}".rstrip(), value >= bar)


def machine() -> dict[str, Any]:
    """What a reader needs to compare the figures with her own."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        # Others at work on the same machine lengthen both sides of a ratio, but not always alike.
        "load_average": round(os.getloadavg()[0], 1),
    }


def interleaved(ways: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of each call, A B A B …, `rounds` times; one list for each way."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, found in zip(ways, seconds, strict=True):
            began = time.perf_counter()
            way()
            found.append(time.perf_counter() - began)
    return seconds


def median(seconds: Sequence[float]) -> float:
    return statistics.median(seconds)


def publish(name: str, figures: Sequence[Figure], *, results: Path = RESULTS) -> Path:
    """Print the table and write `NAME.json`; its path."""
    here = machine()
    table = Table(title=f"{name} · {', '.join(f'{key} {value}' for key, value in here.items())}")
    for heading in ("figure", "value", "unit", "bar", "met"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for figure in figures:
        met = {None: "", True: "yes", False: "NO"}[figure.met]
        table.add_row(figure.figure, _number(figure.value), figure.unit, figure.bar or "", met)
    Console(width=120).print(table)
    return write(name, {"machine": here, "figures": [asdict(figure) for figure in figures]}, results)


def write(name: str, document: object, results: Path = RESULTS) -> Path:
    results.mkdir(exist_ok=True)
    path = results / f"{name}.json"
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return path


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
