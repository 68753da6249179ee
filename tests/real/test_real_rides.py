"""The way on real files: 999 trips and 1,656 accidents, unit `row`, keys of the test's own, a machine with isolation.

Their rows stay in the temporary vault; what is compared with answers are counts alone. Where the files are not
beside the checkout the tests skip.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_access.flows.answering import Asker
from data_access.flows.loading import load
from data_access.policy import schema_of
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import DiscreteGaussianNoise, gaussian
from data_access.query import bind, decode_plan
from data_access.query.cells import Cells, dense
from data_access.query.compiler import compile_sql
from data_access.vault import find_view
from tests.factories import Workspace, make_policy, make_register, make_workspace, request, table

CHECKOUT = Path(__file__).resolve().parents[2]
BIKE = Path(os.environ.get("CIVIC_SHARED_DATA", CHECKOUT.parent / "shared" / "data")) / "bike"
pytestmark = [
    pytest.mark.skipif(not BIKE.is_dir(), reason="the real files are not beside the checkout"),
    pytest.mark.slow,
]

GU = (
    *("강남구", "강동구", "강북구", "강서구", "관악구", "광진구", "구로구", "금천구", "노원구", "도봉구"),
    *("동대문구", "동작구", "마포구", "서대문구", "서초구", "성동구", "성북구", "송파구", "양천구"),
    *("영등포구", "용산구", "은평구", "종로구", "중구", "중랑구"),
)
CATALOGS = {
    "bike_rides_public": CHECKOUT / "tests" / "vault" / "catalog" / "bike_rides_public.yaml",
    "accidents": CHECKOUT / "data_access" / "demo" / "catalog" / "accidents.yaml",
}
ANALYST = Asker("ann", frozenset({"bike"}))


@dataclass(frozen=True)
class Case:
    """One question of a dataset, what it spends, and how many rows there are to count."""

    plan: dict[str, Any]
    rho: str
    rows: int


TRIPS: dict[str, Any] = {"dataset": "bike_rides_public", "measures": {"rides": {"fn": "count"}}}
ACCIDENTS: dict[str, Any] = {"dataset": "accidents", "measures": {"accidents": {"fn": "count"}}}
CASES = {
    "trips by gu and hour": Case(
        TRIPS | {"by": ["start_gu", {"fn": "hour", "column": "started_at"}]}, "0.05", 999
    ),
    "trips by gu and month": Case(TRIPS | {"by": ["start_gu", "month"]}, "0.05", 999),
    "accidents by gu and hour": Case(
        ACCIDENTS | {"by": ["gu", {"fn": "hour", "column": "happened_at"}]}, "0.05", 1656
    ),
    "accidents by gu and month": Case(ACCIDENTS | {"by": ["gu", "month"]}, "0.05", 1656),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    catalog = {name: path.read_text("utf-8") for name, path in CATALOGS.items()}
    made = make_workspace(
        tmp_path_factory.mktemp("real") / "home",
        noise=DiscreteGaussianNoise(),
        isolated=True,
        catalog=catalog,
        governed=False,
    )
    made.accept(make_register(made.keys))
    for name, file, key, first, last in (
        ("bike_rides_public", "ttareungi_trips_201709_sample1000.csv", "start_gu", "2017-09", "2017-09"),
        ("accidents", "taas_bike_accidents_2017.csv", "gu", "2017-01", "2017-12"),
    ):
        policy = made.activate(
            make_policy(
                made.entry(name),
                synthetic=False,
                unit={"kind": "row", "period": "month"},
                row_bound=1,
                lineage="real-" + name.replace("_", "-"),
                first_period=first,
                last_period=last,
                keys={key: {"values": list(GU), "geography": "gu"}},
                minimum=3,
            )
        )
        load(
            made.parts.vault,
            made.entry(name),
            [BIKE / file],
            lineage=policy.lineage,
            policy=policy,
            by="test",
        )
    yield made
    made.parts.close()


def exact(made: Workspace, case: Case) -> Cells:
    """The true counts, read as the gateway reads them."""
    with made.parts.database.reading() as connection:
        force = made.parts.governing.in_force(connection, case.plan["dataset"])
        view = find_view(connection, force.policy.lineage, force.policy.hash())
    assert view is not None
    bound = bind(decode_plan(case.plan), schema_of(force.policy, force.entry))
    with made.parts.engine.reader(view) as reader:
        columns = reader.execute(compile_sql(bound)).to_arrow_table()
    return dense(bound, {name: columns[name].to_pylist() for name in columns.column_names})


def test_every_row_is_in_a_cell_and_22_trips_start_at_stations_that_the_list_lacks(made: Workspace) -> None:
    for case in CASES.values():
        (counts,) = exact(made, case).columns.values()
        assert int(counts.sum()) == case.rows
    trips = exact(made, CASES["trips by gu and month"])
    by_gu: Counter[Any] = Counter()
    for (_month, gu), count in zip(trips.keys(), trips.columns["rides"], strict=True):
        by_gu[gu] += int(count)
    assert by_gu["other"] == 22
    assert set(by_gu) == {*GU, "other"}


@pytest.mark.parametrize("name", CASES, ids=str)
def test_an_answer_through_the_private_lane_shows_intervals_and_withholds_small_cells(
    made: Workspace, name: str
) -> None:
    case = CASES[name]
    answered = made.parts.answering.answer(ANALYST, request(case.plan, spend={"rho": case.rho}))
    statement = answered.answer.document()["statement"]
    assert (statement["synthetic"], statement["unit"]["kind"], statement["row_bound"]) == (False, "row", 1)
    measure = next(iter(case.plan["measures"]))
    mechanism = statement["mechanism"]["measures"][measure]
    assert (mechanism["sensitivity_squared"], mechanism["margin"]) == (1, 6)
    for row in table(answered).values():
        if row["withheld"]:
            assert row[measure] is row[f"{measure}_low"] is None
        else:
            assert row[measure] >= statement["minimum"]
            assert row[f"{measure}_high"] - row[measure] == row[measure] - row[f"{measure}_low"] == 6


@pytest.mark.parametrize("name", CASES, ids=str)
def test_over_a_thousand_draws_the_intervals_cover_the_true_counts(made: Workspace, name: str) -> None:
    """The mechanism of the answer, drawn again for the same exact cells: a thousand paid questions would need
    a thousand budgets. Every cell counts, those too that would be withheld.
    """
    case = CASES[name]
    (counts,) = exact(made, case).columns.values()
    mechanism = gaussian(1, Rho.parse(case.rho))
    cells = (
        counts
        if len(counts) <= 60
        else counts[np.random.default_rng(7).choice(len(counts), 60, replace=False)]
    )
    noisy = np.array(DiscreteGaussianNoise().add(np.tile(cells, 1000), mechanism)).reshape(1000, -1)
    covered = (noisy - mechanism.margin <= cells) & (cells <= noisy + mechanism.margin)
    assert covered.mean() >= 0.93
    # And for each cell by itself: at 95 %, 905 of 1,000 is more than six deviations away.
    assert covered.sum(axis=0).min() >= 905


def test_no_person_is_counted_where_the_source_names_none(made: Workspace) -> None:
    from data_access.errors import MeasureRefused

    plan = TRIPS | {"by": ["start_gu"], "measures": {"riders": {"fn": "persons"}}}
    with pytest.raises(MeasureRefused):
        made.parts.answering.price(ANALYST, request(plan))
