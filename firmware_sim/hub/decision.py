"""What a hub decides about a credential at a door. Source: docs/algorithms/tag-decision.md."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from firmware_sim.hub.tables import AT_ALL_TIMES, Holder, Tables, Windows
from firmware_sim.schedule import contains
from gateway.protocol.messages import DenyReason


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
    if reason := _by_schedule(rights, at_s=at_s, zone=zone):
        return Denied(reason)
    ends = (holder.credential_ends_at_s, holder.person_ends_at_s)
    return Granted(min((end for end in ends if end is not None), default=None))


def _by_schedule(rights: list[Windows], *, at_s: int, zone: ZoneInfo | None) -> DenyReason | None:
    if AT_ALL_TIMES in rights:
        return None
    if zone is None:
        return DenyReason.CLOCK_UNCERTAIN
    if any(windows and contains(windows, at_s=at_s, zone=zone) for windows in rights):
        return None
    return DenyReason.OUTSIDE_SCHEDULE


def _flaw(holder: Holder, at_s: int) -> DenyReason | None:
    if holder.blocked:
        return DenyReason.CREDENTIAL_BLOCKED
    if holder.credential_ends_at_s is not None and at_s >= holder.credential_ends_at_s:
        return DenyReason.CREDENTIAL_EXPIRED
    if holder.person_ends_at_s is not None and at_s >= holder.person_ends_at_s:
        return DenyReason.PERSON_EXPIRED
    if not holder.person_subscribed:
        return DenyReason.PERSON_UNSUBSCRIBED
    return None
