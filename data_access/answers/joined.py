"""The answer to a question that is keyed by the period: the rows of one signed answer for each period, joined.

Post-processing only. Every number is copied from its source, so whoever has the sources can make the same table;
what was charged is in them, and the joined answer names them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import product
from typing import Any

from data_access.answers.shelf import StoredAnswer
from data_access.canonical import Json, canonical_bytes
from data_access.clock import timestamp
from data_access.query import BoundPlan
from data_access.query.canonical_form import PERIOD
from data_access.query.nodes import key_name


def join_statement(
    bound: BoundPlan,
    parts: Mapping[str, StoredAnswer],
    *,
    policy: Mapping[str, Json],
    reservation: str,
    team: str,
    purpose: str,
    now: datetime,
    truncated: Json,
) -> bytes:
    """Canonical bytes of the statement. `parts` has the answer for each of `bound.periods`; `policy` is how the
    policy in force names itself (dataset, hash, version, titles); `truncated` what is known of the rows past the bound
    in all of the periods.

    Where parts were bought at different prices, `mechanism` is that of the least precise one: whoever computes on
    with its σ for every cell gets intervals that are too wide, never too narrow. Each row keeps its own interval.
    """
    place = bound.plan.by.index(PERIOD)
    statements = {period: json.loads(parts[period].statement) for period in bound.periods}
    roughest = statements[min(bound.periods, key=lambda period: parts[period].nano)]
    rows: list[Json] = []
    found = {
        (period, *row[: len(bound.plan.by) - 1]): row
        for period, statement in statements.items()
        for row in statement["table"]["rows"]
    }
    for keys in product(*bound.domains):
        row = found[keys[place], *keys[:place], *keys[place + 1 :]]
        rows.append([*keys, *row[len(keys) - 1 :]])
    columns: list[Json] = [{"name": key_name(key), "role": "key", "measure": None} for key in bound.plan.by]
    columns += [column for column in roughest["table"]["columns"] if column["role"] != "key"]
    statement: dict[str, Json] = {
        **{
            name: roughest[name]
            for name in ("kind", "synthetic", "lane", "unit", "row_bound", "minimum", "delta")
        },
        **policy,
        # The oldest: then `newer_data` is said as soon as one part has been loaded anew.
        "data_version": min(answer.data_version for answer in parts.values()),
        "plan": bound.document,
        "plan_id": bound.id,
        "spend": roughest["spend"],
        "team": team,
        "purpose": purpose,
        "reservation": reservation,
        "periods": list(bound.periods),
        "mechanism": roughest["mechanism"],
        "joined": [_source(period, parts[period], statements[period]) for period in bound.periods],
        "truncated_share": truncated,
        "issued_at": timestamp(now),
        "table": {"columns": columns, "rows": rows},
    }
    return canonical_bytes(statement)


def _source(period: str, answer: StoredAnswer, statement: Mapping[str, Any]) -> Json:
    return {
        "period": period,
        "answer_id": answer.id,
        "rho": statement["spend"]["rho"],
        "data_version": answer.data_version,
        "policy_hash": answer.policy_hash,
    }
