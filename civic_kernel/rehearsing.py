"""A workshop's notebook, run through before the workshop on made-up rows, while what it asks is written down.

It tells two things: whether the notebook runs to its end, and which questions thirty people will ask who run it on the
real data. Bought once beforehand, those are free for all of them.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civic_kernel import practice, wire
from civic_kernel.client import Client
from civic_kernel.errors import CivicError, PlanInvalid
from civic_kernel.texts import speaker
from civic_kernel.told import Told


@dataclass(frozen=True)
class Asked:
    """One question as the contract has it: `plan`, `spend` (None: the policy's own) and, if the notebook names them,
    team and purpose."""

    plan: dict[str, Any]
    spend: dict[str, Any] | None
    purpose: str | None


@dataclass(frozen=True)
class Fault:
    """Where the notebook stopped: the code cell, counted from 1, the kind of error, and its sentence if it is ours."""

    cell: int
    kind: str
    sentence: str
    #: Whether the cell's code seems to ask something: what it would have asked is then unknown.
    asks: bool = False


@dataclass(frozen=True)
class Rehearsal:
    asked: tuple[Asked, ...]
    cells: int
    faults: tuple[Fault, ...]

    @property
    def fault(self) -> Fault | None:
        return self.faults[0] if self.faults else None


class Recorder(Client):
    """Stands where the client stands: describes the real data, answers from made-up rows, and notes each question
    once. Open data cost nothing and pass."""

    def __init__(self, client: Client, rows: int = practice.ROWS) -> None:
        # Not Client.__init__: no token and no connection of its own.
        self.team, self.purpose, self.language = client.team, client.purpose, client.language
        self.answers = []
        self.told = Told()
        self._real, self._rows = client, rows
        self._asked: dict[str, Asked] = {}

    @property
    def asked(self) -> tuple[Asked, ...]:
        return tuple(self._asked.values())

    def close(self) -> None:
        """Nothing of its own is open."""

    def dataset(self, dataset: str) -> wire.DatasetDetail:
        return self._real.dataset(dataset)

    def rows(self, plan: dict[str, Any], **rest: Any) -> wire.AnswerBody:
        return self._real.rows(plan, **rest)

    def price(self, question: Any, spend: dict[str, Any] | None = None, **rest: Any) -> wire.PriceBody:
        plan = self._plan(question)
        return self._answers(plan).price(plan, spend, **rest)

    def ask(
        self,
        question: Any,
        spend: dict[str, Any] | None = None,
        *,
        purpose: str | None = None,
        **rest: Any,
    ) -> wire.AnswerBody:
        plan = self._plan(question)
        if not self._real.dataset(str(plan["dataset"])).is_open:
            noted = Asked(plan, spend, purpose)
            self._asked.setdefault(json.dumps([plan, spend], sort_keys=True), noted)
        return self._answers(plan).ask(plan, spend, purpose=purpose, **rest)

    def _plan(self, question: dict[str, Any] | str) -> dict[str, Any]:
        return self._real.price(question).plan if isinstance(question, str) else question

    def _answers(self, plan: dict[str, Any]) -> Client:
        return practice.practice_dataset(self._real, str(plan["dataset"]), self._rows)._client

    def _call(self, method: str, path: str, body: Any = None, accept: str = "application/json") -> Any:
        # What else a notebook may read (the catalog, earlier answers) it reads; nothing is paid on the way.
        if method != "GET":
            say = speaker(self.language, "opening", "no_orders")
            raise PlanInvalid(say(""), say(".remedy"))
        return self._real.get(path)


class Remembering(Client):
    """`client`, asked but once for each description and each page of open rows: many rehearsals of one notebook ask
    for the same, and most of their time was the way there and back."""

    def __init__(self, client: Client) -> None:
        # Not Client.__init__: the connection is the client's own, and closed by whoever opened it.
        self.__dict__.update(vars(client))
        self._described: dict[str, wire.DatasetDetail] = {}
        self._pages: dict[str, wire.AnswerBody] = {}

    def dataset(self, dataset: str) -> wire.DatasetDetail:
        if dataset not in self._described:
            self._described[dataset] = super().dataset(dataset)
        return self._described[dataset]

    def rows(self, plan: dict[str, Any], **rest: Any) -> wire.AnswerBody:
        asked = json.dumps([plan, rest], sort_keys=True)
        if asked not in self._pages:
            self._pages[asked] = super().rows(plan, **rest)
        return self._pages[asked]


def rehearse(
    cells: list[str], folder: Path, client: Client, *, rows: int = practice.ROWS, go_on: bool = False
) -> Rehearsal:
    """Runs code cells in this process, in `folder`, up to the first that fails; with `go_on` also those behind it:
    made-up rows may have nothing to draw where the questions are all the same. `rows` of each dataset are made up."""
    import civic_kernel

    recorder = Recorder(client, rows)
    before = civic_kernel._client
    civic_kernel.connect(recorder)
    try:
        with _on_the_recorder(), contextlib.chdir(folder):
            faults = _run(cells, go_on)
    finally:
        civic_kernel._client = before
    return Rehearsal(recorder.asked, len(cells), tuple(faults))


@contextlib.contextmanager
def _on_the_recorder() -> Iterator[None]:
    """`civic.use("twin")` in a notebook would let its questions pass by the recorder: here both words mean it."""
    before, chosen = practice.choose, practice._chosen
    practice.choose("real")
    practice.choose = lambda data: None
    try:
        yield
    finally:
        practice.choose, practice._chosen = before, chosen


def code_cells(notebook: str) -> list[str]:
    """The code cells of a notebook's text. Raises ValueError for a text that is none."""
    import nbformat

    try:
        found = nbformat.reads(notebook, as_version=4)
        return [str(cell.source) for cell in found.cells if cell.cell_type == "code"]
    except Exception:  # nbformat raises what it likes for a text that is none
        raise ValueError("no notebook") from None


#: How questions are asked; a cell that hides it in a function of another cell is taken for one that does not.
_ASKS = re.compile(r"\.ask\(|\bcivic\.sql\(|^%%civic", re.MULTILINE)


def _run(cells: list[str], go_on: bool) -> list[Fault]:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def enable_gui(self, gui: object = None) -> None:
            """Asked for by `%matplotlib inline`: nothing is shown here."""

    config = Config()
    # A file in somebody's home, and a thread that writes it.
    config.HistoryManager.enabled = False
    faults: list[Fault] = []
    with capture_output():
        shell: Any = Shell.instance(config=config)
        try:
            shell.run_line_magic("load_ext", "civic_kernel.kernel.extension")
            for number, source in enumerate(cells, 1):
                done = shell.run_cell(source, store_history=False)
                if not done.success:
                    fault = done.error_before_exec or done.error_in_exec
                    said = str(fault) if isinstance(fault, CivicError) else ""
                    faults.append(Fault(number, type(fault).__name__, said, bool(_ASKS.search(source))))
                    if not go_on:
                        break
        finally:
            Shell.clear_instance()
    return faults
