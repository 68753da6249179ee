"""Every fault of a file has its code, its place and not one byte of a record."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from making import CANARY, HEADER, STATIONS, dataset, trip, write_trips

from data_access.errors import (
    CivicError,
    LoadEmpty,
    LoadEncoding,
    LoadFileMissing,
    LoadHeader,
    LoadRefused,
    LoadTruncated,
    LoadValue,
)
from data_access.intake import read_files

Maker = Callable[[Path], Path]


def _refusal(*paths: Path) -> CivicError:
    with pytest.raises(LoadRefused) as caught:
        list(read_files(dataset(), paths))
    _assert_silent(caught.value)
    return caught.value


def _assert_silent(error: BaseException) -> None:
    """Neither message, facts, traceback text nor any error behind it holds a value or a folder."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        current = current.__cause__ or current.__context__
    texts = ["".join(traceback.format_exception(error))]
    for each in seen:
        texts += [repr(each), repr(each.args), repr(vars(each))]
    for text in texts:
        assert CANARY not in text
        assert repr(CANARY.encode("cp949"))[2:-1] not in text


@pytest.mark.parametrize(
    ("bad", "column"),
    [
        (trip(time=CANARY), "대여일시"),
        (trip(time="2026-02-30 00:00:00"), "대여일시"),
        (trip(time="2026-09-01 24:00:01"), "대여일시"),
        (trip(time="infinity"), "대여일시"),
        (trip(time="\\N"), "대여일시"),
        (trip(station="ST-" + CANARY), "대여소"),
        (trip(minutes=CANARY), "이용시간(분)"),
        (trip(minutes="7.5"), "이용시간(분)"),
        (trip(minutes="0x1F"), "이용시간(분)"),
        (trip(minutes="9" * 19), "이용시간(분)"),
        (trip(meters="nan"), "이용거리(M)"),
        (trip(meters="1e400"), "이용거리(M)"),
        (trip(meters="inf"), "이용거리(M)"),
        (trip(minutes=str(2**63)), "이용시간(분)"),
        (trip(minutes=str(-(2**63) - 1)), "이용시간(분)"),
        (trip(minutes="٣"), "이용시간(분)"),
        (trip(minutes="３"), "이용시간(분)"),
        (trip(minutes="1_000"), "이용시간(분)"),
        (trip(minutes="7\u202e"), "이용시간(분)"),
        (trip(meters="-1e-400"), "이용거리(M)"),
        (trip(meters="٣.٥"), "이용거리(M)"),
        (trip(station="２１０"), "대여소"),
        (trip(time="0000-01-01 00:00:00"), "대여일시"),
        (trip(time="-0001-01-01 00:00:00"), "대여일시"),
        (trip(time="10000-01-01 00:00:00"), "대여일시"),
        (trip(time="2025-02-29 00:00:00"), "대여일시"),
        (trip(time="２０２６-09-01 08:15:30"), "대여일시"),
        (trip(time="epoch"), "대여일시"),
        (trip(time="2026-09-01 08:15:30\x00"), "대여일시"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_wrong_value(tmp_path: Path, bad: tuple[str, ...], column: str, end: str) -> None:
    rows = [trip(sex=CANARY), trip(), bad, trip(minutes="x")]
    error = _refusal(write_trips(tmp_path / "a.csv", rows, end=end))
    assert type(error) is LoadValue
    assert error.facts == {"file": "a.csv", "line": 4, "column": column}


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    rows = [trip(sex='"a\nb\nc"'), HEADER, ("",) * len(HEADER), trip(minutes=CANARY)]
    path = write_trips(tmp_path / "a.csv", rows)
    path.write_bytes(path.read_bytes().replace(b"\nSPB-1,2026", b"\n\nSPB-1,2026", 1))
    lines = path.read_text("utf-8").split("\n")
    expected = next(number for number, line in enumerate(lines, 1) if CANARY in line)
    assert _refusal(path).facts["line"] == expected


def test_bytes_that_are_neither_encoding(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip(sex=CANARY), trip(), trip(sex="?")], encoding="cp949")
    path.write_bytes(path.read_bytes().replace(b"?", b"\xff\xfe"))
    error = _refusal(path)
    assert type(error) is LoadEncoding
    assert error.facts == {"file": "a.csv", "line": 4}


def test_a_bom_is_believed(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip(sex="여")], encoding="cp949")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert type(_refusal(path)) is LoadEncoding


@pytest.mark.parametrize("change", [lambda row: row[:-1], lambda row: (*row, CANARY)], ids=["short", "long"])
def test_a_wrong_number_of_fields(
    tmp_path: Path, change: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> None:
    error = _refusal(write_trips(tmp_path / "a.csv", [trip(sex=CANARY), change(trip(sex=CANARY)), trip()]))
    assert type(error) is LoadTruncated
    assert error.facts == {"file": "a.csv", "line": 3}


def test_a_file_that_ends_in_the_middle_of_a_line(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip(), trip()])
    path.write_bytes(path.read_bytes()[:-20])
    assert _refusal(path).facts == {"file": "a.csv", "line": 3}


@pytest.mark.parametrize("rows_after", [1, 20_000])
def test_a_quote_that_never_closes(tmp_path: Path, rows_after: int) -> None:
    rows = [trip(), trip(sex='"' + CANARY), *[trip()] * rows_after]
    error = _refusal(write_trips(tmp_path / "a.csv", rows))
    assert type(error) is LoadTruncated
    assert error.facts["line"] == 3


def test_a_missing_column(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip()[:-1]], header=HEADER[:-1])
    error = _refusal(path)
    assert type(error) is LoadHeader
    assert error.facts == {"file": "a.csv", "column": "회원번호"}


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [(*trip(), "M2")], header=(*HEADER, "회원번호"))
    assert type(_refusal(path)) is LoadHeader


def test_a_file_without_header_is_refused_by_its_first_missing_column(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip(sex=CANARY)], header=trip(sex=CANARY))
    assert type(_refusal(path)) is LoadHeader


@pytest.mark.parametrize("rows", [[], [("",) * len(HEADER)], [HEADER]])
def test_a_file_without_rows(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    error = _refusal(write_trips(tmp_path / "a.csv", rows))
    assert type(error) is LoadEmpty
    assert error.facts == {"file": "a.csv"}


def test_an_empty_file(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [])
    path.write_bytes(b"")
    assert type(_refusal(path)) is LoadEmpty


def test_a_file_that_is_not_there_is_named_before_any_other_is_read(tmp_path: Path) -> None:
    good = write_trips(tmp_path / "a.csv", [trip()])
    error = _refusal(good, tmp_path / "deep" / "b.csv")
    assert type(error) is LoadFileMissing
    assert error.facts == {"file": "b.csv"}


def test_a_public_table_that_is_not_there(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip()])
    (tmp_path / "stations.csv").unlink()
    assert _refusal(path).facts == {"file": "stations.csv"}


def test_a_public_key_that_is_there_twice(tmp_path: Path) -> None:
    # `101` and `00101` are one number.
    path = write_trips(tmp_path / "a.csv", [trip()], stations=STATIONS + "101,강남구,\n102,중구,\n")
    error = _refusal(path)
    assert type(error) is LoadValue
    assert error.facts == {"file": "stations.csv", "line": 5, "column": "번호"}


def test_a_public_row_without_key(tmp_path: Path) -> None:
    path = write_trips(tmp_path / "a.csv", [trip()], stations=STATIONS + ",강남구,2019\n")
    assert _refusal(path).facts == {"file": "stations.csv", "line": 5, "column": "번호"}
