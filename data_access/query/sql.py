"""SQL as one more way of writing a plan. The text is read, translated and dropped: only compiled plans ever run.

A clause that is not understood is refused with the nearest form that is (`sql_form`), never passed over, since an
answer to part of a question is an answer to another question. What is translated becomes the JSON document of
`codec`, so that both ways of asking share one set of limits, and the same question in either is the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import exp
from sqlglot.dialects import DuckDB

from data_access.query.codec import decode_plan
from data_access.query.nodes import ColumnKey, FunctionKey, KeyFunction, Plan, key_name
from data_access.query.sql_form import (
    NAME,
    PERSON,
    Why,
    function_name,
    key_function,
    parsed,
    refuse,
    refuse_function,
    refuse_kind,
)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def decode_sql(text: str) -> Plan:
    """The plan that `text` asks for. Raises SqlRefused, or what `decode_plan` raises."""
    return decode_plan(_document(parsed(text)))


def _document(tree: exp.Select) -> dict[str, Any]:
    table = tree.args.get("from_")
    if table is None or not isinstance(table.this, exp.Table):
        refuse(Why.FROM)
    if not isinstance(table.this.this, exp.Identifier):
        refuse_kind(table.this.this)
    keys: list[str | dict[str, str]] = []
    measures: dict[str, Any] = {}
    for item in tree.expressions:
        alias = _name(item.args["alias"]) if isinstance(item, exp.Alias) else None
        node = item.this if isinstance(item, exp.Alias) else item
        if type(node) in _AGGREGATES:
            measure = _AGGREGATES[type(node)](node)
            name = alias or str(measure["fn"])
            if name in measures:
                refuse(Why.SELECT_LIST)
            measures[name] = measure
        else:
            key = _key(node)
            if alias is not None and alias != _heading(key):
                refuse(Why.KEY_ALIAS)
            keys.append(key)
    if not measures:
        refuse(Why.NO_MEASURE)
    group = tree.args.get("group")
    grouped = [_key(node) for node in group.expressions] if group is not None else []
    if sorted(map(str, keys)) != sorted(map(str, grouped)):
        refuse(Why.KEYS_DIFFER)
    where = tree.args.get("where")
    return {
        "dataset": _name(table.this.this),
        "where": None if where is None else _filter(where.this),
        "by": keys,
        "measures": measures,
    }


def _count(node: exp.Expr) -> dict[str, Any]:
    match node.this:
        case exp.Star():
            return {"fn": "count"}
        case exp.Distinct(expressions=[exp.Column() as column]) if _name(column.this) == PERSON:
            return {"fn": "persons"}
    refuse(Why.COUNT_FORM)


def _of_column(fn: str) -> Callable[[exp.Expr], dict[str, Any]]:
    def measure(node: exp.Expr) -> dict[str, Any]:
        if not isinstance(node.this, exp.Column):
            refuse_function(function_name(node))
        return {"fn": fn, "column": _name(node.this.this)}

    return measure


#: Each aggregate that may be written: node type -> its measure in the plan; `sql_form` lists how each is written.
_AGGREGATES: dict[type[exp.Expr], Callable[[exp.Expr], dict[str, Any]]] = {
    exp.Count: _count,
    exp.Sum: _of_column("sum"),
    exp.Avg: _of_column("mean"),
}


def _key(node: exp.Expr) -> str | dict[str, str]:
    if isinstance(node, exp.Column):
        if isinstance(node.this, exp.Star):
            refuse(Why.STAR)
        return _name(node.this)
    function = key_function(node)
    if function is not None:
        arguments = node.expressions if isinstance(node, exp.Anonymous) else [node.this]
        if len(arguments) == 1 and isinstance(arguments[0], exp.Column):
            return {"fn": function.value, "column": _name(arguments[0].this)}
        refuse_function(function.value)
    if isinstance(node, exp.Star):
        refuse(Why.STAR)
    refuse(Why.SELECT_LIST)


def _heading(key: str | dict[str, str]) -> str:
    """The key's column in the answer."""
    node = ColumnKey(key) if isinstance(key, str) else FunctionKey(KeyFunction(key["fn"]), key["column"])
    return key_name(node)


def _name(node: Any) -> str:
    """A plain name. Quotes change nothing, so they may not hide a word of SQL either."""
    if not isinstance(node, exp.Identifier):
        refuse(Why.NAME)
    text = str(node.this)
    if node.args.get("quoted"):
        if text.upper() in DuckDB.Tokenizer.KEYWORDS:
            refuse(Why.NAME)
    else:
        text = text.lower()
    if not NAME.fullmatch(text):
        refuse(Why.NAME)
    return text


_OPERATIONS: dict[type[exp.Expr], str] = {
    exp.EQ: "eq",
    exp.NEQ: "ne",
    exp.LT: "lt",
    exp.LTE: "le",
    exp.GT: "gt",
    exp.GTE: "ge",
}
#: `18 <= hour(t)` is `hour(t) >= 18`.
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def _filter(node: exp.Expr) -> dict[str, Any]:
    match node:
        case exp.Paren():
            return _filter(node.this)
        case exp.Not():
            return {"not": _filter(node.this)}
        case exp.And() | exp.Or():
            word = "and" if isinstance(node, exp.And) else "or"
            return {word: [_filter(part) for part in _joined(node)]}
        case exp.Is() if isinstance(node.expression, exp.Null):
            return {"column": _key(node.this), "op": "null"}
        case exp.In():
            return {
                "column": _key(node.this),
                "op": "in",
                "values": [_value(each) for each in node.expressions],
            }
        case exp.Between():
            ends = [_value(node.args["low"]), _value(node.args["high"])]
            # In SQL a day is its first instant, so the last day would be left out; in a plan it belongs to it.
            if any(isinstance(end, str) and _DATE.fullmatch(end) for end in ends):
                refuse(Why.DATE_BETWEEN)
            return {"column": _key(node.this), "op": "between", "values": ends}
    op = _OPERATIONS.get(type(node))
    if op is None:
        refuse(Why.CONDITION)
    left, right = node.this, node.expression
    if isinstance(left, exp.Literal | exp.Cast):
        left, right, op = right, left, _MIRRORED[op]
    return {"column": _key(left), "op": op, "value": _value(right)}


def _joined(node: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of `a AND b AND c`, in order, without a call for each: a chain is as deep as it is long."""
    kind, waiting = type(node), [node]
    while waiting:
        found = waiting.pop()
        if type(found) is kind:
            waiting += [found.expression, found.this]
        else:
            yield found


def _value(node: exp.Expr) -> str | int:
    match node:
        case exp.Literal(is_string=True):
            return str(node.this)
        case exp.Literal() if re.fullmatch(r"[0-9]{1,15}", str(node.this)):
            return int(node.this)
        case exp.Cast() if isinstance(node.this, exp.Literal) and node.this.is_string:
            if node.to.this is exp.DType.DATE:
                return str(node.this.this)
            refuse(Why.CAST)
        case exp.Cast():
            refuse(Why.CAST)
        case exp.Null():
            refuse(Why.NULL)
    refuse(Why.VALUE)
