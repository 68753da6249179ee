"""Does anything but the noise know the data? Runs on neighbouring data sets that must be the same run.

The pattern of Recto and others' dp-recorder (arXiv:2602.17454): wrap the primitives, record every call, freeze what
is random, run again on a neighbour. All calls, and then all bytes, must be equal, and what differs inside a
vector must be no longer than its declared sensitivity.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.budget import GenerousBook
from benchmarks.attacks.guessing import unbounded
from benchmarks.attacks.reconstruction import TOY, random_plan
from benchmarks.attacks.serving import PREFIX, question, served
from benchmarks.attacks.town import (
    CATALOG,
    GU,
    HOUR,
    IN_MONTH,
    MONTH,
    TARGET,
    Plan,
    RecordingNoise,
    Row,
    WatchedEngine,
    count,
    one_of,
    policy_document,
    rebuilt,
    spent,
    town,
    townspeople,
    write_rows,
)
from benchmarks.attacks.verdict import Verdict, counted
from benchmarks.workspace import workspace
from data_access.flows import answering, loading
from data_access.flows.answering import Answering, Asker, PriceTag, Request
from data_access.flows.running import exact_cells
from data_access.pricing import Size
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Gaussian
from data_access.query.compiler import compile_sql
from data_access.vault import View, find_view, views

#: What differs between any two runs: ids, the moment, keys and what they sign.
_OWN = re.compile(
    r"\b[a-z]{3}-[a-z2-7]{26}\b|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\b[0-9a-f]{64}\b|(?<=\"ed25519\":\")[^\"]*"
)


@dataclass
class TapedNoise:
    """Keeps every call; gives what `tape` says, or the deployed noise, of which it makes a tape."""

    tape: list[list[int]] = field(default_factory=list)
    calls: list[tuple[NDArray[np.int64], Gaussian]] = field(default_factory=list)

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        place = len(self.calls)
        self.calls.append((np.array(values, dtype=np.int64), mechanism))
        if place == len(self.tape):
            self.tape.append(DiscreteGaussianNoise().add(values, mechanism))
        return self.tape[place]


class PersistentEngine(WatchedEngine):
    """Weak on purpose: what comes back empty is asked once more, in case it was a hiccup."""

    @contextmanager
    def reader(self, view: View) -> Iterator[duckdb.DuckDBPyConnection]:
        with super().reader(view) as connection:
            again: Any = _Persistent(connection)
            yield again


@dataclass(frozen=True)
class _Persistent:
    connection: duckdb.DuckDBPyConnection

    def execute(self, statement: str) -> duckdb.DuckDBPyConnection:
        found = self.connection.execute(statement).fetchall()
        if not any(any(row) for row in found):
            self.connection.execute(statement)
        return self.connection.execute(statement)


_ALL: dict[str, dict[str, Any]] = {
    "rides": {"fn": "count"},
    "people": {"fn": "persons"},
    "total": {"fn": "sum", "column": "minutes"},
    "average": {"fn": "mean", "column": "minutes"},
    "part": {"fn": "share", "where": one_of("note", "a")},
    "bins": {"fn": "histogram", "column": "minutes"},
    "middle": {"fn": "quantiles", "column": "minutes"},
}


def replayed(draws: int) -> Verdict:
    """`draws` pairs of neighbours, each asked for every measure in cells where they differ most.

    Successes: runs with other calls or other bytes, and vectors that differ by more than their sensitivity.
    """
    dice = random.Random(29)
    ours = sum(_unlike(dice, WatchedEngine) for _ in range(draws))
    persistent = _unlike(dice, PersistentEngine)
    with patch.object(loading, "make_view", unbounded):
        # Both weaknesses must be found.
        control = min(persistent, _unlike(dice, WatchedEngine))
    name = f"record and replay, {draws} pairs of neighbours"
    return counted(name, "dp-recorder arXiv:2602.17454", ours, control)


def _unlike(dice: random.Random, engine: type[WatchedEngine]) -> int:
    rows = [(*row, str(dice.randrange(90))) for row in townspeople()]
    many = dice.randrange(9, 40)
    # Where nobody else is: her neighbours' cell is empty.
    target = [
        (f"{MONTH}-{dice.randrange(1, 29):02d} 03:00", TARGET, "outside", "a", str(dice.randrange(90)))
        for _ in range(many)
    ]
    plans: list[Plan] = [
        count({"and": [IN_MONTH, one_of("gu", "other")]}) | {"measures": _ALL},
        count(IN_MONTH, ["gu", HOUR]) | {"measures": {**_ALL, "inside": {"fn": "share", "within": ["gu"]}}},
    ]
    noise = TapedNoise()
    runs = []
    for inside in (True, False):
        executed: list[str] = []
        noise = TapedNoise(noise.tape)
        with town([*rows, *target] if inside else rows, policy=TOY) as made:
            weak = rebuilt(made, noise=noise, engine=engine(made, executed.append))
            said = [_OWN.sub("", weak.ask(plan, "1").answer.statement.decode()) for plan in plans]
        runs.append((executed, noise.calls, said))
    (executed, calls, said), (others, their_calls, their_said) = runs
    unlike = int(executed != others) + sum(one != other for one, other in zip(said, their_said, strict=True))
    mechanisms = [[mechanism for _, mechanism in each] for each in (calls, their_calls)]
    unlike += int(mechanisms[0] != mechanisms[1])
    for (one, mechanism), (other, _) in zip(calls, their_calls, strict=True):
        moved = sum((int(a) - int(b)) ** 2 for a, b in zip(one, other, strict=True))
        unlike += moved > mechanism.sensitivity_squared
    return unlike


def rolled_up(draws: int) -> Verdict:
    """One fine answer is paid for; `draws` coarser ones, sums of its cells, are free, and averaged with one another
    and with their parts would wash out any noise that is not the parts' own.

    A success is a free answer that is not the sum of what was paid for.
    """
    ours = _new_noise(draws, weak=False)
    with patch.object(answering, "roll_up", lambda *_: None):
        control = _new_noise(min(draws, 10), weak=True)
    name = f"averaging parts and {draws} free roll-ups"
    return counted(name, "Asghar & Kaafar PETS 2020", ours, control)


def _new_noise(draws: int, *, weak: bool) -> int:
    dice = random.Random(31)
    recorder = RecordingNoise()
    found = 0
    with town(townspeople(), noise=recorder) as made:
        parts = recorder.seen(made, count(IN_MONTH, ["gu", HOUR]), "1").reshape(len(GU) + 1, 24)
        if weak:
            made = rebuilt(made, book=GenerousBook(made.parts.chain, made.parts.clock))
        for _ in range(draws):
            places = sorted(dice.sample(range(len(GU)), dice.choice((1, 2, 3))))
            hours = sorted(dice.sample(range(24), dice.choice((1, 5, 12, 23))))
            where = [IN_MONTH, one_of("gu", *(GU[place] for place in places)), one_of(HOUR, *hours)]
            before = spent(made.parts)
            answer = made.ask(count({"and": where}), f"0.000{dice.randrange(1, 999):03d}1").answer
            total = int(parts[np.ix_(places, hours)].sum())
            row = json.loads(answer.statement)["table"]["rows"][0]
            # A sum below nothing is withheld.
            repeats = row[0] == (total if total >= 0 else None)
            found += not repeats and spent(made.parts) == before
    return found


def joined(draws: int) -> Verdict:
    """Public tables are joined and rows derived at load: does one person change what anybody else's rows become?

    `draws` targets: with rows equal to others', with unknown stations, first or last in the file, very many.
    Successes: rows of others that are in one view and not in the other.
    """
    ours = _changed_rows(draws)
    with patch.object(views, "_statement", _without_duplicates):
        control = _changed_rows(2)
    return counted(
        f"joins and bounding at load, {draws} targets", "DESIGN section 5; dp-recorder", ours, control
    )


_JOINING = (
    CATALOG
    + """
