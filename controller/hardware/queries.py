"""How far the hubs and locks of a site are with what is wanted of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.db.engine import ReadSession
from controller.domain.hardware import Hub, SiteLock
from controller.domain.ids import HubId, LockId, SiteId
from controller.hardware import repository


class SyncState(StrEnum):
    """How a hub stands to what is wanted of it."""

    NOT_CLAIMED = "not_claimed"
    IN_SYNC = "in_sync"
    PENDING = "pending"
    WAITING = "waiting_for_subscription"  # the access state goes out after a renewal


@dataclass(frozen=True, slots=True, kw_only=True)
class HubStatus:
    """A hub with the facts of its locks."""

    hub: Hub
    state: SyncState
    in_sync_since: datetime | None
    pending_locks: tuple[LockId, ...]


async def hub_status(
    tx: ReadSession, site_id: SiteId, hub_id: HubId, *, subscribed: bool
) -> HubStatus:
    """Return a hub in service and how it stands.

    Raises:
        NotFound: The site has none of this id.
    """
    hub = await repository.hub(tx, site_id, hub_id)
    locks = await repository.locks_of(tx, site_id, hub_id=hub_id)
    return _status(hub, locks, subscribed=subscribed)


async def hub_statuses(
    tx: ReadSession, site_id: SiteId, *, subscribed: bool
) -> Sequence[HubStatus]:
    """Return all hubs in service and how they stand."""
    locks = await repository.locks_of(tx, site_id)
    return [
        _status(hub, [lock for lock in locks if lock.hub_id == hub.id], subscribed=subscribed)
        for hub in await repository.hubs_of(tx, site_id)
    ]


def _status(hub: Hub, locks: Sequence[SiteLock], *, subscribed: bool) -> HubStatus:
    pending = tuple(lock.id for lock in locks if lock.pending)
    state = _state(hub, pending=bool(pending), subscribed=subscribed)
    confirmed = [hub.confirmed_at, *(lock.list_confirmed_at for lock in locks)]
    return HubStatus(
        hub=hub,
        state=state,
        in_sync_since=max((at for at in confirmed if at is not None), default=None)
        if state is SyncState.IN_SYNC
        else None,
        pending_locks=pending,
    )


def _state(hub: Hub, *, pending: bool, subscribed: bool) -> SyncState:
    if hub.claimed_at is None:
        return SyncState.NOT_CLAIMED
    if hub.lease_confirmed < hub.lease_wanted:
        return SyncState.PENDING
    if hub.revision_confirmed >= hub.revision_wanted and not pending:
        return SyncState.IN_SYNC
    return SyncState.PENDING if subscribed else SyncState.WAITING
