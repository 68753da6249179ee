"""`civic data twin`: dummy rows as a file, for those who like to look at a table first."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from civic_kernel.settings import read_settings
from civic_kernel.texts import text


@click.command()
@click.argument("dataset")
@click.option("--rows", default=1_000, show_default=True, type=click.IntRange(1), help="How many rows.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="The same, the same rows.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="A CSV file instead of the terminal."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def twin(dataset: str, rows: int, seed: int, out: Path | None, as_json: bool) -> None:
    """연습용으로 지어낸 행 · Dummy rows made from signed metadata alone, as CSV. Each says that it is made up."""
    from civic_kernel.client import Client
    from civic_kernel.twins import twin_rows

    language = read_settings().language
    with closing(Client.from_settings()) as client:
        table, _ = twin_rows(client, dataset, rows, seed)
    table = table.assign(made_up=True)
    if out is not None:
        table.to_csv(out, index=False)
        if not as_json:
            click.echo(text(language, "kernel", "twin.written", count=f"{len(table):,}", file=out))
    if as_json:
        document = {"dataset": dataset, "made_up": True, "seed": seed, "rows": len(table)}
        lines = {} if out else {"columns": list(table.columns), "data": table.to_numpy().tolist()}
        click.echo(json.dumps({**document, **lines}, ensure_ascii=False))
    elif out is None:
        click.echo(table.to_csv(index=False), nl=False)
