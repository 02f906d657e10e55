"""Holidays in the database."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.access import holidays
from controller.domain.errors import NotFound, Stale
from controller.domain.groups import NamedHoliday
from controller.domain.ids import HolidayId, SiteId
from controller.domain.schedule import Holiday


async def holidays_at(tx: ReadSession, site_id: SiteId) -> Sequence[NamedHoliday]:
    """Return the holidays of a site, earliest first."""
    some = select(holidays).where(holidays.c.site_id == site_id).order_by(holidays.c.starts_on)
    return [_to_holiday(row) for row in await tx.execute(some)]


async def holiday(tx: ReadSession, site_id: SiteId, holiday_id: HolidayId) -> NamedHoliday:
    """Return a holiday of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    one = select(holidays).where(holidays.c.site_id == site_id, holidays.c.id == holiday_id)
    row = (await tx.execute(one)).one_or_none()
    if row is None:
        raise NotFound("There is no such holiday at this site.", object="holiday")
    return _to_holiday(row)


async def add_holiday(tx: Session, new: NamedHoliday) -> None:
    """Write a new holiday."""
    await tx.execute(insert(holidays).values(**_row(new)))


async def save_holiday(tx: Session, edited: NamedHoliday, *, if_match: int) -> NamedHoliday:
    """Write a holiday over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
    """
    saved = replace(edited, version=if_match + 1)
    one = update(holidays).where(
        holidays.c.site_id == edited.site_id,
        holidays.c.id == edited.id,
        holidays.c.version == if_match,
    )
    if (await tx.execute(one.values(**_row(saved)))).rowcount == 0:
        raise Stale.of("holiday")
    return saved


async def delete_holiday(tx: Session, gone: NamedHoliday, *, if_match: int) -> None:
    """Delete a holiday.

    Raises:
        Stale: Somebody else wrote in between.
    """
    one = delete(holidays).where(
        holidays.c.site_id == gone.site_id,
        holidays.c.id == gone.id,
        holidays.c.version == if_match,
    )
    if (await tx.execute(one)).rowcount == 0:
        raise Stale.of("holiday")


def _to_holiday(row: Row[Any]) -> NamedHoliday:
    return NamedHoliday(
        site_id=row.site_id,
        id=row.id,
        name=row.name,
        holiday=Holiday(starts_on=row.starts_on, days=row.days),
        version=row.version,
    )


def _row(one: NamedHoliday) -> dict[str, object]:
    return {
        "site_id": one.site_id,
        "id": one.id,
        "name": one.name,
        "starts_on": one.holiday.starts_on,
        "days": one.holiday.days,
        "version": one.version,
    }
