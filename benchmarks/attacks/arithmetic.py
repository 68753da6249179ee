"""Where computers' numbers are not the numbers of the proof: low bits of noise, sums that wrap, NaN."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from benchmarks.attacks.guessing import recorded
from benchmarks.attacks.town import (
    CATALOG,
    GU,
    IN_MONTH,
    MONTH,
    ROW_BOUND,
    TARGET,
    RecordingNoise,
    Row,
    count,
    load_rows,
    one_of,
    town,
    townspeople,
    write_rows,
)
from benchmarks.attacks.verdict import Guesses, Verdict, best_accuracy, counted, guessed
from benchmarks.workspace import Workspace
from data_access.catalog import ColumnType
from data_access.catalog.entry import parse_entry
from data_access.errors import LoadRefused
from data_access.flows import answering
from data_access.intake import read_files, values
from data_access.privacy.mechanisms import DiscreteGaussianNoise
from data_access.query import BoundPlan, Dialect
from data_access.query.compiler import compile_sql

_RHO = "0.02"


def lattice(draws: int) -> Verdict:
    """Mironov's attack: `draws` outputs from D and from D′, told apart by which numbers can come out at all.

    Of each output the attacker asks whether the textbook generator (a uniform double through the normal's inverse)
    could have made it from D's value, and from D′'s; where both or neither could, he goes by how often he saw
    exactly this output in a first half of the draws. The control is that generator, from numpy's doubles.
    """
    # Where nobody else comes: near zero a double has the most low bits.
    alone = [(f"{MONTH}-01 08:00", TARGET, "outside")] * ROW_BOUND
    plan = count({"and": [IN_MONTH, one_of("gu", "other")]})
    ((one,), (other,)) = recorded([*townspeople(), *alone], townspeople(), lambda made: made.ask(plan, _RHO))
    means = float(one.exact[0]), float(other.exact[0])
    sigma = float(one.mechanism.scale)

    def discrete(mean: float, many: int) -> NDArray[np.float64]:
        drawn = DiscreteGaussianNoise().add(np.full(many, int(mean)), one.mechanism)
        if any(type(value) is not int for value in drawn):
            raise AssertionError("an output off the lattice of whole numbers")
        return np.array(drawn, dtype=float)

    def textbook(mean: float, many: int) -> NDArray[np.float64]:
        drawn: NDArray[np.float64] = mean + sigma * ndtri(np.random.default_rng().random(many))
        return drawn

    first, second = means
    ours = _told_apart([discrete(first, draws), discrete(second, draws)], means, sigma)
    some = min(draws, 20_000)
    control = _told_apart([textbook(first, some), textbook(second, some)], means, sigma)
    reference = "Mironov 2012; arXiv:2207.10635"
    name = f"low bits of the noise, 2 × {draws:,} outputs"
    return guessed(name, reference, ours, control, best_accuracy(float(_RHO)))


def _told_apart(drawn: Sequence[NDArray[np.float64]], means: tuple[float, float], sigma: float) -> Guesses:
    learnt = [np.unique(each[: len(each) // 2], return_counts=True) for each in drawn]
    right = made = 0.0
    for truth, each in enumerate(drawn):
        fresh = each[len(each) // 2 :]
        reached = [_can_come(fresh, mean, sigma).astype(float) for mean in means]
        seen = [_how_often(fresh, *table) for table in learnt]
        leaning = (reached[truth] - reached[1 - truth]) * 1e9 + seen[truth] - seen[1 - truth]
        right += np.sum(leaning > 0) + np.sum(leaning == 0) / 2
        made += len(fresh)
    return Guesses(int(right), int(made))


def _can_come(outputs: NDArray[np.float64], mean: float, sigma: float) -> NDArray[np.bool_]:
    """Whether some uniform double (a multiple of 2^-53) near the one that fits best gives exactly this output."""
    nearest = np.rint(ndtr((outputs - mean) / sigma) * 2**53)
    found = np.zeros(len(outputs), dtype=bool)
    for step in range(-8, 9):
        found |= mean + sigma * ndtri((nearest + step) * 2.0**-53) == outputs
    return found


def _how_often(
    outputs: NDArray[np.float64], known: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    places = np.minimum(np.searchsorted(known, outputs), len(known) - 1)
    return np.where(known[places] == outputs, counts[places], 0)


#: The most that eighteen and fifteen digits say, and what lies just inside and outside the clip.
_EXTREMES = ("999999999999999999", "-999999999999999999", "0", "-0", "+60", "61", "\\N")
#: Numbers to some reader, and to ours none.
_NO_NUMBERS = ("NaN", "nan", "inf", "-Infinity", "1e308", "1e999", "0x1F", "٣", "1,000", "∞", "1_000", "--1")
_CLIPS = {"minutes": {"low": -500, "high": 6_000, "unit": "x"}, "km": {"low": 0, "high": 30, "unit": "km"}}


def overflow(draws: int) -> Verdict:
    """Sums of the largest numbers that a file can hold, loaded in `draws` orders with the target and without.

    Successes: sums that move by more than their declared sensitivity when one person leaves, or at all when rows
    change places; and words that are no number and were taken for one.
    """
    ours = _moved(draws, compile_sql) + _taken_for_numbers()
    wrapped = _moved(1, _sixteen_bits)
    with patch.dict(values._PATTERNS, {ColumnType.DECIMAL: r"(?i)nan|inf|[0-9]"}):
        # Both weaknesses must be found.
        control = min(wrapped, _taken_for_numbers())
    name = f"overflow, reordering and NaN, {draws} orders"
    return counted(name, "Casacuberta arXiv:2207.10635", ours, control)


def _moved(draws: int, compiler: Any) -> int:
    dice = random.Random(3)
    others: list[Row] = [
        (
            f"{MONTH}-{1 + i % 28:02d} 08:00",
            f"P{i}",
            GU[1 + i % 2],
            "",
            dice.choice(_EXTREMES),
            "999999999999999",
        )
        for i in range(80)
    ]
    # In the target's gu as much as sixteen bits just hold.
    others += [(f"{MONTH}-01 09:00", f"Q{i}", GU[0], "", _EXTREMES[0], "0") for i in range(5)]
    target: list[Row] = [
        (f"{MONTH}-{1 + i:02d} 08:00", TARGET, GU[0], "", _EXTREMES[0], ".999999999")
        for i in range(ROW_BOUND)
    ]
    measures = {
        "a": {"fn": "sum", "column": "minutes"},
        "b": {"fn": "sum", "column": "km"},
        "c": {"fn": "mean", "column": "minutes"},
    }
    plan = count(IN_MONTH, ["gu"]) | {"measures": measures}
    recorder = RecordingNoise()
    found: dict[bool, list[list[NDArray[np.int64]]]] = {True: [], False: []}
    with (
        town(others, noise=recorder, policy={"clips": _CLIPS}) as made,
        patch.object(answering, "compile_sql", compiler),
    ):
        for turn in range(draws):
            for inside in (True, False):
                rows = [*others, *target] if inside else list(others)
                if turn:
                    dice.shuffle(rows)
                load_rows(made, _in_force(made), rows)
                recorder.calls.clear()
                # Another price each time: the question is new.
                made.ask(plan, f"0.1{turn:03d}", fresh=True)
                found[inside].append([call.exact for call in recorder.calls])
    squares = [call.mechanism.sensitivity_squared for call in recorder.calls]
    successes = 0
    for same in found.values():
        successes += sum(
            not np.array_equal(one, other)
            for run in same[1:]
            for one, other in zip(run, same[0], strict=True)
        )
    for one, other, square in zip(found[True][0], found[False][0], squares, strict=True):
        # In Python's integers: the check itself must not overflow.
        moved = sum((int(a) - int(b)) ** 2 for a, b in zip(one, other, strict=True))
        successes += moved > square
    return successes


def _in_force(made: Workspace) -> Any:
    with made.parts.database.reading() as connection:
        return made.parts.governing.in_force(connection, "visits").policy


def _taken_for_numbers() -> int:
    taken = 0
    entry = parse_entry(CATALOG, "visits.yaml")
    with tempfile.TemporaryDirectory(prefix="civic-attack-") as folder:
        for text in _NO_NUMBERS:
            file = write_rows(Path(folder) / "visits.csv", [(f"{MONTH}-01 08:00", "P", GU[0], "", "1", text)])
            try:
                read = list(read_files(entry, [file]))
            except (LoadRefused, pa.ArrowInvalid):
                # The weak reader leaves it to Arrow to refuse what it cannot read.
                continue
            taken += sum(len(table) for table in read)
    return taken


def _sixteen_bits(bound: BoundPlan, dialect: Dialect) -> str:
    """Weak on purpose: every sum is kept in a short integer that wraps."""
    columns = [name for vector in bound.vectors for name in vector.columns]
    wrapped = ", ".join(
        f'CASE WHEN "{name}" IS NULL THEN 0 ELSE ("{name}" + 32768) % 65536 - 32768 END AS "{name}"'
        for name in columns
    )
    return f"SELECT gu, {wrapped} FROM ({compile_sql(bound, dialect)})"
