"""Who is on a lock's offline list, for how long and when; and what its memory must forget.

The rule: every credential with explicit offline access that is not blocked, whose person is
subscribed and in some group with the lock. Ends are written into the list instead of being
judged here, so the list depends on edits only and never on the present instant. It is never cut:
an edit that would make it too long for its lock is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller.domain.access import DenyReason
from controller.domain.errors import Refused
from controller.domain.ids import LockId
from controller.domain.schedule import WINDOWS_MAX, Schedule, Window
from controller.domain.site_state import Group, HeldCredential, Lock, Revoked, SiteState

SCHEDULES_MAX: Final = 6  # different ones in one list; with 360 credentials it still fits


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineGrant:
    """A credential that a lock may open to by itself."""

    holder: HeldCredential
    schedule: Schedule | None  # None: at all times
    ends_at: datetime | None  # the earlier end of credential and person


class OfflineListFull(Refused):
    """A lock has no room for all who would be on its list."""

    code = "offline_list_full"


class OfflineSchedulesFull(Refused):
    """A lock's list would need more different schedules, or more windows, than it can hold."""

    code = "offline_schedules_full"


def offline_list(state: SiteState, lock_id: LockId) -> tuple[OfflineGrant, ...]:
    """Return the grants on a lock's list, sorted by credential digest."""
    here = _groups_at(state, lock_id)
    grants = []
    for held in state.credentials:
        schedules = _rights(state, held, here) if held.offline else []
        if schedules:
            grants.append(
                OfflineGrant(
                    holder=held,
                    schedule=_union(schedules),
                    ends_at=min(_ends(state, held), default=None),
                )
            )
    return tuple(sorted(grants, key=lambda grant: grant.holder.digest))


def why_not_listed(state: SiteState, held: HeldCredential, lock_id: LockId) -> DenyReason | None:
    """Return why a credential with offline access is not on a lock's list; None: it is."""
    if held.credential.blocked:
        return DenyReason.CREDENTIAL_BLOCKED
    if not state.people[held.credential.person_id].subscribed:
        return DenyReason.PERSON_UNSUBSCRIBED
    if not _rights(state, held, _groups_at(state, lock_id)):
        return DenyReason.NO_ACCESS_TO_LOCK
    return None


def to_forget(state: SiteState, lock_id: LockId) -> tuple[Revoked, ...]:
    """Return the revoked credentials without a right at a lock, newest first, ties by digest.

    The lock's own memory may still hold an opening of theirs. A right that has an end counts as
    none: the memory may hold the later end of before, or none.
    """
    here = _groups_at(state, lock_id)
    noted = {revoked.digest for revoked in state.revoked}
    entitled = {
        held.digest
        for held in state.credentials
        if held.digest in noted and _rights(state, held, here) and not _ends(state, held)
    }
    left = (revoked for revoked in state.revoked if revoked.digest not in entitled)
    oldest_last = sorted(left, key=lambda revoked: revoked.revoked_at, reverse=True)
    return tuple(oldest_last)


def require_room(state: SiteState, lock: Lock, *, name: str) -> None:
    """Refuse a state in which a lock's list is too long or too finely scheduled.

    Raises:
        OfflineListFull: It names lock, limit and usage.
        OfflineSchedulesFull: Likewise.
    """
    grants = offline_list(state, lock.id)
    if len(grants) > lock.capacity:
        raise OfflineListFull(
            f"The lock {name} holds {lock.capacity} credentials for offline use, and this would "
            f"make {len(grants)}. Take offline access from a credential that opens this lock, or "
            "the lock out of a group.",
            lock_id=lock.id,
            limit=lock.capacity,
            used=len(grants),
            remedy="revoke_offline_access",
        )
    different = {grant.schedule for grant in grants if grant.schedule is not None}
    windows = max((len(schedule.windows) for schedule in different), default=0)
    if len(different) > SCHEDULES_MAX or windows > WINDOWS_MAX:
        raise OfflineSchedulesFull(
            f"The lock {name} can keep {SCHEDULES_MAX} different schedules of {WINDOWS_MAX} "
            f"windows each for offline use, and this would make {len(different)} with up to "
            f"{windows}. Use the same schedule for more of its groups.",
            lock_id=lock.id,
            limit=SCHEDULES_MAX,
            used=len(different),
            windows=windows,
            remedy="use_fewer_schedules",
        )


def _groups_at(state: SiteState, lock_id: LockId) -> list[Group]:
    return [group for group in state.groups if lock_id in group.lock_ids]


def _rights(state: SiteState, held: HeldCredential, here: list[Group]) -> list[Schedule]:
    """Return when a credential may open, a schedule a group; empty: never."""
    person_id = held.credential.person_id
    if held.credential.blocked or not state.people[person_id].subscribed:
        return []
    return [state.schedule_of(group) for group in here if person_id in group.person_ids]


def _ends(state: SiteState, held: HeldCredential) -> list[datetime]:
    ends = (held.credential.ends_at, state.people[held.credential.person_id].ends_at)
    return [end for end in ends if end is not None]


def _union(schedules: Iterable[Schedule]) -> Schedule | None:
    """Return the times of all schedules with as few windows as possible; None: at all times."""
    merged: list[Window] = []
    for window in sorted({window for schedule in schedules for window in schedule.windows}):
        last = merged[-1] if merged else None
        if last and last.weekday == window.weekday and window.start_min <= last.end_min:
            end_min = max(last.end_min, window.end_min)
            merged[-1] = Window(weekday=last.weekday, start_min=last.start_min, end_min=end_min)
        else:
            merged.append(window)
    schedule = Schedule(windows=tuple(merged))
    return None if schedule == Schedule.always() else schedule
