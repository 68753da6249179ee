"""Registers and policies taking effect, and which policy is in force now.

What is in force stands in the database, with its signatures, and is verified again at each decision: neither
side alone can close a dataset by editing a file, and nobody can open one by editing the database.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from data_access.audit import Chain, EventKind
from data_access.canonical import canonical_bytes
from data_access.catalog import Dataset
from data_access.clock import Clock, timestamp
from data_access.db import Database, Transaction
from data_access.db.governance import lineage_sources, lineages, policies, registers
from data_access.errors import (
    CivicError,
    IsolationMissing,
    NoData,
    NotOffered,
    PolicyEdited,
    PolicyLineageChanged,
    PolicyMalformed,
    PolicyMissing,
    PolicyRolledBack,
    RegisterInvalid,
    UnknownDataset,
)
from data_access.parties import Register, Signature, check_register
from data_access.parties.keys import parse_signatures, read_signatures, signatures_path
from data_access.policy import (
    AnyPolicy,
    Lane,
    OpenPolicy,
    Policy,
    check_catalog,
    check_signed,
    parse_policy,
    read_document,
)
from data_access.vault import find_view


@dataclass(frozen=True)
class InForce:
    """A private policy that both sides have signed, that is not expired, and whose catalog entry is the signed one."""

    policy: Policy
    entry: Dataset
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class OpenInForce:
    """The same of the open lane. Another type: what is given one of these cannot take the other for it."""

    policy: OpenPolicy
    entry: Dataset
    signatures: tuple[Signature, ...]


@dataclass(frozen=True)
class Governing:
    """The stewards' documents. `pending` is the folder in which signed files wait to be activated."""

    database: Database
    chain: Chain
    clock: Clock
    catalog: Mapping[str, Dataset]
    pending: Path
    #: Whether seats and vault are different users of the machine; without it only synthetic datasets open.
    isolated: bool

    def accept_register(self, register: Register, signatures: tuple[Signature, ...]) -> None:
        """Raises RegisterInvalid. Accepting the register that is already in force changes nothing."""
        with self.database.transaction() as tx:
            previous = self.register(tx.connection)
            if previous is not None and previous.hash() == register.hash():
                return
            check_register(register, signatures, previous, self.clock.now())
            tx.connection.execute(
                insert(registers).values(
                    version=register.version,
                    hash=register.hash(),
                    document=canonical_bytes(register.document()),
                    signatures=_signature_bytes(signatures),
                    accepted_at=timestamp(self.clock.now()),
                )
            )
            self.chain.append(
                tx,
                EventKind.REGISTER_ACCEPTED,
                {"version": register.version, "hash": register.hash()},
            )

    def register(self, connection: Connection) -> Register | None:
        """The register in force, None before the first. Raises RegisterInvalid."""
        found = self.registers(connection)
        return found[-1] if found else None

    def registers(self, connection: Connection) -> list[Register]:
        """All registers, oldest first, each proved again. Raises RegisterInvalid if one was changed."""
        return [register for register, _ in self.accepted_registers(connection)]

    def accepted_registers(self, connection: Connection) -> list[tuple[Register, datetime]]:
        """All registers and when each was accepted, oldest first, each proved again: its hash, and the
        signatures that it needed when it was accepted. Raises RegisterInvalid if one was changed.
        """
        found: list[tuple[Register, datetime]] = []
        for row in connection.execute(select(registers).order_by(registers.c.version)):
            try:
                register = _read_register(row.document)
                signatures = parse_signatures(json.loads(row.signatures))
                accepted = datetime.fromisoformat(row.accepted_at)
            except (ValueError, KeyError, TypeError):
                raise RegisterInvalid(dataset="parties.json") from None
            if register.hash() != row.hash:
                raise RegisterInvalid(dataset="parties.json")
            check_register(register, signatures, found[-1][0] if found else None, accepted)
            found.append((register, accepted))
        return found

    def register_document(self, connection: Connection) -> dict[str, Any]:
        """The public form: the register in force with its signatures, and the ones before it, oldest first.

        Raises RegisterInvalid before the first one, and where one is damaged.
        """
        rows = connection.execute(select(registers).order_by(registers.c.version)).all()
        if not rows:
            raise RegisterInvalid(dataset="parties.json")
        damaged = RegisterInvalid(dataset="parties.json")
        *earlier, newest = [
            {
                "register": _loaded(row.document, damaged),
                "hash": row.hash,
                "signatures": _loaded(row.signatures, damaged),
                "accepted_at": row.accepted_at,
            }
            for row in rows
        ]
        return {**newest, "earlier": earlier}

    def activate(self, policy: AnyPolicy, signatures: tuple[Signature, ...]) -> bool:
        """Let `policy` take effect; False if it already has. Raises the code of what is missing."""
        with self.database.transaction() as tx:
            self._check(tx.connection, policy, signatures)
            newest = self._newest(tx.connection, policy.dataset)
            if newest is not None and newest.hash == policy.hash():
                return False
            if newest is not None and policy.version <= newest.version:
                raise PolicyRolledBack(dataset=policy.dataset)
            self._fix_lineage(tx, policy, self.catalog[policy.dataset])
            tx.connection.execute(
                insert(policies).values(
                    dataset=policy.dataset,
                    version=policy.version,
                    hash=policy.hash(),
                    lineage=policy.lineage,
                    document=canonical_bytes(policy.document()),
                    signatures=_signature_bytes(signatures),
                    activated_at=timestamp(self.clock.now()),
                )
            )
            self.chain.append(
                tx,
                EventKind.POLICY_ACTIVATED,
                {
                    "dataset": policy.dataset,
                    "version": policy.version,
                    "hash": policy.hash(),
                    "lineage": policy.lineage,
                    "signed_by": [*sorted(s.key_id for s in signatures)],
                },
            )
            return True

    def in_force(self, connection: Connection, dataset: str) -> InForce:
        """Raises UnknownDataset, the code of what closes the dataset, or NotOffered where its lane is the open one."""
        found = self.in_any_lane(connection, dataset)
        if not isinstance(found, InForce):
            raise NotOffered(feature=found.policy.lane.value)
        return found

    def in_any_lane(self, connection: Connection, dataset: str) -> InForce | OpenInForce:
        """Raises UnknownDataset, or the code of what closes the dataset."""
        entry = self.catalog.get(dataset)
        if entry is None:
            raise UnknownDataset()
        row = self._newest(connection, dataset)
        if row is None:
            self._explain_pending(connection, dataset)
            raise PolicyMissing(dataset=dataset)
        try:
            policy = _read(row.document)
            signatures = parse_signatures(json.loads(row.signatures))
        except (ValueError, KeyError, TypeError):
            raise PolicyEdited(dataset=dataset) from None
        if policy.hash() != row.hash or policy.dataset != dataset:
            raise PolicyEdited(dataset=dataset)
        self._check(connection, policy, signatures)
        if not policy.synthetic and not self.isolated:
            raise IsolationMissing(dataset=dataset)
        if isinstance(policy, OpenPolicy):
            return OpenInForce(policy, entry, signatures)
        return InForce(policy, entry, signatures)

    def lane(self, connection: Connection, dataset: str) -> Lane | None:
        """What the newest policy of the dataset says of its lane, nothing verified; None where there is none."""
        row = self._newest(connection, dataset)
        try:
            return None if row is None else Lane(json.loads(row.document)["lane"])
        except (ValueError, KeyError, TypeError):
            return None

    def alike(self, connection: Connection, policy: Policy) -> frozenset[str]:
        """Hashes of the versions of this policy, itself among them, under which numbers mean the same."""
        rows = connection.execute(
            select(policies.c.hash, policies.c.document).where(policies.c.dataset == policy.dataset)
        )
        meaning = policy.meaning()
        try:
            return frozenset(r.hash for r in rows if _meaning(r.document) == meaning)
        except ValueError:
            raise PolicyEdited(dataset=policy.dataset) from None

    def documents(self, connection: Connection) -> list[dict[str, Any]]:
        """Every policy that ever took effect, oldest first, for the public. Raises PolicyEdited."""
        rows = connection.execute(select(policies).order_by(policies.c.dataset, policies.c.version)).all()
        newest = {row.dataset: row.version for row in rows}
        holding = {dataset for dataset in newest if self._holds(connection, dataset)}
        return [
            {
                "policy": _loaded(row.document, PolicyEdited(dataset=row.dataset)),
                "hash": row.hash,
                "signatures": _loaded(row.signatures, PolicyEdited(dataset=row.dataset)),
                "activated_at": row.activated_at,
                "in_force": newest[row.dataset] == row.version and row.dataset in holding,
            }
            for row in rows
        ]

    def owners(self, connection: Connection, hashes: Collection[str], side: str) -> frozenset[str] | None:
        """The parties of `side` that each of these policies of the private lane asks to sign; None where all are open.

        None of them where no party signs for all. Raises PolicyEdited for a policy that is not what its hash says.
        """
        found: frozenset[str] | None = None
        for row in connection.execute(select(policies).where(policies.c.hash.in_(hashes))):
            policy = _read(row.document)
            if policy.hash() != row.hash:
                raise PolicyEdited(dataset=row.dataset)
            if isinstance(policy, Policy):
                own = frozenset(signer.party for signer in policy.signers if signer.side == side)
                found = own if found is None else found & own
        return found

    def _holds(self, connection: Connection, dataset: str) -> bool:
        try:
            self.in_any_lane(connection, dataset)
        except CivicError:
            return False
        return True

    def _check(self, connection: Connection, policy: AnyPolicy, signatures: tuple[Signature, ...]) -> None:
        register = self.register(connection)
        if register is None:
            raise RegisterInvalid(dataset="parties.json")
        check_signed(policy, signatures, register, self.clock.now())
        entry = self.catalog.get(policy.dataset)
        if entry is None:
            raise UnknownDataset()
        check_catalog(policy, entry)

    def _newest(self, connection: Connection, dataset: str) -> Any:
        return connection.execute(
            select(policies).where(policies.c.dataset == dataset).order_by(policies.c.version.desc()).limit(1)
        ).first()

    def _explain_pending(self, connection: Connection, dataset: str) -> None:
        """Before a first policy: say what is wrong with the file that waits, if there is one."""
        path = self.pending / f"{dataset}.yaml"
        if not path.exists():
            return
        policy, signatures = read_policy(path)
        self._check(connection, policy, signatures)

    def _fix_lineage(self, tx: Transaction, policy: AnyPolicy, entry: Dataset) -> None:
        row = tx.connection.execute(
            select(lineages, lineage_sources.c.person_source, lineage_sources.c.time_source)
            .outerjoin(lineage_sources, lineage_sources.c.lineage == lineages.c.lineage)
            .where(lineages.c.lineage == policy.lineage)
        ).first()
        fixed: dict[str, str | None] = {"dataset": policy.dataset, "time_column": entry.time_column or ""}
        if isinstance(policy, OpenPolicy):
            # No unit is called so: what was protected once can never be opened, nor the other way round.
            fixed |= {"unit_kind": policy.lane.value, "unit_column": None, "period": ""}
        else:
            unit = policy.unit
            fixed |= {"unit_kind": unit.kind.value, "unit_column": unit.column, "period": unit.period}
        # A name that comes to stand for another column of the file would change who is protected as well.
        person = entry.columns.get(fixed["unit_column"] or "")
        time = entry.columns.get(entry.time_column or "")
        sources: dict[str, str | None] = {
            "person_source": person.source if person else None,
            "time_source": time.source if time else "",
        }
        if row is not None:
            known_sources = {} if row.time_source is None else sources
            if any(getattr(row, name) != value for name, value in (fixed | known_sources).items()):
                raise PolicyLineageChanged(dataset=policy.dataset)
            if not known_sources:
                tx.connection.execute(insert(lineage_sources).values(lineage=policy.lineage, **sources))
            return
        known = tx.connection.scalar(select(lineages.c.lineage).where(lineages.c.dataset == policy.dataset))
        if known is not None:
            # A dataset under a second lineage name would bring a second budget for the same records.
            raise PolicyLineageChanged(dataset=policy.dataset)
        tx.connection.execute(insert(lineages).values(lineage=policy.lineage, **fixed))
        tx.connection.execute(insert(lineage_sources).values(lineage=policy.lineage, **sources))


