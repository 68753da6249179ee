"""Follow a number on a page to what it stands on: a signed answer, a sum of signed cells, a computation, or the code.

Works from a release folder alone, as `check_page` does, and presumes that it found the folder whole. templates/citizen/
check_page.js does the same for tables in a reader's browser.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, Literal

from civic_kernel.publish.record import read_record
from civic_kernel.verify.page import is_same, release_folder

Kind = Literal["cell", "sum", "computed"]
#: Columns of a table that hold figures.
_FIGURES: Final = ("measure", "low", "high", "value")
_NUMBER: Final = re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Source:
    """`cell`: stands so in the answer. `sum`: adds up from `cells` cells of it. `computed`: made from `answers` by the
    notebook, which `--rerun` does again."""

    kind: Kind
    answers: tuple[str, ...]
    cells: int = 0


@dataclass(frozen=True)
class Found:
    """A figure of a table: `row` by its keys, `value` as the table spells it."""

    table: str
    row: tuple[str, ...]
    column: str
    value: str
    source: Source


def trace_page(page: Path) -> list[Found]:
    """Every figure of every table. Raises ValueError for a folder that is no release."""
    folder = release_folder(page)
    record = read_record(folder)
    try:
        statements = {i: _json(folder / "answers" / f"{i}.json")["statement"] for i in record["answers"]}
        return [
            found
            for line in record["files"]
            if str(line["path"]).endswith(".csv")
            for found in _trace_table(folder, Path(line["path"]).stem, statements)
        ]
    except (OSError, KeyError, TypeError):
        raise ValueError("not a release folder") from None


def find_number(figures: Sequence[Found], spelled: str) -> list[Found]:
    """The figures that a page would spell so: `9,800`, `−3`, `1.4`, or rounded to the digits that are given."""
    wanted = number_of(spelled)
    return [found for found in figures if wanted is not None and _rounds_to(found.value, wanted)]


def number_of(spelled: str) -> Decimal | None:
    """A number as a page writes it, with groups of three and a true minus sign; None for anything else."""
    try:
        return Decimal(spelled.strip().replace(",", "").replace("−", "-"))
    except InvalidOperation:
        return None


def numbers_in(words: str) -> list[str]:
    """The numbers of a sentence, as it spells them."""
    return [found.rstrip(",") for found in _NUMBER.findall(words)]


def _rounds_to(value: str, wanted: Decimal) -> bool:
    known = number_of(value)
    if known is None or not (known.is_finite() and wanted.is_finite()):
        return False
    places = int(wanted.as_tuple().exponent)
    return abs(known - wanted) * 2 <= Decimal(1).scaleb(places) if known != wanted else True


# --- tables ---


def _trace_table(folder: Path, name: str, statements: Mapping[str, Any]) -> Iterator[Found]:
    about = _json(folder / "data" / f"{name}.json")
    spelled = (folder / "data" / f"{name}.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(spelled)))
    keys = [column["name"] for column in about["columns"] if column["role"] == "key"]
    ways = [
        _way(identity, statements[identity]["table"], keys, rows)
        for identity in about["answers"]
        if identity in statements
    ]
    computed = Source("computed", tuple(about["answers"]))
    for row in rows:
        for column in about["columns"]:
            if column["role"] not in _FIGURES or row[column["name"]] == "":
                continue
            sources = (way(row, column["name"]) for way in ways)
            source = next((one for one in sources if one is not None), computed)
            label = tuple(row[key] for key in keys)
            yield Found(name, label, column["name"], row[column["name"]], source)


def _way(
    identity: str, table: Mapping[str, Any], keys: Sequence[str], rows: Sequence[Mapping[str, str]]
) -> Callable[[Mapping[str, str], str], Source | None]:
    """From a table's figure to cells of one answer, or None where this answer does not have it."""
    columns = table["columns"]
    own = [place for place, column in enumerate(columns) if column["role"] == "key"]
    places = [_place_of(key, rows, table, own) for key in keys]

    def way(row: Mapping[str, str], name: str) -> Source | None:
        place = next(
            (at for at, column in enumerate(columns) if column["name"] == name and column["role"] != "key"),
            None,
        )
        if place is None or None in places:
            return None
        wanted = [(at, row[key]) for at, key in zip(places, keys, strict=True) if at is not None]
        cells = [line for line in table["rows"] if all(str(line[at]) == value for at, value in wanted)]
        if len(own) == len(keys):
            is_there = len(cells) == 1 and is_same(row[name], cells[0][place])
            return Source("cell", (identity,), 1) if is_there else None
        if columns[place]["role"] != "measure":
            return None
        rest = [at for at in own if at not in places]
        # What has no place (`other`) is left out of some sums on purpose.
        inside = [line for line in cells if all(line[at] != "other" for at in rest)]
        for some in (cells, inside):
            values = [line[place] for line in some]
            if some and all(type(value) is int for value in values) and str(sum(values)) == row[name]:
                return Source("sum" if len(some) > 1 else "cell", (identity,), len(some))
        return None

    return way


def _place_of(
    key: str, rows: Sequence[Mapping[str, str]], table: Mapping[str, Any], own: Sequence[int]
) -> int | None:
    """Which key of an answer a table's key is: of the same name, else the only one that knows all its values."""
    for at in own:
        if table["columns"][at]["name"] == key:
            return at
    fits = [at for at in own if {row[key] for row in rows} <= {str(line[at]) for line in table["rows"]}]
    return fits[0] if len(fits) == 1 else None


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
