"""One run in a process forked from the template, seen from the asker's side.

Whoever asks keeps one end of a socket, through which everything goes: notebook, parameters and token in, cells and the
executed notebook out. The token is thus in no file, no argument and no environment.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

from civic_kernel import warm
from civic_kernel.errors import KernelDied, RunTimeout
from civic_kernel.settings import Settings
from civic_kernel.texts import Language
from civic_kernel.warm.sandbox import GATEWAY, HOME

#: Threads count; a report has a few.
MOST_PROCESSES = 128


@dataclass(frozen=True)
class Outcome:
    """`failed` has the exception's name and text where a cell raised; the notebook then ends with that cell's outputs."""

    executed: nbformat.NotebookNode
    failed: Mapping[str, str] | None


def can_fork(path: str) -> bool:
    """Whether runs can be forked by the template at `path` for whoever calls: in a sandbox, which only root's template
    makes, or as herself where there is no root to drop from."""
    try:
        return os.stat(path).st_uid in (0, os.geteuid())
    except OSError:
        return False


def run_forked(
    path: str,
    notebook: nbformat.NotebookNode,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    *,
    seconds: float,
    memory: int = 0,
    began: Callable[[Mapping[str, Any]], None],
    home: str,
    environment: Mapping[str, str],
) -> Outcome:
    """Raises warm.NoTemplate and warm.Refused before anything ran, RunTimeout, KernelDied. `home` is the folder of a run
    without sandbox; `memory` in bytes, 0 for no limit."""
    is_sandboxed = os.stat(path).st_uid == 0
    ours, theirs = socket.socketpair()
    with ours, open(os.devnull, "r+b") as null:
        with theirs:
            child = warm.ask(
                path,
                warm.Order(
                    warm.Kind.RUN,
                    follows=True,
                    limits=warm.Limits(memory=memory, processes=MOST_PROCESSES)
                    if is_sandboxed
                    else warm.Limits(),
                ),
                warm.Letter(
                    argv=("civic-run",),
                    env={**environment, "HOME": HOME} if is_sandboxed else dict(environment),
                    cwd=HOME if is_sandboxed else home,
                ),
                (null.fileno(), null.fileno(), theirs.fileno()),
            )
        try:
            return _converse(
                ours, notebook, parameters, settings, spoken, time.monotonic() + seconds, began, is_sandboxed
            )
        except TimeoutError:
            raise RunTimeout.say(settings.language, seconds=int(seconds)) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
            raise KernelDied.say(settings.language) from None
        finally:
            _end(path, child, is_sandboxed)


def _converse(
    connection: socket.socket,
    notebook: nbformat.NotebookNode,
    parameters: Mapping[str, Any],
    settings: Settings,
    spoken: Language,
    end: float,
    began: Callable[[Mapping[str, Any]], None],
    is_sandboxed: bool,
) -> Outcome:
    from civic_kernel.reports.channel import Channel

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
        import signal

        warm.send_signal(child.pid, child.started, signal.SIGKILL)
