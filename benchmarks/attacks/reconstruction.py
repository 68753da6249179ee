"""Reconstruction by many questions, and a search for questions that tell more than they cost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, eye, hstack, vstack

from benchmarks.attacks.budget import GenerousBook
from benchmarks.attacks.guessing import Recorded, guess
from benchmarks.attacks.town import (
    GU,
    HOUR,
    IN_MONTH,
    MONTH,
    WEEKDAY,
    Drawn,
    NoNoise,
    Plan,
    RecordingNoise,
    Row,
    count,
    one_of,
    rebuilt,
    town,
)
from benchmarks.attacks.verdict import Guesses, Verdict, best_accuracy, guessed
from benchmarks.workspace import Workspace
from data_access import pricing
from data_access.errors import BudgetExhausted
from data_access.privacy.budget import NANO
from data_access.query import Histogram, Measure

#: Of the whole attack: B(4 · 0.0125) = 58 %.
_RHO = 0.0125


def reconstruction(draws: int) -> Verdict:
    """Dinur & Nissim's attack on `draws` people, each with a secret gu and known in all else: 4 counts of random
    subsets for each person, one linear programme, a guess at every secret. One secret flipped is one person
    out and one in: B(4ρ).
    """
    dice = random.Random(5)
    places = [(block, hour) for block in range(-(-draws // 24)) for hour in range(24)][:draws]
    secret = np.array([dice.random() < 0.5 for _ in places])
    rows = [
        (f"{MONTH}-01 {hour:02d}:00", f"P{block} {hour}", GU[0 if holds else 1], f"n{block}")
        for (block, hour), holds in zip(places, secret, strict=True)
    ]
    each = f"{int(_RHO * NANO) // (4 * draws) / NANO:.9f}"
    recorder = RecordingNoise()
    with town(rows, noise=recorder, policy=_spent_by(draws, places)) as made:
        ours = _reconstructed(made, recorder, places, secret, each, 4 * draws, dice)
        try:
            made.ask(count(IN_MONTH), each)
        except BudgetExhausted:
            pass
        else:
            raise AssertionError("the attack was to use up the budget")
        plain = RecordingNoise(NoNoise())
        weak = rebuilt(made, noise=plain, book=GenerousBook(made.parts.chain, made.parts.clock))
        # Without noise fewer questions are plenty.
        control = _reconstructed(weak, plain, places, secret, each, draws + 8, dice)
    name = f"linear reconstruction of {draws} secrets, {4 * draws} counts"
    return guessed(name, "Dinur & Nissim 2003; arXiv:1810.05692", ours, control, best_accuracy(4 * _RHO))


Places = Sequence[tuple[int, int]]


def _spent_by(people: int, places: Places) -> dict[str, Any]:
    """A policy whose whole budget is the attack's."""
    rho = str(_RHO)
    blocks = [f"n{block}" for block in range(places[-1][0] + 1)]
    return {
        "row_bound": 1,
        "keys": {"gu": {"values": list(GU)}, "note": {"values": blocks}},
        "budget": rho,
        "load_rho": "0",
        "caps": [{"name": "all", "teams": "others", "rho": rho}],
        "default_spend": f"{_RHO / people / 8:.9f}",
        "max_spend": rho,
        "precisions": {},
    }


def _reconstructed(
    made: Workspace,
    recorder: RecordingNoise,
    places: Places,
    secret: NDArray[np.bool_],
    rho: str,
    questions: int,
    dice: random.Random,
) -> Guesses:
    chosen = np.zeros((questions, len(places)))
    said = np.zeros(questions)
    for question in range(questions):
        chosen[question] = [dice.random() < 0.5 for _ in places]
        said[question] = recorder.seen(made, _subset(places, chosen[question]), rho)[0]
    found = _decoded(chosen, said)
    return Guesses(int(np.sum((found > 0.5) == secret)), len(places))


def _subset(places: Places, chosen: NDArray[np.float64]) -> Plan:
    """How many of the chosen people have the secret: any subset can be asked by `or` and `and` of known keys."""
    by_block: dict[int, list[int]] = {}
    for (block, hour), taken in zip(places, chosen, strict=True):
        if taken:
            by_block.setdefault(block, []).append(hour)
    parts = [{"and": [one_of("note", f"n{b}"), one_of(HOUR, *hours)]} for b, hours in by_block.items()]
    return count({"and": [one_of("gu", GU[0]), IN_MONTH, {"or": parts}]})


