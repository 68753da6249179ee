"""More budget by another name: accounts, datasets, loads, corrections, rollbacks, and policies that change meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Any

from sqlalchemy import Connection, func, select

from benchmarks.attacks.town import (
    CATALOG,
    GU,
    HOUR,
    IN_MONTH,
    WEEKDAY,
    amend,
    count,
    load_rows,
    one_of,
    policy_document,
    rebuilt,
    spent,
    town,
    townspeople,
    visits_of_target,
)
from benchmarks.attacks.verdict import Verdict, counted
from benchmarks.workspace import Workspace
from data_access.canonical import canonical_bytes
from data_access.catalog import Dataset
from data_access.catalog.entry import parse_entry
from data_access.db import Transaction
from data_access.db.ledger import charges
from data_access.errors import BudgetExhausted, CivicError
from data_access.flows.answering import Asker, Request
from data_access.flows.governing import Governing
from data_access.ledger import Book
from data_access.ledger.book import Left
from data_access.parties.register import SIDES
from data_access.policy import AnyPolicy, Policy
from data_access.privacy.budget import Rho

_EACH, _PAID = "0.01", 4
_POOR: dict[str, Any] = {
    "budget": "0.05",
    "load_rho": "0.01",
    "caps": [{"name": "all", "teams": "others", "rho": "0.04"}],
    "default_spend": _EACH,
    "max_spend": "0.04",
    "precisions": {"normal": _EACH},
}
#: The same file under another id.
_TWIN = CATALOG.replace("id: visits", "id: visits_again")


class PersonalBook(Book):
    """Weak on purpose: every account, here every team, has the whole of the cap for itself."""

    def left(
        self, connection: Connection, policy: Policy, team: str, wanted: tuple[str, ...]
    ) -> dict[str, Left]:
        own: Counter[str] = Counter()
        asked = select(charges.c.period, func.sum(charges.c.nano).label("nano")).group_by(charges.c.period)
        for row in connection.execute(
            asked.where(charges.c.lineage == policy.lineage, charges.c.team == team)
        ):
            own[row.period] += int(row.nano)
        cap = policy.cap_of(team)
        assert cap is not None
        return {period: Left(Rho.parse(cap.rho).nano - own[period], "team") for period in wanted}


def sybil(draws: int) -> Verdict:
    """Budget for four answers; asked for by `draws` accounts and teams, under another dataset's name, after a load, a
    correction, a policy that gives more, and a rollback.

    Successes: answers beyond the four, and other names that opened.
    """
    ours = _bought(draws, lambda made: made)

    def weak(made: Workspace) -> Workspace:
        return rebuilt(made, book=PersonalBook(made.parts.chain, made.parts.clock))

    control = _bought(draws, weak)
    return counted(
        f"{draws} accounts, other names, new loads, rollback", "Snowflake; BigQuery views", ours, control
    )


def _bought(accounts: int, build: Callable[[Workspace], Workspace]) -> int:
    rows = [*townspeople(), *visits_of_target(4)]
    with town(rows, policy=_POOR, entries={"visits_again": _TWIN}) as plain:
        made = build(plain)
        questions = _questions()
        answered = _ask_until_refused(made, questions, [("eve", "bike")])
        answered += _ask_until_refused(made, questions, [(f"eve{n}", f"team{n}") for n in range(accounts)])
        # A load of the same file, and a correction without one person.
        for version in (rows, townspeople()):
            load_rows(made, _policy(made), version)
            answered += _ask_until_refused(made, questions, [("eve", "bike")])
        richer = {"budget": "0.5", "caps": [{"name": "anew", "teams": "others", "rho": "0.4"}]}
        amend(made, **_POOR | richer | {"version": 2})
        answered += _ask_until_refused(made, questions, [("eve", "bike"), ("new", "anew")])
        opened = sum(
            _takes_effect(made, policy_document(**_POOR | changes))
            for changes in (
                {"version": 1, **richer},
                {"dataset": "visits_again"},
                {"version": 3, "lineage": "attacked-visits-2"},
            )
        )
        if answered < _PAID:
            raise AssertionError("fewer answers than were paid for: a refusal of everything is no defence")
        beyond = spent(made.parts) - _PAID * Rho.parse(_EACH).nano
        return opened + max(answered - _PAID, -(-beyond // Rho.parse(_EACH).nano))


def _questions() -> Iterator[dict[str, Any]]:
    """Every one another, all of one month."""
    for day, hour, gu in product(range(7), range(24), GU):
        where = [IN_MONTH, one_of(WEEKDAY, day), one_of(HOUR, hour), one_of("gu", gu)]
        yield count({"and": where})


def _ask_until_refused(
    made: Workspace, questions: Iterator[dict[str, Any]], askers: Sequence[tuple[str, str]]
) -> int:
    answered = 0
    for name, team in askers:
        asker = Asker(name, frozenset({team}))
        try:
            for _ in range(_PAID + 1):
                spend = {"rho": _EACH}
                request = Request(next(questions), spend, team, "exploration")
                answered += made.parts.answering.answer(asker, request).charged > 0
        except BudgetExhausted:
            continue
    return answered


def _policy(made: Workspace) -> Policy:
    with made.parts.database.reading() as connection:
        return made.parts.governing.in_force(connection, "visits").policy


def _takes_effect(made: Workspace, document: Mapping[str, Any]) -> bool:
    try:
        made.open(document)
    except CivicError:
        return False
    return True


class ForgetfulGoverning(Governing):
    """Weak on purpose: what a lineage's first policy fixed is not looked at again."""

    def _fix_lineage(self, tx: Transaction, policy: AnyPolicy, entry: Dataset) -> None:
        """Accept."""


