"""One run in a process forked from the template, seen from the asker's side.

Whoever asks keeps one end of a socket, through which everything goes: notebook, parameters and token in, cells and the
executed notebook out. The token is thus in no file, no argument and no environment.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import nbformat

from civic_kernel import warm
from civic_kernel.errors import KernelDied, RunTimeout
from civic_kernel.reports.channel import Channel
from civic_kernel.reports.cold import run_environment
from civic_kernel.reports.outcome import Began, Outcome
from civic_kernel.settings import Settings
from civic_kernel.texts import Language
from civic_kernel.warm.sandbox import GATEWAY, HOME

#: Threads count; a report has a few.
MOST_PROCESSES = 128
#: Bytes; a report with a map of all gu takes a tenth.
MOST_MEMORY = 1_500_000_000


def is_for_others(refused: warm.Refused) -> bool:
    """Whether the template forks runs, but not for this caller: a seat has no right to the runs' users."""
    return str(refused) == "not yours"


def run(
    path: str,
    notebook: nbformat.NotebookNode,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    began: Began,
    seconds: float,
) -> Outcome:
    """Asks the template at `path`. Raises warm.NoTemplate and warm.Refused before anything ran; RunTimeout and
    KernelDied."""
    try:
        is_sandboxed = os.stat(path).st_uid == 0
    except OSError:
        raise warm.NoTemplate() from None
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="civic-") as room, ours, open(os.devnull, "r+b") as null:
        home = HOME if is_sandboxed else room
        limits = warm.Limits(memory=MOST_MEMORY, processes=MOST_PROCESSES) if is_sandboxed else warm.Limits()
        with theirs:
            child = warm.ask(
                path,
                warm.Order(warm.Kind.RUN, follows=True, limits=limits),
                warm.Letter(("civic-run",), run_environment(settings, spoken, home), home),
                (null.fileno(), null.fileno(), theirs.fileno()),
            )
        end = time.monotonic() + seconds
        try:
            return _converse(ours, notebook, parameters, settings, spoken, began, end, is_sandboxed)
        except TimeoutError:
            raise RunTimeout.say(settings.language, seconds=int(seconds)) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
            # What comes from a run is somebody else's word: anything that is not in the form is as good as nothing.
            raise KernelDied.say(settings.language) from None
        finally:
            _end(path, child, is_sandboxed)


def _converse(
    connection: socket.socket,
    notebook: nbformat.NotebookNode,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    began: Began,
    end: float,
    is_sandboxed: bool,
) -> Outcome:
    channel = Channel(connection)
    channel.send(
        {
            "notebook": nbformat.writes(notebook),
            "parameters": dict(parameters),
            "gateway_url": settings.gateway_url,
            "socket": GATEWAY if is_sandboxed else None,
            "token": settings.token.reveal(),
            "team": settings.team,
            "purpose": settings.purpose,
            "language": spoken,
        }
    )
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        told = channel.receive()
        if told is None:
            raise ValueError("the run ended without a word")
        if "executed" in told:
            failed = told["failed"]
            return Outcome(
                nbformat.reads(told["executed"], as_version=4),
                None if failed is None else {"ename": str(failed["ename"]), "evalue": str(failed["evalue"])},
            )
        began(told["cell"])


def _end(path: str, child: warm.Child, is_sandboxed: bool) -> None:
    """Whatever the run still does, it does no longer."""
    if is_sandboxed:
        warm.end_run(path, child.uid)
    else:
        warm.send_signal(child.pid, child.started, signal.SIGKILL)
