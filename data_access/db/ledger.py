"""The budget's own tables: append-only (triggers in the migration refuse UPDATE and DELETE)."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from data_access.db.metadata import METADATA

#: One budget for each lineage × period, fixed by the policy in force when the period first opens.
periods = Table(
    "periods",
    METADATA,
    Column("lineage", String(60), primary_key=True),
    Column("period", String(7), primary_key=True),
    Column("budget", BigInteger, nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("opened_at", String(20), nullable=False),
)

reservations = Table(
    "reservations",
    METADATA,
    Column("id", String(31), primary_key=True),
    #: Hash of (dataset, plan id, ρ): one question has one reservation under way at a time.
    Column("question", String(64), nullable=False),
    #: Which try at this question it is: 1 unless `fresh` was paid for.
    Column("edition", Integer, nullable=False),
    Column("team", String(64), nullable=False),
    Column("asker", String(64), nullable=False),
    Column("cap", String(40), nullable=False),
    Column("plan_id", String(31), nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("reserved_at", String(20), nullable=False),
    UniqueConstraint("question", "edition", name="uq_reservations_question_edition"),
)

charges = Table(
    "charges",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("reservation", ForeignKey("reservations.id"), nullable=False),
    Column("lineage", String(60), nullable=False),
    Column("period", String(7), nullable=False),
    Column("team", String(64), nullable=False),
    Column("cap", String(40), nullable=False),
    Column("nano", BigInteger, nullable=False),
    Index("ix_charges_lineage_period", "lineage", "period"),
)

#: How a reservation ended: `answered` (bytes are stored) or `closed` (spent without an answer).
settlements = Table(
    "settlements",
    METADATA,
    Column("reservation", ForeignKey("reservations.id"), primary_key=True),
    Column("outcome", String(10), nullable=False),
    Column("settled_at", String(20), nullable=False),
)

#: A retry key is bound to asker, team and body for good.
retry_keys = Table(
    "retry_keys",
    METADATA,
    Column("asker", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("body", String(64), nullable=False),
    Column("reservation", ForeignKey("reservations.id"), nullable=False),
)
