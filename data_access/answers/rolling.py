"""A coarser question, added up from the noisy cells of finer answers: free, since nothing is read.

Only what adds up over cells (`count`, `sum`, `histogram`; never `persons`, who would be counted once for each
cell). Noises are independent, so variances are added; the sum of discrete Gaussians is taken for one discrete
Gaussian of that variance, which holds to far below a unit from σ = 1 on (Kairouz, Liu & Steinke 2021,
arXiv:2102.06387), and finer answers with less noise are passed over.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, func, insert, select

from data_access.answers.shelf import StoredAnswer
from data_access.canonical import Json, canonical_bytes, content_id
from data_access.db import Transaction
from data_access.db.answers import answers, cells
from data_access.errors import AuditBroken, CivicError
from data_access.pricing import Draw, Quote
from data_access.privacy.budget import Rho
from data_access.query import (
    And,
    BoundPlan,
    Count,
    Filter,
    Histogram,
    In,
    Measure,
    Sum,
    bind,
    by_period,
    decode_plan,
)

_ADDS_UP = Count | Sum | Histogram
_LEAST_SCALE = Decimal(1)
#: Answers of one period that are searched. By ρ, so that no number of cheap questions hides the precise ones: a
#: month's budget of 0.5 buys no more than this many at 0.001.
MOST_SEARCHED = 500


@dataclass(frozen=True)
class RollUp:
    """`quote` has, for each measure, the σ of the sums; `noisy` the sums, by column, in the order of its cells."""

    quote: Quote
    noisy: dict[str, list[int]]
    sources: tuple[dict[str, Json], ...]

    def suffices(self, asked: Quote) -> bool:
        """Whether no measure has a wider interval than was asked for."""
        return all(
            mine.mechanism.margin <= wanted.mechanism.margin
            for mine, wanted in zip(self.quote.draws, asked.draws, strict=True)
        )


@dataclass(frozen=True)
class _Source:
    """One finer answer about one period; `taken` are the places of its cells that pass, for each of its keys."""

    answer: str
    about: dict[str, Json]
    plan: BoundPlan
    taken: list[list[int]]
    #: Cells that are added up into one.
    many: int
    #: Name here → name there.
    names: dict[str, str]
    scales: dict[str, Decimal]

    def variance(self, name: str) -> Decimal:
        return self.many * self.scales[self.names[name]] ** 2


def keep_cells(tx: Transaction, answer: StoredAnswer, quote: Quote, noisy: Mapping[str, list[int]]) -> None:
    """Keep what was drawn, where it can be added up: a question about one period."""
    adding = {name for name, measure in quote.bound.plan.measures if isinstance(measure, _ADDS_UP)}
    if len(quote.periods) != 1 or not adding:
        return
    draws = [draw for draw in quote.draws if draw.vector.measure in adding]
    columns = {column: noisy[column] for draw in draws for column in draw.vector.columns}
    tx.connection.execute(
        insert(cells).values(
            answer=answer.id,
            dataset=answer.dataset,
            period=quote.periods[0],
            plan=canonical_bytes(quote.bound.document),
            scales=canonical_bytes({draw.vector.measure: draw.mechanism.scale for draw in draws}),
            noisy=zlib.compress(canonical_bytes(columns)),
        )
    )


def roll_up(connection: Connection, quote: Quote, policies: frozenset[str]) -> RollUp | None:
    """The least noisy sums that answer `quote`, whatever it asked for; None where some month has no finer answer.

    Raises AuditBroken where what was kept of one is damaged.
    """
    measures = dict(quote.bound.plan.measures)
    if not all(isinstance(measure, _ADDS_UP) for measure in measures.values()):
        return None
    parts = by_period.parts(quote.bound)
    if not parts:
        return None
    found: dict[str, list[_Source]] = {part.periods[0]: [] for part in parts}
    targets = {part.periods[0]: part for part in parts}
    wanted = frozenset(canonical_bytes(key) for key in quote.bound.document["by"])
    for row in _candidates(connection, quote.bound.plan.dataset, list(found), policies):
        if not wanted <= _keys_of(row.plan, row.plan_id):
            # Most are no finer.
            continue
        try:
            finer = bind(decode_plan(json.loads(row.plan)), quote.bound.schema)
        except CivicError:
            # It names a month that the policy in force no longer offers.
            continue
        scales = _scales(row.scales)
        about: dict[str, Json] = {
            "period": row.period,
            "answer_id": row.answer,
            "rho": row.nano,
            "data_version": row.data_version,
            "policy_hash": row.policy_hash,
        }
        source = _refines(row.answer, about, finer, targets[row.period], scales)
        if source is not None:
            found[row.period].append(source)
    if not all(found.values()):
        return None
    chosen = [min(each, key=lambda source: sum(map(source.variance, measures))) for each in found.values()]
    return _added(connection, quote, chosen)


def _candidates(
    connection: Connection, dataset: str, periods: list[str], policies: frozenset[str]
) -> Sequence[Row[Any]]:
    """What is looked through: of each period the answers with the most ρ, the newest of equals first."""
    ranked = (
        select(
            cells.c.answer,
            cells.c.period,
            cells.c.plan,
            cells.c.scales,
            answers.c.plan_id,
            answers.c.policy_hash,
            answers.c.nano,
            answers.c.data_version,
            answers.c.edition,
            func.row_number()
            .over(
                partition_by=cells.c.period,
                order_by=(
                    answers.c.nano.desc(),
                    answers.c.data_version.desc(),
                    answers.c.edition.desc(),
                    cells.c.answer,
                ),
            )
            .label("place"),
        )
        .join(answers, answers.c.id == cells.c.answer)
        .where(cells.c.dataset == dataset, cells.c.period.in_(periods), answers.c.policy_hash.in_(policies))
        .subquery()
    )
    return connection.execute(
        select(ranked)
        .where(ranked.c.place <= MOST_SEARCHED)
        # The newest of equals: a fresh answer is about newer data.
        .order_by(ranked.c.data_version.desc(), ranked.c.edition.desc(), ranked.c.answer)
    ).all()


@lru_cache(maxsize=4096)
def _keys_of(plan: bytes, plan_id: str) -> frozenset[bytes]:
    """The keys of a stored plan: what its bytes say never changes, and reading them is most of the search.

    Raises AuditBroken where they are not the bytes of the plan that was answered.
    """
    if content_id("pln", plan) != plan_id:
        raise AuditBroken()
    return frozenset(canonical_bytes(key) for key in json.loads(plan)["by"])


def _scales(stored: bytes) -> dict[str, Decimal]:
    try:
        return {name: Decimal(scale) for name, scale in json.loads(stored).items()}
    except (ValueError, ArithmeticError, AttributeError):
        raise AuditBroken() from None


def _unpacked(packed: bytes) -> dict[str, Any]:
    """Raises AuditBroken for damaged bytes: a stream of zlib ends with its own checksum."""
    try:
        return dict(json.loads(zlib.decompress(packed)))
    except (zlib.error, ValueError):
        raise AuditBroken() from None


def _refines(
    answer: str, about: dict[str, Json], finer: BoundPlan, target: BoundPlan, scales: dict[str, Decimal]
) -> _Source | None:
    """How `target`'s cells are sums of whole cells of `finer`; None where they are not."""
    keys = finer.plan.by
    if finer.periods != target.periods or not set(target.plan.by) <= set(keys):
        return None
    names = {}
    for name, measure in target.plan.measures:
        same = [other for other, its in finer.plan.measures if _unweighted(its) == _unweighted(measure)]
        if not same or scales[same[0]] < _LEAST_SCALE:
            return None
        names[name] = same[0]
    theirs, ours = set(_conjuncts(finer.plan.where)), set(_conjuncts(target.plan.where))
    listed = {part.key: set(part.values) for part in ours if isinstance(part, In)}
    for part in ours - theirs:
        # What only we ask for must choose whole cells.
        if not isinstance(part, In) or part.key not in keys:
            return None
    for part in theirs - ours:
        # What only they ask for must hold for all that we ask for.
        if (
            not isinstance(part, In)
            or part.key not in keys
            or not listed.get(part.key, {None}) <= set(part.values)
        ):
            return None
    taken = [
        [place for place, value in enumerate(domain) if key not in listed or value in listed[key]]
        for key, domain in zip(keys, finer.domains, strict=True)
    ]
    many = math.prod(
        len(places) for key, places in zip(keys, taken, strict=True) if key not in target.plan.by
    )
    return _Source(answer, about, finer, taken, many, names, scales)


