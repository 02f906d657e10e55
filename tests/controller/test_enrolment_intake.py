"""A tag that a lock was waiting for arrives in a batch like any entry."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from controller.db.tables.activity import entries
from controller.db.tables.hardware import enrolments
from gateway.port import Unavailable
from gateway.protocol.messages import Ack, Batch, EntryKind
from gateway.protocol.topics import UpKind
from tests.controller.ground import Ground, name

ORDER = name("order")
DIGEST = bytes(range(16))


async def await_tag(ground: Ground, **more: Any) -> None:
    """Let a lock of the first hub wait for a tag."""
    now = ground.clocks.calendar
    row = {
        "site_id": name("site", 0),
        "id": ORDER,
        "lock_id": ground.hub().lock_id().hex(),
        "person_id": name("person", 0, 0),
        "label": "",
        "offline": False,
        "actor_name": "Ada",
        "created_at": now,
        "until": now + timedelta(minutes=2),
        "state": "waiting",
    }
    async with ground.db.write() as tx:
        await tx.execute(insert(enrolments).values(row | more))


def told(ground: Ground, *sequences: int) -> Batch:
    """Return entries of which each says that the tag was held to the lock."""
    return ground.hub().batch(
        *sequences,
        kind=EntryKind.TAG_ENROLLED,
        command_id=bytes.fromhex(ORDER),
        credential_digest=DIGEST,
    )


async def test_the_batch_is_stored_and_the_tag_noted(ground: Ground) -> None:
    """In one transaction, and the batch is acknowledged as ever."""
    await await_tag(ground)

    (answer,) = await ground.tell(ground.hub(), UpKind.BATCH, told(ground, 1))

    row = await ground.row(enrolments)
    assert (row.state, row.digest, row.credential_id) == ("presented", DIGEST, None)
    batch_hash = sha256(ground.hub().signed(UpKind.BATCH, told(ground, 1))).digest()
    assert ground.hub().read(answer, Ack).batch_hash == batch_hash
    assert len(await ground.rows(entries)) == 1


@pytest.mark.invariant("L1", "L3")
@pytest.mark.parametrize(
    "more", [{"state": "enrolled"}, {"state": "expired"}, {"lock_id": None}, {"id": "0" * 32}]
)
async def test_a_report_that_fits_no_enrolment_is_an_entry_all_the_same(
    ground: Ground, more: dict[str, Any]
) -> None:
    """Over, of another lock, or of an order that nobody knows: stored, and nothing else."""
    other = {"lock_id": ground.hub().lock_id(1).hex()} if "lock_id" in more else {}
    await await_tag(ground, **more | other)
    before = await ground.row(enrolments)

    answers = await ground.tell(ground.hub(), UpKind.BATCH, told(ground, 1, 2, 3))

    assert len(answers) == 1
    assert len(await ground.rows(entries)) == 3
    assert await ground.row(enrolments) == before


@pytest.mark.invariant("L3")
async def test_a_commit_that_fails_notes_no_tag(ground: Ground) -> None:
    """Entry and tag are noted together, or neither; the batch comes again."""
    await await_tag(ground)
    await ground.fail_commits()
    with pytest.raises((Unavailable, DBAPIError)):
        await ground.tell(ground.hub(), UpKind.BATCH, told(ground, 1))
    assert (await ground.row(enrolments)).state == "waiting"

    await ground.heal_commits()
    await ground.tell(ground.hub(), UpKind.BATCH, told(ground, 1))

    assert (await ground.row(enrolments)).state == "presented"
