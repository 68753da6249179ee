"""A small town whose every visit the attacker knows, but for one person's: the worst case that a bound is for."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from benchmarks.workspace import Workspace, workspace
from data_access.answers import Shelf
from data_access.clock import Clock
from data_access.compose import Parts
from data_access.flows.answering import Answering
from data_access.flows.governing import Governing
from data_access.flows.loading import make_missing_view
from data_access.ledger import Book
from data_access.ledger.book import public_ledger
from data_access.policy import Policy
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Gaussian, Noise
from data_access.vault import Engine, KeyStore, View

ROW_BOUND = 4
MONTH = "2026-09"
GU = ("강남구", "종로구", "중구")
TARGET = "target"
COLUMNS = ("at", "person", "gu", "note", "minutes", "km")
#: In the order of `COLUMNS`; what is left out at the end is missing.
Row = tuple[str, ...]
Plan = dict[str, Any]

CATALOG = """
id: visits
title: {ko: 방문, en: Visits}
description: {ko: 공격용, en: For attacks}
encodings: [utf-8]
missing: '\\N'
time_column: at
columns:
  at: {source: at, type: timestamp, required: true, formats: ["%Y-%m-%d %H:%M"], label: {ko: 때, en: When}}
  person: {source: person, type: person, label: {ko: 사람, en: Person}}
  gu: {source: gu, type: text, label: {ko: 구, en: Gu}}
  note: {source: note, type: text, label: {ko: 메모, en: Note}}
  minutes: {source: minutes, type: integer, label: {ko: 분, en: Minutes}}
  km: {source: km, type: decimal, label: {ko: 거리, en: Distance}}
"""


def policy_document(**changes: Any) -> dict[str, Any]:
    """Budgets that no attack runs into unless it wants to; nothing is withheld, which only helps the attacker."""
    return {
        "kind": "civic-policy",
        "dataset": "visits",
        "lineage": "attacked-visits",
        "version": 1,
        "synthetic": True,
        "lane": "private",
        "title": {"ko": "방문", "en": "Visits"},
        "purposes": ["exploration"],
        "signers": [{"side": "city", "party": "demo-city"}, {"side": "cso", "party": "demo-cso"}],
        "unit": {"kind": "person", "column": "person", "period": "month"},
        "row_bound": ROW_BOUND,
        "first_period": "2026-08",
        "last_period": MONTH,
        "keys": {"gu": {"values": list(GU)}},
        "minimum": 0,
        "delta": "1e-6",
        "budget": "1000",
        "load_rho": "0.01",
        "caps": [{"name": "all", "teams": "others", "rho": "900"}],
        "default_spend": "0.1",
        "max_spend": "100",
        "precisions": {"normal": "0.1"},
        "size_class": "small",
        "retention": "2099-12-31",
        "expires": "2099-12-31",
    } | changes


def townspeople() -> list[Row]:
    """60 persons with three visits each: what the attacker knows."""
    return [
        (f"{MONTH}-{1 + (i + j) % 28:02d} {(7 + i + 5 * j) % 24:02d}:00", f"P{i}", GU[(i + j) % 3], "")
        for i in range(60)
        for j in range(3)
    ]


def visits_of_target(number: int) -> list[Row]:
    """A commuter: mornings in one gu, evenings in another, `number` in all."""
    return [
        (
            f"{MONTH}-{1 + i // 2 % 28:02d} {8 if i % 2 else 18:02d}:{i % 60:02d}",
            TARGET,
            GU[0] if i % 2 else GU[1],
            "",
        )
        for i in range(number)
    ]


def count(where: Any = None, by: Sequence[Any] = ()) -> Plan:
    """How many visits."""
    plan: Plan = {"dataset": "visits", "by": list(by), "measures": {"visits": {"fn": "count"}}}
    return plan if where is None else plan | {"where": where}


def one_of(column: Any, *values: Any) -> dict[str, Any]:
    return {"column": column, "op": "in", "values": list(values)}


HOUR = {"fn": "hour", "column": "at"}
WEEKDAY = {"fn": "weekday", "column": "at"}
IN_MONTH = {"column": "month", "op": "eq", "value": MONTH}


@contextmanager
def town(
    rows: Sequence[Row],
    *,
    clock: Clock | None = None,
    noise: Noise | None = None,
    policy: Mapping[str, Any] | None = None,
    entries: Mapping[str, str] | None = None,
) -> Iterator[Workspace]:
    """A workspace that has loaded `rows` as `visits`; `entries` (id → YAML) stand beside it in the catalog."""
    with workspace({"visits": CATALOG, **(entries or {})}, clock=clock, noise=noise) as made:
        load_rows(made, made.open(policy_document(**(policy or {}))), rows)
        yield made


def load_rows(made: Workspace, policy: Policy, rows: Sequence[Row]) -> None:
    """The dataset's next version."""
    with tempfile.TemporaryDirectory(prefix="civic-attack-") as folder:
        made.load(policy, [write_rows(Path(folder) / "visits.csv", rows)])


