"""`civic report batch`: one notebook for many values of a parameter, without the service.

The same command again goes on where it was stopped: what is done stays, the rest runs.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from civic_kernel.errors import NotPublishable, ReportFailed
from civic_kernel.settings import read_settings
from civic_kernel.texts import text

if TYPE_CHECKING:
    from civic_kernel.reports.batch import Batch
    from civic_kernel.reports.parameters import Parameters, Schema
    from civic_kernel.settings import Settings


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--each",
    multiple=True,
    required=True,
    metavar="NAME[=VALUE,VALUE]",
    help="A run for each of these values; without values, for each that the notebook's schema lists. May be repeated.",
)
@click.option(
    "-p", "--parameter", "assignments", multiple=True, metavar="NAME=VALUE", help="The same for all runs."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The batch's folder.")
@click.option(
    "--width", type=click.IntRange(1, 8), help="Runs at once. [one more than there are cores, at most 8]"
)
@click.option(
    "--seconds", type=click.IntRange(1), default=600, show_default=True, help="Time limit of each run."
)
@click.option("--yes", is_flag=True, help="Pay without being asked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output; needs --yes.")
def batch(
    notebook: Path,
    each: tuple[str, ...],
    assignments: tuple[str, ...],
    out: Path,
    width: int | None,
    seconds: int,
    yes: bool,
    as_json: bool,
) -> None:
    """공책 하나를 여러 값으로 돌립니다 · Run one notebook for many values, each with its page.

    Says what all of them cost together and asks once. Ctrl-C stops it; the same command again runs what is not done.
    Exit codes: 0 all done, 9 some are not.
    """
    from civic_kernel.reports.parameters import read_schema

    if as_json and not yes:
        raise click.UsageError("--json: --yes")
    settings = read_settings()
    schema = read_schema(notebook, settings.language)
    ordered = _open(notebook, out, settings, _expand(schema, assignments, each, settings), schema)
    numbers = ordered.again_and_waiting()
    if numbers:
        parameters = [ordered.parts[number - 1].parameters for number in numbers]
        told = _price(ordered, parameters, settings)
        if not as_json:
            _tell_price(told, settings)
        if told["rho"] and not yes:
            click.confirm(text(settings.language, "report", "batch.confirm"), abort=True, err=True)
        _run(ordered, numbers, settings, width, seconds)
    _end(ordered, out, as_json)


def _expand(
    schema: Schema, assignments: tuple[str, ...], each: tuple[str, ...], settings: Settings
) -> list[Parameters]:
    from civic_kernel.reports.batch import all_values, every
    from civic_kernel.reports.parameters import typed_assignments

    wanted: dict[str, list[Any]] = {}
    for one in each:
        name, equals, spelled = one.partition("=")
        rule = schema.document["properties"].get(name, {})
        values: list[Any] = all_values(schema, name)
        if equals:
            values = [
                typed_assignments(schema, [f"{name}={part}"], settings.language)[name]
                for part in spelled.split(",")
            ]
        if rule and not values:
            raise click.UsageError(text(settings.language, "report", "batch.values", name=name))
        # A name that the schema does not have is refused with the others, by name.
        wanted[name] = values or [None]
    given = typed_assignments(schema, assignments, settings.language)
    return every(schema, given, wanted, settings.language)


def _open(
    notebook: Path, out: Path, settings: Settings, parameters: list[Parameters], schema: Schema
) -> Batch:
    """The batch in `out`, new or as it was left. Raises NotPublishable where another one is there."""
    from civic_kernel.reports.batch import STATE, Batch, Order

    if (out / STATE).is_file():
        with _other(settings):
            found = Batch.read(out)
            same = [part.parameters for part in found.parts] == parameters
            if not same or found.notebook.read_bytes() != notebook.read_bytes():
                raise ValueError("another batch")
        return found
    order = Order(
        id="",
        report=schema.name,
        title=schema.label,
        language=settings.language,
        team=settings.team,
        purpose=settings.purpose,
    )
    with _other(settings):
        return Batch.make(out.absolute(), notebook, order, parameters)


@contextmanager
def _other(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError):
        reason = text(settings.language, "report", "batch.other")
        raise NotPublishable.say(settings.language, reason=reason) from None


def _price(ordered: Batch, parameters: list[Parameters], settings: Settings) -> dict[str, Any]:
    from civic_kernel.client import Client
    from civic_kernel.reports.prices import find_questions, price

    asking = find_questions(ordered.notebook, parameters, settings)
    with closing(Client.from_settings(settings)) as client:
        return price(asking, client, len(parameters))


def _tell_price(told: dict[str, Any], settings: Settings) -> None:
    from civic_kernel.affordable import percent

    def say(key: str, **facts: object) -> None:
        click.echo(text(settings.language, "report", f"batch.{key}", **facts), err=True)

    say("price", runs=told["runs"], questions=len(told["questions"]))
    for line in told["questions"]:
        say(
            "question" if line["precision"] else "question_exact",
            words=line["words"],
            precision=line["precision"],
        )
    if told["rho"]:
        rho = format(Decimal(told["rho"]).scaleb(-9).normalize(), "f")
        say("costs", percent=percent(Decimal(told["share_of_left"])), rho=rho)
    else:
        say("free")
    if not told["whole"]:
        say("unsure")


def _run(ordered: Batch, numbers: list[int], settings: Settings, width: int | None, seconds: int) -> None:
    """Until all are over, or somebody presses Ctrl-C: then what runs is stopped, and what waits goes on waiting."""
    from civic_kernel.reports.outcome import Bounds
    from civic_kernel.reports.queue import Job, Queue, width_here
    from civic_kernel.reports.work import read_public

    public = read_public(settings)
    queue = Queue(min(width or width_here(), len(numbers)))
    told = threading.Lock()
    over = [len(ordered.parts) - len(numbers)]

    def work(number: int, stop: threading.Event) -> None:
        ordered.perform(number, settings, public, Bounds(seconds, stop=stop))
        part = ordered.parts[number - 1]
        with told:
            over[0] += 1
            state = text(settings.language, "report", f"batch.state.{part.state}")
            facts = {"over": over[0], "all": len(ordered.parts), "name": ordered.name(number), "state": state}
            click.echo(text(settings.language, "report", "batch.progress", **facts), err=True)
            if part.message and part.state == "failed":
                click.echo(f"  {part.message} {part.remedy}", err=True)

    jobs = [
        Job("", "", number, lambda stop, number=number: work(number, stop))  # type: ignore[misc]
        for number in numbers
    ]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        queue.add(jobs)
        while not queue.wait(0.2):
            pass
    except KeyboardInterrupt:
        queue.take_back("")
    finally:
        queue.close()
        signal.signal(signal.SIGTERM, before)


def _end(ordered: Batch, out: Path, as_json: bool) -> None:
    from civic_kernel.reports.batch import State

    done = sum(part.state is State.DONE for part in ordered.parts)
    is_whole = done == len(ordered.parts)
    if as_json:
        runs = [
            {
                "parameters": part.parameters,
                "state": part.state,
                "folder": str(out / str(number)),
                "seconds": part.seconds,
                "code": part.code or None,
                "message": part.message or None,
            }
            for number, part in enumerate(ordered.parts, 1)
        ]
        click.echo(json.dumps({"state": ordered.state, "runs": runs}, ensure_ascii=False))
    else:
        language = ordered.order.language
        click.echo(text(language, "report", "batch.end", all=len(ordered.parts), done=done, folder=out))
        if not is_whole:
            click.echo(text(language, "report", "batch.resume"))
    if not is_whole:
        raise SystemExit(ReportFailed.exit_code)
