"""The view: all that a question may read of one version under one policy.

The private one is made from the full table, never from another view. Everything that bounds a person's
influence happens here and once: rows past the bound left out, keys folded into their public domains, time
coarsened, measures clipped. An open one (no person in the data) has the rows as they are.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import duckdb

from data_access.catalog import ColumnType, Dataset
from data_access.errors import PolicyMalformed
from data_access.policy import AnyPolicy, OpenPolicy, Policy, UnitKind, check_catalog, open_schema_of
from data_access.query.open_schema import OpenType
from data_access.query.schema import PERIOD_KEY
from data_access.vault.duck import attach, identifier, lock
from data_access.vault.keys import LineageKeys
from data_access.vault.store import PERIOD, PERSON, PLACE, RANK, Staged, VaultStore

#: The key for what lies outside a public domain, is missing, or found no partner in a join.
OTHER = "other"

# Columns of the view's own; `month` is what a plan calls the period.
_RESERVED = frozenset({"period", "unit", PERIOD_KEY})


def make_view(
    store: VaultStore, source: Path, dataset: Dataset, policy: AnyPolicy, keys: LineageKeys
) -> Staged:
    """Write the view of the data file `source` into a new encrypted file with one table `view`. Of the private lane:

    `period` (2026-09) an ENUM of the policy's periods; `unit` BIGINT where the unit is a person, numbered anew
    and at random for every view; each policy key an ENUM of its domain and `other`; the time column TIMESTAMP on
    the full hour; each clipped column BIGINT within its clip, null where missing. ENUMs, because grouping by a
    small number takes half the time of grouping by text; the values are public. Of the open lane: `_place` BIGINT
    from 1 in the order of the files, `_period` where there is a time column, and every column of the catalog, null
    where missing: texts, BIGINT for integers, BIGINT in units of the last place for decimals, TIMESTAMP.

    Raises PolicyMalformed where the policy does not fit the dataset, VaultKeyWrong, VaultDamaged.
    """
    check_fit(dataset, policy)
    with store.connection() as connection:
        attach(connection, source, "full_data", keys.file_hex, read_only=True)
        with store.writing(connection, keys) as staged:
            lock(connection)
            if isinstance(policy, OpenPolicy):
                connection.execute(_open_statement(dataset))
            else:
                _make_private(connection, dataset, policy)
        connection.execute("DETACH full_data")
    return staged[0]


def _make_private(connection: duckdb.DuckDBPyConnection, dataset: Dataset, policy: Policy) -> None:
    if policy.unit.kind is UnitKind.PERSON:
        # A fresh secret, forgotten at once: the numbers tell neither pseudonyms nor the order of anything.
        connection.execute(_units(policy), {"forgotten": secrets.token_hex(32)})
    statement = _statement(dataset, policy)
    connection.execute(f"CREATE TABLE made.view AS {statement} LIMIT 0", {"month": policy.first_period})
    # A month at a time: whole, the rows of years would be sorted on disk.
    for month in policy.periods():
        connection.execute(f"INSERT INTO made.view {statement}", {"month": month})


def check_fit(dataset: Dataset, policy: AnyPolicy) -> None:
    """Raises PolicyMalformed naming the word of the policy that this dataset cannot follow; PolicyLaneRefused."""

    def refuse(where: str) -> None:
        raise PolicyMalformed(dataset=dataset.id, where=where)

    if policy.dataset != dataset.id:
        refuse("dataset")
    if isinstance(policy, OpenPolicy):
        check_catalog(policy, dataset)
        if dataset.time_column is not None and PERIOD_KEY in {*dataset.columns, *dataset.derived}:
            refuse(f"columns.{PERIOD_KEY}")
        return
    if policy.unit.kind is UnitKind.PERSON and policy.unit.column != dataset.person_column:
        refuse("unit.column")
    known = {name: column.type for name, column in dataset.columns.items()}
    for name in policy.keys:
        unfit = {ColumnType.PERSON, ColumnType.TIMESTAMP}
        # A key may never be the person, and the time column is coarsened, not listed.
        if name in _RESERVED or (name not in dataset.derived and known.get(name, ColumnType.PERSON) in unfit):
            refuse(f"keys.{name}")
    for name in policy.clips:
        if known.get(name) not in {ColumnType.INTEGER, ColumnType.DECIMAL} or name in _RESERVED | set(
            policy.keys
        ):
            refuse(f"clips.{name}")


def _units(policy: Policy) -> str:
    """A number for each person with a row in the view, in an order that tells nothing."""
    return f"""
        CREATE TEMP TABLE units AS
        SELECT {PERSON}, row_number() OVER (ORDER BY sha256($forgotten || {PERSON})) AS unit
        FROM (
            SELECT DISTINCT {PERSON} FROM full_data.data
            WHERE {PERSON} IS NOT NULL AND {PERIOD} BETWEEN '{policy.first_period}' AND '{policy.last_period}'
        )
    """


def _statement(dataset: Dataset, policy: Policy) -> str:
    """The view's rows of the period `$month`. Only names and lists of the signed policy and catalog stand in it,
    quoted; no value of a row.
    """
    person = policy.unit.kind is UnitKind.PERSON
    columns = [f"$month::{_enum(policy.periods())} AS period"]
    if person:
        columns.append("units.unit AS unit")
    for name, domain in policy.keys.items():
        key, kind = identifier(name), _enum((*domain.values, OTHER))
        columns.append(f"coalesce(try_cast({key}::VARCHAR AS {kind}), '{OTHER}'::{kind}) AS {key}")
    time = identifier(dataset.timed_by)
    columns.append(f"date_trunc('hour', {time})::TIMESTAMP AS {time}")
    for name, clip in policy.clips.items():
        measure = identifier(name)
        # greatest() and least() pass over nulls, which would make a missing value a value at the lower bound.
        clipped = f"round(least(greatest({measure}, {clip.low}), {clip.high}))::BIGINT"
        columns.append(f"CASE WHEN {measure} IS NOT NULL THEN {clipped} END AS {measure}")
    chosen = ", ".join(columns)
    if not person:
        # Drawn anew, so that the order of the file is gone.
        return f"SELECT {chosen} FROM full_data.data WHERE {PERIOD} = $month ORDER BY hash(rowid, random())"
    # Whoever has a row in the period has one of rank 1, and so a number; sorted by it, the order of the file is gone.
    return f"""
        SELECT {chosen} FROM full_data.data JOIN units USING ({PERSON})
        WHERE {PERIOD} = $month AND {RANK} <= {policy.row_bound} ORDER BY unit
    """


def _open_statement(dataset: Dataset) -> str:
    """Only names of the signed catalog stand in it."""
    columns = [PLACE]
    if dataset.time_column is not None:
        columns.append(PERIOD)
    for name, column in open_schema_of(dataset).columns.items():
        shown = identifier(name)
        if column.type is OpenType.DECIMAL:
            # A decimal is written with all its places, so without its point it is a whole number of the last one.
            columns.append(f"replace({shown}::VARCHAR, '.', '')::BIGINT AS {shown}")
        else:
            columns.append(shown)
    return f"CREATE TABLE made.view AS SELECT {', '.join(columns)} FROM full_data.data ORDER BY {PLACE}"


def _enum(values: tuple[str, ...]) -> str:
    return f"ENUM ({', '.join(_quoted(value) for value in values)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
