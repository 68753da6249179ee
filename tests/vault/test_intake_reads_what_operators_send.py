"""What the readers make of real habits: two encodings, padded numbers, blank and repeated lines."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from making import HEADER, dataset, trip, write_trips

from data_access.catalog import Column
from data_access.intake import read_files, row_schema
from data_access.intake.values import Converter, code, code_typed, typed


def _read(*paths: Path) -> list[dict[str, Any]]:
    return [row for table in read_files(dataset(), paths) for row in table.to_pylist()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_encoding_and_line_end_gives_the_same_rows(tmp_path: Path, encoding: str, end: str) -> None:
    path = write_trips(tmp_path / "a.csv", [trip(sex="여"), trip(station="102")], encoding=encoding, end=end)
    first, second = _read(path)
    assert first == {
        "started_at": datetime(2026, 9, 1, 8, 15, 30),
        "member": "M1",
        "station": "101",
        "minutes": 7,
        "meters": 480.0,
        "sex": "여",
        "gu": "종로구",
    }
    assert (second["station"], second["gu"]) == ("102", "중구")


def test_tables_have_the_documented_schema(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip(sex="\\N", minutes="")])
    (table,) = read_files(dataset(), [path])
    assert table.schema == row_schema(dataset())


def test_missing_texts_are_null_and_an_unknown_station_has_no_gu(tmp_path: Path) -> None:
    row = trip(station="999", minutes="\\N", meters="", sex=" \\N ", member="")
    (read,) = _read(write_trips(tmp_path / "a.csv", [row]))
    assert [read[name] for name in ("minutes", "meters", "sex", "member", "gu")] == [None] * 5
    assert read["station"] == "999"


@pytest.mark.parametrize(("written", "kept"), [("00210", "210"), ("210", "210"), ("000", "0"), (" 7 ", "7")])
def test_padded_numbers_are_one_number(tmp_path: Path, written: str, kept: str) -> None:
    (row,) = _read(write_trips(tmp_path / "a.csv", [trip(station=written)]))
    assert row["station"] == kept


def test_several_date_formats_in_one_column(tmp_path: Path) -> None:
    rows = [trip(time="2026년 9월 2일 05시"), trip(time="2026-09-03 23:59:59")]
    assert [row["started_at"] for row in _read(write_trips(tmp_path / "a.csv", rows))] == [
        datetime(2026, 9, 2, 5),
        datetime(2026, 9, 3, 23, 59, 59),
    ]


def test_blank_lines_and_repeated_headers_are_no_rows(tmp_path: Path) -> None:
    rows = [trip(), HEADER, ("",) * len(HEADER), trip(member="M2")]
    assert [row["member"] for row in _read(write_trips(tmp_path / "a.csv", rows))] == ["M1", "M2"]


def test_unknown_columns_are_dropped_and_order_is_free(tmp_path: Path) -> None:
    header = (*reversed(HEADER), "전화번호")
    row = (*reversed(trip()), "010-0000-0000")
    (read,) = _read(write_trips(tmp_path / "a.csv", [row], header=header))
    assert read["member"] == "M1"
    assert "010-0000-0000" not in map(str, read.values())


def test_a_quoted_field_may_hold_commas_and_lines(tmp_path: Path) -> None:
    (row,) = _read(write_trips(tmp_path / "a.csv", [trip(sex='"여, ""둘""\n셋"')]))
    assert row["sex"] == '여, "둘"\n셋'


def test_equal_rows_of_different_persons_all_stay(tmp_path: Path) -> None:
    rows = [trip(member=""), trip(member=""), trip(), trip(), trip(member="M2")]
    assert len(_read(write_trips(tmp_path / "a.csv", rows))) == 5


def test_progress_ends_at_one(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    paths = [write_trips(tmp_path / f"{name}.csv", [trip()]) for name in "ab"]
    list(read_files(dataset(), paths, progress=lambda stage, part: seen.append((stage, part))))
    assert seen == [("read", 0.5), ("read", 1.0)]


def _decimal(places: int | None) -> Column:
    document = {"source": "x", "type": "decimal", "label": {"ko": "수", "en": "Number"}, "places": places}
    return Column.model_validate(document, strict=False)


@pytest.mark.parametrize(
    ("places", "written", "kept"),
    [
        (3, "0.027", "0.027"),
        (3, ".5", "0.500"),
        (3, "5.", "5.000"),
        (3, "-3.25", "-3.250"),
        (3, "+12", "12.000"),
        (3, "0.0270000", "0.027"),
        (3, "123456789012345.123", "123456789012345.123"),
        (9, "123456789.123456789", "123456789.123456789"),
        (0, "5.00", "5"),
        (3, "1.2345", None),
        (0, "5.1", None),
        (9, "1234567890.1", None),
    ],
)
def test_a_decimal_with_declared_places_is_kept_to_the_last_digit_or_not_at_all(
    places: int, written: str, kept: str | None
) -> None:
    """Fifteen digits before the point and three after it are more than a double holds."""
    converter = Converter()
    coded, wrong = converter.convert(code(pa.chunked_array([[written]]), ""), _decimal(places))
    converter.close()
    assert (wrong is None) is (kept is not None)
    if kept is not None:
        assert [str(value) for value in coded.rows().to_pylist()] == [kept]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (pa.array([0.1, 2.5]), ["0.100", "2.500"]),
        (pa.array([5, -7]), ["5.000", "-7.000"]),
        (pa.array([Decimal("1.5")]), ["1.500"]),
        (pa.array([0.1234]), None),
        (pa.array([float("nan")]), None),
        (pa.array([1e300]), None),
        (pa.array([2**63], pa.uint64()), None),
    ],
)
def test_typed_numbers_of_a_warehouse_become_the_same_decimals(
    values: pa.Array, kept: list[str] | None
) -> None:
    coded, wrong = typed(code_typed(values), _decimal(3))
    assert (wrong is None) is (kept is not None)
    if kept is not None:
        assert [str(value) for value in coded.rows().to_pylist()] == kept


def test_what_does_not_declare_places_keeps_the_hash_that_it_had() -> None:
    assert "places" not in _decimal(None).model_dump(mode="json")
    with pytest.raises(ValueError, match="places"):
        Column.model_validate(
            {"source": "x", "type": "text", "label": {"ko": "글", "en": "Text"}, "places": 1}, strict=False
        )


@pytest.mark.parametrize(
    ("kind", "written", "kept"),
    [
        ("integer", "230,850", "230850"),
        ("integer", "230850", "230850"),
        ("integer", "-1,234,567", "-1234567"),
        ("decimal", "99,877.5", "99877.5"),
        ("decimal", "99877.5", "99877.5"),
        ("integer", "23,0850", None),
        ("integer", "2308,50", None),
        ("integer", ",850", None),
        ("integer", "1,234,56", None),
        ("decimal", "1,5", None),
    ],
)
def test_a_comma_between_thousands_is_one_only_where_it_is_declared_and_in_its_place(
    kind: str, written: str, kept: str | None
) -> None:
    document = {"source": "x", "type": kind, "label": {"ko": "수", "en": "Number"}}
    declared = Column.model_validate(document | {"thousands": ","}, strict=False)
    plain = Column.model_validate(document, strict=False)
    converter = Converter()
    coded, wrong = converter.convert(code(pa.chunked_array([[written]]), ""), declared)
    _, undeclared = converter.convert(code(pa.chunked_array([[written]]), ""), plain)
    converter.close()
    assert (wrong is None) is (kept is not None) and (undeclared is None) is ("," not in written)
    if kept is not None:
        assert [str(value) for value in coded.rows().to_pylist()] == [kept]
    assert "thousands" not in plain.model_dump(mode="json")
