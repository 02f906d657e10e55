"""Revocations with their worst case, by what hubs and locks have confirmed."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from controller.access.revocations import Revocation, Revocations
from controller.db.engine import Database
from controller.db.tables.access import access_groups, group_locks, group_people
from controller.db.tables.hardware import hubs, locks, offline_lists, purges
from controller.db.tables.people import credentials, people
from controller.domain.errors import NotFound
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.domain.worst_case import Way
from controller.sync.changes import Touched
from controller.sync.revocations import revoke_credential, revoke_people
from controller.sync.service import Sync
from controller.threads import PoolThreads
from gateway.protocol.topics import UpKind
from tests.controller import ground as grounds
from tests.controller.ground import ENDS, GRACE, NOW, Ground, Hub, name
from tests.controller.people import ground as people_ground

SITE = SiteId(name("site", 0))
LISTED = 0  # the person whose tag has offline access
PLAIN = 1
MEMORY = timedelta(days=7)
MINUTE = timedelta(minutes=1)


@dataclass
class Site:
    """A site with two hubs of two locks each, all of whose people may open everything."""

    ground: Ground

    @property
    def hubs(self) -> list[Hub]:
        """The hubs."""
        return [self.ground.hub(0, number) for number in (0, 1)]

    @property
    def passed(self) -> timedelta:
        """How long it has been."""
        return self.ground.clocks.calendar - NOW

    def pass_by(self, passed: timedelta) -> datetime:
        """Let time pass and return the instant."""
        self.ground.clocks.calendar += passed
        return self.ground.clocks.calendar

    async def revoke(self, number: int, *, delete_it: bool = False) -> None:
        """Block the tag of a person, or delete the person with it."""
        tag, person = CredentialId(name("tag", 0, number)), PersonId(name("person", 0, number))
        now = self.ground.clocks.calendar
        async with self.ground.db.write() as tx:
            await revoke_people(tx, SITE, [person], now=now)
            if delete_it:
                for table in (credentials, group_people):
                    await tx.execute(delete(table).where(table.c.person_id == person))
                await tx.execute(delete(people).where(people.c.id == person))
            else:
                blocked = update(credentials).where(credentials.c.id == tag)
                await tx.execute(blocked.values(blocked_at=now))
            touched = [*Touched.people(person), *Touched.groups(name("group", 0))]
            await Sync(self.ground.bus).request_revision(tx, SITE, touched)

    async def hear(self, hub: Hub, *, locks_too: Collection[int] = (0, 1), behind: int = 0) -> None:
        """Let a hub confirm what is wanted of it, or less, and some of its locks their lists."""
        await self.ground.inbound.documents([hub.id])
        row = await self.ground.row(hubs, id=hub.id)
        told = []
        for number in (0, 1):
            lock = await self.ground.row(locks, id=hub.lock_id(number).hex())
            holds = lock.list_wanted if number in locks_too else lock.list_confirmed
            told.append(hub.lock_status(number, list_hash=holds))
        status = hub.status(
            lease=row.lease_wanted, revision=row.revision_wanted - behind, locks=tuple(told)
        )
        await self.ground.tell(hub, UpKind.CONFIRM, status)

    async def revocations(self, **more: Any) -> list[Revocation]:
        """Return the revocations as they are shown."""
        async with self.ground.db.read() as tx:
            return await Revocations(offline_grace=GRACE).page(
                tx, SITE, now=self.ground.clocks.calendar, limit=50, **more
            )

    async def one(self) -> Revocation:
        """Return the only revocation."""
        (found,) = await self.revocations()
        return found


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    """A site whose hubs and locks hold what is wanted of them."""
    threads = PoolThreads()
    made = Site(await grounds.lay(database, tmp_path, threads))
    for hub in made.hubs:
        await made.hear(hub)
    made.pass_by(MINUTE)
    yield made
    await made.ground.restore()
    threads.close()


def ways(found: Revocation) -> dict[str, dict[Way, datetime | None]]:
    """Return until when each way is open, by lock."""
    return {one.lock_id: {way.way: way.until for way in one.openings} for one in found.locks}


def lock(site: Site, hub: int, number: int) -> str:
    """Return the id of a lock."""
    return site.hubs[hub].lock_id(number).hex()


@pytest.mark.invariant("A1")
async def test_a_revocation_is_done_once_all_its_hubs_and_locks_have_confirmed(site: Site) -> None:
    """Not before the last of them; and later edits do not make it open again."""
    await site.revoke(LISTED)
    counts = [len((await site.one()).locks)]
    for hub, locks_too in ((0, [0]), (0, [0, 1]), (1, [1]), (1, [0, 1])):
        site.pass_by(MINUTE)
        await site.hear(site.hubs[hub], locks_too=locks_too)
        counts.append(len((await site.one()).locks))
    done_at = site.ground.clocks.calendar
    assert (await site.one()).done_at == done_at
    site.pass_by(MINUTE)
    await site.ground.touch()

    assert counts == [4, 3, 2, 1, 0]
    assert (await site.one()).done_at == done_at
    assert (await site.revocations(unconfirmed=True)) == []


@pytest.mark.invariant("A1")
async def test_an_older_revision_confirms_nothing(site: Site) -> None:
    """Hub and lock may say that they hold what was wanted before the edit; a later one will do."""
    for number in (LISTED, PLAIN):
        await site.revoke(number)
    hub = site.hubs[0]
    await site.hear(hub, behind=1)

    newer, older = await site.revocations()

    assert {Way.HUB in each for each in ways(newer).values()} == {True}
    assert Way.HUB not in ways(older)[lock(site, 0, 0)]
    assert len(older.locks) == 4  # its locks wait for a hub that is up to date
    await site.hear(hub)
    assert len((await site.revocations())[1].locks) == 2


async def test_a_hub_that_has_not_heard_is_told_with_its_bound(site: Site) -> None:
    """Its lease and the operator's grace; the lock remembers what it let in at last."""
    await site.revoke(PLAIN)
    await site.hear(site.hubs[1])

    found = await site.one()

    last = ENDS + GRACE
    assert ways(found) == {
        lock(site, 0, number): {Way.HUB: last, Way.UNTOLD: last + MEMORY} for number in (0, 1)
    }
    assert found.done_at is None


