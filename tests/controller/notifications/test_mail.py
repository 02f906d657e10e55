"""Mail leaves once, is tried again, and says what happened."""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import pytest
from sqlalchemy import select

from controller.audit.service import Audit
from controller.bus import ProcessBus
from controller.chance import RandomIds, SystemRandomness
from controller.db.engine import Database
from controller.db.tables.notifications import mails, notices
from controller.db.tables.records import outbox as outbox_rows
from controller.domain.happenings import Happening
from controller.domain.ids import LockId, PersonId
from controller.domain.roles import SYSTEM
from controller.notifications import mailbox
from controller.notifications.mail import MailRoom, post_of
from controller.notifications.service import Notifications, RuleEdit
from controller.outbox import service as outbox
from tests.controller.notifications.conftest import Inbox
from tests.controller.people.ground import NOW, OWN, Ground, HandClock

HAPPENING = Happening(site_id=OWN, id="e1", kind="intrusion", at=NOW)


@dataclass(kw_only=True)
class Post:
    """Rules and mail of a served site."""

    ground: Ground
    rules: Notifications
    room: MailRoom
    link: HandClock

    async def rule(self, *receivers: str, **more: object) -> None:
        """Make a rule about intrusions."""
        edit = RuleEdit(
            name="Alarm",
            kinds=frozenset({"intrusion"}),
            receiver_ids=frozenset(PersonId(one) for one in receivers),
        )
        async with self.ground.db.write() as tx:
            await self.rules.add(tx, SYSTEM, OWN, cast("RuleEdit", edit | more), now=NOW)

    async def happen(self, *happenings: Happening) -> None:
        """Let something be written down, and the gathering time pass."""
        async with self.ground.db.write() as tx:
            await self.rules.note(tx, happenings, now=NOW)
        self.link.at += mailbox.GATHER


@pytest.fixture
def post(ground: Ground, inbox: Inbox) -> Post:
    """Rules and a mail room that sends to the inbox."""
    link = HandClock()
    ids, bus = RandomIds(SystemRandomness()), ProcessBus()
    way = post_of(f"smtp://127.0.0.1:{inbox.port}", sender="doors@example.net")
    return Post(
        ground=ground,
        rules=Notifications(audit=Audit(ids), ids=ids, bus=bus, link=link),
        room=MailRoom(ground.db, link, bus, way, address="http://cloud.example"),
        link=link,
    )


async def test_whoever_is_chosen_is_told_by_mail(ground: Ground, post: Post, inbox: Inbox) -> None:
    """A rule's receivers, and nobody else, get one mail each with what happened, when and where."""
    pia = await ground.person("Pia", email="pia@example.org")
    rob = await ground.person("Rob", email="rob@example.org")
    await ground.person("Una", email="una@example.org")
    lock = await ground.lock(await ground.hub())
    await post.rule(pia["id"], rob["id"])

    at_lock = Happening(site_id=OWN, id="e1", kind="intrusion", at=NOW, lock_id=LockId(lock["id"]))
    await post.happen(at_lock)

    assert await post.room.turn() == 2
    assert sorted(mail["To"] for mail in inbox.mails) == ["pia@example.org", "rob@example.org"]
    text = inbox.mails[0].get_content()
    assert f"2026-03-02 13:00:00 intrusion at {lock['name']}" in text  # Madrid
    assert inbox.mails[0]["Subject"] == "Site a: Alarm"
    assert await post.room.turn() == 0
    assert await ground.count(mails) == 0


async def test_what_happens_at_once_is_one_mail(ground: Ground, post: Post, inbox: Inbox) -> None:
    """A burst is gathered, and of one batch at most 50 are told one by one."""
    pia = await ground.person("Pia", email="pia@example.org")
    await post.rule(pia["id"])
    burst = [Happening(site_id=OWN, id=f"e{n}", kind="intrusion", at=NOW) for n in range(70)]

    await post.happen(*burst)
    await post.room.turn()

    (mail,) = inbox.mails
    lines = mail.get_content().splitlines()
    assert sum("intrusion" in line for line in lines) == 50
    assert "and 20 more of the same batch" in lines


