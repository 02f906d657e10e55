"""When the owner and the admins are told that the subscription will end."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from controller.domain.subscription import Subscription

DAYS_BEFORE: Final = (28, 7, 1)
AT: Final = time(9)  # by the clock on the site's wall


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """A reminder that is to go out once, at ``due_at``."""

    days_before: int
    due_at: datetime


def planned(subscription: Subscription, *, zone: ZoneInfo) -> tuple[Reminder, ...]:
    """Return a subscription's reminders, earliest first.

    One that would be due before the subscription started is not among them.
    """
    end_on = subscription.ends_at.astimezone(zone).date()
    reminders = []
    for days in DAYS_BEFORE:
        local = datetime.combine(end_on - timedelta(days=days), AT, tzinfo=zone)
        due_at = local.astimezone(UTC)
        if due_at >= subscription.started_at:
            reminders.append(Reminder(days_before=days, due_at=due_at))
    return tuple(reminders)


def due(
    subscription: Subscription, *, zone: ZoneInfo, sent_days: int | None, now: datetime
) -> Reminder | None:
    """Return the reminder to send at ``now``, if any.

    Only the latest counts: after a pause nobody gets two at once.

    Args:
        subscription: The present subscription.
        zone: The site's time zone.
        sent_days: ``days_before`` of the last reminder sent for this subscription.
        now: The instant.
    """
    if not subscription.is_active(now):
        return None
    latest = None
    for reminder in planned(subscription, zone=zone):
        if reminder.due_at <= now:
            latest = reminder
    if latest is None or (sent_days is not None and sent_days <= latest.days_before):
        return None
    return latest


def next_at(subscription: Subscription, *, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return when the next reminder after ``now`` is due, so that a timer can sleep till then."""
    if not subscription.is_active(now):
        return None
    later = (reminder.due_at for reminder in planned(subscription, zone=zone))
    return next((due_at for due_at in later if due_at > now), None)
