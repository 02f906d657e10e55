"""Edit by edit a hub comes to the very bytes that it would be told if it were compiled for anew.

Everything is real: the API in front, the services, both databases, the cloud's own reading of what
was touched. What a hub is told is compared with all rows of its site, read by the test itself.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Table, select, update
from typing_extensions import override

from controller import keys as key_file
from controller.chance import SystemRandomness
from controller.db.tables.access import access_groups, holidays, lockers, pods, schedules
from controller.db.tables.hardware import hubs, locks
from controller.db.tables.people import credentials, people
from controller.delivery.items import Secrets
from controller.delivery.service import Delivery
from controller.domain.ids import LockId, SiteId
from controller.domain.instants import to_seconds
from controller.domain.site_state import SiteState
from controller.keys import Keys
from controller.threads import PoolThreads
from gateway.protocol import sections
from gateway.protocol.messages import SectionKind
from gateway.protocol.sections import OfflineList, Section
from tests.conftest import IN_CI
from tests.controller.delivery import states
from tests.controller.site_rows import site_state
from tests.controller.whole import STICKER, HandCalendar, Whole, whole

ZONES: Final = ("Europe/Madrid", "America/Santiago")
NUMBERS: Final = st.integers(0, 5)
DAYS: Final = st.none() | st.integers(1, 20)
WINDOWS: Final = (
    [{"weekday": 0, "start_min": 480, "end_min": 720}],
    [{"weekday": 1, "start_min": 480, "end_min": 720}],
    [{"weekday": day, "start_min": 0, "end_min": 1440} for day in range(7)],
)
TABLES: Final = {
    "/people": people,
    "/credentials": credentials,
    "/hubs": hubs,
    "/locks": locks,
    "/access-groups": access_groups,
    "/schedules": schedules,
    "/holidays": holidays,
    "/lockers": lockers,
    "/pods": pods,
}
AGREEMENT: Final = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()


def rights(site: SiteState, lock_id: LockId) -> set[bytes]:
    """The credentials that may open a lock at some time."""
    here = [group for group in site.groups if lock_id in group.lock_ids]
    return {
        held.digest
        for held in site.credentials
        if not held.credential.blocked
        and site.people[held.credential.person_id].subscribed
        and any(held.credential.person_id in group.person_ids for group in here)
    }


class Edits(RuleBasedStateMachine):
    """One site with two hubs, and whatever its admin can do to it."""

    runner: asyncio.Runner
    served: Whole
    keys: Keys
    threads: PoolThreads
    before: tuple[SiteState, datetime] | None = None

    @initialize()
    def begin(self) -> None:
        """Make a site of its own, with two hubs and a lock each, and some people."""
        self.site_id = SiteId(self.run(self.served.site(owner=None)))
        self.path = f"/sites/{self.site_id}"
        self.run(self.served.join(self.site_id, "owner", "admin"))
        self.delivery = self.compiler()
        for _ in range(2):
            self.make("/hubs", self.device() | {"activation_code": STICKER}, by="installer")
        self.run(self.claim())
        self.register_lock(0, keypad=True)
        self.register_lock(1, keypad=False)
        for number in range(3):
            self.add_person(subscribed=True, days=None, privileges=[])
            self.add_tag(number, offline=number == 0)
        self.add_group(follows=0)
        for kind in ("people", "locks"):
            self.join(0, 0, kind=kind)

    @override
    def teardown(self) -> None:
        """Compare once more."""
        if hasattr(self, "delivery"):
            self.compare()

    # ------------------------------------------------------------------ what an admin does

    @rule(subscribed=st.booleans(), days=DAYS, privileges=st.sampled_from([[], ["office"]]))
    def add_person(self, *, subscribed: bool, days: int | None, privileges: list[str]) -> None:
        """Add somebody."""
        body = {"name": self.name(), "subscribed": subscribed, "expires_at": self.day(days)}
        self.make("/people", body | {"privileges": privileges})

    @rule(number=NUMBERS, subscribed=st.booleans(), days=DAYS)
    def edit_person(self, number: int, *, subscribed: bool, days: int | None) -> None:
        """Give a seat or take it, and another end."""
        body = {"subscribed": subscribed, "expires_at": self.day(days)}
        self.change("PATCH", self.pick("/people", number), body)

    @rule(number=NUMBERS, days=DAYS)
    def put_off_person(self, number: int, days: int | None) -> None:
        """Let somebody's stay begin later."""
        self.change("PATCH", self.pick("/people", number), {"starts_at": self.day(days)})

    @rule(number=NUMBERS)
    def delete_person(self, number: int) -> None:
        """Delete somebody."""
        self.change("DELETE", self.pick("/people", number))

    @rule(number=NUMBERS, offline=st.booleans())
    def add_tag(self, number: int, *, offline: bool) -> None:
        """Give somebody a tag."""
        if person := self.pick("/people", number):
            tag = f"{next(self.served.numbers):014x}"
            self.make(f"{person}/credentials", {"number": tag, "offline": offline})

    @rule(number=NUMBERS)
    def add_pin(self, number: int) -> None:
        """Make a PIN for somebody."""
        if person := self.pick("/people", number):
            self.make(f"{person}/pins", {})

    @rule(number=NUMBERS, which=NUMBERS, blocked=st.booleans(), days=DAYS)
    def edit_credential(self, number: int, which: int, *, blocked: bool, days: int | None) -> None:
        """Block or unblock a credential, and give it another end."""
        body = {"blocked": blocked, "ends_at": self.day(days)}
        self.change("PATCH", self.credential(number, which), body)

    @rule(number=NUMBERS, which=NUMBERS, granted=st.booleans())
    def edit_offline(self, number: int, which: int, *, granted: bool) -> None:
        """Grant a credential offline access or take it."""
        if credential := self.credential(number, which):
            self.change("PUT" if granted else "DELETE", credential, {}, below="/offline")

    @rule(number=NUMBERS, which=NUMBERS)
    def delete_credential(self, number: int, which: int) -> None:
        """Take a credential back."""
        self.change("DELETE", self.credential(number, which))

    @rule(follows=NUMBERS)
    def add_group(self, follows: int) -> None:
        """Make a group that follows a schedule, if there is one."""
        schedule_id = self.id_of(self.pick("/schedules", follows))
        self.make("/access-groups", {"name": self.name(), "schedule_id": schedule_id})

    @rule(number=NUMBERS, follows=NUMBERS, always=st.booleans(), days=DAYS)
    def edit_group(self, number: int, follows: int, *, always: bool, days: int | None) -> None:
        """Give a group another schedule and another end."""
        schedule_id = None if always else self.id_of(self.pick("/schedules", follows))
        body = {"schedule_id": schedule_id, "ends_at": self.day(days)}
        self.change("PATCH", self.pick("/access-groups", number), body)

    @rule(number=NUMBERS)
    def delete_group(self, number: int) -> None:
        """Delete a group."""
        self.change("DELETE", self.pick("/access-groups", number))

    @rule(number=NUMBERS, member=NUMBERS, kind=st.sampled_from(["people", "locks"]))
    def join(self, number: int, member: int, kind: str) -> None:
        """Put a person or a lock into a group."""
        self.member("PUT", "/access-groups", number, member, kind=kind)

    @rule(number=NUMBERS, member=NUMBERS, kind=st.sampled_from(["people", "locks"]))
    def leave(self, number: int, member: int, kind: str) -> None:
        """Take a person or a lock out of a group."""
        self.member("DELETE", "/access-groups", number, member, kind=kind)

    @rule(windows=st.sampled_from(WINDOWS), observes=st.booleans())
    def add_schedule(self, windows: Any, *, observes: bool) -> None:
        """Make a schedule."""
        body = {"name": self.name(), "windows": windows, "observes_holidays": observes}
        self.make("/schedules", body)

    @rule(number=NUMBERS, windows=st.sampled_from(WINDOWS), days=DAYS, observes=st.booleans())
    def edit_schedule(
        self, number: int, windows: Any, days: int | None, *, observes: bool = True
    ) -> None:
        """Give a schedule other hours and another last day."""
        end = self.day(days)
        body = {"windows": windows, "ends_on": end and end[:10], "observes_holidays": observes}
        self.change("PATCH", self.pick("/schedules", number), body)

    @rule(number=NUMBERS)
    def delete_schedule(self, number: int) -> None:
        """Delete a schedule that nobody follows."""
        self.change("DELETE", self.pick("/schedules", number))

    @rule(days=st.integers(1, 60))
    def add_holiday(self, days: int) -> None:
        """Make a holiday."""
        end = self.day(days)
        self.make("/holidays", {"name": self.name(), "starts_on": end and end[:10], "days": 1})

    @rule(number=NUMBERS)
    def delete_holiday(self, number: int) -> None:
        """Delete a holiday."""
        self.change("DELETE", self.pick("/holidays", number))

    @rule(number=NUMBERS, keypad=st.booleans())
    def register_lock(self, number: int, *, keypad: bool) -> None:
        """Put a lock on a hub."""
        key = X25519PrivateKey.from_private_bytes(next(self.served.numbers).to_bytes(32))
        body = self.device() | {
            "public_key": key.public_key().public_bytes_raw().hex(),
            "secret_code": STICKER,
            "capacity": 39,
            "keypad": keypad,
        }
        self.make(f"{self.pick('/hubs', number)}/locks", body, by="installer")

    @rule(number=NUMBERS, follows=NUMBERS, keypad=st.booleans(), easy=st.booleans())
    def edit_lock(self, number: int, follows: int, *, keypad: bool, easy: bool) -> None:
        """Set how a lock behaves."""
        schedule_id = self.id_of(self.pick("/schedules", follows)) if easy else None
        office = {"office": "easy" if schedule_id else "none", "office_schedule_id": schedule_id}
        self.change("PATCH", self.pick("/locks", number), office | {"keypad": keypad})

    @rule(number=NUMBERS, hub=NUMBERS)
    def move_lock(self, number: int, hub: int) -> None:
        """Have another hub serve a lock."""
        hub_id = self.id_of(self.pick("/hubs", hub))
        self.change("PATCH", self.pick("/locks", number), {"hub_id": hub_id}, by="installer")

    @rule(number=NUMBERS)
    def delete_lock(self, number: int) -> None:
        """Have a lock leave the site."""
        self.change("DELETE", self.pick("/locks", number), by="installer")

    @rule(number=NUMBERS, kind=st.sampled_from(["personal", "free"]))
    def add_locker(self, number: int, kind: str) -> None:
        """Make a lock a locker."""
        if lock_id := self.id_of(self.pick("/locks", number)):
            self.make("/lockers", {"lock_id": lock_id, "name": self.name(), "kind": kind})

    @rule(number=NUMBERS, person=NUMBERS, gives=st.booleans())
    def assign_locker(self, number: int, person: int, *, gives: bool) -> None:
        """Give a locker to somebody or take it."""
        self.member("PUT" if gives else "DELETE", "/lockers", number, person, kind="people")

    @rule(number=NUMBERS)
    def delete_locker(self, number: int) -> None:
        """Make a locker a mere lock again."""
        self.change("DELETE", self.pick("/lockers", number))

    @rule(days=DAYS)
    def add_pod(self, days: int | None) -> None:
        """Make a pod."""
        self.make("/pods", {"name": self.name(), "ends_at": self.day(days)})

    @rule(number=NUMBERS, member=NUMBERS, kind=st.sampled_from(["members", "locks"]))
    def join_pod(self, number: int, member: int, kind: str) -> None:
        """Put a person or a lock into a pod."""
        self.member("PUT", "/pods", number, member, kind=kind)

    @rule(number=NUMBERS, member=NUMBERS, kind=st.sampled_from(["people", "locks"]))
    def leave_pod(self, number: int, member: int, kind: str) -> None:
        """Take a person or a lock out of a pod."""
        self.member("DELETE", "/pods", number, member, kind=kind)

    @rule(number=NUMBERS)
    def delete_pod(self, number: int) -> None:
        """Delete a pod."""
        self.change("DELETE", self.pick("/pods", number))

    @rule(zone=st.sampled_from(ZONES))
    def edit_site(self, zone: str) -> None:
        """Move the site to another time zone."""
        seen = self.run(self.served.ask("GET", self.path, by="installer"))
        headers = {"If-Match": f'"{seen.body["version"]}"'}
        self.do("PATCH", self.path, {"time_zone": zone}, by="installer", headers=headers)

    # ------------------------------------------------------------------ what the cloud does

    @rule(number=st.integers(0, 1))
    def publish(self, number: int) -> None:
        """Have one hub told what it lacks; the other falls behind."""
        hub_ids = self.run(self.hub_ids())
        self.run(self.delivery.documents([hub_ids[number]]))

    @rule()
    def compare(self) -> None:
        """Both hubs have, as they were compiled last, what all rows of the site say."""
        self.run(self.compared())

    async def compared(self) -> None:
        """Compare with all rows, and with what another process compiles from nothing."""
        site_id = self.site_id
        other, hub_ids = self.compiler(), await self.hub_ids()
        for delivery in (self.delivery, other):
            await delivery.documents(hub_ids)
        async with self.served.db.read() as tx:
            site = await site_state(tx, site_id)
        secrets = Secrets(agreement=self.keys.agreement, tag_key=self.keys.tag_key(site_id))
        for hub_id in hub_ids:
            held, anew = (each._shelf._held[hub_id].state for each in (self.delivery, other))
            expected = states.compile_hub(site, held.hub, secrets)
            assert states.opened(anew) == expected
            assert states.opened(held) == expected
            for lock_id, section in held.lists.items():
                self.require_forgotten(LockId(lock_id), section, site)
        self.before = site, self.served.clocks.at

    def require_forgotten(self, lock_id: LockId, section: Section, site: SiteState) -> None:
        """Whoever had a right at a lock when it was looked at last and has none must be forgotten.

        By name, or because of an instant since then.
        """
        if self.before is None:
            return
        was, then = self.before
        (told,) = sections.read(SectionKind.OFFLINE_LIST, section.data)
        assert isinstance(told, OfflineList)
        if told.purge_before_s is None or told.purge_before_s <= to_seconds(then):
            assert rights(was, lock_id) - rights(site, lock_id) <= set(told.purge)

    # ------------------------------------------------------------------ how

    def run(self, work: Any) -> Any:
        """Run something of the cloud's loop to its end."""
        return self.runner.run(work)

    def compiler(self) -> Delivery:
        """A process that has compiled nothing yet."""
        return Delivery(
            self.served.db,
            keys=self.keys,
            calendar=HandCalendar(self.served.clocks),
            threads=self.threads,
            offline_grace=timedelta(hours=24),
        )

    async def claim(self) -> None:
        """Let devices take the hubs' places."""
        async with self.served.db.write() as tx:
            await tx.execute(
                update(hubs)
                .where(hubs.c.site_id == self.site_id)
                .values(epoch=1, agreement_key=AGREEMENT.public_bytes_raw())
            )

    async def hub_ids(self) -> list[str]:
        """The site's hubs."""
        async with self.served.db.read() as tx:
            rows = await tx.execute(select(hubs.c.id).where(hubs.c.site_id == self.site_id))
            return sorted(rows.scalars())

    def name(self) -> str:
        """A name that nobody has."""
        return f"Name {next(self.served.numbers)}"

    def device(self) -> dict[str, str]:
        """What is on a device's sticker."""
        return {"name": self.name(), "serial": f"D-{next(self.served.numbers)}"}

    def day(self, days: int | None) -> str | None:
        """An instant some days from now."""
        return None if days is None else (self.served.clocks.at + timedelta(days=days)).isoformat()

    def pick(self, kind: str, number: int) -> str:
        """The path of one of the site's things of a kind, the empty one if there is none."""
        ids = sorted(self.versions(TABLES[kind]))
        return f"{self.path}{kind}/{ids[number % len(ids)]}" if ids else ""

    def credential(self, number: int, which: int) -> str:
        """The path of one of somebody's credentials."""
        person_id = self.id_of(self.pick("/people", number))
        ids = sorted(self.versions(credentials, person_id=person_id))
        path = f"{self.path}/people/{person_id}/credentials"
        return f"{path}/{ids[which % len(ids)]}" if ids else ""

    def versions(self, table: Table, **equal: Any) -> dict[str, int]:
        """The versions of the rows of a table, by id."""

        async def read() -> dict[str, int]:
            async with self.served.db.read() as tx:
                some = select(table.c.id, table.c.version).filter_by(site_id=self.site_id, **equal)
                return {row.id: row.version for row in await tx.execute(some)}

        return dict(self.run(read()))

    @staticmethod
    def id_of(path: str) -> str | None:
        """The id at the end of a path."""
        return path.rsplit("/", 1)[-1] or None

    def make(self, path: str, body: Any, by: str = "owner") -> None:
        """Make something; the cloud may refuse, but not fail."""
        whole_path = path if path.startswith(self.path) else self.path + path
        self.do("POST", whole_path, body, by=by)

    def change(
        self, method: str, path: str, body: Any = None, *, by: str = "owner", below: str = ""
    ) -> None:
        """Edit or delete the present version of something."""
        if not path:
            return
        *_, kind, item_id = path.split("/")
        version = self.versions(TABLES[f"/{kind}"])[item_id]
        self.do(method, path + below, body, by=by, headers={"If-Match": f'"{version}"'})

    def member(self, method: str, of: str, number: int, member: int, *, kind: str) -> None:
        """Put a person or a lock into something, or take it out."""
        one = self.pick(of, number)
        other = self.id_of(self.pick("/locks" if kind == "locks" else "/people", member))
        if one and other:
            self.do(method, f"{one}/{kind}/{other}")

    def do(self, method: str, path: str, body: Any = None, **more: Any) -> None:
        """Send a request at an instant of its own."""
        self.served.clocks.at += timedelta(seconds=1)
        answer = self.run(self.served.ask(method, path, body, **{"by": "owner"} | more))
        assert answer.status < 500, answer.body


