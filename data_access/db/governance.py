"""Policies and registers as they took effect, with the signatures that made them."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table, Text

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

#: The columns of the file that the catalog's names of person and time stood for by then. A table of its own:
#: lineages from before it was kept have no row, and get one with their next policy.
lineage_sources = Table(
    "lineage_sources",
    METADATA,
    Column("lineage", String(60), ForeignKey("lineages.lineage"), primary_key=True),
    Column("person_source", Text, nullable=True),
    Column("time_source", Text, nullable=False),
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
