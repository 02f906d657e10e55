"""Signing in and out, tokens and accounts, over HTTP."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from typing_extensions import Unpack

from controller.accounts.passwords import Passwords
from controller.chance import SystemRandomness
from controller.db.tables.accounts import tokens
from controller.db.tables.records import audit_records
from controller.domain.roles import CloudRole
from controller.ports import Arguments, Result
from controller.threads import PoolThreads
from tests.controller.subscriptions.served import PASSWORD, Served

HOUR_S = 3600


class CountingThreads:
    """Threads that count what they are given."""

    def __init__(self) -> None:
        self.pool = PoolThreads()
        self.count = 0

    async def run(
        self, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments
    ) -> Result:
        """Return ``work(*arguments)``."""
        self.count += 1
        return await self.pool.run(work, *arguments)


def credentials(name: str, password: str = PASSWORD) -> dict[str, str]:
    """Return what somebody types to sign in."""
    return {"email": f"{name}@example.org", "password": password}


async def sign_in(served: Served, name: str, password: str = PASSWORD) -> tuple[int, Any]:
    """Try to sign in."""
    return await served.ask("POST", "/sessions", credentials(name, password))


async def test_a_session_says_who_one_is(served: Served) -> None:
    """Whoever signs in is known by the token, with roles, for 12 hours of the link clock."""
    token = await served.enrol("anna", CloudRole.OPERATOR)

    status, me = await served.ask("GET", "/me", token=token)
    served.world.link.now_s += 12 * HOUR_S - 1
    late, _ = await served.ask("GET", "/me", token=token)
    served.world.link.now_s += 1
    over, answer = await served.ask("GET", "/me", token=token)

    assert (status, late, over) == (200, 200, 401)
    assert (me["name"], me["kind"], me["cloud_role"]) == ("anna", "user", "operator")
    assert answer["code"] == "not_signed_in"


async def test_only_a_hash_of_a_token_is_stored(served: Served) -> None:
    """A dump of the tokens signs nobody in."""
    token = await served.enrol("anna")

    async with served.world.db.read() as tx:
        row = (await tx.execute(select(tokens))).one()

    assert len(token) > 43
    assert len(row.token_hash) == 32
    assert token not in str(row)
    assert token.encode() not in row.token_hash


async def test_wrong_in_any_way_is_one_answer(served: Served) -> None:
    """Unknown address, wrong password and disabled account are told with the same words."""
    operator = await served.enrol("otis", CloudRole.OPERATOR)
    await served.enrol("anna")
    status, me = await served.ask("GET", "/me", token=await served.enrol("dora"))
    path = f"/accounts/{me['account_id']}/disable"
    status, _ = await served.ask("POST", path, token=operator)
    assert status == 204

    answers = [
        await sign_in(served, "nobody"),
        await sign_in(served, "anna", "wrong password, long"),
        await sign_in(served, "dora"),
    ]

    assert [status for status, _ in answers] == [403, 403, 403]
    assert {answer["code"] for _, answer in answers} == {"sign_in_refused"}
    assert len({str(answer) for _, answer in answers}) == 1


async def test_an_unknown_address_takes_as_much_work() -> None:
    """Whoever does not exist costs a hash like anybody else: the time tells nothing."""
    threads = CountingThreads()
    passwords = Passwords(threads, SystemRandomness())
    stored = await passwords.hash(PASSWORD)

    counts = []
    for against in (stored, None):
        before = threads.count
        assert await passwords.fits(PASSWORD, against) == (against is not None)
        counts.append(threads.count - before)
    empty = await passwords.fits("", None)
    threads.pool.close()

    assert counts == [1, 1]
    assert not empty


async def test_failed_sign_ins_are_slowed_down(served: Served) -> None:
    """After five wrong passwords even the right one has to wait, whoever else may sign in."""
    await served.enrol("anna")
    for _ in range(5):
        assert (await sign_in(served, "anna", "wrong password, long"))[0] == 403

    status, answer, headers = await served.ask_all("POST", "/sessions", credentials("anna"))
    await served.enrol("bob")
    served.world.link.now_s += HOUR_S / 20
    later, _ = await sign_in(served, "anna")

    assert (status, answer["code"]) == (429, "too_many_requests")
    assert headers["Retry-After"] == "180"
    assert later == 201


async def test_signing_out_ends_one_session(served: Served) -> None:
    """The session that is ended is unknown from then on; others go on."""
    first, second = await served.enrol("anna"), await served.sign_in("anna")
    _, sessions = await served.ask("GET", "/sessions", token=first)
    _, own = await served.ask("POST", "/sessions", credentials("anna"))

    status, _ = await served.ask("DELETE", f"/sessions/{own['id']}", token=own["token"])

    assert (len(sessions), status) == (2, 204)
    assert (await served.ask("GET", "/me", token=own["token"]))[0] == 401
    assert (await served.ask("GET", "/me", token=second))[0] == 200


async def test_nobody_ends_the_session_of_another(served: Served) -> None:
    """Another's session is as if it did not exist."""
    anna, bob = await served.enrol("anna"), await served.enrol("bob")
    _, sessions = await served.ask("GET", "/sessions", token=anna)

    status, _ = await served.ask("DELETE", f"/sessions/{sessions[0]['id']}", token=bob)

    assert status == 404
    assert (await served.ask("GET", "/me", token=anna))[0] == 200


