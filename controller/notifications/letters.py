"""What the cloud writes of its own accord: invitations, ends of subscriptions, seats."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.accounts import accounts, site_roles
from controller.db.tables.records import outbox
from controller.db.tables.sites import sites
from controller.domain.roles import SiteRole
from controller.notifications import mailbox

AT_ONCE: Final = 50
_KEEPERS: Final = (SiteRole.OWNER, SiteRole.ADMIN)


@dataclass(frozen=True, slots=True)
class _Letter:
    """Subject and body, with the facts of the outbox row in braces."""

    subject: str
    body: str
    is_personal: bool = False  # to the address in the facts, else to owner and admins


_LETTERS: Final[Mapping[str, _Letter]] = {
    "invitation.sent": _Letter(
        "{site} gives you access",
        "{site} invites you to open its doors with an account of your own.\n\n"
        "Accept with this code within seven days, by POST {address}/api/v1/invitations/accept or "
        "in the app of your site:\n\n{token}\n\nIf you do not know {site}, do nothing.\n",
        is_personal=True,
    ),
    "subscription.ending": _Letter(
        "{site}: the subscription ends in {days_before} days",
        "The subscription of {site} ends at {ends_at}. From then on its hubs answer no lock; "
        "offline access goes on. Redeem a voucher before: {buy_from} sells them.\n",
    ),
    "seats.running_out": _Letter(
        "{site}: {used} of {limit} user seats are taken",
        "{used} of the {limit} user seats of {site} are taken. When all are, nobody else can be "
        "subscribed. Unsubscribe somebody, or redeem a voucher for more users: {buy_from} sells "
        "them.\n",
    ),
}


async def write(tx: Session, *, address: str, utc: datetime) -> int:
    """Write the mails that outbox rows ask for, each once, and return how many rows they were.

    Args:
        tx: The transaction.
        address: Where the cloud's pages are, as people reach them.
        utc: The link clock's instant.
    """
    waiting = (
        select(outbox)
        .where(outbox.c.to_mail)
        .order_by(outbox.c.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    rows = (await tx.execute(waiting)).all()
    for row in rows:
        await _write(tx, row, address=address, utc=utc)
        await tx.execute(update(outbox).where(outbox.c.id == row.id).values(to_mail=False))
    return len(rows)


async def _write(tx: Session, row: Any, *, address: str, utc: datetime) -> None:
    letter = _LETTERS[row.kind]
    known = (await tx.execute(select(sites).where(sites.c.id == row.site_id))).one()
    facts = {"site": known.name, "buy_from": known.buy_from, "address": address} | row.facts
    receivers = [row.facts["email"]] if letter.is_personal else await _keepers(tx, row.site_id)
    await mailbox.add(
        tx,
        receivers,
        site_id=row.site_id,
        subject=letter.subject.format(**facts)[:200],
        body=letter.body.format(**facts),
        utc=utc,
    )


async def _keepers(tx: ReadSession, site_id: str) -> list[str]:
    """Return the addresses of a site's owner and admins."""
    found = (
        select(accounts.c.email)
        .join(site_roles, site_roles.c.account_id == accounts.c.id)
        .where(
            site_roles.c.site_id == site_id,
            site_roles.c.role.in_(_KEEPERS),
            accounts.c.disabled_at.is_(None),
        )
        .order_by(accounts.c.email)
    )
    return list((await tx.execute(found)).scalars())
