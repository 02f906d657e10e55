"""The REST API of sites."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self, cast

from pydantic import Field, StringConstraints

from controller.accounts.api import Email
from controller.domain.ids import SiteId
from controller.domain.roles import Action
from controller.sites import queries
from controller.sites.repository import Site
from controller.sites.service import SiteEdit, Sites
from controller.web.api import Call, get, patch, post
from controller.web.auth import SIGNED_IN
from controller.web.fields import PRINTABLE, Name
from controller.web.models import In, Out, Versioned
from controller.web.pagination import LIMIT_DEFAULT, Cursor, Limit, Page, decoded, page_of

TimeZone = Annotated[
    str, Field(min_length=1, max_length=64, description="IANA name", examples=["Europe/Madrid"])
]
BuyFrom = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Field(description="Whom to ask for a voucher."),
    PRINTABLE,
]


class SiteIn(In):
    """A site to be."""

    name: Name
    time_zone: TimeZone
    buy_from: BuyFrom


class SiteEditIn(In):
    """What to change; what is left out stays. All about keys needs the right access:manage."""

    name: Name | None = None
    time_zone: TimeZone | None = None
    buy_from: BuyFrom | None = None
    pins: Annotated[bool | None, Field(description="PINs may be made.")] = None
    custom_pins: Annotated[
        bool | None, Field(description="People may choose their PIN; needs custom_pin.")
    ] = None
    digital_keys_offline: Annotated[
        bool | None, Field(description="New digital keys get offline access.")
    ] = None

    def edit(self) -> SiteEdit:
        """Return what is to become of the site."""
        return cast("SiteEdit", self.model_dump(exclude_none=True))


class SiteOut(Versioned):
    """A site."""

    id: SiteId
    name: str
    time_zone: str
    buy_from: str
    created_at: datetime
    released: Annotated[bool, Field(description="The installer has handed the site over.")]
    released_at: datetime | None
    hardware_confirmed_at: Annotated[
        datetime | None, Field(description="When the owner confirmed the hardware.")
    ]
    pins: bool
    custom_pins: bool
    digital_keys_offline: bool

    @classmethod
    def of(cls, site: Site) -> Self:
        """Return a site as it is shown."""
        return cls(**asdict(site), released=site.released_at is not None)


class HandOverIn(In):
    """Who becomes the owner; the account must exist."""

    owner_email: Email


class PieceOut(Out):
    """A hub, a repeater or a lock."""

    kind: queries.Kind
    id: str
    name: str
    serial: str
    hub_id: str


class HardwareListOut(Out):
    """What stands at a site."""

    items: list[PieceOut]
    digest: Annotated[str, Field(description="Names this very list when it is confirmed.")]

    @classmethod
    def of(cls, listed: queries.HardwareList) -> Self:
        """Return a list as it is shown."""
        return cls(items=[PieceOut(**asdict(one)) for one in listed.items], digest=listed.digest)


class HandedOverOut(SiteOut):
    """A site that was handed over, with the hardware that its owner is to confirm."""

    owner_email: str
    hardware: HardwareListOut


class ConfirmIn(In):
    """The list that the owner has seen."""

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class SitesApi:
    """Sites: created, handed over, edited."""

    tag = "sites"

    def __init__(self, sites: Sites) -> None:
        self._sites = sites

    @post("/sites", requires=Action.CREATE_SITE, status=201)
    async def create(self, call: Call, body: SiteIn) -> SiteOut:
        """Create a site with its free week; you become its installer."""
        async with call.db.write() as tx:
            site = await self._sites.create(
                tx,
                call.actor,
                name=body.name,
                time_zone=body.time_zone,
                buy_from=body.buy_from,
                now=call.now,
            )
        return SiteOut.of(site)

    @get("/sites", requires=SIGNED_IN)
    async def listed(
        self, call: Call, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
    ) -> Page[SiteOut]:
        """List your sites by name."""
        call.actor.require_scope(Action.READ_SITE)
        key = decoded(cursor, str, str)
        after = (str(key[0]), str(key[1])) if key else None
        async with call.db.read() as tx:
            found = await self._sites.listed(tx, call.actor, after=after, limit=limit + 1)
        shown = [SiteOut.of(site) for site in found]
        return page_of(shown, limit, lambda site: (site.name, site.id))

    @get("/sites/{site_id}", requires=Action.READ_SITE)
    async def one(self, call: Call, site_id: SiteId) -> SiteOut:
        """Show a site."""
        async with call.db.read() as tx:
            return SiteOut.of(await queries.one(tx, site_id))

    @patch("/sites/{site_id}", requires=Action.EDIT_SITE)
    async def edit(self, call: Call, site_id: SiteId, if_match: int, body: SiteEditIn) -> SiteOut:
        """Edit a site. Another time zone moves its schedules and needs a running subscription."""
        async with call.db.write() as tx:
            site = await self._sites.edit(
                tx,
                call.actor,
                site_id,
                version_read=if_match,
                now=call.now,
                **body.edit(),
            )
        return SiteOut.of(site)

    @post("/sites/{site_id}/hand-over", requires=Action.HAND_OVER_SITE)
    async def hand_over(self, call: Call, site_id: SiteId, body: HandOverIn) -> HandedOverOut:
        """Hand a site over to its owner; the installer's role ends.

        The answer lists the hardware, which the owner confirms.
        """
        async with call.db.write() as tx:
            site = await self._sites.hand_over(
                tx, call.actor, site_id, owner_email=body.owner_email, now=call.now
            )
            hardware = await queries.hardware(tx, site_id)
        return HandedOverOut(
            **SiteOut.of(site).model_dump(),
            owner_email=body.owner_email,
            hardware=HardwareListOut.of(hardware),
        )

    @get("/sites/{site_id}/hardware-list", requires=Action.READ_HARDWARE)
    async def hardware(self, call: Call, site_id: SiteId) -> HardwareListOut:
        """List what is in service: hubs, repeaters and locks, at most 5,000 of each."""
        async with call.db.read() as tx:
            return HardwareListOut.of(await queries.hardware(tx, site_id))

    @post("/sites/{site_id}/hardware-list/confirmation", requires=Action.HAND_OVER_SITE)
    async def confirm_hardware(self, call: Call, site_id: SiteId, body: ConfirmIn) -> SiteOut:
        """Confirm, as the owner, that the list is what stands at the site."""
        async with call.db.write() as tx:
            site = await self._sites.confirm_hardware(
                tx, call.actor, site_id, digest=body.digest, now=call.now
            )
        return SiteOut.of(site)
