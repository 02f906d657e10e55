"""Put what must leave the cloud (reminders, webhooks, mail) beside the change that causes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import Session
from controller.db.tables.records import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that must leave the cloud."""

    site_id: str | None  # None for what concerns no site
    facts: Mapping[str, object]  # what the receiver needs, small and JSON-like
    once_key: str | None = None  # a second row with the same key is not written, whoever tries


async def put(
    tx: Session,
    kind: str,
    *,
    site_id: str | None,
    now: datetime,
    facts: Mapping[str, object],
    once_key: str | None = None,
    to_mail: bool = False,
) -> None:
    """Write one row.

    Args:
        kind: Static ``noun.verb_past``, such as ``subscription.expired``.
        site_id: None for what concerns no site.
        facts: What the receiver needs, small and JSON-like.
        once_key: A second row with the same key is not written, whoever tries.
        to_mail: People are to be told by mail; controller/notifications/letters.py says how.
    """
    item = Item(site_id=site_id, facts=facts, once_key=once_key)
    await put_all(tx, kind, [item], now=now, to_mail=to_mail)


async def put_all(
    tx: Session, kind: str, items: Sequence[Item], *, now: datetime, to_mail: bool = False
) -> None:
    """Write a row for each of many items of one kind, in one statement."""
    rows = [
        {
            "site_id": item.site_id or "",
            "kind": kind,
            "once_key": item.once_key,
            "facts": dict(item.facts),
            "created_at": now,
            "to_mail": to_mail,
        }
        for item in items
    ]
    insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    await tx.execute(insert(outbox).on_conflict_do_nothing(), rows)
