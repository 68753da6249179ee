"""The noisy numbers of answers: what a coarser question can be added up from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_cells"
down_revision = "0002_witnesses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cells",
        sa.Column("answer", sa.String(length=31), nullable=False),
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("scales", sa.LargeBinary(), nullable=False),
        sa.Column("noisy", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["answer"], ["answers.id"], name=op.f("fk_cells_answer_answers")),
        sa.PrimaryKeyConstraint("answer", name=op.f("pk_cells")),
    )
    op.create_index("ix_cells_dataset_period", "cells", ["dataset", "period"], unique=False)
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER cells_no_{verb.lower()} BEFORE {verb} ON cells "
                f"BEGIN SELECT RAISE(ABORT, 'append-only'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER cells_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cells "
            "EXECUTE FUNCTION civic_append_only()"
        )


def downgrade() -> None:
    raise RuntimeError("stored cells are never taken back")
