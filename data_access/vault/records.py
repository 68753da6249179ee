"""Rows of the vault's two tables as values: which versions are loaded, which views are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert, select

from data_access.db import Transaction
from data_access.db.vault import versions, views


@dataclass(frozen=True)
class Version:
    """One load. `number` counts from 1 within the lineage; `loaded_at` is `clock.timestamp`'s form."""

    lineage: str
    number: int
    dataset: str
    catalog_hash: str
    file: str
    sha256: str
    loaded_at: str
    loaded_by: str
    #: The last month that the files cover whole; None for versions from before this was kept.
    whole_until: str | None


@dataclass(frozen=True)
class View:
    """The private view of one version under one policy; `Engine.reader` opens it."""

    lineage: str
    version: int
    policy_hash: str
    file: str
    sha256: str
    made_at: str


def find_version(connection: Connection, lineage: str) -> Version | None:
    """The newest version of the lineage."""
    row = connection.execute(
        select(versions).where(versions.c.lineage == lineage).order_by(versions.c.number.desc()).limit(1)
    ).first()
    return Version(*row) if row else None


def find_view(connection: Connection, lineage: str, policy_hash: str) -> View | None:
    """The view of the newest version that has one under this policy."""
    row = connection.execute(
        select(views)
        .where(views.c.lineage == lineage, views.c.policy_hash == policy_hash)
        .order_by(views.c.version.desc())
        .limit(1)
    ).first()
    return View(*row) if row else None


def find_view_of(connection: Connection, lineage: str, policy_hash: str, version: int) -> View | None:
    """The view of this very version under this policy."""
    row = connection.execute(
        select(views).where(
            views.c.lineage == lineage, views.c.policy_hash == policy_hash, views.c.version == version
        )
    ).first()
    return View(*row) if row else None


def known_files(connection: Connection) -> set[str]:
    """Every file that a row names."""
    return {file for table in (versions, views) for file in connection.scalars(select(table.c.file))}


def record_version(tx: Transaction, version: Version) -> None:
    tx.connection.execute(insert(versions).values(**asdict(version)))


def record_view(tx: Transaction, view: View) -> None:
    tx.connection.execute(insert(views).values(**asdict(view)))
