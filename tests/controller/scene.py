"""Two sites in use and one that waits, with one of everything: where rules of access are tested.

A new kind of object with an id in a path is made in ``_furnish``; a body that a new route needs to
get as far as the object in its path goes into ``BODIES``.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import insert, select

from controller.db.tables.activity import incidents
from controller.db.tables.records import outbox
from controller.db.tables.subscriptions import add_ons
from controller.domain.catalogue import Feature
from controller.domain.incidents import IncidentKind
from tests.controller.whole import ABSENT, NOW, STICKER, Answer, Whole, sqlite_url, whole

UNKNOWN_CODE: Final = {"code": "00000-00000-00000-00000-00000"}
KEEPER: Final = {
    "name": "Keeper",
    "rights": ["site:read", "hardware:read", "doors:manage", "lock:open", "lock:office"],
}
WINDOW: Final = {"weekday": 0, "start_min": 480, "end_min": 1080}
DEVICE: Final = {"serial": "NEW-1", "activation_code": STICKER}
LOCK: Final = {
    "name": "Door",
    "serial": "NEW-2",
    "public_key": "09" + "00" * 31,
    "secret_code": STICKER,
    "capacity": 39,
}
REPEATER: Final = {"name": "Stairs", "serial": "NEW-3"}
BODIES: Final[Mapping[str, Mapping[str, object]]] = {
    "POST /me/password": {"present": "no such password", "wanted": "another long password"},
    "POST /tokens": {"name": "t", "scopes": ["read"]},
    "POST /sites/{site_id}/subscription/preview": UNKNOWN_CODE,
    "POST /sites/{site_id}/redemptions": UNKNOWN_CODE,
    "PATCH /sites/{site_id}/custom-roles/{role_id}": {"name": "Other"},
    "POST /sites/{site_id}/hubs/{hub_id}/replacement": DEVICE,
    "PATCH /sites/{site_id}/hubs/{hub_id}": {"name": "Other"},
    "PUT /sites/{site_id}/roles/{account_id}": {"role": "user"},
    "POST /sites/{site_id}/transfer": {"account_id": ABSENT},
    "POST /sites/{site_id}/hardware-list/confirmation": {"digest": "0" * 64},
    "POST /sites/{site_id}/hubs/{hub_id}/repeaters": REPEATER,
    "POST /sites/{site_id}/hubs/{hub_id}/locks": LOCK,
    "POST /sites/{site_id}/people/{person_id}/credentials": {"number": "00112233"},
    "POST /sites/{site_id}/people/{person_id}/credentials/{credential_id}/replacement": {
        "number": "00112233"
    },
    "POST /sites/{site_id}/people/{person_id}/digital-keys": {"public_key": "58" + "66" * 31},
    "POST /sites/{site_id}/locks/{lock_id}/enrolments": {"person_id": ABSENT},
    "POST /sites/{site_id}/own/pods/{pod_id}/guests": {
        "name": "Guest",
        "expires_at": "2026-12-01T00:00:00Z",
    },
}


def parts(route: str) -> list[str]:
    """Return the names of the ids in a path besides the site's."""
    names = [part[1:-1] for part in route.split("/") if part.startswith("{")]
    return [name for name in names if name != "site_id"]


@dataclass(kw_only=True)
class Scene:
    """The owner's site, one that waits for its hand-over, the neighbour's, and what they hold."""

    cloud: Whole
    own: str
    fresh: str
    foreign: str
    own_ids: Mapping[str, str]
    foreign_ids: Mapping[str, str]

    def site_of(self, who: str) -> str:
        """Return the site that somebody calls the own one."""
        return self.fresh if who == "I" else self.own

    async def ask(
        self,
        route: str,
        by: str,
        ids: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        version: int = 1,
    ) -> Answer:
        """Send a request to a route, method and path; ids that are not given are nobody's."""
        method, path = route.split()
        known = dict.fromkeys(parts(route), ABSENT) | {"site_id": self.own} | dict(ids or {})
        return await self.cloud.ask(
            method,
            path.format(**known),
            None if method == "GET" else BODIES.get(route, {}) if body is None else body,
            by=by,
            headers={"If-Match": f'"{version}"'},
        )


@asynccontextmanager
async def laid(image: Path, folder: Path) -> AsyncIterator[Scene]:
    """Serve the whole cloud with its sites, for tests none of which changes them.

    Args:
        image: A SQLite file with the present schema, which is copied.
        folder: Where the files of the cloud may be.
    """
    async with whole(sqlite_url(image, folder), folder) as cloud:
        own = await cloud.site()
        fresh, foreign = await cloud.site(owner=None), await cloud.site(owner="neighbour")
        await cloud.redeem(own, await cloud.code())
        own_ids = await _furnish(cloud, own, by="owner")
        foreign_ids = await _furnish(cloud, foreign, by="neighbour")
        foreign_ids |= await _things_of_accounts(cloud)
        await _people_it(cloud, own, keeper=own_ids["role_id"])
        own_ids["account_id"] = (await cloud.make("GET", "/me", by="user"))["account_id"]
        yield Scene(
            cloud=cloud,
            own=own,
            fresh=fresh,
            foreign=foreign,
            own_ids=own_ids,
            foreign_ids=foreign_ids,
        )


