"""One catalog entry: `catalog/<id>.yaml`, a closed schema (an unknown word is a fault, never ignored)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from data_access.catalog.twin import TwinShape
from data_access.documents import Closed, Hashed, Labels, Name
from data_access.errors import PolicyMalformed


class ColumnType(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    #: A number that files write with leading zeros (`00210`) and other files without (`210`).
    PADDED_NUMBER = "padded_number"
    TIMESTAMP = "timestamp"
    #: Names the protected person. Pseudonymised at load; no other part of the vault ever sees the value.
    PERSON = "person"


class Column(Closed):
    """A column of the source file that is kept. Columns not named here are dropped at load."""

    source: str
    type: ColumnType
    label: Labels
    #: strptime formats, tried in order; only for timestamps.
    formats: tuple[str, ...] = ()
    #: A missing value refuses the file; otherwise it is null (and the key `other`).
    required: bool = False
    #: Of a decimal: how many decimals it has. The value is then kept exactly, and one with more refuses the file;
    #: without it, it is the nearest double. The open lane shows what the file says, and so needs it.
    places: int | None = Field(None, ge=0, le=9)
    #: What stands between the thousands of a number (`230,850`), in all rows of the file or in some.
    thousands: Literal[","] | None = None

    @model_validator(mode="after")
    def _words_of_numbers(self) -> Column:
        if self.places is not None and self.type is not ColumnType.DECIMAL:
            raise ValueError("places are of a decimal column")
        if self.thousands is not None and self.type not in (ColumnType.INTEGER, ColumnType.DECIMAL):
            raise ValueError("thousands are of a number")
        return self

    @property
    def is_day(self) -> bool:
        """Whether its formats say nothing about the time of day: the value is a day, not a moment."""
        return self.type is ColumnType.TIMESTAMP and not any(
            f"%{word}" in written for written in self.formats for word in "HIMSfpcXTR"
        )

    @model_serializer(mode="wrap")
    def _without_missing_words(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is not declared is not written: entries signed before there was the word keep their hash."""
        document: dict[str, Any] = default(self)
        for name in ("places", "thousands"):
            if document[name] is None:
                del document[name]
        return document


class NumberClass(Closed):
    """One class of a number: those under `below` that no earlier class took. The last has none and takes the rest.

    `below` is a decimal text, since a hash over a float is one over a guess.
    """

    name: str
    below: str | None = Field(None, pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,6})?$")