async def test_a_lock_that_holds_an_older_list_is_told(site: Site) -> None:
    """Until the end of the grant, or until it is reached when it has none."""
    await site.revoke(LISTED)
    heard_at = site.pass_by(MINUTE)
    await site.hear(site.hubs[0], locks_too=[1])
    await site.hear(site.hubs[1])

    found = await site.one()

    assert ways(found) == {lock(site, 0, 0): {Way.LIST: None, Way.UNTOLD: heard_at + MEMORY}}
    assert found.locks[0].until is None


async def test_a_known_opening_is_told(site: Site) -> None:
    """The lock's memory holds it for so many days; before them it is over."""
    hub, opened_at = site.hubs[0], NOW + timedelta(seconds=1)
    await site.ground.tell(hub, UpKind.BATCH, hub.batch(1, credential_digest=grounds.tag(0, PLAIN)))
    await site.revoke(PLAIN, delete_it=True)
    heard_at = site.pass_by(MINUTE)
    await site.hear(hub, locks_too=[1])
    await site.hear(site.hubs[1])

    found = await site.one()
    site.ground.clocks.calendar = heard_at + MEMORY
    over = await site.one()

    assert ways(found) == {
        lock(site, 0, 0): {Way.MEMORY: opened_at + MEMORY, Way.UNTOLD: heard_at + MEMORY}
    }
    assert (found.label, found.person_name) == (None, None)
    assert over.locks == ()
    assert over.done_at == heard_at + MEMORY


