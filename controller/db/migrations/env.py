"""Run migrations on the connection that ``controller.db.migrate`` opened."""

from alembic import context

import controller.db.tables  # noqa: F401 - fills the metadata
from controller.db.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by building it anew
    compare_server_default=True,
    transaction_per_migration=False,
    transactional_ddl=True,  # ours begins before the first statement, on SQLite too
)
context.run_migrations()
