"""Parquet as warehouses write it: the columns of the CSV files under the same names, some of them typed already.

A column of text follows the rules of text in a CSV file, formats and missing text included; whole numbers,
numbers and moments are taken where the catalog expects such (`values.typed`). Read in pieces, so that a file may
be larger than memory. The `line` of a refusal is the row's number, from 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_access.catalog import Column
from data_access.errors import LoadEmpty, LoadHeader, LoadTruncated, LoadValue
from data_access.intake.values import Coded, code, code_typed

_ROWS = 1_000_000


def is_parquet(path: Path) -> bool:
    return path.suffix.lower() == ".parquet"


def read_pieces(
    path: Path, columns: Mapping[str, Column], missing: str
) -> Iterator[tuple[int, dict[str, Coded]]]:
    """(rows before the piece, its columns by their catalog names), in the file's order.

    Raises LoadEmpty, LoadHeader, LoadTruncated (not Parquet, or cut off) and LoadValue (text that is no text).
    """
    file = _opened(path)
    if file is None:
        raise LoadTruncated(file=path.name, line=1)
    with file:
        names = file.schema_arrow.names
        for column in columns.values():
            if names.count(column.source) != 1:
                raise LoadHeader(file=path.name, column=column.source)
        if not file.metadata.num_rows:
            raise LoadEmpty(file=path.name)
        batches = file.iter_batches(_ROWS, columns=[column.source for column in columns.values()])
        before = 0
        while (batch := _next(batches)) is not None:
            if isinstance(batch, bool):
                raise LoadTruncated(file=path.name, line=before + 1)
            coded: dict[str, Coded] = {}
            for name, column in columns.items():
                found = _coded(batch.column(column.source), missing)
                if found is None:
                    raise LoadValue(file=path.name, line=before + 1, column=column.source)
                coded[name] = found
            yield before, coded
            before += batch.num_rows


def _opened(path: Path) -> pq.ParquetFile | None:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError):
        return None


def _next(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | bool | None:
    """None at the end, False where the file cannot be read on: Arrow's message may hold bytes of it."""
    try:
        return next(batches, None)
    except (pa.ArrowException, OSError):
        return False


def _coded(column: pa.Array, missing: str) -> Coded | None:
    """None where text is not UTF-8."""
    if pa.types.is_dictionary(column.type):
        # Decoded: a dictionary may hold values that no row has, which would be checked all the same.
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return code_typed(column)
    coded = pc.dictionary_encode(column.cast(pa.string()))
    try:
        coded.dictionary.validate(full=True)
    except pa.ArrowInvalid:
        return None
    return code(pa.chunked_array([coded]), missing)
