"""The workspace's own tables: persons, teams, rooms, workshops, seats, ways to sign in. The one home of membership.

They may share a PostgreSQL database with JupyterHub's (CIVIC_HUB_DATABASE_URL): every name starts with
`workspace_`, the Alembic version table included, so neither side's migrations see the other's. The vault
side's database is another one on purpose: who may read a ledger must not thereby be able to write a
membership.

Uids are kept as offsets from CIVIC_UID_BASE, counted up and never used again: a new person must not become
the owner of files that an old one left behind.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    func,
    select,
)

from hub_config.settings import Settings

VERSION_TABLE = "workspace_alembic_version"
#: Any number: it tells this lock from others in the same database.
_MIGRATION_LOCK = 20_261_123

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

persons = Table(
    "workspace_persons",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(32), nullable=False, unique=True),
    Column("display_ko", String(80), nullable=False),
    Column("display_en", String(80), nullable=False),
    Column(
        "language",
        String(2),
        CheckConstraint("language IN ('ko', 'en')", "language"),
        nullable=False,
    ),
    Column("uid_offset", Integer, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

person_roles = Table(
    "workspace_person_roles",
    metadata,
    Column("person_id", ForeignKey(persons.c.id, ondelete="CASCADE"), nullable=False),
    Column("role", String(32), nullable=False),
    PrimaryKeyConstraint("person_id", "role"),
)

teams = Table(
    "workspace_teams",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("slug", String(32), nullable=False, unique=True),
    Column("title_ko", String(80), nullable=False),
    Column("title_en", String(80), nullable=False),
    sqlite_autoincrement=True,
)

memberships = Table(
    "workspace_memberships",
    metadata,
    Column("person_id", ForeignKey(persons.c.id, ondelete="CASCADE"), nullable=False),
    Column("team_id", ForeignKey(teams.c.id, ondelete="CASCADE"), nullable=False),
    # An observer reads what the team's room shows and neither enters it nor pays from its budget.
    Column(
        "kind",
        String(8),
        CheckConstraint("kind IN ('member', 'observer')", "kind"),
        nullable=False,
        server_default="member",
    ),
    PrimaryKeyConstraint("person_id", "team_id"),
)

rooms = Table(
    "workspace_rooms",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(32), nullable=False, unique=True),
    Column("team_id", ForeignKey(teams.c.id), nullable=False),
    sqlite_autoincrement=True,
)

links = Table(
    "workspace_links",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column(
        "person_id",
        ForeignKey(persons.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    sqlite_autoincrement=True,
)

workshops = Table(
    "workspace_workshops",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("slug", String(32), nullable=False, unique=True),
    Column("title", String(120), nullable=False),
    Column("team_id", ForeignKey(teams.c.id), nullable=False),
    # The file's name in each home's `examples`; empty: none is opened.
    Column("notebook", String(200), nullable=False),
    # Of its seats and cards; whoever makes it may read another.
    Column("language", String(2), nullable=False, server_default="ko"),
    Column("created_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    # Until then the homes stay, and the same cards open them at the team's next workshop.
    Column("homes_until", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    sqlite_autoincrement=True,
)

#: A seat is a person (`seat-<workshop>-<nn>`, named after her first workshop); `workshop_id` is the one she is in now.
seats = Table(
    "workspace_seats",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("person_id", ForeignKey(persons.c.id, ondelete="CASCADE"), nullable=False, unique=True),
    Column("workshop_id", ForeignKey(workshops.c.id, ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("help_since", BigInteger),
    UniqueConstraint("workshop_id", "number"),
    sqlite_autoincrement=True,
)

cards = Table(
    "workspace_cards",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("seat_id", ForeignKey(seats.c.id, ondelete="CASCADE"), nullable=False, index=True),
    # Keyed: 60 bits that a person can type could be searched for in a stolen database.
    Column("code_hmac", String(64), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    sqlite_autoincrement=True,
)

#: The browsers that showed a seat's card: one is in, others wait for the facilitator's word.
browsers = Table(
    "workspace_browsers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("seat_id", ForeignKey(seats.c.id, ondelete="CASCADE"), nullable=False),
    Column("browser_sha256", String(64), nullable=False),
    Column(
        "state",
        String(8),
        CheckConstraint("state IN ('in', 'waiting', 'out')", "state"),
        nullable=False,
    ),
    Column("since", BigInteger, nullable=False),
    UniqueConstraint("seat_id", "browser_sha256"),
    sqlite_autoincrement=True,
)

passwords = Table(
    "workspace_passwords",
    metadata,
    Column("person_id", ForeignKey(persons.c.id, ondelete="CASCADE"), primary_key=True),
    Column("hash", String(200), nullable=False),
    Column("set_at", BigInteger, nullable=False),
)

#: Who a person is at a provider of sign-in (OIDC): its address and its name for her.
identities = Table(
    "workspace_identities",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("person_id", ForeignKey(persons.c.id, ondelete="CASCADE"), nullable=False),
    Column("issuer", String(200), nullable=False),
    Column("subject", String(200), nullable=False),
    UniqueConstraint("issuer", "subject"),
    sqlite_autoincrement=True,
)

#: Who changed whose membership, team or seat; shown to both sides' stewards. Names, since a person may be gone.
changes = Table(
    "workspace_changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("by", String(32), nullable=False),
    Column("what", String(32), nullable=False),
    Column("subject", String(32), nullable=False),
    Column("team", String(32), nullable=False),
    sqlite_autoincrement=True,
)


class HubConnection(sqlite3.Connection):
    """To the Hub's own file. It commits some ten times for each seat that opens, in the loop that serves everybody:
    each time waiting for the disk made thirty people wait for each other.

    After a loss of power the last moments are missing, of tables whose servers and browsers are gone then too; a Hub
    that was killed loses nothing. The workspace's own file, where a card is revoked, waits for the disk."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")


def open_database(settings: Settings) -> Engine:
    """The engine, its tables brought to the newest migration. The folder must exist."""
    url = settings.hub_database_url or f"sqlite:///{settings.home / 'hub' / 'workspace.sqlite'}"
    # A server that was restarted costs one reconnection and no request.
    # Bound values, the hash of a password among them, stay out of an error's text.
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _prepare(connection, _record):  # type: ignore[no-untyped-def]  # a DB-API connection has no type
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA busy_timeout = 10000")  # the command line writes while the Hub reads

    upgrade(engine)
    return engine


def upgrade(engine: Engine) -> None:
    """Bring the tables to the newest migration; does nothing when they are."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # The Hub and a verb may start at once; SQLite lets one writer in by itself.
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