async def test_ends_are_those_from_before_the_edit(site: Site) -> None:
    """Who has not heard that a stay ends earlier goes by the end of before."""
    tag, later = CredentialId(name("tag", 0, PLAIN)), NOW + timedelta(days=2)
    end = update(credentials).where(credentials.c.id == tag)
    async with site.ground.db.write() as tx:
        await tx.execute(end.values(ends_at=later))
    async with site.ground.db.write() as tx:
        await revoke_credential(tx, SITE, tag, now=site.ground.clocks.calendar)
        await tx.execute(end.values(ends_at=NOW + timedelta(days=1)))
        person = Touched.people(name("person", 0, PLAIN))
        await Sync(site.ground.bus).request_revision(tx, SITE, person)

    found = await site.one()

    assert {until for each in ways(found).values() for until in each.values()} == {later}


async def test_the_latest_end_that_was_not_taken_back_everywhere_counts(site: Site) -> None:
    """A tag without an end gets one and is then blocked: who heard of neither knows of no end."""
    tag = CredentialId(name("tag", 0, PLAIN))
    async with site.ground.db.write() as tx:
        await revoke_credential(tx, SITE, tag, now=site.ground.clocks.calendar)
        end = update(credentials).where(credentials.c.id == tag)
        await tx.execute(end.values(ends_at=NOW + timedelta(days=1)))
        person = Touched.people(name("person", 0, PLAIN))
        await Sync(site.ground.bus).request_revision(tx, SITE, person)
    await site.revoke(PLAIN)

    blocked, shortened = await site.revocations()

    assert ways(blocked) == ways(shortened)
    assert {each[Way.HUB] for each in ways(blocked).values()} == {ENDS + GRACE}


async def test_a_lock_where_the_right_lasts_is_left_out(site: Site) -> None:
    """Leaving one of two groups takes nothing where the other has the same lock."""
    other = {"site_id": SITE, "group_id": "9" * 32}
    keeps = lock(site, 0, 0)
    async with site.ground.db.write() as tx:
        row = {"site_id": SITE, "id": "9" * 32, "name": "Other", "created_at": NOW, "version": 1}
        await tx.execute(insert(access_groups).values(**row))
        await tx.execute(insert(group_locks).values(**other, lock_id=keeps))
        person = name("person", 0, PLAIN)
        await tx.execute(insert(group_people).values(**other, person_id=person))
        await revoke_people(tx, SITE, [PersonId(person)], now=site.ground.clocks.calendar)
        await tx.execute(
            delete(group_people).where(
                group_people.c.person_id == person, group_people.c.group_id != "9" * 32
            )
        )
        touched = [*Touched.people(person), *Touched.groups(name("group", 0))]
        await Sync(site.ground.bus).request_revision(tx, SITE, touched)

    found = await site.one()

    assert len(found.locks) == 3
    assert keeps not in ways(found)


async def test_a_phone_opens_no_longer_than_its_document(site: Site) -> None:
    """Whatever list it stands on: a blocked key gets no new access document."""
    issued_at = NOW - timedelta(days=3)
    async with site.ground.db.write() as tx:
        await tx.execute(
            update(credentials)
            .where(credentials.c.id == name("tag", 0, LISTED))
            .values(kind="digital_key", document_issued_at=issued_at)
        )
    await site.revoke(LISTED)

    found = await site.one()

    until = {until for each in ways(found).values() for until in each.values()}
    assert until == {issued_at + timedelta(days=7)}


async def test_a_list_that_nobody_kept_may_name_anybody(site: Site) -> None:
    """What a lock has confirmed and the cloud no longer knows is not taken for harmless."""
    async with site.ground.db.write() as tx:
        await tx.execute(delete(offline_lists))
    await site.revoke(PLAIN)
    for hub in site.hubs:
        await site.hear(hub, locks_too=[])

    assert {each[Way.LIST] for each in ways(await site.one()).values()} == {None}


