"""A workshop has a language: that of its seats and cards."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "workspace_workshops", sa.Column("language", sa.String(2), nullable=False, server_default="ko")
    )
    # What its seats were made with.
    op.execute(
        "UPDATE workspace_workshops SET language = COALESCE((SELECT MIN(p.language) FROM workspace_seats s"
        " JOIN workspace_persons p ON p.id = s.person_id WHERE s.workshop_id = workspace_workshops.id), 'ko')"
    )
