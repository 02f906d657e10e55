"""Free week, preview, redeem and cancel: the pure rules, written down in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from controller.accounts.guessing import Failures, GuessLimit, Key
from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.domain.catalogue import Catalogue
from controller.domain.entitlements import AddOnRedeemed, SeatsRedeemed
from controller.domain.errors import Conflict, Invalid
from controller.domain.history import HistoryEntry
from controller.domain.ids import PersonId, SiteId, VoucherId
from controller.domain.instants import to_text
from controller.domain.ledger import NONE, postings
from controller.domain.redemption import Redemption
from controller.domain.redemption import redeem as redeemed
from controller.domain.reminders import next_at
from controller.domain.roles import SYSTEM, Action, Actor
from controller.domain.seats import Seating, seat
from controller.domain.subscription import Expired, Subscription, cancel, start_free_week
from controller.domain.voucher import (
    Voucher,
    VoucherAlreadyRedeemed,
    VoucherNotRedeemable,
    require_redeemable,
)
from controller.outbox import service as outbox
from controller.sites.service import require_released
from controller.subscriptions import repository, voucher_repository
from controller.subscriptions.due import Due
from controller.subscriptions.entitlement import Entitlement, standing
from controller.subscriptions.repository import Standing, Written
from controller.subscriptions.voucher_repository import product_record
from controller.sync.service import Sync
from vouchers import codes
from vouchers.errors import CodeError, WrongCheckSymbol, WrongLength, WrongSymbol
from vouchers.products import PlanProduct

TRIES_MAX: Final = 5
BY_ACCOUNT: Final = Failures(name="code by account", burst=10, per_hour=10)
BY_SITE: Final = Failures(name="code by site", burst=30, per_hour=30)


class CodeHasWrongLength(Invalid):
    """The typed code has too few or too many symbols."""

    code = WrongLength.code


class CodeHasWrongSymbol(Invalid):
    """The typed code has a symbol that no code contains."""

    code = WrongSymbol.code


class CodeFailsCheck(Invalid):
    """The typed code contains a slip."""

    code = WrongCheckSymbol.code


_MISTYPED: Final[Mapping[type[CodeError], type[Invalid]]] = {
    WrongLength: CodeHasWrongLength,
    WrongSymbol: CodeHasWrongSymbol,
    WrongCheckSymbol: CodeFailsCheck,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a voucher does to a site, or has done."""

    site: Standing  # as it was before
    voucher: Voucher
    redemption: Redemption
    seating: Seating


class Gates(Protocol):
    """What was made with features; the access feature, which stands above, provides it."""

    async def settle(self, tx: Session, site_id: SiteId, *, now: datetime) -> None:
        """Make usable what the site is entitled to now, and unusable what it is not."""
        ...


