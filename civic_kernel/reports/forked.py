"""Work in processes forked from the template, seen from the asker's side: a run, a rehearsal, a page.

Whoever asks keeps one end of a socket, through which everything goes: notebook, parameters and token in, cells and
their outputs out, each once and as soon as it is there. The token is thus in no file, no argument and no environment;
and a run that is ended in the middle leaves what it had shown until then.
"""

from __future__ import annotations

import base64
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import nbformat

from civic_kernel import warm
from civic_kernel.errors import (
    BadAnswer,
    CivicError,
    KernelDied,
    RunCancelled,
    RunMemory,
    RunTimeout,
    error_from_envelope,
)
from civic_kernel.reports.channel import Channel
from civic_kernel.reports.cold import run_environment
from civic_kernel.reports.heard import Heard
from civic_kernel.reports.memory import Growth
from civic_kernel.reports.outcome import Began, Bounds, Outcome
from civic_kernel.settings import Settings
from civic_kernel.texts import Language
from civic_kernel.warm.sandbox import GATEWAY, HOME

#: Threads count; a report has a few.
MOST_PROCESSES = 128
#: Hundredths of a core: a run that starts threads takes none of its neighbour's.
MOST_CPU = 100
#: Seconds between two looks at the clock, the stop and the memory.
LOOK_S = 0.1
#: Seconds that making a page may take.
PAGE_S = 120
#: The control group's limit, over ours: a run that grows slowly enough to be seen is ended with a sentence, and the
#: system's is for what grows faster.
ROOM_OVER = 1.25


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
    bounds: Bounds,
) -> Outcome:
    """Asks the template at `path`. Raises warm.NoTemplate and warm.Refused, before anything ran. What went wrong later
    is the outcome's."""
    with _child(path, settings, spoken, bounds) as talk:
        heard = Heard(began)
        asked = {
            "work": "run",
            "notebook": nbformat.writes(notebook),
            "parameters": dict(parameters),
            **_sign_in(talk, settings, spoken),
        }
        fault = talk.converse(asked, heard.hear)
        return heard.outcome(fault)


def rehearse(
    path: str,
    notebook: str,
    parameters: Sequence[Mapping[str, Any]],
    settings: Settings,
    spoken: Language,
    bounds: Bounds,
) -> list[dict[str, Any]]:
    """Runs the text `notebook` on made-up rows once for each of `parameters`, and tells what each asked: `{"asked":
    [{"plan", "spend", "purpose"}], "stopped": [{"cell", "kind", "sentence", "asks"}]}`. Raises as `run`, and
    KernelDied, RunTimeout, RunMemory or RunCancelled."""
    told: list[dict[str, Any]] = []
    with _child(path, settings, spoken, bounds) as talk:
        asked = {
            "work": "rehearse",
            "notebook": notebook,
            "parameters": [dict(each) for each in parameters],
            **_sign_in(talk, settings, spoken),
        }

        def hear(message: dict[str, Any]) -> bool:
            if "rehearsed" in message:
                told.append(message["rehearsed"])
            return "done" in message

        fault = talk.converse(asked, hear)
        if fault is not None:
            raise fault
        if len(told) != len(parameters):
            raise KernelDied.say(settings.language)
        return told


def make_page(path: str, order: Mapping[str, Any], settings: Settings, bounds: Bounds) -> dict[str, bytes]:
    """The files of a page (name → bytes), made by a process that has run nobody's notebook and may reach nothing.
    `order` is what `civic_kernel.reports.inside` describes. Raises what making it raises, and as `rehearse`."""
    found: dict[str, bytes] = {}
    refused: list[CivicError | None] = []
    bounds = Bounds(PAGE_S, bounds.memory, bounds.stop)
    with _child(path, settings, settings.language, bounds) as talk:

        def hear(message: dict[str, Any]) -> bool:
            if "refused" in message:
                refused.append(error_from_envelope(message["refused"]))
            else:
                found.update((name, base64.b64decode(text)) for name, text in message["files"].items())
            return True

        fault = talk.converse({"work": "page", "language": settings.language, **order}, hear)
    for one in (fault, *refused):
        if one is not None:
            raise one
    if refused or not found:
        raise BadAnswer.say(settings.language)
    return found


# --- one process ---


@dataclass
class _Talk:
    """A child of the template, and the conversation with it."""

    connection: socket.socket
    growth: Growth
    end: float
    bounds: Bounds
    language: Language
    is_sandboxed: bool

    def converse(self, asked: dict[str, Any], hear: Any) -> CivicError | None:
        """Sends `asked` and hands each message to `hear`, until it says that this was the last; else why it ended."""
        channel = Channel(self.connection)
        try:
            # A child that does not read must not keep us for ever.
            self.connection.settimeout(30)
            channel.send({**asked, "memory": self.growth.space + self.bounds.memory})
            while True:
                reason = self._wait()
                if reason is not None:
                    return reason
                told = channel.receive()
                if told is None:
                    return self._gone()
                if hear(told):
                    return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
            # What comes from a run is somebody else's word: anything that is not in the form is as good as nothing.
            return self._gone()

    def _wait(self) -> CivicError | None:
        """Until there is something to read; or why there is no more waiting for it."""
        while True:
            readable, _, _ = select.select([self.connection], [], [], LOOK_S)
            if self.bounds.is_stopped():
                return RunCancelled.say(self.language)
            if time.monotonic() > self.end:
                return RunTimeout.say(self.language, seconds=self.bounds.seconds)
            if self.growth.look() > self.bounds.memory:
                return self._memory()
            if readable:
                return None

    def _gone(self) -> CivicError:
        if self.bounds.is_stopped():
            return RunCancelled.say(self.language)
        return KernelDied.say(self.language)

    def _memory(self) -> CivicError:
        return RunMemory.say(self.language)


@contextmanager
def _child(path: str, settings: Settings, spoken: Language, bounds: Bounds) -> Iterator[_Talk]:
    """A new process of the template's; ended, with all that it started, at the end."""
    try:
        is_sandboxed = os.stat(path).st_uid == 0
    except OSError:
        raise warm.NoTemplate() from None
    end = time.monotonic() + bounds.seconds
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="civic-") as room, ours, open(os.devnull, "r+b") as null:
        home = HOME if is_sandboxed else room
        most = warm.Limits(memory=int(bounds.memory * ROOM_OVER), cpu=MOST_CPU, processes=MOST_PROCESSES)
        with theirs:
            child = warm.ask(
                path,
                warm.Order(warm.Kind.RUN, follows=True, limits=most if is_sandboxed else warm.Limits()),
                warm.Letter(("civic-run",), run_environment(settings, spoken, home), home),
                (null.fileno(), null.fileno(), theirs.fileno()),
            )
        growth = Growth(child.pid, child.uid if is_sandboxed else None)
        try:
            yield _Talk(ours, growth, end, bounds, settings.language, is_sandboxed)
        finally:
            _end(path, child, is_sandboxed)


def _sign_in(talk: _Talk, settings: Settings, spoken: Language) -> dict[str, Any]:
    return {
        "gateway_url": settings.gateway_url,
        "socket": GATEWAY if talk.is_sandboxed else None,
        "token": settings.token.reveal(),
        "team": settings.team,
        "purpose": settings.purpose,
        "language": spoken,
    }


def _end(path: str, child: warm.Child, is_sandboxed: bool) -> None:
    """Whatever the run still does, it does no longer."""
    if is_sandboxed:
        warm.end_run(path, child.uid)
    else:
        warm.send_signal(child.pid, child.started, signal.SIGKILL)
