"""A figure's table as a page shows it, as CSV and as the description beside the CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Final

from civic_kernel.publish.words import between, key_value, number
from civic_kernel.texts import Language, text

#: A longer table waits behind a button: on a phone it would bury what comes after it.
LONG: Final = 40


def csv_bytes(table: Mapping[str, Any]) -> bytes:
    """UTF-8 with BOM, since spreadsheets in Korea otherwise read cp949; one header row of plain names."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([column["name"] for column in table["columns"]])
    for row in table["rows"]:
        writer.writerow([_in_csv(value) for value in row])
    return file.getvalue().encode("utf-8-sig")


def _in_csv(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() if value[:1] in "=+-@\t\r" and value:
            return f"'{value}"  # a spreadsheet would run it as a formula
        case _:
            return str(value)


def description_bytes(figure: Mapping[str, Any], more: Mapping[str, Any]) -> bytes:
    """What the CSV's columns mean, and which answers they came from; JSON in a stable order."""
    document = {
        "name": figure["name"],
        "title": figure["title"],
        "subtitle": figure["subtitle"],
        "uncertainty": figure["uncertainty"],
        "columns": figure["table"]["columns"],
        "answers": figure["answers"],
        **more,
    }
    return json_bytes(document)


def json_bytes(document: Any) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")


def withheld_rows(table: Mapping[str, Any], language: Language) -> list[str]:
    """The keys of withheld rows, as a reader says them."""
    columns = table["columns"]
    flag = next((place for place, column in enumerate(columns) if column["role"] == "flag"), None)
    if flag is None:
        return []
    return [
        " ".join(
            key_value(column["name"], value, language)
            for column, value in zip(columns, row, strict=True)
            if column["role"] == "key" and isinstance(value, str | int) and not isinstance(value, bool)
        )
        for row in table["rows"]
        if row[flag]
    ]


def shown(table: Mapping[str, Any], language: Language, row_key: str | None) -> dict[str, Any]:
    """Heads and rows for the template. A measure's low and high stand as one range in words.

    Rows get ids (`row-<key>`) where `row_key` names the column that the "my gu" choice leads to.
    """
    columns, digits = table["columns"], table["digits"]
    numeric = [_is_numeric(table, place) for place in range(len(columns))]
    high = {c["measure"]: place for place, c in enumerate(columns) if c["role"] == "high"}
    flag = next((place for place, column in enumerate(columns) if column["role"] == "flag"), None)
    heads: list[dict[str, Any]] = []
    for place, column in enumerate(columns):
        label = column["label"][language]
        if column["role"] in ("key", "measure", "value"):
            heads.append({"label": label, "number": numeric[place], "numbers": numeric[place]})
        elif column["role"] == "low":
            heads.append(
                {
                    "label": text(language, "report", "table.range", label=label),
                    "number": False,
                    "numbers": True,
                }
            )
    rows = []
    for row in table["rows"]:
        gone = flag is not None and bool(row[flag])
        cells: list[dict[str, Any]] = []
        for place, (column, value) in enumerate(zip(columns, row, strict=True)):
            match column["role"]:
                case "key" | "measure" | "value":
                    cells.append(_cell(column, value, numeric[place], place == 0, gone, digits, language))
                case "low":
                    top = row[high[column["measure"]]]
                    known = value is not None and top is not None
                    words = between(value, top, language, digits) if known else ""
                    cells.append({"head": False, "kind": "between", "value": _plain(value), "text": words})
                case _:
                    pass
        mark = None
        if row_key is not None:
            place = [column["name"] for column in columns].index(row_key)
            mark = f"row-{row[place]}"
        rows.append({"id": mark, "cells": cells})
    return {"heads": heads, "rows": rows, "long": len(rows) > LONG}


def _cell(
    column: Mapping[str, Any],
    value: Any,
    numeric: bool,
    first: bool,
    gone: bool,
    digits: int,
    language: Language,
) -> dict[str, Any]:
    if value is None:
        words = text(language, "report", "table.withheld") if gone else "–"
    elif numeric:
        words = number(value, digits)
    else:
        words = key_value(column["name"], value, language)
    return {"head": first, "kind": "number" if numeric else "word", "value": _plain(value), "text": words}


def _is_numeric(table: Mapping[str, Any], place: int) -> bool:
    column = table["columns"][place]
    if column["name"] in ("hour", "weekday") and column["role"] == "key":
        return False
    values = [row[place] for row in table["rows"] if row[place] is not None]
    return bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)
