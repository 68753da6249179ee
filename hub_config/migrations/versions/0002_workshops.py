"""Workshops, their seats, cards and browsers; passwords and outside identities; observers; who changed what."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def _to(column: str, table: str, *, unique: bool = False) -> sa.Column[int]:
    return sa.Column(
        column,
        sa.Integer,
        sa.ForeignKey(f"workspace_{table}.id", ondelete="CASCADE"),
        nullable=False,
        unique=unique,
    )


def upgrade() -> None:
    op.create_table(
        "workspace_workshops",
        _id(),
        sa.Column("slug", sa.String(32), nullable=False, unique=True),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("team_id", sa.Integer, sa.ForeignKey("workspace_teams.id"), nullable=False),
        sa.Column("notebook", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("homes_until", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workspace_seats",
        _id(),
        _to("person_id", "persons", unique=True),
        _to("workshop_id", "workshops"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("help_since", sa.BigInteger),
        sa.UniqueConstraint("workshop_id", "number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workspace_cards",
        _id(),
        _to("seat_id", "seats"),
        sa.Column("code_hmac", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_workspace_cards_seat_id", "workspace_cards", ["seat_id"])
    op.create_table(
        "workspace_browsers",
        _id(),
        _to("seat_id", "seats"),
        sa.Column("browser_sha256", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("seat_id", "browser_sha256"),
        sa.CheckConstraint("state IN ('in', 'waiting', 'out')", name="state"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workspace_passwords",
        sa.Column(
            "person_id",
            sa.Integer,
            sa.ForeignKey("workspace_persons.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("hash", sa.String(200), nullable=False),
        sa.Column("set_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "workspace_identities",
        _id(),
        _to("person_id", "persons"),
        sa.Column("issuer", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.UniqueConstraint("issuer", "subject"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("workspace_memberships") as memberships:
        memberships.add_column(sa.Column("kind", sa.String(8), nullable=False, server_default="member"))
        memberships.create_check_constraint("kind", "kind IN ('member', 'observer')")
    op.create_table(
        "workspace_changes",
        _id(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("by", sa.String(32), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("team", sa.String(32), nullable=False),
        sqlite_autoincrement=True,
    )
