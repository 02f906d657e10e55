"""Custom PINs of a site: switched on or off, entitled or not, they stay as they are.

Which of them are usable is a fact in their rows and never judged by a clock, so hubs and lists are
compiled from rows alone. It changes with the site's setting (``switch``) and with what the site is
entitled to (``settle``).

Source: docs/algorithms/pins.md.
"""

from datetime import datetime

from controller.db.engine import Session
from controller.domain.catalogue import Feature
from controller.domain.ids import PersonId, SiteId
from controller.domain.roles import Action, Actor
from controller.people import repository
from controller.people.changes import Changes
from controller.subscriptions.entitlement import Entitlement
from controller.sync.changes import Touched


class CustomPins:
    """Makes the custom PINs of a site usable, or not."""

    def __init__(self, *, changes: Changes, entitlement: Entitlement) -> None:
        self._changes = changes
        self._entitlement = entitlement

    async def switch(
        self, tx: Session, actor: Actor, site_id: SiteId, *, on: bool, now: datetime
    ) -> None:
        """Follow the site's setting. Whoever calls this writes it, and the audit record.

        Raises:
            NoValidSubscription: The site's subscription does not run.
            FeatureNotEntitled: They are to be switched on, and the plan lacks them.
            OfflineListFull: A lock has no room for them.
        """
        await self._changes.begin(tx, actor, Action.MANAGE_ACCESS, site_id, now=now)
        if on:
            await self._entitlement.require(tx, site_id, Feature.CUSTOM_PIN, now=now)
        holders = await self.settle(tx, site_id, usable=on, now=now)
        await self._changes.reach_doors(tx, site_id, Touched.people(*holders))

    async def settle(
        self, tx: Session, site_id: SiteId, *, usable: bool, now: datetime
    ) -> list[PersonId]:
        """Make all of a site's custom PINs usable or not, and return whose PIN that changed.

        Doing it twice changes nothing. Whoever calls this asks for the hubs.

        Args:
            tx: A transaction that has the site's turn.
            site_id: The site.
            usable: The site has them switched on and is entitled to them.
            now: The instant; locks are told to forget what is not usable from here on.
        """
        return await repository.set_custom_usable(tx, site_id, usable=usable, now=now)
