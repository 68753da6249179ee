"""One operator file, or a piece of it, at a time: header, field counts, values, derivations; checked before a row
goes on.

What happens to a row depends on that row and on public tables alone: nothing is dropped or mended by
comparing it with another person's rows (DESIGN, "Bounding is done once"). A wholly blank line and a repeated
header line are no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import add
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from data_access.catalog import Column, Dataset, LookupDerivation, PartDerivation, PublicTable
from data_access.errors import LoadEmpty, LoadFileMissing, LoadHeader, LoadTruncated, LoadValue
from data_access.intake.parquet import is_parquet, read_pieces
from data_access.intake.text import blank_rows, line_of, line_of_wrong_width, read_utf8, records
from data_access.intake.values import Coded, Converter, arrow_type, code

#: Called with the name of a stage and the part of it that is done, 0.0 to 1.0.
Progress = Callable[[str, float], None]

# A record longer than this is a quote that never closes.
_BLOCK = 16 * 1024 * 1024


@dataclass(frozen=True)
class _Sheet:
    """The kept columns of one file, coded, and what it takes to name a line of it."""

    name: str
    content: bytes
    columns: dict[str, Coded]
    #: Row number in the file (0 = header) of every kept row.
    numbers: np.ndarray[tuple[int], np.dtype[np.int64]]

    def line(self, row: int) -> int:
        return line_of(self.content, int(self.numbers[row]))


def row_schema(dataset: Dataset) -> pa.Schema:
    """Names and Arrow types of the tables that `read_files` yields: catalog columns, then derived ones.

    text, padded_number and person are strings, integer int64, decimal double (with `places` decimal128), timestamp
    a local (Asia/Seoul) timestamp[us]; a derived column is a string.
    """
    kept = [(name, arrow_type(column)) for name, column in dataset.columns.items()]
    return pa.schema(kept + [(name, pa.string()) for name in dataset.derived])


def read_files(
    dataset: Dataset, files: Sequence[Path], *, tables: Path | None = None, progress: Progress | None = None
) -> Iterator[pa.Table]:
    """Yield tables of `row_schema(dataset)`, in the files' order: one for each CSV file, one for each million rows of
    a Parquet file (told by its suffix).

    `tables` is the folder of the public tables (default: the first file's). Raises LoadFileMissing,
    LoadEmpty, LoadEncoding, LoadHeader, LoadTruncated, LoadValue; facts are base names, the file's own column
    names and line numbers as an editor counts them (the header is line 1), never a value.
    """
    if not files:
        raise LoadFileMissing(file=dataset.id)
    for path in files:
        if not path.is_file():
            raise LoadFileMissing(file=path.name)
    converter = Converter()
    try:
        folder = files[0].parent if tables is None else tables
        public = {
            name: _read_public(folder / table.file, dataset, table, converter)
            for name, table in dataset.public_tables.items()
        }
        sizes = [path.stat().st_size for path in files]
        for place, path in enumerate(files):
            for columns in _read_rows(path, dataset, converter):
                yield _with_derived(columns, dataset, public)
            if progress is not None:
                progress("read", sum(sizes[: place + 1]) / max(1, sum(sizes)))
    finally:
        converter.close()


def _read_rows(path: Path, dataset: Dataset, converter: Converter) -> Iterator[dict[str, Coded]]:
    if not is_parquet(path):
        yield _read_sheet(path, dataset, dataset.columns, converter).columns
        return
    for before, raw in read_pieces(path, dataset.columns, dataset.missing):
        yield _checked(raw, dataset.columns, converter, path.name, partial(add, before + 1))


def _with_derived(
    columns: dict[str, Coded], dataset: Dataset, public: Mapping[str, Mapping[str, pa.Array]]
) -> pa.Table:
    for name, derivation in dataset.derived.items():
        coded = columns[derivation.column]
        match derivation:
            case LookupDerivation():
                values = _looked_up(coded.values, derivation, public[derivation.table])
            case PartDerivation():
                values = pa.array(
                    [
                        None if text is None else _part(text, derivation.part)
                        for text in coded.values.cast(pa.string()).to_pylist()
                    ],
                    pa.string(),
                )
        columns[name] = coded.with_values(values)
    return pa.table({name: coded.rows() for name, coded in columns.items()}, schema=row_schema(dataset))


def _looked_up(values: pa.Array, derivation: LookupDerivation, table: Mapping[str, pa.Array]) -> pa.Array:
    """The derivation's text for each of `values`, null where the table has no such key or no value there."""
    keys = table[derivation.key].cast(pa.string())
    found = table[derivation.value]
    if derivation.classes:
        ends = np.array([float(c.below) for c in derivation.classes if c.below is not None])
        # A class begins at the end of the one before: 0.1 is not below 0.1.
        numbers = found.cast(pa.float64()).to_numpy(zero_copy_only=False)
        names = pa.array([c.name for c in derivation.classes])
        places = pa.array(np.searchsorted(ends, numbers, side="right"), mask=np.isnan(numbers))
        found = names.take(places)
    found = found.cast(pa.string())
    if pa.types.is_timestamp(values.type):
        # Some hundred days instead of a million moments.
        days = values.cast(pa.date32(), safe=False).dictionary_encode()
        of_day = found.take(pc.index_in(days.dictionary.cast(pa.string()), value_set=keys))
        return of_day.take(days.indices)
    return found.take(pc.index_in(values.cast(pa.string()), value_set=keys))


def _part(text: str, part: int) -> str | None:
    words = text.split()
    return words[part] if 0 <= part < len(words) else None


def _read_public(
    path: Path, dataset: Dataset, table: PublicTable, converter: Converter
) -> dict[str, pa.Array]:
    """The table's columns. Its key is proved present and unique: a join on it can then never multiply a
    row.
    """
    sheet = _read_sheet(path, dataset, table.columns, converter)
    source = table.columns[table.key].source
    key = sheet.columns[table.key].rows()
    if key.null_count:
        row = pc.index(pc.is_null(key), True).as_py()
        raise LoadValue(file=sheet.name, line=sheet.line(row), column=source)
    distinct = key.dictionary_encode()
    if len(distinct.dictionary) < len(key):
        _values, firsts = np.unique(distinct.indices.to_numpy(zero_copy_only=False), return_index=True)
        repeated = np.ones(len(key), dtype=bool)
        repeated[firsts] = False
        raise LoadValue(file=sheet.name, line=sheet.line(int(np.flatnonzero(repeated)[0])), column=source)
    return {name: coded.rows() for name, coded in sheet.columns.items()}


def _read_sheet(path: Path, dataset: Dataset, columns: Mapping[str, Column], converter: Converter) -> _Sheet:
    content = read_utf8(path, dataset.encodings)
    texts = _parse(content, path.name, columns)
    raw = {name: code(texts[name], dataset.missing) for name in columns}
    keep = _rows_to_keep(content, raw, columns)
    numbers = np.flatnonzero(keep) + 1  # the header is record 0
    if not len(numbers):
        raise LoadEmpty(file=path.name)
    if len(numbers) < len(keep):
        chosen = pa.array(numbers - 1)
        raw = {name: Coded(coded.values, coded.indices.take(chosen)) for name, coded in raw.items()}
    typed = _checked(raw, columns, converter, path.name, lambda row: line_of(content, int(numbers[row])))
    return _Sheet(path.name, content, typed, numbers)


def _checked(
    raw: Mapping[str, Coded],
    columns: Mapping[str, Column],
    converter: Converter,
    file: str,
    line: Callable[[int], int],
) -> dict[str, Coded]:
    """Typed values. Raises LoadValue, with the `line` of the row."""
    # Of all faults the one that stands first in the file is named, so that mending goes from top to bottom.
    first: tuple[int, str] | None = None
    typed: dict[str, Coded] = {}
    for name, column in columns.items():
        coded, wrong = converter.convert(raw[name], column)
        row = None if wrong is None else coded.first(wrong)
        if column.required and coded.indices.null_count:
            missing = pc.index(pc.is_null(coded.indices), True).as_py()
            row = missing if row is None else min(row, missing)
        if row is not None and (first is None or row < first[0]):
            first = (row, column.source)
        typed[name] = coded
    if first is not None:
        raise LoadValue(file=file, line=line(first[0]), column=first[1])
    return typed


def _parse(content: bytes, name: str, columns: Mapping[str, Column]) -> dict[str, pa.ChunkedArray]:
    """The kept columns as text. Raises LoadEmpty, LoadHeader, LoadTruncated."""
    header = next(records(content), (1, []))[1]
    if header is None:
        raise LoadTruncated(file=name, line=1)
    if not header:
        raise LoadEmpty(file=name)
    names = [field.strip().lstrip("\ufeff") for field in header]
    for column in columns.values():
        if names.count(column.source) != 1:
            raise LoadHeader(file=name, column=column.source)
    places = {key: f"c{names.index(column.source)}" for key, column in columns.items()}
    table = _arrow_table(content, [f"c{place}" for place in range(len(names))], sorted(set(places.values())))
    if table is None:
        raise LoadTruncated(file=name, line=line_of_wrong_width(content, len(names)))
    return {key: table[place].slice(1) for key, place in places.items()}


def _arrow_table(content: bytes, names: list[str], kept: list[str]) -> pa.Table | None:
    """All records, header included (so that a header of two lines needs no special case); None if one is
    broken.
    """
    try:
        return pacsv.read_csv(
            pa.BufferReader(content),
            read_options=pacsv.ReadOptions(column_names=names, block_size=_BLOCK),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                include_columns=kept,
                column_types=dict.fromkeys(kept, pa.string()),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        # Its message quotes the row.
        return None


def _rows_to_keep(
    content: bytes, raw: Mapping[str, Coded], columns: Mapping[str, Column]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """False for repeated headers and for rows without any value."""
    rows = len(next(iter(raw.values())).indices)
    header = np.ones(rows, dtype=bool)
    blank = np.ones(rows, dtype=bool)
    for name, column in columns.items():
        coded = raw[name]
        place = pc.index(coded.values, column.source).as_py()
        header &= pc.fill_null(pc.equal(coded.indices, place), False).to_numpy(zero_copy_only=False)
        blank &= coded.indices.is_null().to_numpy(zero_copy_only=False)
    if blank.any():
        # Only the kept columns are seen here; a row with something in another column is a row with missing
        # values.
        empty = blank_rows(content, [int(row) + 1 for row in np.flatnonzero(blank)])
        blank[:] = False
        blank[[row - 1 for row in empty]] = True
    keep: np.ndarray[tuple[int], np.dtype[np.bool_]] = ~(header | blank)
    return keep
