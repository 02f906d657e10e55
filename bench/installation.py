"""A data directory with sites in it, written before the program starts.

Rows go in past the services, which would take a minute for ten thousand sites.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Table, insert

from controller import keys as key_file
from controller.audit.service import Audit
from controller.chance import RandomIds, SystemRandomness
from controller.db.engine import Database
from controller.db.migrate import upgrade
from controller.db.tables.accounts import accounts, site_roles, tokens
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.people import credentials, people
from controller.db.tables.sites import sites
from controller.db.tables.subscriptions import subscription_history, subscriptions, value_ledger
from controller.domain import catalogue
from controller.domain.ids import AccountId, SiteId
from controller.domain.instants import whole_second
from controller.domain.roles import Actor, ActorKind, CloudRole, HeldRole, SiteRole
from controller.keys import Keys
from controller.pki import Authority
from controller.settings import SQLITE_FILE
from controller.subscriptions.batches import COUNT_MAX, Batches
from vouchers.products import DAY_S, Plan

CATALOGUE: Final = catalogue.load()
USERS: Final = 25
PRODUCT: Final = CATALOGUE.newest.plan_product(Plan.PRO, users=USERS, term_days=1)
BOUGHT_DAYS: Final = 30
LOCKS_PER_HUB: Final = 4
PEOPLE: Final = 20
ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site that was handed over."""

    id: SiteId
    owners: Sequence[Actor]
    tokens: Sequence[str]  # one an owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A claimed hub that has confirmed everything."""

    id: str
    key: Ed25519PrivateKey
    identity: Path
    lock_ids: Sequence[bytes]
    digests: Sequence[bytes]  # of the tags of its site


