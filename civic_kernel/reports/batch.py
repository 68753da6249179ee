"""A batch: one notebook, many values of its parameters, and a folder that remembers how far it is.

FOLDER/batch.json        what was ordered and what became of each part; replaced whole at each change
FOLDER/notebook.ipynb    the notebook and its declaration as they were when it was ordered: a batch that is resumed
FOLDER/notebook.schema.json    after an upgrade is still one batch
FOLDER/1/ 2/ …           the reports (civic_kernel.reports.work), each there whole or not at all

Which report is in which folder stands in batch.json alone: no path is made from a parameter. No token is in any file,
so a batch that was cut off goes on only when its owner says so with hers.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from civic_kernel.errors import CivicError, RunCancelled, RunInterrupted, RunsClosed
from civic_kernel.reports.outcome import Bounds
from civic_kernel.reports.parameters import Parameters, Schema, check_parameters, read_schema, schema_beside
from civic_kernel.reports.runner import Request, read_source
from civic_kernel.reports.work import PARTIAL, Public, Report, make_report
from civic_kernel.settings import Settings
from civic_kernel.texts import LANGUAGES, Language

STATE = "batch.json"
log = logging.getLogger("civic.reports")


class State(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: Of a batch that is over: some are done.
    PARTLY = "partly"


OVER = frozenset({State.DONE, State.FAILED, State.CANCELLED})


@dataclass
class Part:
    """One run of a batch. `done`, `total` and `cell` tell how far it is; `code`, `message` and `remedy` why it is not
    done, in the words of the gateway's failures."""

    parameters: Parameters
    state: State = State.WAITING
    done: int = 0
    total: int = 0
    cell: str = ""
    code: str = ""
    message: str = ""
    remedy: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Order:
    """What was asked for. `pay` is the ρ agreed to, in nano-ρ; `key` and `body` (a hash) make a second sending of the
    same order the same batch; `owner` is a person's name, empty at the command line."""

    id: str
    report: str
    title: Mapping[Language, str]
    language: Language
    team: str | None
    purpose: str | None
    owner: str = ""
    pay: int = 0
    key: str = ""
    body: str = ""
    created_at: str = ""


