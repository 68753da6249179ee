"""Attackers who do not know the other rows: many small worlds in one dataset, each with a secret of its own.

A world is a value of the key `gu`, with people of its own. Every person's rows lie in one world, so one question
over all worlds tells each secret with the budget that it would cost to ask of that world alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.attacks.budget import GenerousBook
from benchmarks.attacks.guessing import unbounded
from benchmarks.attacks.town import (
    HOUR,
    MONTH,
    RecordingNoise,
    Row,
    count,
    one_of,
    rebuilt,
    town,
)
from benchmarks.attacks.verdict import Guesses, Verdict, best_accuracy, guessed
from benchmarks.workspace import Workspace
from data_access.flows import loading
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Gaussian, Noise

#: Worlds in one town: more cells would only take longer to draw for.
_MOST = 200

_RHO = "0.1"


def trajectory(draws: int) -> Verdict:
    """Is a commuter in the release, for an attacker who knows her month and nothing else (`draws` worlds).

    He knows the cells, place by hour, in which she rides, and learns what is usual there from the release itself
    (Guan's zero auxiliary knowledge). The unit that is promised is her month: all her rides of it.
    """
    ours = _played(draws, _trajectories)
    with patch.object(loading, "make_view", unbounded):
        control = _played(draws, _trajectories)
    bound = best_accuracy(float(_RHO))
    return guessed("membership of a commuter's trajectory", "Guan arXiv:2406.18671", ours, control, bound)


#: The target's month: a ride to each of these places at this hour of every day.
_HABITS = (("p0", 8), ("p2", 12), ("p1", 18), ("p2", 20))
_PLACES = ("p0", "p1", "p2")


def _trajectories(worlds: int, dice: random.Random) -> Guesses:
    rows: list[Row] = []
    inside = np.array([dice.random() < 0.5 for _ in range(worlds)])
    for place, holds in enumerate(inside):
        for person in range(10):
            home, work = dice.sample(_PLACES, 2)
            leaves = dice.choice((7, 8, 9))
            days = dice.sample(range(1, 31), 4)
            rows += [_row(place, f"P{person}", day, leaves, work) for day in days[:2]]
            rows += [_row(place, f"P{person}", day, leaves + 10, home) for day in days[2:]]
        if holds:
            rows += [_row(place, "target", day, hour, at) for day in range(1, 26) for at, hour in _HABITS]
    recorder = RecordingNoise()
    with _worlds(rows, worlds, recorder, places=_PLACES) as made:
        released = recorder.seen(made, count(by=["gu", "note", HOUR]), _RHO)
    grid = released.reshape(worlds + 1, 24, len(_PLACES) + 1)[:worlds]
    at_habits = np.sum([grid[:, hour, _PLACES.index(at)] for at, hour in _HABITS], axis=0)
    # Half of the worlds hold her: what is usual lies in the middle between the two.
    return _judged(at_habits > np.median(at_habits), inside)


def cloning(draws: int) -> Verdict:
    """Gadotti's attack: the same two questions, with her and without her, again and again beside a condition that
    changes nothing. Where such clones are free the differences average out to her secret (`draws` worlds).
    """
    ours = _played(draws, _clones)

    def free(worlds: int, dice: random.Random) -> Guesses:
        return _clones(worlds, dice, weak=True)

    control = _played(draws, free)
    bound = best_accuracy(4 * float(_CLONED))
    return guessed(
        "noise exploitation by cloned questions", "Gadotti USENIX Security '19", ours, control, bound
    )


_CLONED = "0.05"
#: Nobody comes at these hours but the victims at the first: leaving one more of them out changes nothing.
_QUIET_HOURS = (3, 0, 1, 2, 4, 5)


def _clones(worlds: int, dice: random.Random, *, weak: bool = False) -> Guesses:
    secret = np.array([dice.random() < 0.5 for _ in range(worlds)])
    rows: list[Row] = []
    for place, holds in enumerate(secret):
        rows += [
            _row(place, f"P{person}", 1 + person, dice.randrange(7, 23), dice.choice("ab"))
            for person in range(6)
        ]
        rows.append(_row(place, "victim", 9, _QUIET_HOURS[0], "a" if holds else "b"))
    recorder = RecordingNoise()
    victim, *dummies = _QUIET_HOURS
    with _worlds(rows, worlds, recorder, places=("a", "b"), row_bound=1) as made:
        rho = f"{float(_CLONED) / 2 / len(dummies):.9f}"
        if weak:
            # "The noise is sticky, so asking costs nothing."
            book = GenerousBook(made.parts.chain, made.parts.clock)
            made, rho = rebuilt(made, book=book, noise=recorder), "4"

        def having_a(*hours: int) -> NDArray[np.int64]:
            known = {"and": [one_of("note", "a"), {"not": one_of(HOUR, *hours)}]}
            return recorder.seen(made, count(known, ["gu"]), rho)[:worlds]

        differences = [having_a(dummy) - having_a(dummy, victim) for dummy in dummies]
    return _judged(np.mean(differences, axis=0) > 0.5, secret)


def absent(draws: int) -> Verdict:
    """Is anybody there at all: groups that are empty or hold one person (`draws` of them).

    The attacker looks for a group that is missing from the table, for zeros that are too many to be noise, and
    else at the number.
    """
    ours = _played(draws, _groups)

    def weak(worlds: int, dice: random.Random) -> Guesses:
        return _groups(worlds, dice, RecordingNoise(NoiseWhereRows()))

    control = _played(draws, weak)
    return guessed("absent groups", "OpenDP#2922", ours, control, best_accuracy(float(_RHO)))


class NoiseWhereRows:
    """Weak on purpose: as if only groups with rows in them had been found, and nothing added to the others."""

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        noisy = np.array(DiscreteGaussianNoise().add(values, mechanism))
        return [int(v) for v in np.where(values == 0, 0, noisy)]


def _groups(worlds: int, dice: random.Random, noise: RecordingNoise | None = None) -> Guesses:
    recorder = noise or RecordingNoise()
    full = np.array([dice.random() < 0.5 for _ in range(worlds)])
    rows = [
        _row(place, "P", day, 8, "a") for place, holds in enumerate(full) if holds for day in (1, 2, 3, 4)
    ]
    with _worlds(rows, worlds, recorder, places=("a",)) as made:
        answered = made.ask(count(by=["gu"]), _RHO)
        released = recorder.calls[-1].noisy[:worlds]
    listed = [row[0] for row in answered.answer.document()["statement"]["table"]["rows"]]
    missing = np.array([_name(place) not in listed for place in range(worlds)])
    zeros = released == 0
    looks_empty = missing | (zeros if np.mean(zeros) > 0.3 else released < 2)
    return _judged(~looks_empty, full)


Play = Callable[[int, random.Random], Guesses]


def _played(draws: int, play: Play) -> Guesses:
    dice = random.Random(11)
    rounds = [min(_MOST, draws - done) for done in range(0, draws, _MOST)]
    played = [play(worlds, dice) for worlds in rounds]
    return Guesses(sum(each.right for each in played), sum(each.made for each in played))


def _judged(guesses: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Guesses:
    return Guesses(int(np.sum(guesses == truth)), len(truth))


def _worlds(
    rows: Sequence[Row], worlds: int, noise: Noise, *, places: Sequence[str], **policy: Any
) -> AbstractContextManager[Workspace]:
    keys = {
        "gu": {"values": [_name(place) for place in range(worlds)]},
        "note": {"values": list(places)},
    }
    return town(rows, noise=noise, policy={"keys": keys, **policy})


def _name(world: int) -> str:
    return f"w{world:03d}"


def _row(world: int, person: str, day: int, hour: int, place: str) -> Row:
    return (f"{MONTH}-{day:02d} {hour:02d}:00", f"{_name(world)} {person}", _name(world), place)
