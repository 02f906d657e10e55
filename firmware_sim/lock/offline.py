"""What a lock decides by itself. Source: docs/algorithms/offline.md."""

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from firmware_sim.lock.state import Opening
from firmware_sim.schedule import contains, zone_named
from gateway.protocol.messages import DenyReason, EntryKind
from gateway.protocol.sections import OfflineGrant, OfflineList

DAY_S: Final = 86_400
_NEARER: Final = (  # of several reasons the last in this order is told
    DenyReason.CREDENTIAL_EXPIRED,
    DenyReason.PERSON_NOT_YET,
    DenyReason.OUTSIDE_SCHEDULE,
    DenyReason.CLOCK_UNCERTAIN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opens:
    """The lock opens, by its list or by its memory."""

    kind: EntryKind
    privileges: int = 0  # of the person at this door; the memory knows none


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuses:
    """The lock stays shut."""

    reason: DenyReason


def decide_offline(
    offline_list: OfflineList | None,
    memory: Mapping[bytes, Opening],
    credential_digest: bytes,
    *,
    memory_days: int,
    at_s: int,
    clock_trusted: bool,
) -> Opens | Refuses:
    """Decide without a hub.

    Args:
        offline_list: What the controller compiled for this lock.
        memory: The openings that the hub granted, by digest.
        credential_digest: What was presented.
        memory_days: How long the memory holds; 0 switches it off.
        at_s: The calendar. Ends are judged by it even when it is only a lower bound.
        clock_trusted: Whether somebody has told the time since boot; else no schedule can open.
    """
    grants = tuple(
        grant
        for grant in (offline_list.grants if offline_list else ())
        if grant.credential_digest == credential_digest
    )
    if offline_list is not None and grants:
        return _by_list(offline_list, grants, at_s=at_s, clock_trusted=clock_trusted)
    opening = memory.get(credential_digest)
    if opening is None or is_purged(offline_list, credential_digest, opening):
        return Refuses(reason=DenyReason.UNKNOWN_CREDENTIAL)
    if at_s >= opening.opened_s + memory_days * DAY_S:
        return Refuses(reason=DenyReason.CREDENTIAL_EXPIRED)
    if opening.ends_at_s is not None and at_s >= opening.ends_at_s:
        return Refuses(reason=DenyReason.CREDENTIAL_EXPIRED)
    return Opens(kind=EntryKind.OPENED_BY_MEMORY)


def is_purged(offline_list: OfflineList | None, credential_digest: bytes, opening: Opening) -> bool:
    """Return whether the list in force makes the memory forget this opening."""
    if offline_list is None:
        return False
    before_s = offline_list.purge_before_s or 0
    return credential_digest in offline_list.purge or opening.opened_s < before_s


def _by_list(
    offline_list: OfflineList, grants: tuple[OfflineGrant, ...], *, at_s: int, clock_trusted: bool
) -> Opens | Refuses:
    """The list alone decides about whom it names; several grants are alternatives."""
    zone = zone_named(offline_list.time_zone) if clock_trusted else None
    privileges, reasons = [], []
    for grant in grants:
        reason = _by_frame(grant, at_s=at_s, clock_trusted=clock_trusted)
        reason = reason or _by_schedule(offline_list, grant, at_s=at_s, zone=zone)
        if reason is None:
            privileges.append(grant.privileges or 0)
        else:
            reasons.append(reason)
    if privileges:
        every = functools.reduce(operator.or_, privileges)
        return Opens(kind=EntryKind.OPENED_BY_LIST, privileges=every)
    return Refuses(reason=max(reasons, key=_NEARER.index))


def _by_frame(grant: OfflineGrant, *, at_s: int, clock_trusted: bool) -> DenyReason | None:
    """A lower bound of the time can show that a grant has begun or ended, not that it has not."""
    if grant.ends_at_s is not None and at_s >= grant.ends_at_s:
        return DenyReason.CREDENTIAL_EXPIRED
    if grant.starts_at_s is not None and at_s < grant.starts_at_s:
        return DenyReason.PERSON_NOT_YET if clock_trusted else DenyReason.CLOCK_UNCERTAIN
    return None


def _by_schedule(
    offline_list: OfflineList, grant: OfflineGrant, *, at_s: int, zone: ZoneInfo | None
) -> DenyReason | None:
    if grant.schedules is None:
        return None
    if zone is None:
        return DenyReason.CLOCK_UNCERTAIN
    holidays = offline_list.holidays or ()
    times = (offline_list.schedules[place] for place in grant.schedules)
    if any(contains(each, at_s=at_s, zone=zone, holidays=holidays) for each in times):
        return None
    return DenyReason.OUTSIDE_SCHEDULE
