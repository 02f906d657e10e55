"""What a lock decides by itself. Source: docs/algorithms/offline.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from firmware_sim.lock.state import Opening
from firmware_sim.schedule import contains, zone_named
from gateway.protocol.messages import DenyReason, EntryKind
from gateway.protocol.sections import OfflineGrant, OfflineList

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Opens:
    """The lock opens, by its list or by its memory."""

    kind: EntryKind


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
    reasons = []
    for grant in grants:
        if grant.ends_at_s is not None and at_s >= grant.ends_at_s:
            reasons.append(DenyReason.CREDENTIAL_EXPIRED)
        elif grant.schedules is None:
            return Opens(kind=EntryKind.OPENED_BY_LIST)
        elif zone is None:
            reasons.append(DenyReason.CLOCK_UNCERTAIN)
        elif any(
            contains(
                offline_list.schedules[place],
                at_s=at_s,
                zone=zone,
                holidays=offline_list.holidays or (),
            )
            for place in grant.schedules
        ):
            return Opens(kind=EntryKind.OPENED_BY_LIST)
        else:
            reasons.append(DenyReason.OUTSIDE_SCHEDULE)
    return Refuses(reason=max(reasons))
