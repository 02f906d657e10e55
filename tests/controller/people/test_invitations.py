"""Invitations: from a person's address to an account that is that person."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from controller.db.metadata import metadata
from controller.db.tables.accounts import invitations, site_roles
from controller.db.tables.notifications import mails
from controller.db.tables.people import people
from controller.db.tables.records import audit_records, outbox
from controller.notifications import letters
from controller.people.invitations import BY_ADDRESS
from tests.controller.whole import ABSENT, CLOUD_ROLES, PASSWORD, Answer, Whole, sqlite_url, whole
from tests.postgres import empty

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("invitations")]

DAY_S = 86_400
ACCEPT = "/invitations/accept"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A database and a folder; on both backends."""
    folder = tmp_path_factory.mktemp("cloud")
    if request.param == "sqlite":
        return sqlite_url(request.getfixturevalue("migrated_sqlite"), folder), folder
    url: str = request.getfixturevalue("migrated_postgres")
    asyncio.run(empty(url))
    return url, folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(place: tuple[str, Path]) -> AsyncIterator[Whole]:
    """The whole cloud, for all tests of this file; each has its own site."""
    async with whole(*place) as served:
        yield served


async def person(cloud: Whole, site_id: str, name: str, **more: object) -> str:
    """Add a person with an e-mail address and return the path to it."""
    body = {"name": name, "email": f"{name}@example.org"} | more
    made = await cloud.make("POST", f"/sites/{site_id}/people", body, by="owner")
    return f"/sites/{site_id}/people/{made['id']}"


async def invite(cloud: Whole, path: str, by: str = "owner") -> str:
    """Invite a person and return the token that its mail holds."""
    await cloud.make("POST", f"{path}/invitation", by=by)
    query = select(outbox.c.facts).where(outbox.c.kind == "invitation.sent")
    async with cloud.db.read() as tx:
        facts = (await tx.execute(query.order_by(outbox.c.id.desc()).limit(1))).scalar_one()
    return str(facts["token"])


async def accept(cloud: Whole, token: str, by: str | None = None, **more: object) -> Answer:
    """Accept an invitation, signed in or not."""
    return await cloud.ask("POST", ACCEPT, {"token": token} | more, by=by)


async def account_of(cloud: Whole, path: str) -> str | None:
    """Return the account that is tied to a person."""
    query = select(people.c.account_id).where(people.c.id == path.rsplit("/", 1)[1])
    async with cloud.db.read() as tx:
        found: str | None = (await tx.execute(query)).scalar_one()
    return found


def shown(answer: Answer) -> tuple[int, Any]:
    """Return what an answer says, but for the request's id."""
    return answer.status, {**answer.body, "request_id": None, "instance": None}


async def test_an_address_without_an_account_gets_one(cloud: Whole) -> None:
    """Whoever accepts chooses a password, signs in, and is a user of the site and that person."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "nora")

    answer = await accept(cloud, await invite(cloud, path), name="Nora N.", password=PASSWORD)
    await cloud.sign_in("nora")
    me = await cloud.make("GET", "/me", by="nora")

    assert answer.status == 200
    assert (me["email"], me["name"]) == ("nora@example.org", "Nora N.")
    mine = me["site_roles"][site_id]
    assert (mine["role"], mine["person_id"]) == ("user", path.rsplit("/", 1)[1])
    assert "own:open" in mine["rights"]
    assert "people:read" not in mine["rights"]


async def test_an_address_with_an_account_accepts_with_its_session(cloud: Whole) -> None:
    """Without a session, or with another's or a token, nothing happens; no account is made."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "stranger")
    token = await invite(cloud, path)
    issued = {"name": "t", "scopes": ["read", "people"]}
    program = (await cloud.make("POST", "/tokens", issued, by="stranger"))["token"]

    nobody = await accept(cloud, token, password=PASSWORD)
    other = await accept(cloud, token, by="neighbour")
    machine = await accept(cloud, token, by=program)
    untied = await account_of(cloud, path)
    done = await accept(cloud, token, by="stranger")
    me = await cloud.make("GET", "/me", by="stranger")

    assert (nobody.status, nobody.code) == (409, "sign_in_first")
    assert (other.status, other.code) == (machine.status, machine.code) == (403, "invited_another")
    assert (untied, done.status) == (None, 200)
    assert await account_of(cloud, path) == me["account_id"]
    assert me["site_roles"][site_id]["role"] == "user"


async def test_a_bad_session_is_no_missing_one(cloud: Whole) -> None:
    """Who sends a token that is none is told so, though the route needs none."""
    token = await invite(cloud, await person(cloud, await cloud.site(), "vera"))

    answer = await accept(cloud, token, by="dws_unknown", password=PASSWORD)

    assert (answer.status, answer.code) == (401, "not_signed_in")


