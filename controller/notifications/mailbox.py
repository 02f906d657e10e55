"""Mails as rows: written, claimed for an attempt, and gone once they are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, insert, select, update

from controller.db.engine import Session
from controller.db.tables.notifications import mails, notices, notification_receivers
from controller.db.tables.people import people
from controller.db.tables.sites import sites
from controller.domain.ids import RuleId, SiteId
from controller.notifications import repository

GATHER: Final = timedelta(seconds=10)  # what happens meanwhile goes into the same mail
RULES_AT_ONCE: Final = 50
LINES_MAX: Final = 200  # of one mail; the rest is counted
MAILS_AT_ONCE: Final = 20
ATTEMPTS_MAX: Final = 10  # over some two days
AGAIN: Final = timedelta(minutes=1)  # doubled with each attempt, up to AGAIN_MAX
AGAIN_MAX: Final = timedelta(hours=12)
KEPT: Final = timedelta(days=30)  # what was given up, for the operator to see


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail as it is sent."""

    id: int
    receiver: str
    subject: str
    body: str
    created_at: datetime


async def add(
    tx: Session,
    receivers: Sequence[str],
    *,
    site_id: str,
    subject: str,
    body: str,
    utc: datetime,
) -> None:
    """Write a mail to each of some receivers."""
    rows = [
        {
            "site_id": site_id,
            "receiver": receiver,
            "subject": subject,
            "body": body,
            "created_at": utc,
            "next_at": utc,
            "attempts": 0,
        }
        for receiver in receivers
    ]
    if rows:
        await tx.execute(insert(mails), rows)


async def gather(tx: Session, *, utc: datetime) -> None:
    """Turn the notices of a rule into one mail a receiver, once the first has waited 10 s."""
    for site_id, rule_id in await repository.oldest_rules(
        tx, before=utc - GATHER, limit=RULES_AT_ONCE
    ):
        await _tell(tx, SiteId(site_id), RuleId(rule_id), utc=utc)


async def claim(tx: Session, *, utc: datetime) -> list[Mail]:
    """Return mails whose time has come, for one attempt; nobody else gets them meanwhile.

    What has been tried often enough is given up, and what was given up long ago is deleted.
    """
    await tx.execute(delete(mails).where(mails.c.given_up_at <= utc - KEPT))
    await tx.execute(
        update(mails)
        .where(mails.c.given_up_at.is_(None), mails.c.attempts >= ATTEMPTS_MAX)
        .where(mails.c.next_at <= utc)
        .values(given_up_at=utc, failure="never reached", body="")
    )
    due = (
        select(mails)
        .where(mails.c.given_up_at.is_(None), mails.c.next_at <= utc)
        .order_by(mails.c.next_at, mails.c.id)
        .limit(MAILS_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    claimed = (await tx.execute(due)).all()
    for row in claimed:
        pause = min(AGAIN_MAX, AGAIN * 2**row.attempts)
        await tx.execute(
            update(mails)
            .where(mails.c.id == row.id)
            .values(attempts=row.attempts + 1, next_at=utc + pause)
        )
    return [
        Mail(
            id=row.id,
            receiver=row.receiver,
            subject=row.subject,
            body=row.body,
            created_at=row.created_at,
        )
        for row in claimed
    ]


async def sent(tx: Session, mail: Mail) -> None:
    """Forget a mail that the server has taken."""
    await tx.execute(delete(mails).where(mails.c.id == mail.id))


async def give_up(tx: Session, mail: Mail, *, reason: str, utc: datetime) -> None:
    """Note that the server will never take a mail; what it said to whom is not kept."""
    await tx.execute(
        update(mails)
        .where(mails.c.id == mail.id)
        .values(given_up_at=utc, failure=reason[:200], body="")
    )


async def _tell(tx: Session, site_id: SiteId, rule_id: RuleId, *, utc: datetime) -> None:
    rule = await repository.rule(tx, site_id, rule_id)
    found = select(notices.c.id, notices.c.line).where(
        notices.c.site_id == site_id, notices.c.rule_id == rule_id
    )
    caught = (await tx.execute(found.order_by(notices.c.id))).all()
    name = select(sites.c.name).where(sites.c.id == site_id)
    site = (await tx.execute(name)).scalar_one()
    receivers = (
        select(people.c.email)
        .distinct()
        .join(
            notification_receivers,
            and_(
                notification_receivers.c.site_id == people.c.site_id,
                notification_receivers.c.person_id == people.c.id,
            ),
        )
        .where(people.c.site_id == site_id, notification_receivers.c.rule_id == rule_id)
        .where(people.c.email.is_not(None))
        .order_by(people.c.email)
    )
    lines = [row.line for row in caught[:LINES_MAX]]
    if len(caught) > LINES_MAX:
        lines.append(f"and {len(caught) - LINES_MAX} more")
    await add(
        tx,
        list((await tx.execute(receivers)).scalars()),
        site_id=site_id,
        subject=f"{site}: {rule.name}",
        body="\n".join([*lines, "", f"You get this by the rule {rule.name} of {site}.", ""]),
        utc=utc,
    )
    await tx.execute(
        delete(notices).where(
            notices.c.site_id == site_id,
            notices.c.rule_id == rule_id,
            notices.c.id <= caught[-1].id,
        )
    )
