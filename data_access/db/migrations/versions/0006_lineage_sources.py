"""Which columns of the file stand behind a lineage's person and time: fixed, like their names, by its first policy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_lineage_sources"
down_revision = "0005_approvals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lineage_sources",
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("person_source", sa.Text(), nullable=True),
        sa.Column("time_source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lineage"], ["lineages.lineage"], name=op.f("fk_lineage_sources_lineage_lineages")
        ),
        sa.PrimaryKeyConstraint("lineage", name=op.f("pk_lineage_sources")),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER lineage_sources_no_{verb.lower()} BEFORE {verb} ON lineage_sources "
                f"BEGIN SELECT RAISE(ABORT, 'append-only'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER lineage_sources_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON lineage_sources "
            "EXECUTE FUNCTION civic_append_only()"
        )


def downgrade() -> None:
    raise RuntimeError("what a first policy fixed is never taken back")
