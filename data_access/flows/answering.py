"""One question, in its one order: check → decide → price → reserve → run → protect → prove → commit.

Nothing before `reserve` touches data; nothing after it gives anything back. The signed bytes are stored
before the first of them leaves. A crash between any two steps leaves a charge without bytes, which runs again
under the same question at no second charge, or is closed as spent after a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection

from data_access.answers import (
    RollUp,
    Shelf,
    StoredAnswer,
    join_statement,
    keep_cells,
    make_statement,
    roll_up,
    truncated_share,
)
from data_access.audit import Chain, EventKind
from data_access.canonical import Json, document_hash, sha256_hex
from data_access.clock import Clock
from data_access.db import Database, Transaction
from data_access.errors import (
    AnswerInProgress,
    KeyReused,
    NoData,
    UnknownAnswer,
)
from data_access.flows.asked import Answered, Asker, Decided, PriceTag, Request, Reserved, check_request
from data_access.flows.gate import Gate
from data_access.flows.governing import Governing
from data_access.flows.running import exact_cells
from data_access.flows.sizing import size_of
from data_access.flows.waiting import QuestionLocks
from data_access.ledger import Book, Reservation, question_hash
from data_access.ledger.book import RetryKey
from data_access.policy import AnyPolicy, Policy, schema_of
from data_access.pricing import Quote, decode_size, decode_spend, quote
from data_access.privacy.mechanisms import Noise
from data_access.query import bind, by_period, decode_plan
from data_access.query.canonical_form import PERIOD
from data_access.query.cells import Cells
from data_access.query.compiler import compile_sql
from data_access.query.sql import decode_sql
from data_access.vault import Engine, View, find_version, find_view

if TYPE_CHECKING:
    from data_access.vault.spark import SparkEngine

__all__ = ["QUANTUM_SECONDS", "Answered", "Answering", "Asker", "PriceTag", "Request"]

#: What has read private data leaves at a multiple of this, doubling until met (public facts only).
QUANTUM_SECONDS = {"small": 0.25, "medium": 0.5, "large": 1.0}


class Answering:
    def __init__(
        self,
        *,
        database: Database,
        governing: Governing,
        book: Book,
        shelf: Shelf,
        chain: Chain,
        gate: Gate,
        engine: Engine | SparkEngine,
        noise: Noise,
        clock: Clock,
    ) -> None:
        self._database = database
        self._governing = governing
        self._book = book
        self._shelf = shelf
        self._chain = chain
        self._gate = gate
        self._engine = engine
        self._noise = noise
        self._clock = clock
        self._locks = QuestionLocks()

    def price(self, asker: Asker, request: Request) -> PriceTag:
        """Exact cost and expected error. Touches no data."""
        with self._database.reading() as connection:
            decided = self._decide(connection, asker, request)
            stored = None if request.fresh else self._shelf.find(connection, decided.quote)
            found = {part.bound.id: self._stored_part(connection, decided, part) for part in decided.parts}
            asked = [] if stored or request.fresh else [p for p in decided.parts if not found[p.bound.id]]
            offers = [roll_up(connection, part, decided.alike) for part in asked]
            tag = PriceTag(
                decided.quote,
                self._book.left(connection, decided.policy, request.team, decided.quote.periods),
                stored,
                decided.size,
                {p.periods[0]: a for p in decided.parts if decided.is_joined and (a := found[p.bound.id])},
                tuple(offer for offer in offers if offer is not None),
                truncated_share(connection, decided.policy, decided.quote.periods),
            )
            costs = dict.fromkeys(tag.to_pay, decided.quote.rho.nano)
            return replace(tag, waits=self._gate.reason(connection, decided, costs))

    def answer(self, asker: Asker, request: Request) -> Answered:
        """A signed answer: a stored one at no cost, or a new one that is charged before it is computed.

        Raises MustWait where a person has to decide first; nothing is charged then.
        """
        with self._database.reading() as connection:
            decided = self._decide(connection, asker, request)
            known = self._known(connection, decided)
            if known is not None:
                return self._answered(connection, decided, known, charged=0)
            self._view(connection, decided.policy)
            # Here and not in the writers' transaction, for which all wait: what is found stays true, since
            # answers are never changed, and what is stored meanwhile is only not made use of.
            rolled = self._roll_ups(connection, decided)
        # Before the charge: a plan that cannot be compiled costs nothing.
        sql = compile_sql(decided.quote.bound, self._engine.dialect)
        # Equal questions wait for one another here, so that sixty-four askers cause one charge; and so do
        # questions that share a part.
        with self._locks.hold(*(question_hash(q) for q in (decided.quote, *decided.parts))):
            return self._ask(decided, sql, rolled)

    def reopen(self, asker: Asker, answer_id: str) -> Answered:
        """The same bytes again, for the team that asked. Raises UnknownAnswer."""
        with self._database.reading() as connection:
            answer = self._shelf.get(connection, answer_id)
            # Refused and absent look alike; a published answer is read from its page, not from here.
            if answer.team not in asker.teams:
                raise UnknownAnswer()
            policy = self._governing.in_any_lane(connection, answer.dataset).policy
            newest = self._newest_version(connection, policy)
            return Answered(answer, 0, newest > answer.data_version, policy.hash() != answer.policy_hash)

    def _decide(self, connection: Connection, asker: Asker, request: Request) -> Decided:
        plan = decode_plan(request.plan) if request.sql is None else decode_sql(request.sql)
        force = self._governing.in_force(connection, plan.dataset)
        # The team comes before the plan's own faults: what a dataset holds is told to its askers only.
        check_request(asker, request, force.policy.purposes)
        bound = bind(plan, schema_of(force.policy, force.entry))
        spend = decode_spend(request.spend, force.policy)
        wished = decode_size(request.spend)
        size = size_of(connection, self._shelf, asker, force.entry, bound, wished)
        parts = tuple(quote(part, force.policy, spend, size) for part in by_period.split(bound))
        alike = self._governing.alike(connection, force.policy)
        if not parts:
            own = quote(bound, force.policy, spend, size)
            return Decided(asker, request, force, own, (own,), alike, size)
        # All parts are protected alike: they differ in nothing but the period.
        return Decided(asker, request, force, replace(parts[0], bound=bound), parts, alike, size)

    def _stored_part(self, connection: Connection, decided: Decided, part: Quote) -> StoredAnswer | None:
        return (
            None
            if decided.request.fresh
            else self._shelf.find(connection, part, decided.alike if decided.is_joined else None)
        )

    def _known(self, connection: Connection, decided: Decided) -> StoredAnswer | None:
        retry = _retry_key(decided)
        if retry is not None:
            reservation = self._book.check_retry(connection, decided.asker.name, retry)
            stored = self._shelf.of_reservation(connection, reservation) if reservation else None
            if stored is not None:
                return stored
        return None if decided.request.fresh else self._shelf.find(connection, decided.quote)

    def _roll_ups(self, connection: Connection, decided: Decided) -> dict[str, RollUp]:
        """By plan: the parts that can be added up from finer answers as precisely as was asked for."""
        found: dict[str, RollUp] = {}
        for part in () if decided.request.fresh else decided.parts:
            if self._stored_part(connection, decided, part) is None:
                rolled = roll_up(connection, part, decided.alike)
                if rolled is not None and rolled.suffices(part):
                    found[part.bound.id] = rolled
        return found

    def _ask(self, decided: Decided, sql: str, rolled: Mapping[str, RollUp]) -> Answered:
        reserved = self._reserve(decided, rolled)
        if isinstance(reserved, Answered):
            return reserved
        if not reserved.runs:
            return self._commit(decided, reserved, [])
        began = self._clock.monotonic()
        try:
            return self._read(decided, reserved, sql)
        finally:
            # Success and fault leave on the same beat, which depends on public facts alone.
            self._wait_for_beat(decided.policy, began)

    def _read(self, decided: Decided, reserved: Reserved, sql: str) -> Answered:
        bound, missing = decided.quote.bound, tuple(part.periods[0] for part, _ in reserved.runs)
        if decided.is_joined and missing != bound.periods:
            bound = by_period.only(bound, missing)
            sql = compile_sql(bound, self._engine.dialect)
        exact = exact_cells(self._engine, reserved.view, bound, sql)
        if not decided.is_joined:
            slices = [exact]
        else:
            place = bound.plan.by.index(PERIOD)
            slices = [
                exact.slice(part.bound, place, bound.periods.index(part.periods[0]))
                for part, _ in reserved.runs
            ]
        noisy = [self._protect(part, cells) for (part, _), cells in zip(reserved.runs, slices, strict=True)]
        return self._commit(decided, reserved, noisy)

    def _reserve(self, decided: Decided, rolled: Mapping[str, RollUp]) -> Reserved | Answered:
        """What to run for, and what it cost just now: 0 where an earlier try was charged and left no bytes. The
        answer itself where somebody else's has been stored meanwhile.

        All parts in one transaction: where one period's budget is exhausted, no period is charged.
        """
        policy, request = decided.policy, decided.request
        retry = _retry_key(decided)
        with self._database.transaction() as tx:
            there = self._known(tx.connection, decided)
            if there is not None:
                return self._answered(tx.connection, decided, there, charged=0)
            if self._governing.in_force(tx.connection, policy.dataset).policy != policy:
                # Another policy took effect since the price was made.
                raise AnswerInProgress()
            self._book.close_stale(tx)
            reserved = Reserved(self._view(tx.connection, policy))
            if decided.is_joined:
                reserved.whole = self._claim(tx, decided, decided.quote, retry) or self._book.note(
                    tx, decided.quote, policy, request.team, decided.asker.name, retry
                )
            for part in decided.parts:
                own = _part_key(retry, part) if retry and decided.is_joined else retry
                known = self._book.check_retry(tx.connection, decided.asker.name, own) if own else None
                stored = (
                    self._shelf.of_reservation(tx.connection, known)
                    if known
                    else self._stored_part(tx.connection, decided, part)
                )
                if stored is not None:
                    reserved.stored[part.periods[0]] = stored
                    continue
                claimed = self._claim(tx, decided, part, own)
                if claimed is None and part.bound.id in rolled:
                    summed = self._roll_up(tx, decided, part, rolled[part.bound.id], own)
                    reserved.stored[part.periods[0]] = summed
                    continue
                if claimed is None:
                    claimed = self._book.reserve(tx, part, policy, request.team, decided.asker.name, own)
                    reserved.paid.append((part, claimed))
                reserved.runs.append((part, claimed))
            self._gate.check(tx, decided, reserved)
            return reserved

    def _roll_up(
        self, tx: Transaction, decided: Decided, part: Quote, rolled: RollUp, retry: RetryKey | None
    ) -> StoredAnswer:
        """The part added up from finer answers: signed, stored, free."""
        policy, request = decided.policy, decided.request
        reservation = self._book.note(tx, part, policy, request.team, decided.asker.name, retry)
        oldest = min(int(str(source["data_version"])) for source in rolled.sources)
        statement = make_statement(
            rolled.quote,
            policy,
            rolled.noisy,
            reservation=reservation.id,
            team=request.team,
            purpose=request.purpose,
            data_version=oldest,
            now=self._clock.now(),
            truncated=truncated_share(tx.connection, policy, part.periods),
            rolled_up=rolled.sources,
        )
        answer = self._store(tx, decided, part, statement, reservation, part.rho.nano, oldest)
        sources = [source["answer_id"] for source in rolled.sources]
        self._record(tx, decided, EventKind.ANSWER_DERIVED, answer, part, {"sources": sources})
        return answer

    def _claim(
        self, tx: Transaction, decided: Decided, part: Quote, retry: RetryKey | None
    ) -> Reservation | None:
        """A reservation for this part from an earlier try, which runs again at no second charge."""
        known = self._book.check_retry(tx.connection, decided.asker.name, retry) if retry else None
        if known is not None:
            again = self._book.unsettled_of(tx.connection, known, decided.policy)
            if again is None:
                # What the key was charged for is closed: under this key nothing is ever charged twice.
                raise KeyReused()
            return again
        if decided.request.fresh:
            return None
        open_one = self._book.unsettled(tx.connection, part, decided.policy)
        if open_one is not None and retry is not None:
            self._book.bind_key(tx, decided.asker.name, retry, open_one.id)
        return open_one

    def _protect(self, part: Quote, exact: Cells) -> dict[str, list[int]]:
        noisy: dict[str, list[int]] = {}
        for draw in part.draws:
            columns = draw.vector.columns
            # One mechanism, one vector: all bins of all cells are drawn for together.
            drawn = self._noise.add(np.concatenate([exact.columns[name] for name in columns]), draw.mechanism)
            cells = exact.bound.cells
            noisy |= {name: drawn[i * cells : (i + 1) * cells] for i, name in enumerate(columns)}
        return noisy

    def _commit(self, decided: Decided, reserved: Reserved, noisy: list[dict[str, list[int]]]) -> Answered:
        """Sign and store every part that was run for, and what joins them, in one transaction."""
        policy, request = decided.policy, decided.request
        asked = {"team": request.team, "purpose": request.purpose}
        parts, view = dict(reserved.stored), reserved.view
        with self._database.transaction() as tx:
            for (part, reservation), values in zip(reserved.runs, noisy, strict=True):
                statement = make_statement(
                    part,
                    policy,
                    values,
                    reservation=reservation.id,
                    data_version=view.version,
                    now=self._clock.now(),
                    truncated=truncated_share(tx.connection, policy, part.periods),
                    **asked,
                )
                answer = self._store(tx, decided, part, statement, reservation, part.rho.nano, view.version)
                keep_cells(tx, answer, part, values)
                parts[part.periods[0]] = answer
                facts: dict[str, Json] = {"reservation": reservation.id, "data_version": view.version}
                self._record(tx, decided, EventKind.ANSWERED, answer, part, facts)
            if reserved.whole is None:
                answer = parts[decided.quote.periods[0]]
                return self._answered(tx.connection, decided, answer, reserved.charged)
            statement = join_statement(
                decided.quote.bound,
                parts,
                policy={
                    "dataset": policy.dataset,
                    "dataset_title": {"ko": policy.title.ko, "en": policy.title.en},
                    "policy_hash": policy.hash(),
                    "policy_version": policy.version,
                },
                reservation=reserved.whole.id,
                now=self._clock.now(),
                truncated=truncated_share(tx.connection, policy, decided.quote.periods),
                **asked,
            )
            nano = min(answer.nano for answer in parts.values())
            oldest = min(answer.data_version for answer in parts.values())
            answer = self._store(tx, decided, decided.quote, statement, reserved.whole, nano, oldest)
            sources = [parts[period].id for period in decided.quote.periods]
            self._record(tx, decided, EventKind.ANSWER_DERIVED, answer, decided.quote, {"sources": sources})
            return self._answered(tx.connection, decided, answer, reserved.charged)

    def _store(
        self,
        tx: Transaction,
        decided: Decided,
        part: Quote,
        statement: bytes,
        reservation: Reservation,
        nano: int,
        data_version: int,
    ) -> StoredAnswer:
        answer = self._shelf.put(
            tx,
            part.bound,
            statement,
            nano=nano,
            reservation=reservation.id,
            edition=reservation.edition,
            policy_hash=decided.policy.hash(),
            team=decided.request.team,
            data_version=data_version,
        )
        self._book.settle(tx, reservation.id, "answered")
        return answer

    def _record(
        self,
        tx: Transaction,
        decided: Decided,
        kind: EventKind,
        answer: StoredAnswer,
        part: Quote,
        more: Mapping[str, Json],
    ) -> None:
        self._chain.append(
            tx,
            kind,
            {
                "answer": answer.id,
                "dataset": decided.policy.dataset,
                "plan": part.bound.id,
                "policy": decided.policy.hash(),
                "purpose": decided.request.purpose,
                "team": decided.request.team,
                **more,
            },
        )

    def _answered(
        self, connection: Connection, decided: Decided, answer: StoredAnswer, charged: int
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

    def _newest_version(self, connection: Connection, policy: AnyPolicy) -> int:
        version = find_version(connection, policy.lineage)
        return version.number if version else 0

    def _wait_for_beat(self, policy: Policy, began: float) -> None:
        beat = QUANTUM_SECONDS[policy.size_class]
        while (wait := began + beat - self._clock.monotonic()) <= 0:
            beat *= 2
        self._clock.sleep(wait)


def _part_key(retry: RetryKey, part: Quote) -> RetryKey:
    """The key of one period's part. It holds a space, which no asker's own key may."""
    return RetryKey(f"{part.periods[0]} {sha256_hex(retry.key.encode())[:50]}", retry.body)


def _retry_key(decided: Decided) -> RetryKey | None:
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