async def test_an_api_token_does_what_its_scopes_say(served: Served) -> None:
    """A token with one scope may do that and nothing else, and is shown once."""
    supplier = await served.enrol("sam", CloudRole.SUPPLIER)
    body = {"name": "nightly", "scopes": ["read"], "days": 30}

    status, issued = await served.ask("POST", "/tokens", body, token=supplier)
    _, listed = await served.ask("GET", "/tokens", token=supplier)

    assert status == 201
    assert "token" not in listed[0]
    token = issued["token"]
    assert (await served.ask("GET", "/voucher-batches", token=token))[0] == 200
    status, answer = await served.ask("POST", "/voucher-batches/" + "0" * 32 + "/void", token=token)
    assert (status, answer["code"]) == (403, "forbidden")
    status, answer = await served.ask("POST", "/tokens", body, token=token)
    assert (status, answer["code"]) == (403, "forbidden")
    await served.ask("DELETE", f"/tokens/{issued['id']}", token=supplier)
    assert (await served.ask("GET", "/me", token=token))[0] == 401


async def test_a_disabled_account_is_out_at_once(served: Served) -> None:
    """Disabling ends sessions and tokens; enabling lets them in again."""
    operator = await served.enrol("otis", CloudRole.OPERATOR)
    anna = await served.enrol("anna")
    _, me = await served.ask("GET", "/me", token=anna)

    await served.ask("POST", f"/accounts/{me['account_id']}/disable", token=operator)
    out, _ = await served.ask("GET", "/me", token=anna)
    await served.ask("POST", f"/accounts/{me['account_id']}/enable", token=operator)
    back, _ = await served.ask("GET", "/me", token=anna)
    _, boss = await served.ask("GET", "/me", token=operator)
    own, answer = await served.ask(
        "POST", f"/accounts/{boss['account_id']}/disable", token=operator
    )

    assert (out, back) == (401, 200)
    assert (own, answer["code"]) == (409, "own_account")


async def test_an_operator_creates_accounts(served: Served) -> None:
    """A new account signs in; its address is taken, however it is written."""
    operator = await served.enrol("otis", CloudRole.OPERATOR)
    body = {
        "email": "Sam@Example.org",
        "name": "Sam",
        "password": PASSWORD,
        "cloud_role": "supplier",
    }

    status, made = await served.ask("POST", "/accounts", body, token=operator)
    again, answer = await served.ask(
        "POST", "/accounts", body | {"email": "sam@example.ORG"}, token=operator
    )
    _, page = await served.ask("GET", "/accounts?limit=2", token=operator)
    _, rest = await served.ask(
        "GET", f"/accounts?limit=200&cursor={page['next_cursor']}", token=operator
    )

    assert (status, made["email"]) == (201, "sam@example.org")
    assert (again, answer["code"]) == (409, "email_taken")
    assert (await sign_in(served, "sam"))[0] == 201
    assert "sam@example.org" in [one["email"] for one in page["items"] + rest["items"]]
    status, _ = await served.ask("POST", "/accounts", body, token=await served.enrol("anna"))
    assert status == 403


@pytest.mark.parametrize("password", ["fourteen chars", "x" * 129])
async def test_passwords_have_a_length(served: Served, password: str) -> None:
    """Fewer than 15 or more than 128 characters are refused, naming the field."""
    operator = await served.enrol("otis", CloudRole.OPERATOR)
    body = {"email": "sam@example.org", "name": "Sam", "password": password}

    status, answer = await served.ask("POST", "/accounts", body, token=operator)

    assert (status, answer["errors"][0]["field"]) == (422, "password")
    assert password not in str(answer)


async def test_a_new_password_ends_all_sessions(served: Served) -> None:
    """After the change only the new password signs in, and old sessions are over."""
    token, other = await served.enrol("anna"), await served.sign_in("anna")
    wanted = "staple battery horse correct"
    path = "/me/password"

    wrong, answer = await served.ask(
        "POST", path, {"present": "not it", "wanted": wanted}, token=token
    )
    status, _ = await served.ask("POST", path, {"present": PASSWORD, "wanted": wanted}, token=token)

    assert (wrong, answer["code"], status) == (403, "sign_in_refused", 204)
    assert (await served.ask("GET", "/me", token=other))[0] == 401
    assert (await sign_in(served, "anna"))[0] == 403
    assert (await sign_in(served, "anna", wanted))[0] == 201


@pytest.mark.invariant("L6")
async def test_what_accounts_do_is_on_the_audit_trail(served: Served) -> None:
    """Each change leaves one record, each refusal one denial, and none holds a secret."""
    operator = await served.enrol("otis", CloudRole.OPERATOR)
    body = {"email": "sam@example.org", "name": "Sam", "password": PASSWORD}
    _, made = await served.ask("POST", "/accounts", body, token=operator)
    await served.ask("POST", f"/accounts/{made['id']}/disable", token=operator)
    await sign_in(served, "sam")
    _, issued = await served.ask(
        "POST", "/tokens", {"name": "t", "scopes": ["read"]}, token=operator
    )

    async with served.world.db.read() as tx:
        rows = (await tx.execute(select(audit_records).order_by(audit_records.c.action))).all()

    assert [(row.action, row.refused) for row in rows] == [
        ("account_created", None),
        ("account_disabled", None),
        ("request_refused", "sign_in_refused"),
        ("session_started", None),
        ("token_issued", None),
    ]
    assert issued["token"] not in str(rows)
    assert PASSWORD not in str(rows)


async def test_many_sign_ins_at_once_are_all_served(served: Served) -> None:
    """Ten people at the door at the same moment all come in."""
    for number in range(3):
        await served.enrol(f"p{number}")

    found = await asyncio.gather(*(sign_in(served, f"p{number % 3}") for number in range(10)))

    assert {status for status, _ in found} == {201}
