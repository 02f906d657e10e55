"""Put what must leave the cloud (reminders, webhooks, mail) beside the change that causes it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import Session
from controller.db.tables.records import outbox


async def put(
    tx: Session,
    kind: str,
    *,
    site_id: str | None,
    now: datetime,
    facts: Mapping[str, object],
    once_key: str | None = None,
) -> None:
    """Write one row.

    Args:
        kind: Static ``noun.verb_past``, such as ``subscription.expired``.
        site_id: None for what concerns no site.
        facts: What the receiver needs, small and JSON-like.
        once_key: A second row with the same key is not written, whoever tries.
    """
    row = {
        "site_id": site_id or "",
        "kind": kind,
        "once_key": once_key,
        "facts": dict(facts),
        "created_at": now,
    }
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    await tx.execute(insert(outbox).values(row).on_conflict_do_nothing())
