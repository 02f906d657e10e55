"""Run migrations in the transaction that ``controller.db.migrate`` opened, on SQLite too."""

from typing import Any, Literal

from alembic import context

import controller.db.tables  # noqa: F401 - fills the metadata
from controller.db.metadata import metadata
from controller.db.types import UtcDateTime


def _render(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Write our own types as what they are in the database; migrations outlive our code."""
    return (
        "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False
    )


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=_render,
    render_as_batch=True,  # SQLite alters a table by building it anew
    compare_server_default=True,
)
context.run_migrations()
