"""`python -m benchmarks.attacks`: every attack, a table, benchmarks/results/attacks.json; 1 if one got through."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click
from rich.console import Console
from rich.table import Table

from benchmarks.attacks import (
    accounting,
    arithmetic,
    budget,
    channels,
    grammar,
    guessing,
    injection,
    lineage,
    noise,
    reconstruction,
    replay,
    timing,
    worlds,
)
from benchmarks.attacks.verdict import Verdict
from benchmarks.figures import write

#: name → (attack, its draws when it is run at length, and in the quick case of the test suite).
ATTACKS: dict[str, tuple[Callable[[int], Verdict], int, int]] = {
    "averaging": (budget.averaging, 500, 30),
    "rollups": (replay.rolled_up, 300, 12),
    "differencing": (guessing.differencing, 20_000, 1_000),
    "flipping": (guessing.flipping, 20_000, 1_000),
    "alternating": (guessing.alternating, 10_000, 300),
    "membership": (guessing.membership, 20_000, 500),
    "lost": (guessing.lost_share, 20_000, 500),
    "trajectory": (worlds.trajectory, 2_000, 80),
    "cloning": (worlds.cloning, 2_000, 150),
    "absent": (worlds.absent, 2_000, 150),
    "reconstruction": (reconstruction.reconstruction, 200, 28),
    "discovery": (reconstruction.discovery, 300, 8),
    "lattice": (arithmetic.lattice, 500_000, 2_000),
    "overflow": (arithmetic.overflow, 20, 2),
    "noise": (noise.wrong_noise, 200_000, 5_000),
    "accountant": (accounting.accountant, 200, 6),
    "replay": (replay.replayed, 20, 1),
    "joins": (replay.joined, 24, 2),
    "vectors": (grammar.user_vectors, 2_000, 80),
    "injection": (injection.injection, 1_000, 60),
    "prices": (replay.prices, 60, 3),
    "timing": (timing.timing, 500, 12),
    "errors": (channels.errors, 3, 1),
    "canaries": (channels.canaries, 3, 1),
    "race": (budget.race, 192, 24),
    "sybil": (lineage.sybil, 40, 4),
    "unit": (lineage.changed_unit, 6, 6),
}

#: At length only: they need an environment of their own.
ORACLES: dict[str, tuple[Callable[[int], Verdict], int, int]] = {"oracle": (accounting.oracle, 1, 1)}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*ATTACKS, *ORACLES]))
@click.option("--quick", is_flag=True, help="As few draws as the test suite takes.")
def main(names: tuple[str, ...], quick: bool) -> None:
    """Attack, print a table, write benchmarks/results/attacks.json (all attacks at length only)."""
    verdicts: list[Verdict] = []
    known = ATTACKS if quick else ATTACKS | ORACLES
    for name in names or tuple(known):
        attack, full, few = (ATTACKS | ORACLES)[name]
        began = time.perf_counter()
        verdicts.append(attack(few if quick else full))
        click.echo(f"{name}: {time.perf_counter() - began:.0f} s", err=True)
    Console(width=130).print(_table(verdicts))
    if not names and not quick:
        click.echo(write("attacks", [verdict.document() for verdict in verdicts]))
    if not all(verdict.held and verdict.control_reached for verdict in verdicts):
        sys.exit(1)


def _table(verdicts: list[Verdict]) -> Table:
    table = Table(title="Attacks on the private lane, beside the same attack on a weak build")
    for heading in ("attack", "reference", "advantage", "bound", "weak build", "held"):
        table.add_column(
            heading, justify="right" if heading in ("advantage", "bound", "weak build") else "left"
        )
    for v in verdicts:
        shown = [f"{x:.1%}" if v.bound else f"{x:.0f}" for x in (v.advantage, v.bound, v.control_advantage)]
        held = ("yes" if v.held else "NO") if v.control_reached else "control failed"
        table.add_row(v.attack, v.reference, *shown, held)
    return table


if __name__ == "__main__":
    main()
