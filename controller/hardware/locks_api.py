"""Locks over REST."""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from controller.domain.hardware import (
    BatteryLevel,
    DoorSettings,
    LockMode,
    NewLock,
    OfficeMode,
    SiteLock,
)
from controller.domain.ids import CredentialId, HubId, LockId, RepeaterId, ScheduleId, SiteId
from controller.domain.roles import Action
from controller.hardware import repository
from controller.hardware.fields import Presence, Serial, StickerCode
from controller.hardware.locks import Locks
from controller.hardware.release import Release, Releases
from controller.web.api import Call, delete, get, patch, post
from controller.web.auth import SIGNED_IN
from controller.web.fields import Name
from controller.web.models import ID, WHOLE, In, Out, Versioned

LOCKS = "/sites/{site_id}/locks"
LOCK = LOCKS + "/{lock_id}"
DEFAULT: Final = DoorSettings()

PublicKey = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$", description="X25519, hexadecimal.")]
OpenSeconds = Annotated[int, Field(ge=1, le=240), WHOLE]
ExtendedSeconds = Annotated[
    int, Field(ge=1, le=240, description="For people with the privilege extended_opening."), WHOLE
]
MemoryDays = Annotated[
    int,
    Field(ge=0, le=255, description="How long a lock opens on its own memory; 0 is off."),
    WHOLE,
]
LeftOpenSeconds = Annotated[
    int,
    Field(ge=0, le=3600, description="After which a door that stands open is told; 0: never."),
    WHOLE,
]
Office = Annotated[
    OfficeMode, Field(strict=False, description="How the lock comes to stay open for all.")
]
OfficeSchedule = Annotated[
    ScheduleId | None, ID, Field(description="Of office mode easy or scheduled, which need one.")
]
Toggle = Annotated[
    bool, Field(description="A presentation opens the door for good, the next one ends that.")
]
Privacy = Annotated[bool, Field(description="The button inside works.")]
Keypad = Annotated[bool, Field(description="PINs are taken.")]


class LockIn(In):
    """A lock to be."""

    name: Name
    serial: Serial
    public_key: PublicKey
    secret_code: StickerCode
    capacity: Annotated[
        Literal[39, 360], Field(description="Credentials that it can hold for offline use.")
    ]
    open_s: OpenSeconds = DEFAULT.open_s
    extended_open_s: ExtendedSeconds = DEFAULT.extended_open_s
    memory_days: MemoryDays = DEFAULT.memory_days
    left_open_s: LeftOpenSeconds = DEFAULT.left_open_s
    office: Office = DEFAULT.office
    office_schedule_id: OfficeSchedule = DEFAULT.office_schedule_id
    toggle: Toggle = DEFAULT.toggle
    privacy: Privacy = DEFAULT.privacy
    keypad: Keypad = DEFAULT.keypad


@with_config(ConfigDict(extra="forbid", strict=True))
class LockPatch(TypedDict, total=False):
    """What is to become of a lock; what is left out stays."""

    name: Name
    hub_id: Annotated[HubId, ID]
    repeater_id: Annotated[RepeaterId | None, ID]
    open_s: OpenSeconds
    extended_open_s: ExtendedSeconds
    memory_days: MemoryDays
    left_open_s: LeftOpenSeconds
    office: Office
    office_schedule_id: OfficeSchedule
    toggle: Toggle
    privacy: Privacy
    keypad: Keypad


class LockOut(Versioned):
    """A lock."""

    id: LockId
    hub_id: HubId
    repeater_id: RepeaterId | None
    name: str
    serial: str
    capacity: int
    open_s: int
    extended_open_s: int
    memory_days: int
    left_open_s: int
    office: OfficeMode
    office_schedule_id: ScheduleId | None
    toggle: bool
    privacy: bool
    keypad: bool
    created_at: datetime
    paired: bool
    presence: Presence
    online_since: Annotated[
        datetime | None, Field(description="Since when its presence is what it is.")
    ]
    battery: Annotated[int | None, Field(description="Per cent, as last told.")]
    battery_level: BatteryLevel | None
    mode: Annotated[LockMode | None, Field(description="As last told.")]
    offline_list_pending: bool
    offline_list_confirmed_at: datetime | None
    released_at: Annotated[
        datetime | None,
        Field(description="It leaves the site, and is gone once it has confirmed to be empty."),
    ]

    @classmethod
    def of(cls, lock: SiteLock) -> Self:
        """Return a lock as it is shown."""
        return cls(
            **asdict(lock),
            **asdict(lock.door),
            presence=Presence.of(lock.online),
            battery_level=None if lock.battery is None else BatteryLevel.of(lock.battery),
            offline_list_pending=lock.pending,
            offline_list_confirmed_at=lock.list_confirmed_at,
        )


