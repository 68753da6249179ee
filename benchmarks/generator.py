"""Making the synthetic city: people, rides, accidents and truth, from nothing to a finished folder.

As CSV every ride is written twice, as the operator's file and as the public one, six months of them in cp949;
as Parquet once. What a machine with others at work on it cannot show in rows a second is in the processor time.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.city import SEED
from benchmarks.figures import Figure, at_least, median
from data_access.demo.city import Form, build_city

#: Rows a second on two cores.
BARS: dict[Form, float] = {"parquet": 1_000_000, "csv": 250_000}


def generator(rides: int, rounds: int) -> list[Figure]:
    figures: list[Figure] = []
    for form, bar in BARS.items():
        seconds, busy, size = [], [], 0
        for _ in range(rounds):
            with TemporaryDirectory(prefix="civic-bench-made-") as folder:
                began, worked = time.perf_counter(), time.process_time()
                files = build_city(Path(folder) / "city", rides=rides, seed=SEED, form=form)
                seconds.append(time.perf_counter() - began)
                busy.append(time.process_time() - worked)
                size = sum(path.stat().st_size for path in files.rides)
        figures += [
            at_least(f"city as {form}: rows", rides / median(seconds), "rows/s", bar, size="(on 2 cores)"),
            Figure(f"city as {form}: processor time of a million rows", median(busy) / rides * 1e6, "s"),
            Figure(f"city as {form}: size of a ride", size / rides, "bytes"),
        ]
    click.echo(f"{rides:,} rides, {rounds} rounds")
    return figures
