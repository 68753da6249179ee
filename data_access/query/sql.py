"""SQL as one more way of writing a plan. The text is read, translated and dropped: only compiled plans ever run.

An allow-list of node types, of the arguments of each, and of functions. A clause that is not understood is
refused with the nearest form that is, never passed over, since an answer to part of a question is an answer to
another question. What is translated becomes the JSON document of `codec`, so that both ways of asking share one
set of limits, and the same question in either is the same bytes.

sqlglot, three traps: the dialect is always named (the generic grammar reads other languages than DuckDB's); the
error level is a member of its enum (a string is silently ignored); and it logs the text of a statement that it
does not know, which is why its logger is silenced here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, NoReturn

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.dialects import DuckDB
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError

from data_access.errors import Phrase, SqlRefused
from data_access.query.codec import decode_plan
from data_access.query.nodes import ColumnKey, FunctionKey, KeyFunction, Plan, key_name

logging.getLogger("sqlglot").setLevel(logging.CRITICAL + 1)

DIALECT = "duckdb"
MAX_CHARACTERS = 20_000
#: The parser calls itself once for each bracket and each prefix operator; counted before it starts.
_MAX_TOKENS, _MAX_DEPTH = 5_000, 40
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
#: The word that stands for the protected person in `count(DISTINCT person)`; the source's own column is no name here.
PERSON = "person"


class Why(StrEnum):
    """What is wrong; `<why>.reason` and `<why>.hint` are its sentences in the texts `sql`."""

    UNREADABLE = "unreadable"
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    ONE_STATEMENT = "one_statement"
    ONLY_SELECT = "only_select"
    HINT = "hint"
    STAR = "star"
    DISTINCT = "distinct"
    FROM = "from"
    SCHEMA = "schema"
    TABLE_ALIAS = "table_alias"
    QUALIFIED = "qualified"
    NAME = "name"
    JOIN = "join"
    CTE = "cte"
    SUBQUERY = "subquery"
    UNION = "union"
    WINDOW = "window"
    HAVING = "having"
    SORT = "sort"
    NULL = "null"
    PATTERN = "pattern"
    CASE = "case"
    CAST = "cast"
    ARITHMETIC = "arithmetic"
    FUNCTION = "function"
    DAY_OF_WEEK = "day_of_week"
    COUNT_FORM = "count_form"
    SELECT_LIST = "select_list"
    KEYS_DIFFER = "keys_differ"
    KEY_ALIAS = "key_alias"
    NO_MEASURE = "no_measure"
    GROUPING = "grouping"
    CONDITION = "condition"
    VALUE = "value"
    DATE_BETWEEN = "date_between"
    CLAUSE = "clause"


def decode_sql(text: str) -> Plan:
    """The plan that `text` asks for. Raises SqlRefused, or what `decode_plan` raises."""
    return decode_plan(_document(_parsed(text)))


def _refuse(why: Why, **facts: str | int) -> NoReturn:
    # `from None` at every caller in an `except`: sqlglot's own errors quote the text.
    pairs = tuple(facts.items())
    raise SqlRefused(
        reason=Phrase("sql", f"{why}.reason", pairs), hint=Phrase("sql", f"{why}.hint", pairs)
    ) from None


# --- describing: one statement, made only of what is listed here ---

_COMPARED = frozenset({"this", "expression"})
#: node type -> the arguments that it may have. `type(node)` is looked up: a subclass is another operation.
_ALLOWED: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: frozenset({"expressions", "from_", "where", "group"}),
    exp.From: frozenset({"this"}),
    exp.Table: frozenset({"this"}),
    exp.Identifier: frozenset({"this", "quoted"}),
    exp.Column: frozenset({"this"}),
    exp.Where: frozenset({"this"}),
    exp.Group: frozenset({"expressions"}),
    exp.Alias: frozenset({"this", "alias"}),
    exp.Count: frozenset({"this", "big_int"}),
    exp.Sum: frozenset({"this"}),
    exp.Avg: frozenset({"this"}),
    exp.Star: frozenset(),
    exp.Distinct: frozenset({"expressions"}),
    exp.Literal: frozenset({"this", "is_string"}),
    exp.And: _COMPARED,
    exp.Or: _COMPARED,
    exp.Not: frozenset({"this"}),
    exp.Paren: frozenset({"this"}),
    exp.EQ: _COMPARED,
    exp.NEQ: _COMPARED,
    exp.LT: _COMPARED,
    exp.LTE: _COMPARED,
    exp.GT: _COMPARED,
    exp.GTE: _COMPARED,
    exp.Between: frozenset({"this", "low", "high"}),
    exp.In: frozenset({"this", "expressions"}),
    exp.Is: _COMPARED,
    exp.Null: frozenset(),
    exp.Cast: frozenset({"this", "to"}),
    exp.DataType: frozenset({"this"}),
}
#: Arguments of an allowed node that have a reason of their own.
_ARGUMENTS: dict[str, Why] = {
    "joins": Why.JOIN,
    "laterals": Why.JOIN,
    "with_": Why.CTE,
    "distinct": Why.DISTINCT,
    "having": Why.HAVING,
    "qualify": Why.WINDOW,
    "windows": Why.WINDOW,
    "order": Why.SORT,
    "limit": Why.SORT,
    "offset": Why.SORT,
    "hint": Why.HINT,
    "alias": Why.TABLE_ALIAS,
    "db": Why.SCHEMA,
    "catalog": Why.SCHEMA,
    "table": Why.QUALIFIED,
    "query": Why.SUBQUERY,
    "cube": Why.GROUPING,
    "rollup": Why.GROUPING,
    "grouping_sets": Why.GROUPING,
    "totals": Why.GROUPING,
    "all": Why.GROUPING,
    "except_": Why.STAR,
    "replace": Why.STAR,
    "rename": Why.STAR,
}
#: Node types that have a reason of their own, the narrower first.
_KINDS: tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], Why], ...] = (
    (exp.SetOperation, Why.UNION),
    ((exp.Subquery, exp.Exists), Why.SUBQUERY),
    ((exp.With, exp.CTE), Why.CTE),
    (exp.Join, Why.JOIN),
    ((exp.Window, exp.Qualify), Why.WINDOW),
    (exp.Having, Why.HAVING),
    ((exp.Cube, exp.Rollup, exp.GroupingSets), Why.GROUPING),
    ((exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Fetch), Why.SORT),
    (exp.Filter, Why.COUNT_FORM),
    ((exp.Like, exp.ILike, exp.RegexpLike, exp.SimilarTo, exp.Glob), Why.PATTERN),
    ((exp.Case, exp.If), Why.CASE),
    (exp.Cast, Why.CAST),
    ((exp.DayOfWeek, exp.DayOfWeekIso), Why.DAY_OF_WEEK),
    (exp.AggFunc, Why.FUNCTION),
    (exp.Func, Why.FUNCTION),
    ((exp.Binary, exp.Neg, exp.Boolean), Why.ARITHMETIC),
)


def _parsed(text: str) -> exp.Select:
    if len(text) > MAX_CHARACTERS:
        _refuse(Why.TOO_LONG, most=MAX_CHARACTERS)
    try:
        _check_tokens(text)
        found = sqlglot.parse(text, read=DIALECT, error_level=ErrorLevel.RAISE)
    except ParseError as fault:
        place = fault.errors[0] if fault.errors else {}
        _refuse(Why.UNREADABLE, line=int(place.get("line") or 1), column=int(place.get("col") or 1))
    except RecursionError:
        _refuse(Why.TOO_DEEP)
    except (SqlglotError, ValueError, AttributeError, TypeError, KeyError, IndexError):
        # A parser of other people's languages has corners; none of them may become a fault of the gateway.
        _refuse(Why.UNREADABLE, line=1, column=1)
    statements = [each for each in found if each is not None]
    if len(statements) != 1:
        _refuse(Why.ONE_STATEMENT)
    [tree] = statements
    if not isinstance(tree, exp.Select):
        _refuse(Why.UNION if isinstance(tree, exp.SetOperation) else Why.ONLY_SELECT)
    for node in tree.bfs():
        _check_node(node)
    return tree


def _check_tokens(text: str) -> None:
    depth = 0
    tokens = DuckDB.Tokenizer().tokenize(text)
    if len(tokens) > _MAX_TOKENS:
        _refuse(Why.TOO_LONG, most=MAX_CHARACTERS)
    for token in tokens:
        # DuckDB has no hints, and reads them as comments; whoever writes one expects that it does something.
        if any(comment.startswith("+") for comment in token.comments):
            _refuse(Why.HINT)
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth > _MAX_DEPTH:
            _refuse(Why.TOO_DEEP)


def _check_node(node: exp.Expr) -> None:
    allowed = _ALLOWED.get(type(node))
    if allowed is None:
        if _key_function(node) is None:
            _refuse_kind(node)
        return
    for name, value in node.args.items():
        if name not in allowed and value not in (None, False, []):
            _refuse(_ARGUMENTS.get(name, Why.CLAUSE))


def _refuse_kind(node: exp.Expr) -> NoReturn:
    for kinds, why in _KINDS:
        if isinstance(node, kinds):
            if why is Why.FUNCTION:
                _refuse_function(_function_name(node))
            _refuse(why)
    _refuse(Why.CLAUSE)


def _refuse_function(name: str) -> NoReturn:
    if name in ("dayofweek", "isodow"):
        _refuse(Why.DAY_OF_WEEK)
    known = ", ".join([*_FORMS, *(f"{fn.value}(…)" for fn in KeyFunction)])
    _refuse(Why.FUNCTION, function=name if _NAME.fullmatch(name) else "?", known=known)


# --- translating ---


def _document(tree: exp.Select) -> dict[str, Any]:
    table = tree.args.get("from_")
    if table is None or not isinstance(table.this, exp.Table):
        _refuse(Why.FROM)
    if not isinstance(table.this.this, exp.Identifier):
        _refuse_kind(table.this.this)
    keys: list[str | dict[str, str]] = []
    measures: dict[str, Any] = {}
    for item in tree.expressions:
        alias = _name(item.args["alias"]) if isinstance(item, exp.Alias) else None
        node = item.this if isinstance(item, exp.Alias) else item
        if type(node) in _AGGREGATES:
            measure = _AGGREGATES[type(node)](node)
            name = alias or str(measure["fn"])
            if name in measures:
                _refuse(Why.SELECT_LIST)
            measures[name] = measure
        else:
            key = _key(node)
            if alias is not None and alias != _heading(key):
                _refuse(Why.KEY_ALIAS)
            keys.append(key)
    if not measures:
        _refuse(Why.NO_MEASURE)
    group = tree.args.get("group")
    grouped = [_key(node) for node in group.expressions] if group is not None else []
    if sorted(map(str, keys)) != sorted(map(str, grouped)):
        _refuse(Why.KEYS_DIFFER)
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
    _refuse(Why.COUNT_FORM)


def _of_column(fn: str) -> Callable[[exp.Expr], dict[str, Any]]:
    def measure(node: exp.Expr) -> dict[str, Any]:
        if not isinstance(node.this, exp.Column):
            _refuse_function(_function_name(node))
        return {"fn": fn, "column": _name(node.this.this)}

    return measure


#: Each aggregate that may be written: node type -> its measure in the plan; how it is written stands in `_FORMS`.
_AGGREGATES: dict[type[exp.Expr], Callable[[exp.Expr], dict[str, Any]]] = {
    exp.Count: _count,
    exp.Sum: _of_column("sum"),
    exp.Avg: _of_column("mean"),
}
_FORMS = ("count(*)", f"count(DISTINCT {PERSON})", "sum(…)", "avg(…)")


def _key(node: exp.Expr) -> str | dict[str, str]:
    if isinstance(node, exp.Column):
        if isinstance(node.this, exp.Star):
            _refuse(Why.STAR)
        return _name(node.this)
    function = _key_function(node)
    if function is not None:
        arguments = node.expressions if isinstance(node, exp.Anonymous) else [node.this]
        if len(arguments) == 1 and isinstance(arguments[0], exp.Column):
            return {"fn": function.value, "column": _name(arguments[0].this)}
        _refuse_function(function.value)
    if isinstance(node, exp.Star):
        _refuse(Why.STAR)
    _refuse(Why.SELECT_LIST)


def _heading(key: str | dict[str, str]) -> str:
    """The key's column in the answer."""
    node = ColumnKey(key) if isinstance(key, str) else FunctionKey(KeyFunction(key["fn"]), key["column"])
    return key_name(node)


def _key_function(node: exp.Expr) -> KeyFunction | None:
    """The transform that `node` calls, by the name that it is written with."""
    if not isinstance(node, exp.Func) or (
        set(name for name, value in node.args.items() if value) - {"this", "expressions"}
    ):
        return None
    try:
        return KeyFunction(_function_name(node))
    except ValueError:
        return None


def _function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else "?"


def _name(node: Any) -> str:
    """A plain name. Quotes change nothing, so they may not hide a word of SQL either."""
    if not isinstance(node, exp.Identifier):
        _refuse(Why.NAME)
    text = str(node.this)
    if node.args.get("quoted"):
        if text.upper() in DuckDB.Tokenizer.KEYWORDS:
            _refuse(Why.NAME)
    else:
        text = text.lower()
    if not _NAME.fullmatch(text):
        _refuse(Why.NAME)
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
                _refuse(Why.DATE_BETWEEN)
            return {"column": _key(node.this), "op": "between", "values": ends}
    op = _OPERATIONS.get(type(node))
    if op is None:
        _refuse(Why.CONDITION)
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
            _refuse(Why.CAST)
        case exp.Cast():
            _refuse(Why.CAST)
        case exp.Null():
            _refuse(Why.NULL)
    _refuse(Why.VALUE)
