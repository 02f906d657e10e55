"""What the tests of people, hardware and access stand on: two served sites and their accounts.

Ada is an admin of OWN, Sam a super user, Ian its installer, Uma a plain user there; Bob is an admin
of FOREIGN.
"""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Table, delete, func, insert, select, update

from controller.access.api import AccessApi
from controller.access.enrolments import Enrolments
from controller.access.enrolments_api import EnrolmentsApi
from controller.access.gates import Gates
from controller.access.holidays import Holidays
from controller.access.holidays_api import HolidaysApi
from controller.access.lockers import Lockers
from controller.access.lockers_api import LockersApi
from controller.access.members import Members
from controller.access.offline import OfflineRoom
from controller.access.offline_access import OfflineAccess
from controller.access.offline_api import OfflineApi
from controller.access.own import Own
from controller.access.own_api import OwnApi
from controller.access.own_guests import OwnGuests
from controller.access.own_guests_api import OwnGuestsApi
from controller.access.pods import Pods
from controller.access.pods_api import PodsApi
from controller.access.revocations import Revocations
from controller.access.revocations_api import RevocationsApi
from controller.access.rights_api import RightsApi
from controller.access.schedules import Schedules
from controller.access.schedules_api import SchedulesApi
from controller.access.service import Groups
from controller.accounts.guessing import GuessLimit
from controller.audit.denials import DenialBook
from controller.audit.service import Audit
from controller.bus import ProcessBus
from controller.chance import RandomIds, SystemRandomness
from controller.db.engine import Database
from controller.db.tables.accounts import accounts, site_roles
from controller.db.tables.hardware import hubs
from controller.db.tables.records import audit_records
from controller.db.tables.sites import sites
from controller.db.tables.subscriptions import add_ons, subscriptions
from controller.domain.catalogue import Feature
from controller.domain.catalogue import load as load_catalogue
from controller.domain.ids import AccountId, HubId, SiteId
from controller.domain.roles import Actor, ActorKind, HeldRole, SiteRole
from controller.domain.subscription import Kind, Subscription
from controller.hardware.api import HardwareApi
from controller.hardware.commands import Orders
from controller.hardware.locks import Locks
from controller.hardware.locks_api import LocksApi
from controller.hardware.orders_api import OrdersApi
from controller.hardware.release import Releases
from controller.hardware.repeaters import Repeaters
from controller.hardware.repeaters_api import RepeatersApi
from controller.hardware.service import DeviceAddresses, Hubs
from controller.keys import Keys
from controller.people.api import PeopleApi
from controller.people.changes import Changes
from controller.people.credentials import Credentials
from controller.people.credentials_api import CredentialsApi
from controller.people.custom_pins import CustomPins
from controller.people.digital_keys import DigitalKeys
from controller.people.importing import Importing
from controller.people.pins import Pins
from controller.people.service import People
from controller.people.sheet_api import SheetApi
from controller.subscriptions.entitlement import Entitlement
from controller.subscriptions.repository import begin
from controller.sync.service import Sync
from controller.threads import PoolThreads
from controller.web.api import Api
from controller.web.application import build
from controller.web.idempotency import AnswerBook
from controller.web.operation import Surroundings
from controller.web.rate_limit import RateLimiter
from vouchers.carry_over import Segment
from vouchers.products import Plan

OWN = SiteId("a" * 32)
FOREIGN = SiteId("f" * 32)
ABSENT = "0" * 32
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
TERM_S = 30 * 86_400
GRACE = timedelta(hours=24)
KEYS = Keys(
    master=bytes(range(32)),
    voucher_pepper=bytes(32),
    signing=Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))),
    agreement=X25519PrivateKey.from_private_bytes(bytes(range(2, 34))),
)
ADDRESSES = DeviceAddresses(
    public_host="127.0.0.1",
    claim_port=8443,
    broker_host="127.0.0.1",
    broker_port=8883,
    ca_fingerprint=bytes(range(32)),
)
STICKER = "ABCD-EFGH-JKMN-PQRS"


def account(name: str) -> AccountId:
    """Return the id of an account."""
    return AccountId(name.encode().hex().ljust(32, "0"))


def actor(name: str, roles: Mapping[SiteId, SiteRole]) -> Actor:
    """Return who signs in as ``name``."""
    held = {site_id: HeldRole.of(role) for site_id, role in roles.items()}
    return Actor(kind=ActorKind.USER, account_id=account(name), name=name, site_roles=held)