class LocksOut(Out):
    """All locks of a site."""

    items: list[LockOut]


class ReleaseState(StrEnum):
    """How far a lock is out of its site."""

    RELEASING = "releasing"  # it goes as soon as it has confirmed to hold nothing
    RELEASED = "released"  # its serial may be registered anew


class ReleaseOut(Out):
    """What became of the wish that a lock leaves."""

    state: ReleaseState
    warning: str | None
    may_open_to: Annotated[
        list[CredentialId],
        Field(description="What the lock may open to until somebody resets it to factory state."),
    ]

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return a release as it is shown."""
        return cls(
            state=ReleaseState.RELEASED if release.is_gone else ReleaseState.RELEASING,
            warning=release.warning,
            may_open_to=list(release.may_open_to),
        )


class LocksApi:
    """The locks of a site."""

    tag = "locks"

    def __init__(self, locks: Locks, releases: Releases) -> None:
        self._locks = locks
        self._releases = releases

    @get(LOCKS, requires=Action.READ_HARDWARE)
    async def locks(self, call: Call, site_id: SiteId) -> LocksOut:
        """List the locks."""
        async with call.db.read() as tx:
            found = await repository.locks_of(tx, site_id)
        return LocksOut(items=[LockOut.of(lock) for lock in found])

    @post("/sites/{site_id}/hubs/{hub_id}/locks", requires=Action.MANAGE_HARDWARE, status=201)
    async def register_lock(
        self, call: Call, site_id: SiteId, hub_id: HubId, body: LockIn
    ) -> LockOut:
        """Put a lock on a hub. A hub serves 16."""
        values = body.model_dump()
        new = NewLock(
            serial=body.serial,
            name=body.name,
            public_key=bytes.fromhex(body.public_key),
            capacity=body.capacity,
            door=DoorSettings(**{name: values[name] for name in asdict(DEFAULT)}),
        )
        async with call.db.write() as tx:
            lock = await self._locks.register(
                tx,
                call.actor,
                site_id,
                hub_id,
                new=new,
                secret_code=body.secret_code,
                now=call.now,
            )
        return LockOut.of(lock)

    @get(LOCK, requires=Action.READ_HARDWARE)
    async def lock(self, call: Call, site_id: SiteId, lock_id: LockId) -> LockOut:
        """Show a lock."""
        async with call.db.read() as tx:
            return LockOut.of(await repository.lock(tx, site_id, lock_id))

    @patch(LOCK, requires=SIGNED_IN)
    async def edit_lock(
        self, call: Call, site_id: SiteId, lock_id: LockId, if_match: int, body: LockPatch
    ) -> LockOut:
        """Rename a lock, set how its door behaves, or have another hub or repeater reach it.

        Name, hub and repeater take the right to manage hardware, all else the one to manage doors.
        """
        async with call.db.write() as tx:
            lock = await self._locks.edit(
                tx, call.actor, site_id, lock_id, edit=body, if_match=if_match, now=call.now
            )
        return LockOut.of(lock)

    @delete(LOCK, requires=Action.MANAGE_HARDWARE)
    async def delete_lock(
        self,
        call: Call,
        site_id: SiteId,
        lock_id: LockId,
        if_match: int,
        *,
        force: Annotated[
            bool, Field(description="Free it at once, whatever it holds, subscribed or not.")
        ] = False,
    ) -> ReleaseOut:
        """Have a lock leave the site, once it has confirmed to hold nothing of it."""
        release = self._releases.force if force else self._releases.begin
        async with call.db.write() as tx:
            done = await release(tx, call.actor, site_id, lock_id, if_match=if_match, now=call.now)
        return ReleaseOut.of(done)
