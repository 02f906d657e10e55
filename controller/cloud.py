"""The features, put together from below; each gets what it needs and nothing more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp.web import Application

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
from controller.accounts.api import AccountsApi
from controller.accounts.guessing import GuessLimit
from controller.accounts.passwords import Passwords
from controller.accounts.service import Accounts, TokenAuthenticator
from controller.activity.api import ActivityApi
from controller.activity.incidents_api import IncidentsApi
from controller.activity.retention import ForgetEntries
from controller.audit.denials import DenialBook
from controller.audit.service import Audit
from controller.db.engine import Database
from controller.delivery.service import Delivery
from controller.domain import catalogue
from controller.domain.catalogue import Catalogue
from controller.domain.hardware import ANSWER_PATIENCE, COMMAND_LIFE
from controller.hardware.api import HardwareApi
from controller.hardware.claim import Claims
from controller.hardware.commands import Orders
from controller.hardware.device_api import DeviceApi
from controller.hardware.locks import Locks
from controller.hardware.locks_api import LocksApi
from controller.hardware.orders_api import OrdersApi
from controller.hardware.release import Departures, Releases
from controller.hardware.repeaters import Repeaters
from controller.hardware.repeaters_api import RepeatersApi
from controller.hardware.service import Cut, DeviceAddresses, Hubs
from controller.hardware.watch import Watch
from controller.inbound import Inbound
from controller.keys import Keys
from controller.notifications.activity_log import ActivityLogApi
from controller.notifications.api import NotificationsApi
from controller.notifications.events import Events, Everybody
from controller.notifications.events_api import EventsApi
from controller.notifications.mail import MailRoom, post_of
from controller.notifications.service import Notifications
from controller.people.api import PeopleApi
from controller.people.changes import Changes
from controller.people.credentials import Credentials
from controller.people.credentials_api import CredentialsApi
from controller.people.custom_pins import CustomPins
from controller.people.digital_keys import DigitalKeys
from controller.people.importing import Importing
from controller.people.invitations import Invitations
from controller.people.invitations_api import InvitationsApi
from controller.people.pins import Pins
from controller.people.service import People
from controller.people.sheet_api import SheetApi
from controller.pki import Authority
from controller.ports import Bus, Calendar, Ids, LinkClock, Randomness, Threads
from controller.settings import Settings
from controller.sites.api import SitesApi
from controller.sites.custom_roles import CustomRoles
from controller.sites.roles import Roles
from controller.sites.roles_api import RolesApi
from controller.sites.service import Sites
from controller.subscriptions.api import SubscriptionsApi
from controller.subscriptions.batches import Batches
from controller.subscriptions.due import Due
from controller.subscriptions.entitlement import Entitlement
from controller.subscriptions.lapses import Lapses
from controller.subscriptions.service import Subscriptions
from controller.subscriptions.voucher_api import VouchersApi
from controller.sync.service import Sync
from controller.timers import Timers
from controller.web.api import Api
from controller.web.application import build
from controller.web.idempotency import AnswerBook
from controller.web.operation import Surroundings
from controller.web.rate_limit import RateLimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world outside, as this process sees it."""

    link: LinkClock
    randomness: Randomness
    ids: Ids
    bus: Bus
    threads: Threads
    calendar: Calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The services that several parts share of those that decide who may open."""

    entitlement: Entitlement
    changes: Changes
    credentials: Credentials
    pins: Pins
    digital_keys: DigitalKeys
    orders: Orders
    enrolments: Enrolments
    custom_pins: CustomPins
    gates: Gates


class Cloud:
    """The features on one database, in one world, for one set of secrets."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        ports: Ports,
        *,
        keys: Keys,
        authority: Authority,
        addresses: DeviceAddresses,
    ) -> None:
        self._settings = settings
        self._db = db
        self._ports = ports
        self._keys = keys
        self._authority = authority
        self._addresses = addresses
        self._offline_grace = timedelta(hours=settings.offline_grace_h)
        self._catalogue = catalogue.load()
        self._audit = Audit(ports.ids)
        self._passwords = Passwords(ports.threads, ports.randomness)
        self._sync = Sync(ports.bus)
        self._notifications = Notifications(
            audit=self._audit, ids=ports.ids, bus=ports.bus, link=ports.link
        )
        self._events = Events(db, ports.bus)
        self._audience = Everybody((self._notifications, self._events))
        self._doors = _doors(keys, ports, self._catalogue, self._audit, self._sync)
        self._answers = AnswerBook(
            db, key=keys.idempotency_key, randomness=ports.randomness, link=ports.link
        )
        self.accounts: Final = Accounts(
            ids=ports.ids,
            randomness=ports.randomness,
            link=ports.link,
            passwords=self._passwords,
            audit=self._audit,
            guesses=GuessLimit(ports.link),
        )

    def pages(self, facts: Callable[[], Mapping[str, str]], *, cut: Cut) -> Application:
        """Return pages and API; ``facts`` is what the start page says."""
        surroundings = Surroundings(
            db=self._db,
            calendar=self._ports.calendar,
            authenticator=TokenAuthenticator(self._db, self._ports.link),
            answers=self._answers,
            limiter=RateLimiter(self._ports.link),
            denials=DenialBook(self._db, self._audit),
        )
        apis = (
            *self._site_apis(),
            *self._door_apis(cut),
            ActivityApi(self._doors.entitlement),
            EventsApi(self._events, entitlement=self._doors.entitlement),
            ActivityLogApi(self._doors.entitlement),
            IncidentsApi(self._audit),
            NotificationsApi(self._notifications, mail=bool(self._settings.smtp)),
        )
        return build(apis, surroundings, link=self._ports.link, ids=self._ports.ids, facts=facts)

    def claims(self) -> Application:
        """Return what devices may ask over HTTPS."""
        service = Claims(
            keys=self._keys,
            authority=self._authority,
            addresses=self._addresses,
            entitlement=self._doors.entitlement,
            sync=self._sync,
            audit=self._audit,
            link=self._ports.link,
        )
        return DeviceApi(service, self._db, self._ports.calendar, self._ports.link).application()

    def inbound(self) -> Inbound:
        """Return the cloud as the gateway sees it."""
        delivery = Delivery(
            self._db,
            keys=self._keys,
            calendar=self._ports.calendar,
            threads=self._ports.threads,
            offline_grace=self._offline_grace,
        )
        return Inbound(
            self._db,
            delivery,
            keys=self._keys,
            calendar=self._ports.calendar,
            link_clock=self._ports.link,
            threads=self._ports.threads,
            bus=self._ports.bus,
            departures=Departures(sync=self._sync, audit=self._audit),
            audience=self._audience,
        )

    def mail_room(self, address: str) -> MailRoom:
        """Return what sends mail; ``address`` is where people reach the pages."""
        post = post_of(self._settings.smtp, sender=self._settings.mail_from)
        return MailRoom(self._db, self._ports.link, self._ports.bus, post, address=address)

    def timers(self) -> Timers:
        """Return what does the work that is due."""
        return Timers(
            self._db,
            self._ports.calendar,
            due=Due(self._audit, self._sync),
            sync=self._sync,
            answers=self._answers,
            others={
                "enrol": self._doors.enrolments.finish,
                "lapse": Lapses(self._doors.gates),
                "watch": Watch(link=self._ports.link, audience=self._audience),
                "forget_entries": ForgetEntries(self._catalogue.event_retention_days_max),
                "forget_events": self._events.forget,
            },
        )

    def _site_apis(self) -> tuple[Api, ...]:
        """Return accounts, sites, subscriptions and vouchers."""
        subscriptions = Subscriptions(
            self._catalogue,
            pepper=self._keys.voucher_pepper,
            audit=self._audit,
            sync=self._sync,
            guesses=GuessLimit(self._ports.link),
            gates=self._doors.gates,
        )
        batches = Batches(
            self._catalogue,
            pepper=self._keys.voucher_pepper,
            ids=self._ports.ids,
            randomness=self._ports.randomness,
            audit=self._audit,
        )
        sites = Sites(
            ids=self._ports.ids,
            link=self._ports.link,
            audit=self._audit,
            sync=self._sync,
            subscription=subscriptions,
            custom_pins=self._doors.custom_pins,
        )
        roles = Roles(audit=self._audit, link=self._ports.link)
        return (
            AccountsApi(self.accounts),
            SitesApi(sites),
            RolesApi(roles, CustomRoles(roles, self._ports.ids)),
            InvitationsApi(self._invitations(roles)),
            SubscriptionsApi(
                subscriptions, catalogue=self._catalogue, offline_grace=self._offline_grace
            ),
            VouchersApi(batches),
        )

    def _invitations(self, roles: Roles) -> Invitations:
        return Invitations(
            roles=roles,
            passwords=self._passwords,
            audit=self._audit,
            ids=self._ports.ids,
            randomness=self._ports.randomness,
            link=self._ports.link,
            guesses=GuessLimit(self._ports.link),
        )

    def _door_apis(self, cut: Cut) -> tuple[Api, ...]:
        """Return people, hardware and access: everything that changes who may open."""
        keys, ids = self._keys, self._ports.ids
        doors = self._doors
        entitlement, changes = doors.entitlement, doors.changes
        people = People(changes=changes, entitlement=entitlement, ids=ids)
        own = Own(entitlement=entitlement, orders=doors.orders)
        pods = Pods(changes=changes, entitlement=entitlement, ids=ids)
        importing = Importing(changes=changes, entitlement=entitlement, people=people, ids=ids)
        return (
            SheetApi(importing, self._ports.threads),
            PeopleApi(people),
            CredentialsApi(
                credentials=doors.credentials, pins=doors.pins, digital_keys=doors.digital_keys
            ),
            HardwareApi(
                hubs=Hubs(changes=changes, entitlement=entitlement, keys=keys, ids=ids, cut=cut),
                entitlement=entitlement,
                addresses=self._addresses,
            ),
            LocksApi(
                Locks(changes=changes, keys=keys, ids=ids),
                Releases(changes=changes, entitlement=entitlement),
            ),
            RepeatersApi(Repeaters(changes=changes, ids=ids)),
            OrdersApi(doors.orders),
            EnrolmentsApi(doors.enrolments),
            OwnApi(
                own,
                credentials=doors.credentials,
                pins=doors.pins,
                digital_keys=doors.digital_keys,
            ),
            OfflineApi(OfflineAccess(changes=changes)),
            RevocationsApi(Revocations(offline_grace=self._offline_grace)),
            AccessApi(
                Groups(changes=changes, ids=ids), Members(changes=changes, audit=self._audit)
            ),
            LockersApi(Lockers(changes=changes, entitlement=entitlement, ids=ids)),
            PodsApi(pods),
            OwnGuestsApi(OwnGuests(own=own, people=people, pods=pods)),
            RightsApi(entitlement),
            SchedulesApi(Schedules(changes=changes, ids=ids)),
            HolidaysApi(Holidays(changes=changes, ids=ids)),
        )


