"""A question to an open dataset: check → decide → run → commit with its event. No price, no budget, no beat.

Nobody stands in the data, so there is nothing that an answer, its error or the time it takes could tell about anybody.
What is kept of the private lane is what makes a number traceable: both sides' signatures over what is open, unaltered
files, a signed and stored answer, and an event for each.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from data_access.answers import Page, Shelf, StoredAnswer, cells_page, make_open_statement, rows_page
from data_access.audit import Chain, EventKind
from data_access.canonical import document_hash
from data_access.clock import Clock
from data_access.db import Database
from data_access.errors import AnswerInProgress, NoData, PlanInvalid, RowsRefused, TooManyCells
from data_access.flows.asked import Answered, Asker, Request, check_request
from data_access.flows.governing import Governing, OpenInForce
from data_access.flows.waiting import QuestionLocks
from data_access.ledger import Book
from data_access.ledger.book import RetryKey
from data_access.policy import OpenPolicy, open_schema_of
from data_access.query.binding import MAX_CELLS
from data_access.query.codec import decode_open
from data_access.query.nodes import Rows
from data_access.query.open_binding import OpenBound, bind_open
from data_access.query.open_compiler import compile_matching, compile_open
from data_access.query.sql import decode_open_sql
from data_access.vault import Engine, View, find_version, find_view
from data_access.vault.records import find_view_of


@dataclass(frozen=True)
class OpenPrice:
    """What an open question costs: nothing. `cells` is the most that it may show, None for cells, which nobody has
    counted before the data are read.
    """

    bound: OpenBound
    policy: OpenPolicy
    stored: StoredAnswer | None

    @property
    def cells(self) -> int | None:
        plan = self.bound.plan
        return (plan.limit or 0) * len(plan.columns) if isinstance(plan, Rows) else None


@dataclass(frozen=True)
class _Decided:
    asker: Asker
    request: Request
    force: OpenInForce
    bound: OpenBound
    #: What is asked: the newest version, or that of the page which this one continues.
    view: View

    @property
    def policy(self) -> OpenPolicy:
        return self.force.policy


class OpenAnswering:
    def __init__(
        self,
        *,
        database: Database,
        governing: Governing,
        book: Book,
        shelf: Shelf,
        chain: Chain,
        engine: Engine,
        clock: Clock,
    ) -> None:
        self._database = database
        self._governing = governing
        self._book = book
        self._shelf = shelf
        self._chain = chain
        self._engine = engine
        self._clock = clock
        self._locks = QuestionLocks()

    def price(self, asker: Asker, request: Request) -> OpenPrice:
        """That it is free, and whether it is answered already. Touches no data."""
        with self._database.reading() as connection:
            decided = self._decide(connection, asker, request)
            return OpenPrice(decided.bound, decided.policy, self._known(connection, decided))

    def answer(self, asker: Asker, request: Request) -> Answered:
        """A signed answer. `fresh` changes nothing: without noise a second answer is the first."""
        with self._database.reading() as connection:
            decided = self._decide(connection, asker, request)
            known = self._known(connection, decided)
            if known is not None:
                return self._answered(connection, decided, known)
        # Equal questions wait for one another, so that sixty-four askers read once.
        with self._locks.hold(decided.bound.id):
            with self._database.reading() as connection:
                known = self._known(connection, decided)
            answer = known or self._commit(decided, self._read(decided))
            with self._database.reading() as connection:
                return self._answered(connection, decided, answer)

    def _decide(self, connection: Connection, asker: Asker, request: Request) -> _Decided:
        plan = decode_open(request.plan) if request.sql is None else decode_open_sql(request.sql)
        force = self._governing.in_any_lane(connection, plan.dataset)
        if not isinstance(force, OpenInForce):
            # The dispatcher's word is not believed: a policy may have changed since, and the private lane never opens.
            raise RowsRefused()
        check_request(asker, request, force.policy.purposes)
        bound = bind_open(plan, open_schema_of(force.entry))
        policy, cursor = force.policy, bound.cursor
        if cursor is None:
            view = find_view(connection, policy.lineage, policy.hash())
            if view is None:
                raise NoData(dataset=policy.dataset)
        else:
            # Pages of one table are of one version, whatever was loaded between them.
            view = find_view_of(connection, policy.lineage, policy.hash(), cursor.version)
            if view is None:
                raise PlanInvalid(where="after: these rows are no longer offered; begin again without it")
        return _Decided(asker, request, force, bound, view)

    def _known(self, connection: Connection, decided: _Decided) -> StoredAnswer | None:
        return self._by_key(connection, decided) or self._shelf.find_open(
            connection, decided.bound, decided.policy.hash(), decided.view.version
        )

    def _by_key(self, connection: Connection, decided: _Decided) -> StoredAnswer | None:
        """What this retry key was answered with. Raises KeyReused for another body."""
        retry = _retry_key(decided)
        known = self._book.check_retry(connection, decided.asker.name, retry) if retry else None
        return self._shelf.of_reservation(connection, known) if known else None

    def _read(self, decided: _Decided) -> Page:
        bound = decided.bound
        with self._engine.reader(decided.view) as connection:
            table = connection.execute(compile_open(bound, most=MAX_CELLS + 1)).to_arrow_table()
            found = {name: table[name].to_pylist() for name in table.column_names}
            if isinstance(bound.plan, Rows):
                counted = connection.execute(compile_matching(bound)).fetchone()
                return rows_page(bound, found, decided.view.version, int(counted[0]) if counted else 0)
        if table.num_rows * len(bound.plan.measures) > MAX_CELLS:
            raise TooManyCells(cells=table.num_rows * len(bound.plan.measures), maximum=MAX_CELLS)
        return cells_page(bound, found)

    def _commit(self, decided: _Decided, page: Page) -> StoredAnswer:
        """Sign and store, in the transaction of its event. Another process may have been quicker."""
        policy, request, view = decided.policy, decided.request, decided.view
        with self._database.transaction() as tx:
            if self._governing.in_any_lane(tx.connection, policy.dataset).policy != policy:
                raise AnswerInProgress()
            known = self._known(tx.connection, decided)
            if known is not None:
                return known
            reservation = self._book.note_open(
                tx, decided.bound, policy, request.team, decided.asker.name, _retry_key(decided)
            )
            statement = make_open_statement(
                decided.bound,
                policy,
                page,
                reservation=reservation.id,
                team=request.team,
                purpose=request.purpose,
                data_version=view.version,
                now=self._clock.now(),
            )
            answer = self._shelf.put(
                tx,
                decided.bound,
                statement,
                nano=0,
                reservation=reservation.id,
                edition=reservation.edition,
                policy_hash=policy.hash(),
                team=request.team,
                data_version=view.version,
            )
            self._book.settle(tx, reservation.id, "answered")
            self._chain.append(
                tx,
                EventKind.ANSWERED_OPEN,
                {
                    "answer": answer.id,
                    "dataset": policy.dataset,
                    "plan": decided.bound.id,
                    "policy": policy.hash(),
                    "purpose": request.purpose,
                    "team": request.team,
                    "data_version": view.version,
                },
            )
        return answer

    def _answered(self, connection: Connection, decided: _Decided, answer: StoredAnswer) -> Answered:
        version = find_version(connection, decided.policy.lineage)
        return Answered(
            answer,
            charged=0,
            newer_data=version is not None and version.number > answer.data_version,
            newer_policy=decided.policy.hash() != answer.policy_hash,
        )


def _retry_key(decided: _Decided) -> RetryKey | None:
    request = decided.request
    if request.key is None:
        return None
    body = {
        "plan": decided.bound.id,
        "dataset": decided.policy.dataset,
        "team": request.team,
        "purpose": request.purpose,
    }
    return RetryKey(request.key, document_hash(body))
