"""What pages and API show of sites."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Self

from sqlalchemy import ColumnElement, Table, and_, or_, select, true, tuple_

from controller.db.engine import ReadSession
from controller.db.tables.accounts import site_roles
from controller.db.tables.hardware import hubs, locks, repeaters
from controller.db.tables.sites import sites
from controller.domain.errors import NotFound
from controller.domain.ids import SiteId
from controller.domain.roles import Action, Actor
from controller.sites import repository
from controller.sites.repository import COLUMNS, Site, site_of

Kind = Literal["hub", "repeater", "lock"]
PIECES_MAX: Final = 5_000  # of each kind of hardware in a site's list


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A hub, a repeater or a lock of a site."""

    kind: Kind
    id: str
    name: str
    serial: str
    hub_id: str  # a hub's is its own


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareList:
    """What stands at a site: hubs, then repeaters, then locks, each by serial."""

    items: list[Piece]
    digest: str  # SHA-256 of kinds, serials and hubs, in hexadecimal

    @classmethod
    def of(cls, items: list[Piece]) -> Self:
        """Return a list with its digest."""
        lines = "\n".join(f"{item.kind} {item.serial} {item.hub_id}" for item in items)
        return cls(items=items, digest=hashlib.sha256(lines.encode()).hexdigest())


async def one(tx: ReadSession, site_id: SiteId) -> Site:
    """Return a site.

    Raises:
        NotFound: There is none.
    """
    site = await repository.site(tx, site_id)
    if site is None:
        raise NotFound("There is no such site, or you have no role there.", object="site")
    return site


async def listed(
    tx: ReadSession,
    actor: Actor,
    *,
    after: tuple[str, str] | None,
    limit: int,
    at: datetime,
) -> list[Site]:
    """Return the actor's sites by name; whoever may read every site gets every site.

    Args:
        at: By the link clock, by which grants end.
    """
    query = select(*COLUMNS).order_by(sites.c.name, sites.c.id).limit(limit)
    if not actor.may(Action.READ_SITE):
        unended = or_(site_roles.c.ends_at.is_(None), site_roles.c.ends_at > at)
        mine = and_(site_roles.c.site_id == sites.c.id, site_roles.c.account_id == actor.account_id)
        query = query.join(site_roles, and_(mine, unended))
    if after is not None:
        query = query.where(tuple_(sites.c.name, sites.c.id) > after)
    return [site_of(row) for row in await tx.execute(query)]


async def hardware(tx: ReadSession, site_id: SiteId) -> HardwareList:
    """Return what is in service at a site, at most 5,000 of each kind."""
    in_service = hubs.c.retired_at.is_(None)
    here = locks.c.released_at.is_(None)
    return HardwareList.of(
        [
            *await _pieces(tx, site_id, "hub", hubs, in_service),
            *await _pieces(tx, site_id, "repeater", repeaters, true()),
            *await _pieces(tx, site_id, "lock", locks, here),
        ]
    )


async def _pieces(
    tx: ReadSession,
    site_id: SiteId,
    kind: Kind,
    table: Table,
    is_here: ColumnElement[bool],
) -> list[Piece]:
    hub_id = table.c.get("hub_id", table.c.id).label("hub_id")
    query = (
        select(table.c.id, table.c.name, table.c.serial, hub_id)
        .where(table.c.site_id == site_id, is_here)
        .order_by(table.c.serial)
        .limit(PIECES_MAX)
    )
    return [
        Piece(kind=kind, id=row.id, name=row.name, serial=row.serial, hub_id=row.hub_id)
        for row in await tx.execute(query)
    ]