ACTORS = {
    "ada": actor("ada", {OWN: SiteRole.ADMIN}),
    "ian": actor("ian", {OWN: SiteRole.INSTALLER}),
    "sam": actor("sam", {OWN: SiteRole.SUPER_USER}),
    "uma": actor("uma", {OWN: SiteRole.USER}),
    "bob": actor("bob", {FOREIGN: SiteRole.ADMIN}),
}


class Tokens:
    """Takes the name of an account for its token."""

    async def actor_of(self, token: str) -> Actor | None:
        """Return who a token stands for."""
        return ACTORS.get(token)


@dataclass
class HandCalendar:
    """A calendar that is moved by hand."""

    at: datetime = NOW
    speed: int = 1

    def now(self) -> datetime:
        """Return the instant it was moved to."""
        return self.at


@dataclass
class HandClock:
    """A link clock that is moved by hand."""

    now_s: float = 1000.0
    at: datetime = NOW

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.now_s

    def utc(self) -> datetime:
        """Return UTC."""
        return self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API said."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """Return the code of a refusal."""
        return str(self.body["code"])

    @property
    def facts(self) -> dict[str, Any]:
        """Return the facts of a refusal."""
        return dict(self.body["facts"])


@dataclass(kw_only=True)
class Ground:
    """Two sites, served."""

    db: Database
    client: TestClient[web.Request, web.Application]
    calendar: HandCalendar
    link: HandClock
    bus: ProcessBus
    services: "Services"
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        by: str = "ada",
        if_match: object = None,
        key: str | None = None,
        sheet: bytes | None = None,
    ) -> Answer:
        """Send one request below /api/v1, with JSON or a sheet, and return the answer."""
        headers = {"Authorization": f"Bearer {by}"}
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        if key is not None:
            headers["Idempotency-Key"] = key
        if sheet is not None:
            headers["Content-Type"] = "text/csv"
        async with self.client.request(
            method,
            f"/api/v1{path}",
            json=body,
            data=io.BytesIO(sheet) if sheet is not None else None,
            headers=headers,
        ) as response:
            text = await response.read()
            is_sheet = response.content_type == "text/csv"
            shown = text if is_sheet or not text else await response.json(content_type=None)
            return Answer(status=response.status, body=shown, headers=response.headers)

    async def make(self, path: str, body: object, *, site: SiteId = OWN, by: str = "ada") -> Any:
        """Create something at a site and return it."""
        answer = await self.call("POST", f"/sites/{site}{path}", body, by=by)
        assert answer.status == 201, answer.body
        return answer.body

    async def person(
        self, name: str = "Pia", *, site: SiteId = OWN, by: str = "ada", **more: object
    ) -> Any:
        """Add a subscribed person."""
        body = {"name": name, "subscribed": True} | more
        return await self.make("/people", body, site=site, by=by)

    async def tag(self, person: Any, *, site: SiteId = OWN, by: str = "ada", **more: object) -> Any:
        """Give a person a new tag."""
        number = f"{next(self.numbers):014x}"
        path = f"/people/{person['id']}/credentials"
        return await self.make(path, {"number": number} | more, site=site, by=by)

    async def hub(self, *, site: SiteId = OWN, by: str = "ada") -> Any:
        """Register a hub."""
        serial = f"IQ-{next(self.numbers):04}"
        body = {"name": serial, "serial": serial, "activation_code": STICKER}
        return await self.make("/hubs", body, site=site, by=by)

    def lock_body(self, **more: object) -> dict[str, object]:
        """Return what registers a new lock."""
        number = next(self.numbers)
        key = X25519PrivateKey.from_private_bytes(number.to_bytes(32)).public_key()
        return {
            "name": f"Door {number}",
            "serial": f"L-{number:04}",
            "public_key": key.public_bytes_raw().hex(),
            "secret_code": STICKER,
            "capacity": 39,
        } | more

    async def lock(self, hub: Any, *, site: SiteId = OWN, by: str = "ada", **more: object) -> Any:
        """Put a new lock on a hub."""
        path = f"/hubs/{hub['id']}/locks"
        return await self.make(path, self.lock_body(**more), site=site, by=by)

    async def group(
        self,
        *,
        people: tuple[Any, ...] = (),
        locks: tuple[Any, ...] = (),
        schedule_id: str | None = None,
    ) -> Any:
        """Make a group of OWN with these people and locks."""
        name = f"Group {next(self.numbers)}"
        group = await self.make("/access-groups", {"name": name, "schedule_id": schedule_id})
        for kind, members in (("people", people), ("locks", locks)):
            for member in members:
                done = await self.join(group, kind, member)
                assert done.status == 204, done.body
        return group

    async def join(self, group: Any, kind: str, member: Any) -> Answer:
        """Put a person or a lock into a group of OWN."""
        path = f"/sites/{OWN}/access-groups/{group['id']}/{kind}/{member['id']}"
        return await self.call("PUT", path)

    async def leave(self, group: Any, kind: str, member: Any) -> Answer:
        """Take a person or a lock out of a group of OWN."""
        path = f"/sites/{OWN}/access-groups/{group['id']}/{kind}/{member['id']}"
        return await self.call("DELETE", path)

    def expire(self) -> None:
        """Move the calendar to the end of the sites' subscriptions."""
        self.calendar.at = NOW + timedelta(seconds=TERM_S)

    async def sell(self, plan: Plan = Plan.PRO, *, pods: bool = False) -> None:
        """Let OWN hold this from now on, as redemptions would, and settle what features gate."""
        ends_at = NOW + timedelta(days=1)
        async with self.db.write() as tx:
            await tx.execute(delete(add_ons))
            await tx.execute(update(subscriptions).values(plan=plan).filter_by(site_id=OWN))
            if pods:
                await tx.execute(
                    insert(add_ons).values(site_id=OWN, feature=Feature.PODS, ends_at=ends_at)
                )
            await self.services.gates.settle(tx, OWN, now=self.calendar.now())

    async def count(self, table: Table, **values: object) -> int:
        """Return how many rows of a table have these values."""
        async with self.db.read() as tx:
            some = select(func.count()).select_from(table).filter_by(**values)
            return int((await tx.execute(some)).scalar_one())

    async def revisions(self) -> dict[str, int]:
        """Return what revision is wanted of each hub in service."""
        async with self.db.read() as tx:
            rows = await tx.execute(
                select(hubs.c.id, hubs.c.revision_wanted).where(hubs.c.retired_at.is_(None))
            )
            return {row.id: row.revision_wanted for row in rows}

    async def audited(self) -> list[str]:
        """Return the actions of all audit records."""
        async with self.db.read() as tx:
            rows = await tx.execute(select(audit_records.c.action))
            return sorted(rows.scalars())


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services behind the routes."""

    entitlement: Entitlement
    sync: Sync
    audit: Audit
    people: People
    importing: Importing
    credentials: Credentials
    pins: Pins
    custom_pins: CustomPins
    digital_keys: DigitalKeys
    hubs: Hubs
    locks: Locks
    releases: Releases
    repeaters: Repeaters
    orders: Orders
    enrolments: Enrolments
    schedules: Schedules
    groups: Groups
    members: Members
    holidays: Holidays
    offline: OfflineAccess
    gates: Gates
    lockers: Lockers
    pods: Pods
    cut: list[HubId]  # the hubs that were cut off


def services(link: HandClock, bus: ProcessBus) -> Services:
    """Return the services as app.py puts them together."""
    randomness = SystemRandomness()
    ids = RandomIds(randomness)
    entitlement = Entitlement(load_catalogue())
    sync, audit = Sync(bus), Audit(ids)
    changes = Changes(entitlement=entitlement, room=OfflineRoom(), sync=sync, audit=audit)
    cut: list[HubId] = []
    custom_pins = CustomPins(changes=changes, entitlement=entitlement)
    credentials = Credentials(changes=changes, keys=KEYS, ids=ids)
    orders = Orders(entitlement=entitlement, sync=sync, audit=audit, ids=ids, link=link)
    people = People(changes=changes, entitlement=entitlement, ids=ids)
    return Services(
        entitlement=entitlement,
        sync=sync,
        audit=audit,
        people=people,
        importing=Importing(changes=changes, entitlement=entitlement, people=people, ids=ids),
        credentials=credentials,
        pins=Pins(
            changes=changes,
            credentials=credentials,
            entitlement=entitlement,
            keys=KEYS,
            ids=ids,
            randomness=randomness,
            guesses=GuessLimit(link),
        ),
        custom_pins=custom_pins,
        gates=Gates(changes=changes, entitlement=entitlement, custom_pins=custom_pins),
        lockers=Lockers(changes=changes, entitlement=entitlement, ids=ids),
        pods=Pods(changes=changes, entitlement=entitlement, ids=ids),
        digital_keys=DigitalKeys(changes=changes, credentials=credentials, keys=KEYS, ids=ids),
        hubs=Hubs(changes=changes, entitlement=entitlement, keys=KEYS, ids=ids, cut=cut.append),
        locks=Locks(changes=changes, keys=KEYS, ids=ids),
        releases=Releases(changes=changes, entitlement=entitlement),
        repeaters=Repeaters(changes=changes, ids=ids),
        orders=orders,
        enrolments=Enrolments(
            orders=orders, credentials=credentials, link=link, patience=timedelta(seconds=40)
        ),
        schedules=Schedules(changes=changes, ids=ids),
        groups=Groups(changes=changes, ids=ids),
        members=Members(changes=changes, audit=audit),
        holidays=Holidays(changes=changes, ids=ids),
        offline=OfflineAccess(changes=changes),
        cut=cut,
    )


async def make_sites(db: Database, *, users: int, kind: Kind) -> None:
    """Write OWN and FOREIGN with their accounts and subscriptions of 30 days."""
    segments = (Segment(seconds=TERM_S, rate=8 * users),) if kind is Kind.PAID else ()
    subscription = Subscription(
        plan=Plan.PRO,
        users=users,
        kind=kind,
        started_at=NOW,
        ends_at=NOW + timedelta(seconds=TERM_S),
        segments=segments,
        rest=0,
        catalogue_version=1,
    )
    async with db.write() as tx:
        for site_id in (OWN, FOREIGN):
            await tx.execute(
                insert(sites).values(
                    id=site_id,
                    name=f"Site {site_id[0]}",
                    time_zone="Europe/Madrid",
                    buy_from="Sam Supplier",
                    created_at=NOW,
                    version=1,
                )
            )
            await begin(tx, site_id, subscription, reminder_at=None)
        for name, one in ACTORS.items():
            await tx.execute(
                insert(accounts).values(
                    id=one.account_id,
                    email=f"{name}@example.org",
                    name=name,
                    password_hash="-",
                    created_at=NOW,
                )
            )
            for site_id, held in one.site_roles.items():
                given = {"site_id": site_id, "account_id": one.account_id, "role": held.role}
                await tx.execute(insert(site_roles).values(**given))


def _apis(made: Services) -> list[Api]:
    """Return the routes of people, hardware and access."""
    own = Own(entitlement=made.entitlement, orders=made.orders)
    return [
        SheetApi(made.importing, PoolThreads()),
        PeopleApi(made.people),
        CredentialsApi(
            credentials=made.credentials, pins=made.pins, digital_keys=made.digital_keys
        ),
        HardwareApi(
            hubs=made.hubs,
            entitlement=made.entitlement,
            addresses=ADDRESSES,
        ),
        LocksApi(made.locks, made.releases),
        RepeatersApi(made.repeaters),
        OrdersApi(made.orders),
        EnrolmentsApi(made.enrolments),
        OwnApi(
            own,
            credentials=made.credentials,
            pins=made.pins,
            digital_keys=made.digital_keys,
        ),
        SchedulesApi(made.schedules),
        AccessApi(made.groups, made.members),
        LockersApi(made.lockers),
        PodsApi(made.pods),
        OwnGuestsApi(OwnGuests(own=own, people=made.people, pods=made.pods)),
        RightsApi(made.entitlement),
        OfflineApi(made.offline),
        RevocationsApi(Revocations(offline_grace=GRACE)),
        HolidaysApi(made.holidays),
    ]


@asynccontextmanager
async def served(db: Database, *, users: int = 25, kind: Kind = Kind.PAID) -> AsyncIterator[Ground]:
    """Serve both sites on a free port of this machine."""
    await make_sites(db, users=users, kind=kind)
    calendar, link, bus = HandCalendar(), HandClock(), ProcessBus()
    made = services(link, bus)
    randomness = SystemRandomness()
    application = build(
        _apis(made),
        Surroundings(
            db=db,
            calendar=calendar,
            authenticator=Tokens(),
            answers=AnswerBook(db, key=KEYS.idempotency_key, randomness=randomness, link=link),
            limiter=RateLimiter(link),
            denials=DenialBook(db, Audit(RandomIds(randomness))),
        ),
        link=link,
        ids=RandomIds(randomness),
    )
    async with TestClient(TestServer(application)) as client:
        yield Ground(db=db, client=client, calendar=calendar, link=link, bus=bus, services=made)
