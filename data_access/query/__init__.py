"""What may be asked: plan nodes, their checks, their one canonical form, and two ways of running them."""

from data_access.query.binding import BoundPlan, bind
from data_access.query.codec import decode_plan, encode_plan
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
    In,
    KeyFunction,
    Measure,
    Not,
    Or,
    Persons,
    Plan,
)
from data_access.query.schema import KeyColumn, Schema

__all__ = [
    "And",
    "Between",
    "BoundPlan",
    "ColumnKey",
    "Compare",
    "Comparison",
    "Count",
    "Filter",
    "FunctionKey",
    "GroupKey",
    "In",
    "KeyColumn",
    "KeyFunction",
    "Measure",
    "Not",
    "Or",
    "Persons",
    "Plan",
    "Schema",
    "bind",
    "decode_plan",
    "encode_plan",
]
