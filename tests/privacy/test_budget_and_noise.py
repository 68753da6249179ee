"""Budgets in integers, margins that cover, prices that OpenDP confirms, noise of the right shape."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from data_access.catalog.entry import parse_entry
from data_access.errors import SpendInvalid, SpendOverMaximum
from data_access.pricing import SpendMargin, SpendRho, decode_spend, quote, sensitivity_squared
from data_access.privacy import mechanisms
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import (
    DiscreteGaussianNoise,
    Gaussian,
    check_price,
    gaussian,
    margin95,
    price,
)
from data_access.query import Count, KeyColumn, Persons, Schema, bind, decode_plan
from data_access.query.reference import interpret
from tests.factories import CATALOG, make_policy


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("0.0025", 2_500_000),
        ("1e-9", 1),
        ("1e-10", 1),
        ("1e-999999", 1),
        ("0.0000000011", 2),
        ("0.01000000000000000000000000000000000001", 10_000_001),
        ("1000", 10**12),
    ],
)
def test_an_amount_is_rounded_up_to_whole_nano_rho(text: str, nano: int) -> None:
    assert Rho.parse(text).nano == nano


@pytest.mark.parametrize(
    "text", ["", "-0.1", "NaN", "sNaN", "Infinity", "1e9", "0,1", "ρ", "0x1", "1" * 41, "1000.000000001"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Rho.parse(text)


@given(nano=st.integers(0, 10**12))
def test_an_amount_reads_back_as_it_was_written(nano: int) -> None:
    assert Rho.parse(str(Rho(nano))) == Rho(nano)


@given(nano=st.integers(0, 2**61), weights=st.lists(st.integers(1, 1000), min_size=1, max_size=8))
def test_parts_never_add_up_to_more_and_lose_less_than_one_each(nano: int, weights: list[int]) -> None:
    parts = Rho(nano).split(weights)
    assert 0 <= nano - sum(part.nano for part in parts) < len(weights)


def _coverage(sigma: float, width: int) -> float:
    """P(|X| ≤ width) of the discrete Gaussian, summed from its definition with exact fractions of floats."""
    reach = math.ceil(40 * sigma) + 40
    weights = [math.exp(-0.5 * (x / sigma) ** 2) for x in range(reach + 1)]
    whole = weights[0] + 2 * math.fsum(weights[1:])
    return (weights[0] + 2 * math.fsum(weights[1 : width + 1])) / whole


@settings(max_examples=150, deadline=None)
@given(sigma=st.floats(0.05, 400))
@example(sigma=49.999999)
@example(sigma=50.000001)
@example(sigma=141.421356238)
def test_a_margin_covers_95_per_cent_and_no_smaller_one_does(sigma: float) -> None:
    scale = Decimal(sigma)
    width = margin95(scale)
    assert _coverage(sigma, width) >= 0.95
    # Beyond σ = 50 the normal approximation may be one too wide where the exact coverage is within 1e-5.
    assert width == 0 or _coverage(sigma, width - 1) < 0.95 + (1e-5 if sigma > 50 else 0)


@settings(max_examples=80, deadline=None)
@given(square=st.integers(1, 10**8), nano=st.integers(1, 10**12))
@example(square=400, nano=10_000_000)
@example(square=1, nano=1)
@example(square=10**8, nano=1)
@example(square=10**8, nano=10**12)
@example(square=2, nano=333_333_333)
def test_a_mechanism_costs_no_more_than_its_price_by_opendps_own_map(square: int, nano: int) -> None:
    mechanism = gaussian(square, Rho(nano))
    assert price(square, mechanism.scale) <= Decimal(nano) / 10**9
    # And it wastes nothing: the textbook σ is less than a billionth and a rounding step away.
    assert float(mechanism.scale) <= math.sqrt(square / (2 * nano / 1e9)) * (1 + 1e-9) + 2e-9


def test_noise_that_would_cost_more_than_it_was_sold_for_is_not_drawn() -> None:
    sold = gaussian(4, Rho(10_000_000))
    cheap = Gaussian(sold.sensitivity_squared, sold.rho, str(Decimal(sold.scale) * Decimal("0.99")))
    check_price(sold)
    with pytest.raises(AssertionError):
        DiscreteGaussianNoise().add(np.zeros(3, dtype=np.int64), cheap)


@pytest.mark.parametrize("scale", ["0.7", "2.5"])
def test_the_noise_is_a_discrete_gaussian(scale: str) -> None:
    """χ² against the probabilities of the definition; a right sampler fails once in a million runs."""
    sigma, draws = float(scale), 40_000
    nano = int(1e9 / (2 * sigma * sigma)) + 1
    mechanism = gaussian(1, Rho(nano))
    assert abs(float(mechanism.scale) - sigma) < 1e-6
    found = DiscreteGaussianNoise().add(np.zeros(draws, dtype=np.int64), mechanism)
    edge = math.ceil(3 * sigma)
    weight = {x: math.exp(-0.5 * (x / sigma) ** 2) for x in range(-60, 61)}
    whole = sum(weight.values())
    bins = [(-(10**9), -edge), *((x, x) for x in range(-edge + 1, edge)), (edge, 10**9)]
    statistic = 0.0
    for low, high in bins:
        expected = draws * sum(w for x, w in weight.items() if low <= x <= high) / whole
        seen = sum(low <= x <= high for x in found)
        statistic += (seen - expected) ** 2 / expected
    assert statistic < chi2.isf(1e-6, len(bins) - 1)


def test_noise_is_independent_between_cells_and_between_calls() -> None:
    mechanism = gaussian(100, Rho(1000))
    noise = DiscreteGaussianNoise()
    first, second = (
        np.array(noise.add(np.zeros(4000, dtype=np.int64), mechanism), dtype=float) for _ in range(2)
    )
    for one, other in ((first, second), (first[:-1], first[1:])):
        # |r| of independent draws exceeds 5/√n about once in two million.
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / math.sqrt(len(one))


SCHEMA = Schema("rides", {"gu": KeyColumn("gu", ("a", "b"), False)}, "at", ("2026-01",), True)
_PLANS = {
    measure: [
        bind(decode_plan({"dataset": "rides", "by": by, "measures": {"n": {"fn": measure}}}), SCHEMA)
        for by in ([], ["gu"])
    ]
    for measure in ("count", "persons")
}


@settings(max_examples=80, deadline=None)
@given(
    others=st.lists(st.tuples(st.integers(2, 3), st.sampled_from("ab")), max_size=5), bound=st.integers(1, 3)
)
def test_removing_one_person_moves_an_answer_by_the_sensitivity_and_some_person_does(
    others: list[tuple[int, str]], bound: int
) -> None:
    """The largest squared L2 distance over every set of at most `bound` rows of one person."""
    rest = [{"period": "2026-01", "unit": unit, "gu": gu} for unit, gu in others]
    for name, plans in _PLANS.items():
        for plan in plans:
            worst = 0
            for places in itertools.chain.from_iterable(
                itertools.combinations_with_replacement("ab", size) for size in range(bound + 1)
            ):
                mine = [{"period": "2026-01", "unit": 1, "gu": gu} for gu in places]
                with_me, without = interpret(plan, rest + mine), interpret(plan, rest)
                zero: dict[str, Any] = {"n": 0}
                worst = max(
                    worst,
                    sum(
                        (with_me.get(cell, zero)["n"] - without.get(cell, zero)["n"]) ** 2
                        for cell in with_me | without
                    ),
                )
            measure = Count() if name == "count" else Persons()
            assert worst == sensitivity_squared(measure, bound, plan.cells)


RIDES = parse_entry(CATALOG["rides"], "rides.yaml")
POLICY = make_policy(RIDES, max_spend="0.1")


def _bound(**measures: dict[str, Any]) -> Any:
    return bind(decode_plan({"dataset": "rides", "by": ["gu"], "measures": measures}), SCHEMA)


@settings(max_examples=60, deadline=None)
@given(margin=st.integers(1, 2000), weight=st.integers(1, 50))
def test_a_wanted_margin_is_met_and_not_by_far(margin: int, weight: int) -> None:
    policy = make_policy(RIDES, max_spend="900", budget="1000", default_spend="0.01")
    bound = _bound(a={"fn": "count"}, b={"fn": "persons", "weight": weight})
    (draw,) = quote(bound, policy, SpendMargin({"a": Decimal(margin)})).of("a")
    assert draw.mechanism.margin <= margin
    assert draw.mechanism.margin >= margin - 1 - margin // 100 or margin < 3


def test_shares_follow_the_weights_and_stay_within_the_whole() -> None:
    bound = _bound(a={"fn": "count", "weight": 3}, b={"fn": "count"})
    spend = quote(bound, POLICY, SpendRho(Rho(10_000_001)))
    assert [draw.mechanism.rho.nano for draw in spend.draws] == [7_500_000, 2_500_000]
    assert spend.rho.nano == 10_000_001


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"rho": 0.01},
        {"rho": "-1"},
        {"rho": "0"},
        {"rho": "x"},
        {"rho": "0.01", "precision": "fine"},
        {"precision": "exact"},
        {"margin": {}},
        {"margin": {"n": 0}},
        {"margin": {"n": True}},
        {"margin": {"n": 1.5}},
        {"margin": {"other": 5}},
        {"margin": 5},
        {"rho": "0.000000001"},
        [],
        "fine",
    ],
    ids=str,
)
def test_a_spend_that_means_nothing_is_refused(document: Any) -> None:
    bound = _bound(n={"fn": "count"}, m={"fn": "count"})
    with pytest.raises(SpendInvalid):
        quote(bound, POLICY, decode_spend(document, POLICY))


def test_no_question_spends_more_than_the_maximum() -> None:
    bound = _bound(n={"fn": "count"})
    quote(bound, POLICY, decode_spend({"rho": "0.1"}, POLICY))
    for document in ({"rho": "0.100000001"}, {"margin": {"n": 1}}):
        with pytest.raises(SpendOverMaximum):
            quote(bound, POLICY, decode_spend(document, POLICY))


def test_precisions_have_korean_names_and_nothing_is_the_default() -> None:
    assert decode_spend({"precision": "자세히"}, POLICY) == decode_spend({"precision": "fine"}, POLICY)
    assert decode_spend(None, POLICY) == SpendRho(Rho.parse("0.01"))


@pytest.mark.parametrize("length", [0, 1, 50, 51, 100, 101, 1_203])
def test_a_long_vector_is_drawn_for_in_pieces_and_stays_in_order(length: int) -> None:
    noise = DiscreteGaussianNoise()
    # So little noise that none is to be seen: one draw in e^5000 is not zero.
    still = Gaussian(1, Rho(10**13), "0.01")
    assert noise.add(np.arange(length), still) == list(range(length))
    loud = noise.add(np.zeros(length, dtype=np.int64), gaussian(400, Rho(1_000_000)))
    # No piece repeats another's draws.
    assert length < 10 or len(set(loud)) > length / 2


def test_a_fault_in_one_piece_leaves_no_number_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(values: list[int]) -> list[int]:
        if 0 not in values:
            raise RuntimeError("no entropy")
        return values

    noise = DiscreteGaussianNoise()
    noise._cores = 4
    monkeypatch.setattr(mechanisms, "check_price", lambda _mechanism: None)
    monkeypatch.setattr(mechanisms, "_measurement", lambda _scale: draw)
    with pytest.raises(RuntimeError, match="entropy"):
        noise.add(np.arange(1_000), Gaussian(1, Rho(1), "1"))
