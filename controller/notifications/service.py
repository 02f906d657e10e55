"""Make notification rules, and catch what they name as it is written down."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypedDict
from zoneinfo import ZoneInfo

from sqlalchemy import select

from controller.access.queries import holidays_of, schedules_of
from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.db.tables.hardware import locks
from controller.db.tables.people import people
from controller.db.tables.sites import sites
from controller.domain.errors import Invalid, NotFound
from controller.domain.happenings import Happening
from controller.domain.ids import LockId, PersonId, RuleId, ScheduleId, SiteId
from controller.domain.instants import to_text
from controller.domain.notifications import (
    NOTICES_MAX,
    RULES_MAX,
    NotificationRule,
    TooManyRules,
)
from controller.domain.roles import Action, Actor
from controller.notifications import repository
from controller.outbox import service as outbox
from controller.ports import Bus, Ids, LinkClock

WAKE_MAIL: Final = "mail"


class RuleEdit(TypedDict, total=False):
    """What is to become of a rule; what is left out stays."""

    name: str
    kinds: frozenset[str]
    lock_ids: frozenset[LockId] | None
    person_ids: frozenset[PersonId] | None
    schedule_id: ScheduleId | None
    receiver_ids: frozenset[PersonId]
    by_mail: bool
    enabled: bool


class Notifications:
    """The notification rules of sites."""

    def __init__(self, *, audit: Audit, ids: Ids, bus: Bus, link: LinkClock) -> None:
        self._audit = audit
        self._ids = ids
        self._bus = bus
        self._link = link

    async def add(
        self, tx: Session, actor: Actor, site_id: SiteId, new: RuleEdit, *, now: datetime
    ) -> NotificationRule:
        """Make a rule.

        Raises:
            TooManyRules: The site has as many as one can have.
            NameTaken: The site has another of this name.
            Invalid: It names something that is not of this site; ``field`` says where.
        """
        actor.require(Action.MANAGE_NOTIFICATIONS, site_id)
        count = await repository.count(tx, site_id)
        if count >= RULES_MAX:
            raise TooManyRules(
                f"The site has {count} notification rules, which is the most. Delete one.",
                limit=RULES_MAX,
                used=count,
                remedy="delete_notification_rule",
            )
        blank = NotificationRule(
            site_id=site_id,
            id=RuleId(self._ids.new()),
            name="",
            kinds=frozenset(),
            lock_ids=None,
            person_ids=None,
            schedule_id=None,
            receiver_ids=frozenset(),
            by_mail=True,
            enabled=True,
            created_at=now,
            version=1,
        )
        rule = replace(blank, **new)
        await _require_known(tx, rule)
        await repository.add(tx, rule)
        await self._record(tx, actor, "notification_rule_added", rule, now=now)
        return rule

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        rule_id: RuleId,
        *,
        edit: RuleEdit,
        if_match: int,
        now: datetime,
    ) -> NotificationRule:
        """Edit a rule.

        Raises:
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
            NameTaken: The site has another of this name.
            Invalid: It names something that is not of this site; ``field`` says where.
        """
        actor.require(Action.MANAGE_NOTIFICATIONS, site_id)
        rule = replace(await repository.rule(tx, site_id, rule_id), **edit)
        await _require_known(tx, rule)
        saved = await repository.save(tx, rule, if_match=if_match)
        await self._record(tx, actor, "notification_rule_edited", saved, now=now)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        rule_id: RuleId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a rule.

        Raises:
            NotFound: The site has none of this id.
            Stale: ``if_match`` is not the present version.
        """
        actor.require(Action.MANAGE_NOTIFICATIONS, site_id)
        rule = await repository.rule(tx, site_id, rule_id)
        await repository.remove(tx, rule, if_match=if_match)
        await self._record(tx, actor, "notification_rule_deleted", rule, now=now)

    async def note(self, tx: Session, happenings: Sequence[Happening], *, now: datetime) -> None:
        """Keep what the rules of its site name, for mail and webhooks, in this transaction.

        Of one rule at most 50 happenings of a batch are kept one by one; the rest is counted.

        Args:
            tx: The transaction that writes the happenings down.
            happenings: New ones only.
            now: The calendar's instant.
        """
        if not happenings:
            return
        site_ids = sorted({happening.site_id for happening in happenings})
        rules = [rule for rule in await repository.rules_of(tx, site_ids) if rule.enabled]
        for site_id in sorted({rule.site_id for rule in rules}):
            some = [happening for happening in happenings if happening.site_id == site_id]
            own = [rule for rule in rules if rule.site_id == site_id]
            await self._note_at(tx, site_id, own, some, now=now)

    async def _note_at(
        self,
        tx: Session,
        site_id: SiteId,
        rules: Sequence[NotificationRule],
        happenings: Sequence[Happening],
        *,
        now: datetime,
    ) -> None:
        zone_name = select(sites.c.time_zone).where(sites.c.id == site_id)
        zone = ZoneInfo((await tx.execute(zone_name)).scalar_one())
        schedules = {one.id: one.schedule for one in await schedules_of(tx, site_id)}
        holidays = await holidays_of(tx, site_id)
        names = await _lock_names(tx, site_id, {one.lock_id for one in happenings if one.lock_id})
        rows, items = [], []
        for rule in rules:
            schedule = schedules[rule.schedule_id] if rule.schedule_id is not None else None
            caught = [
                one
                for one in happenings
                if rule.catches(one, schedule=schedule, zone=zone, holidays=holidays)
            ]
            for happening in caught[:NOTICES_MAX]:
                line = _line(happening, names, zone)
                key = f"{rule.id} {happening.id}"
                facts = _facts(rule, happening)
                items.append(outbox.Item(site_id=site_id, facts=facts, once_key=f"notice {key}"))
                rows.append(self._notice(rule, once_key=key, line=line))
            if left := caught[NOTICES_MAX:]:
                line = f"and {len(left)} more of the same batch"
                key = f"{rule.id} more than {left[0].id}"
                rows.append(self._notice(rule, once_key=key, line=line))
        if items:
            await outbox.put_all(tx, "notification.raised", items, now=now)
        mailed = {rule.id for rule in rules if rule.by_mail}
        await repository.add_notices(tx, [row for row in rows if row["rule_id"] in mailed])
        if rows:
            tx.on_commit(lambda: self._bus.wake(WAKE_MAIL))

    def _notice(self, rule: NotificationRule, *, once_key: str, line: str) -> dict[str, object]:
        return {
            "site_id": rule.site_id,
            "rule_id": rule.id,
            "once_key": once_key,
            "line": line,
            "created_at": self._link.utc(),
        }

    async def _record(
        self, tx: Session, actor: Actor, action: str, rule: NotificationRule, *, now: datetime
    ) -> None:
        await self._audit.record(
            tx,
            actor,
            action,
            site_id=rule.site_id,
            object_kind="notification_rule",
            object_id=rule.id,
            now=now,
            facts={"name": rule.name, "enabled": rule.enabled, "kinds": sorted(rule.kinds)},
        )


