"""Whatever people do with roles, in whatever order, nobody gets a right that nobody gave."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.accounts import repository as account_rows
from controller.accounts.repository import Token, TokenKind
from controller.accounts.service import TokenAuthenticator
from controller.db.engine import Database, Session
from controller.domain.errors import DomainError
from controller.domain.ids import AccountId, RoleId, SiteId
from controller.domain.roles import (
    INSTALLER_GRANT,
    SITE_RIGHTS,
    Action,
    Actor,
    ActorKind,
    CloudRole,
    SiteRole,
)
from controller.sites import role_rows
from tests.controller.subscriptions.world import World
from tests.controller.whole import sqlite_url

EIGHT_HOURS_S: Final = 28_800
ACCOUNTS: Final = ("olga", "anna", "bob", "carl", "dora")  # the owner, an admin, then users
ROLES: Final = ("admin", "super_user", "user", "0", "1")  # a number is one of the custom roles
POOL: Final = (
    Action.MANAGE_ROLES,
    Action.READ_PEOPLE,
    Action.MANAGE_DOORS,
    Action.GRANT_INSTALLER,
    Action.READ_HARDWARE,
    Action.MANAGE_HARDWARE,
)
who = st.sampled_from(ACCOUNTS)
some_rights = st.frozensets(st.sampled_from(POOL)).map(lambda some: some | {Action.READ_SITE})
custom = st.sampled_from((0, 1))
STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("give"), who, who, st.sampled_from(ROLES)),
        st.tuples(st.just("take"), who, who),
        st.tuples(st.just("add"), who, some_rights),
        st.tuples(st.just("edit"), who, custom, some_rights),
        st.tuples(st.just("delete"), who, custom),
        st.tuples(st.just("transfer"), who, who),
        st.tuples(st.just("transfer"), st.just("olga"), st.just("anna")),
        st.tuples(st.just("let_in"), who),
    ),
    min_size=5,
    max_size=30,
)
LITTLE: Final = frozenset({Action.READ_SITE, Action.MANAGE_ROLES, Action.READ_PEOPLE})
BEGINNING: Final = [
    ("add", "olga", frozenset(POOL) | {Action.READ_SITE}),
    ("add", "olga", LITTLE),
    ("give", "olga", "bob", "0"),
]
ONE_OF_EACH: Final = [
    ("give", "olga", "dora", "1"),
    ("edit", "olga", 0, frozenset({Action.READ_SITE, Action.MANAGE_ROLES})),
    ("take", "anna", "carl"),
    ("add", "anna", frozenset({Action.READ_SITE})),
    ("delete", "anna", 0),
    ("let_in", "anna"),
    ("transfer", "olga", "anna"),
]
TRIED_IN_VAIN: Final = [  # by bob, who manages roles and has little else
    ("give", "bob", "carl", "admin"),
    ("give", "bob", "anna", "0"),
    ("take", "bob", "anna"),
    ("add", "bob", frozenset({Action.READ_SITE, Action.MANAGE_DOORS})),
    ("edit", "bob", 0, frozenset({Action.READ_SITE, Action.MANAGE_DOORS})),
    ("edit", "bob", 1, frozenset({Action.READ_SITE})),
    ("let_in", "bob"),
    ("transfer", "bob", "carl"),
]
Rights = frozenset[Action]


@dataclass
class Walk:
    """A site, what its people did with roles, and what those who gave them rights had."""

    world: World
    site_id: SiteId
    ids: dict[str, AccountId]
    ceilings: dict[AccountId, Rights]
    made: list[RoleId] = field(default_factory=list)

    async def rights(self, tx: Session, account_id: AccountId) -> Rights:
        """Return what an account may do at the site now."""
        at = self.world.link.utc()
        held = await role_rows.held(tx, self.site_id, account_id, at=at)
        return held.rights if held else frozenset()

    async def holders(self, tx: Session) -> dict[AccountId, role_rows.Holder]:
        """Return who has a role now."""
        found = await role_rows.holders(tx, self.site_id, at=self.world.link.utc())
        return {holder.account_id: holder for holder in found}

    async def step(self, kind: str, by: str, *rest: object) -> bool:
        """Let somebody try something, and check what it did to rights; ``False`` if refused."""
        world, actor_id = self.world, self.ids[by]
        actor = Actor(kind=ActorKind.USER, account_id=actor_id, name=by)
        try:
            async with world.db.write() as tx:
                own = await self.rights(tx, actor_id)
                before = await self.holders(tx)
                await getattr(self, f"_{kind}")(tx, actor, *rest)
                after = await self.holders(tx)
        except DomainError:
            return False
        for account_id in before.keys() | after.keys():
            was = before[account_id].held.rights if account_id in before else frozenset()
            now = after[account_id].held.rights if account_id in after else frozenset()
            if was != now:
                assert was | now <= own, (kind, by, sorted((was | now) - own))
                self.ceilings[account_id] = self.ceilings.get(account_id, frozenset()) | own
            assert now <= self.ceilings.get(account_id, frozenset())
        assert [one.held.role for one in after.values()].count(SiteRole.OWNER) == 1
        return True

    async def _give(self, tx: Session, actor: Actor, whom: str, role: str) -> None:
        if role.isdecimal():
            role = self.made[int(role)] if int(role) < len(self.made) else "0" * 32
        await self.world.roles.give(
            tx, actor, self.site_id, self.ids[whom], role, now=self.world.now
        )

    async def _take(self, tx: Session, actor: Actor, whom: str) -> None:
        await self.world.roles.take(tx, actor, self.site_id, self.ids[whom], now=self.world.now)

    async def _transfer(self, tx: Session, actor: Actor, whom: str) -> None:
        await self.world.roles.transfer(tx, actor, self.site_id, self.ids[whom], now=self.world.now)

    async def _let_in(self, tx: Session, actor: Actor) -> None:
        await self.world.roles.grant_installer(
            tx,
            actor,
            self.site_id,
            email="ian@example.org",
            life=timedelta(hours=1),
            now=self.world.now,
        )

    async def _add(self, tx: Session, actor: Actor, rights: Rights) -> None:
        name = f"Role {len(self.made)}"
        made = await self.world.custom_roles.add(
            tx, actor, self.site_id, name=name, rights=rights, now=self.world.now
        )
        assert rights <= await self.rights(tx, self.ids[actor.name])
        self.made.insert(0, made.id)

    async def _edit(self, tx: Session, actor: Actor, which: int, rights: Rights) -> None:
        role = await self._made(tx, which)
        await self.world.custom_roles.edit(
            tx,
            actor,
            self.site_id,
            role.id,
            name=None,
            rights=rights,
            if_match=role.version,
            now=self.world.now,
        )

    async def _delete(self, tx: Session, actor: Actor, which: int) -> None:
        role = await self._made(tx, which)
        await self.world.custom_roles.delete(
            tx, actor, self.site_id, role.id, if_match=role.version, now=self.world.now
        )
        self.made.remove(role.id)

    async def _made(self, tx: Session, which: int) -> role_rows.CustomRole:
        role_id = self.made[which] if which < len(self.made) else "0" * 32
        return await role_rows.custom(tx, self.site_id, role_id)


async def begin(world: World, ids: dict[str, AccountId]) -> Walk:
    """Make a site of olga's where anna is an admin and all others are users."""
    site_id = await world.site()
    roles = dict.fromkeys(ids, SiteRole.USER) | {"olga": SiteRole.OWNER, "anna": SiteRole.ADMIN}
    async with world.db.write() as tx:
        for name in ACCOUNTS[1:]:
            await role_rows.give(tx, site_id, ids[name], roles[name], granted_by=ids["olga"])
    return Walk(world, site_id, ids, {ids[name]: SITE_RIGHTS[roles[name]] for name in ids})


