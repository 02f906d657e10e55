"""What a site holds, read and written; the claims of vouchers and subscriptions.

``subscriptions.version`` is the number of the site's last history entry. Every writer raises it by
the entries that it adds, guarded by the version it has read, so that history has no gap and no two
changes start from the same state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    insert,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from controller.db.engine import ReadSession, Session
from controller.db.tables.accounts import site_roles
from controller.db.tables.people import people
from controller.db.tables.sites import sites
from controller.db.tables.subscriptions import (
    add_ons,
    free_week_hubs,
    seat_grants,
    subscription_history,
    subscriptions,
    value_ledger,
)
from controller.domain import seats
from controller.domain.catalogue import Component, Feature
from controller.domain.entitlements import AddOn, AddOnRedeemed, Holdings, SeatGrant, SeatsRedeemed
from controller.domain.history import HistoryEntry, to_record
from controller.domain.ids import PersonId, SiteId, VoucherId
from controller.domain.ledger import Posting
from controller.domain.roles import Actor, SiteRole
from controller.domain.seats import Holder
from controller.domain.subscription import Kind, Status, Subscription
from controller.sync.revocations import revoke_people
from vouchers.carry_over import Segment
from vouchers.products import Plan

ROWS_AT_ONCE: Final = 500
_STANDINGS: Final = {
    SiteRole.OWNER.value: seats.Standing.OWNER,
    SiteRole.ADMIN.value: seats.Standing.ADMIN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A site with what it holds, as read."""

    site_id: SiteId
    zone: ZoneInfo
    contact: str  # whom the site asks for a voucher
    released: bool
    holdings: Holdings
    reminder_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A history entry with its number and the value that it moved."""

    site_id: SiteId
    number: int
    entry: HistoryEntry
    posting: Posting
    actor: Actor
    voucher_id: VoucherId | None = None


_SITE: Final = (
    select(subscriptions, sites.c.time_zone, sites.c.buy_from, sites.c.released_at)
    .join(sites, sites.c.id == subscriptions.c.site_id)
    .where(subscriptions.c.site_id == bindparam("site"))
)
_SITE_HELD: Final = _SITE.with_for_update(of=subscriptions)
_MORE: Final = union_all(
    select(
        add_ons.c.feature,
        literal(None, seat_grants.c.component.type).label("component"),
        literal(0).label("seats"),
        add_ons.c.ends_at.label("started_at"),
        add_ons.c.ends_at,
    ).where(add_ons.c.site_id == bindparam("site")),
    select(
        literal(None, add_ons.c.feature.type),
        seat_grants.c.component,
        seat_grants.c.count.label("seats"),
        seat_grants.c.started_at,
        seat_grants.c.ends_at,
    ).where(seat_grants.c.site_id == bindparam("site")),
)
_CLAIM: Final = (
    update(subscriptions)
    .where(
        subscriptions.c.site_id == bindparam("site"),
        subscriptions.c.version == bindparam("version_read"),
    )
    .values(
        {
            column.name: bindparam(column.name)
            for column in subscriptions.c
            if not column.primary_key
        }
    )
)


async def standing(tx: ReadSession, site_id: SiteId) -> Standing | None:
    """Return a site with what it holds; a writer waits for other writers of the same site.

    The lock (PostgreSQL; SQLite has one writer anyway) spares a second try. What decides is the
    guard in ``claim``.
    """
    query = _SITE_HELD if isinstance(tx, Session) else _SITE
    row = (await tx.execute(query, {"site": site_id})).one_or_none()
    if row is None:
        return None
    more = (await tx.execute(_MORE, {"site": site_id})).all()
    return Standing(
        site_id=site_id,
        zone=ZoneInfo(row.time_zone),
        contact=row.buy_from,
        released=row.released_at is not None,
        holdings=Holdings(
            subscription=subscription_of(row),
            add_ons=tuple(
                AddOn(feature=Feature(held.feature), ends_at=held.ends_at)
                for held in more
                if held.feature is not None
            ),
            seats=tuple(
                SeatGrant(
                    component=Component(held.component),
                    count=held.seats,
                    started_at=held.started_at,
                    ends_at=held.ends_at,
                )
                for held in more
                if held.component is not None
            ),
        ),
        reminder_at=row.reminder_at,
        version=row.version,
    )


def subscription_of(row: Row[Any]) -> Subscription:
    """Return the subscription that a row of the table holds."""
    status = Status.RUNNING
    if row.expired:
        status = Status.CANCELLED if row.cancelled else Status.EXPIRED
    return Subscription(
        plan=Plan(row.plan),
        users=row.users,
        kind=Kind(row.kind),
        started_at=row.started_at,
        ends_at=row.ends_at,
        segments=tuple(Segment(seconds=seconds, rate=rate) for seconds, rate in row.segments),
        rest=row.rest,
        catalogue_version=row.catalogue_version,
        status=status,
    )


async def begin(
    tx: Session, site_id: SiteId, subscription: Subscription, *, reminder_at: datetime | None
) -> None:
    """Store the first subscription of a site."""
    row = _row(subscription, version=1, reminder_at=reminder_at)
    await tx.execute(insert(subscriptions).values(site_id=site_id, **row))


async def claim(
    tx: Session,
    site_id: SiteId,
    subscription: Subscription,
    *,
    version_read: int,
    version: int,
    reminder_at: datetime | None,
) -> bool:
    """Store the present subscription, unless somebody changed it since it was read."""
    row = _row(subscription, version=version, reminder_at=reminder_at)
    done = await tx.execute(_CLAIM, row | {"site": site_id, "version_read": version_read})
    return done.rowcount == 1


async def plan_reminder(tx: Session, site_id: SiteId, reminder_at: datetime | None) -> None:
    """Store when the next reminder is due."""
    this = update(subscriptions).where(subscriptions.c.site_id == site_id)
    await tx.execute(this.values(reminder_at=reminder_at))


async def keep_add_on(tx: Session, site_id: SiteId, entry: AddOnRedeemed) -> None:
    """Store the end of an add-on."""
    dialect = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect(add_ons).values(site_id=site_id, feature=entry.feature, ends_at=entry.ends_at)
    await tx.execute(
        row.on_conflict_do_update(
            index_elements=[add_ons.c.site_id, add_ons.c.feature],
            set_={"ends_at": row.excluded.ends_at, "lapsed": False},
        )
    )


async def keep_seats(
    tx: Session, site_id: SiteId, voucher_id: VoucherId, entry: SeatsRedeemed
) -> None:
    """Store the seats of a voucher."""
    await tx.execute(
        insert(seat_grants),
        {
            "site_id": site_id,
            "voucher_id": voucher_id,
            "component": entry.component,
            "count": entry.count,
            "started_at": entry.at,
            "ends_at": entry.ends_at,
        },
    )


async def append(tx: Session, written: Sequence[Written]) -> None:
    """Write history entries and their postings; entries of any number of sites."""
    await tx.execute(
        insert(subscription_history),
        [
            {
                "site_id": one.site_id,
                "number": one.number,
                "kind": one.entry.kind,
                "at": one.entry.at,
                "actor_id": one.actor.account_id,
                "actor_name": one.actor.name,
                "voucher_id": one.voucher_id,
                "facts": to_record(one.entry),
            }
            for one in written
        ],
    )
    await tx.execute(
        insert(value_ledger),
        [
            {
                "site_id": one.site_id,
                "number": one.number,
                "paid": one.posting.paid,
                "consumed": one.posting.consumed,
                "forfeited": one.posting.forfeited,
            }
            for one in written
        ],
    )


async def holders(tx: ReadSession, site_id: SiteId, *, now: datetime) -> list[Holder]:
    """Return who takes one of the plan's seats: subscribed and not expired."""
    roles = and_(
        site_roles.c.site_id == people.c.site_id, site_roles.c.account_id == people.c.account_id
    )
    rows = await tx.execute(
        select(people.c.id, people.c.subscribed_at, site_roles.c.role)
        .select_from(people.outerjoin(site_roles, roles))
        .where(people.c.site_id == site_id, *seated(now))
    )
    return [
        Holder(
            person_id=PersonId(row.id),
            standing=_STANDINGS.get(row.role, seats.Standing.OTHER),
            subscribed_at=row.subscribed_at,
        )
        for row in rows
    ]


