"""What holds for every route of people, hardware and access.

``CASES`` names them all in an order in which each works once; a route that is missing there fails
the first test.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, select, update

from controller.db.metadata import metadata
from controller.db.tables.access import lockers
from controller.db.tables.hardware import enrolments
from controller.db.tables.idempotency import idempotency_keys
from controller.db.tables.people import people
from controller.db.tables.records import audit_records
from controller.db.tables.subscriptions import add_ons
from controller.domain.catalogue import Feature
from tests.controller.people.ground import (
    ABSENT,
    FOREIGN,
    NOW,
    OWN,
    STICKER,
    Answer,
    Ground,
    account,
)

SITE = "/sites/{site_id}"
PERSON = SITE + "/people/{person_id}"
CREDENTIAL = PERSON + "/credentials/{credential_id}"
HUB = SITE + "/hubs/{hub_id}"
REPEATERS = HUB + "/repeaters"
REPEATER = REPEATERS + "/{repeater_id}"
LOCK = SITE + "/locks/{lock_id}"
SCHEDULE = SITE + "/schedules/{schedule_id}"
HOLIDAY = SITE + "/holidays/{holiday_id}"
GROUP = SITE + "/access-groups/{group_id}"
LOCKER_PATH = SITE + "/lockers/{locker_id}"
POD = SITE + "/pods/{pod_id}"
KEYS = PERSON + "/digital-keys"
ENROLMENTS = LOCK + "/enrolments"
OWN_PART = SITE + "/own"
DOCUMENT = "/digital-keys/{credential_id}/document"
WINDOW = {"weekday": 0, "start_min": 480, "end_min": 1080}
DEVICE = {"serial": "NEW-1", "activation_code": STICKER}
LOCK_BODY = {
    "name": "New door",
    "serial": "NEW-2",
    "public_key": "09" + "00" * 31,
    "secret_code": STICKER,
    "capacity": 360,
}


def phone_key(number: int) -> str:
    """Return the public key of a phone."""
    key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32))
    return key.public_key().public_bytes_raw().hex()


LOCKER = {
    "id": "1" * 32,
    "name": "Locker",
    "kind": "free",
    "usable": True,
    "created_at": NOW,
    "version": 1,
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One route and a request that it takes."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    edits: bool = False  # wants If-Match
    key: bool = False  # wants Idempotency-Key
    sheet: bytes | None = None  # instead of a body
    open_to_unsubscribed: bool = False
    audit: str | None = None
    object_id: str = "credential_id"  # what of the scene stands in the path as credential
    person_id: str = "person_id"  # and as person
    records: int = 1  # in the audit; a guest who comes is a person added and one who joins a pod

    @property
    def name(self) -> str:
        """Return method and path."""
        return f"{self.method} {self.path}"

    @property
    def parts(self) -> list[str]:
        """Return what of the scene stands in the path besides the site."""
        names = [part[1:-1] for part in self.path.split("/") if part.startswith("{")]
        stands = {"site_id": "", "credential_id": self.object_id, "person_id": self.person_id}
        return [stand for name in names if (stand := stands.get(name, name))]

    def at(self, ids: Mapping[str, str]) -> str:
        """Return the path with these ids in it."""
        stands = {"credential_id": ids[self.object_id], "person_id": ids[self.person_id]}
        return self.path.format(**{**ids, **stands})


def read(path: str) -> Case:
    """Return a case that reads."""
    return Case(method="GET", path=path)


def add(path: str, audit: str, body: Mapping[str, object]) -> Case:
    """Return a case that creates."""
    return Case(method="POST", path=path, body=body, audit=audit)


def edit(path: str, audit: str, body: Mapping[str, object]) -> Case:
    """Return a case that edits a version."""
    return Case(method="PATCH", path=path, body=body, edits=True, audit=audit)


def remove(path: str, audit: str) -> Case:
    """Return a case that deletes a version."""
    return Case(method="DELETE", path=path, edits=True, audit=audit)


CASES = [
    read(SITE + "/people"),
    read(SITE + "/people.csv"),
    read(SITE + "/seats"),
    read(PERSON),
    read(PERSON + "/credentials"),
    read(CREDENTIAL),
    read(SITE + "/hubs"),
    read(HUB),
    read(REPEATERS),
    read(SITE + "/locks"),
    read(LOCK),
    read(SITE + "/commands/{command_id}"),
    read(SITE + "/schedules"),
    read(SCHEDULE),
    read(SITE + "/access-groups"),
    read(GROUP),
    read(GROUP + "/people"),
    read(GROUP + "/locks"),
    read(SITE + "/holidays"),
    read(HOLIDAY),
    read(PERSON + "/locks/{lock_id}/why"),
    read(PERSON + "/access"),
    read(LOCK + "/access"),
    read(LOCK + "/offline-list"),
    read(ENROLMENTS + "/{enrolment_id}"),
    read(OWN_PART),
    read(OWN_PART + "/entries"),
    read(CREDENTIAL + "/offline"),
    read(SITE + "/revocations"),
    read(SITE + "/revocations/{credential_id}"),
    add(SITE + "/people", "person_added", {"name": "New", "subscribed": True}),
    Case(
        method="POST", path=SITE + "/people/import", sheet=b"name\nNew\n", audit="people_imported"
    ),
    add(PERSON + "/credentials", "credential_added", {"number": "00112233"}),
    add(PERSON + "/pins", "pin_made", {"kind": "generated"}),
    add(OWN_PART + "/pin", "pin_made", {}),
    add(KEYS, "digital_key_added", {"public_key": phone_key(3)}),
    add(OWN_PART + "/digital-keys", "digital_key_added", {"public_key": phone_key(4)}),
    Case(
        method="POST",
        path=PERSON + DOCUMENT,
        object_id="phone_id",
        audit="access_document_issued",
    ),
    Case(
        method="POST",
        path=OWN_PART + DOCUMENT,
        object_id="own_phone_id",
        audit="access_document_issued",
    ),
    Case(
        method="POST",
        path=OWN_PART + "/credentials/{credential_id}/block",
        object_id="own_phone_id",
        audit="credential_edited",
    ),
    Case(
        method="POST",
        path=CREDENTIAL + "/replacement",
        body={"number": "00112244"},
        edits=True,
        object_id="worn_id",
        audit="credential_replaced",
    ),
    Case(
        method="POST",
        path=ENROLMENTS,
        body={"person_id": "{person_id}"},
        key=True,
        audit="tag_enrolment_ordered",
    ),
    Case(
        method="POST",
        path=OWN_PART + "/locks/{lock_id}/open",
        key=True,
        audit="lock_open_ordered",
    ),
    add(SITE + "/hubs", "hub_registered", {"name": "New hub", **DEVICE, "serial": "NEW-0"}),
    add(HUB + "/locks", "lock_registered", LOCK_BODY),
    add(REPEATERS, "repeater_added", {"name": "New", "serial": "NEW-3"}),
    add(SITE + "/schedules", "schedule_added", {"name": "New", "windows": [WINDOW]}),
    add(SITE + "/holidays", "holiday_added", {"name": "New", "starts_on": "2026-12-25"}),
    add(SITE + "/access-groups", "group_added", {"name": "New"}),
    read(SITE + "/lockers"),
    read(LOCKER_PATH),
    read(LOCKER_PATH + "/people"),
    add(SITE + "/lockers", "locker_added", {"lock_id": "{spare_id}", "name": "New"}),
    edit(LOCKER_PATH, "locker_edited", {"name": "Other"}),
    Case(method="PUT", path=LOCKER_PATH + "/people/{person_id}", audit="locker_assigned"),
    Case(method="DELETE", path=LOCKER_PATH + "/people/{person_id}", audit="locker_unassigned"),
    read(SITE + "/pods"),
    read(POD),
    read(POD + "/people"),
    read(POD + "/locks"),
    read(OWN_PART + "/pods"),
    add(SITE + "/pods", "pod_added", {"name": "New"}),
    edit(POD, "pod_edited", {"name": "Other"}),
    Case(method="PUT", path=POD + "/locks/{lock_id}", audit="pod_got_lock"),
    Case(method="DELETE", path=POD + "/locks/{lock_id}", audit="pod_lost_lock"),
    Case(
        method="POST",
        path=OWN_PART + "/pods/{pod_id}/guests",
        body={"name": "New guest", "expires_at": "2026-03-09T12:00:00Z"},
        key=True,
        audit="pod_joined",
        records=2,
    ),
    Case(
        method="DELETE",
        path=OWN_PART + "/pods/{pod_id}/guests/{person_id}",
        person_id="guest_id",
        audit="pod_left",
        records=2,
    ),
    Case(method="DELETE", path=POD + "/people/{person_id}", audit="pod_left"),
    Case(method="PUT", path=POD + "/guests/{person_id}", audit="pod_joined"),
    Case(method="POST", path=POD + "/clean", audit="pod_cleaned"),
    Case(method="PUT", path=POD + "/members/{person_id}", audit="pod_joined"),
    Case(method="POST", path=LOCK + "/open", key=True, audit="lock_open_ordered"),
    Case(
        method="POST",
        path=LOCK + "/start-office",
        body={"seconds": 60},
        key=True,
        audit="office_start_ordered",
    ),
    Case(method="POST", path=LOCK + "/end-office", key=True, audit="office_end_ordered"),
    Case(method="POST", path=LOCK + "/clear-keypad", key=True, audit="keypad_clear_ordered"),
    Case(method="POST", path=LOCK + "/free-locker", key=True, audit="locker_free_ordered"),
    Case(method="DELETE", path=CREDENTIAL + "/offline", audit="offline_access_taken"),
    Case(method="PUT", path=CREDENTIAL + "/offline", audit="offline_access_granted"),
    edit(PERSON, "person_edited", {"subscribed": False}),
    edit(CREDENTIAL, "credential_edited", {"blocked": True}),
    edit(HUB, "hub_renamed", {"name": "Other"}),
    Case(
        method="POST",
        path=HUB + "/replacement",
        body=DEVICE,
        edits=True,
        open_to_unsubscribed=True,
        audit="hub_replaced",
    ),
    edit(LOCK, "lock_edited", {"open_s": 240}),
    edit(REPEATER, "repeater_edited", {"name": "Stairs"}),
    edit(SCHEDULE, "schedule_edited", {"windows": [WINDOW, WINDOW | {"weekday": 1}]}),
    edit(HOLIDAY, "holiday_edited", {"days": 2}),
    edit(GROUP, "group_edited", {"schedule_id": None}),
    Case(method="DELETE", path=GROUP + "/people/{person_id}", audit="group_left"),
    Case(method="PUT", path=GROUP + "/people/{person_id}", audit="group_joined"),
    Case(method="DELETE", path=GROUP + "/locks/{lock_id}", audit="group_lost_lock"),
    Case(method="PUT", path=GROUP + "/locks/{lock_id}", audit="group_gained_lock"),
    Case(
        method="PATCH",
        path=GROUP + "/people",
        body={"remove_ids": ["{person_id}"]},
        audit="group_left",
    ),
    Case(
        method="PATCH",
        path=GROUP + "/locks",
        body={"remove_ids": ["{lock_id}"]},
        audit="group_lost_lock",
    ),
    remove(LOCKER_PATH, "locker_deleted"),
    remove(POD, "pod_deleted"),
    remove(CREDENTIAL, "credential_deleted"),
    remove(PERSON, "person_deleted"),
    remove(GROUP, "group_deleted"),
    remove(SCHEDULE, "schedule_deleted"),
    remove(HOLIDAY, "holiday_deleted"),
    remove(LOCK, "lock_deleted"),
    remove(REPEATER, "repeater_deleted"),
    Case(
        method="DELETE",
        path=SITE + "/hubs/{hub_id}",
        edits=True,
        open_to_unsubscribed=True,
        audit="hub_retired",
    ),
]
WRITES = [case for case in CASES if case.method != "GET"]


@dataclass(kw_only=True)
class Scene:
    """One object of each kind at a site."""

    ids: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def keep(self, name: str, made: Any) -> Any:
        """Note an object."""
        self.ids[name] = made["id"]
        self.versions[made["id"]] = made.get("version", 1)
        return made


async def scene(ground: Ground, site: str = OWN, by: str = "ada") -> Scene:
    """Make one object of each kind."""
    made = Scene(ids={"site_id": site})
    at: Any = {"site": site, "by": by}
    person = made.keep("person_id", await ground.person(**at))
    made.keep("credential_id", await ground.tag(person, offline=True, **at))
    made.keep("worn_id", await ground.tag(person, **at))
    for number, name in enumerate(("phone_id", "own_phone_id"), 1):
        body: dict[str, object] = {"public_key": phone_key(number)}
        made.keep(name, await ground.make(f"/people/{person['id']}/digital-keys", body, **at))
    hub = made.keep("hub_id", await ground.hub(**at))
    lock = made.keep("lock_id", await ground.lock(hub, keypad=True, **at))
    async with ground.db.write() as tx:
        await tx.execute(insert(lockers).values(**LOCKER, site_id=site, lock_id=lock["id"]))
    body = {"name": "Stairs", "serial": f"R-{site[0]}"}
    made.keep("repeater_id", await ground.make(f"/hubs/{hub['id']}/repeaters", body, **at))
    body = {"name": "Office", "windows": [WINDOW]}
    schedule = made.keep("schedule_id", await ground.make("/schedules", body, **at))
    body = {"name": "May Day", "starts_on": "2026-05-01"}
    made.keep("holiday_id", await ground.make("/holidays", body, **at))
    body = {"name": "Staff", "schedule_id": schedule["id"]}
    group = made.keep("group_id", await ground.make("/access-groups", body, **at))
    for kind, member in (("people", person), ("locks", lock)):
        path = f"/sites/{site}/access-groups/{group['id']}/{kind}/{member['id']}"
        assert (await ground.call("PUT", path, by=by)).status == 204
    await furnish_features(ground, made, hub, at)
    opened = await ground.call("POST", f"/sites/{site}/locks/{lock['id']}/open", by=by, key="k0")
    made.keep("command_id", opened.body)
    made.keep("enrolment_id", await over(ground, site, by, person, lock))
    async with ground.db.write() as tx:
        this = update(people).where(people.c.id == person["id"])
        await tx.execute(this.values(account_id=account(by)))
    body = {"name": "Guest", "expires_at": "2026-03-09T12:00:00Z"}
    path = f"/sites/{site}/own/pods/{made.ids['pod_id']}/guests"
    made.keep("guest_id", (await ground.call("POST", path, body, by=by, key="k2")).body)
    return made


async def furnish_features(ground: Ground, made: Scene, hub: Any, at: Any) -> None:
    """Make a personal locker, a pod with its member, and a lock for one locker more."""
    ends_at = NOW + timedelta(days=60)
    row = {"site_id": at["site"], "feature": Feature.PODS, "ends_at": ends_at}
    async with ground.db.write() as tx:
        await tx.execute(insert(add_ons).values(row))
    made.keep("spare_id", await ground.lock(hub, **at))
    box = await ground.lock(hub, **at)
    body = {"lock_id": box["id"], "name": "Box"}
    made.keep("locker_id", await ground.make("/lockers", body, **at))
    pod = made.keep("pod_id", await ground.make("/pods", {"name": "Suite"}, **at))
    path = f"/sites/{at['site']}/pods/{pod['id']}/members/{made.ids['person_id']}"
    assert (await ground.call("PUT", path, by=at["by"])).status == 204


async def over(ground: Ground, site: str, by: str, person: Any, lock: Any) -> Any:
    """Return an enrolment that nobody met."""
    path, body = f"/sites/{site}/locks/{lock['id']}/enrolments", {"person_id": person["id"]}
    begun = await ground.call("POST", path, body, by=by, key="k1")
    async with ground.db.write() as tx:
        this = update(enrolments).where(enrolments.c.site_id == site)
        await tx.execute(this.values(state="expired"))
    return begun.body


async def ask(ground: Ground, case: Case, ids: Mapping[str, str], version: int = 1) -> Answer:
    """Send the request of a case, with these ids in path and body."""
    body = json.dumps(case.body)
    for name, each in ids.items():
        body = body.replace("{" + name + "}", each)
    return await ground.call(
        case.method,
        case.at(ids),
        json.loads(body),
        if_match=version if case.edits else None,
        key=f"k{next(ground.numbers)}" if case.key else None,
        sheet=case.sheet,
    )


async def dump(ground: Ground) -> dict[str, list[Any]]:
    """Return all rows but those of answers and audit."""
    async with ground.db.read() as tx:
        return {
            table.name: sorted(map(repr, (await tx.execute(select(table))).all()))
            for table in metadata.sorted_tables
            if table not in (idempotency_keys, audit_records)
        }


async def test_every_route_is_a_case(ground: Ground) -> None:
    """No route of these features is left out of the tests below."""
    routes = {
        f"{route.method} {route.resource.canonical.removeprefix('/api/v1')}"
        for route in ground.client.app.router.routes()
        if route.resource and "/sites/" in route.resource.canonical and route.method != "HEAD"
    }

    assert routes == {case.name for case in CASES}


@pytest.mark.invariant("L6")
async def test_each_change_has_one_audit_record(ground: Ground) -> None:
    """Every route that changes something writes one record of who did what where."""
    made = await scene(ground)
    missing = []
    for case in WRITES:
        if case.audit == "hub_retired":
            made.keep("hub_id", await ground.hub())  # the other one serves locks
        before = await ground.count(audit_records)
        version = made.versions[made.ids[case.parts[-1]]] if case.edits else 1
        answer = await ask(ground, case, made.ids, version)
        assert answer.status < 300, (case.name, answer.body)
        if answer.body and answer.body.get("id") in made.versions:
            made.versions[answer.body["id"]] = answer.body.get("version", 1)
        written = await ground.count(audit_records) - before
        named = await ground.count(
            audit_records, action=case.audit, site_id=OWN, actor_name="ada", at=NOW
        )
        if written != case.records or not named:
            missing.append((case.name, written, named))

    assert missing == []


@pytest.mark.invariant("E3", "V11")
async def test_without_a_subscription_nothing_changes(ground: Ground) -> None:
    """From the end on every change is refused as such, and not a row is touched."""
    made = await scene(ground)
    ground.expire()
    before = await dump(ground)
    answers = {}
    for case in WRITES:
        if not case.open_to_unsubscribed:
            answer = await ask(ground, case, made.ids)
            answers[case.name] = (answer.status, answer.code)
            assert answer.facts["contact"] == "Sam Supplier"

    assert set(answers.values()) == {(403, "no_valid_subscription")}
    assert await dump(ground) == before


@pytest.mark.invariant("V11")
async def test_without_a_subscription_all_is_shown(ground: Ground) -> None:
    """What was made stays readable while it cannot be changed."""
    made = await scene(ground)
    reads = [case for case in CASES if case.method == "GET"]
    ground.expire()

    answers = {case.name: (await ask(ground, case, made.ids)).status for case in reads}

    assert set(answers.values()) == {200}


async def test_a_hub_can_be_replaced_and_retired_without_a_subscription(ground: Ground) -> None:
    """Lost and broken hubs are dealt with whatever the subscription is."""
    hub = await ground.hub()
    path = f"/sites/{OWN}/hubs/{hub['id']}"
    ground.expire()

    replaced = await ground.call("POST", f"{path}/replacement", DEVICE, if_match=1)
    retired = await ground.call("DELETE", path, if_match=2)

    assert (replaced.status, retired.status) == (200, 204)


@pytest.mark.invariant("T1")
async def test_a_foreign_object_is_like_an_absent_one(ground: Ground) -> None:
    """The id of another site's object, in any place, answers as an id that nobody has."""
    own, foreign = await scene(ground), await scene(ground, FOREIGN, "bob")
    before = await dump(ground)
    for case in CASES:
        for part in case.parts:
            absent = await ask(ground, case, own.ids | {part: ABSENT})
            other = await ask(ground, case, own.ids | {part: foreign.ids[part]})
            assert (other.status, other.body) == (absent.status, absent.body), (case.name, part)
            assert other.status == 404, (case.name, part)

    assert await dump(ground) == before