def amend(made: Workspace, **changes: Any) -> Policy:
    """Another policy of `visits`, signed by both sides, takes effect; its view is made."""
    policy = made.open(policy_document(**changes))
    make_missing_view(made.parts.vault, made.entry("visits"), policy)
    return policy


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    padded = [(*row, *("\\N",) * (len(COLUMNS) - len(row))) for row in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *padded])
    return path


def spent(parts: Parts) -> int:
    """All nano-ρ that the public ledger shows as charged: what an attack really cost."""
    with parts.database.reading() as connection:
        opened: list[Any] = public_ledger(connection)
    return sum(charge["nano"] for entry in opened for charge in entry["charges"])


def rebuilt(
    made: Workspace,
    *,
    kind: type[Answering] = Answering,
    book: Book | None = None,
    shelf: Shelf | None = None,
    engine: Engine | None = None,
    noise: Noise | None = None,
    governing: Governing | None = None,
) -> Workspace:
    """The same workspace with some parts of answering replaced, by the constructor that the product itself uses."""
    parts = made.parts
    answering = kind(
        database=parts.database,
        governing=governing or parts.governing,
        book=book or parts.book,
        shelf=shelf or parts.shelf,
        chain=parts.chain,
        gate=parts.approving.gate,
        engine=engine or parts.engine,
        noise=noise or DiscreteGaussianNoise(),
        clock=parts.clock,
    )
    approving = replace(parts.approving, answering=answering)
    governing = governing or parts.governing
    # What the gateway asks by.
    asking = replace(parts.asking, answering=answering, approving=approving, governing=governing)
    return replace(
        made,
        parts=replace(parts, answering=answering, approving=approving, governing=governing, asking=asking),
    )


@dataclass(frozen=True)
class Drawn:
    """One vector before and after its noise."""

    exact: NDArray[np.int64]
    mechanism: Gaussian
    noisy: NDArray[np.int64]


@dataclass
class RecordingNoise:
    """The deployed noise, or `under`; keeps what it was given and gave.

    With the exact values an attack can draw again from where the flow stood. The noisy ones are what an attacker
    sees, and more: the answer's table withholds cells that came out below nothing.
    """

    under: Noise = field(default_factory=DiscreteGaussianNoise)
    calls: list[Drawn] = field(default_factory=list)

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        noisy = self.under.add(values, mechanism)
        exact = np.array(values, dtype=np.int64)
        self.calls.append(Drawn(exact, mechanism, np.array(noisy, dtype=np.int64)))
        return noisy

    def seen(self, made: Workspace, plan: Plan, rho: str) -> NDArray[np.int64]:
        """What a new answer to `plan` says, of one vector, in the order of its cells."""
        before = len(self.calls)
        made.ask(plan, rho, fresh=True)
        (drawn,) = self.calls[before:]
        return drawn.noisy


@dataclass(frozen=True)
class NoNoise:
    """Weak on purpose."""

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        return [int(v) for v in values]


@dataclass(frozen=True)
class QuietNoise:
    """Weak on purpose: a continuous Gaussian, rounded, whose σ is `factor` times the one that was paid for."""

    factor: float

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        sigma = float(mechanism.scale) * self.factor
        drawn = np.random.default_rng().normal(0, sigma, len(values))
        return [int(v) for v in values + np.rint(drawn).astype(np.int64)]


class WatchedEngine(Engine):
    """The product's engine; tells every statement to `executed` before DuckDB sees it."""

    def __init__(self, made: Workspace, executed: Callable[[str], None]) -> None:
        settings = made.parts.settings
        super().__init__(settings.vault_folder, KeyStore(settings.keys_folder))
        self._executed = executed

    @contextmanager
    def reader(self, view: View) -> Iterator[duckdb.DuckDBPyConnection]:
        with super().reader(view) as connection:
            watched: Any = _Watched(connection, self._executed)
            yield watched


@dataclass(frozen=True)
class _Watched:
    connection: duckdb.DuckDBPyConnection
    executed: Callable[[str], None]

    def execute(self, statement: str) -> duckdb.DuckDBPyConnection:
        self.executed(statement)
        return self.connection.execute(statement)
