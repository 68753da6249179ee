"""Does the ledger charge what the mechanisms cost? Reckoned again, by other people's arithmetic."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
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
from benchmarks.peers import ask_peer
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
        found += (
            sum(Fraction(square) / 2 / Fraction(sigma) ** 2 for square, sigma in _left(statement)) > charged
        )
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


def oracle(_: int) -> Verdict:
    """Every price of the demonstration's policies, beside OpenDP's polars engine in an environment of its own: which
    σ does it sell for this ρ, and what does it say that costs?

    Successes: a σ of ours that is smaller than the oracle's, or a ρ of its that is larger than ours.
    """
    sold = list(_deployed())
    said = ask_peer("opendp", "opendp_prices.py", sold)["prices"]
    name = f"wrong accountant: {len(sold)} deployed prices, by an oracle"
    return counted(name, "OpenDP#2911", _too_small(sold, said, 1.0), _too_small(sold, said, 0.98))


def _deployed() -> Iterator[dict[str, Any]]:
    """A count and a sum of each clipped column, at the default spend and each named precision."""
    for path in sorted((Path(demo.__file__).parent / "policies").glob("*.yaml")):
        policy = yaml.safe_load(path.read_text("utf-8"))
        if policy["lane"] != "private":
            continue
        for rho in sorted({policy["default_spend"], *policy["precisions"].values()}):
            asked = {"bound": policy["row_bound"], "rho": rho}
            yield {**asked, "measure": "count", "low": 0, "high": 1}
            for clip in policy.get("clips", {}).values():
                yield {**asked, "measure": "sum", "low": clip["low"], "high": clip["high"]}


def _too_small(sold: list[dict[str, Any]], said: list[dict[str, float]], factor: float) -> int:
    """`factor` times the σ of the price list: 1 for ours, less for a weak one."""
    found = 0
    for asked, oracles in zip(sold, said, strict=True):
        largest = 1 if asked["measure"] == "count" else max(abs(asked["low"]), abs(asked["high"]))
        mechanism = gaussian((asked["bound"] * largest) ** 2, Rho.parse(asked["rho"]))
        ours = float(mechanism.scale) * factor
        # The oracle finds its σ by bisection: agreement to a millionth.
        smaller = ours < oracles["scale"] and not isclose(ours, oracles["scale"], rel_tol=1e-6)
        dearer = oracles["rho"] * NANO > mechanism.rho.nano * (1 + 1e-6)
        found += smaller or dearer
    return found
