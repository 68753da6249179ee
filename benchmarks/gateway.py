"""The gateway under a hundred askers at once: real server, real HTTP, real database, real data.

The one thing replaced is the Hub's identity: whose token it is comes from a table instead of from the Hub, so that
no Hub is measured. Askers are a process of their own. After the last answer the ledger must hold exactly what was
charged, within its budget, and every request must have been answered: with 200, or `budget_exhausted`.

What has read data leaves at a multiple of 0.25 s, by design; so new answers are measured twice, once as they are,
and once by a clock that waits for no beat, which shows the work.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import click
import httpx

from benchmarks.attacks.serving import ANSWERS, served
from benchmarks.city import RIDES, catalog, city, policy_document
from benchmarks.figures import Figure, at_most
from benchmarks.workspace import workspace
from data_access.clock import SystemClock
from data_access.errors import NotSignedIn
from data_access.flows.answering import Asker
from data_access.gateway.identity import Caller

ASKERS = 100
TEAMS = ("bike", "road", "park", "river")
PRICE = "/services/data/v1/price"
RHO, NANO, PERIODS = "0.0025", 2_500_000, 12
#: New questions of each asker in a round: with the beat, without it, and in a race for what is left.
EACH, LEFT = 2, 50


class Table:
    """Whose token it is, from a table: a hundred people in four teams."""

    def caller(self, token: str) -> Caller:
        kind, _, number = token.partition("-")
        if kind != "asker" or not number.isdecimal():
            raise NotSignedIn()
        asker = Asker(f"analyst-{number}", frozenset({TEAMS[int(number) % len(TEAMS)]}))
        return Caller(asker, frozenset({"custom:civic:ask", "custom:civic:read"}))


class Beat(SystemClock):
    """Waits for the beat, or does not."""

    waits = True

    def sleep(self, seconds: float) -> None:
        if self.waits:
            super().sleep(seconds)


def gateway(rides: int, rounds: int) -> list[Figure]:
    clock = Beat()
    with city(rides, "parquet") as files, workspace(catalog(), clock=clock) as made:
        policy = made.open(_policy())
        made.load(policy, files.rides, tables=files.root)
        click.echo(f"{rides:,} rides, {ASKERS} askers in {len(TEAMS)} teams, {rounds} rounds")
        with served(made, Table()) as client:
            return _measure(str(client.base_url), client, clock, rounds)


def _measure(address: str, client: httpx.Client, clock: Beat, rounds: int) -> list[Figure]:
    questions = _questions()
    new, more, last = (
        [[_body(next(questions), asker) for _ in range(EACH)] for asker in range(ASKERS)] for _ in range(3)
    )
    prices = _ask(address, PRICE, [bodies * rounds for bodies in new])
    answers = _ask(address, ANSWERS, new)
    clock.waits = False
    bare = _ask(address, ANSWERS, more)
    clock.waits = True
    again = _ask(address, ANSWERS, [bodies * rounds for bodies in new])
    race = _ask(address, ANSWERS, last)

    _check_all(prices, {(200, None)})
    for each in (answers, bare):
        _check_all(each, {(200, NANO * PERIODS)})
    _check_all(again, {(200, 0)})
    if {r["answer_id"] for r in again["requests"]} != {r["answer_id"] for r in answers["requests"]}:
        raise RuntimeError("a question asked again was given another answer")
    paid = _check_race(race) + 2 * ASKERS * EACH
    _check_ledger(client, paid)
    return [
        *_figures("price", prices),
        *_figures("new answer (leaves on a beat of 0.25 s)", answers),
        *_figures("new answer, without the beat", bare),
        *_figures("free re-ask", again),
        *_figures(f"race for the last {LEFT} answers of the budget", race),
        at_most("requests that were neither answered nor refused for the budget", 0, "", 0),
        at_most("charged beyond the budget", 0, "nano-ρ", 0),
    ]


def _policy() -> dict[str, Any]:
    """The demonstration's, with a budget for all questions but half of the last ones."""
    document = policy_document()
    rho = Decimal(NANO * (2 * ASKERS * EACH + LEFT)) / 10**9
    caps = [{"name": "all", "teams": "others", "rho": str(rho)}]
    return document | {"budget": str(rho + Decimal(str(document["load_rho"]))), "caps": caps}


def _questions() -> Iterator[dict[str, Any]]:
    """Questions of which none is another's sum: by hour, from one gu to another."""
    gu = policy_document()["keys"]["start_gu"]["values"]
    for start, end in itertools.permutations(gu, 2):
        trip = [
            {"column": "start_gu", "op": "eq", "value": start},
            {"column": "end_gu", "op": "eq", "value": end},
        ]
        yield {
            "dataset": RIDES,
            "where": {"and": trip},
            "by": [{"fn": "hour", "column": "started_at"}],
            "measures": {"rides": {"fn": "count"}},
        }


def _body(plan: dict[str, Any], asker: int) -> dict[str, Any]:
    """What the asker of this number sends, and her token."""
    body = {"plan": plan, "spend": {"rho": RHO}, "team": TEAMS[asker % len(TEAMS)], "purpose": "exploration"}
    return {"token": f"asker-{asker}", "body": body}


def _ask(address: str, path: str, askers: list[list[dict[str, Any]]]) -> dict[str, Any]:
    wanted = {"address": address, "askers": [[{"path": path} | each for each in asker] for asker in askers]}
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.askers"],
        input=json.dumps(wanted),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def _check_all(asked: dict[str, Any], wanted: set[tuple[int, int | None]]) -> None:
    """Every request was answered, and charged this."""
    found = Counter((request["status"], request["charged"], request["code"]) for request in asked["requests"])
    if {(status, charged) for status, charged, _ in found} - wanted:
        raise RuntimeError(f"wanted {wanted} of every request, found {dict(found)}")


def _check_race(race: dict[str, Any]) -> int:
    """Just as many answers as the budget holds, and every other request refused for the budget; how many."""
    found = Counter(request["code"] or request["status"] for request in race["requests"])
    if found != {200: LEFT, "budget_exhausted": ASKERS * EACH - LEFT}:
        raise RuntimeError(f"budget for {LEFT} answers, found {dict(found)}")
    return LEFT


def _check_ledger(client: httpx.Client, paid: int) -> None:
    """What the public ledger holds is what was paid, within each budget."""
    periods = client.get("/services/data/v1/ledger").json()["periods"]
    for period in periods:
        of_askers = sum(charge["nano"] for charge in period["charges"] if charge["team"] in TEAMS)
        spent = sum(charge["nano"] for charge in period["charges"])
        if of_askers != paid * NANO or spent > period["budget"] or len(periods) != PERIODS:
            raise RuntimeError(f"{period['period']}: {paid} answers, {of_askers} charged, {spent} spent")


def _figures(what: str, asked: dict[str, Any]) -> list[Figure]:
    seconds = [request["seconds"] for request in asked["requests"]]
    p95 = statistics.quantiles(seconds, n=20)[-1]
    return [
        Figure(f"{what}: p50", statistics.median(seconds) * 1000, "ms"),
        Figure(f"{what}: p95", p95 * 1000, "ms"),
        Figure(f"{what}: throughput", len(seconds) / asked["seconds"], "per s"),
    ]
