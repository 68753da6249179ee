"""Policies and registers as they took effect, with the signatures that made them."""

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from data_access.db.metadata import METADATA

#: Every policy version that ever took effect. The newest version of a dataset is the one in force.
policies = Table(
    "policies",
    METADATA,
    Column("dataset", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("lineage", String(60), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("signatures", LargeBinary, nullable=False),
    Column("activated_at", String(20), nullable=False),
)

#: What a lineage's first policy fixed for good.
lineages = Table(
    "lineages",
    METADATA,
    Column("lineage", String(60), primary_key=True),
    Column("dataset", String(40), nullable=False, unique=True),
    Column("unit_kind", String(10), nullable=False),
    Column("unit_column", String(40), nullable=True),
    Column("period", String(10), nullable=False),
    Column("time_column", String(40), nullable=False),
)

registers = Table(
    "registers",
    METADATA,
    Column("version", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("document", LargeBinary, nullable=False),
    Column("signatures", LargeBinary, nullable=False),
    Column("accepted_at", String(20), nullable=False),
)
