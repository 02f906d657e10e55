"""Sites: created by an installer, handed over to an owner, edited."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol
from zoneinfo import ZoneInfo, available_timezones

from typing_extensions import TypedDict, Unpack

from controller.accounts.service import by_email
from controller.audit.service import Audit
from controller.db.engine import ReadSession, Session
from controller.domain.errors import Conflict, Invalid, NotFound, Refused, Stale
from controller.domain.ids import SiteId
from controller.domain.roles import Action, Actor, SiteRole
from controller.outbox import service as outbox
from controller.ports import Ids, LinkClock
from controller.sites import queries, repository, role_rows
from controller.sites.repository import Site
from controller.sync.service import Sync

# Those two are no place: one is wherever the machine stands, the other nowhere.
TIME_ZONES: Final = frozenset(available_timezones() - {"localtime", "Factory"})
ABOUT_KEYS: Final = frozenset({"pins", "custom_pins", "digital_keys_offline"})


class SiteSubscription(Protocol):
    """What sites need of subscriptions, which stand above them."""

    async def start_free_week(
        self, tx: Session, actor: Actor, site_id: SiteId, *, zone: ZoneInfo, now: datetime
    ) -> None:
        """Give a new site its free week."""
        ...

    async def change_zone(
        self, tx: Session, site_id: SiteId, *, zone: ZoneInfo, now: datetime
    ) -> None:
        """Follow a site into another time zone, or refuse because no subscription runs."""
        ...


class SiteCustomPins(Protocol):
    """What sites need of people, who stand above them."""

    async def switch(
        self, tx: Session, actor: Actor, site_id: SiteId, *, on: bool, now: datetime
    ) -> None:
        """Let custom PINs open doors or not, or refuse to."""
        ...


class SiteEdit(TypedDict, total=False):
    """What is to become of a site; what is left out stays."""

    name: str
    time_zone: str
    buy_from: str
    pins: bool
    custom_pins: bool
    digital_keys_offline: bool


class SiteNotReleased(Refused):
    """The site is still its installer's; what its owner does has to wait."""

    code = "site_not_released"


class UnknownTimeZone(Invalid):
    """There is no such time zone."""

    code = "unknown_time_zone"


class SiteReleased(Refused):
    """A site is handed over once."""

    code = "site_released"


class HardwareDiffers(Conflict):
    """The hardware is not what the owner saw."""

    code = "hardware_differs"


