"""Does the ledger charge what the mechanisms cost? Reckoned again, by other people's arithmetic."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import replace
from fractions import Fraction
from math import isclose
from pathlib import Path
from typing import Any

import yaml

import data_access.demo as demo
from benchmarks.attacks.reconstruction import TOY, random_plan
from benchmarks.attacks.town import MONTH, one_of, rebuilt, spent, town, townspeople
from benchmarks.attacks.verdict import Verdict, counted
from benchmarks.workspace import Workspace
from data_access.db import Transaction
from data_access.ledger import Book, Reservation
from data_access.ledger.book import RetryKey
from data_access.policy import Policy
from data_access.pricing import Quote
from data_access.privacy.budget import NANO, Rho
from data_access.privacy.mechanisms import gaussian

#: Δ² and σ of one vector that left.
Mechanism = tuple[int, float]


class ThriftyBook(Book):
    """Weak on purpose: the budget is not split across the vectors of a question; it charges for one of them."""

    def reserve(
        self, tx: Transaction, quote: Quote, policy: Policy, team: str, asker: str, retry: RetryKey | None
    ) -> Reservation:
        one = Rho(quote.rho.nano // len(quote.draws))
        return super().reserve(tx, replace(quote, rho=one), policy, team, asker, retry)


def accountant(draws: int) -> Verdict:
    """`draws` questions of random measures; what each cost, reckoned again from its signed statement alone.

    Sensitivities are derived anew, ρ is a sum of fractions Δ²/2σ² without rounding. A success is a charge that is
    less.
    """
    ours = control = 0
    with town([(*row, "25") for row in townspeople()], policy=TOY) as made:
        ours = _undercharged(made, draws)
        thrifty = ThriftyBook(made.parts.chain, made.parts.clock)
        control = _undercharged(rebuilt(made, book=thrifty), min(draws, 10))
    name = f"wrong accountant: {draws} charges reckoned again"
    return counted(name, "OpenDP#2820; SmartNoise#200", ours, control)


def _undercharged(made: Workspace, draws: int) -> int:
    dice = random.Random(47)
    found = 0
    for _ in range(draws):
        plan = random_plan(dice)
        # One month: what is charged is charged once.
        plan["where"] = {"and": [plan["where"], one_of("month", MONTH)]}
        before = spent(made.parts)
        rho = f"0.0{dice.randrange(1, 10**6):06d}"
        statement = json.loads(made.ask(plan, rho, fresh=True).answer.statement)
        charged = Fraction(spent(made.parts) - before, NANO)
        found += sum(Fraction(square) / 2 / Fraction(sigma) ** 2 for square, sigma in _left(statement)) > charged
    return found


def _left(statement: dict[str, Any]) -> list[Mechanism]:
    """Every vector of the answer, with the sensitivity that its measure must have."""
    bound, clip = statement["row_bound"], TOY["clips"]["minutes"]
    keys = [c for c in statement["table"]["columns"] if c["role"] == "key"]
    cells = len(statement["table"]["rows"]) if keys else 1
    found: list[Mechanism] = []
    for name, measure in statement["plan"]["measures"].items():
        said = statement["mechanism"]["measures"][name]
        scales = [float(part["scale"]) for part in said.get("parts", [said])]
        match measure["fn"]:
            case "persons":
                squares = [min(bound, cells)]
            case "sum":
                squares = [(bound * max(abs(clip["low"]), abs(clip["high"]))) ** 2]
            case "mean":
                squares = [bound**2, (bound * (clip["high"] - clip["low"])) ** 2]
            case _:
                squares = [bound**2]
        found += zip(squares, scales, strict=True)
    return found


_ORACLE = Path(__file__).with_name("oracle.py")
_DELTA = 1e-6


def oracle(draws: int) -> Verdict:
    """The prices of the demonstration's policies, and `draws` random compositions of them, beside OpenDP's polars
    engine (which σ does it sell for ρ?) and dp-accounting (which ε do these σ come to?), in an environment of their
    own.

    Successes: a σ that is smaller than the oracle's, and compositions whose ε is larger than that of the ρ charged.
    """
    dice = random.Random(53)
    sold = [
        (low, high, bound, rho, kind)
        for low, high, bound, rhos in _deployed()
        for rho in rhos
        for kind in ("count", "sum")
        if high or kind == "count"
    ]
    bought = [dice.choices(range(len(sold)), k=dice.randrange(2, 30)) for _ in range(draws)]
    # Of the weak price list both kinds must be found.
    ours, control = sum(_mistakes(sold, bought, 1.0)), min(_mistakes(sold, bought, 0.8))
    name = f"wrong accountant: {len(sold)} prices, {draws} compositions, by oracles"
    return counted(name, "OpenDP#2820, #2911", ours, control)


Sold = tuple[int, int, int, str, str]


def _deployed() -> list[tuple[int, int, int, list[str]]]:
    found = []
    for path in sorted((Path(demo.__file__).parent / "policies").glob("*.yaml")):
        policy = yaml.safe_load(path.read_text("utf-8"))
        rhos = sorted({policy["default_spend"], *policy["precisions"].values()})
        ends = [(clip["low"], clip["high"]) for clip in policy.get("clips", {}).values()]
        found += [(low, high, policy["row_bound"], rhos) for low, high in ends or [(0, 0)]]
    return found


def _mistakes(sold: list[Sold], bought: list[list[int]], factor: float) -> tuple[int, int]:
    """Prices whose σ is too small, and compositions that come to too much. `factor` times the σ of the price list:
    1 for ours, less for a weak one.
    """
    squares = [
        (bound * (1 if kind == "count" else max(abs(low), abs(high)))) ** 2 for low, high, bound, _, kind in sold
    ]
    mechanisms = [gaussian(square, Rho.parse(one[3])) for square, one in zip(squares, sold, strict=True)]
    scales = [float(mechanism.scale) * factor for mechanism in mechanisms]
    asked = {
        "delta": _DELTA,
        "sold": [dict(zip(("low", "high", "bound", "rho", "kind"), one, strict=True)) for one in sold],
        "bought": [
            {
                "ratios": [scales[place] / squares[place] ** 0.5 for place in places],
                "rho": sum(mechanisms[place].rho.nano for place in places) / NANO,
            }
            for places in bought
        ],
    }
    said = _ask_oracle(asked)
    # The oracle finds its σ by bisection: agreement to a millionth.
    smaller = sum(
        mine < theirs and not isclose(mine, theirs, rel_tol=1e-6)
        for mine, theirs in zip(scales, said["scales"], strict=True)
    )
    return smaller, sum(one["epsilon"] > one["claimed"] for one in said["compositions"])


def _ask_oracle(asked: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [str(peer_python("opendp")), str(_ORACLE)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def peer_python(name: str) -> Path:
    return Path("/tmp/att-peer/bin/python")
