"""Does the ledger charge what the mechanisms cost? Reckoned again, by other people's arithmetic."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

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
