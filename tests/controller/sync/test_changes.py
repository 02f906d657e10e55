"""What an edit touched, where that leads, and in which order it is kept."""

import asyncio
from typing import Final

import pytest
from sqlalchemy import delete

from controller.db.tables.access import group_locks, group_people
from controller.db.tables.hardware import hubs
from controller.db.tables.sites import site_changes, sites
from controller.domain.ids import SiteId
from controller.sync import changes
from controller.sync.changes import EVERYTHING, HOLIDAYS, TOUCHED_MAX, Touched
from tests.controller.ground import Ground, name

SITE: Final = SiteId(name("site", 0))
PERSON: Final = name("person", 0, 1)  # holds a tag without offline access
HOLDER: Final = name("person", 0, 0)  # holds one with it
GROUP: Final = name("group", 0)


def hub(number: int) -> str:
    """The id of a hub of the site."""
    return name("hub", 0, number)


def lock(hub_number: int, number: int = 0) -> str:
    """The id of a lock of the site."""
    return name("lock", 0, hub_number, number)


@pytest.fixture
async def divided(ground: Ground) -> Ground:
    """The group opens the locks of hub 0 only."""
    async with ground.db.write() as tx:
        theirs = group_locks.c.lock_id.in_([lock(1, 0), lock(1, 1)])
        await tx.execute(delete(group_locks).where(group_locks.c.site_id == SITE, theirs))
    return ground


async def wanted(ground: Ground) -> dict[str, int]:
    """What revision is wanted of the hubs of both sites."""
    return {row.id: row.revision_wanted for row in await ground.rows(hubs)}


@pytest.mark.parametrize(
    ("touched", "hub_numbers", "listed"),
    [
        (Touched.people(PERSON), {0}, set()),
        (Touched.people(HOLDER), {0}, {lock(0, 0), lock(0, 1)}),
        (Touched.groups(GROUP), {0}, {lock(0, 0), lock(0, 1)}),
        (Touched.locks(lock(1)), {1}, {lock(1)}),
        (Touched.hubs(hub(1)), {1}, set()),
        (Touched.people(name("nobody")), set(), set()),
        (HOLIDAYS, {0, 1}, set()),
        (EVERYTHING, {0, 1}, None),
    ],
    ids=["person", "holder", "group", "lock", "hub", "nobody", "holidays", "everything"],
)
async def test_an_edit_asks_the_hubs_that_it_reaches(
    divided: Ground, touched: list[Touched], hub_numbers: set[int], listed: set[str] | None
) -> None:
    """And names the locks whose lists may have grown; the other site hears nothing."""
    before = await wanted(divided)
    async with divided.db.read() as tx:
        reached = await changes.reach(tx, SITE, touched)
    await divided.touch(*touched)
    after = await wanted(divided)

    asked = {hub_id for hub_id in after if after[hub_id] != before[hub_id]}
    assert asked == {hub(number) for number in hub_numbers}
    assert reached.lock_ids == listed


async def test_who_is_gone_leads_by_what_was_touched_too(divided: Ground) -> None:
    """Who has left a group leads to its locks by the group, which is touched as well."""
    async with divided.db.write() as tx:
        await tx.execute(delete(group_people).where(group_people.c.person_id == PERSON))
    before = await wanted(divided)

    await divided.touch(*Touched.people(PERSON))
    assert await wanted(divided) == before

    await divided.touch(*Touched.people(PERSON), *Touched.groups(GROUP))
    assert await wanted(divided) == before | {hub(0): before[hub(0)] + 1}


async def test_changes_are_numbered_without_holes_in_the_order_of_commits(ground: Ground) -> None:
    """Also when many edit at once, and one of them does not commit."""

    async def fail() -> None:
        async with ground.db.write() as tx:
            await changes.note(tx, SITE, Touched.people(PERSON))
            raise ZeroDivisionError

    edits = [ground.touch(*Touched.people(PERSON, HOLDER)) for _ in range(10)]
    done = await asyncio.gather(*edits, fail(), return_exceptions=True)

    assert [type(each) for each in done if each] == [ZeroDivisionError]
    rows = await ground.rows(site_changes)
    assert sorted(row.number for row in rows) == list(range(1, 21))
    assert (await ground.row(sites, id=SITE)).change_number == 20


async def test_what_was_touched_since_is_what_was_noted_since(ground: Ground) -> None:
    """Of a later change nothing from before; a hub that is only asked for touches nothing."""
    await ground.touch(*Touched.people(PERSON))
    await ground.touch(*Touched.groups(GROUP), *Touched.hubs(hub(0)))

    async with ground.db.read() as tx:
        seen = [await changes.touched_since(tx, SITE, number) for number in range(3)]

    assert seen == [
        frozenset([*Touched.people(PERSON), *Touched.groups(GROUP)]),
        frozenset(Touched.groups(GROUP)),
        frozenset(),
    ]


async def test_when_nobody_knows_what_was_touched_it_is_everything(ground: Ground) -> None:
    """Rows that are gone, an edit that did not say, and one that touched too much."""
    many = Touched.people(*(f"{number:032x}" for number in range(TOUCHED_MAX + 1)))
    for touched in (Touched.people(PERSON), EVERYTHING, Touched.people(PERSON), many):
        await ground.touch(*touched)
    async with ground.db.write() as tx:
        await tx.execute(delete(site_changes).where(site_changes.c.number == 1))

    async with ground.db.read() as tx:
        seen = [await changes.touched_since(tx, SITE, number) for number in range(5)]

    assert seen == [None, None, None, None, frozenset()]
    assert len(await ground.rows(site_changes)) == 3
