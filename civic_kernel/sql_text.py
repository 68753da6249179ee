"""A plan as the SQL that asks for it, so that a question found in a list can be read, copied and asked again."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SIGNS = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_MEASURES: dict[str, tuple[str, set[str]]] = {
    "count": ("count(*)", {"fn"}),
    "persons": ("count(DISTINCT person)", {"fn"}),
    "sum": ("sum({column})", {"fn", "column"}),
    "mean": ("avg({column})", {"fn", "column"}),
}


def sql_of(plan: dict[str, Any]) -> str | None:
    """One SELECT that the gateway reads as `plan`; None for weights, shares, histograms and quantiles, and for a later
    page of rows.
    """
    where = "" if plan["where"] is None else f" WHERE {_filter(plan['where'])}"
    if "rows" in plan:
        if plan["after"] is not None:
            return None
        return f"SELECT {', '.join(plan['rows'])} FROM {plan['dataset']}{where} LIMIT {plan['limit']}"
    measures: list[str] = []
    for name, measure in plan["measures"].items():
        written, fields = _MEASURES.get(str(measure.get("fn")), ("", set()))
        if set(measure) != fields:
            return None
        measures.append(f"{written.format(**measure)} AS {name}")
    keys = [_key(key) for key in plan["by"]]
    group = f" GROUP BY {', '.join(keys)}" if keys else ""
    return f"SELECT {', '.join([*keys, *measures])} FROM {plan['dataset']}{where}{group}"


def _key(key: str | dict[str, str]) -> str:
    return key if isinstance(key, str) else f"{key['fn']}({key['column']})"


def _filter(node: dict[str, Any]) -> str:
    match node:
        case {"and": parts}:
            return "(" + " AND ".join(map(_filter, parts)) + ")"
        case {"or": parts}:
            return "(" + " OR ".join(map(_filter, parts)) + ")"
        case {"not": part}:
            return f"NOT ({_filter(part)})"
    key, op = _key(node["column"]), node["op"]
    if op in ("null", "not_null"):
        return f"{key} IS {'NOT ' if op == 'not_null' else ''}NULL"
    if op == "in":
        return f"{key} IN ({', '.join(map(_value, node['values']))})"
    if op == "between":
        low, high = node["values"]
        if isinstance(high, str) and _DATE.fullmatch(high):
            # Both days belong to a plan's `between`; SQL's would end at the last day's first instant.
            after = date.fromisoformat(high) + timedelta(days=1)
            return f"({key} >= {_value(low)} AND {key} < DATE '{after}')"
        return f"{key} BETWEEN {_value(low)} AND {_value(high)}"
    return f"{key} {_SIGNS[op]} {_value(node['value'])}"


def _value(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    quoted = "'" + value.replace("'", "''") + "'"
    return f"DATE {quoted}" if _DATE.fullmatch(value) else quoted