class LookupDerivation(Closed):
    """The value of `value` in public table `table` where its unique `key` equals `column`: a column of the file, an
    earlier derived one, or a timestamp, which is looked up by its day (`2026-09-01`). A number becomes the name of
    its class in `classes`, so that it can be a key.
    """

    op: Literal["lookup"]
    table: Name
    column: Name
    key: Name
    value: Name
    label: Labels
    classes: tuple[NumberClass, ...] = ()

    @model_validator(mode="after")
    def _classes_go_up(self) -> LookupDerivation:
        ends = [float(c.below) for c in self.classes if c.below is not None]
        if self.classes and (len(ends) != len(self.classes) - 1 or self.classes[-1].below is not None):
            raise ValueError("every class but the last says what it is below")
        if ends != sorted(set(ends)) or len({c.name for c in self.classes}) != len(self.classes):
            raise ValueError("classes go up and have names of their own")
        return self

    @model_serializer(mode="wrap")
    def _without_empty_classes(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is not declared is not written: entries signed before there were classes keep their hash."""
        document: dict[str, Any] = default(self)
        if not self.classes:
            del document["classes"]
        return document


class PartDerivation(Closed):
    """The `part`-th (from 0) blank-separated word of `column`: the gu in `서울특별시 광진구 화양동`."""

    op: Literal["part"]
    column: Name
    part: int
    label: Labels


Derivation = Annotated[LookupDerivation | PartDerivation, Field(discriminator="op")]


class PublicTable(Closed):
    """A table with nobody in it, beside the data files; `key` must be unique, which the load proves."""

    file: str
    key: Name
    columns: dict[Name, Column]

    @model_validator(mode="after")
    def _key_is_a_column(self) -> PublicTable:
        if self.key not in self.columns:
            raise ValueError("key must name one of the table's columns")
        return self


class CellSize(Closed):
    """How many rows, and persons where that is known, one month has in the usual cell of a question by these keys.

    From what is public without this vault (a yearbook, the operator's own page), never from its records: it is
    signed and shown to everybody. A key is a column or a function of one, as `hour(started_at)`.
    """

    by: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\([a-z][a-z0-9_]*\))?$")], ...]
    rows: int = Field(ge=1, le=10**12)
    persons: int | None = Field(None, ge=1, le=10**12)


class Dataset(Hashed):
    """One dataset's layout. All names are the workspace's; `Column.source` has the file's own."""

    id: Name
    title: Labels
    description: Labels
    #: Tried in order on the bytes: a BOM decides at once, otherwise the first that decodes wholly.
    encodings: tuple[Literal["utf-8-sig", "utf-8", "cp949"], ...]
    #: The text that stands for a missing value, beside the empty one. (Not called `null`: YAML reads that as
    #: a key of None.)
    missing: str
    columns: dict[Name, Column]
    derived: dict[Name, Derivation] = {}
    public_tables: dict[Name, PublicTable] = {}
    #: The column whose Asia/Seoul month is the row's period. Facts about places have none; such a dataset can be
    #: opened row by row only, since every budget is a month's.
    time_column: Name | None = None
    #: How dummy rows look; None says nothing, and they are even.
    twin: TwinShape | None = None
    #: For prices: how exact a mean or a margin in per cent will be depends on how large cells are.
    sizes: tuple[CellSize, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        if self.time_column is not None:
            time = self.columns.get(self.time_column)
            if time is None or time.type is not ColumnType.TIMESTAMP or not time.required:
                raise ValueError("time_column must name a required timestamp column")
        elif self.person_column is not None:
            raise ValueError("a dataset that names persons has a time column")
        if sum(c.type is ColumnType.PERSON for c in self.columns.values()) > 1:
            raise ValueError("at most one column names the person")
        if set(self.derived) & set(self.columns):
            raise ValueError("a derived column repeats a source column's name")
        known = {name for name, column in self.columns.items() if column.type is not ColumnType.PERSON}
        for name, derivation in self.derived.items():
            if derivation.column not in known:
                raise ValueError("a derivation reads an unknown column, a later one or the person")
            known.add(name)
            if isinstance(derivation, LookupDerivation):
                table = self.public_tables.get(derivation.table)
                if table is None or derivation.key != table.key or derivation.value not in table.columns:
                    raise ValueError("a lookup names an unknown table, key or value")
                numbers = (ColumnType.INTEGER, ColumnType.DECIMAL)
                if derivation.classes and table.columns[derivation.value].type not in numbers:
                    raise ValueError("classes are of a number")
        if self.twin is not None and self.twin.columns - {*self.columns, *self.derived}:
            raise ValueError("the twin's shape names an unknown column")
        named = {key.rstrip(")").split("(")[-1] for size in self.sizes for key in size.by}
        if named - {*self.columns, *self.derived} or len({frozenset(size.by) for size in self.sizes}) != len(
            self.sizes
        ):
            raise ValueError("sizes name columns, and each choice of keys once")
        return self

    @property
    def person_column(self) -> str | None:
        return next((n for n, c in self.columns.items() if c.type is ColumnType.PERSON), None)

    @property
    def timed_by(self) -> str:
        """The time column of a dataset that a private policy governs: `check_catalog` demands one."""
        if self.time_column is None:
            raise AssertionError("a dataset in the private lane has a time column")
        return self.time_column

    def document(self) -> dict[str, Any]:
        """What a policy pins, by its hash, as `catalog`."""
        document = super().document()
        if self.twin is None:
            # Entries that were signed before there were twins keep their hash.
            del document["twin"]
        if not self.sizes:
            del document["sizes"]
        return document


def load_catalog(folder: Path) -> dict[str, Dataset]:
    """All entries of `folder`, by id. Raises PolicyMalformed naming the file and the place in it."""
    entries: dict[str, Dataset] = {}
    for path in sorted(folder.glob("*.yaml")):
        entry = parse_entry(path.read_text("utf-8"), path.name)
        if entry.id in entries:
            raise PolicyMalformed(dataset=entry.id, where=f"{path.name}: id")
        entries[entry.id] = entry
    return entries


def parse_entry(source: str, name: str) -> Dataset:
    try:
        # JSON mode lets strict models take lists for tuples and strings for enums, and nothing else.
        document = yaml.safe_load(source)
        return Dataset.model_validate(document, strict=False)
    except yaml.YAMLError as fault:
        raise PolicyMalformed(dataset=name, where="YAML") from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        raise PolicyMalformed(dataset=name, where=".".join(map(str, first["loc"])) or first["msg"]) from None