async def _people_it(cloud: Whole, site_id: str, *, keeper: str) -> None:
    """Give everybody with a letter of its own the role at the owner's site."""
    for name, role in (("admin", "admin"), ("super_user", "super_user"), ("keeper", keeper)):
        await cloud.join(site_id, name, role)
    for name, seconds in (("former_helper", 1), ("helper", 28_800)):
        grant = {"email": f"{name}@example.org", "seconds": seconds}
        await cloud.make("POST", f"/sites/{site_id}/installer-grants", grant, by="owner")
    body = {"name": "Uma", "email": "user@example.org", "subscribed": True}
    person = await cloud.make("POST", f"/sites/{site_id}/people", body, by="owner")
    path = f"/sites/{site_id}/people/{person['id']}/invitation"
    await cloud.make("POST", path, by="owner")
    async with cloud.db.read() as tx:
        facts = select(outbox.c.facts).where(outbox.c.kind == "invitation.sent")
        sent = (await tx.execute(facts)).scalar_one()
    await cloud.make("POST", "/invitations/accept", {"token": sent["token"]}, by="user")


async def _furnish(cloud: Whole, site_id: str, *, by: str) -> dict[str, str]:
    """Make one of everything at a site, and return the ids."""
    site, made = f"/sites/{site_id}", {"site_id": site_id}

    async def make(name: str, path: str, body: object) -> None:
        made[name] = (await cloud.make("POST", path, body, by=by))["id"]

    await make("role_id", f"{site}/custom-roles", KEEPER)
    await make("person_id", f"{site}/people", {"name": "Pia", "subscribed": True})
    person = f"{site}/people/{made['person_id']}"
    await make("credential_id", f"{person}/credentials", {"number": "04A1B2C3D4"})
    await make("schedule_id", f"{site}/schedules", {"name": "Day", "windows": [WINDOW]})
    group = {"name": "All", "schedule_id": made["schedule_id"]}
    await make("group_id", f"{site}/access-groups", group)
    await make("hub_id", f"{site}/hubs", {"name": "Hub", **DEVICE, "serial": f"HUB-{by}"})
    hub = f"{site}/hubs/{made['hub_id']}"
    await make("lock_id", f"{hub}/locks", LOCK | {"serial": f"LOCK-{by}"})
    await make("repeater_id", f"{hub}/repeaters", REPEATER | {"serial": f"REP-{by}"})
    await make("command_id", f"{site}/locks/{made['lock_id']}/open", None)
    await make("holiday_id", f"{site}/holidays", {"name": "May Day", "starts_on": "2026-05-01"})
    enrolment = {"person_id": made["person_id"]}
    await make("enrolment_id", f"{site}/locks/{made['lock_id']}/enrolments", enrolment)
    spare = LOCK | {"serial": f"SPARE-{by}", "public_key": "0a" + "00" * 31}
    locker = {"lock_id": (await cloud.make("POST", f"{hub}/locks", spare, by=by))["id"]}
    await make("locker_id", f"{site}/lockers", locker | {"name": "L1"})
    async with cloud.db.write() as tx:
        row = {"site_id": site_id, "feature": Feature.PODS, "ends_at": NOW + timedelta(days=1)}
        await tx.execute(insert(add_ons), row)
    await make("pod_id", f"{site}/pods", {"name": "Suite"})
    rule = {"name": "Alarm", "kinds": ["intrusion"], "receiver_ids": [made["person_id"]]}
    await make("rule_id", f"{site}/notification-rules", rule)
    made["incident_id"] = await _incident(cloud, site_id, made["lock_id"])
    groups = f"{site}/access-groups/{made['group_id']}"
    for kind in ("person", "lock"):
        member = {"person": "people", "lock": "locks"}[kind]
        await cloud.make("PUT", f"{groups}/{member}/{made[f'{kind}_id']}", by=by)
    return made


async def _incident(cloud: Whole, site_id: str, lock_id: str) -> str:
    """Note that a door was left open, as its hub would tell, and return the incident's id."""
    row = {
        "site_id": site_id,
        "id": site_id[::-1],
        "kind": IncidentKind.LEFT_OPEN,
        "lock_id": lock_id,
        "at": NOW,
        "received_at": NOW,
        "facts": {},
    }
    async with cloud.db.write() as tx:
        await tx.execute(insert(incidents), row)
    return str(row["id"])


async def _things_of_accounts(cloud: Whole) -> dict[str, str]:
    """Make what the neighbour has besides his site, and a rival's vouchers; return the ids."""
    until = {"redeem_until": "2027-01-01T00:00:00Z"}
    batch = {"product": {"kind": "plan", "plan": "pro", "users": 1, "term_days": 1}, "count": 1}
    minted = await cloud.make("POST", "/voucher-batches", batch | until, by="rival")
    token = {"name": "t", "scopes": ["read"]}
    return {
        "batch_id": minted["id"],
        "voucher_id": minted["codes"][0]["voucher_id"],
        "token_id": (await cloud.make("POST", "/tokens", token, by="neighbour"))["id"],
        "session_id": (await cloud.make("GET", "/sessions", by="neighbour"))[0]["id"],
        "account_id": (await cloud.make("GET", "/me", by="neighbour"))["account_id"],
    }


def shown(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """Return all of an answer that may not differ."""
    passing = {"x-request-id", "date", "ratelimit"}
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in passing}
    return answer.status, answer.raw, kept
