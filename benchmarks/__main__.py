"""`python -m benchmarks [NAME]`: all benchmarks, or one."""

from __future__ import annotations

from collections.abc import Callable

import click

from benchmarks.figures import Figure, publish
from benchmarks.load import load
from benchmarks.private import private

#: name → (rides, rounds) → figures. Each issue that promises a speed adds its own.
BENCHMARKS: dict[str, Callable[[int, int], list[Figure]]] = {"load": load, "private": private}


@click.command()
@click.argument("name", required=False, type=click.Choice(list(BENCHMARKS)))
@click.option("--rides", default=400_000, show_default=True, help="Size of the synthetic city.")
@click.option("--rounds", type=click.IntRange(min=1), help="Times each way is measured. [load 3, private 15]")
def main(name: str | None, rides: int, rounds: int | None) -> None:
    """Measure, print a table, write benchmarks/results/NAME.json."""
    for each in [name] if name else BENCHMARKS:
        figures = BENCHMARKS[each](rides, rounds or {"load": 3}.get(each, 15))
        click.echo(publish(each, figures))


if __name__ == "__main__":
    main()
