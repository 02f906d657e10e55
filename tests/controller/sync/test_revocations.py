"""Which locks are told to forget whom, and how."""

from datetime import datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import delete, insert, select

from controller.db.tables.access import group_locks, group_people
from controller.db.tables.hardware import locks, purges
from controller.db.tables.people import credentials, people, revoked_digests
from controller.domain.ids import CredentialId, PersonId, SiteId
from controller.sync import revocations
from gateway.protocol.sections import PURGE_MAX
from tests.controller.ground import NOW, Ground, name, tag

SITE: Final = SiteId(name("site", 0))
LOCKS: Final = tuple(name("lock", 0, hub, number) for hub in (0, 1) for number in (0, 1))


@pytest.fixture
async def crowded(ground: Ground) -> Ground:
    """The group has three of the locks, and 30 more people."""
    extra = range(100, 130)
    site = {"site_id": SITE, "version": 1, "created_at": NOW}
    holders = [site | {"id": name("person", 0, n), "name": "Pat"} for n in extra]
    tags = [
        site
        | {
            "id": name("tag", 0, n),
            "person_id": name("person", 0, n),
            "kind": "tag",
            "digest": tag(0, n),
            "label": "",
            "offline": False,
        }
        for n in extra
    ]
    member = {"site_id": SITE, "group_id": name("group", 0)}
    members = [member | {"person_id": name("person", 0, n)} for n in extra]
    async with ground.db.write() as tx:
        await tx.execute(delete(group_locks).where(group_locks.c.lock_id == LOCKS[3]))
        for table, rows in ((people, holders), (credentials, tags), (group_people, members)):
            await tx.execute(insert(table), rows)
    return ground


async def revoke(ground: Ground, *numbers: int, now: datetime = NOW) -> None:
    """Note that people lost a right."""
    person_ids = [PersonId(name("person", 0, number)) for number in numbers]
    async with ground.db.write() as tx:
        await revocations.revoke_people(tx, SITE, person_ids, now=now)


async def named(ground: Ground, lock_id: str) -> set[bytes]:
    """Whom a lock must forget by name."""
    return {row.digest for row in await ground.rows(purges, lock_id=lock_id)}


async def forgets_before(ground: Ground) -> list[datetime | None]:
    """When the newest revocation that is not named happened, for each lock."""
    return [(await ground.row(locks, id=lock_id)).purged_at for lock_id in LOCKS]


@pytest.mark.invariant("A1")
async def test_the_locks_at_which_there_was_a_right_forget_by_name(crowded: Ground) -> None:
    """No other lock of the site, nor anybody else's credential, nor another site."""
    await revoke(crowded, 1)

    assert [await named(crowded, each) for each in LOCKS] == [{tag(0, 1)}] * 3 + [set()]
    assert len(await crowded.rows(purges)) == 3
    assert await forgets_before(crowded) == [None] * 4
    assert (await crowded.row(revoked_digests)).digest == tag(0, 1)


async def test_where_can_be_said(crowded: Ground) -> None:
    """A right that is lost at one lock is forgotten there only."""
    held = select(credentials.c.site_id, credentials.c.digest).where(
        credentials.c.site_id == SITE, credentials.c.id == CredentialId(name("tag", 0, 1))
    )
    async with crowded.db.write() as tx:
        await revocations.revoke(tx, held, now=NOW, lock_ids=[LOCKS[1]])

    assert [len(await named(crowded, each)) for each in LOCKS] == [0, 1, 0, 0]


@pytest.mark.invariant("A1")
async def test_of_more_than_twenty_the_oldest_are_forgotten_by_time(crowded: Ground) -> None:
    """The newest 20 stay named; the instant is the newest of those that do not."""
    for second, number in enumerate(range(100, 125)):
        await revoke(crowded, number, now=NOW + timedelta(seconds=second))

    newest = {tag(0, number) for number in range(105, 125)}
    assert [await named(crowded, each) for each in LOCKS] == [newest] * 3 + [set()]
    assert await forgets_before(crowded) == [NOW + timedelta(seconds=4)] * 3 + [None]


@pytest.mark.invariant("A1")
async def test_more_than_twenty_at_once_are_forgotten_by_time(crowded: Ground) -> None:
    """Nobody is named; a note from before is never moved back."""
    later = NOW + timedelta(hours=1)
    await revoke(crowded, *range(100, 100 + PURGE_MAX + 1), now=later)
    await revoke(crowded, *range(100, 100 + PURGE_MAX + 1))

    assert await crowded.rows(purges) == []
    assert await forgets_before(crowded) == [later] * 3 + [None]


async def test_a_later_revocation_moves_the_note_up(crowded: Ground) -> None:
    """One row for each lock and credential, with the last instant."""
    await revoke(crowded, 1)
    await revoke(crowded, 1, now=NOW + timedelta(hours=1))

    rows = await crowded.rows(purges)
    assert [row.revoked_at for row in rows] == [NOW + timedelta(hours=1)] * 3
