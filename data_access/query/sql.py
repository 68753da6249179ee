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

from data_access.query.codec import decode_open, decode_plan
from data_access.query.nodes import EVERY_COLUMN, ColumnKey, FunctionKey, KeyFunction, Plan, Rows, key_name
from data_access.query.sql_form import (
    NAME,
    PERSON,
    Why,
    check_nodes,
    function_name,
    key_function,
    parsed,
    refuse,
    refuse_function,
    refuse_kind,
)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
#: How a written value is read; the open lane knows more of them.
ReadValue = Callable[[exp.Expr], str | int]


def decode_sql(text: str) -> Plan:
    """The plan that `text` asks for. Raises SqlRefused, or what `decode_plan` raises."""
    tree = parsed(text)
    check_nodes(tree, open_lane=False)
    return decode_plan(_aggregates(tree, _value))


def decode_open_sql(text: str) -> Plan | Rows:
    """The same for an open dataset, whose rows may be selected too. Raises SqlRefused, or what `decode_open` raises."""
    tree = parsed(text)
    check_nodes(tree, open_lane=True)
    counts = any(isinstance(node, exp.AggFunc) for node in tree.find_all(exp.AggFunc))
    if counts or tree.args.get("group") is not None:
        if tree.args.get("limit") is not None:
            refuse(Why.SORT)
        return decode_open(_aggregates(tree, _open_value))
    return decode_open(_rows(tree))


def named_dataset(text: str) -> str | None:
    """What stands after FROM, whatever else is wrong; None where that is no plain name. Raises SqlRefused."""
    table = parsed(text).args.get("from_")
    name = table.this.this if table is not None and isinstance(table.this, exp.Table) else None
    return _name(name) if isinstance(name, exp.Identifier) else None


def _dataset(tree: exp.Select) -> str:
    table = tree.args.get("from_")
    if table is None or not isinstance(table.this, exp.Table):
        refuse(Why.FROM)
    if not isinstance(table.this.this, exp.Identifier):
        refuse_kind(table.this.this)
    return _name(table.this.this)


def _rows(tree: exp.Select) -> dict[str, Any]:
    columns: list[str] = []
    for item in tree.expressions:
        node = item.this if isinstance(item, exp.Alias) else item
        if isinstance(node, exp.Star):
            columns.append(EVERY_COLUMN)
        elif not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            refuse(Why.ROW_LIST)
        else:
            columns.append(_name(node.this))
        if isinstance(item, exp.Alias) and _name(item.args["alias"]) != columns[-1]:
            refuse(Why.KEY_ALIAS)
    where, limit = tree.args.get("where"), tree.args.get("limit")
    return {
        "dataset": _dataset(tree),
        "where": None if where is None else _filter(where.this, _open_value),
        "rows": columns,
        "limit": None if limit is None else _value(limit.expression),
    }


def _aggregates(tree: exp.Select, value: ReadValue) -> dict[str, Any]:
    dataset = _dataset(tree)
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
    group = tree.args.get("group")
    if not measures:
        refuse(Why.ROWS if group is None else Why.NO_MEASURE)
    grouped = [_key(node) for node in group.expressions] if group is not None else []
    if sorted(map(str, keys)) != sorted(map(str, grouped)):
        refuse(Why.KEYS_DIFFER)
    where = tree.args.get("where")
    return {
        "dataset": dataset,
        "where": None if where is None else _filter(where.this, value),
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


def _filter(node: exp.Expr, value: ReadValue) -> dict[str, Any]:
    match node:
        case exp.Paren():
            return _filter(node.this, value)
        case exp.Not():
            return {"not": _filter(node.this, value)}
        case exp.And() | exp.Or():
            word = "and" if isinstance(node, exp.And) else "or"
            return {word: [_filter(part, value) for part in _joined(node)]}
        case exp.Is() if isinstance(node.expression, exp.Null):
            return {"column": _key(node.this), "op": "null"}
        case exp.In():
            return {
                "column": _key(node.this),
                "op": "in",
                "values": [value(each) for each in node.expressions],
            }
        case exp.Between():
            ends = [value(node.args["low"]), value(node.args["high"])]
            # In SQL a day is its first instant, so the last day would be left out; in a plan it belongs to it.
            if any(isinstance(end, str) and _DATE.fullmatch(end) for end in ends):
                refuse(Why.DATE_BETWEEN)
            return {"column": _key(node.this), "op": "between", "values": ends}
    op = _OPERATIONS.get(type(node))
    if op is None:
        refuse(Why.CONDITION)
    left, right = node.this, node.expression
    if isinstance(left, exp.Literal | exp.Cast | exp.Neg):
        left, right, op = right, left, _MIRRORED[op]
    return {"column": _key(left), "op": op, "value": value(right)}


def _joined(node: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of `a AND b AND c`, in order, without a call for each: a chain is as deep as it is long."""
    kind, waiting = type(node), [node]
    while waiting:
        found = waiting.pop()
        if type(found) is kind:
            waiting += [found.expression, found.this]
        else:
            yield found


def _open_value(node: exp.Expr) -> str | int:
    """Numbers below zero and decimals too; a decimal travels as its text, since a float has no canonical form."""
    number = node.this if isinstance(node, exp.Neg) else node
    if isinstance(number, exp.Literal) and _NUMBER.fullmatch(str(number.this)) and not number.is_string:
        spelled = f"{'-' if number is not node else ''}{number.this}"
        return spelled if "." in spelled else int(spelled)
    if number is not node:
        refuse(Why.ARITHMETIC)
    return _value(node)


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