class Subscriptions:
    """Changes what a site holds."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        pepper: bytes,
        audit: Audit,
        sync: Sync,
        guesses: GuessLimit,
        gates: Gates,
    ) -> None:
        self._gates = gates
        self._catalogue = catalogue
        self._pepper = pepper
        self._audit = audit
        self._sync = sync
        self._guesses = guesses
        self._due = Due(audit, sync)
        self._entitlement = Entitlement(catalogue)

    async def start_free_week(
        self, tx: Session, actor: Actor, site_id: SiteId, *, zone: ZoneInfo, now: datetime
    ) -> None:
        """Give a new site its free week; the audit record is that of the site's creation."""
        change = start_free_week(self._catalogue.newest, now=now)
        reminder_at = next_at(change.subscription, zone=zone, now=now)
        await repository.begin(tx, site_id, change.subscription, reminder_at=reminder_at)
        (entry,) = change.entries
        first = Written(site_id=site_id, number=1, entry=entry, posting=NONE, actor=actor)
        await repository.append(tx, [first])

    async def change_zone(
        self, tx: Session, site_id: SiteId, *, zone: ZoneInfo, now: datetime
    ) -> None:
        """Follow a site into another time zone: the reminders keep to its wall clock.

        Raises:
            NoValidSubscription: No subscription runs, and schedules would move.
        """
        site = await standing(tx, site_id)
        self._entitlement.of(site, now=now).require_active()
        if site.reminder_at is not None and site.reminder_at > now:
            at = next_at(site.holdings.subscription, zone=zone, now=now)
            await repository.plan_reminder(tx, site_id, at)

    async def preview(
        self,
        tx: ReadSession,
        actor: Actor,
        site_id: SiteId,
        typed: str,
        *,
        keep: Collection[PersonId] = (),
        now: datetime,
    ) -> Outcome:
        """Return what redeeming would do; the refusals are those of ``redeem``."""
        return await self._judged(tx, actor, site_id, self._digest(typed), keep=keep, now=now)

    async def redeem(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        typed: str,
        *,
        keep: Collection[PersonId] = (),
        now: datetime,
    ) -> Outcome:
        """Spend a voucher on a site.

        The voucher is claimed before anything else is written. Whoever loses that race reads
        again and gets the refusal that is true by then.

        Args:
            typed: The code, as the person typed it.
            keep: Who keeps a seat, if the voucher has fewer than are taken.

        Raises:
            Invalid: The code is mistyped, or ``keep`` names people who cannot be kept.
            NotFound: The actor has nothing to do with the site.
            SiteNotReleased: The installer has not handed it over yet.
            Forbidden: The actor may not manage the subscription.
            TooMany: Too many codes were wrong.
            Refused: The voucher cannot be redeemed, or not now; it stays unspent.
            Conflict: Others were faster again and again; trying again helps.
        """
        assert actor.account_id is not None, "a voucher is redeemed by somebody"
        digest = self._digest(typed)
        for _ in range(TRIES_MAX):
            outcome = await self._judged(tx, actor, site_id, digest, keep=keep, now=now)
            if await voucher_repository.spend(
                tx, outcome.voucher.id, by=actor.account_id, site_id=site_id, now=now
            ):
                await self._write(tx, actor, outcome, now=now)
                return outcome
        raise _overtaken()

    async def cancel(
        self, tx: Session, actor: Actor, site_id: SiteId, *, reason: str, now: datetime
    ) -> None:
        """End a subscription early, without carry-over.

        Raises:
            Invalid: There is no reason.
            SubscriptionNotRunning: It has ended already.
        """
        actor.require(Action.CANCEL_SUBSCRIPTION, site_id)
        site = await standing(tx, site_id)
        change = cancel(site.holdings.subscription, reason=reason, now=now)
        await self._store(
            tx, _written(site, change.entries, actor), site, change.subscription, reminder_at=None
        )
        facts = {"reason": reason.strip(), "ended_at": to_text(change.subscription.ends_at)}
        await self._audit.record(
            tx,
            actor,
            "subscription_cancelled",
            site_id=site_id,
            object_kind="subscription",
            object_id=site_id,
            now=now,
            facts=facts,
        )
        await outbox.put(tx, "subscription.cancelled", site_id=site_id, now=now, facts=facts)
        await self._sync.request_lease(tx, [site_id], now=now)

    def _digest(self, typed: str) -> bytes:
        """Return the digest of a typed code; a slip is told before anything is looked up."""
        try:
            code = codes.parse(typed)
        except CodeError as error:
            refusal = _MISTYPED[type(error)]
            raise refusal(f"code: {error.message}", field="code", **error.facts) from error
        return codes.digest(code, self._pepper)

    async def _judged(
        self,
        tx: ReadSession,
        actor: Actor,
        site_id: SiteId,
        digest: bytes,
        *,
        keep: Collection[PersonId],
        now: datetime,
    ) -> Outcome:
        actor.require(Action.READ_SUBSCRIPTION, site_id)
        site = await standing(tx, site_id)
        require_released(released=site.released)  # before the right: its remedy helps more
        actor.require(Action.MANAGE_SUBSCRIPTION, site_id)
        voucher = await self._redeemable(tx, actor, site_id, digest, now)
        redemption = redeemed(site.holdings, voucher, catalogue=self._catalogue, now=now)
        seats = redemption.holdings.subscription.users
        seating = Seating(kept=(), unseated=())
        if keep or seats < site.holdings.subscription.users:
            holders = await repository.holders(tx, site_id, now=now)
            seating = seat(holders, seats=seats, chosen=keep)
        return Outcome(site=site, voucher=voucher, redemption=redemption, seating=seating)

    async def _redeemable(
        self, tx: ReadSession, actor: Actor, site_id: SiteId, digest: bytes, now: datetime
    ) -> Voucher:
        assert actor.account_id is not None, "a voucher is redeemed by somebody"
        keys: tuple[Key, ...] = ((BY_ACCOUNT, actor.account_id), (BY_SITE, site_id))
        self._guesses.require(keys)
        voucher = await voucher_repository.find(tx, digest)
        if voucher is not None and voucher.spent is not None and voucher.spent.site_id == site_id:
            at = to_text(voucher.spent.at)
            raise VoucherAlreadyRedeemed(
                f"This voucher was redeemed for this site at {at}; a voucher works once.",
                redeemed_at=at,
                site_id=site_id,
            )
        try:
            return require_redeemable(voucher, account_id=actor.account_id, now=now)
        except VoucherNotRedeemable:
            self._guesses.failed(keys)
            raise

    async def _write(self, tx: Session, actor: Actor, outcome: Outcome, *, now: datetime) -> None:
        site, voucher, redemption = outcome.site, outcome.voucher, outcome.redemption
        subscription = redemption.holdings.subscription
        reminder_at = site.reminder_at
        if isinstance(voucher.product, PlanProduct):
            reminder_at = next_at(subscription, zone=site.zone, now=now)
        written = _written(site, redemption.entries, actor, voucher.id)
        await self._store(tx, written, site, subscription, reminder_at=reminder_at)
        if expired := [one for one in written if isinstance(one.entry, Expired)]:
            await self._due.announce(tx, expired, now=now)
        await repository.unseat(tx, site.site_id, outcome.seating.unseated, now=now)
        facts: dict[str, object] = {
            "voucher_id": voucher.id,
            "product": product_record(voucher.product),
            "ends_at": to_text(redemption.ends_at),
        }
        await self._audit.record(
            tx,
            actor,
            "voucher_redeemed",
            site_id=site.site_id,
            object_kind="voucher",
            object_id=voucher.id,
            now=now,
            facts=facts | {"unseated": len(outcome.seating.unseated)},
        )
        await outbox.put(tx, "voucher.redeemed", site_id=site.site_id, now=now, facts=facts)
        await self._sync.request_lease(tx, [site.site_id], now=now)
        if outcome.seating.unseated:
            await self._sync.request_revision(tx, site.site_id)
        await self._gates.settle(tx, site.site_id, now=now)

    async def _store(
        self,
        tx: Session,
        written: Sequence[Written],
        site: Standing,
        subscription: Subscription,
        *,
        reminder_at: datetime | None,
    ) -> None:
        """Write the present and the history that leads to it.

        Raises:
            Conflict: The site's subscription is no longer the one that was read.
        """
        if not await repository.claim(
            tx,
            site.site_id,
            subscription,
            version_read=site.version,
            version=written[-1].number,
            reminder_at=reminder_at,
        ):
            raise _overtaken()
        last = written[-1]
        match last.entry:
            case AddOnRedeemed():
                await repository.keep_add_on(tx, site.site_id, last.entry)
            case SeatsRedeemed():
                assert last.voucher_id is not None, "seats come by voucher"
                await repository.keep_seats(tx, site.site_id, last.voucher_id, last.entry)
            case _:
                pass
        await repository.append(tx, written)


def _written(
    site: Standing,
    entries: Sequence[HistoryEntry],
    actor: Actor,
    voucher_id: VoucherId | None = None,
) -> list[Written]:
    """Number the entries; an expiry that nobody has recorded yet is nobody's doing."""
    posted = postings(site.holdings.subscription, entries)
    return [
        Written(
            site_id=site.site_id,
            number=number,
            entry=entry,
            posting=posting,
            actor=SYSTEM if isinstance(entry, Expired) else actor,
            voucher_id=None if isinstance(entry, Expired) else voucher_id,
        )
        for number, (entry, posting) in enumerate(
            zip(entries, posted, strict=True), start=site.version + 1
        )
    ]


def _overtaken() -> Conflict:
    return Conflict("Somebody else changed the subscription at the same moment; try again.")
