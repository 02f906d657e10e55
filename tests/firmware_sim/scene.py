"""The standard site of these tests: who may open what, and when."""

from dataclasses import dataclass, replace

from firmware_sim.inputs import FactoryReset, Press, RadioHeard
from gateway.protocol.messages import CommandOutcome, Entry, EntryKind
from gateway.protocol.sealing import OrderKind
from gateway.protocol.sections import OfflineGrant, OfflineList, Window
from tests.firmware_sim.cloud import DOOR, FAR, Cloud, offline_list, person, weekly
from tests.firmware_sim.world import Hub, Lock, World

ANN = bytes.fromhex("04a1000001")  # may open every lock at all times
BEN = bytes.fromhex("04b2000002")  # likewise, and stands on every lock's offline list
CAT = bytes.fromhex("04c3000003")  # only on weekdays, 08:00 to 18:00; on the list likewise
DAN = bytes.fromhex("04d4000004")  # is nobody here

OPENINGS = (
    EntryKind.OPENED_BY_HUB,
    EntryKind.OPENED_BY_LIST,
    EntryKind.OPENED_BY_MEMORY,
    EntryKind.OPENED_REMOTELY,
)
OFFICE_HOURS = weekly(*(Window(weekday=day, start_min=480, end_min=1080) for day in range(5)))


@dataclass
class Scene:
    """A site in a world."""

    world: World
    cloud: Cloud

    @property
    def hub(self) -> Hub:
        """The only hub, or the first."""
        return self.hubs[0]

    @property
    def lock(self) -> Lock:
        """The only lock, or the first."""
        return self.hub.locks[0]

    def renew(self, *, ends_at_s: int = FAR, grace_s: int = 86_400) -> None:
        """Give every hub of the site a new lease, then what it lacks."""
        for hub in self.hubs:
            self.world.deliver(
                hub, self.cloud.lease(hub.identity.hub_id, ends_at_s=ends_at_s, grace_s=grace_s)
            )

    def expire(self) -> None:
        """Tell every hub of the site that it is unsubscribed."""
        for hub in self.hubs:
            lease = self.cloud.lease(hub.identity.hub_id, subscribed=False, ends_at_s=0)
            self.world.deliver(hub, lease)

    def publish(self) -> None:
        """Compile and send the plans as a new revision."""
        for hub in self.hubs:
            self.world.deliver(hub, self.cloud.manifest(hub.identity.hub_id))

    def set_door(self, **changes: object) -> None:
        """Change the first lock's settings."""
        plan = self.cloud.plans[self.hub.identity.hub_id]
        door = plan.doors.get(self.lock.name, DOOR)
        plan.doors[self.lock.name] = replace(door, **changes)  # type: ignore[arg-type]  # a test that names no setting fails at once
        self.publish()

    def add_person(self, name: str, digest: bytes, *, privileges: int = 0) -> None:
        """Let somebody in at all times, at every lock and offline at the first."""
        plan = self.cloud.plans[self.hub.identity.hub_id]
        plan.people += (person(name, digest, groups=("all",), privileges=privileges or None),)
        held = plan.lists[self.lock.name]
        grant = OfflineGrant(credential_digest=digest, privileges=privileges or None)
        plan.lists[self.lock.name] = replace(held, grants=(*held.grants, grant))
        self.publish()

    def order(self, kind: OrderKind, *, seconds: int | None = None) -> bytes:
        """Order something of the first lock; return the command's id."""
        command_id, command = self.cloud.command(
            self.hub.identity.hub_id,
            self.lock.name,
            issued_ms=self.world.utc_ms,
            until_ms=self.world.order_until_ms,
            kind=kind,
            seconds=seconds,
        )
        self.world.deliver(self.hub, command)
        return command_id

    def outcome(self, command_id: bytes) -> CommandOutcome | None:
        """Return what became of an order, as far as the cloud knows."""
        told = [each for each in self.cloud.replies if each.command_id == command_id]
        return told[-1].outcome if told else None

    def log(self, *, since: int = 0) -> list[Entry]:
        """Return what the first lock has logged after a sequence, oldest first."""
        lock_id = self.cloud.lock_id(self.lock.name)
        committed = {key[2]: one for key, one in self.cloud.entries.items() if key[0] == lock_id}
        held = {each.sequence: each for each in self.lock.now.log.entries}
        every = {**committed, **held}
        return [every[sequence] for sequence in sorted(every) if sequence > since]

    def kinds(self, *, since: int = 0) -> list[EntryKind]:
        """Return the kinds of what the first lock has logged after a sequence."""
        return [each.kind for each in self.log(since=since)]

    @property
    def hubs(self) -> list[Hub]:
        """The site's hubs."""
        return [hub for hub in self.world.hubs if hub.cloud is self.cloud]

    def reset(self, lock: Lock) -> None:
        """Set a lock to factory state and commission it anew."""
        self.world.tell(lock, FactoryReset())
        self.world.tell(lock, Press())

    def replay(self, device: Hub | Lock, frames: list[bytes]) -> None:
        """Play recorded frames to a device, whatever its radio is like."""
        for data in list(frames):
            self.world.tell(device, RadioHeard(data=data))

    @property
    def openings_committed(self) -> int:
        """How many openings the cloud knows of."""
        return sum(entry.kind in OPENINGS for entry in self.cloud.entries.values())


def scene(
    *,
    hubs: int = 1,
    locks: int = 1,
    world: World | None = None,
    site: str = "a",
    capacity: int = 39,
) -> Scene:
    """Build the standard site and switch it on."""
    made = prepare(hubs=hubs, locks=locks, world=world, site=site, capacity=capacity)
    made.world.start()
    return made


def prepare(
    *,
    hubs: int = 1,
    locks: int = 1,
    world: World | None = None,
    site: str = "a",
    capacity: int = 39,
) -> Scene:
    """Build the standard site without power."""
    world = world or World()
    cloud = Cloud(site)
    made = Scene(world, cloud)
    for _ in range(hubs):
        hub = world.add_hub(cloud)
        for _ in range(locks):
            world.add_lock(hub, capacity=capacity)
        plan = cloud.plans[hub.identity.hub_id]
        names = tuple(lock.name for lock in hub.locks)
        plan.schedules = {"office": OFFICE_HOURS}
        plan.groups = {"all": (names, None), "staff": (names, "office")}
        plan.people = (
            person("ann", cloud.digest(ANN), groups=("all",)),
            person("ben", cloud.digest(BEN), groups=("all",)),
            person("cat", cloud.digest(CAT), groups=("staff",)),
        )
        plan.lists = {name: list_of(cloud, name) for name in names}
    return made


def list_of(cloud: Cloud, lock: str, *more: bytes) -> OfflineList:
    """Return the standard offline list of a lock, with more tags if wanted."""
    return offline_list(
        cloud.lock_id(lock),
        OfflineGrant(credential_digest=cloud.digest(BEN)),
        OfflineGrant(credential_digest=cloud.digest(CAT), schedules=(0,)),
        *(OfflineGrant(credential_digest=cloud.digest(tag)) for tag in more),
        schedules=(OFFICE_HOURS,),
    )
