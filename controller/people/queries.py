"""What is shown of people."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from controller.db.engine import ReadSession
from controller.db.tables.people import people
from controller.domain.ids import SiteId
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
