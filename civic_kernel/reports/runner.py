"""One report run: papermill drives a fresh kernel in an empty room, and only a whole run is kept.

The kernel gets a working folder of its own with nothing in it, an environment of a dozen named variables, and
its token in a file; not the caller's environment, in which other people's secrets may lie. What it can know
is what the gateway answers, and what it can say is the output of its cells.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import nbformat

from civic_kernel import errors
from civic_kernel.errors import CivicError, KernelDied, NotPublishable, RunFailed, RunTimeout
from civic_kernel.reports.parameters import Schema, check_parameters, read_schema, schema_beside
from civic_kernel.reports.record import make_run_record
from civic_kernel.settings import Settings
from civic_kernel.texts import Language, text

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

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


# --- the kernel ---


def _execute(
    source: bytes,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    progress: Progress | None,
    seconds: int,
) -> nbformat.NotebookNode:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    notebook = nbformat.reads(source.decode("utf-8"), as_version=4)
    notebook.cells.append(
        nbformat.v4.new_code_cell(_LAST_CELL, metadata={"tags": [_HIDDEN_TAG]}, id="civic-answers")
    )
    total = (
        sum(cell.cell_type == "code" for cell in notebook.cells) + 1
    )  # papermill adds the parameters' cell
    # Under the system's temporary folder: the paths of unix sockets may have no more than 107 characters.
    private = Path(tempfile.mkdtemp(prefix="civic-"))
    room = private / "room"
    room.mkdir(mode=0o700)
    made: list[AsyncKernelManager] = []
    late = threading.Event()
    timer = threading.Timer(seconds, _stop, (made, late))
    timer.daemon = True
    seen = _Watch(total, progress, settings.language)
    _quieten()
    timer.start()
    try:
        executed: nbformat.NotebookNode = papermill.execute_notebook(
            notebook,
            None,
            parameters=dict(parameters),
            kernel_name="python3",
            progress_bar=False,
            request_save_on_cell_execute=False,
            kernel_manager_class=_manager_class(private, room, settings, spoken, made),
            on_cell_execute=seen.cell,
        )
    except PapermillExecutionError as fault:
        raise _failed(fault, seen, settings.language) from None
    except (DeadKernelError, CellTimeoutError, RuntimeError, OSError):
        if late.is_set():
            raise RunTimeout.say(settings.language, seconds=seconds) from None
        raise KernelDied.say(settings.language) from None
    finally:
        timer.cancel()
        _end(made)
        shutil.rmtree(private, ignore_errors=True)
    # What papermill notes about the machine (paths, times) is not part of what the run said.
    executed.metadata.pop("papermill", None)
    for cell in executed.cells:
        for noise in ("papermill", "execution", "ExecuteTime"):
            cell.metadata.pop(noise, None)
    return executed


def _manager_class(
    private: Path, room: Path, settings: Settings, spoken: Language, made: list[AsyncKernelManager]
) -> type[AsyncKernelManager]:
    """A kernel manager that starts its kernel in `room` with an environment of our own making.

    A class and not an instance, since nbclient closes the sockets of managers that it made itself and of no
    others; `made` gets the instance, whose kernel we must be able to end.
    """
    from jupyter_client.manager import AsyncKernelManager

    token = private / "token"
    token.touch(mode=0o600)
    token.write_text(settings.token.reveal(), encoding="ascii")
    environment = kernel_environment(room, token, settings, spoken)

    class InItsRoom(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            # Unix sockets in a folder of mode 0700: over TCP any user of the machine could listen to the run.
            options |= {"transport": "ipc", "ip": str(private / "kernel")}
            options["connection_file"] = str(private / "kernel.json")
            super().__init__(**options)
            made.append(self)

        async def _async_start_kernel(self, **options: Any) -> None:
            options |= {"env": environment, "cwd": str(room)}
            await super()._async_start_kernel(**options)

        start_kernel = _async_start_kernel

    return InItsRoom


def kernel_environment(room: Path, token: Path, settings: Settings, spoken: Language) -> dict[str, str]:
    """All that a report's kernel is told. Everything else of the caller's environment stays behind."""
    package = Path(__file__).resolve().parents[2]
    environment = {
        "CIVIC_GATEWAY_URL": settings.gateway_url,
        "CIVIC_TOKEN_FILE": str(token),
        "CIVIC_LANGUAGE": spoken,
        "HOME": str(room),
        "IPYTHONDIR": str(room / ".ipython"),
        "JUPYTER_CONFIG_DIR": str(room / ".jupyter"),
        "MPLCONFIGDIR": str(room / ".matplotlib"),
        "LANG": "C.UTF-8",
        "TZ": "Asia/Seoul",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        # A folder of bytecode would be written beside the installed packages, or fail there.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    if settings.team:
        environment["CIVIC_TEAM"] = settings.team
    if settings.purpose:
        environment["CIVIC_PURPOSE"] = settings.purpose
    if not package.is_relative_to(Path(sys.prefix).resolve()):
        environment["PYTHONPATH"] = str(
            package
        )  # a checkout that is not installed: the kernel's folder is empty
    return environment


def _stop(made: Sequence[AsyncKernelManager], late: threading.Event) -> None:
    late.set()
    _end(made)


def _end(made: Sequence[AsyncKernelManager]) -> None:
    """End the kernel and what it started: its whole process group, which jupyter_client makes its own."""
    for manager in made:
        group = getattr(manager.provisioner, "pgid", None)
        with suppress(ProcessLookupError, PermissionError):
            if group and group != os.getpgrp():
                os.killpg(group, signal.SIGKILL)


def _quieten() -> None:
    """papermill and nbclient log paths and tracebacks; a person gets our sentence instead."""
    for name in ("papermill", "papermill.translators", "traitlets", "nbclient"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


# --- telling a person ---


class _Watch:
    """Which cell runs now, for progress and for naming it in a failure."""

    def __init__(self, total: int, progress: Progress | None, language: Language) -> None:
        self.total, self.progress, self.language = total, progress, language
        self.done = 0
        self.title = ""

    def cell(self, cell: Any, cell_index: int) -> None:
        if cell.cell_type != "code":
            return
        self.done += 1
        self.title = title_of(cell, self.language)
        if self.progress is not None:
            self.progress(self.done, self.total, self.title)


def title_of(cell: Any, language: Language) -> str:
    """What the author calls the cell (`metadata.civic.title`), or a plain word."""
    titles = cell.metadata.get("civic", {}).get("title", {})
    return str(titles.get(language) or text(language, "report", "run.plain"))


def _failed(fault: Any, seen: _Watch, language: Language) -> CivicError:
    """RunFailed in plain words. The gateway's own refusals are sentences already and are passed on; any other
    exception's text may hold a value or a path, so only the cell is named."""
    error = RunFailed.say(language, cell=seen.done)
    error.message = f"{error.message} {text(language, 'report', 'run.at', title=seen.title)}"
    known = getattr(errors, str(fault.ename), None)
    if isinstance(known, type) and issubclass(known, CivicError) and fault.evalue:
        error.remedy = str(fault.evalue)
    error.args = (error.message, error.remedy, None)
    return error


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ["Progress", "Request", "Schema", "kernel_environment", "run_report", "title_of"]
