"""Plan × policy → mechanisms and cost. Left of `db`, so it cannot see data: a price is public arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, assert_never

from data_access.errors import PlanInvalid, SpendInvalid, SpendOverMaximum
from data_access.policy import Policy
from data_access.privacy.budget import Rho, total
from data_access.privacy.mechanisms import Gaussian, gaussian, rho_for_scale, scale_for_margin
from data_access.query import BoundPlan, Count, Measure, Persons

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


@dataclass(frozen=True)
class SpendRho:
    rho: Rho


@dataclass(frozen=True)
class SpendMargin:
    """A wanted 95 % half-width for some measures, in their own units."""

    margins: Mapping[str, int]


@dataclass(frozen=True)
class SpendPrecision:
    name: Precision


Spend = SpendRho | SpendMargin | SpendPrecision


@dataclass(frozen=True)
class Quote:
    """What a question costs: `rho` for each period of `periods`, and the mechanism of each measure."""

    bound: BoundPlan
    rho: Rho
    mechanisms: tuple[tuple[str, Gaussian], ...]

    @property
    def periods(self) -> tuple[str, ...]:
        return self.bound.periods


def decode_spend(document: Any, policy: Policy) -> Spend:
    """`{"rho": "0.01"}`, `{"margin": {"rides": 50}}`, `{"precision": "보통"}` or None. Raises SpendInvalid."""
    if document is None:
        return SpendRho(Rho.parse(policy.default_spend))
    if not isinstance(document, dict) or len(document) != 1:
        raise SpendInvalid()
    match document:
        case {"rho": str(text)}:
            try:
                return SpendRho(Rho.parse(text))
            except ValueError:
                raise SpendInvalid() from None
        case {"margin": dict(margins)} if margins:
            if any(type(m) is not int or not 1 <= m <= 10**9 for m in margins.values()):
                raise SpendInvalid()
            return SpendMargin(dict(margins))
        case {"precision": str(name)} if name in PRECISIONS and PRECISIONS[name] in policy.precisions:
            return SpendPrecision(PRECISIONS[name])
        case _:
            raise SpendInvalid()


def quote(bound: BoundPlan, policy: Policy, spend: Spend) -> Quote:
    """Raises SpendInvalid, SpendOverMaximum, or PlanInvalid for a filter that no month can pass."""
    if not bound.periods:
        raise PlanInvalid(where="where: no month passes it")
    rho = _total(bound, policy, spend)
    maximum = Rho.parse(policy.max_spend)
    if rho.nano == 0:
        raise SpendInvalid()
    if rho > maximum:
        raise SpendOverMaximum(asked=str(rho), maximum=str(maximum))
    shares = rho.split([measure.weight for _, measure in bound.plan.measures])
    if any(share.nano == 0 for share in shares):
        raise SpendInvalid()
    mechanisms = tuple(
        (name, gaussian(sensitivity_squared(measure, policy.row_bound, bound.cells), share))
        for (name, measure), share in zip(bound.plan.measures, shares, strict=True)
    )
    # Shares are rounded down; what is charged is what was asked for, never less than what is spent.
    assert_covered(rho, mechanisms)
    return Quote(bound, rho, mechanisms)


def assert_covered(rho: Rho, mechanisms: tuple[tuple[str, Gaussian], ...]) -> None:
    if total([mechanism.rho for _, mechanism in mechanisms]) > rho:
        raise AssertionError("the parts cost more than the whole")


def sensitivity_squared(measure: Measure, row_bound: int, cells: int) -> int:
    """Δ² in L2 of one protected unit.

    `count`: a unit has at most B rows, and all may fall into one cell: B². `persons`: it adds 1 to each cell
    that it touches, at most min(B, K) of them.
    """
    match measure:
        case Count():
            return row_bound * row_bound
        case Persons():
            return min(row_bound, cells)
        case _:
            assert_never(measure)


def _total(bound: BoundPlan, policy: Policy, spend: Spend) -> Rho:
    match spend:
        case SpendRho(rho):
            return rho
        case SpendPrecision(precision):
            return Rho.parse(policy.precisions[precision])
        case SpendMargin(margins):
            measures = dict(bound.plan.measures)
            if not set(margins) <= set(measures):
                raise SpendInvalid()
            weights = sum(measure.weight for measure in measures.values())
            needed = 0
            for name, margin in margins.items():
                square = sensitivity_squared(measures[name], policy.row_bound, bound.cells)
                own = rho_for_scale(square, scale_for_margin(margin)).nano
                # Ceiling: the share that `split` rounds down must still reach the margin.
                needed = max(needed, -(-own * weights // measures[name].weight))
            return Rho(min(needed, 2**62 - 1))
        case _:
            assert_never(spend)


def share_of(cost: Rho, left: int) -> Decimal:
    """`cost` as a part of `left` nano-ρ; 1 or more means that it cannot be paid."""
    return Decimal(cost.nano) / left if left > 0 else Decimal(1)
