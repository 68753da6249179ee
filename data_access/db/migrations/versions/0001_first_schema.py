"""The vault side's first schema, with triggers that keep the record tables append-only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: Rows of these tables are never changed or removed, whoever holds the connection. A correction is a new row.
APPEND_ONLY = (
    "events",
    "periods",
    "reservations",
    "charges",
    "settlements",
    "retry_keys",
    "answers",
    "policies",
    "lineages",
    "registers",
    "releases",
    "approvals",
)


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
        sa.UniqueConstraint("hash", name=op.f("uq_events_hash")),
    )
    op.create_table(
        "lineages",
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("unit_kind", sa.String(length=10), nullable=False),
        sa.Column("unit_column", sa.String(length=40), nullable=True),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("time_column", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("lineage", name=op.f("pk_lineages")),
        sa.UniqueConstraint("dataset", name=op.f("uq_lineages_dataset")),
    )
    op.create_table(
        "periods",
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("budget", sa.BigInteger(), nullable=False),
        sa.Column("policy_hash", sa.String(length=64), nullable=False),
        sa.Column("opened_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("lineage", "period", name=op.f("pk_periods")),
    )
    op.create_table(
        "policies",
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signatures", sa.LargeBinary(), nullable=False),
        sa.Column("activated_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "version", name=op.f("pk_policies")),
        sa.UniqueConstraint("hash", name=op.f("uq_policies_hash")),
    )
    op.create_table(
        "registers",
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("signatures", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_registers")),
        sa.UniqueConstraint("hash", name=op.f("uq_registers_hash")),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.String(length=31), nullable=False),
        sa.Column("slug", sa.String(length=80), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(length=31), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("asker", sa.String(length=64), nullable=False),
        sa.Column("cap", sa.String(length=40), nullable=False),
        sa.Column("plan_id", sa.String(length=31), nullable=False),
        sa.Column("policy_hash", sa.String(length=64), nullable=False),
        sa.Column("reserved_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
        sa.UniqueConstraint("question", "edition", name="uq_reservations_question_edition"),
    )
    op.create_table(
        "versions",
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("catalog_hash", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=120), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("loaded_at", sa.String(length=20), nullable=False),
        sa.Column("loaded_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("lineage", "number", name=op.f("pk_versions")),
        sa.UniqueConstraint("file", name=op.f("uq_versions_file")),
    )
    op.create_table(
        "views",
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("policy_hash", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=120), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("lineage", "version", "policy_hash", name=op.f("pk_views")),
        sa.UniqueConstraint("file", name=op.f("uq_views_file")),
    )
    op.create_table(
        "answers",
        sa.Column("id", sa.String(length=31), nullable=False),
        sa.Column("dataset", sa.String(length=40), nullable=False),
        sa.Column("plan_id", sa.String(length=31), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("reservation", sa.String(length=31), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("policy_hash", sa.String(length=64), nullable=False),
        sa.Column("data_version", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation"], ["reservations.id"], name=op.f("fk_answers_reservation_reservations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("reservation", name=op.f("uq_answers_reservation")),
    )
    op.create_index("ix_answers_plan", "answers", ["dataset", "plan_id", "nano", "edition"], unique=False)
    op.create_index("ix_answers_team", "answers", ["team"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("release", sa.String(length=31), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("approved_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["release"], ["releases.id"], name=op.f("fk_approvals_release_releases")),
        sa.PrimaryKeyConstraint("release", "side", name=op.f("pk_approvals")),
    )
    op.create_table(
        "charges",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("reservation", sa.String(length=31), nullable=False),
        sa.Column("lineage", sa.String(length=60), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("cap", sa.String(length=40), nullable=False),
        sa.Column("nano", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation"], ["reservations.id"], name=op.f("fk_charges_reservation_reservations")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_charges")),
    )
    op.create_index("ix_charges_lineage_period", "charges", ["lineage", "period"], unique=False)
    op.create_table(
        "retry_keys",
        sa.Column("asker", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("body", sa.String(length=64), nullable=False),
        sa.Column("reservation", sa.String(length=31), nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation"], ["reservations.id"], name=op.f("fk_retry_keys_reservation_reservations")
        ),
        sa.PrimaryKeyConstraint("asker", "key", name=op.f("pk_retry_keys")),
    )
    op.create_table(
        "settlements",
        sa.Column("reservation", sa.String(length=31), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("settled_at", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(
            ["reservation"], ["reservations.id"], name=op.f("fk_settlements_reservation_reservations")
        ),
        sa.PrimaryKeyConstraint("reservation", name=op.f("pk_settlements")),
    )

    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes_sqlite()
    else:
        _refuse_changes_postgresql()


def _refuse_changes_sqlite() -> None:
    for table in APPEND_ONLY:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'append-only'); END"
            )


def _refuse_changes_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION civic_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'append-only'; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"EXECUTE FUNCTION civic_append_only()"
        )


def downgrade() -> None:
    raise RuntimeError("the first schema has nothing below it")