def seated(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on ``people`` for taking a seat; an expired person frees it at once."""
    return (
        people.c.subscribed_at.is_not(None),
        or_(people.c.expires_at.is_(None), people.c.expires_at > now),
    )


async def unseat(
    tx: Session, site_id: SiteId, person_ids: Sequence[PersonId], *, now: datetime
) -> None:
    """Take their seats from people; they stay as they are, and locks are told to forget them."""
    for at in range(0, len(person_ids), ROWS_AT_ONCE):
        some = person_ids[at : at + ROWS_AT_ONCE]
        await tx.execute(
            update(people)
            .where(people.c.site_id == site_id, people.c.id.in_(some))
            .values(subscribed_at=None, version=people.c.version + 1)
        )
        await revoke_people(tx, site_id, some, now=now)


async def had_free_week(tx: ReadSession, serial: str, *, elsewhere_than: SiteId) -> bool:
    """Return whether a hub was ever part of another site's free week."""
    found = await tx.execute(
        select(free_week_hubs.c.serial)
        .where(free_week_hubs.c.serial == serial, free_week_hubs.c.site_id != elsewhere_than)
        .limit(1)
    )
    return found.first() is not None


async def remember_free_week(tx: Session, serial: str, site_id: SiteId, *, now: datetime) -> None:
    """Note for ever that a hub is part of a site's free week."""
    dialect = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
    row = dialect(free_week_hubs).values(serial=serial, site_id=site_id, attached_at=now)
    await tx.execute(row.on_conflict_do_nothing())


def _row(
    subscription: Subscription, *, version: int, reminder_at: datetime | None
) -> dict[str, object]:
    return {
        "plan": subscription.plan,
        "users": subscription.users,
        "kind": subscription.kind,
        "started_at": subscription.started_at,
        "ends_at": subscription.ends_at,
        "segments": [[segment.seconds, segment.rate] for segment in subscription.segments],
        "rest": subscription.rest,
        "catalogue_version": subscription.catalogue_version,
        "expired": subscription.status is not Status.RUNNING,
        "cancelled": subscription.status is Status.CANCELLED,
        "reminder_at": reminder_at,
        "version": version,
    }
