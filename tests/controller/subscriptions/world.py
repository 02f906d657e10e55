"""A cloud of services on a database, with people in it: what tests of subscriptions start from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select

from controller.access.gates import Gates
from controller.access.offline import OfflineRoom
from controller.accounts.guessing import GuessLimit
from controller.audit.service import Audit
from controller.bus import ProcessBus
from controller.chance import RandomIds, SystemRandomness
from controller.db.engine import Database
from controller.db.tables.accounts import accounts, site_roles
from controller.db.tables.hardware import hubs
from controller.db.tables.people import people
from controller.db.tables.records import audit_records, outbox
from controller.db.tables.subscriptions import subscription_history, value_ledger
from controller.db.tables.vouchers import vouchers
from controller.domain import catalogue
from controller.domain.history import HistoryEntry, from_record
from controller.domain.ids import AccountId, HubId, PersonId, SiteId
from controller.domain.roles import Actor, ActorKind, CloudRole, HeldRole, SiteRole
from controller.people.changes import Changes
from controller.people.custom_pins import CustomPins
from controller.sites.custom_roles import CustomRoles
from controller.sites.roles import Roles
from controller.sites.service import Sites
from controller.subscriptions.batches import Batches
from controller.subscriptions.due import Due
from controller.subscriptions.entitlement import Entitlement
from controller.subscriptions.repository import Standing, standing
from controller.subscriptions.service import Outcome, Subscriptions
from controller.sync.service import Sync
from vouchers.products import Plan, Product

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY
PEPPER = bytes(range(32))
CATALOGUE = catalogue.load()


@dataclass
class HandClock:
    """A link clock that is moved by hand."""

    now_s: float = 1000.0

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.now_s

    def utc(self) -> datetime:
        """Return UTC, which goes along."""
        return NOON + timedelta(seconds=self.now_s)


@dataclass
class World:
    """The services, and short ways to use them."""

    db: Database
    now: datetime = NOON
    link: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        randomness = SystemRandomness()
        self.ids = RandomIds(randomness)
        self.bus = ProcessBus()
        self.audit, self.sync = Audit(self.ids), Sync(self.bus)
        self.guesses = GuessLimit(self.link)
        self.entitlement = Entitlement(CATALOGUE)
        changes = Changes(
            entitlement=self.entitlement, room=OfflineRoom(), sync=self.sync, audit=self.audit
        )
        custom_pins = CustomPins(changes=changes, entitlement=self.entitlement)
        self.gates = Gates(changes=changes, entitlement=self.entitlement, custom_pins=custom_pins)
        self.subscriptions = Subscriptions(
            CATALOGUE,
            pepper=PEPPER,
            audit=self.audit,
            sync=self.sync,
            guesses=self.guesses,
            gates=self.gates,
        )
        self.due = Due(self.audit, self.sync)
        self.batches = Batches(
            CATALOGUE, pepper=PEPPER, ids=self.ids, randomness=randomness, audit=self.audit
        )
        self.sites = Sites(
            ids=self.ids,
            link=self.link,
            audit=self.audit,
            sync=self.sync,
            subscription=self.subscriptions,
            custom_pins=custom_pins,
        )
        self.roles = Roles(audit=self.audit, link=self.link)
        self.custom_roles = CustomRoles(self.roles, self.ids)

    async def account(
        self, name: str, cloud_role: CloudRole | None = None, hashed: str = "none"
    ) -> Actor:
        """Create an account past the service, which would hash a password."""
        account_id = AccountId(self.ids.new())
        row = {
            "id": account_id,
            "email": f"{name}@example.org",
            "name": name,
            "password_hash": hashed,
            "cloud_role": cloud_role,
            "created_at": self.now,
        }
        async with self.db.write() as tx:
            await tx.execute(insert(accounts), row)
        return Actor(kind=ActorKind.USER, account_id=account_id, name=name, cloud_role=cloud_role)

    async def settle(self) -> None:
        """Bring in a supplier, an installer, an operator and an owner."""
        self.supplier = await self.account("sue", CloudRole.SUPPLIER)
        self.installer = await self.account("ian", CloudRole.INSTALLER)
        self.operator = await self.account("otto", CloudRole.OPERATOR)
        self.owner = await self.account("olga")

    async def site(self, name: str = "Harbour", *, time_zone: str = "Europe/Madrid") -> SiteId:
        """Create a site and hand it over to the owner."""
        async with self.db.write() as tx:
            site = await self.sites.create(
                tx,
                self.installer,
                name=name,
                time_zone=time_zone,
                buy_from="sue@example.org",
                now=self.now,
            )
            await self.sites.hand_over(
                tx,
                self.at(self.installer, site.id, SiteRole.INSTALLER),
                site.id,
                owner_email="olga@example.org",
                now=self.now,
            )
        return site.id

    def at(self, actor: Actor, site_id: SiteId, role: SiteRole = SiteRole.OWNER) -> Actor:
        """Return an actor with a role at a site."""
        return Actor(
            kind=actor.kind,
            account_id=actor.account_id,
            name=actor.name,
            cloud_role=actor.cloud_role,
            site_roles={site_id: HeldRole.of(role)},
        )

    async def mint(
        self, product: Product, count: int = 1, *, redeem_until: datetime | None = None
    ) -> list[str]:
        """Mint vouchers and return their codes."""
        async with self.db.write() as tx:
            minted = await self.batches.mint(
                tx,
                self.supplier,
                product,
                count=count,
                redeem_until=redeem_until or self.now + 365 * DAY,
                note="for a test",
                now=self.now,
            )
        return [code.grouped() for _, code in minted.codes]

    async def redeem(
        self,
        code: str,
        site_id: SiteId,
        *,
        by: Actor | None = None,
        keep: tuple[PersonId, ...] = (),
    ) -> Outcome:
        """Redeem a code, as the owner if nobody else is named."""
        actor = self.at(by or self.owner, site_id)
        async with self.db.write() as tx:
            return await self.subscriptions.redeem(
                tx, actor, site_id, code, keep=keep, now=self.now
            )

    async def preview(self, code: str, site_id: SiteId) -> Outcome:
        """Preview a code as the owner."""
        async with self.db.read() as tx:
            return await self.subscriptions.preview(
                tx, self.at(self.owner, site_id), site_id, code, now=self.now
            )

    async def expire(self, limit: int = 200) -> int:
        """Run one batch of the expiry timer."""
        async with self.db.write() as tx:
            return await self.due.expire(tx, now=self.now, limit=limit)

    async def standing(self, site_id: SiteId) -> Standing:
        """Return what a site holds."""
        async with self.db.read() as tx:
            found = await standing(tx, site_id)
        assert found is not None
        return found

    async def history(self, site_id: SiteId) -> list[HistoryEntry]:
        """Return a site's history, oldest first; its numbers count without gaps."""
        table = subscription_history
        query = select(table).where(table.c.site_id == site_id).order_by(table.c.number)
        async with self.db.read() as tx:
            rows = (await tx.execute(query)).all()
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        return [from_record(row.kind, row.facts) for row in rows]

    async def ledger(self, site_id: SiteId) -> list[tuple[int, int, int]]:
        """Return what came in, was used and was given up, by history entry."""
        table = value_ledger
        query = select(table.c.paid, table.c.consumed, table.c.forfeited)
        async with self.db.read() as tx:
            rows = await tx.execute(
                query.where(table.c.site_id == site_id).order_by(table.c.number)
            )
            return [(row.paid, row.consumed, row.forfeited) for row in rows]

    async def audited(self, site_id: SiteId | str = "") -> list[str]:
        """Return the actions on a site's audit records, sorted."""
        query = select(audit_records.c.action).where(audit_records.c.site_id == site_id)
        async with self.db.read() as tx:
            return sorted((await tx.execute(query)).scalars())

    async def announced(self, site_id: SiteId) -> list[str]:
        """Return the kinds of a site's outbox rows, in their order."""
        query = select(outbox.c.kind).where(outbox.c.site_id == site_id).order_by(outbox.c.id)
        async with self.db.read() as tx:
            return list((await tx.execute(query)).scalars())

    async def spent(self) -> int:
        """Count the vouchers that are spent."""
        query = select(vouchers.c.id).where(vouchers.c.redeemed_at.is_not(None))
        async with self.db.read() as tx:
            return len((await tx.execute(query)).all())

    async def hub(self, site_id: SiteId, **columns: object) -> HubId:
        """Add a claimed hub that has confirmed everything."""
        hub_id = HubId(self.ids.new())
        row = {
            "site_id": site_id,
            "id": hub_id,
            "serial": hub_id,
            "name": "Hub",
            "created_at": self.now,
            "claimed_at": self.now,
            "epoch": 1,
            "lease_wanted": 1,
            "lease_confirmed": 1,
            "lease_signed_at": self.now,
            "revision_wanted": 1,
            "revision_confirmed": 1,
            "subscribed_confirmed": True,
            "version": 1,
        }
        async with self.db.write() as tx:
            await tx.execute(insert(hubs), row | columns)
        return hub_id

    async def wanted(self, hub_id: HubId) -> tuple[int, int]:
        """Return the lease number and the revision that are wanted of a hub."""
        query = select(hubs.c.lease_wanted, hubs.c.revision_wanted).where(hubs.c.id == hub_id)
        async with self.db.read() as tx:
            row = (await tx.execute(query)).one()
        return row.lease_wanted, row.revision_wanted

    async def person(
        self, site_id: SiteId, *, role: SiteRole | None = None, **columns: object
    ) -> PersonId:
        """Add a subscribed person, with an account if it needs a role."""
        person_id = PersonId(self.ids.new())
        account_id = None
        if role is not None:
            account_id = (await self.account(f"a{person_id}")).account_id
            given = {"site_id": site_id, "account_id": account_id, "role": role}
            async with self.db.write() as tx:
                await tx.execute(insert(site_roles), given)
        row = {
            "site_id": site_id,
            "id": person_id,
            "name": "Pat",
            "account_id": account_id,
            "subscribed_at": self.now,
            "created_at": self.now,
            "version": 1,
        }
        async with self.db.write() as tx:
            await tx.execute(insert(people), row | columns)
        return person_id

    async def seated(self, site_id: SiteId) -> set[PersonId]:
        """Return who is subscribed."""
        query = select(people.c.id).where(
            people.c.site_id == site_id, people.c.subscribed_at.is_not(None)
        )
        async with self.db.read() as tx:
            return {PersonId(one) for one in (await tx.execute(query)).scalars()}


def plan(users: int = 10, days: int = 30, *, name: Plan = Plan.PRO) -> Product:
    """Return a plan voucher's product at the catalogue's rate."""
    return CATALOGUE.newest.plan_product(name, users=users, term_days=days)
