"""Write the audit record of a change, or of a refusal."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert

from controller.db.engine import Session
from controller.db.tables.records import audit_records
from controller.domain.roles import Actor
from controller.ports import Ids


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
        await tx.execute(
            insert(audit_records).values(
                site_id=site_id or "",
                id=self._ids.new(),
                at=now,
                actor_id=actor.account_id,
                actor_name=actor.name,
                action=action,
                object_kind=object_kind,
                object_id=object_id,
                refused=refused,
                facts=dict(facts or {}),
            )
        )
