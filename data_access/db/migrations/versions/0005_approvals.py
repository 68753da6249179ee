"""Allowances of seats, and questions that wait for a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_approvals"
down_revision = "0004_lost_shares"
branch_labels = None
depends_on = None

APPEND_ONLY = ("allowances", "allowance_charges", "holds", "hold_decisions", "hold_ends")


def upgrade() -> None:
    op.create_table(
        "allowances",
        sa.Column("id", sa.String(length=31), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.String(length=20), nullable=True),
        sa.Column("ends_at", sa.String(length=20), nullable=True),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allowances")),
        sa.UniqueConstraint("seq", name=op.f("uq_allowances_seq")),
    )
    op.create_index("ix_allowances_team", "allowances", ["team", "dataset"], unique=False)
    op.create_table(
        "allowance_charges",
        sa.Column("reservation", sa.String(length=31), nullable=False),
        sa.Column("allowance", sa.String(length=31), nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation"], ["reservations.id"], name=op.f("fk_allowance_charges_reservation_reservations")
        ),
        sa.ForeignKeyConstraint(
            ["allowance"], ["allowances.id"], name=op.f("fk_allowance_charges_allowance_allowances")
        ),
        sa.PrimaryKeyConstraint("reservation", name=op.f("pk_allowance_charges")),
    )
    op.create_index("ix_allowance_charges_allowance", "allowance_charges", ["allowance"], unique=False)
    op.create_table(
        "holds",
        sa.Column("id", sa.String(length=31), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("cause", sa.String(length=10), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("asker", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("policy_hash", sa.String(length=64), nullable=False),
        sa.Column("plan_id", sa.String(length=31), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
        sa.UniqueConstraint("seq", name=op.f("uq_holds_seq")),
    )
    op.create_index("ix_holds_team", "holds", ["team"], unique=False)
    op.create_index("ix_holds_asker_question", "holds", ["asker", "question"], unique=False)
    op.create_table(
        "hold_decisions",
        sa.Column("hold", sa.String(length=31), nullable=False),
        sa.Column("decision", sa.String(length=10), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("decided_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["hold"], ["holds.id"], name=op.f("fk_hold_decisions_hold_holds")),
        sa.PrimaryKeyConstraint("hold", name=op.f("pk_hold_decisions")),
    )
    op.create_table(
        "hold_ends",
        sa.Column("hold", sa.String(length=31), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("reservation", sa.String(length=31), nullable=True),
        sa.Column("ended_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["hold"], ["holds.id"], name=op.f("fk_hold_ends_hold_holds")),
        sa.ForeignKeyConstraint(
            ["reservation"], ["reservations.id"], name=op.f("fk_hold_ends_reservation_reservations")
        ),
        sa.PrimaryKeyConstraint("hold", name=op.f("pk_hold_ends")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, 'append-only'); END"
                )
    else:
        for table in APPEND_ONLY:
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                f"EXECUTE FUNCTION civic_append_only()"
            )


def downgrade() -> None:
    raise RuntimeError("what a person allowed is never taken back")
