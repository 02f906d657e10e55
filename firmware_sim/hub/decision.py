"""What a hub decides about a credential at a door. Source: docs/algorithms/tag-decision.md."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from firmware_sim.hub.tables import AT_ALL_TIMES, Holder, Right, Tables
from firmware_sim.schedule import contains
from gateway.protocol.messages import DenyReason
from gateway.protocol.sections import Holiday


@dataclass(frozen=True, slots=True)
class Granted:
    """The lock may open."""

    ends_at_s: int | None = None  # the earlier end of credential and person


@dataclass(frozen=True, slots=True)
class Denied:
    """The lock stays shut."""

    reason: DenyReason


Decision = Granted | Denied


def decide(
    tables: Tables, credential_digest: bytes, lock_id: bytes, *, at_s: int, zone: ZoneInfo | None
) -> Decision:
    """Decide whether a credential opens a lock. The first check that fails names the reason.

    Args:
        tables: The access state that serves.
        credential_digest: What was presented.
        lock_id: Where.
        at_s: The calendar, seconds UTC.
        zone: The site's zone. None when nobody knows the wall time: then no schedule opens.
    """
    holder = tables.holders.get(credential_digest)
    if holder is None:
        return Denied(DenyReason.UNKNOWN_CREDENTIAL)
    if reason := _flaw(holder, at_s):
        return Denied(reason)

    keys = ((group_id, lock_id) for group_id in holder.group_ids)
    rights = [tables.rights[key] for key in keys if key in tables.rights]
    if not rights:
        return Denied(DenyReason.NO_ACCESS_TO_LOCK)
    if reason := _by_schedule(rights, tables.holidays, at_s=at_s, zone=zone):
        return Denied(reason)
    ends = (holder.credential_ends_at_s, holder.person_ends_at_s)
    return Granted(min((end for end in ends if end is not None), default=None))


def _by_schedule(
    rights: list[Right], holidays: tuple[Holiday, ...], *, at_s: int, zone: ZoneInfo | None
) -> DenyReason | None:
    running = [right for right in rights if _runs(right, at_s)]
    if any(right.times is AT_ALL_TIMES for right in running):
        return None
    if running and zone is None:
        return DenyReason.CLOCK_UNCERTAIN
    for right in running:
        if zone and right.times and contains(right.times, at_s=at_s, zone=zone, holidays=holidays):
            return None
    return DenyReason.OUTSIDE_SCHEDULE


def _runs(right: Right, at_s: int) -> bool:
    if right.starts_at_s is not None and at_s < right.starts_at_s:
        return False
    return right.ends_at_s is None or at_s < right.ends_at_s


def _flaw(holder: Holder, at_s: int) -> DenyReason | None:
    if holder.blocked:
        return DenyReason.CREDENTIAL_BLOCKED
    if holder.credential_ends_at_s is not None and at_s >= holder.credential_ends_at_s:
        return DenyReason.CREDENTIAL_EXPIRED
    if holder.person_starts_at_s is not None and at_s < holder.person_starts_at_s:
        return DenyReason.PERSON_NOT_YET
    if holder.person_ends_at_s is not None and at_s >= holder.person_ends_at_s:
        return DenyReason.PERSON_EXPIRED
    if not holder.person_subscribed:
        return DenyReason.PERSON_UNSUBSCRIBED
    return None
