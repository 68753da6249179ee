"""Loading: operator files → encrypted version + private view, beside DuckDB's `read_csv` of the same files.

Ours decodes cp949, checks every line, pseudonymises, ranks within the person-month, encrypts, and makes the
view; DuckDB's does none of these, and is given UTF-8 copies, whose making is not counted.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.city import RIDES, catalog, city, policy_document, read_plainly, utf8_copies
from benchmarks.figures import Figure, interleaved, median
from benchmarks.workspace import workspace


def load(rides: int, rounds: int) -> list[Figure]:
    with city(rides) as files, TemporaryDirectory(prefix="civic-bench-load-") as scratch:
        folder = Path(scratch)
        copies = utf8_copies(files, folder)
        size = sum(path.stat().st_size for path in files.rides)
        with workspace(catalog()) as ours:
            policy = ours.open(policy_document())
            assert ours.entry(RIDES).id == policy.dataset

            def into_vault() -> None:
                ours.load(policy, files.rides, tables=files.root)

            def into_plain_file() -> None:
                path = folder / "plain.duckdb"
                path.unlink(missing_ok=True)
                read_plainly(copies, path).close()

            vault, plain = map(median, interleaved([into_vault, into_plain_file], rounds))
    click.echo(f"{rides:,} rides, {size / 2**20:.0f} MiB in {len(files.rides)} files, {rounds} rounds")
    return [
        Figure("load: our rows", rides / vault, "rows/s"),
        Figure("load: DuckDB read_csv", rides / plain, "rows/s"),
        Figure("load: ours ÷ DuckDB", vault / plain, "×"),
    ]
