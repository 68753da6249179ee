"""`events`: the hash-chained log. `heads` would be a second truth; the head is the last row.

`witnesses`: heads that a party's own computer has checked and signed.
"""

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

witnesses = Table(
    "witnesses",
    METADATA,
    Column("key_id", String(64), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("party", String(64), nullable=False),
    Column("side", String(4), nullable=False),
    #: Canonical JSON {at, hash, kind, register, seq}: exactly the bytes that the witness signed.
    Column("statement", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("stored_at", String(20), nullable=False),
)
