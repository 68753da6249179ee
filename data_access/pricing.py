"""Plan × policy → mechanisms and cost. Left of `db`, so it cannot see data: a price is public arithmetic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal, InvalidOperation, localcontext
from typing import Any, Literal, assert_never

from data_access.errors import MarginRefused, PlanInvalid, SpendInvalid, SpendOverMaximum
from data_access.policy import Policy
from data_access.privacy.budget import NANO, Rho, total
from data_access.privacy.mechanisms import Z95, Gaussian, gaussian, rho_for_scale, scale_for_margin
from data_access.query import (
    BoundPlan,
    Count,
    Histogram,
    Mean,
    Measure,
    Persons,
    Quantiles,
    Schema,
    Share,
    Sum,
    Vector,
)

Precision = Literal["rough", "normal", "fine"]
#: Korean names of the precisions, as people ask for them.
PRECISIONS: dict[str, Precision] = {
    "rough": "rough",
    "normal": "normal",
    "fine": "fine",
    "대략": "rough",
    "보통": "normal",
    "자세히": "fine",
}


#: An answer's id: anything else never reaches the database.
_ANSWER = re.compile(r"ans-[a-z2-7]{26}")


@dataclass(frozen=True)
class SpendRho:
    rho: Rho


@dataclass(frozen=True)
class Size:
    """How large a cell is taken to be, and who says so: `asker`, `catalog` or `answer:ans-…`. None: they do not say.

    `figures` are the usual values of measures (as `measure_meaning` writes them) in their own units, where an answer
    shows them.
    """

    source: str
    rows: int | None
    persons: int | None
    figures: Mapping[str, Decimal] = field(default_factory=dict)

    def of(self, measure: Measure) -> Decimal | None:
        """What a per cent of this measure is a part of."""
        match measure:
            case Count() | Histogram():
                return None if self.rows is None else Decimal(self.rows)
            case Persons():
                return None if self.persons is None else Decimal(self.persons)
            case Sum() | Mean() | Share():
                # A number of rows is no number of minutes: only an answer that shows the sum knows its size.
                return self.figures.get(measure_meaning(measure))
            case Quantiles():
                return None
            case _:
                assert_never(measure)


def measure_meaning(measure: Measure) -> str:
    """The same for measures that ask for the same, whatever their weight."""
    return repr(replace(measure, weight=1))


@dataclass(frozen=True)
class SpendMargin:
    """A wanted 95 % half-width for some measures, in their own units: of the column for a mean, of 1 for a share,
    of 100 in rank for quantiles. Those three hold at a size.
    """

    margins: Mapping[str, Decimal]
    #: Those of `margins` that are per cent of what the size says of the measure.
    relative: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SpendPrecision:
    name: Precision


Spend = SpendRho | SpendMargin | SpendPrecision


@dataclass(frozen=True)
class Draw:
    """One vector and the mechanism that it leaves through."""

    vector: Vector
    mechanism: Gaussian


@dataclass(frozen=True)
class Quote:
    """What a question costs: `rho` for each period of `periods`, and the mechanism of each vector."""

    bound: BoundPlan
    rho: Rho
    draws: tuple[Draw, ...]

    @property
    def periods(self) -> tuple[str, ...]:
        return self.bound.periods

    def of(self, measure: str) -> tuple[Draw, ...]:
        return tuple(draw for draw in self.draws if draw.vector.measure == measure)


def decode_spend(document: Any, policy: Policy) -> Spend:
    """`{"rho": "0.01"}`, `{"margin": {"rides": 50}}`, `{"precision": "보통"}` or None; any of them with `"cell"`
    (`decode_size`). Raises SpendInvalid.
    """
    if document is None:
        return SpendRho(Rho.parse(policy.default_spend))
    if not isinstance(document, dict):
        raise SpendInvalid()
    named = decode_size(document) is not None
    document = {word: value for word, value in document.items() if word != "cell"}
    if not document and named:
        return SpendRho(Rho.parse(policy.default_spend))
    if len(document) != 1:
        raise SpendInvalid()
    match document:
        case {"rho": str(text)}:
            try:
                return SpendRho(Rho.parse(text))
            except ValueError:
                raise SpendInvalid() from None
        case {"margin": dict(margins)} if margins:
            return _decode_margins(margins)
        case {"precision": str(name)} if name in PRECISIONS and PRECISIONS[name] in policy.precisions:
            return SpendPrecision(PRECISIONS[name])
        case _:
            raise SpendInvalid()


def decode_size(document: Any) -> int | str | None:
    """The `cell` of a spend: a number of rows or persons, or the id of an answer that shows them; None where the
    spend names none. Raises SpendInvalid.
    """
    if not isinstance(document, dict) or "cell" not in document:
        return None
    match document["cell"]:
        case str(answer) if _ANSWER.fullmatch(answer):
            return answer
        case int(cell) if type(cell) is int and 1 <= cell <= 10**12:
            return cell
        case _:
            raise SpendInvalid()


def _decode_margins(margins: dict[str, Any]) -> SpendMargin:
    """Whole numbers; decimal fractions as text, since a mean is wanted to half a minute; `"5%"` of a size."""
    found: dict[str, Decimal] = {}
    relative: set[str] = set()
    for name, wanted in margins.items():
        if type(wanted) is not int and (not isinstance(wanted, str) or len(wanted) > 20):
            raise SpendInvalid()
        try:
            margin = Decimal(str(wanted).removesuffix("%"))
        except InvalidOperation:
            raise SpendInvalid() from None
        if not margin.is_finite():
            raise SpendInvalid()
        if isinstance(wanted, str) and wanted.endswith("%"):
            relative.add(name)
        found[name] = _checked(margin)
    return SpendMargin(found, frozenset(relative))


def _checked(margin: Decimal) -> Decimal:
    if not Decimal("1e-6") <= margin <= 10**18:
        raise SpendInvalid()
    return margin


def quote(bound: BoundPlan, policy: Policy, spend: Spend, size: Size | None = None) -> Quote:
    """`size` is what relative margins, and those of means, shares and quantiles, are for.

    Raises SpendInvalid, SpendOverMaximum, MarginRefused, or PlanInvalid for a filter that no month can pass."""
    if not bound.periods:
        raise PlanInvalid(where="where: no month passes it")
    rho = _total(bound, policy, spend, size)
    maximum = Rho.parse(policy.max_spend)
    if rho.nano == 0:
        raise SpendInvalid()
    if rho > maximum:
        raise SpendOverMaximum(asked=str(rho), maximum=str(maximum))
    draws: list[Draw] = []
    measures = dict(bound.plan.measures)
    for name, share in zip(measures, rho.split([m.weight for m in measures.values()]), strict=True):
        vectors = [vector for vector in bound.vectors if vector.measure == name]
        # A mean's two halves alike: at the end of the clip, where its error is largest, both weigh the same.
        for vector, part in zip(vectors, share.split([1] * len(vectors)), strict=True):
            if part.nano == 0:
                raise SpendInvalid()
            square = sensitivity_squared(
                measures[name], policy.row_bound, bound.cells, bound.schema, vector.part
            )
            draws.append(Draw(vector, gaussian(square, part)))
    # Shares are rounded down; what is charged is what was asked for, never less than what is spent.
    if total([draw.mechanism.rho for draw in draws]) > rho:
        raise AssertionError("the parts cost more than the whole")
    return Quote(bound, rho, tuple(draws))


def sensitivity_squared(
    measure: Measure, row_bound: int, cells: int, schema: Schema | None = None, part: str = "cells"
) -> int:
    """Δ² in L2 of one protected unit, for the vector `part` of the measure (query/measures.py).

    A unit has at most B rows. All may fall into one cell and one bin, which is the worst for what is counted or
    added: B² for `count`, for a histogram, for the yes and no of a share; (B·max(|L|, |U|))² for `sum`. A mean's
    centred sum is twice the distance from the clip's middle, at most U − L a row: (B·(U − L))² in half units.
    `persons` adds 1 to each cell that the unit touches, at most min(B, K) of them.
    """
    match measure:
        case Count() | Share() | Histogram() | Quantiles():
            return row_bound * row_bound
        case Persons():
            return min(row_bound, cells)
        case Sum(column) if schema is not None:
            clip = schema.measures[column]
            return (row_bound * max(abs(clip.low), abs(clip.high))) ** 2
        case Mean(column) if schema is not None:
            clip = schema.measures[column]
            return (row_bound * (clip.high - clip.low if part == "centred" else 1)) ** 2
        case _:
            raise AssertionError("every measure is priced")


def margin_at(measure: Measure, draws: tuple[Draw, ...], cell: int) -> Decimal | None:
    """The 95 % half-width of a mean (in the column's unit), a share (of 1) or a quantile (per cent of rank) in a cell
    of `cell` rows; for a share `cell` is the size of its total. None for what needs no size.

    Upper bounds to first order (delta method): a mean at the end of its clip, where the count's noise weighs most;
    a share of equal parts, or at 0 or 1; the median of rows that lie in the outermost bin.
    """
    with localcontext() as context:
        context.prec = 30
        scales = [Decimal(draw.mechanism.scale) for draw in draws]
        match measure:
            case Mean():
                # Both halves are priced alike, so the clip's half-width times the count's scale is the centred
                # sum's: in half units `scales[1]`, and halved below.
                rows, centred = scales
                wide = ((centred / 2) ** 2 + (_half_clip(draws) * rows) ** 2).sqrt()
                return Z95 * wide / cell
            case Share():
                return Z95 * scales[0] / cell
            case Quantiles():
                bins = len(draws[0].vector.columns)
                return 100 * Z95 * scales[0] * Decimal(bins).sqrt() / 2 / cell
            case Count() | Persons() | Sum() | Histogram():
                return None
            case _:
                assert_never(measure)


def _half_clip(draws: tuple[Draw, ...]) -> Decimal:
    """(U − L)/2, as the two sensitivities of a mean have it."""
    rows, centred = (Decimal(draw.mechanism.sensitivity_squared).sqrt() for draw in draws)
    return centred / rows / 2


def _total(bound: BoundPlan, policy: Policy, spend: Spend, size: Size | None) -> Rho:
    match spend:
        case SpendRho(rho):
            return rho
        case SpendPrecision(precision):
            return Rho.parse(policy.precisions[precision])
        case SpendMargin(margins, relative):
            measures = dict(bound.plan.measures)
            if not set(margins) <= set(measures):
                raise SpendInvalid()
            weights = sum(measure.weight for measure in measures.values())
            needed = 0
            for name, wanted in margins.items():
                margin = _margin_of(measures[name], name, wanted, size) if name in relative else wanted
                own = _rho_for_margin(name, bound, policy, margin, size.rows if size else None)
                # Ceiling: the share that `split` rounds down must still reach the margin.
                needed = max(needed, -(-own * weights // measures[name].weight))
            return Rho(min(needed, 2**62 - 1))
        case _:
            assert_never(spend)


def _margin_of(measure: Measure, name: str, per_cent: Decimal, size: Size | None) -> Decimal:
    """Raises MarginRefused where nobody says what it is a part of."""
    whole = size.of(measure) if size else None
    # A value of about nothing has no per cent.
    if not whole:
        raise MarginRefused(measure=name)
    return _checked(per_cent * abs(whole) / 100)


def _rho_for_margin(name: str, bound: BoundPlan, policy: Policy, margin: Decimal, cell: int | None) -> int:
    """Nano-ρ of the measure `name` alone. Raises MarginRefused where a size of cell would be needed."""
    measure = dict(bound.plan.measures)[name]
    vectors = [vector for vector in bound.vectors if vector.measure == name]
    squares = [
        sensitivity_squared(measure, policy.row_bound, bound.cells, bound.schema, vector.part)
        for vector in vectors
    ]
    if isinstance(measure, Count | Persons | Sum | Histogram):
        return rho_for_scale(squares[0], scale_for_margin(margin)).nano
    if cell is None:
        raise MarginRefused(measure=name)
    # Every half-width goes with 1/√ρ, so one price tells all.
    one = Rho(NANO)
    trial = tuple(
        Draw(vector, gaussian(square, one)) for vector, square in zip(vectors, squares, strict=True)
    )
    reached = margin_at(measure, trial, cell)
    assert reached is not None
    with localcontext() as context:
        context.prec = 40
        each = (reached / margin) ** 2 * NANO
        # One more: `split` rounds each half down.
        return (int(each.to_integral_value(ROUND_CEILING)) + 1) * len(vectors)


def share_of(cost: Rho, left: int) -> Decimal:
    """`cost` as a part of `left` nano-ρ; 1 or more means that it cannot be paid."""
    return Decimal(cost.nano) / left if left > 0 else Decimal(1)
