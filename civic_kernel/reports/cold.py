"""A run in a kernel of the caller's own: where there is no template, and for whoever has no right to runs' users.

The kernel gets a working folder with nothing in it, an environment of a dozen named variables, and its token in a
file; not the caller's environment, in which other people's secrets may lie. It is the caller's user all the same, and
may read what she may.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from civic_kernel.errors import CivicError, KernelDied, RunCancelled, RunTimeout
from civic_kernel.reports.outcome import Began, Bounds, Outcome
from civic_kernel.settings import Settings
from civic_kernel.texts import Language

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager


def run(
    notebook: nbformat.NotebookNode,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    began: Began,
    bounds: Bounds,
) -> Outcome:
    """Nothing of it is left afterwards. Its memory is the caller's own affair."""
    import papermill
    from jupyter_core.utils import ensure_event_loop
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    seen: list[Any] = []

    def cell_begins(cell: Any, cell_index: int) -> None:
        seen.append(cell)
        if cell.cell_type == "code":
            began(cell.metadata.get("civic", {}))

    # Under the system's temporary folder: the paths of unix sockets may have no more than 107 characters.
    private = Path(tempfile.mkdtemp(prefix="civic-"))
    room = private / "room"
    room.mkdir(mode=0o700)
    made: list[AsyncKernelManager] = []
    over, late = threading.Event(), threading.Event()
    ender = threading.Thread(target=_end_in_time, args=(made, bounds, over, late), daemon=True)
    _quieten()
    ender.start()
    try:
        return Outcome(
            papermill.execute_notebook(
                notebook,
                None,
                parameters=dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                request_save_on_cell_execute=False,
                kernel_manager_class=_manager_class(private, room, settings, spoken, made),
                on_cell_start=cell_begins,
            )
        )
    except PapermillExecutionError as fault:
        failed = {"ename": str(fault.ename), "evalue": str(fault.evalue)}
        return Outcome(_until(notebook, seen), failed)
    except (DeadKernelError, CellTimeoutError, RuntimeError, OSError):
        reason: CivicError = KernelDied.say(settings.language)
        if bounds.is_stopped():
            reason = RunCancelled.say(settings.language)
        elif late.is_set():
            reason = RunTimeout.say(settings.language, seconds=bounds.seconds)
        return Outcome(_until(notebook, seen), fault=reason)
    finally:
        over.set()
        ender.join()
        _end(made)
        if threading.current_thread() is not threading.main_thread():
            # nbclient makes one for each thread that it is called in, and leaves it.
            ensure_event_loop().close()
        shutil.rmtree(private, ignore_errors=True)


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
    environment = {**run_environment(settings, spoken, str(room)), "CIVIC_TOKEN_FILE": str(token)}

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


def run_environment(settings: Settings, spoken: Language, home: str) -> dict[str, str]:
    """All that a run is told, wherever it runs. Everything else of the caller's environment stays behind."""
    package = Path(__file__).resolve().parents[2]
    environment = {
        "CIVIC_GATEWAY_URL": settings.gateway_url,
        "CIVIC_LANGUAGE": spoken,
        "HOME": home,
        "IPYTHONDIR": f"{home}/.ipython",
        "JUPYTER_CONFIG_DIR": f"{home}/.jupyter",
        "MPLCONFIGDIR": f"{home}/.matplotlib",
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
        # A checkout that is not installed: the run's folder is empty.
        environment["PYTHONPATH"] = str(package)
    return environment


def _until(notebook: nbformat.NotebookNode, seen: Sequence[Any]) -> nbformat.NotebookNode:
    """The notebook up to the cell at which it stopped, with what its cells have shown."""
    begun = nbformat.v4.new_notebook(metadata=notebook.metadata)
    begun.cells = list(seen)
    return begun


def _end_in_time(
    made: Sequence[AsyncKernelManager], bounds: Bounds, over: threading.Event, late: threading.Event
) -> None:
    """End the kernel when it may run no longer, or when somebody stops it; until it is `over`."""
    end = time.monotonic() + bounds.seconds
    while not over.wait(0.1):
        if time.monotonic() > end:
            late.set()
        if late.is_set() or bounds.is_stopped():
            _end(made)
            over.wait(1)


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