@pytest.mark.invariant("T1")
async def test_a_foreign_id_in_a_body_is_like_an_absent_one(ground: Ground) -> None:
    """What another site has can neither be followed nor put in, nor found out."""
    own, foreign = await scene(ground), await scene(ground, FOREIGN, "bob")
    group, version = GROUP.format(**own.ids), own.versions[own.ids["group_id"]]
    before = await dump(ground)
    bodies: list[tuple[str, str, int | None, str, str]] = [
        ("POST", SITE.format(**own.ids) + "/access-groups", None, "schedule_id", "schedule_id"),
        ("PATCH", group, version, "schedule_id", "schedule_id"),
        ("PATCH", group + "/people", None, "person_id", "add_ids.0"),
        ("PATCH", group + "/people", None, "person_id", "remove_ids.0"),
        ("PATCH", group + "/locks", None, "lock_id", "add_ids.0"),
        ("PATCH", group + "/locks", None, "lock_id", "remove_ids.0"),
    ]
    for method, path, if_match, kind, place in bodies:
        answers = []
        for one in (foreign.ids[kind], ABSENT):
            field, is_list = place.split(".")[0], "." in place
            body: dict[str, object] = {field: [one] if is_list else one}
            if method == "POST":
                body["name"] = "X"
            answers.append(await ground.call(method, path, body, if_match=if_match))

        assert answers[0].status == 404, place
        assert answers[0].facts["field"] == place
        assert answers[0].body == answers[1].body

    assert await dump(ground) == before


