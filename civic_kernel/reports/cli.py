"""`civic report`: run a report, check a published page."""

from __future__ import annotations

import json
from pathlib import Path

import click

from civic_kernel.reports.batch_cli import batch
from civic_kernel.settings import read_settings
from civic_kernel.texts import text


@click.group()
def report() -> None:
    """보고서를 돌리고 확인합니다 · Run reports, and check published ones."""


report.add_command(batch)


@report.command()
@click.argument("notebook", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "-p",
    "--parameter",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="May be repeated; a list is comma-separated.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The run's folder; it must not exist."
)
@click.option(
    "--seconds", type=click.IntRange(1), default=600, show_default=True, help="Time limit of the whole run."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def run(notebook: Path, assignments: tuple[str, ...], out: Path, seconds: int, as_json: bool) -> None:
    """공책 하나를 돌립니다 · Run one notebook through the gateway."""
    from civic_kernel.reports.parameters import read_assignments, read_schema
    from civic_kernel.reports.runner import Bounds, Request, run_report

    settings = read_settings()
    schema = read_schema(notebook, settings.language)
    parameters = read_assignments(schema, assignments, settings.language)

    def tell(done: int, total: int, title: str) -> None:
        words = text(settings.language, "report", "run.progress", done=done, total=total, title=title)
        click.echo(words, err=True)

    record = run_report(Request(notebook, parameters), out, settings, progress=tell, bounds=Bounds(seconds))
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False))
    else:
        click.echo(text(settings.language, "report", "run.done", folder=out))


@report.command()
@click.argument("page", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--rerun", "again", is_flag=True, help="Also run the notebook again from the page's answers, and compare."
)
@click.option(
    "--seconds", type=click.IntRange(1), default=600, show_default=True, help="Time limit of the rerun."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def check(page: Path, again: bool, seconds: int, as_json: bool) -> None:
    """공개된 보고서를 파일만으로 확인합니다 · Check a published page from its own files."""
    from civic_kernel.verify.telling import tell_check

    tell_check(page, read_settings().language, again=again, seconds=seconds, as_json=as_json)
