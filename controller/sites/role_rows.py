"""Who holds which role at a site, and the site's own roles, read and written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from controller.db.engine import ReadSession, Session
from controller.db.tables.accounts import accounts, custom_roles, site_roles
from controller.db.tables.sites import sites
from controller.domain.errors import NotFound, Refused, Stale
from controller.domain.ids import AccountId, RoleId, SiteId
from controller.domain.roles import CUSTOM_RIGHTS, Action, HeldRole, SiteRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """An account with a role at a site."""

    account_id: AccountId
    email: str
    name: str
    held: HeldRole
    ends_at: datetime | None  # link clock; of an installer's grant


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole:
    """A role that a site has made."""

    site_id: SiteId
    id: RoleId
    name: str
    rights: frozenset[Action]
    version: int


class RoleNameTaken(Refused):
    """Another custom role of the site has this name."""

    code = "role_name_taken"

    def __init__(self) -> None:
        text = "name: the site has a role of this name already; choose another one."
        super().__init__(text, field="name")


_CUSTOM = and_(
    custom_roles.c.site_id == site_roles.c.site_id, custom_roles.c.id == site_roles.c.role
)


async def take_turn(tx: Session, site_id: SiteId) -> None:
    """Make whoever else changes this site's roles wait until the end of the transaction.

    Raises:
        NotFound: There is no such site.
    """
    one = select(sites.c.id).where(sites.c.id == site_id).with_for_update(key_share=True)
    if (await tx.execute(one)).one_or_none() is None:
        raise NotFound("There is no such site, or you have no role there.", object="site")


async def held(
    tx: ReadSession, site_id: SiteId, account_id: AccountId, *, at: datetime
) -> HeldRole | None:
    """Return what an account is at a site; ``at`` is the link clock's."""
    query = (
        select(site_roles.c.role, site_roles.c.ends_at, custom_roles.c.rights)
        .select_from(site_roles.outerjoin(custom_roles, _CUSTOM))
        .where(*_live(site_id, at), site_roles.c.account_id == account_id)
    )
    row = (await tx.execute(query)).one_or_none()
    return _held_of(row) if row else None


async def holders(tx: ReadSession, site_id: SiteId, *, at: datetime) -> list[Holder]:
    """Return who has a role at a site, by e-mail address."""
    query = (
        select(
            accounts.c.id,
            accounts.c.email,
            accounts.c.name,
            site_roles.c.role,
            site_roles.c.ends_at,
            custom_roles.c.rights,
        )
        .select_from(
            site_roles.join(accounts, accounts.c.id == site_roles.c.account_id).outerjoin(
                custom_roles, _CUSTOM
            )
        )
        .where(*_live(site_id, at))
        .order_by(accounts.c.email)
    )
    return [
        Holder(
            account_id=row.id,
            email=row.email,
            name=row.name,
            held=_held_of(row),
            ends_at=row.ends_at,
        )
        for row in await tx.execute(query)
    ]


async def count_holders(tx: ReadSession, site_id: SiteId, *, at: datetime) -> int:
    """Return how many accounts have a role at a site."""
    query = select(func.count()).select_from(site_roles).where(*_live(site_id, at))
    return int((await tx.execute(query)).scalar_one())


async def give(
    tx: Session,
    site_id: SiteId,
    account_id: AccountId,
    role: str,
    *,
    granted_by: AccountId | None,
    ends_at: datetime | None = None,
) -> None:
    """Give an account a role at a site, instead of one that it has."""
    dialect = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect(site_roles).values(
        site_id=site_id, account_id=account_id, role=role, ends_at=ends_at, granted_by=granted_by
    )
    changed = {name: row.excluded[name] for name in ("role", "ends_at", "granted_by")}
    keys = [site_roles.c.site_id, site_roles.c.account_id]
    await tx.execute(row.on_conflict_do_update(index_elements=keys, set_=changed))


async def take(tx: Session, site_id: SiteId, account_id: AccountId) -> None:
    """Take the role of an account at a site."""
    one = delete(site_roles).where(site_roles.c.site_id == site_id)
    await tx.execute(one.where(site_roles.c.account_id == account_id))


async def end_grant(tx: Session, site_id: SiteId, account_id: AccountId, *, at: datetime) -> bool:
    """Take an installer's grant; ``False`` if the account has none."""
    one = delete(site_roles).where(*_live(site_id, at), site_roles.c.ends_at.is_not(None))
    return (await tx.execute(one.where(site_roles.c.account_id == account_id))).rowcount == 1


