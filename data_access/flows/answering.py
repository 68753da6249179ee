"""One question, in its one order: check → decide → price → reserve → run → protect → prove → commit.

Nothing before `reserve` touches data; nothing after it gives anything back. The signed bytes are stored
before the first of them leaves. A crash between any two steps leaves a charge without bytes, which runs again
under the same question at no second charge, or is closed as spent after a day.
"""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import Connection

from data_access.answers import Shelf, StoredAnswer, make_statement
from data_access.audit import Chain, EventKind
from data_access.canonical import document_hash
from data_access.clock import Clock
from data_access.db import Database
from data_access.errors import (
    AnswerInProgress,
    KeyReused,
    MalformedRequest,
    NoData,
    NotOffered,
    TeamNotYours,
    UnknownAnswer,
    UnknownPurpose,
)
from data_access.flows.governing import Governing, InForce
from data_access.ledger import Book, Reservation, question_hash
from data_access.ledger.book import Left, RetryKey
from data_access.policy import Lane, Policy, schema_of
from data_access.pricing import Quote, decode_cell, decode_spend, quote, share_of
from data_access.privacy.mechanisms import Noise
from data_access.query import bind, decode_plan
from data_access.query.cells import Cells, dense
from data_access.query.compiler import compile_sql
from data_access.query.sql import decode_sql
from data_access.vault import Engine, View, find_version, find_view

#: What has read private data leaves at a multiple of this, doubling until met (public facts only).
QUANTUM_SECONDS = {"small": 0.25, "medium": 0.5, "large": 1.0}
#: Printable ASCII: a lone surrogate would reach the database's driver as text that it cannot store.
_RETRY_KEY = re.compile(r"[!-~]{1,64}")


@dataclass(frozen=True)
class Asker:
    """Who asks, as the Hub says: user or service name, and the teams it may spend for."""

    name: str
    teams: frozenset[str]


@dataclass(frozen=True)
class Request:
    """The body of price and answers, decoded from JSON but not yet believed. Either a plan or SQL."""

    plan: Any
    spend: Any
    team: str
    purpose: str
    fresh: bool = False
    key: str | None = None
    sql: str | None = None


