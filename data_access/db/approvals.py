"""Allowances of seats, and questions that wait for a person: append-only, so that what was allowed stays to be seen."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from data_access.db.metadata import METADATA

#: What each seat of a team may spend of each period without asking anybody; the newest that has begun is in force.
allowances = Table(
    "allowances",
    METADATA,
    Column("id", String(31), primary_key=True),
    #: Order, counted here: moments of one second are equal, and a clock may jump back.
    Column("seq", Integer, nullable=False, unique=True),
    Column("team", String(64), nullable=False),
    #: A dataset has one lineage for good, so its name says whose periods these are.
    Column("dataset", String(40), nullable=False),
    Column("seats", Integer, nullable=False),
    Column("nano", BigInteger, nullable=False),
    #: None: from the moment that it was set, whatever the clock does afterwards.
    Column("starts_at", String(20), nullable=True),
    Column("ends_at", String(20), nullable=True),
    Column("set_by", String(64), nullable=False),
    Column("set_at", String(20), nullable=False),
    Index("ix_allowances_team", "team", "dataset"),
)

#: Charges that a seat made within an allowance. Those that a person approved are not among them.
allowance_charges = Table(
    "allowance_charges",
    METADATA,
    Column("reservation", ForeignKey("reservations.id"), primary_key=True),
    Column("allowance", ForeignKey("allowances.id"), nullable=False),
    Index("ix_allowance_charges_allowance", "allowance"),
)

#: Questions that were asked and neither read nor charged: they wait for a person.
holds = Table(
    "holds",
    METADATA,
    Column("id", String(31), primary_key=True),
    Column("seq", Integer, nullable=False, unique=True),
    #: Hash of plan, price, team, purpose, freshness and policy: what is approved, and nothing else.
    Column("question", String(64), nullable=False),
    Column("cause", String(10), nullable=False),
    Column("team", String(64), nullable=False),
    Column("asker", String(64), nullable=False),
    Column("dataset", String(40), nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("plan_id", String(31), nullable=False),
    #: For each period of `document`.
    Column("nano", BigInteger, nullable=False),
    #: Canonical JSON of what the person who decides is shown.
    Column("document", LargeBinary, nullable=False),
    Column("asked_at", String(20), nullable=False),
    Index("ix_holds_team", "team"),
    Index("ix_holds_asker_question", "asker", "question"),
)

#: `approved` or `refused`, once, by a person.
hold_decisions = Table(
    "hold_decisions",
    METADATA,
    Column("hold", ForeignKey("holds.id"), primary_key=True),
    Column("decision", String(10), nullable=False),
    Column("person", String(64), nullable=False),
    Column("decided_at", String(20), nullable=False),
)

#: `used` (with the reservation that was charged) or `expired`, once. Written when it is noticed, so that a clock
#: which jumps back revives nothing.
hold_ends = Table(
    "hold_ends",
    METADATA,
    Column("hold", ForeignKey("holds.id"), primary_key=True),
    Column("outcome", String(10), nullable=False),
    Column("reservation", ForeignKey("reservations.id"), nullable=True),
    Column("ended_at", String(20), nullable=False),
)
