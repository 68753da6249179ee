"""Which loaded versions and private views exist. A file that no row names is an orphan and is swept."""

from sqlalchemy import Column, Integer, String, Table

from data_access.db.metadata import METADATA

versions = Table(
    "versions",
    METADATA,
    Column("lineage", String(60), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("dataset", String(40), nullable=False),
    Column("catalog_hash", String(64), nullable=False),
    Column("file", String(120), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("loaded_at", String(20), nullable=False),
    Column("loaded_by", String(64), nullable=False),
    #: The last month that the files cover whole: nothing is published of a month that a later load completes.
    Column("whole_until", String(7), nullable=True),
)

views = Table(
    "views",
    METADATA,
    Column("lineage", String(60), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("policy_hash", String(64), primary_key=True),
    Column("file", String(120), nullable=False, unique=True),
    Column("sha256", String(64), nullable=False),
    Column("made_at", String(20), nullable=False),
)
