"""Loading: read → check → pseudonymise → rank → view → one transaction.

    stage the data file           under a temporary name; a refusal ends here and changes nothing
    stage the view                where a policy is in force, from the staged file
    transaction
        row(s) and event(s)
        rename the file(s)        after a crash here: orphans, swept by the next load
    commit                        from here on the new version answers

Version and view become visible together, so no question ever meets a version without its view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from data_access.audit import Chain, EventKind
from data_access.canonical import Json
from data_access.catalog import Dataset
from data_access.clock import SEOUL, Clock, timestamp
from data_access.db import Database, Transaction
from data_access.errors import NoData, PolicyCatalogChanged, PolicyLineageChanged, VaultKeyWrong
from data_access.intake import Progress, read_files
from data_access.policy import AnyPolicy
from data_access.vault import (
    KeyStore,
    LineageKeys,
    Staged,
    VaultStore,
    Version,
    View,
    find_version,
    make_view,
)
from data_access.vault.records import find_view, known_files, record_version, record_view
from data_access.vault.store import check_hash, fingerprint_in, new_file_name
from data_access.vault.views import check_fit


@dataclass(frozen=True)
class Vault:
    """What every order about data files needs."""

    database: Database
    chain: Chain
    store: VaultStore
    keys: KeyStore
    clock: Clock


def load(
    vault: Vault,
    dataset: Dataset,
    files: Sequence[Path],
    *,
    lineage: str,
    policy: AnyPolicy | None,
    by: str,
    tables: Path | None = None,
    until: str | None = None,
    progress: Progress | None = None,
) -> Version:
    """Take `files` as the lineage's next version, whole; the previous one stays as it is.

    `policy` is the one in force (None: no view yet; `make_missing_view` makes it when one is activated); `by`
    a pseudonym or service name; `tables` the folder of the public tables (default: the first file's);
    `until` the last month that the files cover whole (default, and at most: the last one that is over);
    `progress` is called with `read`, `rank`, `view`, `done`. Raises LoadRefused's codes, PolicyMalformed,
    PolicyCatalogChanged, PolicyLineageChanged (the lineage is another dataset's or the policy's is another),
    VaultKeyWrong, VaultDamaged, LedgerUnavailable; after any of them the old state is whole.
    """
    report: Progress = progress or (lambda _stage, _fraction: None)
    if policy is not None:
        _check_policy(dataset, policy)
        if policy.lineage != lineage:
            raise PolicyLineageChanged(dataset=dataset.id)
    with vault.store.exclusive():
        keys = _keys_for(vault, lineage, dataset)
        with _cleared_after(vault):
            tables_read = read_files(dataset, files, tables=tables, progress=report)
            staged = vault.store.stage(dataset, tables_read, keys, report)
            seen = None
            if policy is not None:
                seen = make_view(vault.store, staged.path, dataset, policy, keys)
                report("view", 1.0)
            with vault.database.transaction() as tx:
                version = _record_version(vault, tx, dataset, lineage, staged, keys, by, until)
                if policy is not None and seen is not None:
                    _record_view(vault, tx, version, policy, seen, keys)
    report("done", 1.0)
    return version


def make_missing_view(vault: Vault, dataset: Dataset, policy: AnyPolicy) -> View:
    """The view of the newest version under `policy`, made unless it is there: when a policy is activated, and
    at each start. Raises NoData where nothing is loaded; PolicyMalformed, PolicyCatalogChanged,
    VaultKeyWrong, VaultDamaged.
    """
    _check_policy(dataset, policy)
    with vault.store.exclusive():
        with vault.database.reading() as connection:
            version = find_version(connection, policy.lineage)
            found = find_view(connection, policy.lineage, policy.hash())
        if version is None:
            raise NoData(dataset=dataset.id)
        if version.catalog_hash != policy.catalog:
            # Loaded by another layout than the one that the stewards signed.
            raise PolicyCatalogChanged(dataset=dataset.id)
        if found is not None and found.version == version.number:
            return found
        keys = vault.keys.get(policy.lineage)
        source = vault.store.path(version.file)
        check_hash(source, version.sha256)
        with _cleared_after(vault):
            seen = make_view(vault.store, source, dataset, policy, keys)
            with vault.database.transaction() as tx:
                return _record_view(vault, tx, version, policy, seen, keys)


def last_over(moment: datetime) -> str:
    """The last month that is over at `moment`, in Asia/Seoul."""
    return (moment.astimezone(SEOUL).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def whole_until(version: Version) -> str:
    """The last month that the version's files cover whole, as whoever loaded them said."""
    return version.whole_until or last_over(datetime.fromisoformat(version.loaded_at))


def sweep(vault: Vault) -> int:
    """Remove what a crash left in the vault's folder; how many files and folders. Run at each start."""
    with vault.store.exclusive():
        return _sweep(vault)


def _sweep(vault: Vault) -> int:
    with vault.database.reading() as connection:
        known = known_files(connection)
    return vault.store.sweep(known)


@contextmanager
def _cleared_after(vault: Vault) -> Iterator[None]:
    """Leave nothing behind but what the database names, whether the block ends well or not."""
    _sweep(vault)
    try:
        yield
    finally:
        _sweep(vault)


def _check_policy(dataset: Dataset, policy: AnyPolicy) -> None:
    check_fit(dataset, policy)
    if policy.catalog != dataset.hash():
        raise PolicyCatalogChanged(dataset=dataset.id)


def _keys_for(vault: Vault, lineage: str, dataset: Dataset) -> LineageKeys:
    """New keys for a new lineage; for one with data, its own and no others, or every person would change her
    name.
    """
    with vault.database.reading() as connection:
        newest = find_version(connection, lineage)
    if newest is None:
        return vault.keys.make(lineage)
    if newest.dataset != dataset.id:
        raise PolicyLineageChanged(dataset=dataset.id)
    keys = vault.keys.get(lineage)
    if fingerprint_in(newest.file) != keys.fingerprint:
        raise VaultKeyWrong()
    return keys


def _record_version(
    vault: Vault,
    tx: Transaction,
    dataset: Dataset,
    lineage: str,
    staged: Staged,
    keys: LineageKeys,
    by: str,
    until: str | None,
) -> Version:
    newest = find_version(tx.connection, lineage)
    number = 1 if newest is None else newest.number + 1
    version = Version(
        lineage=lineage,
        number=number,
        dataset=dataset.id,
        catalog_hash=dataset.hash(),
        file=new_file_name(lineage, number, "data", keys),
        sha256=staged.sha256,
        loaded_at=timestamp(vault.clock.now()),
        loaded_by=by,
        whole_until=min(until, last_over(vault.clock.now())) if until else last_over(vault.clock.now()),
    )
    record_version(tx, version)
    # No row counts: they would be exact figures beside the lane.
    facts: dict[str, Json] = {
        "lineage": lineage,
        "version": number,
        "catalog": version.catalog_hash,
        "whole_until": version.whole_until,
    }
    vault.chain.append(tx, EventKind.DATA_LOADED, facts)
    vault.store.publish(staged, version.file)
    return version


def _record_view(
    vault: Vault, tx: Transaction, version: Version, policy: AnyPolicy, staged: Staged, keys: LineageKeys
) -> View:
    view = View(
        lineage=version.lineage,
        version=version.number,
        policy_hash=policy.hash(),
        file=new_file_name(version.lineage, version.number, "view", keys),
        sha256=staged.sha256,
        made_at=timestamp(vault.clock.now()),
    )
    record_view(tx, view)
    facts: dict[str, Json] = {"lineage": view.lineage, "version": view.version, "policy": view.policy_hash}
    vault.chain.append(tx, EventKind.VIEW_MADE, facts)
    vault.store.publish(staged, view.file)
    return view
