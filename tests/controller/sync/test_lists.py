"""Which offline lists are kept of a lock: what it is to hold, and what it may hold still."""

from datetime import timedelta
from hashlib import sha256
from typing import Final

from controller.db.tables.hardware import hubs, locks, offline_lists
from controller.domain.ids import HubId, LockId, SiteId
from controller.sync import lists
from controller.sync.lists import KEPT_MAX, WantedList
from gateway.protocol.topics import UpKind
from tests.controller.ground import NOW, Ground, name

SITE: Final = SiteId(name("site", 0))
LOCK: Final = LockId(name("lock", 0, 0, 0))


def named(number: int) -> bytes:
    """The hash of a list."""
    return sha256(b"%d" % number).digest()


async def want(ground: Ground, number: int, *, revision: int = 1) -> None:
    """Want a list, a second after the one before it."""
    wanted = WantedList(
        lock_id=LOCK,
        hub_id=HubId(ground.hub().id),
        revision=revision,
        hash=named(number),
        data=b"%d" % number,
    )
    async with ground.db.write() as tx:
        await lists.want(tx, SITE, [wanted], now=NOW + timedelta(seconds=number))


async def confirm(ground: Ground, number: int) -> None:
    """Have the hub report that the lock holds a list."""
    hub = ground.hub()
    holds = hub.lock_status(list_hash=named(number))
    await ground.tell(hub, UpKind.CONFIRM, hub.status(revision=1, locks=(holds,)))


async def kept(ground: Ground) -> set[bytes]:
    """The bytes of the lists that are kept."""
    return {row.data for row in await ground.rows(offline_lists, lock_id=LOCK)}


async def test_a_list_goes_when_a_later_one_is_confirmed(ground: Ground) -> None:
    """Those wanted since stay: one of them may have reached the lock already."""
    for number in range(4):
        await want(ground, number)
    assert await kept(ground) == {b"0", b"1", b"2", b"3"}

    await confirm(ground, 1)
    assert await kept(ground) == {b"1", b"2", b"3"}

    await confirm(ground, 3)
    assert await kept(ground) == {b"3"}


async def test_of_many_that_nobody_confirms_the_first_stay(ground: Ground) -> None:
    """And the one that is wanted, and the one that was confirmed last."""
    await want(ground, 0)
    await confirm(ground, 0)
    for number in range(1, 20):
        await want(ground, number)

    assert await kept(ground) == {b"19"} | {b"%d" % n for n in range(KEPT_MAX)}


async def test_a_list_that_is_wanted_again_is_the_newest(ground: Ground) -> None:
    """What is taken back and given again gives the same list: it is not older than that between."""
    for number in (1, 2):
        await want(ground, number)
    wanted = WantedList(
        lock_id=LOCK, hub_id=HubId(ground.hub().id), revision=1, hash=named(1), data=b"1"
    )
    async with ground.db.write() as tx:
        await lists.want(tx, SITE, [wanted], now=NOW + timedelta(seconds=3))
    await confirm(ground, 1)

    assert await kept(ground) == {b"1"}


async def test_a_newer_revision_keeps_its_own_list(ground: Ground) -> None:
    """Who compiled an older one meanwhile changes nothing."""
    await ground.change(hubs, {"id": ground.hub().id}, revision_wanted=2)
    await want(ground, 2, revision=2)
    await want(ground, 1, revision=1)

    assert (await ground.row(locks, id=LOCK)).list_wanted == named(2)
    assert await kept(ground) == {b"2"}