async def test_a_list_that_the_lock_may_have_got_unheard_counts(site: Site) -> None:
    """One that was wanted before the lock fell silent, however many have been wanted since."""
    for number, offline in ((PLAIN, True), (PLAIN, False), *((2, n % 2 == 0) for n in range(12))):
        person = name("person", 0, number)
        async with site.ground.db.write() as tx:
            tag = update(credentials).where(credentials.c.person_id == person)
            await tx.execute(tag.values(offline=offline, ends_at=ENDS + site.passed))
            await Sync(site.ground.bus).request_revision(tx, SITE, Touched.people(person))
        site.pass_by(MINUTE)
        await site.hear(site.hubs[0], locks_too=[1])
    await site.revoke(PLAIN)
    for hub in site.hubs:
        await site.hear(hub, locks_too=[1])

    found = ways(await site.one())

    assert Way.LIST in found[lock(site, 0, 0)]


async def test_a_lock_that_has_left_is_judged_no_more(site: Site) -> None:
    """The lock's own leaving says what it may still open to."""
    await site.revoke(PLAIN)
    gone = lock(site, 0, 0)
    async with site.ground.db.write() as tx:
        for table in (offline_lists, purges, group_locks):
            await tx.execute(delete(table).where(table.c.lock_id == gone))
        await tx.execute(delete(locks).where(locks.c.id == gone))

    assert gone not in ways(await site.one())


async def test_revocations_are_shown_newest_first_in_pages(site: Site) -> None:
    """Each once; of one credential too, also after it has been deleted."""
    await site.revoke(PLAIN)
    await site.revoke(LISTED)
    await site.revoke(PLAIN, delete_it=True)
    plain = CredentialId(name("tag", 0, PLAIN))

    found = await site.revocations()
    rest = await site.revocations(after=(found[0].number, found[0].credential_id))

    assert [one.number for one in found] == [3, 2, 1]
    assert rest == found[1:]
    assert [one.number for one in await site.revocations(credential_id=plain)] == [3, 1]
    with pytest.raises(NotFound):
        await site.revocations(credential_id=CredentialId("0" * 32))


@pytest.mark.parametrize("whose", ["person", "credential"])
async def test_an_end_brought_forward_is_shown_with_the_end_of_before(
    ground: people_ground.Ground, whose: str
) -> None:
    """Over REST: what is told is the end that hubs and locks still know."""
    before, after = [
        (people_ground.NOW + timedelta(days=days)).isoformat().replace("+00:00", "Z")
        for days in (2, 1)
    ]
    pia = await ground.person(expires_at=before if whose == "person" else None)
    tag = await ground.tag(pia, ends_at=before if whose == "credential" else None)
    door = await ground.lock(await ground.hub())
    await ground.group(people=(pia,), locks=(door,))
    path = f"/sites/{people_ground.OWN}/people/{pia['id']}"
    if whose == "person":
        await ground.call("PATCH", path, {"expires_at": after}, if_match=1)
    else:
        path = f"{path}/credentials/{tag['id']}"
        await ground.call("PATCH", path, {"ends_at": after}, if_match=1)

    (shown,) = (await ground.call("GET", f"/sites/{people_ground.OWN}/revocations")).body["items"]

    assert shown == {
        "number": 1,
        "credential_id": tag["id"],
        "kind": "tag",
        "label": "",
        "person_id": pia["id"],
        "person_name": "Pia",
        "revoked_at": "2026-03-02T12:00:00Z",
        "state": "pending",
        "done_at": None,
        "until": before,
        "until_reached": False,
        "open_locks": 1,
        "locks": [
            {
                "lock_id": door["id"],
                "lock_name": door["name"],
                "until": before,
                "ways": [
                    {"way": "hub_unconfirmed", "until": before},
                    {"way": "memory_untold", "until": before},
                ],
            }
        ],
    }
