"""Notification rules and notices in the database."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.access.repository import named
from controller.db.engine import ReadSession, Session
from controller.db.tables.notifications import (
    notices,
    notification_receivers,
    notification_rules,
)
from controller.domain.errors import NotFound, Stale
from controller.domain.ids import RuleId, SiteId
from controller.domain.notifications import NotificationRule


async def rule(tx: ReadSession, site_id: SiteId, rule_id: RuleId) -> NotificationRule:
    """Return a notification rule of a site.

    Raises:
        NotFound: The site has none of this id.
    """
    for found in await rules_of(tx, [site_id]):
        if found.id == rule_id:
            return found
    raise NotFound("There is no such notification rule at this site.", object="notification_rule")


async def rules_of(tx: ReadSession, site_ids: Collection[SiteId]) -> list[NotificationRule]:
    """Return the rules of some sites, by site and name. A site has 50 at most."""
    rows = (
        await tx.execute(
            select(notification_rules)
            .where(notification_rules.c.site_id.in_(site_ids))
            .order_by(notification_rules.c.site_id, notification_rules.c.name)
        )
    ).all()
    if not rows:
        return []
    receivers: dict[tuple[str, str], list[str]] = {}
    for one in await tx.execute(
        select(notification_receivers).where(notification_receivers.c.site_id.in_(site_ids))
    ):
        receivers.setdefault((one.site_id, one.rule_id), []).append(one.person_id)
    return [_rule(row, receivers.get((row.site_id, row.id), ())) for row in rows]


async def count(tx: ReadSession, site_id: SiteId) -> int:
    """Return how many rules a site has."""
    some = select(func.count()).where(notification_rules.c.site_id == site_id)
    return int((await tx.execute(some)).scalar_one())


async def add(tx: Session, new: NotificationRule) -> None:
    """Write a new rule.

    Raises:
        NameTaken: The site has another of this name.
    """
    await named(tx, insert(notification_rules).values(_row(new)))
    await _write_receivers(tx, new)


async def save(tx: Session, edited: NotificationRule, *, if_match: int) -> NotificationRule:
    """Write a rule over a version, and return the next one.

    Raises:
        Stale: Somebody else wrote in between.
        NameTaken: The site has another of this name.
    """
    saved = replace(edited, version=if_match + 1)
    one = update(notification_rules).where(*_this(edited), notification_rules.c.version == if_match)
    if await named(tx, one.values(_row(saved))) == 0:
        raise Stale.of("notification_rule")
    await tx.execute(delete(notification_receivers).where(*_receivers(edited)))
    await _write_receivers(tx, saved)
    return saved


async def remove(tx: Session, gone: NotificationRule, *, if_match: int) -> None:
    """Delete a rule with what it has caught and nobody was told.

    Raises:
        Stale: Somebody else wrote in between.
    """
    await tx.execute(delete(notification_receivers).where(*_receivers(gone)))
    await tx.execute(
        delete(notices).where(notices.c.site_id == gone.site_id, notices.c.rule_id == gone.id)
    )
    one = delete(notification_rules).where(*_this(gone), notification_rules.c.version == if_match)
    if (await tx.execute(one)).rowcount == 0:
        raise Stale.of("notification_rule")


async def add_notices(tx: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write notices; one that is there already stays as it is."""
    if rows:
        dialect_insert = postgresql.insert if tx.dialect == "postgresql" else sqlite.insert
        await tx.execute(dialect_insert(notices).on_conflict_do_nothing(), rows)


async def oldest_rules(tx: ReadSession, *, before: datetime, limit: int) -> list[tuple[str, str]]:
    """Return (site id, rule id) of rules with notices from before an instant, longest first."""
    rows = await tx.execute(
        select(notices.c.site_id, notices.c.rule_id)
        .group_by(notices.c.site_id, notices.c.rule_id)
        .having(func.min(notices.c.created_at) <= before)
        .order_by(func.min(notices.c.id))
        .limit(limit)
    )
    return [(row.site_id, row.rule_id) for row in rows]


def _rule(row: Row[Any], receivers: Iterable[str]) -> NotificationRule:
    return NotificationRule(
        site_id=row.site_id,
        id=row.id,
        name=row.name,
        kinds=frozenset(row.kinds),
        lock_ids=None if row.lock_ids is None else frozenset(row.lock_ids),
        person_ids=None if row.person_ids is None else frozenset(row.person_ids),
        schedule_id=row.schedule_id,
        receiver_ids=frozenset(receivers),  # type: ignore[arg-type]  # ids as they are stored
        by_mail=row.by_mail,
        enabled=row.enabled,
        created_at=row.created_at,
        version=row.version,
    )


def _row(one: NotificationRule) -> dict[str, Any]:
    return {
        "site_id": one.site_id,
        "id": one.id,
        "name": one.name,
        "kinds": sorted(one.kinds),
        "lock_ids": None if one.lock_ids is None else sorted(one.lock_ids),
        "person_ids": None if one.person_ids is None else sorted(one.person_ids),
        "schedule_id": one.schedule_id,
        "by_mail": one.by_mail,
        "enabled": one.enabled,
        "created_at": one.created_at,
        "version": one.version,
    }


async def _write_receivers(tx: Session, one: NotificationRule) -> None:
    await tx.execute(
        insert(notification_receivers),
        [
            {"site_id": one.site_id, "rule_id": one.id, "person_id": person_id}
            for person_id in sorted(one.receiver_ids)
        ],
    )


def _this(one: NotificationRule) -> tuple[Any, ...]:
    return notification_rules.c.site_id == one.site_id, notification_rules.c.id == one.id


def _receivers(one: NotificationRule) -> tuple[Any, ...]:
    return (
        notification_receivers.c.site_id == one.site_id,
        notification_receivers.c.rule_id == one.id,
    )