def in_a_world(image: Path, folder: Path, check: Callable[[World, asyncio.Runner], None]) -> None:
    """Run a check on a database of its own."""
    with asyncio.Runner() as runner:
        db = Database.open(sqlite_url(image, folder))
        try:
            world = World(db)
            runner.run(world.settle())
            check(world, runner)
        finally:
            runner.run(db.close())


@pytest.mark.invariant("T3")
def test_nobodys_rights_exceed_those_of_who_granted(migrated_sqlite: Path, tmp_path: Path) -> None:
    """Every change leaves each right with somebody who got it from somebody who had it."""

    def check(world: World, runner: asyncio.Runner) -> None:
        people = [world.owner, *(runner.run(world.account(name)) for name in ACCOUNTS[1:])]
        ids = {one.name: one.account_id for one in people if one.account_id is not None}
        done: dict[str, int] = {}

        @settings(max_examples=30)
        @given(steps=STEPS)
        @example(steps=ONE_OF_EACH)
        @example(steps=TRIED_IN_VAIN)
        def walk(steps: list[tuple[object, ...]]) -> None:
            async def go() -> None:
                way = await begin(world, ids)
                for kind, by, *rest in [*BEGINNING, *steps]:
                    if await way.step(str(kind), str(by), *rest):
                        done[str(kind)] = done.get(str(kind), 0) + 1

            runner.run(go())

        walk()
        assert set(done) == {kind for kind, *_ in ONE_OF_EACH}

    in_a_world(migrated_sqlite, tmp_path, check)


