"""Text to typed values, once for each distinct text.

A column is dictionary-coded first: a month of rides has 2,700 station numbers and two sexes, so checking and
casting the distinct texts costs a fraction of doing it row by row, and the same code serves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from data_access.catalog import Column, ColumnType

# Arrow's own cast takes `0x1F` for an integer and `nan` for a number, hence the patterns. The digit limits
# keep every value inside int64 and inside the exact integers of a double.
_PATTERNS = {
    ColumnType.INTEGER: r"^[+-]?[0-9]{1,18}$",
    ColumnType.DECIMAL: r"^[+-]?([0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9})$",
    ColumnType.PADDED_NUMBER: r"^[0-9]{1,18}$",
    # DuckDB's strptime takes the words `infinity` and `epoch` whatever the format says.
    ColumnType.TIMESTAMP: r"^[0-9]",
}

#: A comma between thousands and nowhere else: `1,23` is no number, and neither is `12,345,6`.
_THOUSANDS = r"^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?$"
#: Digits of a decimal with declared places: as a whole number of its last place it still is an int64.
_DIGITS = 18
_ARROW_TYPES = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.DECIMAL: pa.float64(),
    ColumnType.PADDED_NUMBER: pa.string(),
    ColumnType.TIMESTAMP: pa.timestamp("us"),
    ColumnType.PERSON: pa.string(),
}


def arrow_type(column: Column) -> pa.DataType:
    """The type of a kept column's values."""
    return _ARROW_TYPES[column.type] if column.places is None else pa.decimal128(_DIGITS, column.places)


@dataclass(frozen=True)
class Coded:
    """A column as distinct `values` and, for every row, an index into them (null for a missing value)."""

    values: pa.Array
    indices: pa.Array

    def rows(self) -> pa.Array:
        return self.values.take(self.indices)

    def first(self, chosen: pa.Array) -> int | None:
        """The first row whose value `chosen` (booleans beside `values`) marks."""
        place: int = pc.index(chosen.take(self.indices), True).as_py()
        return None if place < 0 else place

    def with_values(self, values: pa.Array) -> Coded:
        return Coded(values, self.indices)


def code(texts: pa.ChunkedArray, null: str) -> Coded:
    """Trim, turn the null text and the empty one into nulls, and code what is left."""
    coded = pc.dictionary_encode(texts).combine_chunks()
    if isinstance(coded, pa.ChunkedArray):  # no rows at all, or an Arrow that keeps one chunk
        coded = coded.chunk(0) if coded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    values = pc.utf8_trim_whitespace(coded.dictionary)
    missing = pc.is_in(values, value_set=pa.array(["", null]))
    # Texts that differ only in blanks around them are one value from here on.
    merged = pc.if_else(missing, pa.scalar(None, pa.string()), values).dictionary_encode()
    return Coded(merged.dictionary, merged.indices.take(coded.indices))


def code_typed(column: pa.Array) -> Coded:
    """A column that is no text, as it is."""
    if pa.types.is_nested(column.type):
        # Lists and structures are of no kind that a catalog has; nor is a boolean.
        column = pc.is_valid(column)
    coded = pc.dictionary_encode(column)
    return Coded(coded.dictionary, coded.indices)


def typed(coded: Coded, column: Column) -> tuple[Coded, pa.Array | None]:
    """As `Converter.convert`, of values that a file holds typed: whole numbers for integers and for what names
    something (`text`, `padded_number`, `person`), any number for decimals, moments without a zone for timestamps. What
    is not of its column's kind is marked, and so is what the text of a CSV file could not say either.
    """
    values, kind = coded.values, coded.values.type
    if not len(values):
        return coded.with_values(pa.array([], arrow_type(column))), None
    whole = pa.types.is_integer(kind)
    number = whole or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    good: Any = None
    match column.type:
        case ColumnType.INTEGER if whole:
            good = _between(values, -(10**18) + 1, 10**18 - 1)
            values = pc.cast(values, pa.int64(), safe=False)
        case ColumnType.DECIMAL if number and column.places is not None:
            exact = [_exact(value, column.places) for value in values.to_pylist()]
            good = pa.array([value is not None for value in exact], pa.bool_())
            values = pa.array(exact, arrow_type(column))
        case ColumnType.DECIMAL if number:
            values = pc.cast(values, pa.float64(), safe=False)
            good = pc.and_(pc.is_finite(values), _between(values, -(10**15), 10**15))
        case ColumnType.TIMESTAMP if pa.types.is_timestamp(kind) and kind.tz is None:
            values = pc.cast(values, pa.timestamp("us"), safe=False)
            good = _between(pc.year(values), 1, 9999)
        case ColumnType.TEXT | ColumnType.PERSON | ColumnType.PADDED_NUMBER if whole:
            good = _between(values, 0 if column.type is ColumnType.PADDED_NUMBER else -(10**18), 10**18 - 1)
            values = pc.cast(values, pa.string())
        case _:
            good = pa.array([False] * len(values), pa.bool_())
    wrong = pc.invert(good)
    return (coded, wrong) if pc.any(wrong).as_py() else (coded.with_values(values), None)