def _doors(keys: Keys, ports: Ports, sold: Catalogue, audit: Audit, sync: Sync) -> Doors:
    entitlement = Entitlement(sold)
    changes = Changes(entitlement=entitlement, room=OfflineRoom(), sync=sync, audit=audit)
    credentials = Credentials(changes=changes, keys=keys, ids=ports.ids)
    orders = Orders(entitlement=entitlement, sync=sync, audit=audit, ids=ports.ids, link=ports.link)
    custom_pins = CustomPins(changes=changes, entitlement=entitlement)
    return Doors(
        custom_pins=custom_pins,
        gates=Gates(changes=changes, entitlement=entitlement, custom_pins=custom_pins),
        entitlement=entitlement,
        changes=changes,
        credentials=credentials,
        pins=Pins(
            changes=changes,
            credentials=credentials,
            entitlement=entitlement,
            keys=keys,
            ids=ports.ids,
            randomness=ports.randomness,
            guesses=GuessLimit(ports.link),
        ),
        digital_keys=DigitalKeys(
            changes=changes, credentials=credentials, keys=keys, ids=ports.ids
        ),
        orders=orders,
        enrolments=Enrolments(
            orders=orders,
            credentials=credentials,
            link=ports.link,
            patience=(COMMAND_LIFE + ANSWER_PATIENCE) * ports.calendar.speed,
        ),
    )