async def forget_ended(tx: Session, site_id: SiteId, *, at: datetime) -> None:
    """Delete grants that have ended."""
    ended = (site_roles.c.site_id == site_id, site_roles.c.ends_at <= at)
    await tx.execute(delete(site_roles).where(*ended))


async def take_all(tx: Session, site_id: SiteId, role: SiteRole) -> None:
    """Take a role at a site from everybody."""
    await tx.execute(
        delete(site_roles).where(site_roles.c.site_id == site_id, site_roles.c.role == role)
    )


async def turn_into(
    tx: Session, site_id: SiteId, account_id: AccountId | None, before: SiteRole, after: SiteRole
) -> bool:
    """Turn an account's role into another; ``False`` if it does not have it."""
    one = update(site_roles).where(
        site_roles.c.site_id == site_id,
        site_roles.c.account_id == account_id,
        site_roles.c.role == before,
    )
    return (await tx.execute(one.values(role=after))).rowcount == 1


async def custom(tx: ReadSession, site_id: SiteId, role_id: str) -> CustomRole:
    """Return one of the site's own roles.

    Raises:
        NotFound: The site has no such role.
    """
    query = select(custom_roles).where(
        custom_roles.c.site_id == site_id, custom_roles.c.id == role_id
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        raise NotFound("The site has no such role of its own.", object="role")
    return _custom_of(row)


async def all_custom(tx: ReadSession, site_id: SiteId) -> Sequence[CustomRole]:
    """Return the site's own roles by name."""
    query = select(custom_roles).where(custom_roles.c.site_id == site_id)
    rows = await tx.execute(query.order_by(custom_roles.c.name))
    return [_custom_of(row) for row in rows]


async def add_custom(tx: Session, new: CustomRole) -> None:
    """Store a new custom role.

    Raises:
        RoleNameTaken: The site has one of this name.
    """
    try:
        async with tx.savepoint():
            await tx.execute(insert(custom_roles), _row(new))
    except IntegrityError as error:
        raise RoleNameTaken from error


async def save_custom(tx: Session, edited: CustomRole, *, if_match: int) -> None:
    """Store an edited custom role over a version.

    Raises:
        Stale: Somebody else wrote in between.
        RoleNameTaken: The site has another one of this name.
    """
    try:
        async with tx.savepoint():
            one = update(custom_roles).where(*_version(edited, if_match))
            if (await tx.execute(one.values(_row(edited)))).rowcount == 0:
                raise Stale.of("role")
    except IntegrityError as error:
        raise RoleNameTaken from error


async def delete_custom(tx: Session, gone: CustomRole, *, if_match: int) -> None:
    """Delete a custom role.

    Raises:
        Stale: Somebody else wrote in between.
    """
    if (await tx.execute(delete(custom_roles).where(*_version(gone, if_match)))).rowcount == 0:
        raise Stale.of("role")


async def count_of(tx: ReadSession, site_id: SiteId, role: str) -> int:
    """Return how many accounts hold a role."""
    query = select(func.count()).select_from(site_roles)
    held_there = query.where(site_roles.c.site_id == site_id, site_roles.c.role == role)
    return int((await tx.execute(held_there)).scalar_one())


def _live(site_id: SiteId, at: datetime) -> tuple[ColumnElement[bool], ...]:
    unended = or_(site_roles.c.ends_at.is_(None), site_roles.c.ends_at > at)
    return site_roles.c.site_id == site_id, unended


def _version(role: CustomRole, version: int) -> tuple[ColumnElement[bool], ...]:
    return (
        custom_roles.c.site_id == role.site_id,
        custom_roles.c.id == role.id,
        custom_roles.c.version == version,
    )


def _row(role: CustomRole) -> dict[str, Any]:
    return {
        "site_id": role.site_id,
        "id": role.id,
        "name": role.name,
        "rights": sorted(role.rights),
        "version": role.version,
    }


def _held_of(row: Row[Any]) -> HeldRole:
    return HeldRole.of(row.role, custom=row.rights, is_granted=row.ends_at is not None)


def _custom_of(row: Row[Any]) -> CustomRole:
    return CustomRole(
        site_id=row.site_id,
        id=row.id,
        name=row.name,
        rights=frozenset(right for right in CUSTOM_RIGHTS if right in row.rights),
        version=row.version,
    )