def _unweighted(measure: Measure) -> Measure:
    return replace(measure, weight=1)


def _conjuncts(where: Filter | None) -> Iterable[Filter]:
    return () if where is None else where.parts if isinstance(where, And) else (where,)


def _added(connection: Connection, quote: Quote, chosen: list[_Source]) -> RollUp:
    noisy = {
        column: np.zeros(quote.bound.cells, dtype=object) for d in quote.draws for column in d.vector.columns
    }
    for source in chosen:
        packed = connection.scalar(select(cells.c.noisy).where(cells.c.answer == source.answer))
        drawn = _unpacked(packed or b"")
        keys, shape = source.plan.plan.by, [len(domain) for domain in source.plan.domains]
        passes = np.zeros(shape, dtype=object)
        passes[np.ix_(*source.taken)] = 1
        lost = tuple(axis for axis, key in enumerate(keys) if key not in quote.bound.plan.by)
        there = {vector.measure: vector.columns for vector in source.plan.vectors}
        for draw in quote.draws:
            theirs = there[source.names[draw.vector.measure]]
            for column, its in zip(draw.vector.columns, theirs, strict=True):
                grid = np.array(drawn[its], dtype=object).reshape(shape) * passes
                noisy[column] += np.asarray(grid.sum(axis=lost) if lost else grid, dtype=object).reshape(-1)
    draws = []
    for draw in quote.draws:
        with localcontext() as context:
            context.prec = 40
            total = sum((source.variance(draw.vector.measure) for source in chosen), Decimal(0))
            scale = total.sqrt().quantize(Decimal("1e-9"), ROUND_CEILING)
        draws.append(Draw(draw.vector, replace(draw.mechanism, rho=Rho(0), scale=str(scale))))
    return RollUp(
        replace(quote, rho=Rho(0), draws=tuple(draws)),
        {column: [int(value) for value in values] for column, values in noisy.items()},
        tuple(source.about | {"cells": source.many} for source in chosen),
    )