@dataclass(frozen=True)
class PriceTag:
    quote: Quote
    left: dict[str, Left]
    stored: StoredAnswer | None
    #: The size of cell that the asker named, for the measures whose error depends on it.
    cell: int | None

    @property
    def tightest(self) -> Left:
        return min(self.left.values(), key=lambda left: left.nano)

    @property
    def share_of_left(self) -> Decimal:
        return share_of(self.quote.rho, self.tightest.nano)

    @property
    def more_such(self) -> int:
        """How many such questions the tightest period still buys."""
        return max(0, self.tightest.nano // self.quote.rho.nano)


@dataclass(frozen=True)
class Answered:
    answer: StoredAnswer
    charged: int
    newer_data: bool
    newer_policy: bool


@dataclass(frozen=True)
class _Decided:
    """A question that this asker may ask of this policy, with its price."""

    asker: Asker
    request: Request
    force: InForce
    quote: Quote

    @property
    def policy(self) -> Policy:
        return self.force.policy


class _QuestionLocks:
    """One lock for each question under way, forgotten when nobody holds it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = defaultdict(lambda: (threading.Lock(), 0))

    @contextmanager
    def hold(self, question: str) -> Iterator[None]:
        with self._guard:
            lock, waiting = self._locks[question]
            self._locks[question] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, waiting = self._locks[question]
                if waiting == 1:
                    del self._locks[question]
                else:
                    self._locks[question] = (lock, waiting - 1)


class Answering:
    def __init__(
        self,
        *,
        database: Database,
        governing: Governing,
        book: Book,
        shelf: Shelf,
        chain: Chain,
        engine: Engine,
        noise: Noise,
        clock: Clock,
    ) -> None:
        self._database = database
        self._governing = governing
        self._book = book
        self._shelf = shelf
        self._chain = chain
        self._engine = engine
        self._noise = noise
        self._clock = clock
        self._locks = _QuestionLocks()

    def price(self, asker: Asker, request: Request) -> PriceTag:
        """Exact cost and expected error. Touches no data."""
        with self._database.reading() as connection:
            decided = self._decide(connection, asker, request)
            return PriceTag(
                decided.quote,
                self._book.left(connection, decided.policy, request.team, decided.quote.periods),
                None if request.fresh else self._shelf.find(connection, decided.quote),
                decode_cell(request.spend),
            )

    def answer(self, asker: Asker, request: Request) -> Answered:
        """A signed answer: a stored one at no cost, or a new one that is charged before it is computed."""
        with self._database.reading() as connection:
            decided = self._decide(connection, asker, request)
            known = self._known(connection, decided)
            if known is not None:
                return self._answered(connection, decided, known, charged=0)
            self._view(connection, decided.policy)
        # Before the charge: a plan that cannot be compiled costs nothing.
        sql = compile_sql(decided.quote.bound)
        # Equal questions wait for one another here, so that sixty-four askers cause one charge.
        with self._locks.hold(question_hash(decided.quote)):
            with self._database.reading() as connection:
                known = self._known(connection, decided)
                if known is not None:
                    return self._answered(connection, decided, known, charged=0)
            return self._ask(decided, sql)

    def reopen(self, asker: Asker, answer_id: str) -> Answered:
        """The same bytes again, for the team that asked. Raises UnknownAnswer."""
        with self._database.reading() as connection:
            answer = self._shelf.get(connection, answer_id)
            # Refused and absent look alike; a published answer is read from its page, not from here.
            if answer.team not in asker.teams:
                raise UnknownAnswer()
            force = self._governing.in_force(connection, answer.dataset)
            newest = self._newest_version(connection, force.policy)
            return Answered(
                answer, 0, newest > answer.data_version, force.policy.hash() != answer.policy_hash
            )

    def _decide(self, connection: Connection, asker: Asker, request: Request) -> _Decided:
        plan = decode_plan(request.plan) if request.sql is None else decode_sql(request.sql)
        force = self._governing.in_force(connection, plan.dataset)
        if force.policy.lane is not Lane.PRIVATE:
            raise NotOffered(feature=force.policy.lane.value)
        # The team comes before the plan's own faults: what a dataset holds is told to its askers only.
        if request.team not in asker.teams:
            raise TeamNotYours()
        if request.purpose not in force.policy.purposes:
            raise UnknownPurpose(known=", ".join(force.policy.purposes))
        if request.key is not None and not _RETRY_KEY.fullmatch(request.key):
            raise MalformedRequest(where="key")
        bound = bind(plan, schema_of(force.policy, force.entry))
        spend = decode_spend(request.spend, force.policy)
        return _Decided(asker, request, force, quote(bound, force.policy, spend))

    def _known(self, connection: Connection, decided: _Decided) -> StoredAnswer | None:
        retry = _retry_key(decided)
        if retry is not None:
            reservation = self._book.check_retry(connection, decided.asker.name, retry)
            stored = self._shelf.of_reservation(connection, reservation) if reservation else None
            if stored is not None:
                return stored
        return None if decided.request.fresh else self._shelf.find(connection, decided.quote)

    def _ask(self, decided: _Decided, sql: str) -> Answered:
        reservation, charged = self._reserve(decided)
        began = self._clock.monotonic()
        try:
            with self._database.reading() as connection:
                view = self._view(connection, decided.policy)
            exact = self._run(decided, view, sql)
            noisy = self._protect(decided, exact)
            answer = self._commit(decided, reservation, view, noisy)
        finally:
            # Success and fault leave on the same beat, which depends on public facts alone.
            self._wait_for_beat(decided.policy, began)
        with self._database.reading() as connection:
            return self._answered(connection, decided, answer, charged)

    def _reserve(self, decided: _Decided) -> tuple[Reservation, int]:
        """What to run for, and what it cost just now: 0 where an earlier try was charged and left no bytes."""
        quote, policy, retry = decided.quote, decided.policy, _retry_key(decided)
        with self._database.transaction() as tx:
            if self._governing.in_force(tx.connection, policy.dataset).policy != policy:
                # Another policy took effect since the price was made.
                raise AnswerInProgress()
            self._book.close_stale(tx)
            known = self._book.check_retry(tx.connection, decided.asker.name, retry) if retry else None
            if known is not None:
                again = self._book.unsettled_of(tx.connection, known, policy)
                if again is None:
                    # What the key was charged for is closed: under this key nothing is ever charged twice.
                    raise KeyReused()
                return again, 0
            open_one = self._book.unsettled(tx.connection, quote, policy)
            if open_one is not None and not decided.request.fresh:
                if retry is not None:
                    self._book.bind_key(tx, decided.asker.name, retry, open_one.id)
                return open_one, 0
            reservation = self._book.reserve(
                tx, quote, policy, decided.request.team, decided.asker.name, retry
            )
            return reservation, quote.rho.nano * len(quote.periods)

    def _run(self, decided: _Decided, view: View, sql: str) -> Cells:
        with self._engine.reader(view) as connection:
            columns = connection.execute(sql).to_arrow_table()
        return dense(decided.quote.bound, {name: columns[name].to_pylist() for name in columns.column_names})

    def _protect(self, decided: _Decided, exact: Cells) -> dict[str, list[int]]:
        noisy: dict[str, list[int]] = {}
        for draw in decided.quote.draws:
            columns = draw.vector.columns
            # One mechanism, one vector: all bins of all cells are drawn for together.
            drawn = self._noise.add(np.concatenate([exact.columns[name] for name in columns]), draw.mechanism)
            cells = exact.bound.cells
            noisy |= {name: drawn[i * cells : (i + 1) * cells] for i, name in enumerate(columns)}
        return noisy

    def _commit(
        self, decided: _Decided, reservation: Reservation, view: View, noisy: dict[str, list[int]]
    ) -> StoredAnswer:
        policy, request = decided.policy, decided.request
        statement = make_statement(
            decided.quote,
            policy,
            noisy,
            reservation=reservation.id,
            team=request.team,
            purpose=request.purpose,
            data_version=view.version,
            now=self._clock.now(),
        )
        with self._database.transaction() as tx:
            answer = self._shelf.put(
                tx,
                decided.quote,
                statement,
                reservation=reservation.id,
                edition=reservation.edition,
                policy_hash=policy.hash(),
                team=request.team,
                data_version=view.version,
            )
            self._book.settle(tx, reservation.id, "answered")
            self._chain.append(
                tx,
                EventKind.ANSWERED,
                {
                    "answer": answer.id,
                    "dataset": policy.dataset,
                    "data_version": view.version,
                    "plan": decided.quote.bound.id,
                    "policy": policy.hash(),
                    "purpose": request.purpose,
                    "reservation": reservation.id,
                    "team": request.team,
                },
            )
        return answer

    def _answered(
        self, connection: Connection, decided: _Decided, answer: StoredAnswer, charged: int
    ) -> Answered:
        return Answered(
            answer,
            charged,
            newer_data=self._newest_version(connection, decided.policy) > answer.data_version,
            newer_policy=decided.policy.hash() != answer.policy_hash,
        )

    def _view(self, connection: Connection, policy: Policy) -> View:
        """The newest version's private view under the policy in force. Raises NoData."""
        view = find_view(connection, policy.lineage, policy.hash())
        if view is None:
            raise NoData(dataset=policy.dataset)
        return view

    def _newest_version(self, connection: Connection, policy: Policy) -> int:
        version = find_version(connection, policy.lineage)
        return version.number if version else 0

    def _wait_for_beat(self, policy: Policy, began: float) -> None:
        beat = QUANTUM_SECONDS[policy.size_class]
        while (wait := began + beat - self._clock.monotonic()) <= 0:
            beat *= 2
        self._clock.sleep(wait)


def _retry_key(decided: _Decided) -> RetryKey | None:
    request = decided.request
    if request.key is None:
        return None
    body = {
        "plan": decided.quote.bound.id,
        "dataset": decided.policy.dataset,
        "nano": decided.quote.rho.nano,
        "team": request.team,
        "purpose": request.purpose,
        "fresh": request.fresh,
    }
    return RetryKey(request.key, document_hash(body))
