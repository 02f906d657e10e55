"""What an edit has touched, and which hubs and locks it reaches.

An edit says what it touched. From that follows which hubs are asked for, which offline lists may
have grown, and, later, what of a hub's state is compiled anew: ``site_changes`` keeps what was
touched in the order of the commits. So all of it costs as much as has changed.

What is touched has to lead to everything that the edit reaches, also where the way there is gone
by now: when somebody leaves a group both are touched, and with a group that is deleted its locks
are. ``EVERYTHING`` is always right, and dear.

Source: docs/algorithms/delivery.md.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, and_, delete, insert, select, update

from controller.db.engine import ReadSession, Session
from controller.db.tables.access import access_groups
from controller.db.tables.hardware import locks
from controller.db.tables.people import credentials
from controller.db.tables.sites import site_changes, sites
from controller.domain.ids import HubId, LockId, SiteId
from controller.sync.rights import WAYS, Way

KEPT_MAX: Final = 10_000  # of a site; whoever is further behind compiles everything
TOUCHED_MAX: Final = 1_000  # an edit that touches more touches everything
IDS_AT_ONCE: Final = 500


class Kind(StrEnum):
    """What kind of thing was touched."""

    PERSON = "person"  # with credentials, memberships and seat
    GROUP = "group"  # also a locker or a pod: what gives people rights at locks
    SCHEDULE = "schedule"
    LOCK = "lock"
    HUB = "hub"  # only to be asked for; nothing of it is compiled anew
    HOLIDAYS = "holidays"  # of the site
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True, order=True)
class Touched:
    """One thing that an edit touched."""

    kind: Kind
    item_id: str = ""  # empty where the kind says it all

    @classmethod
    def people(cls, *ids: str) -> list["Touched"]:
        """Return people as touched."""
        return [cls(Kind.PERSON, each) for each in ids]

    @classmethod
    def groups(cls, *ids: str) -> list["Touched"]:
        """Return access groups, lockers or pods as touched."""
        return [cls(Kind.GROUP, each) for each in ids]

    @classmethod
    def schedules(cls, *ids: str) -> list["Touched"]:
        """Return schedules as touched."""
        return [cls(Kind.SCHEDULE, each) for each in ids]

    @classmethod
    def locks(cls, *ids: str) -> list["Touched"]:
        """Return locks as touched."""
        return [cls(Kind.LOCK, each) for each in ids]

    @classmethod
    def hubs(cls, *ids: str) -> list["Touched"]:
        """Return hubs that are asked for: a lock was theirs, or they begin anew."""
        return [cls(Kind.HUB, each) for each in ids]


EVERYTHING: Final = (Touched(Kind.EVERYTHING),)
HOLIDAYS: Final = (Touched(Kind.HOLIDAYS),)


async def note(tx: Session, site_id: SiteId, touched: Collection[Touched]) -> None:
    """Write down what an edit touched, after all edits of the site before it."""
    kinds = {each.kind for each in touched}
    if Kind.EVERYTHING in kinds or len(touched) > TOUCHED_MAX:
        touched = EVERYTHING
    noted = sorted({each for each in touched if each.kind is not Kind.HUB})
    if not noted:
        return
    raised = await tx.execute(
        update(sites)
        .where(sites.c.id == site_id)
        .values(change_number=sites.c.change_number + len(noted))
        .returning(sites.c.change_number)
    )
    newest: int = raised.scalar_one()
    rows = [
        {"site_id": site_id, "number": number, "kind": each.kind, "item_id": each.item_id}
        for number, each in enumerate(noted, newest - len(noted) + 1)
    ]
    await tx.execute(insert(site_changes), rows)
    await tx.execute(
        delete(site_changes).where(
            site_changes.c.site_id == site_id, site_changes.c.number <= newest - KEPT_MAX
        )
    )


async def newest(tx: ReadSession, site_id: SiteId) -> int:
    """Return the number of the newest change in this view."""
    found = await tx.execute(select(sites.c.change_number).where(sites.c.id == site_id))
    return int(found.scalar_one())


async def touched_since(tx: ReadSession, site_id: SiteId, number: int) -> frozenset[Touched] | None:
    """Return what was touched after a change; None when that may be anything."""
    some = select(site_changes).where(
        site_changes.c.site_id == site_id, site_changes.c.number > number
    )
    rows = list(await tx.execute(some.order_by(site_changes.c.number)))
    touched = frozenset(Touched(Kind(row.kind), row.item_id) for row in rows)
    is_whole = len(rows) == await newest(tx, site_id) - number
    return touched if is_whole and touched.isdisjoint(EVERYTHING) else None


@dataclass(frozen=True, slots=True)
class Reach:
    """Which hubs are asked for and whose offline list may have grown; None: all of the site."""

    hub_ids: frozenset[HubId] | None
    lock_ids: frozenset[LockId] | None


async def reach(tx: ReadSession, site_id: SiteId, touched: Collection[Touched]) -> Reach:
    """Return where an edit leads, by the rows as they are after it."""
    ids: dict[Kind, set[Any]] = {kind: set() for kind in Kind}
    for each in touched:
        ids[each.kind].add(each.item_id)
    if ids[Kind.EVERYTHING]:
        return Reach(None, None)
    group_ids = ids[Kind.GROUP] | await following(tx, site_id, ids[Kind.SCHEDULE])
    listed: set[Any] = ids[Kind.LOCK] | await doors_of_groups(tx, site_id, group_ids)
    offline = await _offline(tx, site_id, ids[Kind.PERSON])
    listed |= await doors_of_people(tx, site_id, offline)
    if ids[Kind.HOLIDAYS]:
        return Reach(None, frozenset(listed))
    reached = listed | await doors_of_people(tx, site_id, ids[Kind.PERSON] - offline)
    reached |= await in_office(tx, site_id, ids[Kind.SCHEDULE])
    hub_ids = await _values(
        tx, select(locks.c.hub_id).where(locks.c.site_id == site_id).distinct(), locks.c.id, reached
    )
    return Reach(frozenset(hub_ids | ids[Kind.HUB]), frozenset(listed))


async def following(tx: ReadSession, site_id: SiteId, schedule_ids: Collection[str]) -> set[str]:
    """Return the access groups that follow some schedules."""
    some = select(access_groups.c.id).where(access_groups.c.site_id == site_id)
    return await _values(tx, some, access_groups.c.schedule_id, schedule_ids)


async def in_office(tx: ReadSession, site_id: SiteId, schedule_ids: Collection[str]) -> set[str]:
    """Return the locks whose office mode follows some schedules."""
    some = select(locks.c.id).where(locks.c.site_id == site_id)
    return await _values(tx, some, locks.c.office_schedule_id, schedule_ids)


async def doors_of_groups(tx: ReadSession, site_id: SiteId, group_ids: Collection[str]) -> set[str]:
    """Return the locks of some groups."""
    found: set[str] = set()
    for way in WAYS:
        found |= await _values(tx, _doors(way, site_id), way.doors_group, group_ids)
    return found


async def doors_of_people(
    tx: ReadSession, site_id: SiteId, person_ids: Collection[str]
) -> set[LockId]:
    """Return the locks of the groups of some people."""
    found: set[LockId] = set()
    for way in WAYS:
        joined = _doors(way, site_id).join(
            way.people,
            and_(way.people.c.site_id == site_id, way.people_group == way.doors_group),
        )
        found |= await _values(tx, joined, way.people.c.person_id, person_ids)
    return found


async def groups_of_people(
    tx: ReadSession, site_id: SiteId, person_ids: Collection[str]
) -> set[str]:
    """Return the groups of some people."""
    found: set[str] = set()
    for way in WAYS:
        some = select(way.people_group).where(way.people.c.site_id == site_id).distinct()
        found |= await _values(tx, some, way.people.c.person_id, person_ids)
    return found


def in_batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """Return ids in batches that one statement can take, in order."""
    ordered = sorted(ids)
    return (ordered[at : at + IDS_AT_ONCE] for at in range(0, len(ordered), IDS_AT_ONCE))


def _doors(way: Way, site_id: SiteId) -> Select[Any]:
    return select(way.doors.c.lock_id).where(way.doors.c.site_id == site_id).distinct()


async def _offline(tx: ReadSession, site_id: SiteId, person_ids: Collection[str]) -> set[str]:
    """Return those of some people who hold a credential with offline access."""
    some = select(credentials.c.person_id).where(
        credentials.c.site_id == site_id, credentials.c.offline
    )
    return await _values(tx, some.distinct(), credentials.c.person_id, person_ids)


async def _values(
    tx: ReadSession, statement: Select[Any], column: Any, ids: Collection[str]
) -> set[Any]:
    """Return the first column of all rows where another is one of some ids."""
    found: set[Any] = set()
    for some in in_batches(ids):
        found.update((await tx.execute(statement.where(column.in_(some)))).scalars())
    return found
