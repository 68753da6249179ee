"""Parquet is read as the CSV files are: the same rows, the same refusals, by row and column, without a value."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from making import CANARY, HEADER, LINEAGE, dataset, policy, rows_of, trip, write_trips

from data_access.errors import LoadEmpty, LoadHeader, LoadRefused, LoadTruncated, LoadValue
from data_access.flows.loading import Vault, load
from data_access.intake import parquet, read_files, row_schema

MOMENT = datetime(2026, 9, 1, 8, 15, 30)
TYPED: dict[str, Any] = {
    "대여일시": pa.array([MOMENT, MOMENT], pa.timestamp("ns")),
    "대여소": pa.array(["00101", "102"]).dictionary_encode(),
    "이용시간(분)": pa.array([7, None], pa.int16()),
    "이용거리(M)": pa.array([480.0, None], pa.float32()),
    "성별": pa.array(["여", "\\N"], pa.large_string()),
    "회원번호": pa.array([1001, 1002], pa.uint32()),
}


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    """The file, and the stations beside it."""
    write_trips(path.with_suffix(".csv"), [trip()])
    pq.write_table(pa.table(columns), path, **options)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [row for table in read_files(dataset(), [path]) for row in table.to_pylist()]


def test_typed_columns_are_taken_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", TYPED | {"another": pa.array([1, 2])})
    (table,) = read_files(dataset(), [path])
    assert table.schema == row_schema(dataset())
    assert table.to_pylist() == [
        {
            "started_at": MOMENT,
            "member": "1001",
            "station": "101",
            "minutes": 7,
            "meters": 480.0,
            "sex": "여",
            "gu": "종로구",
        },
        {
            "started_at": MOMENT,
            "member": "1002",
            "station": "102",
            "minutes": None,
            "meters": None,
            "sex": None,
            "gu": "중구",
        },
    ]


def test_text_follows_the_rules_of_the_csv_files(tmp_path: Path) -> None:
    rows = [trip(), trip(station="00102", minutes=" 8 ", meters="\\N", sex="", time="2026년 9월 2일 05시")]
    text = write_trips(tmp_path / "text.csv", rows)
    columns = {name: pa.array([row[place] for row in rows]) for place, name in enumerate(HEADER)}
    assert read(write(tmp_path / "a.parquet", columns)) == read(text)


def test_a_view_does_not_depend_on_the_form_of_the_file(vault: Vault, tmp_path: Path) -> None:
    rows = [trip(minutes=str(n), member=f"M{n % 3}", sex="FM"[n % 2]) for n in range(40)]
    of = policy(dataset())
    halves: list[Path] = []
    for half in (rows[:7], rows[7:]):
        columns = {name: pa.array([row[place] for row in half]) for place, name in enumerate(HEADER)}
        columns["이용시간(분)"] = pa.array([int(row[3]) for row in half])
        halves.append(write(tmp_path / f"{len(half)}.parquet", columns))
    seen = []
    for files in ([write_trips(tmp_path / "a.csv", rows)], halves):
        load(vault, dataset(), files, lineage=LINEAGE, policy=of, by="test")
        seen.append(rows_of(vault, of))
    assert seen[0] == seen[1] and len(seen[0]) == 6


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("대여일시", pa.array([MOMENT, None], pa.timestamp("us"))),
        ("대여일시", pa.array([MOMENT.replace(tzinfo=UTC)] * 2, pa.timestamp("us", "Asia/Seoul"))),
        ("대여일시", pa.array([date(2026, 9, 1)] * 2)),
        ("대여일시", pa.array([MOMENT, 3 * 10**17], pa.timestamp("us"))),
        ("대여일시", pa.array(["2026-09-01 08:15:30", CANARY])),
        ("대여소", pa.array([101, -1])),
        ("대여소", pa.array([101.0, 102.5])),
        ("이용시간(분)", pa.array([7.0, 8.0])),
        ("이용시간(분)", pa.array([1, 2**63], pa.uint64())),
        ("이용시간(분)", pa.array([1, 10**18])),
        ("이용시간(분)", pa.array([True, False])),
        ("이용거리(M)", pa.array([1.0, float("nan")])),
        ("이용거리(M)", pa.array([1.0, float("inf")])),
        ("이용거리(M)", pa.array([Decimal(1), Decimal(10**17)])),
        ("성별", pa.array([0.5, 1.5])),
        ("성별", pa.array([b"F", b"M"])),
        ("회원번호", pa.array([["a"], ["b"]])),
        ("성별", pa.Array.from_buffers(pa.string(), 2, pa.array([b"F", b"\xff\xfe"]).buffers())),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value.type),
)
def test_what_is_not_of_its_columns_kind_is_refused_by_row_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, values: Any
) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 1)
    with pytest.raises(LoadValue) as refused:
        read(write(tmp_path / "a.parquet", TYPED | {name: values}))
    facts = refused.value.facts
    # The second value is wrong; where the kind is, already the first.
    assert (facts["file"], facts["column"], facts["line"] in (1, 2)) == ("a.parquet", name, True)
    assert refused.value.__context__ is None and CANARY not in repr(facts)


def test_rows_are_counted_over_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 3)
    many = {name: pa.concat_arrays([values[:1]] * 10) for name, values in TYPED.items()}
    path = write(tmp_path / "a.parquet", many, row_group_size=4)
    assert len(read(path)) == 10
    many["이용시간(분)"] = pa.array([1] * 8 + [10**18, 1])
    with pytest.raises(LoadValue) as refused:
        read(write(path, many, row_group_size=4))
    assert refused.value.facts["line"] == 9


def test_a_column_of_nothing_is_missing_everywhere(tmp_path: Path) -> None:
    nothing = {
        "성별": pa.nulls(2),
        "이용시간(분)": pa.nulls(2, pa.string()),
        "이용거리(M)": pa.nulls(2, pa.bool_()),
    }
    rows = read(write(tmp_path / "a.parquet", TYPED | nothing))
    assert {(row["sex"], row["minutes"], row["meters"]) for row in rows} == {(None, None, None)}


def test_a_dictionary_may_list_what_no_row_has(tmp_path: Path) -> None:
    stations = pa.DictionaryArray.from_arrays([0, 1], ["101", "102", "no station"])
    rows = read(write(tmp_path / "a.parquet", TYPED | {"대여소": stations}))
    assert [row["station"] for row in rows] == ["101", "102"]


def test_a_file_that_is_cut_off_empty_or_of_another_layout_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", TYPED)
    whole = path.read_bytes()

    def refused(content: bytes | None = None, **columns: Any) -> LoadRefused:
        if content is None:
            write(path, columns)
        else:
            path.write_bytes(content)
        with pytest.raises(LoadRefused) as caught:
            read(path)
        return caught.value

    assert isinstance(refused(whole[:-20]), LoadTruncated)
    assert isinstance(refused(b"no parquet"), LoadTruncated)
    broken = bytearray(whole)
    broken[4:60] = bytes(56)
    assert isinstance(refused(bytes(broken)), LoadTruncated)
    assert isinstance(refused(**{name: values[:0] for name, values in TYPED.items()}), LoadEmpty)
    layout = refused(**{name: values for name, values in TYPED.items() if name != "성별"})
    assert isinstance(layout, LoadHeader) and layout.facts["column"] == "성별"


def test_the_public_tables_stay_csv(vault: Vault, tmp_path: Path) -> None:
    path = write(tmp_path / "rides" / "a.parquet", TYPED)
    (tmp_path / "rides" / "stations.csv").rename(tmp_path / "stations.csv")
    load(vault, dataset(), [path], lineage=LINEAGE, policy=policy(dataset()), by="test", tables=tmp_path)
    assert [row[1] for row in rows_of(vault, policy(dataset()))] == ["종로구", "중구"]
