"""Stored signed answers: the very bytes that were signed."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from data_access.db.metadata import METADATA

answers = Table(
    "answers",
    METADATA,
    Column("id", String(31), primary_key=True),
    Column("dataset", String(40), nullable=False),
    Column("plan_id", String(31), nullable=False),
    Column("nano", BigInteger, nullable=False),
    #: 1, and one more for each time that somebody paid to ask afresh.
    Column("edition", Integer, nullable=False),
    Column("reservation", ForeignKey("reservations.id"), nullable=False, unique=True),
    Column("team", String(64), nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("data_version", Integer, nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("stored_at", String(20), nullable=False),
    Index("ix_answers_plan", "dataset", "plan_id", "nano", "edition"),
    Index("ix_answers_team", "team"),
)

#: What an answer to a question about one period was drawn, withheld cells included. It is private already; what
#: is withheld in the answer's table is withheld again, by its own sum, in whatever is added up from these.
cells = Table(
    "cells",
    METADATA,
    Column("answer", ForeignKey("answers.id"), primary_key=True),
    Column("dataset", String(40), nullable=False),
    Column("period", String(7), nullable=False),
    #: Canonical JSON of the plan.
    Column("plan", LargeBinary, nullable=False),
    #: Canonical JSON {measure: σ as a decimal text}.
    Column("scales", LargeBinary, nullable=False),
    #: Canonical JSON {column: [integers]} of the measures that can be added up, compressed.
    Column("noisy", LargeBinary, nullable=False),
    Index("ix_cells_dataset_period", "dataset", "period"),
)

#: How much of each period is past the row bound: once for each period and bound, for ever.
lost_shares = Table(
    "lost_shares",
    METADATA,
    Column("lineage", String(60), primary_key=True),
    Column("period", String(7), primary_key=True),
    Column("row_bound", Integer, primary_key=True),
    Column("id", String(31), nullable=False, unique=True),
    Column("reservation", ForeignKey("reservations.id"), nullable=False, unique=True),
    Column("key_id", String(64), nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("stored_at", String(20), nullable=False),
)
