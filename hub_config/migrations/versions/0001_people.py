"""Persons, roles, teams, memberships, rooms, sign-in links."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def _person() -> sa.Column[int]:
    return sa.Column(
        "person_id",
        sa.Integer,
        sa.ForeignKey("workspace_persons.id", ondelete="CASCADE"),
        nullable=False,
    )


def upgrade() -> None:
    op.create_table(
        "workspace_persons",
        _id(),
        sa.Column("name", sa.String(32), nullable=False, unique=True),
        sa.Column("display_ko", sa.String(80), nullable=False),
        sa.Column("display_en", sa.String(80), nullable=False),
        sa.Column("language", sa.String(2), nullable=False),
        sa.Column("uid_offset", sa.Integer, nullable=False, unique=True),
        sa.CheckConstraint("language IN ('ko', 'en')", name="language"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workspace_person_roles",
        _person(),
        sa.Column("role", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("person_id", "role"),
    )
    op.create_table(
        "workspace_teams",
        _id(),
        sa.Column("slug", sa.String(32), nullable=False, unique=True),
        sa.Column("title_ko", sa.String(80), nullable=False),
        sa.Column("title_en", sa.String(80), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workspace_memberships",
        _person(),
        sa.Column(
            "team_id",
            sa.Integer,
            sa.ForeignKey("workspace_teams.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("person_id", "team_id"),
    )
    op.create_table(
        "workspace_rooms",
        _id(),
        sa.Column("name", sa.String(32), nullable=False, unique=True),
        sa.Column("team_id", sa.Integer, sa.ForeignKey("workspace_teams.id"), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workspace_links",
        _id(),
        _person(),
        sa.Column("secret_sha256", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_workspace_links_person_id", "workspace_links", ["person_id"])
