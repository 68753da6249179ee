"""A release record, and the two approvals without which no file of it is published."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from sqlalchemy import Connection, Row, insert, select

from data_access.answers import Shelf
from data_access.audit import Chain, EventKind
from data_access.canonical import canonical_bytes, content_id
from data_access.clock import Clock, timestamp
from data_access.db import Database
from data_access.db.commons import approvals, releases
from data_access.documents import Closed, Labels, Name
from data_access.errors import (
    ApprovalByAuthor,
    ApprovalByOther,
    ApprovalInvalid,
    MalformedRequest,
    TeamNotYours,
    UnknownRelease,
)
from data_access.flows.answering import Asker
from data_access.flows.governing import Governing
from data_access.parties import Key, Party, Register, Signature, SigningKey

#: How the names of askers that are services begin; no person's name may (hub_config.roles).
SERVICE = "service-"

_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*){0,3}")


def _safe_path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise ValueError("a path inside the release")
    return path


class ReleasedFile(Closed):
    path: Annotated[str, AfterValidator(_safe_path)]
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0, le=50_000_000)


class ReleaseRecord(Closed):
    """What is signed: every file by its hash, every answer and policy by its id."""

    kind: Literal["civic-release"]
    report: Name
    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")
    title: Labels
    author: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    team: str
    parameters: dict[str, Any]
    demonstration: bool
    answers: tuple[str, ...] = Field(min_length=1)
    policies: tuple[str, ...] = Field(min_length=1)
    notebook_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    files: tuple[ReleasedFile, ...] = Field(min_length=1, max_length=500)
    created_at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


@dataclass(frozen=True)
class Releasing:
    database: Database
    governing: Governing
    shelf: Shelf
    chain: Chain
    clock: Clock
    #: The gateway's; makes the pseudonyms under which persons stand in public records.
    key: SigningKey

    def public_name(self, asker: str) -> str:
        """A service stands by its name, a person by her keyed pseudonym."""
        return asker if asker.startswith(SERVICE) else self.key.pseudonym(asker)

    def submit(self, author: Asker, document: Any) -> dict[str, Any]:
        """Store a record; the same record again is the same release.

        Raises MalformedRequest, TeamNotYours or UnknownAnswer.
        """
        record = _parse(document)
        if record.author != self.public_name(author.name):
            raise MalformedRequest(where="record.author")
        if record.team not in author.teams:
            raise TeamNotYours()
        if len({file.path for file in record.files}) != len(record.files):
            raise MalformedRequest(where="record.files")
        data = canonical_bytes(document)
        release = content_id("rel", data)
        with self.database.transaction() as tx:
            known = tx.connection.execute(select(releases.c.id).where(releases.c.id == release)).first()
            if known is None:
                self._check_answers(tx.connection, record)
                tx.connection.execute(
                    insert(releases).values(
                        id=release,
                        slug=record.slug,
                        record=data,
                        author=record.author,
                        created_at=timestamp(self.clock.now()),
                    )
                )
                self.chain.append(
                    tx, EventKind.RELEASE_SUBMITTED, {"release": release, "answers": list(record.answers)}
                )
            return self._document(tx.connection, release)

    def approve(self, release: str, signature: Signature) -> dict[str, Any]:
        """Add one side's signature. Raises UnknownRelease, ApprovalInvalid, ApprovalByAuthor or ApprovalByOther.

        Whoever signed for the private data of a report decides for its side, and no other party there: else a CSO could
        publish what a charity owns. A report of data for which no one party of a side signed is approved by nobody.
        """
        with self.database.transaction() as tx:
            row = self._row(tx.connection, release)
            register = self.governing.register(tx.connection)
            if register is None:
                raise ApprovalInvalid()
            try:
                key, party = register.signer(signature, row.record, self.clock.now())
            except ValueError:
                raise ApprovalInvalid() from None
            if key.person is None or (key.demo and not _stored(row.record).demonstration):
                raise ApprovalInvalid()
            if self.public_name(key.person) == row.author:
                raise ApprovalByAuthor()
            if not self._may_approve(tx.connection, row.record, party):
                raise ApprovalByOther()
            given = tx.connection.execute(
                select(approvals.c.side).where(approvals.c.release == release, approvals.c.side == party.side)
            ).first()
            if given is None:
                tx.connection.execute(
                    insert(approvals).values(
                        release=release,
                        side=party.side,
                        key_id=key.id,
                        person=key.person,
                        signature=base64.b64decode(signature.ed25519),
                        approved_at=timestamp(self.clock.now()),
                    )
                )
                self.chain.append(
                    tx,
                    EventKind.RELEASE_APPROVED,
                    {"release": release, "side": party.side, "party": party.id, "key": key.id},
                )
            return self._document(tx.connection, release)

    def get(self, release: str) -> dict[str, Any]:
        with self.database.reading() as connection:
            return self._document(connection, release)

    def list(self) -> list[dict[str, Any]]:
        """Newest first."""
        with self.database.reading() as connection:
            ids = connection.scalars(
                select(releases.c.id).order_by(releases.c.created_at.desc(), releases.c.id)
            )
            return [self._document(connection, release) for release in ids.all()]

    def _check_answers(self, connection: Connection, record: ReleaseRecord) -> None:
        """Every answer exists, and the policies and the demonstration mark are those of the answers."""
        statements = [json.loads(self.shelf.get(connection, answer).statement) for answer in record.answers]
        if {s["policy_hash"] for s in statements} != set(record.policies):
            raise MalformedRequest(where="record.policies")
        # All or none: one made-up answer among real ones would make the release a demonstration, and demo keys
        # could approve the real ones with it.
        if {s["synthetic"] for s in statements} != {record.demonstration}:
            raise MalformedRequest(where="record.demonstration")

    def _may_approve(self, connection: Connection, record: bytes, party: Party) -> bool:
        """Whether `party` signed for all private data of the record, or there are none."""
        owners = self.governing.owners(connection, _stored(record).policies, party.side)
        return owners is None or party.id in owners

    def _row(self, connection: Connection, release: str) -> Row[Any]:
        # As with answers: PostgreSQL takes no NUL.
        known = release.isprintable()
        row = connection.execute(select(releases).where(releases.c.id == release)).first() if known else None
        if row is None:
            raise UnknownRelease()
        return row

    def _document(self, connection: Connection, release: str) -> dict[str, Any]:
        row = self._row(connection, release)
        given = connection.execute(
            select(approvals).where(approvals.c.release == release).order_by(approvals.c.side)
        ).all()
        # Keys of every register that was ever in force: a key that ran out later still approved this.
        keys = {key.id: (key, known) for known in self.governing.registers(connection) for key in known.keys}
        given = [
            a
            for a in given
            if (party := _approver(a, row.record, keys)) is not None
            and self._may_approve(connection, row.record, party)
        ]
        return {
            "release_id": release,
            "state": "approved" if {a.side for a in given} == {"city", "cso"} else "waiting",
            "record": json.loads(row.record),
            "approvals": [
                {
                    "side": a.side,
                    "party": keys[a.key_id][0].party,
                    "key_id": a.key_id,
                    "ed25519": base64.b64encode(a.signature).decode("ascii"),
                    "approved_at": a.approved_at,
                }
                for a in given
            ],
        }


def _approver(approval: Row[Any], record: bytes, keys: Mapping[str, tuple[Key, Register]]) -> Party | None:
    """Whose stored approval this is, or None where it is not what it says: proved each time, so that a row alone
    approves nothing.
    """
    key, register = keys.get(approval.key_id, (None, None))
    if key is None or register is None or key.party is None:
        return None
    party = register.party(key.party)
    if (key.demo and not _stored(record).demonstration) or party.side != approval.side:
        return None
    signature = Signature(key.id, base64.b64encode(approval.signature).decode("ascii"))
    try:
        register.signer(signature, record, datetime.fromisoformat(approval.approved_at))
    except ValueError:
        return None
    return party


def _stored(record: bytes) -> ReleaseRecord:
    return ReleaseRecord.model_validate_json(record)


def _parse(document: Any) -> ReleaseRecord:
    """Raises MalformedRequest. Strict: the bytes that are signed say what was understood, so that the text
    "false" is no demonstration mark.
    """
    try:
        return _stored(canonical_bytes(document))
    except ValidationError as fault:
        where = "record." + ".".join(map(str, fault.errors()[0]["loc"]))
        raise MalformedRequest(where=where[:80]) from None
    except (TypeError, ValueError, RecursionError):
        raise MalformedRequest(where="record") from None
