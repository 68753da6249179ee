"""Alembic's entry: always on the connection of a running transaction, never on an address of its own."""

from alembic import context

from data_access.db import answers, approvals, audit, commons, governance, ledger, vault  # noqa: F401
from data_access.db.metadata import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