def changed_unit(draws: int) -> Verdict:
    """Policies, signed by both sides, that change what is protected under the same data: unit, person, period's
    time, lineage. `draws` at most.

    A success is one that takes effect.
    """
    ours = _accepted(draws, lambda made: made.parts.governing)
    control = _accepted(
        draws,
        lambda made: ForgetfulGoverning(
            **{field.name: getattr(made.parts.governing, field.name) for field in fields(Governing)}
        ),
    )
    tried = len(_changes()[:draws])
    return counted(f"a policy that changes the unit: {tried} ways", "DESIGN section 5", ours, control)


def _changes() -> list[tuple[dict[str, Any], str]]:
    """Changes of the policy, and the catalog entry that stands by then."""
    second = (
        "  person: {source: person, type: person, label: {ko: 사람, en: Person}}\n",
        "  person: {source: note, type: person, label: {ko: 사람, en: Person}}\n",
    )
    renamed = (
        "  person: {source: person, type: person",
        "  ticket: {source: note, type: person",
    )
    moved = ("time_column: at\n", "time_column: later\n")
    later = (
        '  later: {source: note, type: timestamp, required: true, formats: ["%Y"], label: {ko: 때, en: L}}\n'
    )
    other_time = ("  at: {source: at, type", "  at: {source: note, type")
    by_row = {"unit": {"kind": "row", "period": "month"}, "row_bound": 1}
    return [
        (by_row, CATALOG),
        ({"lineage": "attacked-visits-2"}, CATALOG),
        ({"unit": {"kind": "person", "column": "ticket", "period": "month"}}, CATALOG.replace(*renamed)),
        ({}, CATALOG.replace(*moved) + later),
        # The same name, another column of the file behind it.
        ({}, CATALOG.replace(*second)),
        ({}, CATALOG.replace(*other_time)),
    ]


def _accepted(draws: int, build: Callable[[Workspace], Governing]) -> int:
    accepted = 0
    with town(townspeople()) as made:
        governing = build(made)
        for version, (changes, source) in enumerate(_changes()[:draws], 2):
            entry = parse_entry(source, "visits.yaml")
            document = policy_document(version=version, catalog=entry.hash(), **changes)
            policy = Policy.model_validate(document, strict=False)
            data = canonical_bytes(policy.document())
            signatures = tuple(made.keys.of(side).sign_bytes(data) for side in SIDES)
            known = {field.name: getattr(governing, field.name) for field in fields(Governing)}
            try:
                type(governing)(**known | {"catalog": {"visits": entry}}).activate(policy, signatures)
            except CivicError:
                continue
            accepted += 1
    return accepted
