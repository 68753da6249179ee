"""Sums, means, shares, histograms, quantiles: what one person can move, what it costs, what the intervals hold."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from data_access.answers.estimates import estimates, quantile, ratio
from data_access.catalog.entry import parse_entry
from data_access.errors import MarginRefused, SpendInvalid, SpendOverMaximum
from data_access.pricing import (
    Size,
    SpendMargin,
    SpendRho,
    decode_size,
    decode_spend,
    margin_at,
    measure_meaning,
    quote,
    sensitivity_squared,
)
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import DiscreteGaussianNoise, gaussian
from data_access.query import BoundPlan, KeyColumn, MeasureColumn, Schema, bind, decode_plan
from data_access.query.codec import _MEASURES
from data_access.query.reference import interpret
from tests.factories import CATALOG, make_policy

SCHEMA = Schema(
    "rides",
    {"gu": KeyColumn("gu", ("a", "b"), False)},
    "at",
    ("2026-01",),
    True,
    {"up": MeasureColumn("up", 0, 3, (0, 2, 3)), "down": MeasureColumn("down", -3, 2, (-3, 0, 2))},
)
ANSWER = "ans-" + "a" * 26
IN_A = {"column": "gu", "op": "eq", "value": "a"}
MEASURES: list[dict[str, Any]] = [
    {"fn": "count"},
    {"fn": "persons"},
    *(
        {"fn": fn, "column": column}
        for fn in ("sum", "mean", "histogram", "quantiles")
        for column in ("up", "down")
    ),
    {"fn": "share", "where": {"column": "up", "op": "null"}},
]
POLICY = make_policy(parse_entry(CATALOG["rides"], "rides.yaml"), max_spend="900", budget="1000")


def _bound(by: list[str], **measures: dict[str, Any]) -> BoundPlan:
    return bind(decode_plan({"dataset": "rides", "by": by, "measures": measures}), SCHEMA)


@settings(max_examples=12, deadline=None)
@given(
    others=st.lists(
        st.tuples(st.integers(2, 3), st.sampled_from("ab"), st.sampled_from([None, 0, 2])), max_size=4
    ),
    bound=st.integers(1, 2),
)
def test_removing_one_person_moves_each_vector_by_its_sensitivity_and_some_person_does(
    others: list[tuple[int, str, int | None]], bound: int
) -> None:
    """The largest squared L2 distance over every set of at most `bound` rows of one person."""

    def row(unit: int, gu: str, up: int | None, down: int | None) -> dict[str, Any]:
        return {"period": "2026-01", "unit": unit, "gu": gu, "up": up, "down": down}

    rest = [row(unit, gu, value, value) for unit, gu, value in others]
    # The ends of the clips are where the extremes are; 1 and -1 lie between, None is a missing value.
    every = [row(1, gu, up, down) for gu in "ab" for up in (None, 0, 1, 3) for down in (None, -3, -1, 2)]
    mine = [
        list(rows)
        for size in range(bound + 1)
        for rows in itertools.combinations_with_replacement(every, size)
    ]
    assert {measure["fn"] for measure in MEASURES} == set(_MEASURES), "every measure of the registry"
    asked = [([], measure) for measure in MEASURES] + [(["gu"], measure) for measure in MEASURES]
    for by, measure in [*asked, (["gu"], {"fn": "share", "within": []})]:
        plan = _bound(by, n=measure)
        without = interpret(plan, rest)
        worst = dict.fromkeys((vector.part for vector in plan.vectors if vector.measure == "n"), 0)
        for rows in mine:
            with_me = interpret(plan, rest + rows)
            for vector in plan.vectors:
                if vector.measure == "n":
                    moved = sum(
                        (with_me.get(cell, {}).get(c, 0) - without.get(cell, {}).get(c, 0)) ** 2
                        for cell in with_me | without
                        for c in vector.columns
                    )
                    worst[vector.part] = max(worst[vector.part], moved)
        kind = dict(plan.plan.measures)["n"]
        assert worst == {
            part: sensitivity_squared(kind, bound, plan.cells, SCHEMA, part) for part in worst
        }, (by, measure)


def test_a_question_without_count_or_persons_pays_for_a_count_that_it_shows() -> None:
    asked = _bound([], n={"fn": "sum", "column": "up"})
    assert asked.document["measures"] == {"count": {"fn": "count"}, "n": {"fn": "sum", "column": "up"}}
    assert asked.id == _bound([], count={"fn": "count"}, n={"fn": "sum", "column": "up"}).id
    named = _bound([], count={"fn": "sum", "column": "up"})
    assert named.document["measures"]["count_2"] == {"fn": "count"}
    for kind in ("count", "persons"):
        assert len(_bound([], n={"fn": "sum", "column": "up"}, k={"fn": kind}).plan.measures) == 2


def test_a_means_parts_share_its_price_and_all_parts_stay_within_the_whole() -> None:
    bound = _bound(["gu"], m={"fn": "mean", "column": "up", "weight": 2}, c={"fn": "count"})
    found = quote(bound, POLICY, SpendRho(Rho(9_000_003)))
    assert [draw.mechanism.rho.nano for draw in found.of("m")] == [3_000_001, 3_000_001]
    assert [draw.mechanism.sensitivity_squared for draw in found.of("m")] == [4, 36]
    assert sum(draw.mechanism.rho.nano for draw in found.draws) <= found.rho.nano


@settings(max_examples=40, deadline=None)
@given(margin=st.integers(1, 2000), kind=st.sampled_from(["sum", "histogram"]))
def test_a_wanted_margin_of_a_sum_or_a_bin_is_met(margin: int, kind: str) -> None:
    bound = _bound(["gu"], n={"fn": kind, "column": "down"}, c={"fn": "count"})
    (draw,) = quote(bound, POLICY, SpendMargin({"n": Decimal(margin)})).of("n")
    assert draw.mechanism.margin <= margin


@settings(max_examples=40, deadline=None)
@given(
    measure=st.sampled_from([m for m in MEASURES if m["fn"] in ("mean", "share", "quantiles")]),
    margin=st.sampled_from(["0.01", "0.5", "2"]),
    cell=st.integers(50, 10**6),
)
def test_a_wanted_margin_of_a_ratio_is_met_at_the_size_that_was_named(
    measure: dict[str, Any], margin: str, cell: int
) -> None:
    bound = _bound(["gu"], n=measure, c={"fn": "count"})
    policy = make_policy(parse_entry(CATALOG["rides"], "r"), max_spend="999", budget="1000")
    spend = decode_spend({"margin": {"n": margin}, "cell": cell}, policy)
    try:
        found = quote(bound, policy, spend, Size("asker", cell, cell))
    except SpendOverMaximum:
        return
    reached = margin_at(dict(bound.plan.measures)["n"], found.of("n"), cell)
    # σ is rounded up to 1e-9, which is more than nothing where it is small.
    assert reached is not None and reached <= Decimal(margin) * Decimal("1.000001")
    # Nothing is wasted but what rounding to whole nano-ρ costs.
    assert reached >= Decimal(margin) * Decimal("0.99") or found.rho.nano < 1000


@pytest.mark.parametrize("measure", ["mean", "quantiles", "share"])
def test_a_margin_without_a_size_is_refused_where_the_error_depends_on_it(measure: str) -> None:
    document = next(m for m in MEASURES if m["fn"] == measure)
    with pytest.raises(MarginRefused):
        quote(_bound([], n=document), POLICY, SpendMargin({"n": Decimal(1)}))


@pytest.mark.parametrize(
    "spend",
    [
        {"margin": {"n": "NaN"}, "cell": 5},
        {"margin": {"n": "-1"}},
        {"margin": {"n": "1e999"}},
        {"margin": {"n": "x" * 50}},
        {"margin": {"n": 1}, "cell": 0},
        {"margin": {"n": 1}, "cell": 1.5},
        {"margin": {"n": 1}, "cell": True},
        {"margin": {"n": "5%%"}, "cell": 100},
        {"margin": {"n": "%"}, "cell": 100},
        {"margin": {"n": "-5%"}, "cell": 100},
        {"cell": "5"},
        {"cell": "ans-' OR 1=1 --"},
        {"cell": None},
        {"rho": "0.01", "cell": 10**13},
        {"rho": "0.01", "size": 5},
    ],
    ids=str,
)
def test_sizes_and_margins_that_mean_nothing_are_refused(spend: dict[str, Any]) -> None:
    with pytest.raises(SpendInvalid):
        decode_spend(spend, POLICY)


def test_five_per_cent_of_a_named_size_is_a_margin_of_rows_and_persons_only() -> None:
    percent, size = {"margin": {"n": "5%"}, "cell": 2000}, Size("asker", 2000, 2000)
    assert decode_size(percent) == 2000 and decode_size({"cell": ANSWER}) == ANSWER
    for measure in ({"fn": "count"}, {"fn": "persons"}, {"fn": "histogram", "column": "up"}):
        bound = _bound([], n=measure)
        asked = quote(bound, POLICY, decode_spend(percent, POLICY), size)
        assert asked == quote(bound, POLICY, decode_spend({"margin": {"n": 100}}, POLICY))
        assert asked.of("n")[0].mechanism.margin <= 100
    for unknown in (None, Size("catalog", None, None), Size("answer:ans-x", 5, 5)):
        for measure in ({"fn": "sum", "column": "up"}, {"fn": "mean", "column": "up"}):
            with pytest.raises(MarginRefused):
                quote(_bound([], n=measure), POLICY, decode_spend(percent, POLICY), unknown)
    with pytest.raises(MarginRefused):
        quote(_bound([], n={"fn": "count"}), POLICY, decode_spend({"margin": {"n": "5%"}}, POLICY))
    with pytest.raises(MarginRefused):
        quote(
            _bound([], n={"fn": "persons"}), POLICY, decode_spend(percent, POLICY), Size("catalog", 9, None)
        )


def test_per_cents_of_sums_and_ratios_are_parts_of_what_an_answer_showed() -> None:
    total = {"fn": "sum", "column": "up"}
    bound = _bound(["gu"], n=total, c={"fn": "count"})
    measure = dict(bound.plan.measures)["n"]
    size = Size("answer:ans-x", 100, None, {measure_meaning(measure): Decimal(-40_000)})
    asked = quote(bound, POLICY, decode_spend({"margin": {"n": "5%"}}, POLICY), size)
    assert asked == quote(bound, POLICY, decode_spend({"margin": {"n": 2000}}, POLICY))
    # The same sum asked with another weight is the same sum; one of another column is not.
    heavy = dict(_bound(["gu"], n=total | {"weight": 3}, c={"fn": "count"}).plan.measures)["n"]
    other = dict(_bound(["gu"], n={"fn": "sum", "column": "down"}).plan.measures)["n"]
    assert size.of(heavy) == -40_000 and size.of(other) is None
    nothing = Size("answer:ans-x", 100, None, {measure_meaning(measure): Decimal(0)})
    with pytest.raises(MarginRefused):
        quote(bound, POLICY, decode_spend({"margin": {"n": "5%"}}, POLICY), nothing)
    mean = _bound(["gu"], n={"fn": "mean", "column": "up"}, c={"fn": "count"})
    meaning = measure_meaning(dict(mean.plan.measures)["n"])
    size = Size("answer:ans-x", 900, None, {meaning: Decimal("2.0")})
    policy = make_policy(parse_entry(CATALOG["rides"], "r"), max_spend="999", budget="1000")
    asked = quote(mean, policy, decode_spend({"margin": {"n": "10%"}}, policy), size)
    assert asked == quote(mean, policy, decode_spend({"margin": {"n": "0.2"}}, policy), size)


def test_a_size_changes_no_price() -> None:
    assert decode_spend({"rho": "0.01", "cell": 500}, POLICY) == decode_spend({"rho": "0.01"}, POLICY)
    assert decode_spend({"cell": 500}, POLICY) == decode_spend(None, POLICY)


def _drawn(scale: float, shape: tuple[int, int], seed: int) -> NDArray[np.float64]:
    """Draws of the real sampler would take minutes at these numbers: the same law from its definition."""
    reach = int(12 * scale) + 3
    support = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (support / scale) ** 2)
    return (
        np.random.default_rng(seed).choice(support, size=shape, p=weights / weights.sum()).astype(np.float64)
    )


def _holds_95(hits: int, draws: int) -> bool:
    """Not below 95 % at α = 1e-6."""
    return bool(binom.cdf(hits, draws, 0.95) > 1e-6)


DRAWS = 20_000
_HALF = 0.5 / 1.959963985


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.8, 2.0, 141.4])
@pytest.mark.parametrize(("part", "whole"), [(0, 40), (13, 40), (20, 40), (3000, 20_000), (400, 400)])
def test_the_interval_of_a_ratio_holds_the_truth(scale: float, part: int, whole: int) -> None:
    noise = _drawn(scale, (2, DRAWS), seed=part + whole)
    one = (scale + _HALF) ** 2
    yes, no = part + noise[0], whole - part + noise[1]
    _, low, high = ratio(yes, yes + no, one, 2 * one, one, 0.0, 1.0)
    truth = part / whole
    assert _holds_95(int(((low - 1e-9 <= truth) & (truth <= high + 1e-9)).sum()), DRAWS)


@pytest.mark.parametrize("scale", [0.4, 5.0, 60.0])
@pytest.mark.parametrize("mean", [-25.0, 0.0, 10.0, 30.0])
@pytest.mark.parametrize("rows", [30, 2000])
def test_the_interval_of_a_mean_holds_the_truth(scale: float, mean: float, rows: int) -> None:
    noise = _drawn(scale, (1, DRAWS), seed=rows)[0]
    wide = _drawn(scale * 60, (1, DRAWS), seed=rows + 1)[0]
    centred, total = 2 * mean * rows + wide, rows + noise
    _, low, high = ratio(
        centred / 2, total, (scale * 60 + _HALF) ** 2 / 4, (scale + _HALF) ** 2, 0.0, -30.0, 30.0
    )
    assert _holds_95(int(((low - 1e-9 <= mean) & (mean <= high + 1e-9)).sum()), DRAWS)


@settings(max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(0, 300), min_size=2, max_size=8).filter(any),
    per_cent=st.integers(1, 99),
    scale=st.sampled_from([0.3, 0.6, 3.0, 40.0]),
)
@example(counts=[10, 0, 0, 10], per_cent=50, scale=0.5)
def test_the_interval_of_a_quantile_holds_the_bin_that_it_lies_in(
    counts: list[int], per_cent: int, scale: float
) -> None:
    ends = [(10 * i, 10 * i + 9) for i in range(len(counts))]
    true_bin = next(i for i in range(len(counts)) if 100 * sum(counts[: i + 1]) >= per_cent * sum(counts))
    noisy = np.array(counts, dtype=np.float64)[:, None] + _drawn(scale, (len(counts), 4000), seed=7)
    value, low, high = quantile(noisy, ends, per_cent, scale + _HALF)
    assert ((low <= value) & (value <= high)).all()
    assert _holds_95(int(((low <= ends[true_bin][0]) & (ends[true_bin][1] <= high)).sum()), 4000)


def test_without_noise_to_speak_of_the_figures_are_the_true_ones() -> None:
    plan = _bound(
        ["gu"],
        m={"fn": "mean", "column": "down"},
        within={"fn": "share"},
        part={"fn": "share", "where": {"column": "up", "op": "not_null"}},
        h={"fn": "histogram", "column": "up"},
        q={"fn": "quantiles", "column": "up", "at": [90, 10]},
        s={"fn": "sum", "column": "down"},
    )
    rows = [
        {
            "period": "2026-01",
            "unit": i,
            "gu": "ab"[i % 4 == 0],
            "up": [None, 0, 2, 3][i // 4 % 4],
            "down": -3 + i % 5,
        }
        for i in range(16_000)
    ]
    exact = interpret(plan, rows)
    noisy = {c: [exact[gu,][c] for gu in "ab"] for v in plan.vectors for c in v.columns}
    found = quote(plan, POLICY, SpendRho(Rho.parse("800")))
    shown = {e.figure.name: e for name, _ in plan.plan.measures for e in estimates(found, name, noisy)}
    in_a = [row for row in rows if row["gu"] == "a"]
    assert shown["m"].values[0] == f"{sum(r['down'] for r in in_a) / len(in_a):.3f}"
    assert shown["within"].values == ["0.75000", "0.25000"]
    assert shown["part"].values[0] == "0.75000"
    assert shown["s"].values[0] == sum(r["down"] for r in in_a)
    assert [shown[f"h_bin{i}"].values[0] for i in (1, 2)] == [
        sum(r["up"] in (0, 1) for r in in_a if r["up"] is not None),
        sum(r["up"] in (2, 3) for r in in_a if r["up"] is not None),
    ]
    assert [e.figure.per_cent for e in shown.values() if e.figure.per_cent] == [10, 90]
    assert float(str(shown["q_q10"].values[0])) <= 1 and float(str(shown["q_q90"].values[0])) >= 2
    for name in ("m", "within", "part"):
        low, high = (float(str(end[0])) for end in (shown[name].lows, shown[name].highs))
        assert low <= float(str(shown[name].values[0])) <= high < low + 0.01


def test_a_cell_without_anybody_shows_the_whole_range_and_no_fault() -> None:
    plan = _bound(
        ["gu"],
        m={"fn": "mean", "column": "up"},
        within={"fn": "share"},
        q={"fn": "quantiles", "column": "up"},
    )
    found = quote(plan, POLICY, SpendRho(Rho.parse("0.01")))
    nothing = {
        c: DiscreteGaussianNoise().add(np.zeros(2, dtype=np.int64), gaussian(4, Rho(10**6)))
        for v in plan.vectors
        for c in v.columns
    }
    for numbers in (nothing, {c: [0, 0] for c in nothing}, {c: [-50, -50] for c in nothing}):
        for name, least, most in (("m", 0, 3), ("within", 0, 1), ("q", 0, 3)):
            for found_one in estimates(found, name, numbers):
                ends = zip(found_one.lows, found_one.values, found_one.highs, strict=True)
                for low, value, high in ends:
                    assert least <= float(str(low)) <= float(str(value)) <= float(str(high)) <= most
