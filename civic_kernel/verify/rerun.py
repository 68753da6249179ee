"""`civic report check PAGE --rerun`: the notebook once more, from the signed answers in the page's folder.

No account, no gateway, no network. What comes out is made into the same files again and compared with those of the
page: tables value by value, both pages byte for byte. Proves that the figures are what this notebook makes of these
answers. Does not prove that the notebook asks the right thing: for that one reads it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import nbformat

from civic_kernel.errors import KernelDied, NotPublishable, RunTimeout
from civic_kernel.publish.record import read_record
from civic_kernel.publish.summary import read_summary
from civic_kernel.reports.channel import Channel
from civic_kernel.reports.cold import run_environment
from civic_kernel.reports.heard import Heard
from civic_kernel.reports.record import Run, answers_in
from civic_kernel.reports.runner import Progress, Watch, with_last_cell
from civic_kernel.settings import Settings, Token
from civic_kernel.texts import LANGUAGES, Language, text
from civic_kernel.verify.alone import NO_ROOM, ROOMS, Room
from civic_kernel.verify.page import release_folder
from civic_kernel.warm import sandbox

SECONDS: Final = 600
#: By its own place: a checkout's `.venv` leads to it, and may lie where the run's user cannot go.
PYTHON: Final = str(Path(sys.prefix).resolve() / "bin" / Path(sys.executable).name)
#: So many differing figures are named; the rest is counted.
MOST_NAMED: Final = 20


@dataclass(frozen=True)
class Difference:
    """One figure of a table that came out otherwise: `column` of the row `row` (its keys), as published and now."""

    table: str
    row: str
    column: str
    published: str
    again: str


@dataclass
class Again:
    """What running it again gave; `tables`, `numbers` and `pages` count what was compared."""

    room: Room
    tables: int = 0
    numbers: int = 0
    pages: int = 0
    different: list[Difference] = field(default_factory=list)
    #: Tables that one side has and the other has not, or whose heads differ.
    tables_different: list[str] = field(default_factory=list)
    #: Pages whose every figure is the same and whose bytes are not: drawn by another version of the tools.
    pages_different: list[str] = field(default_factory=list)

    @property
    def same_numbers(self) -> bool:
        return not self.different and not self.tables_different


def rerun(
    page: Path, language: Language, *, progress: Progress | None = None, seconds: int = SECONDS
) -> Again:
    """Run the notebook of a release folder that `check_page` found whole. Raises NotPublishable for a folder that does
    not say what its run was told, or whose notebook asks for other answers than the page lists; RunFailed, KernelDied,
    RunTimeout as any run does."""
    folder = release_folder(page)
    record, source, schema, told, answers, parties, policies = _read_folder(folder, language)
    notebook = with_last_cell(source)
    request = {
        "notebook": nbformat.writes(notebook),
        "parameters": record["parameters"],
        "team": record["team"],
        "purpose": next(iter(answers.values()))["statement"]["purpose"],
        "language": told["language"],
        "evidence": {"answers": answers, "parties": parties, "told": told},
    }
    executed, room = _in_some_room(request, told["language"], language, notebook, progress, seconds)
    if [body["answer_id"] for body in answers_in(executed)] != list(record["answers"]):
        raise NotPublishable.say(language, reason=text(language, "report", "again.other_answers"))
    from civic_kernel.publish.pages import Sources, release_files

    run = Run(_run_record(record, schema), source, schema, executed)
    # What a page says of its own site and PDF is nothing that a run could find out.
    said = read_summary(folder, record, "ko")
    made = release_files(
        run,
        Sources(policies, parties),
        author=record["author"],
        language=language,
        address=said.site,
        printed=said.printed,
    )
    return _compare(folder, record, made, room)


# --- what the folder has ---


def _read_folder(folder: Path, language: Language) -> tuple[Any, ...]:
    try:
        record = read_record(folder)
        name = record["report"]
        source = (folder / "notebook" / f"{name}.ipynb").read_bytes()
        schema = (folder / "notebook" / f"{name}.schema.json").read_bytes()
        told = _json(folder / "notebook" / f"{name}.told.json")
        answers = {identity: _json(folder / "answers" / f"{identity}.json") for identity in record["answers"]}
        policies = [_json(folder / "policies" / f"{identity}.json") for identity in record["policies"]]
        if told["language"] not in LANGUAGES or not answers:
            raise ValueError("no language")
        # Judged here and not by a KeyError in the run.
        _ = [line["answer_id"] for line in told["asked"]], told["datasets"].items()
        return record, source, schema, told, answers, _json(folder / "parties.json"), policies
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise NotPublishable.say(language, reason=text(language, "report", "again.untold")) from None


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _run_record(record: Mapping[str, Any], schema: bytes) -> dict[str, Any]:
    """What the pages say of the run, as the release record knows it. The packages of that run are not known here: they
    stand on the method page alone, which is therefore not compared."""
    return {
        "report": record["report"],
        "parameters": record["parameters"],
        "team": record["team"],
        "notebook_sha256": record["notebook_sha256"],
        "schema_version": json.loads(schema)["version"],
        "requirements_sha256": "",
        "policies": record["policies"],
        "answers": [{"answer_id": identity} for identity in record["answers"]],
        "finished_at": record["created_at"],
    }


# --- running ---


def _in_some_room(
    request: dict[str, Any],
    spoken: Language,
    language: Language,
    notebook: nbformat.NotebookNode,
    progress: Progress | None,
    seconds: int,
) -> tuple[nbformat.NotebookNode, Room]:
    """In the most closed room that this machine gives."""
    for room in ROOMS:
        if room == "sandbox" and not _is_open(Path(__file__).resolve().parents[2]):
            continue  # who is nobody there could not read these very modules
        executed = _in_room(room, request, spoken, language, notebook, progress, seconds)
        if executed is not None:
            return executed, room
    raise KernelDied.say(language)


def _is_open(folder: Path) -> bool:
    """Whether everybody on this machine may read what is in it."""
    return all(place.stat().st_mode & 0o005 == 0o005 for place in (folder, *folder.parents))


def _in_room(
    room: Room,
    request: dict[str, Any],
    spoken: Language,
    language: Language,
    notebook: nbformat.NotebookNode,
    progress: Progress | None,
    seconds: int,
) -> nbformat.NotebookNode | None:
    """None where the system does not give this room: then nothing ran."""
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="civic-") as home, ours:
        settings = Settings("", request["team"], request["purpose"], spoken, Token(""))
        with theirs:
            child = subprocess.Popen(
                [PYTHON, "-m", "civic_kernel.verify.alone", room, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=run_environment(settings, spoken, sandbox.HOME if room == "sandbox" else home),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # A traceback of the notebook's own making names folders of this machine.
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            return _converse(ours, request, language, notebook, progress, time.monotonic() + seconds)
        except TimeoutError:
            raise RunTimeout.say(language, seconds=seconds) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
            if _ended_with(child) == NO_ROOM:
                return None
            raise KernelDied.say(language) from None
        finally:
            _kill(child)


def _converse(
    connection: socket.socket,
    request: dict[str, Any],
    language: Language,
    notebook: nbformat.NotebookNode,
    progress: Progress | None,
    end: float,
) -> nbformat.NotebookNode:
    channel = Channel(connection)
    connection.settimeout(max(end - time.monotonic(), 0.01))
    channel.send(request)
    watch = Watch(notebook, progress, language)
    heard = Heard(watch.cell)
    while True:
        connection.settimeout(max(end - time.monotonic(), 0.01))
        said = channel.receive()
        if said is None:
            raise ValueError("the run ended without a word")
        if heard.hear(said):
            break
    outcome = heard.outcome(None)
    if outcome.failed is not None:
        raise watch.failure(outcome.failed)
    if outcome.executed is None:
        raise ValueError("a run that told nothing")
    return outcome.executed


def _ended_with(child: subprocess.Popen[bytes]) -> int | None:
    try:
        return child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return None


def _kill(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


# --- comparing ---


def _compare(folder: Path, record: Mapping[str, Any], made: Mapping[str, bytes], room: Room) -> Again:
    found = Again(room)
    listed = {str(line["path"]) for line in record["files"]}
    for place in sorted(place for place in listed | made.keys() if place.endswith(".csv")):
        name = Path(place).stem
        if place not in listed or place not in made:
            found.tables_different.append(name)
            continue
        published = _table((folder / place).read_bytes())
        again = _table(made[place])
        about = json.loads(made[f"data/{name}.json"])
        keys = [column["name"] for column in about["columns"] if column["role"] == "key"]
        if published[:1] != again[:1] or len(published) != len(again):
            found.tables_different.append(name)
            continue
        found.tables += 1
        found.numbers += sum(len(row) for row in again[1:])
        found.different += _differences(name, keys, published, again)
    for language in LANGUAGES:
        place = f"{language}/index.html"
        found.pages += 1
        if (folder / place).read_bytes() != made[place]:
            found.pages_different.append(place)
    return found


def _differences(
    name: str, keys: list[str], published: list[list[str]], again: list[list[str]]
) -> Iterator[Difference]:
    heads = again[0]
    for was, now in zip(published[1:], again[1:], strict=True):
        row = " ".join(value for head, value in zip(heads, now, strict=False) if head in keys)
        for head, before, after in zip(heads, was, now, strict=False):
            if before != after:
                yield Difference(name, row, head, before, after)


def _table(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
