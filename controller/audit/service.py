"""Write the audit record of a change, or of a refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from controller.db.engine import Session
from controller.db.tables.records import audit_records
from controller.domain.roles import Actor
from controller.ports import Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was changed, of many changes that one cause makes at once."""

    site_id: str | None  # None for what concerns no site
    object_kind: str
    object_id: str
    facts: Mapping[str, object] = field(default_factory=dict)


class Audit:
    """Records who changed what. One record a change, in the change's own transaction."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    async def record(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        *,
        site_id: str | None,
        object_kind: str,
        object_id: str,
        now: datetime,
        facts: Mapping[str, object] | None = None,
        refused: str | None = None,
    ) -> None:
        """Write one record.

        Args:
            action: Static ``noun_verb_past``, such as ``voucher_redeemed``.
            site_id: None for what concerns no site.
            facts: What changed, small and JSON-like. Never a code, a tag number or a password.
            refused: The code of the refusal, when nothing was changed.
        """
        change = Change(
            site_id=site_id, object_kind=object_kind, object_id=object_id, facts=facts or {}
        )
        row = self._row(actor, action, change, now=now)
        await tx.execute(insert(audit_records), row | {"refused": refused})

    async def record_all(
        self, tx: Session, actor: Actor, action: str, changes: Sequence[Change], *, now: datetime
    ) -> None:
        """Write a record for each of many changes of one kind, in one statement."""
        await tx.execute(
            insert(audit_records),
            [self._row(actor, action, change, now=now) for change in changes],
        )

    def _row(self, actor: Actor, action: str, change: Change, *, now: datetime) -> dict[str, Any]:
        return {
            "site_id": change.site_id or "",
            "id": self._ids.new(),
            "at": now,
            "actor_id": actor.account_id,
            "actor_name": actor.name,
            "action": action,
            "object_kind": change.object_kind,
            "object_id": change.object_id,
            "facts": dict(change.facts),
        }
