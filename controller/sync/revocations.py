"""Note that credentials lost a right, so that the locks' own memories are told to forget them.

Only that it happened, and when last, is noted. Which lock must forget which credential follows
from the rights as they are (``controller.domain.offline.to_forget``).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import Session
from controller.db.tables.people import credentials, revoked_digests
from controller.db.types import UtcDateTime
from controller.domain.ids import CredentialId, PersonId, SiteId


async def revoke_people(
    tx: Session, site_id: SiteId, person_ids: Sequence[PersonId], *, now: datetime
) -> None:
    """Note that all credentials of people lost a right now."""
    await revoke(tx, _held(site_id).where(credentials.c.person_id.in_(person_ids)), now=now)


async def revoke_credential(
    tx: Session, site_id: SiteId, credential_id: CredentialId, *, now: datetime
) -> None:
    """Note that a credential lost a right now."""
    await revoke(tx, _held(site_id).where(credentials.c.id == credential_id), now=now)


async def revoke(tx: Session, held: Select[Any], *, now: datetime) -> None:
    """Note that credentials lost a right now.

    Args:
        tx: The change's transaction.
        held: Selects site_id and digest of the credentials, with a WHERE clause.
        now: The instant; a note from before is moved up to it.
    """
    dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    noted = dialect_insert(revoked_digests).from_select(
        ["site_id", "digest", "revoked_at"], held.add_columns(literal(now, UtcDateTime))
    )
    await tx.execute(
        noted.on_conflict_do_update(
            index_elements=["site_id", "digest"], set_={"revoked_at": noted.excluded.revoked_at}
        )
    )


def _held(site_id: SiteId) -> Select[Any]:
    columns = select(credentials.c.site_id, credentials.c.digest)
    return columns.where(credentials.c.site_id == site_id)
