"""Where the calendar may have run to, kept so that it never goes back."""

from datetime import datetime
from typing import Final

from sqlalchemy import insert, select, update

from controller.db.engine import Database
from controller.db.tables.records import calendar

ONLY_ROW: Final = 1


async def load(db: Database) -> datetime | None:
    """Return the saved mark; None if there is none yet."""
    async with db.read() as tx:
        mark: datetime | None = (await tx.execute(select(calendar.c.mark))).scalar_one_or_none()
        return mark


async def save(db: Database, mark: datetime) -> None:
    """Keep a mark. It never goes back."""
    async with db.write() as tx:
        raised = await tx.execute(update(calendar).where(calendar.c.mark <= mark).values(mark=mark))
        if raised.rowcount == 0 and (await tx.execute(select(calendar.c.id))).first() is None:
            await tx.execute(insert(calendar).values(id=ONLY_ROW, mark=mark))
