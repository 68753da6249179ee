"""Lost shares, and the last month that a version's files cover whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_lost_shares"
down_revision = "0003_cells"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("versions", sa.Column("whole_until", sa.String(length=7), nullable=True))
    op.create_table(
        "lost_shares",
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("row_bound", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=31), nullable=False),
        sa.Column("reservation", sa.String(length=31), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation"], ["reservations.id"], name=op.f("fk_lost_shares_reservation_reservations")
        ),
        sa.PrimaryKeyConstraint("lineage", "period", "row_bound", name=op.f("pk_lost_shares")),
        sa.UniqueConstraint("id", name=op.f("uq_lost_shares_id")),
        sa.UniqueConstraint("reservation", name=op.f("uq_lost_shares_reservation")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER lost_shares_no_{verb.lower()} BEFORE {verb} ON lost_shares "
                f"BEGIN SELECT RAISE(ABORT, 'append-only'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER lost_shares_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON lost_shares "
            "EXECUTE FUNCTION civic_append_only()"
        )


def downgrade() -> None:
    raise RuntimeError("a published lost share is never taken back")