def _decoded(chosen: NDArray[np.float64], said: NDArray[np.float64]) -> NDArray[np.float64]:
    """The secrets in [0, 1] with the least sum of errors: min Σe with −e ≤ Ax − y ≤ e."""
    questions, people = chosen.shape
    errors = eye(questions, format="csr")
    matrix = csr_matrix(chosen)
    found = linprog(
        np.concatenate([np.zeros(people), np.ones(questions)]),
        A_ub=vstack([hstack([matrix, -errors]), hstack([-matrix, -errors])]),
        b_ub=np.concatenate([said, -said]),
        bounds=[(0, 1)] * people + [(0, None)] * questions,
        method="highs",
    )
    return np.asarray(found.x[:people])


#: How many draws the best plan that was found is tested with.
_TESTS = 500
_SEARCH_RHO = "0.02"


def discovery(draws: int) -> Verdict:
    """QuerySnout in small: `draws` random plans are tried on toy data, of which the attacker knows everything but
    one secret; the one that tells it best is then tested on noise of its own.

    The control is a build with a mistake in one place of the price list, that the search is not told of.
    """
    ours = _searched(draws)
    with patch.object(pricing, "sensitivity_squared", _slip):
        control = _searched(max(draws, 10))
    bound = best_accuracy(4 * float(_SEARCH_RHO))
    name = f"automated search over {draws} plans"
    return guessed(name, "QuerySnout arXiv:2211.05249; QueryCheetah arXiv:2409.01992", ours, control, bound)


def _slip(measure: Measure, *others: Any) -> int:
    """Weak on purpose: a person moves one row of a histogram."""
    return 1 if isinstance(measure, Histogram) else _right(measure, *others)


_right = pricing.sensitivity_squared


#: A policy under which every measure can be asked.
TOY: dict[str, Any] = {
    "clips": {"minutes": {"low": 0, "high": 60, "unit": "minute", "bins": [0, 10, 20, 30, 60]}},
    "keys": {"gu": {"values": list(GU)}, "note": {"values": ["a", "b"]}},
    "row_bound": 8,
}


def _searched(draws: int) -> Guesses:
    known: list[Row] = [
        (f"{MONTH}-{1 + i:02d} {(7 + i) % 24:02d}:00", f"P{i}", GU[i % 3], "ab"[i % 2], str(5 * i), "1.5")
        for i in range(12)
    ]
    bound = TOY["row_bound"]
    runs: list[list[list[Drawn]]] = []
    for secret, minutes in (("a", "5"), ("b", "55")):
        # Her rows are equal, so that the bound and its ranks decide nothing.
        rows = [*known, *[(f"{MONTH}-10 08:00", "target", GU[0], secret, minutes, "2.0")] * bound]
        recorder = RecordingNoise()
        # The same plans for both.
        dice = random.Random(23)
        found: list[list[Drawn]] = []
        with town(rows, noise=recorder, policy=TOY) as made:
            for _ in range(draws):
                recorder.calls.clear()
                made.ask(random_plan(dice), _SEARCH_RHO, fresh=True)
                found.append(list(recorder.calls))
        runs.append(found)
    pairs = list(zip(*runs, strict=True))
    return guess(max(pairs, key=_distance), _TESTS)


def _distance(run: Recorded) -> float:
    """How far apart the two answers lie in their noise: what the attacker's own simulation would tell him."""
    return sum(
        float(np.sum((one.exact - other.exact) ** 2)) / float(one.mechanism.scale) ** 2
        for one, other in zip(*run, strict=True)
    )


def random_plan(dice: random.Random) -> Plan:
    """Of a town whose policy has `TOY`: any measure, filter and keys."""
    band = {"fn": "band", "column": "minutes"}
    measures: list[dict[str, Any]] = [
        {"fn": "count"},
        {"fn": "persons"},
        {"fn": "sum", "column": "minutes"},
        {"fn": "mean", "column": "minutes"},
        {"fn": "share", "where": one_of("note", "a")},
        {"fn": "histogram", "column": "minutes"},
        {"fn": "quantiles", "column": "minutes"},
    ]
    filters: list[dict[str, Any]] = [
        IN_MONTH,
        one_of("gu", *dice.sample(GU, 2)),
        one_of(HOUR, *dice.sample(range(24), 12)),
        one_of("note", dice.choice("ab")),
        one_of(band, *dice.sample(["0..9", "10..19", "20..29", "30..60"], 2)),
        {"column": "minutes", "op": "not_null"},
        {"column": "at", "op": "ge", "value": f"{MONTH}-{dice.randrange(1, 15):02d}"},
    ]
    chosen = dice.sample(measures, dice.choice((1, 1, 1, 2)))
    return {
        "dataset": "visits",
        "where": {dice.choice(("and", "and", "or")): dice.sample(filters, dice.choice((1, 1, 2)))},
        "by": dice.sample(["gu", "note", WEEKDAY, band], dice.choice((0, 1, 1, 2))),
        "measures": {f"m{place}": measure for place, measure in enumerate(chosen)},
    }
