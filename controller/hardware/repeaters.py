"""Repeaters between hubs and locks. No hub is told of them: the radio finds its way."""

from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from controller.db.engine import Session
from controller.domain.hardware import SiteLock
from controller.domain.ids import HubId, RepeaterId, SiteId
from controller.domain.roles import Action, Actor
from controller.domain.topology import (
    Repeater,
    RepeaterInUse,
    require_new_place,
    require_place,
)
from controller.hardware import repository
from controller.people.changes import Changes
from controller.ports import Ids


class RepeaterEdit(TypedDict, total=False):
    """What is to become of a repeater; what is left out stays."""

    name: str
    parent_id: RepeaterId | None


class Repeaters:
    """The repeaters of sites."""

    def __init__(self, *, changes: Changes, ids: Ids) -> None:
        self._changes = changes
        self._ids = ids

    async def add(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        hub_id: HubId,
        *,
        name: str,
        serial: str,
        parent_id: RepeaterId | None,
        now: datetime,
    ) -> Repeater:
        """Hang a repeater on a hub, or on another of its repeaters.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such hub, or the hub no such parent.
            RepeatersFull: The hub has 6.
            RepeaterChainTooLong: It would be the fourth in a row.
            SerialInService: The repeater is in service already.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        hub = await repository.hub(tx, site_id, hub_id)
        parents = {each.id: each.parent_id for each in await repository.repeaters_of(tx, hub)}
        require_new_place(parents, parent_id, hub_name=hub.name)
        new = Repeater(
            site_id=site_id,
            id=RepeaterId(self._ids.new()),
            hub_id=hub_id,
            parent_id=parent_id,
            serial=serial,
            name=name,
            created_at=now,
            version=1,
        )
        await repository.add_repeater(tx, new)
        await self._end(tx, actor, "repeater_added", new, now=now)
        return new

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        hub_id: HubId,
        repeater_id: RepeaterId,
        *,
        edit: RepeaterEdit,
        if_match: int,
        now: datetime,
    ) -> Repeater:
        """Rename a repeater, or hang it with all that hangs on it elsewhere at its hub.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such hub, or the hub no such repeater or parent.
            Stale: ``if_match`` is not the present version.
            RepeaterCycle: The parent hangs on this repeater.
            RepeaterChainTooLong: More than 3 would stand in a row.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        hub = await repository.hub(tx, site_id, hub_id)
        before = await repository.repeater(tx, site_id, hub_id, repeater_id)
        after = replace(before, **edit)
        parents = {each.id: each.parent_id for each in await repository.repeaters_of(tx, hub)}
        require_place(parents, repeater_id, after.parent_id)
        saved = await repository.save_repeater(tx, after, if_match=if_match)
        await self._end(tx, actor, "repeater_edited", saved, now=now)
        return saved

    async def delete(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        hub_id: HubId,
        repeater_id: RepeaterId,
        *,
        if_match: int,
        now: datetime,
    ) -> None:
        """Delete a repeater on which nothing hangs.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            NotFound: The site has no such hub, or the hub no such repeater.
            Stale: ``if_match`` is not the present version.
            RepeaterInUse: Locks or other repeaters hang on it.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_HARDWARE, site_id, now=now)
        hub = await repository.hub(tx, site_id, hub_id)
        gone = await repository.repeater(tx, site_id, hub_id, repeater_id)
        below = [
            each for each in await repository.repeaters_of(tx, hub) if each.parent_id == gone.id
        ]
        locks = await _locks_on(tx, gone)
        if below or locks:
            raise RepeaterInUse(
                f"{len(locks)} locks and {len(below)} repeaters hang on {gone.name}. Hang them "
                "elsewhere first.",
                locks=len(locks),
                repeaters=len(below),
                remedy="hang_elsewhere",
            )
        await repository.delete_repeater(tx, gone, if_match=if_match)
        await self._end(tx, actor, "repeater_deleted", gone, now=now)

    async def _end(
        self, tx: Session, actor: Actor, action: str, one: Repeater, *, now: datetime
    ) -> None:
        await self._changes.end(
            tx,
            actor,
            action,
            site_id=one.site_id,
            object_kind="repeater",
            object_id=one.id,
            now=now,
            facts={
                "name": one.name,
                "serial": one.serial,
                "hub_id": one.hub_id,
                "parent_id": one.parent_id,
            },
            reaches_doors=False,
        )


async def _locks_on(tx: Session, one: Repeater) -> list[SiteLock]:
    mine = await repository.locks_of(tx, one.site_id, hub_id=one.hub_id)
    return [lock for lock in mine if lock.repeater_id == one.id]