class Installation:
    """A data directory that no program is using yet."""

    def __init__(self, folder: Path, keys: Keys, authority: Authority, db: Database) -> None:
        self.folder: Final = folder
        self.keys: Final = keys
        self.authority: Final = authority
        self.db: Final = db
        self._randomness = SystemRandomness()
        self.ids: Final = RandomIds(self._randomness)
        self._now = whole_second(datetime.now(UTC))
        self._supplier = _person(self.ids.new(), CloudRole.SUPPLIER)

    @classmethod
    async def make(cls, folder: Path) -> Self:
        """Return an empty one. Its database is open: close it before the program starts."""
        url = f"sqlite:///{folder / SQLITE_FILE}"
        await upgrade(url)
        keys = key_file.load(folder / "keys", SystemRandomness(), first_start=True)
        authority = Authority(folder / "keys", public_host="localhost", now=datetime.now(UTC))
        made = cls(folder, keys, authority, Database.open(url))
        await made._write(accounts, [made._account(made._supplier)])
        return made

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return self.folder / SQLITE_FILE

    async def add_sites(self, count: int, *, owners: int = 1) -> list[Site]:
        """Add sites with a paid subscription, one hub, and people who may redeem there."""
        added = []
        for _ in range(count):
            people_there = [_person(self.ids.new()) for _ in range(owners)]
            secrets = [self.ids.new() for _ in range(owners)]
            site_id = SiteId(self.ids.new())
            added.append(Site(id=site_id, owners=people_there, tokens=secrets))
        await self._write(sites, [self._site(site.id) for site in added])
        await self._write(subscriptions, [self._subscription(site.id) for site in added])
        await self._write(subscription_history, [self._history(site.id) for site in added])
        await self._write(value_ledger, [_ledger(site.id) for site in added])
        await self._write(hubs, [self._hub(site.id, self.ids.new(), bytes(32)) for site in added])
        who = [(site.id, *pair) for site in added for pair in zip(site.owners, site.tokens)]  # noqa: B905 - made alike above
        await self._write(accounts, [self._account(owner) for _, owner, _ in who])
        await self._write(tokens, [self._token(owner, secret) for _, owner, secret in who])
        roles = [
            {"site_id": site_id, "account_id": owner.account_id, "role": SiteRole.ADMIN}
            for site_id, owner, _ in who
        ]
        await self._write(site_roles, roles)
        return added

    async def mint(self, count: int) -> list[str]:
        """Return the codes of fresh plan vouchers of one day."""
        batches = Batches(
            CATALOGUE,
            pepper=self.keys.voucher_pepper,
            ids=self.ids,
            randomness=self._randomness,
            audit=Audit(self.ids),
        )
        codes: list[str] = []
        while len(codes) < count:
            async with self.db.write() as tx:
                minted = await batches.mint(
                    tx,
                    self._supplier,
                    PRODUCT,
                    count=min(COUNT_MAX, count - len(codes)),
                    redeem_until=self._now + timedelta(days=365),
                    note="bench",
                    now=self._now,
                )
            codes += [code.symbols for _, code in minted.codes]
        return codes

    async def add_hubs(self, site: Site, count: int) -> list[Hub]:
        """Add hubs with locks, and people with tags, to a site."""
        digests = [bytes.fromhex(self.ids.new()) for _ in range(PEOPLE)]
        person_ids = [self.ids.new() for _ in digests]
        await self._write(people, [self._holder(site.id, person) for person in person_ids])
        tags = zip(person_ids, digests, strict=True)
        await self._write(credentials, [self._tag(site.id, *each) for each in tags])
        added = []
        for _ in range(count):
            hub_id = self.ids.new()
            hub = Hub(
                id=hub_id,
                key=Ed25519PrivateKey.generate(),
                identity=self._identity(hub_id),
                lock_ids=[bytes.fromhex(self.ids.new()) for _ in range(LOCKS_PER_HUB)],
                digests=digests,
            )
            key = hub.key.public_key().public_bytes_raw()
            await self._write(hubs, [self._hub(site.id, hub.id, key)])
            await self._write(locks, [self._lock(site.id, hub, lock) for lock in hub.lock_ids])
            added.append(hub)
        return added

    async def _write(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        waiting = iter(rows)
        while some := list(islice(waiting, ROWS_AT_ONCE)):
            async with self.db.write() as tx:
                await tx.execute(insert(table), some)

    def _identity(self, hub_id: str) -> Path:
        """Return the PEM file with a certificate and its key, as a hub gets it by its claim."""
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        csr = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        signed = self.authority.sign_hub(csr, hub_id=hub_id, now=datetime.now(UTC))
        certificate = x509.load_der_x509_certificate(signed)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = self.folder / f"{hub_id}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
        return path

    def _account(self, actor: Actor) -> dict[str, Any]:
        return {
            "id": actor.account_id,
            "email": f"{actor.account_id}@bench.example",
            "name": actor.name,
            "password_hash": "none",
            "cloud_role": actor.cloud_role,
            "created_at": self._now,
        }

    def _token(self, actor: Actor, secret: str) -> dict[str, Any]:
        return {
            "id": self.ids.new(),
            "account_id": actor.account_id,
            "token_hash": hashlib.sha256(secret.encode()).digest(),
            "kind": "session",
            "name": "",
            "created_at": self._now,
            "expires_at": self._now + timedelta(days=1),
        }

    def _site(self, site_id: SiteId) -> dict[str, Any]:
        return {
            "id": site_id,
            "name": "Harbour",
            "time_zone": "Europe/Madrid",
            "buy_from": "sales@bench.example",
            "created_at": self._now,
            "released_at": self._now,
            "version": 1,
        }

    def _subscription(self, site_id: SiteId) -> dict[str, Any]:
        return {
            "site_id": site_id,
            "plan": PRODUCT.plan,
            "users": USERS,
            "kind": "paid",
            "started_at": self._now,
            "ends_at": self._now + timedelta(days=BOUGHT_DAYS),
            "segments": [[BOUGHT_DAYS * DAY_S, PRODUCT.rate]],
            "rest": 0,
            "catalogue_version": CATALOGUE.newest.version,
            "expired": False,
            "cancelled": False,
            "version": 1,
        }

    def _history(self, site_id: SiteId) -> dict[str, Any]:
        return {
            "site_id": site_id,
            "number": 1,
            "kind": "plan_redeemed",
            "at": self._now,
            "actor_name": "bench",
            "facts": {},
        }

    def _hub(self, site_id: SiteId, hub_id: str, key: bytes) -> dict[str, Any]:
        return {
            "site_id": site_id,
            "id": hub_id,
            "serial": hub_id,
            "name": "Hub",
            "created_at": self._now,
            "claimed_at": self._now,
            "device_key": key,
            "agreement_key": bytes(32),
            "epoch": 1,
            "lease_wanted": 1,
            "lease_confirmed": 1,
            "lease_signed_at": self._now,
            "revision_wanted": 1,
            "revision_confirmed": 1,
            "subscribed_confirmed": True,
            "version": 1,
        }

    def _lock(self, site_id: SiteId, hub: Hub, lock_id: bytes) -> dict[str, Any]:
        return {
            "site_id": site_id,
            "id": lock_id.hex(),
            "hub_id": hub.id,
            "serial": lock_id.hex(),
            "name": "Door",
            "public_key": bytes(32),
            "pairing": b"",
            "capacity": 39,
            "open_s": 6,
            "memory_days": 7,
            "epoch": 1,
            "order_number": 0,
            "created_at": self._now,
            "paired": True,
            "log_epoch": 1,
            "version": 1,
        }

    def _holder(self, site_id: SiteId, person_id: str) -> dict[str, Any]:
        return {
            "site_id": site_id,
            "id": person_id,
            "name": "Pat",
            "subscribed_at": self._now,
            "created_at": self._now,
            "version": 1,
        }

    def _tag(self, site_id: SiteId, person_id: str, digest: bytes) -> dict[str, Any]:
        return {
            "site_id": site_id,
            "id": self.ids.new(),
            "person_id": person_id,
            "kind": "tag",
            "digest": digest,
            "label": "Tag",
            "offline": False,
            "created_at": self._now,
            "version": 1,
        }


def at(actor: Actor, site: Site) -> Actor:
    """Return an actor as the owner of a site."""
    return Actor(
        kind=actor.kind,
        account_id=actor.account_id,
        name=actor.name,
        cloud_role=None,
        site_roles={site.id: HeldRole.of(SiteRole.OWNER)},
    )


def _person(account_id: str, cloud_role: CloudRole | None = None) -> Actor:
    return Actor(
        kind=ActorKind.USER,
        account_id=AccountId(account_id),
        name="bench",
        cloud_role=cloud_role,
    )


def _ledger(site_id: SiteId) -> dict[str, Any]:
    paid = BOUGHT_DAYS * DAY_S * PRODUCT.rate
    return {"site_id": site_id, "number": 1, "paid": paid, "consumed": 0, "forfeited": 0}