@pytest.mark.invariant("T1")
async def test_a_foreign_site_is_like_an_absent_one(ground: Ground) -> None:
    """Whoever has no role at a site cannot tell that it exists."""
    foreign = await scene(ground, FOREIGN, "bob")
    before = await dump(ground)
    for case in CASES:
        there = await ask(ground, case, foreign.ids)
        nowhere = await ask(ground, case, foreign.ids | {"site_id": ABSENT})
        assert (there.status, there.body) == (nowhere.status, nowhere.body), case.name
        assert there.status == 404, case.name

    assert await dump(ground) == before


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("ian", {"hubs", "locks"}),
        ("uma", set()),
        ("ada", {"people", "hubs", "locks", "schedules", "holidays", "access-groups"}),
    ],
)
@pytest.mark.invariant("T3")
async def test_a_role_sees_and_changes_only_what_is_its_own(
    ground: Ground, who: str, may: set[str]
) -> None:
    """An installer works on hardware and meets no people; a plain user manages nothing."""
    bodies: dict[str, dict[str, object]] = {
        "people": {"name": "New"},
        "hubs": {"name": "New", **DEVICE},
        "schedules": {"name": "New", "windows": [WINDOW]},
        "holidays": {"name": "New", "starts_on": "2026-12-25"},
        "access-groups": {"name": "New"},
    }
    seen = {
        kind
        for kind in [*bodies, "locks"]
        if (await ground.call("GET", f"/sites/{OWN}/{kind}", by=who)).status == 200
    }
    made = {
        kind
        for kind, body in bodies.items()
        if (await ground.call("POST", f"/sites/{OWN}/{kind}", body, by=who)).status == 201
    }

    assert seen == may
    assert made == may - {"locks"}