@pytest.mark.invariant("T4")
def test_an_installer_is_never_more_than_a_grant_lets_him(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    """However grants follow each other, he has the hardware of one site until the newest ends."""
    seconds = st.integers(1, EIGHT_HOURS_S)
    step = st.one_of(
        st.tuples(st.just("grant"), seconds),
        st.tuples(st.just("wait"), st.integers(1, 2 * EIGHT_HOURS_S)),
        st.tuples(st.just("end"), st.just(0)),
    )

    def check(world: World, runner: asyncio.Runner) -> None:
        authenticator = TokenAuthenticator(world.db, world.link)

        @settings(max_examples=30)
        @given(steps=st.lists(step, max_size=12))
        def walk(steps: list[tuple[str, int]]) -> None:
            async def go() -> None:
                site_id, other = await world.site(), await world.site()
                secret = await session_of(world, world.installer)
                ends_s = 0.0
                for kind, number in steps:
                    ends_s = await one(world, site_id, kind, number, ends_s)
                    actor = await authenticator.actor_of(secret)
                    assert actor is not None
                    is_in = world.link.now_s < ends_s
                    assert actor.rights_at(site_id) == (INSTALLER_GRANT if is_in else frozenset())
                    assert ends_s - world.link.now_s <= EIGHT_HOURS_S
                    assert actor.rights_at(other) == frozenset()

            runner.run(go())

        walk()

    in_a_world(migrated_sqlite, tmp_path, check)


async def one(world: World, site_id: SiteId, kind: str, number: int, ends_s: float) -> float:
    """Grant, wait or end; return when the installer's grant ends by the link clock."""
    owner = world.at(world.owner, site_id)
    if kind == "wait":
        world.link.now_s += number
        return ends_s
    async with world.db.write() as tx:
        if kind == "grant":
            await world.roles.grant_installer(
                tx,
                owner,
                site_id,
                email="ian@example.org",
                life=timedelta(seconds=number),
                now=world.now,
            )
            return world.link.now_s + number
        if world.link.now_s < ends_s:
            assert world.installer.account_id is not None
            await world.roles.end_grant(
                tx, owner, site_id, world.installer.account_id, now=world.now
            )
        return 0.0


async def session_of(world: World, actor: Actor) -> str:
    """Return the token of a session that lasts as long as any test."""
    assert actor.account_id is not None
    assert actor.cloud_role is CloudRole.INSTALLER
    secret = f"dws_{world.ids.new()}"
    token = Token(
        id=world.ids.new(),
        account_id=actor.account_id,
        kind=TokenKind.SESSION,
        name="",
        scopes=None,
        created_at=world.link.utc(),
        expires_at=world.link.utc() + timedelta(days=365),
    )
    async with world.db.write() as tx:
        await account_rows.keep_token(tx, token, token_hash=sha256(secret.encode()).digest())
    return secret
