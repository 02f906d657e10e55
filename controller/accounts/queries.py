"""What pages and API show of accounts."""

from sqlalchemy import select

from controller.accounts.repository import Account, account_of
from controller.db.engine import ReadSession
from controller.db.tables.accounts import accounts
from controller.db.tables.people import people
from controller.domain.ids import AccountId, PersonId, SiteId


async def listed(tx: ReadSession, *, after: str | None, limit: int) -> list[Account]:
    """Return accounts by e-mail address, those after one first."""
    query = select(accounts).order_by(accounts.c.email).limit(limit)
    if after is not None:
        query = query.where(accounts.c.email > after)
    return [account_of(row) for row in await tx.execute(query)]


async def is_empty(tx: ReadSession) -> bool:
    """Return whether this is an installation that nobody can sign in to yet."""
    return (await tx.execute(select(accounts.c.id).limit(1))).first() is None


async def persons(tx: ReadSession, account_id: AccountId) -> dict[SiteId, PersonId]:
    """Return which person of which site an account is."""
    query = select(people.c.site_id, people.c.id).where(people.c.account_id == account_id)
    return {row.site_id: row.id for row in await tx.execute(query)}
