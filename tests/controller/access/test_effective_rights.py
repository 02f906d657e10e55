"""Effective rights after any sequence of edits, against a reference that is kept by hand."""

import asyncio
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from controller.access import rights
from controller.access.members_repository import LOCKS, PEOPLE
from controller.bus import ProcessBus
from controller.db.engine import Database, Session
from controller.db.tables.access import access_groups, group_locks, group_people
from controller.domain.ids import GroupId, LockId, PersonId
from tests.controller.people.ground import (
    ACTORS,
    NOW,
    OWN,
    HandClock,
    Services,
    served,
    services,
)
from tests.controller.site_rows import site_state

SOME = 3  # people, locks and groups
Pair = tuple[PersonId, LockId]
HOUR = timedelta(hours=1)

numbers = st.integers(0, SOME - 1)
several = st.sets(numbers)
edits = st.one_of(
    st.tuples(st.sampled_from(["join", "leave", "gain", "lose"]), numbers, numbers),
    st.tuples(st.sampled_from(["people", "locks"]), numbers, st.tuples(several, several)),
    st.tuples(st.sampled_from(["delete", "end", "begin"]), numbers, st.none()),
)


@dataclass
class Group:
    """What a group should be."""

    id: GroupId
    version: int = 1
    people: set[PersonId] = field(default_factory=set)
    locks: set[LockId] = field(default_factory=set)
    ended: bool = False

    @property
    def rights(self) -> set[Pair]:
        """The pairs of person and lock to which it gives a right."""
        if self.ended:
            return set()
        return {(person, lock) for person in self.people for lock in self.locks}


@dataclass
class Play:
    """A site with three groups, and what should be in them."""

    made: Services
    people: list[PersonId]
    locks: list[LockId]
    groups: list[Group] = field(default_factory=list)

    @property
    def rights(self) -> set[Pair]:
        """The rights that there should be."""
        return set().union(*(group.rights for group in self.groups))

    async def begin(self, tx: Session) -> None:
        """Make the groups anew."""
        for table in (group_people, group_locks, access_groups):
            await tx.execute(delete(table))
        for number in range(SOME):
            self.groups.append(await self._group(tx, number))
            some = set(range(SOME)) - {number}
            for what in ("people", "locks"):
                await self.edit(tx, what, number, (some, set()))

    async def edit(self, tx: Session, what: str, number: int, which: Any) -> set[Pair]:
        """Do one edit, and return the rights that it should take away."""
        group = self.groups[number]
        lost = group.rights
        others = [other for other in self.groups if other is not group]
        await self._edit(tx, group, what, which)
        still = set().union(*(other.rights for other in [*others, self.groups[number]]))
        return lost - still

    async def _edit(self, tx: Session, group: Group, what: str, which: Any) -> None:
        one = (tx, ACTORS["ada"], OWN, group.id)
        match what:
            case "join":
                group.people.add(self.people[which])
                await self.made.members.add_person(*one, person_id=self.people[which], now=NOW)
            case "leave":
                group.people.discard(self.people[which])
                await self.made.members.remove_person(*one, person_id=self.people[which], now=NOW)
            case "gain":
                group.locks.add(self.locks[which])
                await self.made.members.add_lock(*one, lock_id=self.locks[which], now=NOW)
            case "lose":
                group.locks.discard(self.locks[which])
                await self.made.members.remove_lock(*one, lock_id=self.locks[which], now=NOW)
            case "people" | "locks":
                kind = PEOPLE if what == "people" else LOCKS
                ids: list[Any] = self.people if kind is PEOPLE else self.locks
                kept: set[Any] = group.people if kind is PEOPLE else group.locks
                adding, removing = which
                add_ids = [ids[each] for each in sorted(adding - removing)]
                remove_ids = [ids[each] for each in sorted(removing)]
                kept.update(add_ids)
                kept.difference_update(remove_ids)
                await self.made.members.edit(
                    *one, kind, add_ids=add_ids, remove_ids=remove_ids, now=NOW
                )
            case "delete":
                await self.made.groups.delete(*one, if_match=group.version, now=NOW)
                number = self.groups.index(group)
                self.groups[number] = await self._group(tx, number)
            case _:
                group.ended = what == "end"
                ends_at = NOW if group.ended else NOW + HOUR
                saved = await self.made.groups.edit(
                    *one, edit={"ends_at": ends_at}, if_match=group.version, now=NOW
                )
                group.version = saved.version

    async def _group(self, tx: Session, number: int) -> Group:
        new = await self.made.groups.add(tx, ACTORS["ada"], OWN, {"name": f"G{number}"}, now=NOW)
        return Group(id=new.id)


@dataclass(frozen=True)
class Place:
    """A database with people and locks."""

    url: str
    people: list[PersonId]
    locks: list[LockId]


@pytest.fixture(scope="module")
def place(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One database for all plays: people and locks stay, groups are made anew."""
    path = tmp_path_factory.mktemp("rights") / "doorward.sqlite"
    shutil.copyfile(migrated_sqlite, path)
    url = f"sqlite:///{path}"

    async def furnish() -> Place:
        database = Database.open(url)
        async with served(database) as ground:
            people = [await ground.person(f"P{number}") for number in range(SOME)]
            for person in people:
                await ground.tag(person)
            hub = await ground.hub()
            locks = [await ground.lock(hub) for _ in range(SOME)]
        await database.close()
        return Place(url, [one["id"] for one in people], [one["id"] for one in locks])

    return asyncio.run(furnish())


async def effective(tx: Session, play: Play) -> list[set[Pair]]:
    """Return the rights as each reader of them sees them."""
    by_person = {
        (person, lock.lock_id)
        for person in play.people
        for lock in await rights.locks_of(tx, OWN, person, now=NOW, after_id=None, limit=200)
    }
    by_lock = {
        (one.person.id, lock)
        for lock in play.locks
        for one in await rights.people_of(tx, OWN, lock, now=NOW, after_id=None, limit=200)
    }
    state = await site_state(tx, OWN)
    by_state = {
        (person, lock)
        for group in state.groups
        if group.ends_at is None or group.ends_at > NOW
        for person in group.person_ids
        for lock in group.lock_ids
    }
    return [by_person, by_lock, by_state]


@pytest.mark.invariant("A9")
@settings(max_examples=25)
@given(st.lists(edits, min_size=4, max_size=16))
def test_rights_are_those_of_the_groups_after_any_edits(
    place: Place, steps: list[tuple[str, int, Any]]
) -> None:
    """All readers see the reference's rights; an edit takes those that have no other path."""

    async def run() -> None:
        database = Database.open(place.url)
        play = Play(services(HandClock(), ProcessBus()), place.people, place.locks)
        try:
            async with database.write() as tx:
                await play.begin(tx)
            for step in steps:
                before = play.rights
                async with database.write() as tx:
                    lost = await play.edit(tx, *step)
                async with database.write() as tx:
                    for seen in await effective(tx, play):
                        assert seen == play.rights
                        assert before - seen == lost
        finally:
            await database.close()

    asyncio.run(run())
