"""Alembic's entry: migrates the workspace's tables over the connection that `hub_config.db.upgrade`
opened."""

from alembic import context

from hub_config.db import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # JupyterHub's tables may lie beside ours: never touch, never compare what is not ours.
    include_name=lambda name, kind, _parents: kind != "table" or str(name).startswith("workspace_"),
    render_as_batch=True,  # SQLite cannot alter a column in place
)
with context.begin_transaction():
    context.run_migrations()
