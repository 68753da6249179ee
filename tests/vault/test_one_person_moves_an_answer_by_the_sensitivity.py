"""From a file to the exact cells, with one person's month in it and without: no measure moves by more than it is
priced for, and for each measure some person moves it by just that.

tests/privacy has the same of rows that are bounded already; here the bounding is the loader's.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import making
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from making import LINEAGE, dataset, trip, write_trips

from data_access.flows.loading import Vault, load
from data_access.policy import Policy, schema_of
from data_access.pricing import sensitivity_squared
from data_access.query import BoundPlan, bind, decode_plan
from data_access.query.cells import dense
from data_access.query.codec import _MEASURES
from data_access.query.compiler import compile_sql
from data_access.vault import Engine, find_view

MINUTES = {"column": "minutes"}
MEASURES: dict[str, dict[str, Any]] = {
    "count": {},
    "persons": {},
    "sum": MINUTES,
    "mean": MINUTES,
    "histogram": MINUTES,
    "quantiles": MINUTES,
    "share": {"where": {"column": "sex", "op": "eq", "value": "F"}},
}
KEYS: list[list[Any]] = [[], ["gu"], ["sex", {"fn": "band", **MINUTES}]]
Row = tuple[str, ...]


def _policy(row_bound: int, low: int) -> Policy:
    clip = {"low": low, "high": 60, "unit": "minute", "bins": [low, 10, 60]}
    return making.policy(dataset(), row_bound=row_bound, clips={"minutes": clip})


def _plans(policy: Policy) -> list[BoundPlan]:
    schema = schema_of(policy, dataset())
    documents = [
        {"by": by, "measures": {fn: {"fn": fn} | rest for fn, rest in MEASURES.items()}} for by in KEYS
    ]
    documents += [{"by": by, "measures": {"within": {"fn": "share", "within": by[1:]}}} for by in KEYS if by]
    return [bind(decode_plan({"dataset": "trips"} | document), schema) for document in documents]


def _loaded(vault: Vault, folder: Path, policy: Policy, rows: list[Row]) -> list[Any]:
    """The exact cells of each plan, over the view that a load of `rows` makes."""
    load(vault, dataset(), [write_trips(folder / "a.csv", rows)], lineage=LINEAGE, policy=policy, by="test")
    with vault.database.reading() as connection:
        view = find_view(connection, LINEAGE, policy.hash())
    assert view is not None
    engine = Engine(vault.store.folder, vault.keys)
    found = []
    with engine.reader(view) as reader:
        for bound in _plans(policy):
            columns = reader.execute(compile_sql(bound)).to_arrow_table()
            found.append(dense(bound, {name: columns[name].to_pylist() for name in columns.column_names}))
    engine.close()
    return found


def _moved(policy: Policy, rest: list[Row], mine: list[Row]) -> dict[tuple[int, str, str], tuple[int, int]]:
    """(plan, measure, part) → squared L2 distance with and without `mine`, and what the measure is priced for."""
    with tempfile.TemporaryDirectory() as name:
        # Somebody whom no question touches, since a file without rows is refused.
        outside = trip(time="2026-10-01 10:00:00", member="M0")
        # One vault: which rows are kept is a function of its key, and neighbours have the same.
        vault = making.vault(Path(name) / "state")
        with_me = _loaded(vault, Path(name) / "a", policy, [outside, *rest, *mine])
        without = _loaded(vault, Path(name) / "b", policy, [outside, *rest])
        vault.database.close()
    moved: dict[tuple[int, str, str], tuple[int, int]] = {}
    for number, (one, other) in enumerate(zip(with_me, without, strict=True)):
        bound = one.bound
        for vector in bound.vectors:
            distance = sum(int(((one.columns[c] - other.columns[c]) ** 2).sum()) for c in vector.columns)
            measure = dict(bound.plan.measures)[vector.measure]
            priced = sensitivity_squared(measure, policy.row_bound, bound.cells, bound.schema, vector.part)
            moved[number, vector.measure, vector.part] = distance, priced
    return moved


_MINE = st.lists(
    st.builds(
        trip,
        time=st.sampled_from(["2026-09-01 00:00:00", "2026-09-30 23:59:59"]),
        station=st.sampled_from(["101", "102", "999"]),
        minutes=st.sampled_from(["-90", "0", "9", "10", "90", "\\N"]),
        sex=st.sampled_from(["F", "M", "\\N"]),
        member=st.just("ME"),
    ),
    max_size=6,
)
_OTHERS = st.lists(
    st.builds(
        trip,
        time=st.sampled_from(["2026-09-01 00:00:00", "2026-08-31 23:59:59"]),
        station=st.sampled_from(["101", "102"]),
        minutes=st.sampled_from(["0", "90", "\\N"]),
        sex=st.sampled_from(["F", "M"]),
        member=st.sampled_from(["M1", "M2", "\\N"]),
    ),
    max_size=6,
)


@settings(
    max_examples=6,
    deadline=None,
    # A run is two loads: shrinking would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(mine=_MINE, rest=_OTHERS, row_bound=st.integers(1, 3))
def test_no_persons_month_moves_a_measure_by_more_than_its_sensitivity(
    mine: list[Row], rest: list[Row], row_bound: int
) -> None:
    for place, (distance, priced) in _moved(_policy(row_bound, -30), rest, mine).items():
        assert distance <= priced, place


@pytest.mark.parametrize(("row_bound", "low", "extreme"), [(2, 0, "90"), (3, -80, "-90")])
def test_for_each_measure_some_persons_month_moves_it_by_its_sensitivity(
    row_bound: int, low: int, extreme: str
) -> None:
    policy = _policy(row_bound, low)
    # More rows than are kept, all in one cell and past the clip: the worst for whatever is counted or added.
    together = [trip(time="2026-09-01 08:00:00", minutes=extreme, member="ME")] * (row_bound + 2)
    # Each kept row in a cell of its own, wherever there are cells enough: the worst for persons.
    apart = [
        trip(time="2026-09-01 08:00:00", station=station, sex=sex, minutes=minutes, member="ME")
        for station, sex, minutes in (("101", "F", "5"), ("102", "M", "5"), ("999", "M", "90"))
    ][:row_bound]
    reached: dict[tuple[int, str, str], list[int]] = {}
    for mine in (together, apart):
        for place, (distance, priced) in _moved(policy, [trip(member="M1")], mine).items():
            assert distance <= priced, place
            reached.setdefault(place, [priced]).append(distance)
    assert {measure for _, measure, _ in reached} >= set(_MEASURES), "every measure of the registry"
    for place, (priced, *distances) in reached.items():
        assert max(distances) == priced, place
