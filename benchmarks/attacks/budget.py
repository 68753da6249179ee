"""Answers for nothing: repetition, rewriting, and a race for the last of the budget."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any

from sqlalchemy import Connection

from benchmarks.attacks.town import GU, MONTH, rebuilt, spent, town, townspeople
from benchmarks.attacks.verdict import Verdict, counted
from benchmarks.workspace import ASKER, TEAM, Workspace
from data_access.db import Transaction
from data_access.errors import BudgetExhausted
from data_access.flows.answering import Request
from data_access.ledger import Book, Reservation
from data_access.ledger.book import Left, RetryKey
from data_access.policy import Policy
from data_access.pricing import Quote
from data_access.privacy.budget import Rho

ASKERS, PAID = 64, 10
Plan = dict[str, Any]


class GenerousBook(Book):
    """Weak on purpose: takes every question for one that was paid already."""

    def reserve(
        self, tx: Transaction, quote: Quote, policy: Policy, team: str, asker: str, retry: RetryKey | None
    ) -> Reservation:
        return super().reserve(tx, replace(quote, rho=Rho(0)), policy, team, asker, retry)


def averaging(draws: int) -> Verdict:
    """`draws` times one question: repeated, rewritten, `fresh`, and in forms that only look alike.

    A success is an answer with noise not seen before that the ledger shows no charge for: averaged, such
    answers would wash the noise out. Free answers that repeat the numbers of a paid one are none, under
    whatever heading.
    """
    with town(townspeople()) as made:
        ours = _free_noise(made, draws)
        weak = rebuilt(made, book=GenerousBook(made.parts.chain, made.parts.clock))
        control = _free_noise(weak, min(draws, 40), always_fresh=True)
    return counted("averaging by repetition and rewriting", "SmartNoise#200", ours, control)


def _free_noise(made: Workspace, draws: int, *, always_fresh: bool = False) -> int:
    dice = random.Random(7)
    seen: set[tuple[int, int]] = set()
    free = 0
    for turn in range(draws):
        before = spent(made.parts)
        plan = _rewritten(dice)
        if turn % 25 == 12:
            # The same numbers under another heading: another question, which may only repeat them.
            plan["measures"] = {f"visits_{turn}": {"fn": "count"}}
        fresh = always_fresh or turn % 25 == 24
        numbers = _numbers(made.ask(plan, "0.01", fresh=fresh).answer.statement)
        new, paid = not numbers <= seen, spent(made.parts) > before
        seen |= numbers
        free += new and not paid
    return free


def _numbers(statement: bytes) -> set[tuple[int, int]]:
    """(cell, value) of what an answer measured. A zero may be known without any noise: a cell that the filter
    excludes is one in an answer that was added up."""
    table = json.loads(statement)["table"]
    (place,) = (n for n, column in enumerate(table["columns"]) if column["role"] == "measure")
    return {(cell, row[place]) for cell, row in enumerate(table["rows"]) if row[place]}


def _rewritten(dice: random.Random) -> dict[str, Any]:
    """One question, "visits in two gu, 7 to 9 o'clock, September", in one of some thousand spellings."""
    hour = {"fn": "hour", "column": "at"}
    two = list(GU[:2])
    dice.shuffle(two)
    parts: list[Any] = [
        dice.choice(
            [
                {"column": "gu", "op": "in", "values": two + two[: dice.randrange(3)]},
                {"or": [{"column": "gu", "op": "eq", "value": value} for value in two]},
                {"not": {"column": "gu", "op": "in", "values": ["other", GU[2]]}},
                {"and": [{"column": "gu", "op": "ne", "value": value} for value in (GU[2], "other")]},
            ]
        ),
        dice.choice(
            [
                {"column": hour, "op": "between", "values": [7, 9]},
                {"column": hour, "op": "in", "values": dice.sample([7, 8, 9], 3)},
                {
                    "and": [
                        {"column": hour, "op": "ge", "value": 7},
                        {"column": hour, "op": "lt", "value": 10},
                    ]
                },
                {"not": {"or": [_hour(hour, "lt", 7), _hour(hour, "gt", 9)]}},
            ]
        ),
        dice.choice(
            [
                {"column": "month", "op": "eq", "value": MONTH},
                {"column": "month", "op": "ge", "value": MONTH},
                {"column": "month", "op": "ne", "value": "2026-08"},
            ]
        ),
    ]
    dice.shuffle(parts)
    where: Any = {"and": parts}
    if dice.random() < 0.3:
        where = {"and": [parts[0], {"and": parts[1:]}]}
    if dice.random() < 0.3:
        where = {"not": {"not": where}}
    by: list[Any] = ["gu", hour]
    dice.shuffle(by)
    return {"dataset": "visits", "where": where, "by": by, "measures": {"visits": {"fn": "count"}}}


def _hour(key: dict[str, str], op: str, value: int) -> dict[str, Any]:
    return {"column": key, "op": op, "value": value}


class HastyBook(Book):
    """Weak on purpose: `look` at the balance comes in a transaction of its own, before the one that charges."""

    def look(self, made: Workspace, quote: Quote, policy: Policy) -> None:
        with made.parts.database.reading() as connection:
            left = super().left(connection, policy, TEAM, quote.periods)
        if any(entry.nano < quote.rho.nano for entry in left.values()):
            raise BudgetExhausted(period=quote.periods[0], requested="", remaining="", whose="team")

    def left(
        self, connection: Connection, policy: Policy, team: str, wanted: tuple[str, ...]
    ) -> dict[str, Left]:
        return {period: Left(2**62, "team") for period in wanted}


def race(draws: int) -> Verdict:
    """`draws` askers of different questions, at most 64 of them at once, with budget for ten at a time.

    Successes: answers beyond the ten, and nano-ρ charged beyond the cap.
    """
    ours = 0
    for done in range(0, draws, ASKERS):
        with _poor_town() as made:
            ours += _overspent(made, partial(made.ask, rho=_EACH), min(ASKERS, draws - done))
    few = min(draws, ASKERS)
    with _poor_town() as made:
        control = _overspent(made, _hasty(made, few), few)
    reference = "Lomas dp_querier; BigQuery refunds"
    return counted(f"budget race: {few} askers at once, budget for {PAID}", reference, ours, control)


_EACH = "0.01"


def _poor_town() -> AbstractContextManager[Workspace]:
    caps = [{"name": "all", "teams": "others", "rho": "0.1"}]
    spends = {"default_spend": _EACH, "max_spend": "0.1", "precisions": {"normal": _EACH}}
    return town(townspeople(), policy={"budget": "0.11", "caps": caps} | spends)


def _hasty(made: Workspace, askers: int) -> Callable[[Plan], object]:
    book = HastyBook(made.parts.chain, made.parts.clock)
    weak = rebuilt(made, book=book)
    together = Barrier(askers)

    def ask(plan: Plan) -> object:
        tag = made.parts.answering.price(ASKER, Request(plan, {"rho": _EACH}, TEAM, "exploration"))
        with made.parts.database.reading() as connection:
            policy = made.parts.governing.in_force(connection, "visits").policy
        book.look(made, tag.quote, policy)
        # A scheduler could do this at any time; here it does it every time.
        together.wait(60)
        return weak.ask(plan, _EACH)

    return ask


def _overspent(made: Workspace, ask: Callable[[Plan], object], askers: int) -> int:
    start = Barrier(askers)

    def one(place: int) -> bool:
        hour = {"column": {"fn": "hour", "column": "at"}, "op": "eq", "value": place % 24}
        where = {"and": [hour, {"column": "month", "op": "eq", "value": MONTH}, _gu(GU[place // 24])]}
        start.wait(60)
        try:
            ask({"dataset": "visits", "where": where, "measures": {"visits": {"fn": "count"}}})
        except BudgetExhausted:
            return False
        return True

    with ThreadPoolExecutor(askers) as pool:
        answered = sum(pool.map(one, range(askers)))
    if answered < PAID:
        raise AssertionError(
            f"{answered} answers where {PAID} were paid for: a race that refuses is no defence"
        )
    beyond = spent(made.parts) - PAID * Rho.parse(_EACH).nano
    return answered - PAID + max(0, -(-beyond // Rho.parse(_EACH).nano))


def _gu(value: str) -> dict[str, Any]:
    return {"column": "gu", "op": "eq", "value": value}