async def _require_known(tx: ReadSession, rule: NotificationRule) -> None:
    """Refuse ids that are not of the rule's site, another site's like absent ones."""
    for field, table, wanted in (
        ("lock_ids", locks, rule.lock_ids or frozenset()),
        ("person_ids", people, rule.person_ids or frozenset()),
        ("receiver_ids", people, rule.receiver_ids),
    ):
        some = select(table.c.id).where(table.c.site_id == rule.site_id, table.c.id.in_(wanted))
        if missing := sorted(wanted - {row.id for row in await tx.execute(some)}):
            raise Invalid(f"{field}: the site knows no {missing[0]}.", field=field, id=missing[0])
    if rule.schedule_id is not None:
        known = {one.id for one in await schedules_of(tx, rule.site_id)}
        if rule.schedule_id not in known:
            raise NotFound("There is no such schedule at this site.", object="schedule")


async def _lock_names(
    tx: ReadSession, site_id: SiteId, lock_ids: Collection[LockId]
) -> dict[str, str]:
    some = select(locks.c.id, locks.c.name).where(
        locks.c.site_id == site_id, locks.c.id.in_(lock_ids)
    )
    return {row.id: row.name for row in await tx.execute(some)}


def _line(happening: Happening, names: dict[str, str], zone: ZoneInfo) -> str:
    """Return what a mail says of a happening. Whose credential it was is not mailed around."""
    local = happening.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    what = happening.kind.replace("_", " ")
    where = f" at {names[happening.lock_id]}" if happening.lock_id in names else ""
    why = f" ({happening.reason.replace('_', ' ')})" if happening.reason else ""
    return f"{local} {what}{where}{why}"


def _facts(rule: NotificationRule, happening: Happening) -> dict[str, object]:
    return {
        "rule_id": rule.id,
        "receiver_ids": sorted(rule.receiver_ids),
        "kind": happening.kind,
        "happening_id": happening.id,
        "at": to_text(happening.at),
        "lock_id": happening.lock_id,
        "hub_id": happening.hub_id,
        "person_id": happening.person_id,
        "reason": happening.reason,
        "count": happening.count,
    }
