"""`python -m benchmarks [NAME]`: all benchmarks, or one."""

from __future__ import annotations

from collections.abc import Callable

import click

from benchmarks.figures import Figure, publish
from benchmarks.first_load import first_load
from benchmarks.gateway import gateway
from benchmarks.generator import generator
from benchmarks.kernels import kernels
from benchmarks.load import load
from benchmarks.private import private
from benchmarks.reports import reports
from benchmarks.seats import SEATS, seats

#: name → (rides, rounds) → figures. Each issue that promises a speed adds its own.
BENCHMARKS: dict[str, Callable[[int, int], list[Figure]]] = {
    "city": generator,
    "first-load": lambda _rides, _rounds: first_load(),
    "gateway": gateway,
    "kernels": lambda _rides, rounds: kernels(rounds),
    "load": load,
    "private": private,
    "reports": reports,
    # Nobody rides here: the number is of people.
    "seats": lambda _rides, seats_or_rounds: seats(seats_or_rounds),
}
#: Where 400,000 rides and 15 rounds are not what the figure is about.
RIDES = {"city": 4_000_000, "private": 10_000_000}
ROUNDS = {"city": 2, "gateway": 3, "kernels": 5, "load": 3, "reports": 25, "seats": SEATS}


@click.command()
@click.argument("name", required=False, type=click.Choice(list(BENCHMARKS)))
@click.option(
    "--rides", type=int, help="Size of the synthetic city. [400,000; city 4 million, private 10 million]"
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    help="Times each way is measured. [15; city 2, gateway, load 3, kernels 5; people of seats, 30; gu of reports, 25]",
)
def main(name: str | None, rides: int | None, rounds: int | None) -> None:
    """Measure, print a table, write benchmarks/results/NAME.json."""
    for each in [name] if name else BENCHMARKS:
        figures = BENCHMARKS[each](rides or RIDES.get(each, 400_000), rounds or ROUNDS.get(each, 15))
        click.echo(publish(each, figures))


if __name__ == "__main__":
    main()