derived:
  area: {op: lookup, table: places, column: note, key: place, value: area, label: {ko: 곳, en: Area}}
  first: {op: part, column: note, part: 0, label: {ko: 처음, en: First}}
public_tables:
  places:
    file: places.csv
    key: place
    columns:
      place: {source: place, type: text, required: true, label: {ko: 곳, en: Place}}
      area: {source: area, type: text, label: {ko: 곳, en: Area}}
"""
)


def _changed_rows(draws: int) -> int:
    dice = random.Random(37)
    keys = {
        "gu": {"values": list(GU)},
        "area": {"values": ["north", "south"]},
        "first": {"values": ["s1", "s2"]},
    }
    clips = {"minutes": {"low": 0, "high": 60, "unit": "minute"}}
    changed = 0
    others = [
        (at, person, gu, dice.choice(("s1 x", "s2 x", "s3 x", "nowhere")), str(dice.randrange(90)))
        for at, person, gu, _ in townspeople()
    ]
    with workspace({"visits": _JOINING}) as made, tempfile.TemporaryDirectory(prefix="civic-attack-") as name:
        folder = Path(name)
        (folder / "places.csv").write_text("place,area\ns1 x,north\ns2 x,south\ns3 x,\n", "utf-8")
        policy = made.open(policy_document(keys=keys, clips=clips))

        def rows_of(rows: Sequence[Row]) -> Counter[Any]:
            made.load(policy, [write_rows(folder / "visits.csv", rows)])
            with made.parts.database.reading() as connection:
                view = find_view(connection, policy.lineage, policy.hash())
            assert view is not None
            with made.parts.engine.reader(view) as reader:
                return Counter(reader.execute("SELECT * EXCLUDE unit FROM view").fetchall())

        base = rows_of(others)
        for turn in range(draws):
            # Rows equal to other people's but for person and place, and some of her own.
            target = [
                (at, TARGET, gu, "s1 x", minutes)
                for at, _, gu, _, minutes in dice.sample(others, 4 + 40 * (turn % 2))
            ]
            target += [(f"{MONTH}-02 03:00", TARGET, "nowhere", "unheard of", "-5")] * (turn % 3)
            rows = [*target, *others] if turn % 2 else [*others, *target]
            found = rows_of(rows)
            mine = sum(found.values()) - sum(base.values())
            # Everybody else's rows are all there, and beyond them no more than her bound.
            changed += sum((base - found).values()) + max(0, mine - policy.row_bound)
    return changed


def _without_duplicates(*arguments: Any) -> str:
    """Weak on purpose: a row that is there twice, whoever has it, is taken for an error."""
    one = 'QUALIFY row_number() OVER (PARTITION BY period, gu, "at", minutes ORDER BY area) = 1'
    return f"SELECT * FROM ({_statement(*arguments)}) {one}"


_statement = views._statement


def prices(draws: int) -> Verdict:
    """Prices, offers, what is left, refusals, catalog, ledger: everything that is free, read beside `draws` questions
    in two towns that differ by one person.

    A success is a reply that differs.
    """
    ours = _told_free(draws, Answering)
    control = _told_free(min(draws, 6), ObligingAnswering)
    return counted(
        f"prices, offers and the ledger, {draws} questions", "BigQuery refunds; AWS", ours, control
    )


class ObligingAnswering(Answering):
    """Weak on purpose: tells the expected error at the size that the cells really have."""

    def price(self, asker: Asker, request: Request) -> PriceTag:
        tag = super().price(asker, request)
        with self._database.reading() as connection:
            view = self._view(connection, self._decide(connection, asker, request).policy)
        exact = exact_cells(self._engine, view, tag.quote.bound, compile_sql(tag.quote.bound))
        rows = 1 + int(sum(int(column.sum()) for column in exact.columns.values()))
        return replace(tag, size=Size("asker", rows=rows, persons=rows))


def _told_free(draws: int, kind: type[Answering]) -> int:
    rows = [(*row, "25") for row in townspeople()]
    target = [(f"{MONTH}-02 03:00", TARGET, GU[0], "a", "55")] * 8
    heard: list[list[str]] = []
    for data in ([*rows, *target], rows):
        dice = random.Random(31)
        replies: list[str] = []
        with town(data, policy=TOY) as plain, served(rebuilt(plain, kind=kind)) as client:
            for turn in range(draws):
                plan, rho = random_plan(dice), f"0.01{turn:03d}"
                body = question(plan, rho)
                replies.append(client.post(f"{PREFIX}/price", json=body).text)
                answered = client.post(f"{PREFIX}/answers", json=body)
                replies.append(f"{answered.status_code} {answered.json().get('charged')}")
                # Asked already, and coarser than what was asked: what it says is offered, and left.
                replies.append(client.post(f"{PREFIX}/price", json=body).text)
                coarser = question({**plan, "by": []}, rho)
                replies.append(client.post(f"{PREFIX}/price", json=coarser).text)
            for page in ("catalog", "ledger", "policies"):
                replies.append(client.get(f"{PREFIX}/{page}").text)
        heard.append([_OWN.sub("", reply) for reply in replies])
    return sum(one != other for one, other in zip(*heard, strict=True))
