"""Hostile plans and SQL at the running gateway: what they say must never become a statement."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks.attacks.serving import ANSWERS, logged, question, served
from benchmarks.attacks.town import WatchedEngine, rebuilt, town, townspeople
from benchmarks.attacks.verdict import Verdict, counted
from data_access.flows import answering
from data_access.query import BoundPlan, Dialect, Plan
from data_access.query.nodes import Compare, key_name
from data_access.query.schema import Schema

PAYLOADS = (
    "x' OR '1'='1",
    "강남구'; DROP TABLE view; --",
    "강남구' UNION SELECT 1, 2 FROM duckdb_settings() --",
    "read_csv('/etc/passwd')",
    "(SELECT count(*) FROM sealed.data)",
    "gu\" FROM view; COPY view TO '/tmp/out' --",
    "ATTACH '/etc/passwd' AS x",
    "__import__('os').system('id')",
    "{{7*7}}${7*7}",
    "강남구\n",
    "gu\n",
    "gu\u0000",
    "ｇｕ",
    "gu/**/",
    "unit",
    "_person",
    "sealed.view.gu",
    "٣",
    "\ud800",
    "x" * 100_000,
)
_COUNT: dict[str, Any] = {"visits": {"fn": "count"}}

#: Bodies that are broken as JSON or in their numbers, whole.
BROKEN = (
    '{"plan": {"dataset": "visits", "measures": {"v": {"fn": "count", "weight": NaN}}}}',
    '{"plan": {"dataset": "visits", "measures": {"v": {"fn": "count", "weight": 1e999}}}}',
    '{"plan": {"dataset": "visits", "measures": {"v": {"fn": "count", "weight": 99999999999999999999}}}}',
    '{"plan": ' + '{"not": ' * 5_000 + "1" + "}" * 5_000 + "}",
    '{"plan": ' + "[" * 100_000,
    '{"plan": {"dataset": "visits", "by": [], "rows": ["note"]}}',
    "\x80\x81",
    "null",
)


def injection(draws: int) -> Verdict:
    """Every payload in every place of a plan, `draws` places at most.

    A success is a hostile plan that is answered, that reaches the engine, or that the gateway has no refusal for
    (status 500 and above).
    """
    corpus = list(_plans())[:draws]
    bodies = [json.dumps(question(plan, "0.01")) for plan in corpus]
    with _gateway() as got_through:
        ours = sum(map(got_through, [*bodies, *_statements(), *BROKEN]))
    with (
        patch.object(answering, "bind", unchecked),
        patch.object(answering, "compile_sql", concatenated),
        _gateway() as got_through,
    ):
        control = sum(map(got_through, bodies))
    hostile = len(corpus) + len(list(_statements())) + len(BROKEN)
    name = f"plan and SQL injection: {hostile} hostile plans and statements"
    return counted(name, "Polars deserialize; FLIP#839; traceroot#1334", ours, control)


def _plans() -> Iterator[dict[str, Any]]:
    """One hostile text in one place, all else in order."""
    for text in PAYLOADS:
        gu = {"column": "gu", "op": "eq", "value": "강남구"}
        good: dict[str, Any] = {"dataset": "visits", "by": ["gu"], "measures": _COUNT}
        yield good | {"where": gu | {"value": text}}
        yield good | {"where": {"column": "gu", "op": "in", "values": ["강남구", text]}}
        yield good | {"where": {"column": "at", "op": "ge", "value": text}}
        yield good | {"where": {"column": {"fn": "hour", "column": "at"}, "op": "eq", "value": text}}
        yield good | {"where": gu | {"column": text}}
        yield good | {"where": gu | {"op": text}}
        yield good | {"where": gu | {text: 1}}
        yield good | {"by": [text]}
        yield good | {"by": [{"fn": text, "column": "at"}]}
        yield good | {"by": [{"fn": "hour", "column": text}]}
        yield good | {"dataset": text}
        if not text.isidentifier() or not text.isascii():
            yield good | {"measures": {text: {"fn": "count"}}}
        yield good | {"measures": {"visits": {"fn": text}}}
        yield good | {"measures": {"visits": {"fn": "count", "column": text}}}
        yield good | {text: 1}


def _statements() -> Iterator[str]:
    """Bodies that ask in SQL: each text unescaped where a value, a dataset, a function or a whole statement stands."""
    asked = {name: value for name, value in question({}, "0.01").items() if name != "plan"}
    good = "SELECT gu, count(*) AS visits FROM visits"
    for text in PAYLOADS:
        for sql in (
            f"{good} WHERE gu = '{text}' GROUP BY gu",
            f"SELECT count(*) AS visits FROM {text}",
            f"SELECT {text}(gu), count(*) AS visits FROM visits",
            f"{good} GROUP BY gu; {text}",
            text,
        ):
            yield json.dumps(asked | {"sql": sql})


@contextmanager
def _gateway() -> Iterator[Callable[[str], bool]]:
    """Posts a body; says whether it got through."""
    executed: list[str] = []

    def got_through(body: str) -> bool:
        executed.clear()
        answer = client.post(ANSWERS, content=body.encode("utf-8", "surrogatepass"))
        return bool(executed) or answer.status_code == 200 or answer.status_code >= 500

    with (
        # The refusals' log lines belong to nobody's terminal.
        logged(),
        town(townspeople()) as made,
        served(rebuilt(made, engine=WatchedEngine(made, executed.append))) as client,
    ):
        yield got_through


def unchecked(plan: Plan, schema: Schema) -> BoundPlan:
    """Weak on purpose: believes that names and values are in their domains."""
    return BoundPlan(plan, schema)


def concatenated(bound: BoundPlan, _: Dialect) -> str:
    """Weak on purpose: the compiler that everybody has once written."""
    keys = ", ".join(key_name(key) for key in bound.plan.by)
    where = bound.plan.where
    condition = f"{key_name(where.key)} = '{where.value}'" if isinstance(where, Compare) else "true"
    return f"SELECT {keys}, count(*) AS visits FROM view WHERE {condition} GROUP BY {keys}"
