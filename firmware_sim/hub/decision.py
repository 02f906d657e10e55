"""What a hub decides about a credential at a door. Source: docs/algorithms/tag-decision.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from firmware_sim.hub.tables import AT_ALL_TIMES, Holder, Right, Tables
from firmware_sim.schedule import is_inside, wall
from gateway.protocol.messages import DenyReason
from gateway.protocol.sections import Holiday


@dataclass(frozen=True, slots=True)
class Granted:
    """The lock may open."""

    ends_at_s: int | None = None  # first instant at which this is over for certain; None: no end
    privileges: int = 0  # of the person, sections.Privilege


@dataclass(frozen=True, slots=True)
class Denied:
    """The lock stays shut."""

    reason: DenyReason


Decision = Granted | Denied


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    at_s: int
    zone: ZoneInfo | None
    trusted: bool


def decide(
    tables: Tables,
    credential_digest: bytes,
    lock_id: bytes,
    *,
    at_s: int,
    zone: ZoneInfo | None,
    clock_trusted: bool = True,
) -> Decision:
    """Decide whether a credential opens a lock. The first check that fails names the reason.

    Args:
        tables: The access state that serves.
        credential_digest: What was presented.
        lock_id: Where.
        at_s: The calendar, seconds UTC.
        zone: The site's zone. None when this hub does not know it: then no schedule opens.
        clock_trusted: Whether somebody has told the time since boot; otherwise ``at_s`` is a lower
            bound, which shows what has ended and what has begun, and nothing else.
    """
    clock = _Clock(at_s=at_s, zone=zone, trusted=clock_trusted)
    holder = tables.holders.get(credential_digest)
    if holder is None:
        return Denied(DenyReason.UNKNOWN_CREDENTIAL)
    if reason := _flaw(holder, clock):
        return Denied(reason)
    here = tables.rights.get(lock_id, {})
    rights = [here[group_id] for group_id in holder.group_ids if group_id in here]
    if not rights:
        return Denied(DenyReason.NO_ACCESS_TO_LOCK)
    running = [right for right in rights if _runs(right, clock.at_s)]
    granting = _granting(running, tables.holidays, clock)
    if not granting:
        return Denied(_why_none(rights, running, clock))
    ends = (holder.credential_ends_at_s, holder.person_ends_at_s, _last_end(granting))
    ends_at_s = min((end for end in ends if end is not None), default=None)
    return Granted(ends_at_s, holder.privileges)


def _flaw(holder: Holder, clock: _Clock) -> DenyReason | None:
    if holder.blocked:
        return DenyReason.CREDENTIAL_BLOCKED
    if holder.credential_ends_at_s is not None and clock.at_s >= holder.credential_ends_at_s:
        return DenyReason.CREDENTIAL_EXPIRED
    if holder.person_starts_at_s is not None and clock.at_s < holder.person_starts_at_s:
        return DenyReason.PERSON_NOT_YET if clock.trusted else DenyReason.CLOCK_UNCERTAIN
    if holder.person_ends_at_s is not None and clock.at_s >= holder.person_ends_at_s:
        return DenyReason.PERSON_EXPIRED
    if not holder.person_subscribed:
        return DenyReason.PERSON_UNSUBSCRIBED
    return None


def _runs(right: Right, at_s: int) -> bool:
    if right.starts_at_s is not None and at_s < right.starts_at_s:
        return False
    return right.ends_at_s is None or at_s < right.ends_at_s


def _granting(
    running: Sequence[Right], holidays: tuple[Holiday, ...], clock: _Clock
) -> Sequence[Right]:
    """Return the rights that open now; the wall is looked at only where a schedule asks for it."""
    if not clock.trusted or clock.zone is None or all(r.times is AT_ALL_TIMES for r in running):
        return [right for right in running if right.times is AT_ALL_TIMES]
    now = wall(clock.at_s, clock.zone, holidays)
    return [right for right in running if right.times is None or is_inside(right.times, now)]


def _why_none(rights: Sequence[Right], running: Sequence[Right], clock: _Clock) -> DenyReason:
    """Return why no right opens. By a lower bound of the time, one may have begun by now."""
    may_have_begun = not clock.trusted and any(
        right.ends_at_s is None or clock.at_s < right.ends_at_s for right in rights
    )
    if may_have_begun or (running and clock.zone is None):
        return DenyReason.CLOCK_UNCERTAIN
    return DenyReason.OUTSIDE_SCHEDULE


def _last_end(rights: Sequence[Right]) -> int | None:
    ends = [right.ends_at_s for right in rights]
    return None if None in ends else max(end for end in ends if end is not None)
