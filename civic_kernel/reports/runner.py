"""One report run: papermill drives the notebook in an empty room, and only a whole run is kept.

Where the workspace's template may fork it (civic_kernel.reports.forked), the run is a process in a sandbox under a
user of its own. Else it is a fresh kernel of the caller's in an empty folder (`cold`), with a dozen named variables
for its environment and its token in a file. What it can know is what the gateway answers, and what it can say is the
output of its cells.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import nbformat

from civic_kernel import errors
from civic_kernel.errors import CivicError, KernelDied, NotPublishable, RunFailed
from civic_kernel.reports.outcome import Began, Outcome
from civic_kernel.reports.parameters import Schema, check_parameters, read_schema, schema_beside
from civic_kernel.reports.record import make_run_record
from civic_kernel.settings import Settings, warm_socket
from civic_kernel.texts import Language, text

#: done, total, what the cell is about (in the run's language)
Progress = Callable[[int, int, str], None]

SECONDS: Final = 600
_HIDDEN_TAG: Final = "civic-answers"
#: The cell that hands over the answers. It is ours, so a notebook cannot forget or filter them.
_LAST_CELL: Final = """import civic_kernel
from civic_kernel.publish import blocks
blocks.emit_answers(civic_kernel.connect())"""


@dataclass(frozen=True)
class Request:
    """What shall run: a notebook with its declaration beside it, and values for its parameters."""

    notebook: Path
    parameters: Mapping[str, Any]


def run_report(
    request: Request,
    out: Path,
    settings: Settings,
    *,
    progress: Progress | None = None,
    seconds: int = SECONDS,
) -> dict[str, Any]:
    """Run the notebook, write the run folder `out` (which must not exist), return the run record.

    Raises ParameterUnknown, ParameterInvalid before any process starts; RunFailed naming the cell,
    KernelDied, RunTimeout; NotPublishable for a folder that exists or a notebook that cannot be read. After
    a failure nothing is left: no `out`, no room, no token file.
    """
    language = settings.language
    schema = read_schema(request.notebook, language)
    parameters = check_parameters(schema, request.parameters, language)
    spoken: Language = parameters["language"] if parameters.get("language") in ("ko", "en") else language
    if out.exists():
        raise NotPublishable.say(language, reason=text(language, "report", "publish.exists"))
    source = _read_source(request.notebook, language)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside `out`, since a rename is atomic only within one file system; mkdtemp makes it 0700.
    staged = Path(tempfile.mkdtemp(prefix=".run-", dir=out.parent))
    try:
        started = _now()
        executed = _execute(source, parameters, settings, spoken, progress, seconds)
        record = make_run_record(
            report=schema.name,
            source=source,
            schema_version=schema.version,
            parameters=parameters,
            team=settings.team,
            purpose=settings.purpose,
            executed=executed,
            started_at=started,
            finished_at=_now(),
        )
        _keep(staged, source, schema_beside(request.notebook).read_bytes(), executed, record)
        os.rename(staged / "kept", out)
        return record
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _read_source(notebook: Path, language: Language) -> bytes:
    try:
        source = notebook.read_bytes()
        nbformat.reads(source.decode("utf-8"), as_version=4)
        return source
    except (OSError, ValueError, AttributeError, nbformat.ValidationError):
        raise NotPublishable.say(language, reason=text(language, "report", "publish.run")) from None


def _keep(
    staged: Path, source: bytes, schema: bytes, executed: nbformat.NotebookNode, record: Mapping[str, Any]
) -> None:
    kept = staged / "kept"
    kept.mkdir()
    (kept / "notebook.ipynb").write_bytes(source)
    (kept / "schema.json").write_bytes(schema)
    (kept / "executed.ipynb").write_text(nbformat.writes(executed), encoding="utf-8")
    (kept / "run.json").write_text(
        json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


# --- running ---


def _execute(
    source: bytes,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    progress: Progress | None,
    seconds: int,
) -> nbformat.NotebookNode:
    notebook = with_last_cell(source)
    seen = Watch(notebook, progress, settings.language)
    outcome = _run(notebook, parameters, settings, spoken, seen.cell, seconds)
    if outcome.failed is not None:
        raise seen.failure(outcome.failed)
    executed = outcome.executed
    # What papermill notes about the machine (paths, times) is not part of what the run said.
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        for noise in ("papermill", "execution", "ExecuteTime"):
            cell.metadata.pop(noise, None)
    return executed


def with_last_cell(source: bytes) -> nbformat.NotebookNode:
    """The notebook and behind it the hidden cell that hands over the answers."""
    notebook = nbformat.reads(source.decode("utf-8"), as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell(_LAST_CELL, metadata={"tags": [_HIDDEN_TAG]}, id="civic-answers")
    )
    return notebook


def _run(
    notebook: nbformat.NotebookNode,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    began: Began,
    seconds: int,
) -> Outcome:
    from civic_kernel import warm
    from civic_kernel.reports import cold, forked

    template = warm_socket()
    if template is not None:
        try:
            return forked.run(template, notebook, parameters, settings, spoken, began, seconds)
        except warm.NoTemplate:
            pass  # it is being replaced, or there is none: slower, and no less closed than before there was one
        except warm.Refused as refused:
            if not forked.is_for_others(refused):
                # A sandbox that cannot be made is no reason to run without one.
                raise KernelDied.say(settings.language) from None
    return cold.run(notebook, parameters, settings, spoken, began, seconds)


# --- telling a person ---


class Watch:
    """Which cell of the notebook runs now, for progress and for naming it in a failure."""

    def __init__(
        self, notebook: nbformat.NotebookNode, progress: Progress | None, language: Language
    ) -> None:
        # papermill adds the parameters' cell
        self.total = sum(cell.cell_type == "code" for cell in notebook.cells) + 1
        self.progress, self.language = progress, language
        self.done = 0
        self.title = ""

    def cell(self, civic: Mapping[str, Any]) -> None:
        """A code cell begins; `civic` is what its author says of it (`metadata.civic`)."""
        self.done += 1
        self.title = title_of(civic, self.language)
        if self.progress is not None:
            self.progress(self.done, self.total, self.title)

    def failure(self, failed: Mapping[str, str]) -> CivicError:
        """RunFailed in plain words. The gateway's own refusals are sentences already and are passed on; any other
        exception's text may hold a value or a path, so only the cell is named."""
        error = RunFailed.say(self.language, cell=self.done)
        error.message = f"{error.message} {text(self.language, 'report', 'run.at', title=self.title)}"
        known = getattr(errors, failed["ename"], None)
        if isinstance(known, type) and issubclass(known, CivicError) and failed["evalue"]:
            error.remedy = failed["evalue"]
        error.args = (error.message, error.remedy, None)
        return error


def title_of(civic: Mapping[str, Any], language: Language) -> str:
    """What the author calls the cell (`metadata.civic.title`), or a plain word."""
    titles = civic.get("title", {})
    return str(titles.get(language) or text(language, "report", "run.plain"))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["Progress", "Request", "Schema", "run_report", "title_of"]
