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

from civic_kernel.errors import CivicError, KernelDied, NotPublishable, RunFailed, RunMemory, RunsClosed
from civic_kernel.reports.outcome import Began, Bounds, Outcome, refusal_named, without_traces
from civic_kernel.reports.parameters import Schema, check_parameters, read_schema, schema_beside
from civic_kernel.reports.record import make_run_record
from civic_kernel.settings import Settings, warm_socket
from civic_kernel.texts import Language, text

#: done, total, what the cell is about (in the run's language)
Progress = Callable[[int, int, str], None]

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
    bounds: Bounds | None = None,
    partial: Path | None = None,
    only_forked: bool = False,
) -> dict[str, Any]:
    """Run the notebook, write the run folder `out` (which must not exist), return the run record.

    Raises ParameterUnknown, ParameterInvalid before any process starts; RunFailed naming the cell,
    KernelDied, RunTimeout, RunMemory, RunCancelled; ScreenRefused where the notebook shows its token;
    NotPublishable for a folder that exists or a notebook that cannot be read. After a failure nothing is left:
    no `out`, no room, no token file; only, where a file `partial` is named, the notebook with what its cells had
    shown until then.

    `only_forked`: where the template does not fork the run, RunsClosed, instead of a run as the caller's own user.
    """
    language = settings.language
    schema = read_schema(request.notebook, language)
    parameters = check_parameters(schema, request.parameters, language)
    spoken = spoken_in(parameters, language)
    if out.exists():
        raise NotPublishable.say(language, reason=text(language, "report", "publish.exists"))
    source = read_source(request.notebook, language)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Beside `out`, since a rename is atomic only within one file system; mkdtemp makes it 0700.
    staged = Path(tempfile.mkdtemp(prefix=".run-", dir=out.parent))
    try:
        started = _now()
        notebook = with_last_cell(source)
        seen = Watch(notebook, progress, language)
        outcome = _run(notebook, parameters, settings, spoken, seen.cell, bounds or Bounds(), only_forked)
        fault = _fault(outcome, seen, language)
        executed = outcome.executed
        if fault is not None or executed is None:
            if partial is not None and executed is not None:
                _keep_partial(partial, executed, settings)
            raise fault or KernelDied.say(language)
        _tidy(executed)
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
        _keep(staged, source, schema_beside(request.notebook).read_bytes(), executed, record, settings)
        os.rename(staged / "kept", out)
        return record
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def spoken_in(parameters: Mapping[str, Any], language: Language) -> Language:
    """The language that a report with these parameters speaks."""
    return parameters["language"] if parameters.get("language") in ("ko", "en") else language


def read_source(notebook: Path, language: Language) -> bytes:
    """The bytes of a file that is a notebook. Raises NotPublishable."""
    try:
        source = notebook.read_bytes()
        nbformat.reads(source.decode("utf-8"), as_version=4)
        return source
    except (OSError, ValueError, AttributeError, nbformat.ValidationError):
        raise NotPublishable.say(language, reason=text(language, "report", "publish.run")) from None


def _tidy(executed: nbformat.NotebookNode) -> None:
    """Takes out what papermill notes about the machine (paths, times), which is not part of what the run said."""
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        for noise in ("papermill", "execution", "ExecuteTime"):
            cell.metadata.pop(noise, None)


def _keep(
    staged: Path,
    source: bytes,
    schema: bytes,
    executed: nbformat.NotebookNode,
    record: Mapping[str, Any],
    settings: Settings,
) -> None:
    # Without indentation, for which Python has no fast way: megabytes of drawings that nobody reads as JSON.
    written = json.dumps(executed, ensure_ascii=False) + "\n"
    if _shows_token(written, settings):
        from civic_kernel.publish import screen

        screen.refuse("token", text(settings.language, "report", "run.outputs"), settings.language)
    kept = staged / "kept"
    kept.mkdir()
    (kept / "notebook.ipynb").write_bytes(source)
    (kept / "schema.json").write_bytes(schema)
    (kept / "executed.ipynb").write_text(written, encoding="utf-8")
    (kept / "run.json").write_text(
        json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def _keep_partial(path: Path, executed: nbformat.NotebookNode, settings: Settings) -> None:
    _tidy(executed)
    written = json.dumps(without_traces(executed), ensure_ascii=False, indent=1) + "\n"
    if not _shows_token(written, settings):
        path.write_text(written, encoding="utf-8")


def _shows_token(written: str, settings: Settings) -> bool:
    """A notebook can print the token that it asks with. That ends with the asker's seat; a file would outlive both."""
    return bool(settings.token) and settings.token.reveal() in written


# --- running ---


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
    bounds: Bounds,
    only_forked: bool,
) -> Outcome:
    from civic_kernel import warm
    from civic_kernel.reports import cold, forked

    template = warm_socket()
    if template is not None:
        try:
            return forked.run(template, notebook, parameters, settings, spoken, began, bounds)
        except warm.NoTemplate:
            pass  # it is being replaced, or there is none: slower, and no less closed than before there was one
        except warm.Refused as refused:
            if not forked.is_for_others(refused):
                # A sandbox that cannot be made is no reason to run without one.
                raise RunsClosed.say(settings.language) from None
    if only_forked:
        raise RunsClosed.say(settings.language)
    return cold.run(notebook, parameters, settings, spoken, began, bounds)


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
        if failed["ename"] == "MemoryError":
            return self.at(RunMemory.say(self.language))
        error = RunFailed.say(self.language, cell=self.done)
        if refusal_named(failed["ename"]) is not None and failed["evalue"]:
            error.remedy = failed["evalue"]
        return self.at(error)

    def at(self, error: CivicError) -> CivicError:
        """`error`, with what the cell is about in which it happened."""
        error.message = f"{error.message} {text(self.language, 'report', 'run.at', title=self.title)}"
        error.args = (error.message, error.remedy, None)
        return error


def title_of(civic: Mapping[str, Any], language: Language) -> str:
    """What the author calls the cell (`metadata.civic.title`), or a plain word."""
    titles = civic.get("title", {})
    return str(titles.get(language) or text(language, "report", "run.plain"))


def _fault(outcome: Outcome, seen: Watch, language: Language) -> CivicError | None:
    """Why this is no whole run; None where it is one."""
    if outcome.fault is not None:
        return seen.at(outcome.fault) if seen.done else outcome.fault
    return None if outcome.failed is None else seen.failure(outcome.failed)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["Bounds", "Progress", "Request", "Schema", "run_report", "title_of"]