async def test_the_same_happening_told_twice_is_one_notice(ground: Ground, post: Post) -> None:
    """Intake may see a thing again; nobody is told again."""
    pia = await ground.person("Pia", email="pia@example.org")
    await post.rule(pia["id"])

    for _ in range(2):
        await post.happen(HAPPENING)

    assert await ground.count(notices) == 1
    assert await ground.count(outbox_rows, kind="notification.raised") == 1


async def test_a_server_that_is_busy_gets_the_mail_later(
    ground: Ground, post: Post, inbox: Inbox
) -> None:
    """A passing refusal keeps the mail; it is tried again after a minute, not before."""
    pia = await ground.person("Pia", email="pia@example.org")
    await post.rule(pia["id"])
    inbox.answer = "451 come again"
    await post.happen(HAPPENING)
    assert await post.room.turn() == 0

    inbox.answer = "250 OK"
    assert await post.room.turn() == 0
    post.link.at += timedelta(minutes=1)

    assert await post.room.turn() == 1
    assert len(inbox.mails) == 1


async def test_a_mail_refused_for_good_is_kept_without_its_text(
    ground: Ground, post: Post, inbox: Inbox
) -> None:
    """A final refusal is not tried again; operators see that it failed, and nothing of it."""
    pia = await ground.person("Pia", email="pia@example.org")
    await post.rule(pia["id"])
    inbox.answer = "550 no such box"
    await post.happen(HAPPENING)

    await post.room.turn()

    async with ground.db.read() as tx:
        row = (await tx.execute(select(mails))).one()
    assert (row.failure, row.body, row.given_up_at) == ("550", "", post.link.at)
    inbox.answer = "250 OK"
    post.link.at += timedelta(days=3)
    assert await post.room.turn() == 0


async def test_a_mail_is_given_up_after_ten_attempts(
    ground: Ground, post: Post, inbox: Inbox
) -> None:
    """Attempts are bounded, and the pauses between them grow."""
    async with ground.db.write() as tx:
        await mailbox.add(
            tx, ["pia@example.org"], site_id=OWN, subject="S", body="B", utc=post.link.at
        )
    inbox.answer = "451 come again"

    for _ in range(mailbox.ATTEMPTS_MAX + 1):
        await post.room.turn()
        post.link.at += mailbox.AGAIN_MAX

    assert await ground.count(mails, failure="never reached") == 1


async def test_a_rule_limited_to_a_lock_and_a_time_leaves_the_rest_alone(
    ground: Ground, post: Post
) -> None:
    """Kind, lock, person and schedule must all fit."""
    pia = await ground.person("Pia", email="pia@example.org")
    lock = await ground.lock(await ground.hub())
    window = {"weekday": 0, "start_min": 0, "end_min": 60}
    night = await ground.make("/schedules", {"name": "Night", "windows": [window]})
    await post.rule(pia["id"], lock_ids=frozenset({LockId(lock["id"])}), schedule_id=night["id"])
    here = Happening(site_id=OWN, id="e1", kind="intrusion", at=NOW, lock_id=LockId(lock["id"]))

    await post.happen(here, HAPPENING)

    assert await ground.count(notices) == 0


async def test_letters_go_to_owner_and_admins(ground: Ground, post: Post, inbox: Inbox) -> None:
    """What the cloud says of its own accord reaches those who can act, once."""
    async with ground.db.write() as tx:
        facts = {"days_before": 7, "ends_at": "2026-04-01T12:00:00Z"}
        await outbox.put(tx, "subscription.ending", site_id=OWN, now=NOW, facts=facts, to_mail=True)

    for _ in range(2):
        await post.room.turn()

    assert [mail["To"] for mail in inbox.mails] == ["ada@example.org"]
    assert "Sam Supplier" in inbox.mails[0].get_content()


async def test_whoever_waits_for_a_mail_server_loses_nothing(database: Database) -> None:
    """A server that is not there puts mail off; the database holds it."""
    link, bus = HandClock(), ProcessBus()
    way = post_of("smtp://127.0.0.1:1", sender="doors@example.net")
    room = MailRoom(database, link, bus, way, address="http://cloud.example")
    async with database.write() as tx:
        await mailbox.add(tx, ["a@example.org"], site_id=OWN, subject="S", body="B", utc=link.at)

    assert await room.turn() == 0

    async with database.read() as tx:
        assert len((await tx.execute(select(mails))).all()) == 1