def _exact(value: int | float | Decimal, places: int) -> Decimal | None:
    """The number with so many places; a double counts as the shortest text that means it. None where it has more
    places or digits.
    """
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number) >= 10 ** (_DIGITS - places):
        return None
    step = Decimal(1).scaleb(-places)
    rounded = number.quantize(step)
    return rounded if rounded == number else None


def _between(values: pa.Array, low: int, high: int) -> pa.Array:
    if values.type == pa.uint64():
        # Arrow would compare as int64, where such a value may have no place.
        ends = [pa.scalar(max(0, end), pa.uint64()) for end in (low, high)]
    else:
        # Smaller integers have no place for the ends.
        values = pc.cast(values, pa.int64()) if pa.types.is_integer(values.type) else values
        ends = [pa.scalar(end, values.type) for end in (low, high)]
    return pc.and_(pc.greater_equal(values, ends[0]), pc.less_equal(values, ends[1]))


class Converter:
    """Holds the DuckDB connection that parses dates: pyarrow's strptime rolls 30 February into March."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "enable_external_access": "false",
                "python_enable_replacements": "false",
                "temp_directory": "",
                "threads": "2",
            },
        )

    def close(self) -> None:
        self._connection.close()

    def convert(self, coded: Coded, column: Column) -> tuple[Coded, pa.Array | None]:
        """Typed values and, where some text is no such value, booleans beside `coded.values` that mark
        them.
        """
        texts = coded.values
        if not pa.types.is_string(texts.type):
            return typed(coded, column)
        if column.thousands is not None:
            grouped = pc.match_substring_regex(texts, _THOUSANDS)
            texts = pc.if_else(grouped, pc.replace_substring(texts, column.thousands, ""), texts)
        pattern = _PATTERNS.get(column.type)
        good = pc.match_substring_regex(texts, pattern) if pattern else None
        if good is not None and not pc.all(good).as_py():
            return coded, pc.invert(good)
        match column.type:
            case ColumnType.TEXT | ColumnType.PERSON:
                return coded, None
            case ColumnType.PADDED_NUMBER:
                bare = pc.ascii_ltrim(texts, characters="0")
                values = pc.if_else(pc.equal(bare, ""), "0", bare)
            case ColumnType.INTEGER:
                values = pc.cast(pc.ascii_ltrim(texts, characters="+"), pa.int64())
            case ColumnType.DECIMAL if column.places is not None:
                digits = rf"^[+-]?0*[0-9]{{0,{_DIGITS - column.places}}}(\.[0-9]{{0,{column.places}}}0*)?$"
                fits = pc.match_substring_regex(texts, digits)
                if not pc.all(fits).as_py():
                    return coded, pc.invert(fits)
                bare = pc.ascii_ltrim(texts, characters="+")
                # Zeros past the places say nothing, and Arrow calls leaving them out a loss.
                bare = pc.replace_substring_regex(bare, rf"(\.[0-9]{{{column.places}}})0+$", r"\1")
                values = pc.cast(bare, arrow_type(column))
            case ColumnType.DECIMAL:
                values = pc.cast(pc.ascii_ltrim(texts, characters="+"), pa.float64())
            case ColumnType.TIMESTAMP:
                values = self._timestamps(texts, list(column.formats))
                # DuckDB knows a year 0, which no calendar of a city does.
                good = pc.fill_null(_between(pc.year(values), 1, 9999), False)
                if not pc.all(good).as_py():
                    return coded, pc.invert(good)
        return coded.with_values(values), None

    def _timestamps(self, texts: pa.Array, formats: list[str]) -> pa.Array:
        self._connection.register("texts", pa.table({"text": texts, "place": pa.array(range(len(texts)))}))
        parsed: Any = self._connection.execute(
            "SELECT try_strptime(text, ?) AS moment FROM texts ORDER BY place", [formats]
        ).to_arrow_table()
        self._connection.unregister("texts")
        return _one_chunk(parsed["moment"].cast(pa.timestamp("us")))


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
