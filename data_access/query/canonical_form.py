"""Equal questions become equal bytes, so that asking again in other words is free and teaches nothing.

Every rewrite here keeps the set of rows: flattening and sorting of `and`/`or`, double negation, `in` for
`eq` and `between` and order comparisons over a finite domain. Order of keys and of measures carries no
meaning; the client puts its columns back as asked.
"""

from __future__ import annotations

from data_access.canonical import canonical_bytes
from data_access.query.codec import encode_filter
from data_access.query.nodes import (
    And,
    Between,
    Compare,
    Comparison,
    Filter,
    GroupKey,
    In,
    Not,
    Or,
    Plan,
    Value,
)
from data_access.query.nodes import key_name as _key_name


def canonical_plan(plan: Plan, domains: dict[GroupKey, tuple[Value, ...]]) -> Plan:
    """The one form of `plan`. `domains` has the public domain of each finite key the plan's filter names."""
    where = None if plan.where is None else _canonical(plan.where, domains)
    return Plan(
        dataset=plan.dataset,
        where=where,
        by=tuple(sorted(plan.by, key=_key_name)),
        measures=tuple(sorted(plan.measures, key=lambda entry: entry[0])),
    )


def _canonical(node: Filter, domains: dict[GroupKey, tuple[Value, ...]]) -> Filter:
    match node:
        case And(parts):
            return _joined(And, parts, domains)
        case Or(parts):
            return _joined(Or, parts, domains)
        case Not(Not(part)):
            return _canonical(part, domains)
        case Not(part):
            inner = _canonical(part, domains)
            if isinstance(inner, In):
                rest = tuple(v for v in domains[inner.key] if v not in inner.values)
                return In(inner.key, rest) if rest else Not(inner)
            return Not(inner)
        case Compare(key) | In(key) | Between(key) if key in domains:
            kept = tuple(value for value in domains[key] if matches(node, value))
            return In(key, kept) if kept else Not(In(key, domains[key]))
        case _:
            return node


def _joined(
    kind: type[And] | type[Or], parts: tuple[Filter, ...], domains: dict[GroupKey, tuple[Value, ...]]
) -> Filter:
    flat: dict[bytes, Filter] = {}
    for part in parts:
        done = _canonical(part, domains)
        for inner in done.parts if isinstance(done, kind) else (done,):
            flat[canonical_bytes(encode_filter(inner))] = inner
    ordered = tuple(flat[key] for key in sorted(flat))
    return ordered[0] if len(ordered) == 1 else kind(ordered)


def matches(node: Compare | In | Between, value: Value) -> bool:
    """Whether `value` passes a comparison over values of its own type."""
    match node:
        case In(_, values):
            return value in values
        case Between(_, low, high):
            return _ordered(low, value) and _ordered(value, high)
        case Compare(_, op, bound):
            match op:
                case Comparison.EQ:
                    return value == bound
                case Comparison.LT:
                    return not _ordered(bound, value)
                case Comparison.LE:
                    return _ordered(value, bound)
                case Comparison.GT:
                    return not _ordered(value, bound)
                case Comparison.GE:
                    return _ordered(bound, value)


def _ordered(low: Value, high: Value) -> bool:
    if isinstance(low, int) and isinstance(high, int):
        return low <= high
    return str(low) <= str(high)
