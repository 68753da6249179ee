"""Release records and the approvals over them."""

from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table

from data_access.db.metadata import METADATA

releases = Table(
    "releases",
    METADATA,
    Column("id", String(31), primary_key=True),
    Column("slug", String(80), nullable=False),
    #: Canonical JSON of the record: the bytes that both sides sign.
    Column("record", LargeBinary, nullable=False),
    Column("author", String(64), nullable=False),
    Column("created_at", String(20), nullable=False),
)

approvals = Table(
    "approvals",
    METADATA,
    Column("release", ForeignKey("releases.id"), primary_key=True),
    Column("side", String(4), primary_key=True),
    Column("key_id", String(64), nullable=False),
    Column("person", String(64), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("approved_at", String(20), nullable=False),
)
