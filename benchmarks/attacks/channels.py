"""What else than the answer could tell: errors and their timing, and the places where a value might be left."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import httpx
from numpy.typing import NDArray

from benchmarks.attacks.serving import ANSWERS, logged, question, served
from benchmarks.attacks.town import (
    GU,
    MONTH,
    Row,
    WatchedEngine,
    rebuilt,
    spent,
    town,
    townspeople,
    visits_of_target,
    write_rows,
)
from benchmarks.attacks.verdict import Verdict, counted
from benchmarks.workspace import Workspace
from data_access.answers import Shelf, StoredAnswer
from data_access.errors import CivicError, MalformedRequest
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Gaussian
from data_access.vault import engine, store, views

_REQUEST_ID = re.compile(r"req-[a-z2-7]{26}")


@dataclass
class StandingClock:
    """Time passes only when somebody sleeps, or when a step says that it took long."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Fault:
    """Breaks at one step, which may be changed between questions, after a time and with a text that depend on the
    data, as faults do.
    """

    step: str
    text: str
    seconds: float

    def at(self, step: str) -> None:
        if step == self.step:
            raise ValueError(f"invalid literal for int() with base 10: '{self.text}'")

    def at_engine(self, clock: StandingClock) -> None:
        """Before the statement: a real error of DuckDB's, with the value in its text."""
        clock.seconds += self.seconds
        if self.step == "engine":
            duckdb.connect().execute("SELECT CAST($text AS INTEGER)", {"text": self.text})


@dataclass(frozen=True)
class FaultyNoise:
    fault: Fault

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        self.fault.at("noise")
        return DiscreteGaussianNoise().add(values, mechanism)


class FaultyShelf(Shelf):
    def __init__(self, made: Workspace, fault: Fault) -> None:
        super().__init__(made.parts.key, made.parts.clock)
        self._fault = fault

    def put(self, *args: Any, **kwargs: Any) -> StoredAnswer:
        self._fault.at("store")
        return super().put(*args, **kwargs)


#: Where a question may break after its charge; "none" is the question that does not.
STEPS = ("none", "engine", "noise", "store")


def broken(made: Workspace, fault: Fault, clock: StandingClock) -> Workspace:
    return rebuilt(
        made,
        engine=WatchedEngine(made, lambda _: fault.at_engine(clock)),
        noise=FaultyNoise(fault),
        shelf=FaultyShelf(made, fault),
    )


def errors(draws: int) -> Verdict:
    """The same question to D and D′, broken at each step; `draws` times each.

    A success is any difference that the asker or a reader of logs sees: status, body (of a failure), charge,
    the moment of leaving, or a log line.
    """
    ours = _differences(draws)
    with patch.object(engine, "reason_of", _talkative):
        control = _differences(1)
    return counted("error and abort channel", "AWS DP limitations; Lomas HTTP 422", ours, control)


def _differences(turns: int) -> int:
    rows, without = [*townspeople(), *visits_of_target(4)], townspeople()
    seen: list[list[tuple[Any, ...]]] = []
    for data, text, seconds in ((rows, "target 18:00", 0.2), (without, "P7 07:00", 0.01)):
        clock, fault = StandingClock(), Fault("none", text, seconds)
        with (
            town(data, clock=clock) as made,
            logged() as lines,
            served(broken(made, fault, clock)) as client,
        ):
            found = []
            for turn in range(turns):
                for place, fault.step in enumerate(STEPS):
                    # Another question for each step and turn: one that was charged before runs again for nothing.
                    lines.clear()
                    before, began = spent(made.parts), clock.seconds
                    answer = client.post(ANSWERS, json=_body(f"0.01{place}{turn:03d}"))
                    found.append((*_heard(answer, lines), spent(made.parts) - before, clock.seconds - began))
            seen.append(found)
    return sum(one != other for one, other in zip(*seen, strict=True))


def _heard(answer: httpx.Response, lines: list[str]) -> tuple[int, str, str]:
    """Status, body (of a failure), log."""
    body = "" if answer.status_code == 200 else _REQUEST_ID.sub("", answer.text)
    return answer.status_code, body, _REQUEST_ID.sub("", "\n".join(lines))


def _body(rho: str) -> dict[str, object]:
    month = {"column": "month", "op": "eq", "value": MONTH}
    plan: dict[str, object] = {
        "dataset": "visits",
        "where": month,
        "by": ["gu"],
        "measures": {"visits": {"fn": "count"}},
    }
    return question(plan, rho)


def _talkative(error: duckdb.Error) -> CivicError:
    """Weak on purpose: the library's own text goes back to the asker."""
    return MalformedRequest(where=str(error))


#: Values of rows that are looked for everywhere.
CANARY_PERSON, CANARY_NOTE, CANARY_GU = "CANARY-person-7351", "CANARY-카나리아-7352", "CANARY구-7353"
_CANARIES = (CANARY_PERSON, CANARY_NOTE, CANARY_GU)
_CODES = ("utf-8", "cp949", "utf-16-le")


def canaries(draws: int) -> Verdict:
    """Rows with unmistakable values are loaded, refused, asked about and stumbled over, `draws` times; then every
    file of the workspace, every log line and every body is searched for them, in three encodings.

    Successes: places with a canary in them.
    """
    ours = _canaries_found(draws)
    with (
        patch.object(store, "attach", _unencrypted),
        patch.object(views, "attach", _unencrypted),
        patch.object(engine, "attach", _unencrypted),
    ):
        control = _canaries_found(1)
    return counted("canary rows in files, logs, bodies", "pandera#338; ACRO .svg", ours, control)


def _canaries_found(draws: int) -> int:
    planted: list[Row] = [
        (f"{MONTH}-0{day} 08:00", CANARY_PERSON, CANARY_GU, CANARY_NOTE) for day in (1, 2, 3)
    ]
    with logged() as lines, town([*townspeople(), *planted]) as made:
        outside = [_refused_load(made)]
        fault = Fault("none", CANARY_NOTE, 0.0)
        with served(broken(made, fault, StandingClock())) as client:
            for turn in range(draws):
                for place, fault.step in enumerate(STEPS):
                    outside.append(client.post(ANSWERS, json=_body(f"0.02{place}{turn:03d}")).text)
        home = made.parts.settings.home
        files = {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    texts = [text.encode("utf-8") for text in [*lines, *outside]]
    needles = [canary.encode(code) for canary in _CANARIES for code in _CODES]
    return sum(any(needle in content for needle in needles) for content in [*files.values(), *texts])


def _refused_load(made: Workspace) -> str:
    """A file whose third line has no time in it; what the refusal says."""
    with made.parts.database.reading() as connection:
        policy = made.parts.governing.in_force(connection, "visits").policy
    with tempfile.TemporaryDirectory(prefix="civic-attack-") as folder:
        rows = [(f"{MONTH}-01 08:00", "P1", GU[0], ""), (CANARY_NOTE, CANARY_PERSON, CANARY_GU, CANARY_NOTE)]
        try:
            made.load(policy, [write_rows(Path(folder) / "bad.csv", rows)])
        except CivicError as refusal:
            return f"{refusal} {sorted(refusal.facts.items())} {refusal.args}"
    raise AssertionError("a file with a broken time was loaded")


def _unencrypted(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, key_hex: str, *, read_only: bool = False
) -> None:
    """Weak on purpose: the same files without a key."""
    connection.execute(f"ATTACH '{path}' AS {name}{' (READ_ONLY)' if read_only else ''}")