@pytest.fixture
def edits(database_url: str, tmp_path: Path) -> Iterator[type[Edits]]:
    """The machine on a cloud of this test's own; each example takes another site of it."""
    with asyncio.Runner() as runner:
        serving = whole(database_url, tmp_path)
        served = runner.run(serving.__aenter__())
        threads = PoolThreads()
        keys = key_file.load(tmp_path / "keys", SystemRandomness(), first_start=False)
        fields = {"runner": runner, "served": served, "threads": threads, "keys": keys}
        yield type("EditsHere", (Edits,), fields)
        threads.close()
        runner.run(serving.__aexit__(None, None, None))


@pytest.mark.invariant("A1", "A8", "E4")
def test_each_edit_reaches_whoever_it_is_about(edits: type[Edits]) -> None:
    """One edit of each kind at a site that has one of everything, and all is compared after it."""
    site = edits()
    site.begin()
    site.add_schedule(WINDOWS[0], observes=True)
    site.add_holiday(days=5)
    for number in range(3):
        site.join(0, number, kind="people")
        site.join(0, number, kind="locks")
    site.compare()
    for edit in _each_kind(site):
        edit()
        site.compare()


def _each_kind(site: Edits) -> Iterator[Callable[[], None]]:
    """Edits one after the other: everybody is in the group, and so are all locks."""
    yield lambda: site.edit_group(0, 0, always=False, days=None)
    yield lambda: site.edit_schedule(0, WINDOWS[1], days=None)
    yield lambda: site.edit_schedule(0, WINDOWS[2], days=9)
    yield lambda: site.add_holiday(days=7)
    yield lambda: site.delete_holiday(0)
    yield lambda: site.edit_lock(0, 0, keypad=True, easy=True)
    yield lambda: site.edit_group(0, 0, always=True, days=None)
    yield lambda: site.edit_schedule(0, WINDOWS[0], days=8, observes=False)
    yield lambda: site.edit_schedule(0, WINDOWS[0], days=8)
    for number in range(2):
        yield partial(site.add_pin, number)
        yield partial(site.add_tag, number, offline=number == 1)
        yield partial(site.edit_offline, number, 0, granted=True)
        yield partial(site.edit_credential, number, 0, blocked=True, days=None)
        yield partial(site.edit_credential, number, 0, blocked=False, days=3)
        yield partial(site.edit_person, number, subscribed=False, days=None)
        yield partial(site.edit_person, number, subscribed=True, days=4)
        yield partial(site.put_off_person, number, 1)
        yield partial(site.delete_credential, number, 0)
    for kind in ("people", "locks"):
        yield partial(site.leave, 0, 0, kind=kind)
        yield partial(site.join, 0, 0, kind=kind)
    yield lambda: site.add_pod(days=6)
    for kind in ("members", "locks"):
        yield partial(site.join_pod, 0, 1, kind=kind)
        yield partial(site.join_pod, 0, 0, kind=kind)
    for kind in ("people", "locks"):
        yield partial(site.leave_pod, 0, 0, kind=kind)
    yield lambda: site.delete_pod(0)
    yield lambda: site.register_lock(0, keypad=True)
    for number in range(3):
        yield partial(site.leave, 0, number, kind="locks")
        yield partial(site.add_locker, number, kind="personal" if number else "free")
        yield partial(site.assign_locker, number, 1, gives=True)
        yield partial(site.assign_locker, number, 0, gives=True)
        yield partial(site.assign_locker, number, 0, gives=False)
    for number in range(3):
        yield partial(site.move_lock, 0, number)
    yield lambda: site.delete_locker(0)
    yield lambda: site.join(0, 0, kind="locks")
    yield lambda: site.join(0, 1, kind="locks")
    yield lambda: site.delete_lock(0)
    yield lambda: site.delete_person(0)
    yield lambda: site.edit_site(zone=ZONES[1])
    yield lambda: site.delete_person(0)
    yield lambda: site.delete_group(0)


@pytest.mark.invariant("A1", "A8", "E4")
def test_edit_by_edit_and_from_nothing_are_the_same_bytes(edits: type[Edits]) -> None:
    """After any edits, whoever was asked when: each hub's state is what the rows say now.

    Also a hub that an edit did not ask for: nothing of it has changed.
    """
    run_state_machine_as_test(
        edits,
        settings=settings(
            max_examples=10 if IN_CI else 4,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
