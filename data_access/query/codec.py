"""Plans as JSON, through a closed registry: a word that is not here is refused, never passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn, assert_never

from data_access.errors import NotOffered, PlanInvalid, RowsRefused, UnknownFunction
from data_access.query.nodes import (
    And,
    Between,
    ColumnKey,
    Compare,
    Comparison,
    Count,
    Filter,
    FunctionKey,
    GroupKey,
    Histogram,
    In,
    KeyFunction,
    Mean,
    Measure,
    Missing,
    Not,
    Or,
    Persons,
    Plan,
    Quantiles,
    Rows,
    Share,
    Sum,
    Value,
    check_name,
)

_MAX_DEPTH = 20
#: Comparisons, `and`s, `or`s and `not`s in one filter. Depth and width alone would allow 200^20 of them.
_MAX_NODES = 1000
#: Values of one `in`. Limits are set here and not on the nodes, since the canonical form may list a whole domain.
_MAX_VALUES = 1000
#: Words that are kept for later lanes (DESIGN, section 2), so that nobody takes them for a typing error.
_RESERVED = ("official_table", "extract", "grid")
#: Each measure and the words that it takes beside `fn` and `weight`.
_MEASURES: dict[str, frozenset[str]] = {
    "count": frozenset(),
    "persons": frozenset(),
    "sum": frozenset({"column"}),
    "mean": frozenset({"column"}),
    "share": frozenset({"where", "within"}),
    "histogram": frozenset({"column"}),
    "quantiles": frozenset({"column", "at"}),
}


def decode_plan(document: Any) -> Plan:
    """Raises PlanInvalid naming the place, UnknownFunction, RowsRefused, or NotOffered for a reserved word."""
    fields = _object(document, "plan")
    if "rows" in fields:
        raise RowsRefused()
    for word in _RESERVED:
        if word in fields:
            raise NotOffered(feature=word)
    _only(fields, {"dataset", "where", "by", "measures"}, "plan")
    where = fields.get("where")
    budget = iter(range(_MAX_NODES))
    measures = _object(fields.get("measures"), "measures")
    by = _list(fields.get("by", []), "by")
    try:
        # Before anything inside them is refused: a refusal names its place, and shall not repeat any text at all.
        for name in measures:
            check_name(name)
        return Plan(
            dataset=_text(fields.get("dataset"), "dataset"),
            where=None if where is None else _filter(where, "where", 0, budget),
            by=tuple(_key(entry, f"by[{i}]") for i, entry in enumerate(by)),
            measures=tuple((name, _measure(m, f"measures.{name}", budget)) for name, m in measures.items()),
        )
    except ValueError as fault:
        # The node's own sentence names a rule of the grammar, never what the asker wrote.
        raise PlanInvalid(where=str(fault)) from None


def decode_open(document: Any) -> Plan | Rows:
    """The same for the open lane: `{"rows": [columns], "limit", "after"}` may stand instead of keys and measures."""
    fields = _object(document, "plan")
    if "rows" not in fields:
        return decode_plan(fields)
    _only(fields, {"dataset", "where", "rows", "limit", "after"}, "plan")
    where, limit, after = fields.get("where"), fields.get("limit"), fields.get("after")
    if limit is not None and type(limit) is not int:
        _invalid("limit")
    try:
        return Rows(
            dataset=_text(fields.get("dataset"), "dataset"),
            where=None if where is None else _filter(where, "where", 0, iter(range(_MAX_NODES))),
            columns=tuple(_text(name, "rows") for name in _list(fields["rows"], "rows")),
            limit=limit,
            after=None if after is None else _text(after, "after"),
        )
    except ValueError as fault:
        raise PlanInvalid(where=str(fault)) from None


def _filter(document: Any, where: str, depth: int, budget: Iterator[int]) -> Filter:
    if depth > _MAX_DEPTH or next(budget, None) is None:
        _invalid(where)
    fields = _object(document, where)
    if len(fields) == 1:
        match fields:
            case {"and": parts}:
                return And(_parts(parts, f"{where}.and", depth, budget))
            case {"or": parts}:
                return Or(_parts(parts, f"{where}.or", depth, budget))
            case {"not": part}:
                return Not(_filter(part, f"{where}.not", depth + 1, budget))
    op = _text(fields.get("op"), f"{where}.op")
    if op in ("null", "not_null"):
        _only(fields, {"column", "op"}, where)
        return Missing(_text(fields.get("column"), f"{where}.column"), op == "null")
    many = op in ("in", "between")
    _only(fields, {"column", "op", "values" if many else "value"}, where)
    key = _key(fields.get("column"), f"{where}.column")
    if many:
        values = tuple(_value(v, f"{where}.values") for v in _list(fields.get("values"), f"{where}.values"))
        if op == "in" and len(values) <= _MAX_VALUES:
            return In(key, values)
        if len(values) != 2:
            _invalid(f"{where}.values")
        return Between(key, *values)
    value = _value(fields.get("value"), f"{where}.value")
    if op == "ne":
        return Not(Compare(key, Comparison.EQ, value))
    try:
        return Compare(key, Comparison(op), value)
    except ValueError:
        _invalid(f"{where}.op")


def _parts(document: Any, where: str, depth: int, budget: Iterator[int]) -> tuple[Filter, ...]:
    parts = _list(document, where)
    return tuple(_filter(p, f"{where}[{i}]", depth + 1, budget) for i, p in enumerate(parts))


def _key(document: Any, where: str) -> GroupKey:
    if isinstance(document, str):
        return ColumnKey(document)
    fields = _object(document, where)
    _only(fields, {"fn", "column"}, where)
    name = _text(fields.get("fn"), f"{where}.fn")
    try:
        function = KeyFunction(name)
    except ValueError:
        raise UnknownFunction(function=where[:80], known=", ".join(KeyFunction)) from None
    return FunctionKey(function, _text(fields.get("column"), f"{where}.column"))


def _measure(document: Any, where: str, budget: Iterator[int]) -> Measure:
    fields = _object(document, where)
    name = _text(fields.get("fn"), f"{where}.fn")
    if name not in _MEASURES:
        raise UnknownFunction(function=where[:80], known=", ".join(_MEASURES))
    _only(fields, {"fn", "weight", *_MEASURES[name]}, where)
    weight = fields.get("weight", 1)
    if type(weight) is not int:
        _invalid(f"{where}.weight")
    match name:
        case "count":
            return Count(weight)
        case "persons":
            return Persons(weight)
        case "share":
            condition = fields.get("where")
            within = _list(fields.get("within", []), f"{where}.within")
            return Share(
                None if condition is None else _filter(condition, f"{where}.where", 0, budget),
                tuple(_key(key, f"{where}.within[{i}]") for i, key in enumerate(within)),
                weight,
            )
    column = _text(fields.get("column"), f"{where}.column")
    match name:
        case "sum":
            return Sum(column, weight)
        case "mean":
            return Mean(column, weight)
        case "histogram":
            return Histogram(column, weight)
        case "quantiles":
            at = _list(fields.get("at", [25, 50, 75]), f"{where}.at")
            if any(type(q) is not int for q in at):
                _invalid(f"{where}.at")
            return Quantiles(column, tuple(at), weight)
        case _:
            raise AssertionError("every measure is decoded")


def _object(document: Any, where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        _invalid(where)
    return document


def _list(document: Any, where: str) -> list[Any]:
    if not isinstance(document, list):
        _invalid(where)
    return document


def _text(document: Any, where: str) -> str:
    if not isinstance(document, str):
        _invalid(where)
    return document


def _value(document: Any, where: str) -> Value:
    if isinstance(document, str) and len(document) <= 100:
        return document
    if type(document) is int and abs(document) < 2**53:
        return document
    _invalid(where)


def _only(fields: dict[str, Any], known: set[str], where: str) -> None:
    if not set(fields) <= known:
        _invalid(where)


def _invalid(where: str) -> NoReturn:
    # `where` is a path through the asker's own document, cut so that a hostile name cannot fill a log.
    raise PlanInvalid(where=where[:80])


def encode_plan(plan: Plan) -> dict[str, Any]:
    """The JSON document of `plan`, as it stands (see `canonical.canonical_plan` for the one true form)."""
    return {
        "dataset": plan.dataset,
        "where": None if plan.where is None else encode_filter(plan.where),
        "by": [_encode_key(key) for key in plan.by],
        "measures": {name: _encode_measure(measure) for name, measure in plan.measures},
    }


def encode_open(question: Plan | Rows) -> dict[str, Any]:
    if isinstance(question, Plan):
        return encode_plan(question)
    return {
        "dataset": question.dataset,
        "where": None if question.where is None else encode_filter(question.where),
        "rows": list(question.columns),
        "limit": question.limit,
        "after": question.after,
    }


def encode_filter(node: Filter) -> dict[str, Any]:
    match node:
        case Compare(key, op, value):
            return {"column": _encode_key(key), "op": op.value, "value": value}
        case In(key, values):
            return {"column": _encode_key(key), "op": "in", "values": list(values)}
        case Between(key, low, high):
            return {"column": _encode_key(key), "op": "between", "values": [low, high]}
        case Missing(column, holds):
            return {"column": column, "op": "null" if holds else "not_null"}
        case And(parts):
            return {"and": [encode_filter(part) for part in parts]}
        case Or(parts):
            return {"or": [encode_filter(part) for part in parts]}
        case Not(part):
            return {"not": encode_filter(part)}
        case _:
            assert_never(node)


def _encode_key(key: GroupKey) -> str | dict[str, str]:
    match key:
        case ColumnKey(column):
            return column
        case FunctionKey(fn, column):
            return {"fn": fn.value, "column": column}
        case _:
            assert_never(key)


def _encode_measure(measure: Measure) -> dict[str, Any]:
    fields: dict[str, Any]
    match measure:
        case Count():
            fields = {"fn": "count"}
        case Persons():
            fields = {"fn": "persons"}
        case Sum(column):
            fields = {"fn": "sum", "column": column}
        case Mean(column):
            fields = {"fn": "mean", "column": column}
        case Share(where, within):
            fields = {"fn": "share"}
            if where is None:
                fields["within"] = [_encode_key(key) for key in within]
            else:
                fields["where"] = encode_filter(where)
        case Histogram(column):
            fields = {"fn": "histogram", "column": column}
        case Quantiles(column, at):
            fields = {"fn": "quantiles", "column": column, "at": list(at)}
        case _:
            assert_never(measure)
    return fields if measure.weight == 1 else fields | {"weight": measure.weight}
