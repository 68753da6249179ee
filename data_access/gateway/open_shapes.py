"""What the gateway says of an open dataset and of a question's price there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from data_access.answers.opened import measure_documents
from data_access.flows.governing import OpenInForce
from data_access.flows.open_lane import OpenPrice
from data_access.policy import open_schema_of
from data_access.query.nodes import MAX_PAGE, KeyFunction
from data_access.query.open_schema import NUMBERS, OpenColumn, OpenType
from data_access.query.schema import PERIOD_KEY


def open_dataset_document(force: OpenInForce) -> dict[str, Any]:
    """The words of a private dataset's description, with nothing where they speak of protection."""
    schema = open_schema_of(force.entry)
    labels = {name: column.label for name, column in force.entry.columns.items()}
    labels |= {name: derivation.label for name, derivation in force.entry.derived.items()}
    time = schema.columns[schema.time_column] if schema.time_column else None
    columns = [
        {"name": name, "label": labels[name].model_dump(), "geography": force.policy.geography.get(name)}
        | _shape(column)
        for name, column in schema.columns.items()
    ]
    if time is not None:
        label = {"ko": "월", "en": "Month"}
        columns.insert(0, {"name": PERIOD_KEY, "label": label, "geography": None, "type": "period"} | _ANY)
    return {
        "unit": None,
        "row_bound": None,
        "minimum": None,
        "delta": None,
        "periods": [],
        "time_column": schema.time_column,
        "columns": columns,
        "functions": [fn.value for fn in _functions(time)],
        "measures": ["count", *(["sum", "mean"] if _has_numbers(schema.columns.values()) else [])],
        "precisions": {},
        "default_spend": 0,
        "max_spend": 0,
        "teams": [],
        "rows": {"columns": list(schema.columns), "most": MAX_PAGE},
    }


#: Any value may be named in a filter: no list of them was signed.
_ANY: dict[str, Any] = {"values": None, "other": False}


def _shape(column: OpenColumn) -> dict[str, Any]:
    match column.type:
        case OpenType.TEXT:
            kind = "key"
        case OpenType.INTEGER | OpenType.DECIMAL:
            kind = "measure"
        case OpenType.MOMENT | OpenType.DAY:
            kind = "time"
    places = column.places if column.type is OpenType.DECIMAL else None
    return {"type": kind, "holds": column.type.value, "places": places} | _ANY


def _functions(time: OpenColumn | None) -> list[KeyFunction]:
    if time is None:
        return []
    hours = [KeyFunction.HOUR] if time.type is OpenType.MOMENT else []
    return [*hours, KeyFunction.WEEKDAY, KeyFunction.SEASON]


def _has_numbers(columns: Iterable[OpenColumn]) -> bool:
    return any(column.type in NUMBERS for column in columns)


def open_price_document(price: OpenPrice, team: str) -> dict[str, Any]:
    """A price in the words of the private lane: nothing to pay, whatever is asked."""
    return {
        "plan": price.bound.document,
        "plan_id": price.bound.id,
        "rho": 0,
        "periods": [],
        "cells": price.cells,
        "cell": None,
        "cell_from": None,
        "measures": {
            name: {**measure, "expected": None} for name, measure in measure_documents(price.bound).items()
        },
        "team": team,
        "left": {},
        "share_of_left": None,
        "more_such": None,
        "stored": price.stored.id if price.stored else None,
        "joins": {},
        "to_pay": [],
        "offers": [],
        "free": True,
        "waits": None,
        "truncated_share": None,
    }
