"""What a private question may read: each person's month bounded by that month's rows alone."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import making
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from making import LINEAGE, dataset, policy, rows_of, trip, write_trips
from pydantic import ValidationError

from data_access.catalog.entry import parse_entry
from data_access.errors import NoData, PolicyCatalogChanged, PolicyMalformed
from data_access.flows.loading import Vault, load, make_missing_view
from data_access.policy import Policy
from data_access.vault import Engine, find_version, find_view

Row = tuple[str, ...]


def _load(vault: Vault, folder: Path, files: list[list[Row]], of: Policy | None = None) -> list[Any]:
    paths = [write_trips(folder / f"{number}.csv", rows) for number, rows in enumerate(files)]
    chosen = of or policy(dataset())
    load(vault, dataset(), paths, lineage=LINEAGE, policy=chosen, by="test")
    return rows_of(vault, chosen)


def test_the_view_holds_what_its_contract_says(vault: Vault, tmp_path: Path) -> None:
    rows = [
        trip(time="2026-09-01 08:59:59", station="102", minutes="75", sex="\\N", member="M1"),
        trip(time="2026-10-01 00:00:00", station="999", minutes="\\N", sex="X", member="M2"),
        trip(time="2026-07-31 23:59:59", member="M3"),  # before the policy's first period
        trip(time="2026-11-01 00:00:00", member="M3"),  # after its last
        trip(member="\\N"),  # nobody's
    ]
    assert _load(vault, tmp_path, [rows]) == [
        ("2026-09", "중구", "other", datetime(2026, 9, 1, 8), 60),
        ("2026-10", "other", "other", datetime(2026, 10, 1, 0), None),
    ]


def test_types_and_columns_are_exactly_those_of_the_contract(vault: Vault, tmp_path: Path) -> None:
    _load(vault, tmp_path, [[trip()]])
    with vault.database.reading() as connection:
        view = find_view(connection, LINEAGE, policy(dataset()).hash())
    assert view is not None
    engine = Engine(vault.store.folder, vault.keys)
    with engine.reader(view) as reader:
        described = [row[:2] for row in reader.execute("DESCRIBE view").fetchall()]
    engine.close()
    assert described == [
        ("period", "ENUM('2026-08', '2026-09', '2026-10')"),
        ("unit", "BIGINT"),
        ("gu", "ENUM('종로구', '중구', 'other')"),
        ("sex", "ENUM('F', 'M', 'other')"),
        ("started_at", "TIMESTAMP"),
        ("minutes", "BIGINT"),
    ]


def test_no_month_of_a_person_has_more_rows_than_the_bound(vault: Vault, tmp_path: Path) -> None:
    rows = [trip(time=f"2026-{9 + n % 2:02d}-0{1 + n % 9} 10:00:00", minutes=str(n)) for n in range(18)]
    found = _load(vault, tmp_path, [rows])
    assert Counter(row[0] for row in found) == {"2026-09": 2, "2026-10": 2}


def test_equal_rows_are_bounded_too(vault: Vault, tmp_path: Path) -> None:
    assert len(_load(vault, tmp_path, [[trip()] * 5, [trip()] * 3])) == 2


def test_one_person_has_one_unit_over_files_and_months(vault: Vault, tmp_path: Path) -> None:
    files = [
        [trip(member="M1"), trip(member="M2")],
        [trip(time="2026-10-02 10:00:00", member=name) for name in ("M2", "M1", "M3")],
    ]
    _load(vault, tmp_path, files)
    with vault.database.reading() as connection:
        view = find_view(connection, LINEAGE, policy(dataset()).hash())
    assert view is not None
    engine = Engine(vault.store.folder, vault.keys)
    with engine.reader(view) as reader:
        counted = reader.execute("SELECT unit, count(*) FROM view GROUP BY unit ORDER BY unit").fetchall()
    engine.close()
    assert [unit for unit, _ in counted] == [1, 2, 3]
    assert sorted(count for _, count in counted) == [1, 2, 2]


def test_line_file_and_version_do_not_matter(vault: Vault, tmp_path: Path) -> None:
    rows = [trip(minutes=str(n % 7), member=f"M{n % 3}", sex="FM"[n % 2]) for n in range(40)]
    first = _load(vault, tmp_path / "a", [rows])
    shuffled = list(rows)
    random.Random(7).shuffle(shuffled)
    assert _load(vault, tmp_path / "b", [shuffled[:13], shuffled[13:14], shuffled[14:]]) == first


def test_a_mended_station_list_does_not_change_whose_rows_are_kept(vault: Vault, tmp_path: Path) -> None:
    rows = [trip(minutes=str(n), station="103") for n in range(20)]
    path = write_trips(tmp_path / "a.csv", rows)
    of = policy(dataset())
    load(vault, dataset(), [path], lineage=LINEAGE, policy=of, by="test")
    before = rows_of(vault, of)
    write_trips(tmp_path / "a.csv", rows, stations=making.STATIONS + "103,중구,\n")
    load(vault, dataset(), [path], lineage=LINEAGE, policy=of, by="test")
    after = rows_of(vault, of)
    assert {row[1] for row in before} == {"other"}
    assert {row[1] for row in after} == {"중구"}
    assert sorted(row[4] for row in before) == sorted(row[4] for row in after)


_ROWS = st.lists(
    st.builds(
        trip,
        time=st.sampled_from(["2026-08-31 23:59:59", "2026-09-01 00:00:00", "2026-09-30 10:00:00"]),
        station=st.sampled_from(["101", "00101", "102", "999", "\\N"]),
        minutes=st.sampled_from(["0", "7", "90", "\\N"]),
        sex=st.sampled_from(["F", "M", "\\N"]),
        member=st.sampled_from(["M1", "M2", "M3", "\\N"]),
    ),
    min_size=2,
    max_size=30,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=_ROWS, other=st.randoms(use_true_random=False))
def test_removing_one_month_of_one_person_changes_no_other_row(rows: list[Row], other: random.Random) -> None:
    """The neighbour of the privacy promise, in another order and cut into other files."""

    def key(row: Row) -> tuple[str, str]:
        return (row[6], row[1][:7])

    gone = key(rows[0])
    rest = [row for row in rows if key(row) != gone]
    if not rest:
        return
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        made = making.vault(root / "state")
        # A row tells here whose it is, so that rows can be matched over the two views.
        of = policy(
            dataset(), keys={"sex": {"values": ["F", "M"]}, "station": {"values": ["101", "102", "999"]}}
        )
        before = Counter(_load(made, root / "a", [rows], of))
        other.shuffle(rest)
        cut = other.randrange(len(rest))
        after = Counter(_load(made, root / "b", [part for part in (rest[:cut], rest[cut:]) if part], of))
        # Only rows of the removed month may be missing, at most the bound of them, and none may be new.
        removed = before - after
        assert not after - before
        assert removed.total() == (0 if gone[0] == "\\N" else min(2, sum(key(r) == gone for r in rows)))
        assert all(row[0] == gone[1] for row in removed)
        made.database.close()


def test_a_row_unit_takes_every_row_and_no_person(vault: Vault, tmp_path: Path) -> None:
    of = policy(dataset(), unit={"kind": "row", "period": "month"}, row_bound=1)
    found = _load(vault, tmp_path, [[trip()] * 5 + [trip(member="\\N")]], of)
    assert len(found) == 6


def test_a_policy_activated_after_the_load_gets_its_view(vault: Vault, tmp_path: Path) -> None:
    of = policy(dataset())
    path = write_trips(tmp_path / "a.csv", [trip()])
    with pytest.raises(NoData):
        make_missing_view(vault, dataset(), of)
    load(vault, dataset(), [path], lineage=LINEAGE, policy=None, by="test")
    made = make_missing_view(vault, dataset(), of)
    assert make_missing_view(vault, dataset(), of) == made
    narrower = policy(dataset(), version=2, row_bound=1)
    assert make_missing_view(vault, dataset(), narrower) != made
    assert len(rows_of(vault, of)) == 1


def test_a_policy_over_another_layout_gets_no_view(vault: Vault, tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip()])
    with pytest.raises(PolicyCatalogChanged):
        load(
            vault,
            dataset(),
            [path],
            lineage=LINEAGE,
            policy=policy(dataset(), catalog="0" * 64),
            by="test",
        )
    with vault.database.reading() as connection:
        assert find_version(connection, LINEAGE) is None


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"keys": {"member": {"values": ["M1"]}}}, "keys.member"),
        ({"keys": {"started_at": {"values": ["x"]}}}, "keys.started_at"),
        ({"keys": {"nowhere": {"values": ["x"]}}}, "keys.nowhere"),
        ({"clips": {"sex": {"low": 0, "high": 1, "unit": "x"}}}, "clips.sex"),
        ({"clips": {"member": {"low": 0, "high": 1, "unit": "x"}}}, "clips.member"),
        ({"unit": {"kind": "person", "column": "sex", "period": "month"}}, "unit.column"),
        ({"dataset": "another"}, "dataset"),
    ],
)
def test_a_policy_that_does_not_fit_the_dataset_is_refused(
    vault: Vault, tmp_path: Path, changes: dict[str, Any], where: str
) -> None:
    path = write_trips(tmp_path / "a.csv", [trip()])
    with pytest.raises(PolicyMalformed) as caught:
        load(vault, dataset(), [path], lineage=LINEAGE, policy=policy(dataset(), **changes), by="test")
    assert caught.value.facts["where"] == where


def test_key_values_with_quotes_stay_values(vault: Vault, tmp_path: Path) -> None:
    strange = "x') OR 1=1 --"
    of = policy(dataset(), keys={"sex": {"values": [strange, "M"]}})
    found = _load(vault, tmp_path, [[trip(sex=strange, member="M1"), trip(sex="F", member="M2")]], of)
    assert sorted(row[1] for row in found) == ["other", strange]


def test_columns_may_be_named_by_words_of_sql(vault: Vault, tmp_path: Path) -> None:
    words = {"started_at": "at", "minutes": "order", "sex": "group", " gu: {op": " end: {op"}
    source = making.CATALOG
    for name, word in words.items():
        source = source.replace(name, word)
    of = parse_entry(source, "trips.yaml")
    chosen = policy(
        of,
        keys={"end": {"values": ["종로구"]}, "group": {"values": ["F", "M"]}},
        clips={"order": {"low": 0, "high": 60, "unit": "minute"}},
    )
    path = write_trips(tmp_path / "trips.csv", [trip()])
    load(vault, of, [path], lineage=LINEAGE, policy=chosen, by="test")
    assert rows_of(vault, chosen) == [("2026-09", "종로구", "F", datetime(2026, 9, 1, 8), 7)]


def test_no_policy_switches_off_the_key_for_values_outside_its_domain() -> None:
    with pytest.raises(ValidationError):
        policy(dataset(), keys={"gu": {"values": ["종로구"], "other": False}})