async def test_a_role_is_kept(cloud: Whole) -> None:
    """An owner or admin who accepts stays what he is and becomes a person beside."""
    site_id = await cloud.site()
    await cloud.join(site_id, "admin", "admin")
    for name, role in (("owner", "owner"), ("admin", "admin")):
        path = await person(cloud, site_id, name)

        await accept(cloud, await invite(cloud, path), by=name)
        mine = (await cloud.make("GET", "/me", by=name))["site_roles"][site_id]

        assert (mine["role"], mine["person_id"]) == (role, path.rsplit("/", 1)[1])


async def test_every_dead_token_gets_one_answer(cloud: Whole) -> None:
    """Used, replaced, revoked, of a person deleted or with another address, too old, unknown."""
    site_id = await cloud.site()
    paths = [await person(cloud, site_id, f"p{number}{ABSENT[:3]}") for number in range(5)]
    tokens = [await invite(cloud, path) for path in paths]
    _, replaced, revoked, deleted, moved = paths
    assert (await accept(cloud, tokens[0], password=PASSWORD)).status == 200
    newer = await invite(cloud, replaced)
    await cloud.make("DELETE", f"{revoked}/invitation", by="owner")
    edits = {"If-Match": '"1"'}
    await cloud.ask("DELETE", deleted, by="owner", headers=edits)
    await cloud.ask("PATCH", moved, {"email": "x@example.org"}, by="owner", headers=edits)

    answers = [await accept(cloud, token, password=PASSWORD) for token in [*tokens, "dwi_no"]]
    alive = await accept(cloud, newer)
    cloud.clocks.pass_by(7 * DAY_S)
    answers.append(await accept(cloud, newer, password=PASSWORD))

    assert (answers[0].status, answers[0].code) == (404, "invitation_unknown")
    assert all(shown(answer) == shown(answers[0]) for answer in answers)
    assert (alive.status, alive.code, alive.field) == (422, "password_missing", "password")
    for name in CLOUD_ROLES:
        await cloud.sign_in(name)  # the week has ended all sessions


async def test_a_revoked_or_accepted_invitation_is_not_revoked_again(cloud: Whole) -> None:
    """There is nothing to revoke then, nor for a person who never was invited."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "ruth")
    never = await cloud.ask("DELETE", f"{path}/invitation", by="owner")
    await accept(cloud, await invite(cloud, path), password=PASSWORD)

    after = await cloud.ask("DELETE", f"{path}/invitation", by="owner")

    assert (never.status, never.body["facts"]) == (404, {"object": "invitation"})
    assert shown(never) == shown(after)


async def test_another_address_parts_a_person_from_its_account(cloud: Whole) -> None:
    """Whatever else is edited leaves the two tied; a typed address ties nobody."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "paul")
    await accept(cloud, await invite(cloud, path), password=PASSWORD)
    tied = []
    for version, edit in enumerate(
        ({"name": "Paul P."}, {"email": "neighbour@example.org"}, {"email": "paul@example.org"}), 1
    ):
        await cloud.ask("PATCH", path, edit, by="owner", headers={"If-Match": f'"{version}"'})
        tied.append(await account_of(cloud, path) is not None)

    assert tied == [True, False, False]


async def test_an_account_is_one_person_of_a_site(cloud: Whole) -> None:
    """A second person with the same address is not the same account; at another site it may."""
    first, second = await cloud.site(), await cloud.site()
    for site_id in (first, second):
        path = await person(cloud, site_id, "user")
        assert (await accept(cloud, await invite(cloud, path), by="user")).status == 200

    twin = await person(cloud, first, "user")
    answer = await accept(cloud, await invite(cloud, twin), by="user")

    assert (answer.status, answer.code) == (409, "account_is_another_person")
    assert await account_of(cloud, twin) is None


async def test_two_who_accept_at_once_are_one(cloud: Whole) -> None:
    """A token makes one account, ties it once and gives one role, however often it is sent."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "tessa")
    token = await invite(cloud, path)

    answers = await asyncio.gather(
        *(accept(cloud, token, password=PASSWORD) for _ in range(4)),
    )

    assert [answer.status for answer in answers].count(200) == 1
    assert {answer.code for answer in answers if answer.status != 200} == {"invitation_unknown"}
    async with cloud.db.read() as tx:
        held = select(func.count()).select_from(site_roles).where(site_roles.c.site_id == site_id)
        assert (await tx.execute(held)).scalar_one() == 2


async def test_two_invitations_at_once_leave_one_that_works(cloud: Whole) -> None:
    """The later one counts, and there is no second row."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "ida")

    await asyncio.gather(*(invite(cloud, path) for _ in range(4)))

    async with cloud.db.read() as tx:
        rows = select(func.count()).select_from(invitations)
        of_site = rows.where(invitations.c.site_id == site_id)
        assert (await tx.execute(of_site)).scalar_one() == 1


