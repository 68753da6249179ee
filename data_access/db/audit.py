"""`events`: the hash-chained log. `heads` would be a second truth; the head is the last row."""

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from data_access.db.metadata import METADATA

events = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), nullable=False, unique=True),
    #: Canonical JSON {seq, at, kind, facts, previous}: exactly the bytes that are hashed and signed.
    Column("body", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)
