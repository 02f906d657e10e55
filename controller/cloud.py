"""The features, put together from below; each gets what it needs and nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from controller.access.api import AccessApi
from controller.access.offline import OfflineRoom
from controller.access.schedules import Schedules
from controller.access.schedules_api import SchedulesApi
from controller.access.service import Groups
from controller.accounts.api import AccountsApi
from controller.accounts.guessing import GuessLimit
from controller.accounts.passwords import Passwords
from controller.accounts.service import Accounts, TokenAuthenticator
from controller.activity.api import ActivityApi
from controller.audit.denials import DenialBook
from controller.audit.service import Audit
from controller.db.engine import Database
from controller.delivery.service import Delivery
from controller.domain import catalogue
from controller.hardware.api import HardwareApi
from controller.hardware.claim import Claims
from controller.hardware.commands import RemoteOpening
from controller.hardware.device_api import DeviceApi
from controller.hardware.locks import Locks
from controller.hardware.service import DeviceAddresses, Hubs
from controller.inbound import Inbound
from controller.keys import Keys
from controller.people.api import PeopleApi
from controller.people.changes import Changes
from controller.people.service import People
from controller.people.tags import Tags
from controller.pki import Authority
from controller.ports import Bus, Calendar, Ids, LinkClock, Randomness, Threads
from controller.settings import Settings
from controller.sites.api import SitesApi
from controller.sites.service import Sites
from controller.subscriptions.api import SubscriptionsApi
from controller.subscriptions.batches import Batches
from controller.subscriptions.due import Due
from controller.subscriptions.entitlement import Entitlement
from controller.subscriptions.service import Subscriptions
from controller.subscriptions.voucher_api import VouchersApi
from controller.sync.service import Sync
from controller.timers import Timers
from controller.web.api import Api
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
class Cloud:
    """The features, put together."""

    apis: Sequence[Api]
    device: web.Application
    surroundings: Surroundings
    inbound: Inbound
    accounts: Accounts
    timers: Timers


def assemble(
    settings: Settings,
    db: Database,
    ports: Ports,
    *,
    keys: Keys,
    authority: Authority,
    addresses: DeviceAddresses,
) -> Cloud:
    """Return the cloud on this database, in this world."""
    book = catalogue.load()
    offline_grace = timedelta(hours=settings.offline_grace_h)
    audit, sync = Audit(ports.ids), Sync(ports.bus)
    accounts = Accounts(
        ids=ports.ids,
        randomness=ports.randomness,
        link=ports.link,
        passwords=Passwords(ports.threads, ports.randomness),
        audit=audit,
        guesses=GuessLimit(ports.link),
    )
    entitlement = Entitlement(book)
    subscriptions = Subscriptions(
        book, pepper=keys.voucher_pepper, audit=audit, sync=sync, guesses=GuessLimit(ports.link)
    )
    batches = Batches(
        book,
        pepper=keys.voucher_pepper,
        ids=ports.ids,
        randomness=ports.randomness,
        audit=audit,
    )
    sites = Sites(ids=ports.ids, audit=audit, sync=sync, subscription=subscriptions)
    changes = Changes(entitlement=entitlement, room=OfflineRoom(), sync=sync, audit=audit)
    opening = RemoteOpening(
        entitlement=entitlement, sync=sync, audit=audit, ids=ports.ids, link=ports.link
    )
    claims = Claims(
        keys=keys,
        authority=authority,
        addresses=addresses,
        sync=sync,
        audit=audit,
        link=ports.link,
    )
    delivery = Delivery(
        db,
        keys=keys,
        calendar=ports.calendar,
        threads=ports.threads,
        offline_grace=offline_grace,
    )
    answers = AnswerBook(db, key=keys.idempotency_key, randomness=ports.randomness, link=ports.link)
    apis: tuple[Api, ...] = (
        AccountsApi(accounts),
        SitesApi(sites),
        SubscriptionsApi(subscriptions, catalogue=book, offline_grace=offline_grace),
        VouchersApi(batches),
        PeopleApi(
            People(changes=changes, entitlement=entitlement, ids=ports.ids),
            Tags(changes=changes, keys=keys, ids=ports.ids),
        ),
        HardwareApi(
            hubs=Hubs(changes=changes, entitlement=entitlement, keys=keys, ids=ports.ids),
            locks=Locks(changes=changes, keys=keys, ids=ports.ids),
            opening=opening,
            entitlement=entitlement,
            addresses=addresses,
        ),
        AccessApi(Groups(changes=changes, ids=ports.ids), entitlement),
        SchedulesApi(Schedules(changes=changes, ids=ports.ids)),
        ActivityApi(),
    )
    return Cloud(
        apis=apis,
        device=DeviceApi(claims, db, ports.calendar, ports.link).application(),
        surroundings=Surroundings(
            db=db,
            calendar=ports.calendar,
            authenticator=TokenAuthenticator(db, ports.link),
            answers=answers,
            limiter=RateLimiter(ports.link),
            denials=DenialBook(db, audit),
        ),
        inbound=Inbound(
            db,
            delivery,
            keys=keys,
            calendar=ports.calendar,
            link_clock=ports.link,
            threads=ports.threads,
            bus=ports.bus,
        ),
        accounts=accounts,
        timers=Timers(db, ports.calendar, due=Due(audit, sync), sync=sync, answers=answers),
    )
