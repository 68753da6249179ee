"""What an SQL text may be made of: one SELECT of listed node types, arguments and functions, and why not otherwise.

sqlglot, three traps: the dialect is always named (the generic grammar reads other languages than DuckDB's); the
error level is a member of its enum (a string is silently ignored); and it logs the text of a statement that it
does not know, which is why its logger is silenced here.
"""

from __future__ import annotations

import logging
import re
from enum import StrEnum
from typing import NoReturn

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.dialects import DuckDB
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError

from data_access.errors import Phrase, SqlRefused
from data_access.query.nodes import KeyFunction

logging.getLogger("sqlglot").setLevel(logging.CRITICAL + 1)

DIALECT = "duckdb"
MAX_CHARACTERS = 20_000
#: The parser calls itself once for each bracket and each prefix operator; counted before it starts.
_MAX_TOKENS, _MAX_DEPTH = 5_000, 40
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: The word that stands for the protected person in `count(DISTINCT person)`; the source's own column is no name here.
PERSON = "person"
#: How each aggregate is written, for a refusal; `sql.py` has what it means.
FORMS = ("count(*)", f"count(DISTINCT {PERSON})", "sum(…)", "avg(…)")


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
    ROWS = "rows"
    ROW_LIST = "row_list"
    GROUPING = "grouping"
    CONDITION = "condition"
    VALUE = "value"
    DATE_BETWEEN = "date_between"
    CLAUSE = "clause"


def refuse(why: Why, **facts: str | int) -> NoReturn:
    # `from None` at every caller in an `except`: sqlglot's own errors quote the text.
    pairs = tuple(facts.items())
    raise SqlRefused(
        reason=Phrase("sql", f"{why}.reason", pairs), hint=Phrase("sql", f"{why}.hint", pairs)
    ) from None


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
#: The open lane has rows to give, and numbers below zero and between whole ones.
_ALLOWED_OPEN = _ALLOWED | {
    exp.Select: _ALLOWED[exp.Select] | {"limit"},
    exp.Limit: frozenset({"expression"}),
    exp.Neg: frozenset({"this"}),
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


def parsed(text: str) -> exp.Select:
    """One SELECT; what it is made of is looked at by `check_nodes`, since the open lane allows more."""
    if len(text) > MAX_CHARACTERS:
        refuse(Why.TOO_LONG, most=MAX_CHARACTERS)
    try:
        _check_tokens(text)
        found = sqlglot.parse(text, read=DIALECT, error_level=ErrorLevel.RAISE)
    except ParseError as fault:
        place = fault.errors[0] if fault.errors else {}
        refuse(Why.UNREADABLE, line=int(place.get("line") or 1), column=int(place.get("col") or 1))
    except RecursionError:
        refuse(Why.TOO_DEEP)
    except (SqlglotError, ValueError, AttributeError, TypeError, KeyError, IndexError):
        # A parser of other people's languages has corners; none of them may become a fault of the gateway.
        refuse(Why.UNREADABLE, line=1, column=1)
    statements = [each for each in found if each is not None]
    if len(statements) != 1:
        refuse(Why.ONE_STATEMENT)
    [tree] = statements
    if not isinstance(tree, exp.Select):
        refuse(Why.UNION if isinstance(tree, exp.SetOperation) else Why.ONLY_SELECT)
    return tree


def check_nodes(tree: exp.Select, *, open_lane: bool) -> None:
    for node in tree.bfs():
        _check_node(node, _ALLOWED_OPEN if open_lane else _ALLOWED)


def _check_tokens(text: str) -> None:
    depth = 0
    tokens = DuckDB.Tokenizer().tokenize(text)
    if len(tokens) > _MAX_TOKENS:
        refuse(Why.TOO_LONG, most=MAX_CHARACTERS)
    for token in tokens:
        # DuckDB has no hints, and reads them as comments; whoever writes one expects that it does something.
        if any(comment.startswith("+") for comment in token.comments):
            refuse(Why.HINT)
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth > _MAX_DEPTH:
            refuse(Why.TOO_DEEP)


def _check_node(node: exp.Expr, known: dict[type[exp.Expr], frozenset[str]]) -> None:
    allowed = known.get(type(node))
    if allowed is None:
        if key_function(node) is None:
            refuse_kind(node)
        return
    for name, value in node.args.items():
        if name not in allowed and value not in (None, False, []):
            refuse(_ARGUMENTS.get(name, Why.CLAUSE))


def refuse_kind(node: exp.Expr) -> NoReturn:
    for kinds, why in _KINDS:
        if isinstance(node, kinds):
            if why is Why.FUNCTION:
                refuse_function(function_name(node))
            refuse(why)
    refuse(Why.CLAUSE)


def refuse_function(name: str) -> NoReturn:
    if name in ("dayofweek", "isodow"):
        refuse(Why.DAY_OF_WEEK)
    known = ", ".join([*FORMS, *(f"{fn.value}(…)" for fn in KeyFunction)])
    refuse(Why.FUNCTION, function=name if NAME.fullmatch(name) else "?", known=known)


def key_function(node: exp.Expr) -> KeyFunction | None:
    """The transform that `node` calls, by the name that it is written with."""
    if not isinstance(node, exp.Func) or (
        set(name for name, value in node.args.items() if value) - {"this", "expressions"}
    ):
        return None
    try:
        return KeyFunction(function_name(node))
    except ValueError:
        return None


def function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else "?"
