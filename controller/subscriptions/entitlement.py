"""What a site may use now, for every feature whose changes need a subscription.

A service that changes who may open calls ``require_active`` (or ``require``) before its first
write, in its own transaction. On PostgreSQL that also makes writers of one site wait for each
other until they commit, so counting and then adding is safe: no two of them take the last seat.
"""

from datetime import datetime, timedelta

from controller.db.engine import ReadSession, Session
from controller.domain.catalogue import Catalogue, Component, Feature
from controller.domain.entitlements import Entitlements, effective
from controller.domain.errors import NotFound
from controller.domain.ids import SiteId
from controller.domain.subscription import Kind, admit_hub
from controller.subscriptions import repository
from controller.subscriptions.repository import Standing


class Entitlement:
    """Answers what a site may use."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def entitled(self, tx: ReadSession, site_id: SiteId, *, now: datetime) -> Entitlements:
        """Return what a site may use at ``now``.

        Raises:
            NotFound: There is no such site.
        """
        return self.of(await standing(tx, site_id), now=now)

    def of(self, site: Standing, *, now: datetime) -> Entitlements:
        """Return what a site may use at ``now``, out of what has been read."""
        return effective(site.holdings, catalogue=self._catalogue, contact=site.contact, now=now)

    async def require_active(self, tx: Session, site_id: SiteId, *, now: datetime) -> Entitlements:
        """Return what the site may use, or refuse because its subscription does not run.

        Raises:
            NotFound: There is no such site.
            NoValidSubscription: It says since when and whom to ask for a voucher.
        """
        entitlements = await self.entitled(tx, site_id, now=now)
        entitlements.require_active()
        return entitlements

    async def require(
        self, tx: Session, site_id: SiteId, feature: Feature, *, now: datetime
    ) -> None:
        """Refuse unless the site may use a feature.

        Raises:
            NotFound: There is no such site.
            NoValidSubscription: The subscription does not run.
            FeatureNotEntitled: It runs without this feature.
        """
        (await self.entitled(tx, site_id, now=now)).require(feature)

    async def entries_since(self, tx: ReadSession, site_id: SiteId, *, now: datetime) -> datetime:
        """Return when the oldest entry that the site's plan shows was received."""
        entitled = await self.entitled(tx, site_id, now=now)
        return now - timedelta(days=entitled.event_retention_days)

    async def user_limit(self, tx: ReadSession, site_id: SiteId, *, now: datetime) -> int:
        """Return how many people may be subscribed, by the present or last subscription."""
        return (await self.entitled(tx, site_id, now=now)).limits[Component.USERS]

    async def check_hub_serial(
        self, tx: ReadSession, site_id: SiteId, serial: str, *, now: datetime
    ) -> None:
        """Refuse a hub that would bring a second free week; see ``admit_hub_serial``."""
        current = (await standing(tx, site_id)).holdings.subscription
        elsewhere = await repository.had_free_week(tx, serial, elsewhere_than=site_id)
        admit_hub(current, serial_had_free_week=elsewhere, now=now)

    async def admit_hub_serial(
        self, tx: Session, site_id: SiteId, serial: str, *, now: datetime
    ) -> None:
        """Refuse a hub that would bring a second free week; remember one that is in its first.

        Raises:
            NotFound: There is no such site.
            HubHadFreeWeek: The hub was part of another site's free week, and this site is in its
                own.
        """
        await self.check_hub_serial(tx, site_id, serial, now=now)
        current = (await standing(tx, site_id)).holdings.subscription
        if current.kind is Kind.FREE_WEEK and current.is_active(now):
            await repository.remember_free_week(tx, serial, site_id, now=now)


async def standing(tx: ReadSession, site_id: SiteId) -> Standing:
    """Return a site with what it holds.

    Raises:
        NotFound: There is no such site.
    """
    site = await repository.standing(tx, site_id)
    if site is None:
        raise NotFound("There is no such site, or you have no role there.", object="site")
    return site
