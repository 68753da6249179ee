"""From the two signed documents to what a plan may name."""

from __future__ import annotations

from data_access.catalog import Dataset
from data_access.policy.document import Policy, UnitKind
from data_access.query.schema import KeyColumn, MeasureColumn, Schema


def schema_of(policy: Policy, entry: Dataset) -> Schema:
    return Schema(
        dataset=policy.dataset,
        keys={name: KeyColumn(name, domain.values, domain.other) for name, domain in policy.keys.items()},
        time_column=entry.time_column,
        periods=policy.periods(),
        counts_persons=policy.unit.kind is UnitKind.PERSON,
        measures={n: MeasureColumn(n, clip.low, clip.high, clip.bins) for n, clip in policy.clips.items()},
    )