def _loaded(document: bytes, damaged: CivicError) -> Any:
    try:
        return json.loads(document)
    except ValueError:
        raise damaged from None


# What bytes say is remembered, since they say it for ever; which bytes are in force, and that they are, never is.
@lru_cache(maxsize=256)
def _read(document: bytes) -> AnyPolicy:
    return read_document(json.loads(document))


@lru_cache(maxsize=256)
def _meaning(document: bytes) -> str | None:
    """None in the open lane, whose numbers are never joined."""
    policy = _read(document)
    return policy.meaning() if isinstance(policy, Policy) else None


@lru_cache(maxsize=256)
def _read_register(document: bytes) -> Register:
    return Register.model_validate(json.loads(document), strict=False)


def read_policy(path: Path) -> tuple[AnyPolicy, tuple[Signature, ...]]:
    """A policy file and its detached signatures. Raises PolicyMissing, PolicyMalformed or PolicyEdited."""
    try:
        source = path.read_text("utf-8")
    except OSError:
        raise PolicyMissing(dataset=path.stem) from None
    except UnicodeDecodeError:
        raise PolicyMalformed(dataset=path.stem, where="UTF-8") from None
    policy = parse_policy(source, path.stem)
    try:
        return policy, read_signatures(signatures_path(path))
    except (OSError, ValueError):
        raise PolicyEdited(dataset=path.stem) from None


def reason_closed(governing: Governing, connection: Connection, dataset: str) -> CivicError | None:
    """Why `dataset` answers nothing, or None."""
    try:
        policy = governing.in_any_lane(connection, dataset).policy
        if find_view(connection, policy.lineage, policy.hash()) is None:
            return NoData(dataset=dataset)
    except CivicError as reason:
        return reason
    return None


def _signature_bytes(signatures: tuple[Signature, ...]) -> bytes:
    return canonical_bytes([s.document() for s in sorted(signatures, key=lambda s: s.key_id)])