class Sites:
    """Creates, edits and hands over sites."""

    def __init__(
        self,
        *,
        ids: Ids,
        link: LinkClock,
        audit: Audit,
        sync: Sync,
        subscription: SiteSubscription,
        custom_pins: SiteCustomPins,
    ) -> None:
        self._ids = ids
        self._link = link
        self._audit = audit
        self._sync = sync
        self._subscription = subscription
        self._custom_pins = custom_pins

    async def create(
        self,
        tx: Session,
        actor: Actor,
        *,
        name: str,
        time_zone: str,
        buy_from: str,
        now: datetime,
    ) -> Site:
        """Create a site with its free week; whoever creates it is its installer.

        Raises:
            UnknownTimeZone: ``time_zone`` is no IANA name.
        """
        actor.require(Action.CREATE_SITE)
        assert actor.account_id is not None, "a site is created by somebody"
        zone = _zone(time_zone)
        site = Site(
            id=SiteId(self._ids.new()),
            name=name,
            time_zone=time_zone,
            buy_from=buy_from,
            created_at=now,
            released_at=None,
            hardware_confirmed_at=None,
            pins=True,
            custom_pins=False,
            digital_keys_offline=False,
            version=1,
        )
        await repository.keep(tx, site)
        installer = actor.account_id
        await role_rows.give(tx, site.id, installer, SiteRole.INSTALLER, granted_by=installer)
        await self._subscription.start_free_week(tx, actor, site.id, zone=zone, now=now)
        await self._record(tx, actor, "site_created", site.id, now=now, facts={"name": name})
        return site

    async def edit(
        self,
        tx: Session,
        actor: Actor,
        site_id: SiteId,
        *,
        version_read: int,
        now: datetime,
        **edit: Unpack[SiteEdit],
    ) -> Site:
        """Change what is given and leave the rest.

        Another time zone moves every schedule and custom PINs open doors, so both need a running
        subscription like anything else that changes who may open. What is about keys needs the
        right to manage them.

        Raises:
            Stale: Somebody else edited the site first.
            UnknownTimeZone: ``time_zone`` is no IANA name.
            NoValidSubscription: The time zone or custom PINs change while none runs.
            FeatureNotEntitled: Custom PINs are switched on, and the plan lacks them.
        """
        actor.require(Action.EDIT_SITE, site_id)
        if edit.keys() & ABOUT_KEYS:
            actor.require(Action.MANAGE_ACCESS, site_id)
        before = await _site(tx, site_id)
        after = replace(before, **edit, version=version_read + 1)
        if after.time_zone != before.time_zone:
            zone = _zone(after.time_zone)
            await self._subscription.change_zone(tx, site_id, zone=zone, now=now)
            await self._sync.request_revision(tx, site_id)
        if not await repository.edit(tx, after, version_read=version_read):
            raise Stale("The site was changed meanwhile; read it again and repeat your edit.")
        if after.custom_pins != before.custom_pins:
            await self._custom_pins.switch(tx, actor, site_id, on=after.custom_pins, now=now)
        changed = {
            name: value for name in edit if (value := getattr(after, name)) != getattr(before, name)
        }
        await self._record(tx, actor, "site_edited", site_id, now=now, facts=changed)
        return after

    async def hand_over(
        self, tx: Session, actor: Actor, site_id: SiteId, *, owner_email: str, now: datetime
    ) -> Site:
        """Make an account the owner; the installer's role ends at once.

        Raises:
            SiteReleased: It was handed over before.
            NoSuchAccount: Nobody has this e-mail address.
        """
        actor.require(Action.HAND_OVER_SITE, site_id)
        await _site(tx, site_id)
        if not await repository.release(tx, site_id, now=now):
            raise SiteReleased(
                "The site has been handed over already. Its owner makes another account the "
                "owner by a transfer."
            )
        owner = await by_email(tx, owner_email, field="owner_email")
        await role_rows.take_all(tx, site_id, SiteRole.INSTALLER)
        await role_rows.give(tx, site_id, owner.id, SiteRole.OWNER, granted_by=actor.account_id)
        facts = {"owner_id": owner.id}
        await self._record(tx, actor, "site_handed_over", site_id, now=now, facts=facts)
        await outbox.put(tx, "site.handed_over", site_id=site_id, now=now, facts=facts)
        return await _site(tx, site_id)

    async def confirm_hardware(
        self, tx: Session, actor: Actor, site_id: SiteId, *, digest: str, now: datetime
    ) -> Site:
        """Note that the owner has seen the hardware that he took over, and that it is right.

        Raises:
            SiteNotReleased: The site is still its installer's.
            HardwareDiffers: The list is not the one that the owner saw.
        """
        actor.require(Action.HAND_OVER_SITE, site_id)
        require_released(released=(await _site(tx, site_id)).released_at is not None)
        listed = await queries.hardware(tx, site_id)
        if digest != listed.digest:
            raise HardwareDiffers(
                "digest: the hardware of the site is not what you have seen. Read the list again.",
                field="digest",
            )
        await repository.confirm_hardware(tx, site_id, now=now)
        facts = {"digest": digest, "pieces": len(listed.items)}
        await self._record(tx, actor, "hardware_confirmed", site_id, now=now, facts=facts)
        return await _site(tx, site_id)

    async def listed(
        self, tx: ReadSession, actor: Actor, *, after: tuple[str, str] | None, limit: int
    ) -> list[Site]:
        """Return the actor's sites by name; whoever may read every site gets every site."""
        at = self._link.utc()
        return await queries.listed(tx, actor, after=after, limit=limit, at=at)

    async def _record(
        self,
        tx: Session,
        actor: Actor,
        action: str,
        site_id: SiteId,
        *,
        now: datetime,
        facts: Mapping[str, object],
    ) -> None:
        await self._audit.record(
            tx,
            actor,
            action,
            site_id=site_id,
            object_kind="site",
            object_id=site_id,
            now=now,
            facts=facts,
        )


def require_released(*, released: bool) -> None:
    """Refuse what only an owner's site may do.

    Raises:
        SiteNotReleased: The installer has not handed the site over yet.
    """
    if not released:
        raise SiteNotReleased(
            "The site has not been handed over yet. Its installer hands it over to the owner "
            "first; then the owner can do this.",
            remedy="hand_over_site",
        )


async def _site(tx: ReadSession, site_id: SiteId) -> Site:
    site = await repository.site(tx, site_id)
    if site is None:
        raise NotFound("There is no such site, or you have no role there.", object="site")
    return site


def _zone(time_zone: str) -> ZoneInfo:
    if time_zone not in TIME_ZONES:
        raise UnknownTimeZone(
            f"time_zone: {time_zone[:64]!r} is no time zone; use a name such as Europe/Madrid.",
            field="time_zone",
        )
    return ZoneInfo(time_zone)