@pytest.mark.invariant("T3")
async def test_who_lacks_a_users_rights_invites_nobody(cloud: Whole) -> None:
    """An accepted invitation makes a user, which not everybody who manages people may give."""
    site_id = await cloud.site()
    body = {"name": "Desk", "rights": ["site:read", "people:read", "people:manage"]}
    role = await cloud.make("POST", f"/sites/{site_id}/custom-roles", body, by="owner")
    await cloud.join(site_id, "keeper", role["id"])
    await cloud.join(site_id, "super_user", "super_user")
    path = await person(cloud, site_id, "lena")

    refused = await cloud.ask("POST", f"{path}/invitation", by="keeper")
    token = await invite(cloud, path, by="super_user")

    assert (refused.status, refused.code) == (403, "rights_exceeded")
    assert (await accept(cloud, token, password=PASSWORD)).status == 200


async def test_whoever_has_no_address_is_not_invited(cloud: Whole) -> None:
    """The refusal names the field to fill."""
    path = await person(cloud, await cloud.site(), "Pia", email=None)

    answer = await cloud.ask("POST", f"{path}/invitation", by="owner")

    assert (answer.status, answer.code, answer.field) == (409, "person_without_email", "email")


async def test_a_short_password_leaves_the_invitation_open(cloud: Whole) -> None:
    """What is refused uses nothing up, and the password is not repeated."""
    token = await invite(cloud, await person(cloud, await cloud.site(), "karl"))

    short = await accept(cloud, token, password="too short")
    good = await accept(cloud, token, password=PASSWORD)

    assert (short.status, short.field, good.status) == (422, "password", 200)
    assert b"too short" not in short.raw.replace(b"too_short", b"")


async def test_a_token_stands_nowhere_but_in_the_mail_to_be(
    cloud: Whole, capfd: pytest.CaptureFixture[str]
) -> None:
    """No other table, no answer and no log line has it, whether it is taken or refused."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "sofie")
    sent = await cloud.ask("POST", f"{path}/invitation", by="owner")
    token = await invite(cloud, path)
    answers = [sent, await accept(cloud, token), await accept(cloud, token + "x" * 200)]
    answers += [await accept(cloud, token, password=PASSWORD) for _ in range(2)]

    found = []
    async with cloud.db.read() as tx:
        for table in metadata.sorted_tables:
            rows = (await tx.execute(select(table))).all()
            if any(token in str(row) or token.encode() in str(row).encode() for row in rows):
                found.append(table.name)

    assert [answer.status for answer in answers] == [201, 422, 422, 200, 404]
    assert found == ["outbox"]
    assert not any(token.encode() in answer.raw for answer in answers)
    logged = capfd.readouterr()
    assert ACCEPT in logged.out
    assert token not in logged.out + logged.err


async def test_an_invitation_goes_out_as_a_mail(cloud: Whole) -> None:
    """To the person's address and nobody else's, with the token to accept it."""
    token = await invite(cloud, await person(cloud, await cloud.site(), "moira"))

    async with cloud.db.write() as tx:
        while await letters.write(tx, address="http://localhost", utc=cloud.clocks.real):
            pass
        rows = (await tx.execute(select(mails))).all()

    assert [row.receiver for row in rows if token in row.body] == ["moira@example.org"]


async def test_guesses_are_limited(cloud: Whole) -> None:
    """After so many unknown tokens even a good one has to wait; good ones never count."""
    token = await invite(cloud, await person(cloud, await cloud.site(), "gina"))
    statuses = [(await accept(cloud, f"dwi_{n}")).status for n in range(2 * BY_ADDRESS.burst)]

    waiting = await accept(cloud, token, password=PASSWORD)
    cloud.clocks.pass_by(3_600)
    later = await accept(cloud, token, password=PASSWORD)

    assert statuses[-1] == waiting.status == 429
    assert statuses.count(404) < 2 * BY_ADDRESS.burst
    assert later.status == 200


@pytest.mark.invariant("L6")
async def test_each_step_of_an_invitation_is_recorded(cloud: Whole) -> None:
    """Sent, revoked, accepted, and the account that was made: who did what, without the token."""
    site_id = await cloud.site()
    path = await person(cloud, site_id, "olaf")
    await invite(cloud, path)
    await cloud.make("DELETE", f"{path}/invitation", by="owner")
    done = await accept(cloud, await invite(cloud, path), password=PASSWORD)
    account_id = done.body["account_id"]

    query = select(audit_records).where(audit_records.c.object_id.in_([path[-32:], account_id]))
    async with cloud.db.read() as tx:
        rows = (await tx.execute(query)).all()

    assert sorted((row.action, row.actor_name) for row in rows) == [
        ("account_created", "olaf"),
        ("invitation_accepted", "olaf"),
        ("invitation_revoked", "Owner"),
        ("invitation_sent", "Owner"),
        ("invitation_sent", "Owner"),
        ("person_added", "Owner"),
    ]
