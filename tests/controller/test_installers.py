"""What an installer with a grant sees and does, over all routes there are."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from sqlalchemy import select

from controller.db.tables.people import credentials
from controller.db.tables.records import audit_records
from tests.controller.scene import DEVICE, LOCK, Scene, laid
from tests.controller.test_matrix import SITE_ROWS

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("installers")]

HUBS: Final = "/sites/{site_id}/hubs"
HUB: Final = HUBS + "/{hub_id}"
LOCKS: Final = "/sites/{site_id}/locks/{lock_id}"
REPEATER: Final = HUB + "/repeaters/{repeater_id}"
NAME: Final = {"name": "Other"}
# What he does, in an order in which each works, and the version that he has seen.
ACTS: Final[tuple[tuple[str, Mapping[str, object], int], ...]] = (
    (f"PATCH {HUB}", NAME, 1),
    (f"POST {HUB}/locks", LOCK, 1),
    (f"PATCH {LOCKS}", NAME, 1),
    (f"POST {HUB}/repeaters", {"name": "New", "serial": "REP-new"}, 1),
    (f"PATCH {REPEATER}", NAME, 1),
    (f"DELETE {REPEATER}", {}, 2),
    (f"DELETE {LOCKS}", {}, 2),
    (f"POST {HUB}/replacement", DEVICE, 2),
    (f"POST {HUBS}", {"name": "New", **DEVICE, "serial": "HUB-new"}, 1),
    (f"DELETE {HUB}", {}, 1),  # the new one: the other has locks
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    """The whole cloud with its sites, for both tests of this file."""
    async with laid(migrated_sqlite, tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.mark.invariant("T4")
async def test_nothing_he_reads_has_a_person_in_it(scene: Scene) -> None:
    """No answer that he gets holds a name, an address or an id of a person or a credential."""
    ids = scene.own_ids
    async with scene.cloud.db.read() as tx:
        digests = (await tx.execute(select(credentials.c.digest))).scalars().all()
    canaries = ["Pia", "Uma", "user@example.org", ids["person_id"], ids["credential_id"]]
    canaries += [digest.hex() for digest in digests]
    seen = {}
    for row in [row for row in SITE_ROWS if row.method == "GET"]:
        answer = await scene.ask(row.name, "helper", ids)
        asked = row.path.format(**dict(ids))  # a refusal names the address that was asked for
        text = answer.raw.decode().replace(asked, "")
        seen[row.name] = answer.status

        assert not any(canary in text for canary in canaries), row.name

    assert list(seen.values()).count(200) >= 6
    assert set(seen.values()) == {200, 403}


@pytest.mark.invariant("T4")
async def test_every_act_of_his_is_in_the_audit(scene: Scene) -> None:
    """Each route that lets him change something leaves a record that names him."""
    helper = (await scene.cloud.make("GET", "/me", by="helper"))["account_id"]
    query = select(audit_records.c.action, audit_records.c.refused)
    query = query.where(audit_records.c.actor_id == helper, audit_records.c.site_id == scene.own)
    changing = {row.name for row in SITE_ROWS if "G" in row.who and row.method != "GET"}
    ids, done = dict(scene.own_ids), list[str]()
    for route, body, version in ACTS:
        answer = await scene.ask(route, "helper", ids, body, version)
        assert answer.status < 300, (route, answer.body)
        if route == f"POST {HUBS}":
            ids["hub_id"] = answer.body["id"]
        done.append(route)
        async with scene.cloud.db.read() as tx:
            records = (await tx.execute(query)).all()
        assert [record.refused for record in records] == [None] * len(done), route

    assert set(done) == changing
