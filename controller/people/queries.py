"""What is shown of people."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from controller.db.engine import ReadSession
from controller.db.tables.people import people
from controller.domain.ids import AccountId, SiteId
from controller.domain.people import SitePerson
from controller.people.repository import to_person

EXPORT_MAX: Final = 100_000


async def people_of(
    tx: ReadSession, site_id: SiteId, *, after_id: str | None, limit: int
) -> Sequence[SitePerson]:
    """Return people of a site after an id, by id, at most ``limit``."""
    some = select(people).where(people.c.site_id == site_id).order_by(people.c.id).limit(limit)
    if after_id is not None:
        some = some.where(people.c.id > after_id)
    return [to_person(row) for row in await tx.execute(some)]


async def of_account(tx: ReadSession, site_id: SiteId, account_id: AccountId) -> SitePerson | None:
    """Return the person that an account is at a site; the first that was tied to it."""
    mine = select(people).where(people.c.site_id == site_id, people.c.account_id == account_id)
    row = (await tx.execute(mine.order_by(people.c.created_at, people.c.id).limit(1))).one_or_none()
    return None if row is None else to_person(row)
