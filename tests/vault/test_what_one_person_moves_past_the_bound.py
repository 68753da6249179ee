"""The four numbers of the lost share: what the removal of one person's month does to them, and to nobody else's."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import making
import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_access.flows.loading import Vault
from data_access.vault import count_past_bound

PERIODS = ("2026-08", "2026-09")
BOUND = 3
Numbers = dict[str, tuple[int, int, int, int]]


def counted(vault: Vault, rides: Counter[tuple[str, str]]) -> Numbers:
    """Really ranked, encrypted and read: `rides` has the number of rows of each person and month."""
    rows = [
        {"started_at": datetime.fromisoformat(f"{month}-01") + timedelta(hours=i % 3), "member": person}
        for (person, month), many in rides.items()
        for i in range(many)
    ]
    schema = pa.schema([("started_at", pa.timestamp("us")), ("member", pa.string())])
    table = pa.Table.from_pylist(rows, schema=schema)
    for name in ("station", "sex", "gu"):
        table = table.append_column(name, pa.nulls(len(rows), pa.string()))
    for name, kind in (("minutes", pa.int64()), ("meters", pa.float64())):
        table = table.append_column(name, pa.nulls(len(rows), kind))
    keys = vault.keys.make(making.LINEAGE)
    staged = vault.store.stage(making.dataset(), [table], keys, lambda *_: None)
    try:
        return count_past_bound(vault.store, staged.path, keys, row_bound=BOUND, periods=PERIODS)
    finally:
        staged.path.unlink()


def by_hand(rides: Counter[tuple[str, str]]) -> Numbers:
    """The same from the definition, in plain Python."""
    found = {}
    for period in PERIODS:
        many = [n for (_, month), n in rides.items() if month == period and n]
        lost = [max(0, n - BOUND) for n in many]
        found[period] = (
            len(many),
            sum(n > BOUND for n in many),
            sum(min(n, BOUND) for n in many),
            sum(min(each, BOUND) for each in lost),
        )
    return found


persons = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(PERIODS)), st.integers(1, 3 * BOUND), min_size=1
)


@given(rides=persons, place=st.integers(0, 20))
@example(rides={("a", PERIODS[0]): 3 * BOUND, ("b", PERIODS[0]): 1}, place=0)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_one_persons_month_moves_them_by_at_most_one_and_the_bound(
    rides: dict[tuple[str, str], int], place: int
) -> None:
    whole = Counter(rides)
    gone = sorted(whole)[place % len(whole)]
    without = Counter({key: many for key, many in whole.items() if key != gone})
    with tempfile.TemporaryDirectory() as folder:
        vault = making.vault(Path(folder) / "state")
        try:
            before, after = counted(vault, whole), counted(vault, without)
        finally:
            vault.database.close()
    assert (before, after) == (by_hand(whole), by_hand(without))
    moved = {p: tuple(x - y for x, y in zip(before[p], after[p], strict=True)) for p in PERIODS}
    assert all(m == (0, 0, 0, 0) for p, m in moved.items() if p != gone[1])
    mine = moved[gone[1]]
    assert all(0 <= x <= most for x, most in zip(mine, (1, 1, BOUND, BOUND), strict=True))
    # The bounds are reached, so that no smaller noise would do.
    if whole[gone] >= 2 * BOUND:
        assert mine == (1, 1, BOUND, BOUND)