@dataclass
class Batch:
    """The one object of a batch in a process; its methods may be called by many threads."""

    folder: Path
    order: Order
    parts: list[Part]
    _guard: threading.RLock = field(default_factory=threading.RLock, repr=False)

    # --- making and reading ---

    @classmethod
    def make(cls, folder: Path, notebook: Path, order: Order, parameters: Sequence[Parameters]) -> Self:
        """A new batch in `folder`, which appears with its first state."""
        source = read_source(notebook, order.language)
        staged = folder.with_name(f".{folder.name}.new")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True, mode=0o700)
        (staged / "notebook.ipynb").write_bytes(source)
        (staged / "notebook.schema.json").write_bytes(schema_beside(notebook).read_bytes())
        order = Order(**{**asdict(order), "created_at": _now()})
        batch = cls(staged, order, [Part(each) for each in parameters])
        batch.save()
        if folder.is_dir():
            folder.rmdir()  # an empty one that somebody made for it; OSError for any other
        os.rename(staged, folder)
        batch.folder = folder
        return batch

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `save` wrote; what ran when it was written has been cut off since. Raises ValueError."""
        try:
            raw = json.loads((folder / STATE).read_text("utf-8"))
            order = Order(**raw["order"])
            parts = [Part(**{**part, "state": State(part["state"])}) for part in raw["parts"]]
        except (OSError, KeyError, TypeError, AttributeError) as fault:
            raise ValueError("no batch") from fault
        batch = cls(folder, order, parts)
        cut_off = [part for part in parts if part.state not in OVER]
        for part in cut_off:
            batch._end(part, State.FAILED, RunInterrupted.say(order.language))
        if cut_off:
            batch.save()
        batch.sweep()
        return batch

    def sweep(self) -> None:
        """Removes what a killed process was making. Nothing of this batch may run."""
        for left in self.folder.glob(".*"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)

    def save(self) -> None:
        with self._guard:
            document = {"order": asdict(self.order), "parts": [asdict(part) for part in self.parts]}
            new = self.folder / f".{STATE}"
            new.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
            os.replace(new, self.folder / STATE)

    # --- what is there ---

    @property
    def notebook(self) -> Path:
        return self.folder / "notebook.ipynb"

    @property
    def state(self) -> State:
        states = {part.state for part in self.parts}
        if not states <= OVER:
            return State.WAITING if states <= {State.WAITING} else State.RUNNING
        return states.pop() if len(states) == 1 else State.PARTLY if State.DONE in states else State.FAILED

    def place(self, number: int) -> Path:
        """The folder of part `number`, counted from 1."""
        return self.folder / str(number)

    def page(self, number: int) -> str | None:
        """Where the part's page begins, below its `page` folder; None while there is none."""
        folder = self.place(number) / "page"
        language = self.parts[number - 1].parameters.get("language")
        names = [language] if language in LANGUAGES else []
        for name in [*names, self.order.language]:
            if (folder / name / "index.html").is_file():
                return f"{name}/index.html"
        return "index.html" if (folder / "index.html").is_file() else None

    def has_partial(self, number: int) -> bool:
        return (self.place(number) / PARTIAL).is_file()

    def name(self, number: int) -> str:
        """What sets this part apart from the others, in words."""
        schema = read_schema(self.notebook, self.order.language)
        mine = self.parts[number - 1].parameters
        apart = [n for n in mine if any(part.parameters.get(n) != mine[n] for part in self.parts)]
        return ", ".join(schema.words_for(n, mine[n], self.order.language) for n in apart) or schema.name

    # --- changing ---

    def again(self) -> list[int]:
        """Lets what ended without a page wait once more; the numbers of those parts."""
        with self._guard:
            numbers = [n for n, part in enumerate(self.parts, 1) if part.state in OVER - {State.DONE}]
            for number in numbers:
                self.parts[number - 1] = Part(self.parts[number - 1].parameters)
            self.save()
            return numbers

    def again_and_waiting(self) -> list[int]:
        """As `again`; and those that have never begun."""
        with self._guard:
            self.again()
            return [n for n, part in enumerate(self.parts, 1) if part.state is State.WAITING]

    def cancel(self, number: int) -> None:
        """Of a part that has not begun; one that runs is told by its `stop`."""
        with self._guard:
            part = self.parts[number - 1]
            if part.state is State.WAITING:
                self._end(part, State.CANCELLED, RunCancelled.say(self.order.language))
                self.save()

    def perform(
        self,
        number: int,
        settings: Settings,
        public: Public,
        bounds: Bounds,
        *,
        only_forked: bool = False,
        changed: threading.Event | None = None,
    ) -> None:
        """Runs part `number`, if it still waits, and keeps what came of it; raises nothing of a run's."""
        part = self.parts[number - 1]
        with self._guard:
            if part.state is not State.WAITING:
                return
            part.state = State.RUNNING
            self.save()

        def tell(done: int, total: int, title: str) -> None:
            part.done, part.total, part.cell = done, total, title
            if changed is not None:
                changed.set()

        report = Report(Request(self.notebook, part.parameters), self.order.title, bounds, only_forked)
        began = datetime.now(UTC)
        try:
            make_report(report, self.place(number), settings, public, tell)
        except CivicError as fault:
            stopped = isinstance(fault, RunCancelled)
            self._end(part, State.CANCELLED if stopped else State.FAILED, fault)
        except Exception as fault:
            # A full disk, say. The queue's thread must live, and no text of such an exception is for anybody's page.
            log.error("%s at %s", type(fault).__name__, place_of(fault))
            self._end(part, State.FAILED, RunsClosed.say(self.order.language))
        else:
            part.state = State.DONE
        part.seconds = round((datetime.now(UTC) - began).total_seconds(), 2)
        self.save()
        if changed is not None:
            changed.set()

    def _end(self, part: Part, state: State, fault: CivicError) -> None:
        part.state, part.code, part.message, part.remedy = state, fault.code, fault.message, fault.remedy


def place_of(error: BaseException) -> str:
    """`work.py:212 in make_report`: where it happened, without any value that was there."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else "?"


def every(
    schema: Schema, given: Mapping[str, Any], each: Mapping[str, Sequence[Any]], language: Language
) -> list[Parameters]:
    """The parameters of every run: `given`, and each combination of the values of `each`. Raises ParameterUnknown and
    ParameterInvalid."""
    names = list(each)
    made = [
        check_parameters(schema, {**given, **dict(zip(names, values, strict=True))}, language)
        for values in itertools.product(*each.values())
    ]
    return [one for number, one in enumerate(made) if one not in made[:number]]


def all_values(schema: Schema, name: str) -> list[Any]:
    """What a parameter may be, for `--each NAME` without values: all that its schema lists, less `all`, which is no one
    of them. Empty where the schema lists none."""
    rule = schema.document["properties"].get(name, {})
    return [value for value in rule.get("enum", []) if value != "all"]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
