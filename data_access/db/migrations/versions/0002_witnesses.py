"""Heads that somebody else has signed: append-only like the chain that they vouch for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_witnesses"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "witnesses",
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("party", sa.String(length=64), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "seq", name=op.f("pk_witnesses")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER witnesses_no_{verb.lower()} BEFORE {verb} ON witnesses "
                f"BEGIN SELECT RAISE(ABORT, 'append-only'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER witnesses_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON witnesses "
            "EXECUTE FUNCTION civic_append_only()"
        )


def downgrade() -> None:
    raise RuntimeError("a witnessed head is never taken back")
