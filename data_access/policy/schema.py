"""From the two signed documents to what a plan may name."""

from __future__ import annotations

from data_access.catalog import Column, ColumnType, Dataset
from data_access.policy.document import Policy, UnitKind
from data_access.query.open_schema import OpenColumn, OpenSchema, OpenType
from data_access.query.schema import KeyColumn, MeasureColumn, Schema


def schema_of(policy: Policy, entry: Dataset) -> Schema:
    return Schema(
        dataset=policy.dataset,
        keys={name: KeyColumn(name, domain.values, domain.other) for name, domain in policy.keys.items()},
        time_column=entry.timed_by,
        periods=policy.periods(),
        counts_persons=policy.unit.kind is UnitKind.PERSON,
        measures={n: MeasureColumn(n, clip.low, clip.high, clip.bins) for n, clip in policy.clips.items()},
    )


_OPEN_TYPES = {
    ColumnType.TEXT: OpenType.TEXT,
    ColumnType.PADDED_NUMBER: OpenType.TEXT,
    ColumnType.INTEGER: OpenType.INTEGER,
    ColumnType.DECIMAL: OpenType.DECIMAL,
}


def open_schema_of(entry: Dataset) -> OpenSchema:
    """Every column of an entry that names nobody (`check_catalog` refuses the others for the open lane)."""
    columns = {name: OpenColumn(name, _open_type(c), c.places or 0) for name, c in entry.columns.items()}
    columns |= {name: OpenColumn(name, OpenType.TEXT) for name in entry.derived}
    return OpenSchema(dataset=entry.id, columns=columns, time_column=entry.time_column)


def _open_type(column: Column) -> OpenType:
    if column.type is ColumnType.TIMESTAMP:
        return OpenType.DAY if column.is_day else OpenType.MOMENT
    # A column that names persons has no open type: a KeyError here, and no row.
    return _OPEN_TYPES[column.type]
